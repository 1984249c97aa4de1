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
void sm_reduction_measure(sm_comm *comm, size_t bytes, int rounds, double *seconds);

/** \return the best row that a configuration can choose (mode, bucket bytes, without compression), from
 * seconds[size][way] by the sum over `sizes` of time over the best time of that size */
int sm_reduction_recommend(const double *seconds, int sizes);

/** The way between rank 0 and the first rank of another node (on one node: the last rank). */
typedef struct sm_link {
    double latency_seconds; /**< of a message of 8 bytes, one way: the least of many */
    double bandwidth;       /**< bytes a second and direction, both directions at a time */
} sm_link;

/** The same on every rank; NaN on one rank alone. Collective. */
void sm_link_measure(sm_comm *comm, sm_link *link);

/** A training step that is slept through: forward, the ops of backward with a poll after each, update. Its small sums
 * over ranks (counts, losses, vote, waits) are real. */
typedef struct sm_replay {
    double before_seconds, after_seconds; /**< forward; update and all else */
    int ops;
    const double *seconds;  /**< of each op */
    const size_t *complete; /**< floats of the array that are final after each op; never falls */
} sm_replay;

typedef struct sm_replay_times {
    double blocking_seconds;      /**< the reduction with nothing to hide behind */
    double compute_seconds;       /**< the step without any message, as slept */
    double step_seconds;          /**< the step with the reduction behind it */
    double blocking_step_seconds; /**< the same in the mode `blocking` */
    double hidden;                /**< 1 - (step - compute) / blocking */
    double waited_seconds;        /**< for the reduction after backward, of the rank that came last */
    double polling_seconds;       /**< what moving messages took from the computation, of the rank with the most */
    size_t buckets, sent_bytes;   /**< bytes: of the rank that sends most */
} sm_replay_times;

/** \param count  floats of the array
 * \param [out] times  medians over rounds of the slowest rank, the same on every rank. Collective. */
void sm_reduction_replay(sm_comm *comm, size_t count, const sm_reduction_options *options, const sm_replay *replay,
                         int rounds, sm_replay_times *times);

/** The reduction alone, as blocking_seconds. Collective. */
void sm_reduction_measure_blocking(sm_comm *comm, size_t count, const sm_reduction_options *options, int rounds,
                                   double *seconds);

#ifdef __cplusplus
}
#endif
#endif
