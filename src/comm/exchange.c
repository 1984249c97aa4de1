/* A bucket is cut into a share a rank. Stage 1: each rank gets all contributions to its own share and adds them in the
 * order of ranks. Stage 2: each rank sends its sum to all. Every message of a stage goes at once, so that a bucket
 * depends on two polls of each rank only. */
#include "comm/exchange.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>

#include "comm/mpi_guard.h"
#include "comm/reduction_kernels.h"

#include <math.h>
#include <string.h>

/* On the way at a time: what a link of 10 Gbit/s carries in three polls 4 ms apart. */
#define IN_FLIGHT_BYTES ((size_t)16 << 20)

/* Of a short queue: a bucket may take so many times as long as the quickest one did, and so much more. */
static const double patience = 2, patience_seconds = 2e-3;

enum { FEWEST_ALLOWED = 3, FEWEST_PLACES = 4, MOST_PLACES = 64, SHARE_ALIGNMENT = 16, TAGS = 1 << 14 };

typedef enum stage { FREE, COLLECTING, CLEARING, SPREADING } stage;

/* Of one bucket on the way. The lists of requests hold one a rank; a rank's own stays null. */
typedef struct place {
    stage stage;
    size_t bucket, first, count;
    double started_seconds;
    MPI_Request *collect_receive, *collect_send, *spread_receive, *spread_send;
    float *contributions;                  /* (ranks, longest share) */
    uint16_t *sent, *received, *collected; /* compressed: whole bucket out, whole bucket back, (ranks, longest share) */
} place;

struct sm_exchange {
    MPI_Comm comm;
    int rank, size, compress, short_queue, place_count, on_the_way;
    double allowed, quickest_seconds; /* buckets on the way; seconds of a full one */
    float *values;
    const float **sources;
    size_t most_count, longest_share, sent_bytes;
    place *places;
};

/* ---- set up ---- */

static void make_place(const sm_exchange *e, place *p, size_t most_count)
{
    size_t ranks = (size_t)e->size, wide = ranks * e->longest_share;
    MPI_Request **lists[] = {&p->collect_receive, &p->collect_send, &p->spread_receive, &p->spread_send};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        *lists[i] = sm_alloc(ranks * sizeof **lists[i]);
        for (size_t r = 0; r < ranks; r++) {
            (*lists[i])[r] = MPI_REQUEST_NULL;
        }
    }
    p->contributions = sm_alloc(wide * sizeof *p->contributions);
    if (e->compress) {
        p->sent = sm_alloc(most_count * sizeof *p->sent);
        p->received = sm_alloc(most_count * sizeof *p->received);
        p->collected = sm_alloc(wide * sizeof *p->collected);
    }
}

sm_exchange *sm_exchange_new(MPI_Comm comm, float *values, size_t most_count, int compress, int short_queue)
{
    sm_exchange *e = sm_alloc_zeroed(sizeof *e);
    e->comm = comm;
    e->values = values;
    e->compress = compress;
    e->short_queue = short_queue;
    e->most_count = most_count;
    e->quickest_seconds = INFINITY;
    sm_check_mpi(MPI_Comm_rank(comm, &e->rank), "MPI_Comm_rank");
    sm_check_mpi(MPI_Comm_size(comm, &e->size), "MPI_Comm_size");
    e->sources = sm_alloc((size_t)e->size * sizeof *e->sources);
    size_t wanted = IN_FLIGHT_BYTES / (most_count * sizeof(float) + 1);
    e->place_count = wanted < FEWEST_PLACES ? FEWEST_PLACES : wanted > MOST_PLACES ? MOST_PLACES : (int)wanted;
    e->places = sm_alloc_zeroed((size_t)e->place_count * sizeof *e->places);
    e->allowed = short_queue ? FEWEST_PLACES : e->place_count;
    e->longest_share = most_count / (size_t)e->size + 2 * SHARE_ALIGNMENT;
    for (int i = 0; i < e->place_count; i++) {
        make_place(e, &e->places[i], most_count);
    }
    return e;
}

size_t sm_exchange_bytes(const sm_exchange *e)
{
    size_t wide = (size_t)e->size * e->longest_share;
    size_t narrow = e->compress ? (2 * e->most_count + wide) * sizeof *e->places->sent : 0;
    return (size_t)e->place_count * (wide * sizeof(float) + narrow);
}

void sm_exchange_free(sm_exchange *e)
{
    for (int i = 0; e && i < e->place_count; i++) {
        place *p = &e->places[i];
        void *memory[] = {p->collect_receive, p->collect_send, p->spread_receive, p->spread_send,
                          p->contributions,   p->sent,         p->received,       p->collected};
        for (size_t m = 0; m < sizeof memory / sizeof *memory; m++) {
            sm_free(memory[m]);
        }
    }
    if (e) {
        sm_free(e->places);
        sm_free(e->sources);
    }
    sm_free(e);
}

/* ---- shares and messages ---- */

/* Where the share of rank r begins in a bucket of `count` floats. */
static size_t share_begin(const sm_exchange *e, size_t count, int r)
{
    return r == e->size ? count : count * (size_t)r / (size_t)e->size / SHARE_ALIGNMENT * SHARE_ALIGNMENT;
}

static size_t share_count(const sm_exchange *e, const place *p, int r)
{
    return share_begin(e, p->count, r + 1) - share_begin(e, p->count, r);
}

static float *share_values(const sm_exchange *e, const place *p, int r)
{
    return e->values + p->first + share_begin(e, p->count, r);
}

static int tag_of(const place *p, int second_stage)
{
    return (int)(2 * (p->bucket % TAGS)) + second_stage;
}

/* Messages of no floats are not sent. */
static void send(sm_exchange *e, const place *p, const float *values, const uint16_t *compressed, size_t count, int to,
                 int second_stage, MPI_Request *request)
{
    if (count > 0) {
        sm_check_mpi(MPI_Isend(e->compress ? (const void *)compressed : values, (int)count,
                               e->compress ? MPI_UINT16_T : MPI_FLOAT, to, tag_of(p, second_stage), e->comm, request),
                     "MPI_Isend");
        e->sent_bytes += count * (e->compress ? sizeof *compressed : sizeof *values);
    }
}

static void receive(sm_exchange *e, const place *p, float *values, uint16_t *compressed, size_t count, int from,
                    int second_stage, MPI_Request *request)
{
    if (count > 0) {
        sm_check_mpi(MPI_Irecv(e->compress ? (void *)compressed : values, (int)count,
                               e->compress ? MPI_UINT16_T : MPI_FLOAT, from, tag_of(p, second_stage), e->comm, request),
                     "MPI_Irecv");
    }
}

static int all_finished(const sm_exchange *e, MPI_Request *requests)
{
    int finished = 0;
    sm_check_mpi(MPI_Testall(e->size, requests, &finished, MPI_STATUSES_IGNORE), "MPI_Testall");
    return finished;
}

/* ---- the stages ---- */

/* The other ranks, each rank beginning with its successor, so that not all send to the same one first. */
static int other(const sm_exchange *e, int i)
{
    return (e->rank + i) % e->size;
}

static void receive_sums(sm_exchange *e, place *p)
{
    for (int i = 1; i < e->size; i++) {
        int r = other(e, e->size - i);
        receive(e, p, share_values(e, p, r), e->compress ? p->received + share_begin(e, p->count, r) : NULL,
                share_count(e, p, r), r, 1, &p->spread_receive[r]);
    }
}

static void collect(sm_exchange *e, place *p)
{
    for (int i = 1; i < e->size; i++) {
        int r = other(e, e->size - i);
        size_t offset = (size_t)r * e->longest_share;
        receive(e, p, p->contributions + offset, e->compress ? p->collected + offset : NULL, share_count(e, p, e->rank),
                r, 0, &p->collect_receive[r]);
    }
    if (e->compress) {
        receive_sums(e, p);
        sm_bf16_from_floats(e->values + p->first, p->sent, p->count);
    }
    for (int i = 1; i < e->size; i++) {
        int r = other(e, i);
        send(e, p, share_values(e, p, r), e->compress ? p->sent + share_begin(e, p->count, r) : NULL,
             share_count(e, p, r), r, 0, &p->collect_send[r]);
    }
    p->stage = COLLECTING;
}

static void add_contributions(sm_exchange *e, place *p, int threads)
{
    size_t count = share_count(e, p, e->rank);
    float *own = share_values(e, p, e->rank);
    for (int r = 0; r < e->size; r++) {
        float *contribution = p->contributions + (size_t)r * e->longest_share;
        if (e->compress && r != e->rank) {
            sm_floats_from_bf16(p->collected + (size_t)r * e->longest_share, contribution, count);
        }
        e->sources[r] = r == e->rank ? own : contribution;
    }
    sm_add_in_order(e->sources, (size_t)e->size, &own, 1, 0, count, threads);
    if (e->compress) { /* this rank too goes on with the rounded sum */
        uint16_t *rounded = p->sent + share_begin(e, p->count, e->rank);
        sm_bf16_from_floats(own, rounded, count);
        sm_floats_from_bf16(rounded, own, count);
    }
}

static void spread(sm_exchange *e, place *p)
{
    size_t begin = share_begin(e, p->count, e->rank);
    for (int i = 1; i < e->size; i++) {
        int r = other(e, i);
        send(e, p, share_values(e, p, e->rank), e->compress ? p->sent + begin : NULL, share_count(e, p, e->rank), r, 1,
             &p->spread_send[r]);
    }
}

static void take_compressed_sums(sm_exchange *e, place *p)
{
    for (int i = 1; i < e->size; i++) {
        int r = other(e, i);
        sm_floats_from_bf16(p->received + share_begin(e, p->count, r), share_values(e, p, r), share_count(e, p, r));
    }
}

/* Goes through as many stages as it can. The sums of others may only be received where nothing is being sent from any
 * more. */
static void move(sm_exchange *e, place *p, int threads)
{
    if (p->stage == COLLECTING && all_finished(e, p->collect_receive)) {
        add_contributions(e, p, threads);
        spread(e, p);
        p->stage = CLEARING;
    }
    if (p->stage == CLEARING && all_finished(e, p->collect_send)) {
        if (!e->compress) {
            receive_sums(e, p);
        }
        p->stage = SPREADING;
    }
    if (p->stage == SPREADING && all_finished(e, p->spread_receive) && all_finished(e, p->spread_send)) {
        if (e->compress) {
            take_compressed_sums(e, p);
        }
        p->stage = FREE;
    }
}

/* One bucket more on the way while they come back quickly, fewer once they queue. The other ranks' delays are in it: who
 * waits for them gains nothing by sending more. */
static void adapt(sm_exchange *e, const place *p)
{
    double seconds = sm_seconds() - p->started_seconds;
    if (!e->short_queue || p->count < e->most_count) {
        return;
    }
    e->quickest_seconds = seconds < e->quickest_seconds ? seconds : e->quickest_seconds;
    e->allowed += seconds < patience * e->quickest_seconds + patience_seconds ? 0.5 : -0.5;
    e->allowed = e->allowed < FEWEST_ALLOWED ? FEWEST_ALLOWED : e->allowed;
    e->allowed = e->allowed > e->place_count ? e->place_count : e->allowed;
}

/* ---- outside ---- */

static place *free_place(const sm_exchange *e)
{
    for (int i = 0; i < e->place_count; i++) {
        if (e->places[i].stage == FREE) {
            return &e->places[i];
        }
    }
    return NULL;
}

int sm_exchange_has_room(const sm_exchange *e)
{
    return e->on_the_way < (int)e->allowed && free_place(e) != NULL;
}

void sm_exchange_start(sm_exchange *e, size_t bucket, size_t first, size_t count)
{
    place *p = free_place(e);
    p->bucket = bucket;
    p->first = first;
    p->count = count;
    p->started_seconds = sm_seconds();
    e->on_the_way++;
    collect(e, p);
}

void sm_exchange_poll(sm_exchange *e, int threads, char *finished)
{
    for (int i = 0; i < e->place_count; i++) {
        place *p = &e->places[i];
        if (p->stage != FREE) {
            move(e, p, threads);
            if (p->stage == FREE) {
                finished[p->bucket] = 1;
                e->on_the_way--;
                adapt(e, p);
            }
        }
    }
}

size_t sm_exchange_take_sent_bytes(sm_exchange *e)
{
    size_t bytes = e->sent_bytes;
    e->sent_bytes = 0;
    return bytes;
}
