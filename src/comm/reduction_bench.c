#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/reduction_bench.h>

#include "comm/comm_private.h"

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

static void sum_by_mpi(const sm_comm *comm, const sm_reduction_way *way, const float *from, float *to, size_t count)
{
    size_t piece = way->piece_bytes > 0 ? way->piece_bytes / sizeof *to : count;
    for (size_t begin = 0; begin < count; begin += piece) {
        int now = (int)(count - begin < piece ? count - begin : piece);
        if (way->blocks) {
            sm_check_mpi(MPI_Allreduce(MPI_IN_PLACE, to + begin, now, MPI_FLOAT, MPI_SUM, comm->handle),
                         "MPI_Allreduce");
        } else {
            MPI_Request request;
            sm_check_mpi(MPI_Iallreduce(from + begin, to + begin, now, MPI_FLOAT, MPI_SUM, comm->handle, &request),
                         "MPI_Iallreduce");
            sm_wait_for_request(&request, "MPI_Iallreduce");
        }
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

/* The slowest rank's seconds since `begin`. */
static double slowest_since(sm_comm *comm, double begin)
{
    double seconds = sm_seconds() - begin;
    sm_comm_max_double(comm, &seconds, 1);
    return seconds;
}

sm_status sm_reduction_measure(sm_comm *comm, size_t bytes, int rounds, double *seconds)
{
    sm_status status = SM_OK;
    size_t count = bytes / sizeof(float);
    float *values = sm_reduction_alloc(comm, count), *second = sm_alloc(bytes + 1);
    double *times = sm_alloc((size_t)rounds * SM_REDUCTION_WAYS * sizeof *times);
    sm_reduction *reductions[SM_REDUCTION_WAYS] = {NULL};
    memset(values, 0, bytes); /* sums stay finite */
    memset(second, 0, bytes);
    for (int w = 0; w < SM_REDUCTION_WAYS; w++) {
        if (!sm_reduction_ways[w].is_mpi) {
            SM_TRY(sm_reduction_new(comm, values, count, &sm_reduction_ways[w].options, &reductions[w]));
        }
    }
    for (int round = -1; round < rounds; round++) { /* the first one touches all memory */
        for (int w = 0; w < SM_REDUCTION_WAYS; w++) {
            sm_comm_barrier(comm);
            double begin = sm_seconds();
            if (reductions[w]) {
                sum_by_reduction(reductions[w], count);
            } else {
                sum_by_mpi(comm, &sm_reduction_ways[w], second, values, count);
            }
            double elapsed = slowest_since(comm, begin);
            if (round >= 0) {
                times[w * rounds + round] = elapsed;
            }
        }
    }
    for (int w = 0; w < SM_REDUCTION_WAYS; w++) {
        seconds[w] = median(times + w * rounds, rounds);
    }
done:
    for (int w = 0; w < SM_REDUCTION_WAYS; w++) {
        sm_reduction_free(reductions[w]);
    }
    sm_reduction_free_values(values);
    sm_free(second);
    sm_free(times);
    return status;
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

/* ---- behind a computation ---- */

static void compute(double seconds, int busy)
{
    struct timespec duration = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    double begin = sm_seconds();
    if (!busy) {
        nanosleep(&duration, NULL);
    }
    while (busy && sm_seconds() - begin < seconds) {
    }
}

/* A step: ops, then the rest of the reduction; either may be left out. */
static double run_step(sm_comm *comm, sm_reduction *reduction, size_t count, double compute_seconds, int ops, int busy)
{
    sm_comm_barrier(comm);
    double begin = sm_seconds();
    if (reduction) {
        sm_reduction_begin(reduction);
    }
    for (int op = 0; op < ops; op++) {
        compute(compute_seconds / ops, busy);
        if (reduction) {
            sm_reduction_progress(reduction, (size_t)((double)count * (op + 1) / ops));
        }
    }
    if (reduction) {
        sm_reduction_finish(reduction);
    }
    return slowest_since(comm, begin);
}

sm_status sm_reduction_measure_overlap(sm_comm *comm, size_t bytes, const sm_reduction_options *options,
                                       double compute_seconds, int ops, int busy, int rounds,
                                       sm_reduction_overlap *overlap)
{
    sm_status status = SM_OK;
    size_t count = bytes / sizeof(float);
    float *values = sm_reduction_alloc(comm, count);
    double *times = sm_alloc(3 * (size_t)rounds * sizeof *times);
    sm_reduction *reduction = NULL;
    memset(values, 0, bytes);
    SM_TRY(sm_reduction_new(comm, values, count, options, &reduction));
    run_step(comm, reduction, count, 0, 0, busy);
    for (int round = 0; round < rounds; round++) {
        times[round] = run_step(comm, reduction, count, 0, 0, busy);
        times[rounds + round] = run_step(comm, NULL, count, compute_seconds, ops, busy);
        times[2 * rounds + round] = run_step(comm, reduction, count, compute_seconds, ops, busy);
    }
    overlap->alone_seconds = median(times, rounds);
    overlap->compute_seconds = median(times + rounds, rounds);
    overlap->step_seconds = median(times + 2 * rounds, rounds);
    overlap->hidden = 1 - (overlap->step_seconds - overlap->compute_seconds) / overlap->alone_seconds;
done:
    sm_reduction_free(reduction);
    sm_reduction_free_values(values);
    sm_free(times);
    return status;
}
