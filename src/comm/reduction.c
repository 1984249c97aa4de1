/* Every bucket goes through the same stages, one bucket after the other: ready (this rank's values are complete), added
 * (this rank has added its part of the bucket over the node), sent (to the other nodes), final (the sum over all ranks is
 * in the node's memory), done (it is in this rank's values). So how many buckets have passed a stage says which. Each rank
 * shows its node four of these numbers, which go on counting from reduction to reduction. */
#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/thread.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/reduction.h>

#include "comm/comm_private.h"
#include "comm/exchange.h"
#include "comm/reduction_kernels.h"
#include "comm/wait.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { LINE_BYTES = 64, BUCKET_ALIGNMENT = 1024, SHARE_ALIGNMENT = 16, MOST_BUCKET_BYTES = 1 << 30, HELPER_POLLS = 5 };

const char *const sm_reduction_mode_names[SM_REDUCTION_MODES] = {"blocking", "overlapped", "hierarchical"};

static const double default_poll_seconds = 200e-6;

typedef struct counter {
    _Alignas(LINE_BYTES) _Atomic uint64_t buckets;
} counter;

/* How far a rank is, for the others of its node to read. */
typedef struct stages {
    counter ready, added;
    counter final; /* first rank, several nodes: the sum is in its window */
    counter done;  /* the others: copied from there */
} stages;

struct sm_reduction {
    sm_comm *comm;
    sm_reduction_options options;
    sm_node node;
    float *values;
    size_t count, bucket_floats, buckets;
    sm_shared stages_memory, window_memory;
    stages **stages;         /* by rank of the node */
    float **windows;         /* by rank of the node; the own one is `values` unless staged */
    int staged;              /* values are copied to and from the own window */
    size_t *shares;          /* by rank of the node, and the end; NULL: everyone needs everything */
    sm_exchange *exchange;   /* first rank of the node, several nodes */
    char *exchanged;         /* by bucket */
    int moves;               /* between begin and finish */
    uint64_t before;         /* buckets of earlier reductions */
    _Atomic size_t complete; /* floats */
    size_t ready, added, sent, final, done;
    double polled_seconds, begin_seconds;
    sm_reduction_bucket_times *times;
    sm_reduction_statistics statistics;
    struct { /* all under sm_mpi_mutex */
        pthread_t thread;
        pthread_cond_t changed;
        int runs, is_wanted, must_end;
    } helper;
};

/* ---- memory that reductions work on in place ---- */

typedef struct allocation {
    float *values;
    size_t count;
    sm_shared shared;
    struct allocation *next;
} allocation;

static allocation *allocations;

float *sm_reduction_alloc(sm_comm *comm, size_t count)
{
    allocation *a = sm_alloc_zeroed(sizeof *a);
    a->count = count;
    if (sm_comm_size(comm) > 1 && sm_shared_new(&comm->node, count * sizeof(float), &a->shared)) {
        a->values = (float *)(void *)a->shared.base[comm->node.rank];
    } else {
        a->values = sm_alloc(count > 0 ? count * sizeof(float) : 1);
    }
    a->next = allocations;
    allocations = a;
    return a->values;
}

void sm_reduction_free_values(float *values)
{
    for (allocation **place = &allocations; *place; place = &(*place)->next) {
        allocation *a = *place;
        if (a->values == values) {
            *place = a->next;
            if (a->shared.is_shared) {
                sm_shared_free(&a->shared);
            } else {
                sm_free(a->values);
            }
            sm_free(a);
            return;
        }
    }
}

static const allocation *find_shared(const float *values, size_t count)
{
    const allocation *a = allocations;
    while (a && (a->values != values || a->count < count || !a->shared.is_shared)) {
        a = a->next;
    }
    return a;
}

/* ---- set up ---- */

static size_t first_of(const sm_reduction *r, size_t bucket)
{
    return bucket < r->buckets ? bucket * r->bucket_floats : r->count;
}

static size_t count_of(const sm_reduction *r, size_t bucket)
{
    return first_of(r, bucket + 1) - first_of(r, bucket);
}

/* \return 0 if a node has no memory to share */
static int make_windows(sm_reduction *r)
{
    size_t ranks = (size_t)r->node.size;
    r->stages = sm_alloc_zeroed(ranks * sizeof *r->stages);
    r->windows = sm_alloc_zeroed(ranks * sizeof *r->windows);
    r->windows[r->node.rank] = r->values;
    if (ranks == 1) {
        r->stages[0] = sm_alloc_zeroed(sizeof **r->stages);
        return 1;
    }
    if (!sm_shared_new(&r->node, sizeof **r->stages, &r->stages_memory)) {
        return 0;
    }
    const allocation *a = find_shared(r->values, r->count);
    int in_place = a != NULL;
    sm_blocking_begin("the node to share memory");
    sm_check_mpi(MPI_Allreduce(MPI_IN_PLACE, &in_place, 1, MPI_INT, MPI_MIN, r->node.comm), "MPI_Allreduce");
    sm_blocking_end();
    assert(a || !in_place); /* the least of all is not more than its own */
    r->staged = !in_place;
    if (r->staged && !sm_shared_new(&r->node, r->count * sizeof(float), &r->window_memory)) {
        return 0;
    }
    char **base = in_place ? a->shared.base + (r->comm->node.rank - r->node.rank) : r->window_memory.base;
    for (size_t i = 0; i < ranks; i++) {
        r->stages[i] = (stages *)(void *)r->stages_memory.base[i];
        r->windows[i] = (float *)(void *)base[i];
    }
    return 1;
}

static void release_windows(sm_reduction *r)
{
    if (r->node.size == 1 && r->stages) {
        sm_free(r->stages[0]);
    }
    sm_shared_free(&r->stages_memory);
    sm_shared_free(&r->window_memory);
    sm_free(r->stages);
    sm_free(r->windows);
    r->stages = NULL;
    r->windows = NULL;
    sm_node_free(&r->node);
}

static void lay_out(sm_reduction *r)
{
    int most = r->options.mode == SM_REDUCTION_HIERARCHICAL ? r->options.ranks_per_node : 1;
    if (r->comm->size == 1) {
        r->node = (sm_node){.size = 1, .count = 1};
        make_windows(r);
        return;
    }
    sm_comm_barrier(r->comm); /* with a clock, before calls that have none */
    sm_node_split(r->comm->handle, &r->comm->node, most, &r->node);
    int64_t fails = !make_windows(r);
    sm_comm_max_int64(r->comm, &fails, 1);
    if (fails) {
        if (r->comm->rank == 0) {
            sm_log_warning("the ranks of a node cannot share %zu MiB each (is /dev/shm full?): the hierarchical "
                           "reduction uses messages inside nodes too",
                           r->count * sizeof(float) >> 20);
        }
        release_windows(r);
        r->staged = 0;
        sm_node_split(r->comm->handle, &r->comm->node, 1, &r->node);
        make_windows(r);
    }
}

/* Measured over links of 0.1 and 1 Gbit/s and inside a node: between 256 KiB and 4 MiB the time hardly changes, and
 * more is left to wait for after the last op. Of few gradients that would still be a large part. */
static size_t default_bucket_bytes(size_t bytes, int nodes)
{
    const size_t most = 1 << 20, least = 128 << 10, least_message = 16 << 10, wanted = bytes / 32;
    size_t bucket = wanted < least ? least : wanted > most ? most : wanted;
    return least_message * (size_t)nodes > bucket ? least_message * (size_t)nodes : bucket;
}

static void cut_buckets(sm_reduction *r)
{
    size_t bytes = r->options.bucket_bytes > 0 ? r->options.bucket_bytes
                                               : default_bucket_bytes(r->count * sizeof(float), r->node.count);
    bytes = bytes < MOST_BUCKET_BYTES ? bytes : MOST_BUCKET_BYTES;
    r->bucket_floats = sm_round_up(bytes / sizeof(float) > 0 ? bytes / sizeof(float) : 1, BUCKET_ALIGNMENT);
    r->buckets = (r->count + r->bucket_floats - 1) / r->bucket_floats;
    r->times = sm_alloc_zeroed((r->buckets + 1) * sizeof *r->times);
    r->exchanged = sm_alloc_zeroed(r->buckets + 1);
}

/* ---- the stages ---- */

static void show(counter *c, uint64_t buckets)
{
    atomic_store_explicit(&c->buckets, buckets, memory_order_release);
}

static uint64_t read(const counter *c)
{
    return atomic_load_explicit(&c->buckets, memory_order_acquire);
}

static stages *own_stages(const sm_reduction *r)
{
    return r->stages[r->node.rank];
}

/* \return how many buckets of this reduction have passed a stage on all ranks of the node. `field`: offset of its
 * counter. */
static size_t passed_on_all(const sm_reduction *r, size_t field)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < r->node.size; i++) {
        uint64_t buckets = read((const counter *)(const void *)((const char *)r->stages[i] + field));
        least = buckets < least ? buckets : least;
    }
    return least > r->before ? (size_t)(least - r->before) : 0;
}

static void start_complete(sm_reduction *r)
{
    while (r->ready < r->buckets && first_of(r, r->ready + 1) <= r->complete) {
        size_t first = first_of(r, r->ready), count = count_of(r, r->ready);
        if (r->staged) {
            memcpy(r->windows[r->node.rank] + first, r->values + first, count * sizeof(float));
        }
        r->times[r->ready] =
            (sm_reduction_bucket_times){.first = first, .count = count, .started_seconds = sm_seconds()};
        r->ready++;
        show(&own_stages(r)->ready, r->before + r->ready);
    }
}

/* Of [first, first + count) what lies in the share of a rank of the node; count 0 = nothing. */
static size_t cut_to_share(const sm_reduction *r, int rank, size_t *first, size_t count)
{
    size_t begin = *first, end = begin + count;
    if (r->shares) {
        begin = r->shares[rank] > begin ? r->shares[rank] : begin;
        end = r->shares[rank + 1] < end ? r->shares[rank + 1] : end;
        *first = begin;
    }
    return begin < end ? end - begin : 0;
}

/* This rank adds its part of the bucket: for everyone, for those in whose shares it lies, or with several nodes for the
 * first rank. */
static void add_part(const sm_reduction *r, size_t bucket, int threads)
{
    size_t ranks = (size_t)r->node.size, rank = (size_t)r->node.rank, count = count_of(r, bucket);
    size_t begin = count * rank / ranks / SHARE_ALIGNMENT * SHARE_ALIGNMENT;
    size_t end = rank + 1 == ranks ? count : count * (rank + 1) / ranks / SHARE_ALIGNMENT * SHARE_ALIGNMENT;
    const float *const *from = (const float *const *)r->windows;
    if (r->node.count > 1 || !r->shares) {
        sm_add_in_order(from, ranks, r->windows, r->node.count == 1 ? ranks : 1, first_of(r, bucket) + begin,
                        end - begin, threads);
        return;
    }
    for (int owner = 0; owner < r->node.size; owner++) {
        size_t first = first_of(r, bucket) + begin, in_share = cut_to_share(r, owner, &first, end - begin);
        if (in_share > 0) {
            sm_add_in_order(from, ranks, &r->windows[owner], 1, first, in_share, threads);
        }
    }
}

static void add_parts(sm_reduction *r, int threads)
{
    size_t ready = r->node.size > 1 ? passed_on_all(r, offsetof(stages, ready)) : r->ready;
    ready = ready < r->ready ? ready : r->ready;
    while (r->added < ready) {
        if (r->node.size > 1) {
            add_part(r, r->added, threads);
        }
        r->added++;
        show(&own_stages(r)->added, r->before + r->added);
    }
}

static void exchange_with_nodes(sm_reduction *r, int threads)
{
    size_t added = passed_on_all(r, offsetof(stages, added));
    sm_exchange_poll(r->exchange, threads, r->exchanged);
    while (r->sent < added && sm_exchange_has_room(r->exchange)) {
        sm_exchange_start(r->exchange, r->sent, first_of(r, r->sent), count_of(r, r->sent));
        r->sent++;
    }
    while (r->final < r->sent && r->exchanged[r->final]) {
        r->final++;
    }
    show(&own_stages(r)->final, r->before + r->final);
}

static void find_final(sm_reduction *r, int threads)
{
    if (r->exchange) {
        exchange_with_nodes(r, threads);
    } else if (r->node.count > 1) {
        uint64_t final = read(&r->stages[0]->final);
        r->final = final > r->before ? (size_t)(final - r->before) : 0;
    } else {
        r->final = passed_on_all(r, offsetof(stages, added));
    }
}

static void copy_final(sm_reduction *r)
{
    int is_elsewhere = r->node.count > 1 && r->node.rank > 0;
    const float *window = r->windows[is_elsewhere ? 0 : r->node.rank];
    while (r->done < r->final) {
        sm_reduction_bucket_times *times = &r->times[r->done];
        if (is_elsewhere || r->staged) {
            size_t first = times->first, count = cut_to_share(r, r->node.rank, &first, times->count);
            memcpy(r->values + first, window + first, count * sizeof(float));
        }
        times->finished_seconds = sm_seconds();
        r->done++;
        show(&own_stages(r)->done, r->before + r->done);
    }
}

/* Under sm_mpi_mutex. */
static void advance(sm_reduction *r, int threads)
{
    start_complete(r);
    add_parts(r, threads);
    find_final(r, threads);
    copy_final(r);
}

/* ---- the thread ---- */

/* Adds by itself: a second set of OpenMP threads would fight for the cores of the first. */
static void *help(void *user)
{
    sm_reduction *r = user;
    const struct timespec nap = {0, (long)(1e9 * HELPER_POLLS * r->options.poll_seconds)};
    pthread_mutex_lock(&sm_mpi_mutex);
    while (!r->helper.must_end) {
        if (!r->helper.is_wanted) {
            pthread_cond_wait(&r->helper.changed, &sm_mpi_mutex);
            continue;
        }
        double begin = sm_seconds();
        advance(r, 1);
        r->polled_seconds = sm_seconds();
        r->statistics.polling_seconds += r->polled_seconds - begin;
        pthread_mutex_unlock(&sm_mpi_mutex);
        nanosleep(&nap, NULL);
        pthread_mutex_lock(&sm_mpi_mutex);
    }
    pthread_mutex_unlock(&sm_mpi_mutex);
    return NULL;
}

/* Without a thread there are still the polls between ops. */
static void start_helper(sm_reduction *r)
{
    pthread_cond_init(&r->helper.changed, NULL);
    r->helper.runs = sm_thread_start(&r->helper.thread, help, r) == 0;
}

static void want_helper(sm_reduction *r, int is_wanted)
{
    if (r->helper.runs) {
        r->helper.is_wanted = is_wanted;
        sm_mpi_set_helper_works(is_wanted);
        pthread_cond_signal(&r->helper.changed);
    }
}

static void stop_helper(sm_reduction *r)
{
    if (r->helper.runs) {
        pthread_mutex_lock(&sm_mpi_mutex);
        r->helper.must_end = 1;
        pthread_cond_signal(&r->helper.changed);
        pthread_mutex_unlock(&sm_mpi_mutex);
        pthread_join(r->helper.thread, NULL);
        pthread_cond_destroy(&r->helper.changed);
    }
}

/* ---- life ---- */

sm_reduction *sm_reduction_new(sm_comm *comm, float *values, size_t count, const sm_reduction_options *options)
{
    sm_reduction *r = sm_alloc_zeroed(sizeof *r);
    r->comm = comm;
    r->options = *options;
    r->options.poll_seconds = options->poll_seconds > 0 ? options->poll_seconds : default_poll_seconds;
    r->options.threads = options->threads > 0 ? options->threads : 1;
    r->values = values;
    r->count = count;
    r->options.shares = NULL;
    lay_out(r);
    if (options->shares && comm->size > 1 && r->node.size == comm->node.size) {
        size_t bytes = ((size_t)r->node.size + 1) * sizeof *r->shares;
        r->shares = memcpy(sm_alloc(bytes), options->shares, bytes);
    }
    cut_buckets(r);
    int helps = options->thread && r->node.count > 1 && options->mode != SM_REDUCTION_BLOCKING && sm_mpi_takes_turns();
    if (options->thread && r->node.count > 1 && !sm_mpi_takes_turns()) {
        sm_log_info("this MPI allows no second thread: gradients move between ops only");
    }
    if (r->node.rank == 0 && r->node.count > 1) {
        size_t most = count < r->bucket_floats ? count : r->bucket_floats;
        r->exchange = sm_exchange_new(r->node.leaders, r->windows[0], most, options->compress, helps);
    }
    if (helps) {
        start_helper(r);
    }
    return r;
}

void sm_reduction_free(sm_reduction *r)
{
    if (!r) {
        return;
    }
    stop_helper(r);
    sm_exchange_free(r->exchange);
    release_windows(r);
    sm_free(r->times);
    sm_free(r->exchanged);
    sm_free(r->shares);
    sm_free(r);
}

size_t sm_reduction_extra_bytes(const sm_reduction *r)
{
    size_t bytes = r->count * sizeof(float), share = bytes / (size_t)r->node.size;
    size_t window = r->staged ? bytes : 0, others = (size_t)(r->node.size - 1) * share;
    size_t final = r->shares ? share : bytes; /* read in the first rank's window, beside the parts added there */
    size_t sums = r->node.count > 1 && r->node.rank > 0 ? final - final / (size_t)r->node.size : 0;
    return window + others + sums + (r->exchange ? sm_exchange_bytes(r->exchange) : 0);
}

/* ---- begin, progress, finish ---- */

/* During a wait of the main thread, which holds the mutex. */
static void poll_now_and_then(void *user)
{
    sm_reduction *r = user;
    double now = sm_seconds();
    if (now - r->polled_seconds >= r->options.poll_seconds) {
        advance(r, r->options.threads);
        r->polled_seconds = sm_seconds();
    }
}

void sm_reduction_begin(sm_reduction *r)
{
    r->complete = r->ready = r->added = r->sent = r->final = r->done = 0;
    r->statistics = (sm_reduction_statistics){.buckets = r->buckets};
    memset(r->exchanged, 0, r->buckets);
    r->moves = 1;
    if (r->options.mode != SM_REDUCTION_BLOCKING) {
        sm_poller_add(poll_now_and_then, r);
        pthread_mutex_lock(&sm_mpi_mutex);
        want_helper(r, 1);
        pthread_mutex_unlock(&sm_mpi_mutex);
    }
}

void sm_reduction_progress(sm_reduction *r, size_t complete)
{
    if (!r->moves || r->options.mode == SM_REDUCTION_BLOCKING) {
        return;
    }
    double begin = sm_seconds();
    if (complete > r->complete) {
        r->complete = complete;
    }
    if (pthread_mutex_trylock(&sm_mpi_mutex) != 0) {
        return; /* the helper is at it */
    }
    int starts = r->ready < r->buckets && first_of(r, r->ready + 1) <= r->complete;
    if (starts || begin - r->polled_seconds >= r->options.poll_seconds) {
        advance(r, r->options.threads);
        r->polled_seconds = sm_seconds();
        r->statistics.polling_seconds += r->polled_seconds - begin;
    }
    pthread_mutex_unlock(&sm_mpi_mutex);
}

static int next_is_done(void *user)
{
    sm_reduction *r = user;
    size_t before = r->done;
    if (r->done < r->buckets) {
        advance(r, r->options.threads);
    }
    return r->done > before || r->done == r->buckets;
}

/* The first rank's window is in use until the others of the node have copied the sums. */
static int all_are_done(void *user)
{
    const sm_reduction *r = user;
    return passed_on_all(r, offsetof(stages, done)) >= r->buckets;
}

static void close_statistics(sm_reduction *r, double begin)
{
    sm_reduction_statistics *s = &r->statistics;
    double end = sm_seconds();
    s->waited_seconds = end - begin;
    for (size_t i = 0; i < r->buckets; i++) {
        double moving = r->times[i].finished_seconds - r->times[0].started_seconds;
        s->moving_seconds = moving > s->moving_seconds ? moving : s->moving_seconds;
    }
    s->hidden_seconds = s->moving_seconds > s->waited_seconds ? s->moving_seconds - s->waited_seconds : 0;
    s->sent_bytes = r->exchange ? sm_exchange_take_sent_bytes(r->exchange) : 0;
}

void sm_reduction_finish(sm_reduction *r)
{
    double begin = sm_seconds();
    pthread_mutex_lock(&sm_mpi_mutex);
    want_helper(r, 0);
    sm_poller_remove(poll_now_and_then, r);
    r->complete = r->count;
    while (r->done < r->buckets) { /* the clock of a stall begins anew with every bucket */
        sm_wait(next_is_done, r, &(sm_wait_reason){"bucket", (int64_t)r->done + 1, (int64_t)r->buckets});
    }
    if (r->node.count > 1 && r->node.rank == 0 && r->node.size > 1) {
        sm_wait(all_are_done, r,
                &(sm_wait_reason){"the node to take bucket", (int64_t)r->buckets, (int64_t)r->buckets});
    }
    r->before += r->buckets;
    r->moves = 0;
    close_statistics(r, begin);
    pthread_mutex_unlock(&sm_mpi_mutex);
}

void sm_reduction_get_statistics(const sm_reduction *r, sm_reduction_statistics *statistics)
{
    *statistics = r->statistics;
}

const sm_reduction_bucket_times *sm_reduction_trace(const sm_reduction *r, size_t *count)
{
    *count = r->buckets;
    return r->times;
}
