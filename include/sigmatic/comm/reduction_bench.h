/** \file
 * How long sums over ranks take, by way and size, alone and behind a computation. */
#ifndef SIGMATIC_COMM_REDUCTION_BENCH_H
#define SIGMATIC_COMM_REDUCTION_BENCH_H

#include <sigmatic/comm/reduction.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A way to sum: a row of sm_reduction_ways. */
typedef struct sm_reduction_way {
    const char *name;
    int is_mpi;                   /**< MPI's own collective, for comparison: no mode of ours */
    int blocks;                   /**< MPI_Allreduce; else MPI_Iallreduce with a test loop */
    size_t piece_bytes;           /**< of one MPI call; 0 = all */
    sm_reduction_options options; /**< of ours */
} sm_reduction_way;

enum { SM_REDUCTION_WAYS = 12 };
extern const sm_reduction_way sm_reduction_ways[SM_REDUCTION_WAYS];

/** Sums `bytes` of floats in every way in turn, `rounds` times, with nothing to hide behind.
 *
 * \param [out] seconds  SM_REDUCTION_WAYS medians over rounds of the slowest rank's time; the same on every rank.
 * Collective. */
sm_status sm_reduction_measure(sm_comm *comm, size_t bytes, int rounds, double *seconds);

/** \return the best row that a configuration can choose (mode, bucket bytes, without compression), from
 * seconds[size][way] by the sum over `sizes` of time over the best time of that size */
int sm_reduction_recommend(const double *seconds, int sizes);

typedef struct sm_reduction_overlap {
    double alone_seconds;   /**< the reduction with nothing to hide behind */
    double compute_seconds; /**< the computation without a reduction, as measured */
    double step_seconds;    /**< both, overlapped */
    double hidden;          /**< 1 - (step - compute) / alone */
} sm_reduction_overlap;

/** A computation of `ops` ops with a poll after each, the array becoming complete evenly, and the reduction behind it.
 *
 * \param compute_seconds  of all ops; busy: in a loop, else asleep (more ranks than cores)
 * \param [out] overlap    medians, the same on every rank. Collective. */
sm_status sm_reduction_measure_overlap(sm_comm *comm, size_t bytes, const sm_reduction_options *options,
                                       double compute_seconds, int ops, int busy, int rounds,
                                       sm_reduction_overlap *overlap);

#ifdef __cplusplus
}
#endif
#endif
