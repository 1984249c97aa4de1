/** \file
 * The sum of one flat array of floats over all ranks, in buckets that travel while the array is still being filled.
 *
 *     values[i] = sum over ranks r of values_r[i]      (a sum, never a mean: losses carry the global counts)
 *
 * The array fills from its start (gradients in backward order). sm_reduction_progress() starts the buckets that are
 * complete and moves those on the way: MPI moves nothing by itself, so the call belongs between any two ops. While long
 * ones run, a thread that wakes every millisecond moves what has been started (options.thread).
 *
 * A bucket of n floats between P ranks takes two stages: everyone sends share q of its values to rank q, which adds the
 * P contributions in the order of ranks; then everyone sends its sum to all. 2 (P - 1) / P n floats leave each rank, as
 * with a ring, but a bucket depends on two polls of the other ranks, not on 2 (P - 1). The order of additions is fixed
 * by the layout of ranks on nodes alone: the bits are the same on every rank, whatever the bucket size, the timing and
 * whether overlapped or blocking.
 *
 * In hierarchical mode the ranks of a node see each other's values in shared memory; each adds its part of a bucket in
 * place, and only one rank a node sends and receives, sums of its node. Where each rank needs the sums of a share of the
 * values only, nothing spreads the others inside the node. */
#ifndef SIGMATIC_COMM_REDUCTION_H
#define SIGMATIC_COMM_REDUCTION_H

#include <sigmatic/comm/comm.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sm_reduction_mode {
    SM_REDUCTION_BLOCKING,     /**< nothing moves before sm_reduction_finish() */
    SM_REDUCTION_OVERLAPPED,   /**< every rank with every rank, while the array fills */
    SM_REDUCTION_HIERARCHICAL, /**< while the array fills: shared memory inside a node, messages between nodes */
    SM_REDUCTION_MODES
} sm_reduction_mode;

/** "blocking", ...: the choices of a configuration key, in the order of sm_reduction_mode. */
extern const char *const sm_reduction_mode_names[SM_REDUCTION_MODES];

typedef struct sm_reduction_options {
    sm_reduction_mode mode;
    size_t
        bucket_bytes; /**< of one bucket; 0 = 1 MiB, less of less than 32 MiB, more on many nodes so that no message is below 16 KiB */
    int compress; /**< messages carry bfloat16: every contribution from another rank (hierarchical: node) and the sum
                     are rounded once to nearest even, added in float: |error| <= 2^-8 (sum over ranks |values_r| +
                     |sum|) to first order, the same bits on every rank. Shared memory is never rounded */
    int ranks_per_node;   /**< 0: ranks share memory where they can; k: at most k consecutive ones do, as if nodes were
                            smaller (tests, sockets) */
    double poll_seconds;  /**< least time between two polls of sm_reduction_progress(); 0 = 200 us */
    const size_t *shares; /**< ranks of this node + 1 positions, ascending from 0 to the number of values, the same on
                             all of them: only values[shares[q] .. shares[q + 1]) need to be sums on rank q of the node, the others
                             are undefined. NULL: all. Of sm_reduction_new() only. Other modes than hierarchical, or smaller nodes than
                             the communicator's, give all sums */
    int threads;          /**< for additions; 0 = 1 */
    int thread;           /**< between several nodes: one that moves messages in between; without effect if MPI gives
                            no MPI_THREAD_SERIALIZED */
} sm_reduction_options;

/** What the last begin ... finish did on this rank. */
typedef struct sm_reduction_statistics {
    size_t buckets;
    size_t sent_bytes;      /**< in messages; shared memory does not count */
    double moving_seconds;  /**< with a bucket on the way: from the first start to the end of the last */
    double waited_seconds;  /**< inside sm_reduction_finish() */
    double hidden_seconds;  /**< moving - waited, at least 0 */
    double polling_seconds; /**< inside sm_reduction_progress() and in the thread: what the overlap cost the
                               computation if it had no core to spare */
} sm_reduction_statistics;

/** One bucket of the last begin ... finish; times as sm_seconds(). */
typedef struct sm_reduction_bucket_times {
    size_t first, count; /**< floats */
    double started_seconds, finished_seconds;
} sm_reduction_bucket_times;

typedef struct sm_reduction sm_reduction;

/** Memory for values that hierarchical reductions work on without a copy: in a segment that the ranks of a node share,
 * else (no room in /dev/shm, one rank a node) plain. Contents undefined. Collective. */
float *sm_reduction_alloc(sm_comm *comm, size_t count);
/** NULL is legal. Collective. */
void sm_reduction_free_values(float *values);

/** \param values  `count` floats (0 is legal; the same on every rank), owned by the caller, in place until
 * sm_reduction_free(). Hierarchical copies through a window of the same size if they are not from sm_reduction_alloc()
 * (all of one allocation, from its start), and goes on with messages (and a warning) where no memory can be shared.
 * Collective. \return freed with sm_reduction_free() */
sm_reduction *sm_reduction_new(sm_comm *comm, float *values, size_t count, const sm_reduction_options *options);

/** NULL is legal. Not between begin and finish. Collective. */
void sm_reduction_free(sm_reduction *reduction);

/** \return bytes that this rank holds or touches beside `values`: a window of its own, its share of the other windows of
 * the node, buckets on the way. */
size_t sm_reduction_extra_bytes(const sm_reduction *reduction);

/** Nothing of `values` is final. Returns at once; no rank waits for another. Every rank must go through the same
 * sequence of begin and finish. */
void sm_reduction_begin(sm_reduction *reduction);

/** `values[0 .. complete)` are final and from now on the reduction's, until finish: neither read nor written by the
 * caller. Cheap: at most a poll in poll_seconds; a smaller `complete` than before is only a poll. May be called any
 * number of times, from the main thread. */
void sm_reduction_progress(sm_reduction *reduction, size_t complete);

/** All values are final: waits until all are summed, on this rank and (shared memory) in use by no other. Collective.
 */
void sm_reduction_finish(sm_reduction *reduction);

void sm_reduction_get_statistics(const sm_reduction *reduction, sm_reduction_statistics *statistics);

/** \param [out] count  buckets
 * \return their times in the last begin ... finish; valid until the next begin */
const sm_reduction_bucket_times *sm_reduction_trace(const sm_reduction *reduction, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
