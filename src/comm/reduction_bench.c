#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/reduction_bench.h>

#include "comm/comm_private.h"
#include "comm/wait.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* clang-format off */
const sm_reduction_way sm_reduction_ways[SM_REDUCTION_WAYS] = {
    {"MPI_Allreduce, one call",         .is_mpi = 1, .blocks = 1},
    {"MPI_Allreduce, 4 MiB",            .is_mpi = 1, .blocks = 1, .piece_bytes = 4 * MIB},
    {"MPI_Iallreduce, 4 MiB",           .is_mpi = 1, .piece_bytes = 4 * MIB},
    {"overlapped, 256 KiB",             .options = {.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = 256 * KIB}},
    {"overlapped, 1 MiB",               .options = {.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = 1 * MIB}},
    {"overlapped, 4 MiB",               .options = {.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = 4 * MIB}},
    {"overlapped, 16 MiB",              .options = {.mode = SM_REDUCTION_OVERLAPPED, .bucket_bytes = 16 * MIB}},
    {"hierarchical, 256 KiB",           .options = {.mode = SM_REDUCTION_HIERARCHICAL, .bucket_bytes = 256 * KIB}},
    {"hierarchical, 1 MiB",             .options = {.mode = SM_REDUCTION_HIERARCHICAL, .bucket_bytes = 1 * MIB}},
    {"hierarchical, 4 MiB",             .options = {.mode = SM_REDUCTION_HIERARCHICAL, .bucket_bytes = 4 * MIB}},
    {"hierarchical, 16 MiB",            .options = {.mode = SM_REDUCTION_HIERARCHICAL, .bucket_bytes = 16 * MIB}},
    {"hierarchical, 1 MiB, bfloat16",   .options = {.mode = SM_REDUCTION_HIERARCHICAL, .bucket_bytes = 1 * MIB, .compress = 1}},
};
/* clang-format on */

/* ---- one sum ---- */

/* MPI is called without its mutex here and in the measurement of a link: no reduction is under way meanwhile, so no
 * helper is at work. */

static int floats_of_piece(const sm_reduction_way *way, size_t left)
{
    size_t piece = way->piece_bytes / sizeof(float);
    return (int)(piece > 0 && piece < left ? piece : left);
}

/* Blocks, so MPI's own barrier makes all begin at once. \return seconds */
static double time_allreduce(const sm_comm *comm, const sm_reduction_way *way, float *values, size_t count)
{
    assert(sm_mpi_helper_is_idle());
    sm_blocking_begin("MPI_Allreduce");
    sm_check_mpi(MPI_Barrier(comm->handle), "MPI_Barrier");
    double begin = sm_seconds();
    for (size_t done = 0; done < count; done += (size_t)floats_of_piece(way, count - done)) {
        sm_check_mpi(MPI_Allreduce(MPI_IN_PLACE, values + done, floats_of_piece(way, count - done), MPI_FLOAT, MPI_SUM,
                                   comm->handle),
                     "MPI_Allreduce");
    }
    double seconds = sm_seconds() - begin;
    sm_blocking_end();
    return seconds;
}

static void sum_by_iallreduce(const sm_comm *comm, const sm_reduction_way *way, const float *from, float *to,
                              size_t count)
{
    assert(sm_mpi_helper_is_idle());
    for (size_t done = 0; done < count; done += (size_t)floats_of_piece(way, count - done)) {
        MPI_Request request;
        sm_check_mpi(MPI_Iallreduce(from + done, to + done, floats_of_piece(way, count - done), MPI_FLOAT, MPI_SUM,
                                    comm->handle, &request),
                     "MPI_Iallreduce");
        sm_wait_for_request(&request, "MPI_Iallreduce");
    }
}

static void sum_by_reduction(sm_reduction *reduction, size_t count)
{
    sm_reduction_begin(reduction);
    sm_reduction_progress(reduction, count);
    sm_reduction_finish(reduction);
}

/* ---- all ways ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *seconds, int count)
{
    qsort(seconds, (size_t)count, sizeof *seconds, compare);
    return count % 2 ? seconds[count / 2] : (seconds[count / 2 - 1] + seconds[count / 2]) / 2;
}

static double slowest(sm_comm *comm, double seconds)
{
    sm_comm_max_double(comm, &seconds, 1);
    return seconds;
}

static double slowest_since(sm_comm *comm, double begin)
{
    return slowest(comm, sm_seconds() - begin);
}

/* One sum, by the reduction or (NULL) by MPI. \return seconds of the slowest rank */
static double time_way(sm_comm *comm, const sm_reduction_way *way, sm_reduction *reduction, const float *from,
                       float *to, size_t count)
{
    sm_comm_barrier(comm);
    if (way->blocks) {
        return slowest(comm, time_allreduce(comm, way, to, count));
    }
    double begin = sm_seconds();
    if (reduction) {
        sum_by_reduction(reduction, count);
    } else {
        sum_by_iallreduce(comm, way, from, to, count);
    }
    return slowest_since(comm, begin);
}

void sm_reduction_measure(sm_comm *comm, size_t bytes, int rounds, double *seconds)
{
    size_t count = bytes / sizeof(float);
    float *values = sm_reduction_alloc(comm, count), *second = sm_alloc(bytes + 1);
    double *times = sm_alloc((size_t)rounds * SM_REDUCTION_WAYS * sizeof *times);
    sm_reduction *reductions[SM_REDUCTION_WAYS] = {NULL};
    memset(values, 0, bytes); /* sums stay finite */
    memset(second, 0, bytes);
    for (int w = 0; w < SM_REDUCTION_WAYS; w++) {
        if (!sm_reduction_ways[w].is_mpi) {
            reductions[w] = sm_reduction_new(comm, values, count, &sm_reduction_ways[w].options);
        }
    }
    for (int round = -1; round < rounds; round++) { /* the first one touches all memory */
        for (int w = 0; w < SM_REDUCTION_WAYS; w++) {
            double elapsed = time_way(comm, &sm_reduction_ways[w], reductions[w], second, values, count);
            if (round >= 0) {
                times[w * rounds + round] = elapsed;
            }
        }
    }
    for (int w = 0; w < SM_REDUCTION_WAYS; w++) {
        seconds[w] = median(times + w * rounds, rounds);
    }
    for (int w = 0; w < SM_REDUCTION_WAYS; w++) {
        sm_reduction_free(reductions[w]);
    }
    sm_reduction_free_values(values);
    sm_free(second);
    sm_free(times);
}

int sm_reduction_recommend(const double *seconds, int sizes)
{
    int best = -1;
    double best_ratio = 0;
    for (int w = 0; w < SM_REDUCTION_WAYS; w++) {
        const sm_reduction_way *way = &sm_reduction_ways[w];
        double ratio = 0;
        for (int s = 0; s < sizes; s++) {
            const double *row = seconds + s * SM_REDUCTION_WAYS;
            double least = row[0];
            for (int i = 1; i < SM_REDUCTION_WAYS; i++) {
                least = row[i] < least ? row[i] : least;
            }
            ratio += row[w] / least;
        }
        if (!way->is_mpi && !way->options.compress && (best < 0 || ratio < best_ratio)) {
            best = w;
            best_ratio = ratio;
        }
    }
    return best;
}

/* ---- a link ---- */

enum { PIECE_BYTES = 1 << 18, PIECES = 32 };

static void send_piece(const sm_comm *comm, int partner, const char *memory, int bytes, MPI_Request *request)
{
    sm_check_mpi(MPI_Isend(memory, bytes, MPI_BYTE, partner, 0, comm->handle, request), "MPI_Isend");
}

static void receive_piece(const sm_comm *comm, int partner, char *memory, int bytes, MPI_Request *request)
{
    sm_check_mpi(MPI_Irecv(memory, bytes, MPI_BYTE, partner, 0, comm->handle, request), "MPI_Irecv");
}

/* A message there and one back. */
static void go_round(const sm_comm *comm, int partner, char *memory, int bytes)
{
    MPI_Request request;
    for (int half = 0; half < 2; half++) {
        if ((half == 0) == (comm->rank == 0)) {
            send_piece(comm, partner, memory, bytes, &request);
        } else {
            receive_piece(comm, partner, memory, bytes, &request);
        }
        sm_wait_for_request(&request, "a message of the benchmark");
    }
}

/* Both ways at once, so many that the link is never idle. */
static void fill_link(const sm_comm *comm, int partner, char *memory)
{
    MPI_Request requests[2 * PIECES];
    for (int i = 0; i < PIECES; i++) {
        receive_piece(comm, partner, memory + (size_t)i * PIECE_BYTES, PIECE_BYTES, &requests[i]);
    }
    for (int i = 0; i < PIECES; i++) {
        send_piece(comm, partner, memory + (size_t)(PIECES + i) * PIECE_BYTES, PIECE_BYTES, &requests[PIECES + i]);
    }
    for (int i = 0; i < 2 * PIECES; i++) {
        sm_wait_for_request(&requests[i], "a message of the benchmark");
    }
}

static sm_link measure_with(const sm_comm *comm, int partner)
{
    enum { ROUND_TRIPS = 100, MOST_FILLS = 64 };
    const double least_seconds = 1; /* shaped links let a first burst pass */
    char *memory = sm_alloc_zeroed((size_t)2 * PIECES * PIECE_BYTES);
    sm_link link = {.latency_seconds = INFINITY};
    int goes_on = 1, fills = 0;
    assert(sm_mpi_helper_is_idle());
    for (int i = 0; i < ROUND_TRIPS; i++) {
        double begin = sm_seconds();
        go_round(comm, partner, memory, 8);
        double half = (sm_seconds() - begin) / 2;
        link.latency_seconds = half < link.latency_seconds ? half : link.latency_seconds;
    }
    fill_link(comm, partner, memory);
    double begin = sm_seconds(), seconds = 0;
    while (goes_on) {
        fill_link(comm, partner, memory);
        seconds = sm_seconds() - begin;
        memory[0] = seconds < least_seconds && ++fills < MOST_FILLS; /* rank 0 decides */
        go_round(comm, partner, memory, 1);
        goes_on = memory[0] != 0;
    }
    link.bandwidth = (fills + 1) * (double)PIECES * PIECE_BYTES / seconds;
    sm_free(memory);
    return link;
}

/* The rank that rank 0 measures with. */
static int find_partner(sm_comm *comm)
{
    int64_t partner = comm->node.count > 1 && comm->node.index > 0 ? -comm->rank : -(comm->size - 1);
    sm_comm_max_int64(comm, &partner, 1);
    return (int)-partner;
}

void sm_link_measure(sm_comm *comm, sm_link *link)
{
    *link = (sm_link){NAN, NAN};
    if (comm->size > 1) {
        int partner = find_partner(comm);
        if (comm->rank == 0 || comm->rank == partner) {
            *link = measure_with(comm, comm->rank == 0 ? partner : 0);
        }
        sm_comm_barrier_asleep(comm);
        sm_comm_broadcast(comm, link, sizeof *link, 0);
    }
}

/* ---- behind a computation ---- */

static void sleep_for(double seconds)
{
    struct timespec duration = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    if (seconds > 0) {
        nanosleep(&duration, NULL);
    }
}

/* One step. Without a reduction there are no messages at all. */
static double replay_step(sm_comm *comm, sm_reduction *reduction, const sm_replay *replay)
{
    double sums[4] = {0}, all[4], *gathered = sm_alloc(2 * (size_t)comm->size * sizeof *gathered);
    sm_comm_barrier(comm);
    double begin = sm_seconds();
    if (reduction) {
        sm_comm_sum_double(comm, sums, 4);
    }
    sleep_for(replay->before_seconds);
    if (reduction) {
        sm_comm_sum_double(comm, sums, 4);
        sm_reduction_begin(reduction);
    }
    for (int op = 0; op < replay->ops; op++) {
        sleep_for(replay->seconds[op]);
        if (reduction) {
            sm_reduction_progress(reduction, replay->complete[op]);
        }
    }
    if (reduction) {
        sm_reduction_finish(reduction);
        sm_comm_sum_double(comm, sums, 1);
    }
    sleep_for(replay->after_seconds);
    if (reduction) {
        memcpy(all, sums, sizeof all);
        sm_comm_gather_double(comm, all, 2, gathered);
    }
    sm_free(gathered);
    return slowest_since(comm, begin);
}

static double blocking_round(sm_comm *comm, sm_reduction *reduction, size_t count)
{
    sm_comm_barrier(comm);
    double begin = sm_seconds();
    sum_by_reduction(reduction, count);
    return slowest_since(comm, begin);
}

void sm_reduction_measure_blocking(sm_comm *comm, size_t count, const sm_reduction_options *options, int rounds,
                                   double *seconds)
{
    float *values = sm_reduction_alloc(comm, count);
    double *times = sm_alloc((size_t)rounds * sizeof *times);
    memset(values, 0, count * sizeof *values);
    sm_reduction *reduction = sm_reduction_new(comm, values, count, options);
    blocking_round(comm, reduction, count);
    for (int round = 0; round < rounds; round++) {
        times[round] = blocking_round(comm, reduction, count);
    }
    *seconds = median(times, rounds);
    sm_reduction_free(reduction);
    sm_reduction_free_values(values);
    sm_free(times);
}

/* What is measured in each round, and how it is combined over ranks. */
enum { BLOCKING, COMPUTE, STEP, BLOCKING_STEP, WAITED, POLLING, SENT, QUANTITIES };

static void replay_round(sm_comm *comm, sm_reduction *const reductions[2], size_t count, const sm_replay *replay,
                         double *quantities)
{
    sm_reduction_statistics statistics;
    quantities[BLOCKING] = blocking_round(comm, reductions[0], count);
    quantities[COMPUTE] = replay_step(comm, NULL, replay);
    quantities[STEP] = replay_step(comm, reductions[0], replay);
    sm_reduction_get_statistics(reductions[0], &statistics);
    quantities[BLOCKING_STEP] = replay_step(comm, reductions[1], replay);
    quantities[WAITED] = -statistics.waited_seconds; /* the least of all ranks */
    quantities[POLLING] = statistics.polling_seconds;
    quantities[SENT] = (double)statistics.sent_bytes;
    sm_comm_max_double(comm, quantities, QUANTITIES);
    quantities[WAITED] *= -1;
}

void sm_reduction_replay(sm_comm *comm, size_t count, const sm_reduction_options *options, const sm_replay *replay,
                         int rounds, sm_replay_times *times)
{
    float *values = sm_reduction_alloc(comm, count);
    double *all = sm_alloc(QUANTITIES * (size_t)rounds * sizeof *all), middle[QUANTITIES];
    sm_reduction *reductions[2] = {NULL, NULL}; /* as wished; blocking */
    sm_reduction_options blocking = *options;
    sm_reduction_statistics statistics;
    blocking.mode = SM_REDUCTION_BLOCKING;
    memset(values, 0, count * sizeof *values);
    reductions[0] = sm_reduction_new(comm, values, count, options);
    reductions[1] = sm_reduction_new(comm, values, count, &blocking);
    blocking_round(comm, reductions[0], count);
    for (int round = 0; round < rounds; round++) {
        double quantities[QUANTITIES];
        replay_round(comm, reductions, count, replay, quantities);
        for (int q = 0; q < QUANTITIES; q++) {
            all[q * rounds + round] = quantities[q];
        }
    }
    for (int q = 0; q < QUANTITIES; q++) {
        middle[q] = median(all + q * rounds, rounds);
    }
    sm_reduction_get_statistics(reductions[0], &statistics);
    *times = (sm_replay_times){.blocking_seconds = middle[BLOCKING],
                               .compute_seconds = middle[COMPUTE],
                               .step_seconds = middle[STEP],
                               .blocking_step_seconds = middle[BLOCKING_STEP],
                               .hidden = 1 - (middle[STEP] - middle[COMPUTE]) / middle[BLOCKING],
                               .waited_seconds = middle[WAITED],
                               .polling_seconds = middle[POLLING],
                               .buckets = statistics.buckets,
                               .sent_bytes = (size_t)middle[SENT]};
    sm_reduction_free(reductions[0]);
    sm_reduction_free(reductions[1]);
    sm_reduction_free_values(values);
    sm_free(all);
}
