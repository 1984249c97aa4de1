/** \file
 * One training step over all ranks, and the state that it advances. The only place that joins comm, graph, weighting and optim.
 *
 * The step (global batch B, ranks r): counts of valid pixels summed over ranks; forward; loss sums summed over ranks, so that every rank knows
 * the same losses, weights and slopes d total/d s; backward; gradients summed over ranks (never divided: losses carry the global counts); update.
 * A step with a non-finite loss or gradient is skipped by all ranks and counted; running statistics are put back.
 *
 * Parameters, optimiser state and moving average stand once a node: after the vote each rank of the node updates a
 * contiguous share of the flat arrays, then waits for the others of the node. The bits are those of an update of the
 * whole by one. */
#ifndef SIGMATIC_TRAIN_TRAINER_H
#define SIGMATIC_TRAIN_TRAINER_H

#include <sigmatic/comm/reduction.h>
#include <sigmatic/comm/tree_sum.h>
#include <sigmatic/data/loader.h>
#include <sigmatic/optim/optimizer.h>
#include <sigmatic/optim/schedule.h>
#include <sigmatic/train/run_log.h>
#include <sigmatic/train/session.h>
#include <sigmatic/train/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_trainer {
    sm_session *session; /**< not owned */
    sm_engine *engine;
    sm_optimizer *optimizer;
    sm_schedule *schedule;
    /* of all ranks of a node, of which each updates a share, as with the parameters */
    sm_node_memory *shared;
    float *state[SM_OPTIMIZER_STATES_MAX]; /**< flat, in the layout of the parameters */
    float *average;                        /**< exponential moving average of the parameters; NULL = none */
    double *squares;                       /**< of the gradients, SM_FLAT_BLOCKS */
    int first_block, last_block;           /**< this rank's share: [first, last) of the blocks of a flat array */
    size_t share_begin, share_end;         /**< the same in floats */
    sm_segment *segments;                  /**< one a slice, in the order of the slices: what of it lies in the share */
    int64_t *segment_steps;                /**< updates of each slice */
    float *gradients; /**< in memory that the ranks of a node see if they can; after the reduction sums in the share */
    sm_reduction *reduction; /**< of the gradients, while backward goes on; NULL: reproducible */
    sm_tree_sum *tree;       /**< reproducible: what finishes every sum over the batch; else NULL */
    int64_t *blocks;         /**< reproducible: where each rank's samples of the batch begin; and the end */
    float **node_gradients;  /**< reproducible: flat gradients of this rank's nodes, log-variances left out */
    sm_trace *trace;         /**< not owned; NULL = no timeline */
    double *waits;           /**< 2 a rank: waiting for data, for other ranks; and room to gather them */
    float *buffers_before;   /**< running statistics before the step, to put back */
    /* position of the run, saved with a checkpoint */
    int64_t step;     /**< attempted steps */
    int64_t position; /**< samples seen */
    int64_t skipped;  /**< steps with non-finite numbers */
    int64_t skipped_in_a_row;
    /* of one step, one entry a task */
    int64_t *valid;
    double *sums; /**< 2 a task: loss, slope; then the stop flag. Reproducible: a row of 2 a task for each sample */
    size_t sums_count;
    double *loss, *loss_slope, *log_variance;
    int *active;
    sm_weights weights;
    sm_step_record record; /**< of the last step */
    int stop_requested;    /**< some rank was asked to stop */
} sm_trainer;

/** \param steps       of the whole run, for the schedule
 * \param out_height  size of the images that the loader delivers */
sm_status sm_trainer_new(sm_session *session, int out_height, int out_width, int capacity, int64_t steps,
                         sm_trainer **out);
void sm_trainer_free(sm_trainer *trainer);

/** Gives the engine its memory. Call once, after all engines of the session are made. */
void sm_trainer_bind(sm_trainer *trainer);

/** Begins the moving average, if there is one, anew with the parameters. Collective. */
void sm_trainer_start_average(sm_trainer *trainer);

/** One step with the loader's next batch (all its micro-batches). Collective.
 *
 * \param stop     this rank was asked to stop: trainer->stop_requested becomes 1 on all ranks
 * \param [out] done  1 at the end of the data: no step was made
 * \return the same on every rank: what the loader of a rank met, or SM_ERR_NUMERIC after too many skipped steps in a row */
sm_status sm_trainer_step(sm_trainer *trainer, sm_loader *loader, int stop, int *done);

/** Gives the next micro-batch, NULL at the end, as sm_loader_next(). */
typedef sm_status (*sm_batch_next)(void *user, const sm_batch **batch);

/** The same with batches from anywhere. */
sm_status sm_trainer_step_from(sm_trainer *trainer, sm_batch_next next, void *user, int stop, int *done);

#ifdef __cplusplus
}
#endif
#endif
