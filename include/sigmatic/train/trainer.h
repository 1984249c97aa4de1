/** \file
 * One training step over all ranks, and the state that it advances. The only place that joins comm, graph, weighting and optim.
 *
 * The step (global batch B, ranks r): counts of valid pixels summed over ranks; forward; loss sums summed over ranks, so that every rank knows
 * the same losses, weights and slopes d total/d s; backward; gradients summed over ranks (never divided: losses carry the global counts); update.
 * A step with a non-finite loss or gradient is skipped by all ranks and counted; running statistics are put back.
 * Learning rate: that of the schedule times skip_backoff^backoffs, where a streak of skipped steps adds 1 and 1000 applied steps take 1 off. */
#ifndef SIGMATIC_TRAIN_TRAINER_H
#define SIGMATIC_TRAIN_TRAINER_H

#include <sigmatic/comm/reduction.h>
#include <sigmatic/data/loader.h>
#include <sigmatic/optim/schedule.h>
#include <sigmatic/train/session.h>
#include <sigmatic/train/step_record.h>
#include <sigmatic/train/trace.h>
#include <sigmatic/train/update.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where a run stands. */
typedef struct sm_trainer_position {
    int64_t step;    /**< attempted steps */
    int64_t epoch;   /**< of the last step */
    int64_t samples; /**< seen */
    int64_t skipped; /**< steps with non-finite numbers */
    int64_t skipped_in_a_row;
    int64_t backoffs;      /**< optimizer.skip_backoff counts so often in the learning rate */
    int64_t since_backoff; /**< applied steps since it last changed */
} sm_trainer_position;

enum { SM_BACKOFF_STEPS = 1000 /* applied steps after which one back-off is taken back */ };

typedef struct sm_trainer {
    sm_session *session; /**< not owned */
    sm_engine *engine;   /**< the network with backward */
    sm_update *update;
    sm_trace *trace; /**< not owned; NULL = no timeline */
    /* position of the run, saved with a checkpoint */
    int64_t step;     /**< attempted steps */
    int64_t epoch;    /**< of the last step */
    int64_t position; /**< samples seen */
    int64_t skipped;  /**< steps with non-finite numbers */
    int64_t skipped_in_a_row;
    int64_t backoffs, since_backoff; /**< as in the position */
    /** After the last step that was not skipped, or where the run began: what it has learnt is that of there. */
    sm_trainer_position applied;
    /* of the last step */
    sm_step_record record;
    int stop_requested; /**< some rank was asked to stop */
    /** Of a skipped step: the tensor in which numbers that are not finite showed first; NULL: in none that can be told. */
    const char *broken;
    /* the trainer's own */
    sm_schedule *schedule;
    struct sm_batch_sums *sums;
    struct sm_step_losses *losses;
    struct sm_task_gradients *tasks;         /**< NULL: the weighting needs none */
    struct sm_gradient_diagnosis *diagnosis; /**< NULL: nothing is measured */
    sm_weights weights;
    double *loss_after;    /**< losses of the batch by the parameters that the step left; NULL: nobody asks */
    float *buffers_before; /**< running statistics before the step, to put back */
} sm_trainer;

/** \param out_height, out_width  of the images that the loader delivers
 * \param capacity  most samples of a micro-batch on this rank
 * \param steps     of the whole run, for the schedule
 * \param [out] out  freed with sm_trainer_free(); uses the session, which must outlive it
 * \return SM_ERR_CONFIG naming the key, the same on every rank. Collective */
sm_status sm_trainer_new(sm_session *session, int out_height, int out_width, int capacity, int64_t steps,
                         sm_trainer **out);
/** NULL is legal. Collective. */
void sm_trainer_free(sm_trainer *trainer);

/** Not collective, but on all ranks alike. */
sm_trainer_position sm_trainer_where(const sm_trainer *trainer);
void sm_trainer_go_to(sm_trainer *trainer, const sm_trainer_position *position);

/** Lets the schedule span another number of steps of the whole run, at least 1. Not collective, but on all ranks alike. */
void sm_trainer_set_steps(sm_trainer *trainer, int64_t steps);

/** Gives the engine its memory, the session's. Once, after all engines of the session are made. Not collective. */
void sm_trainer_bind(sm_trainer *trainer);

/** \return what moves gradients while backward goes on, owned by the trainer; NULL: they are summed after it. */
const sm_reduction *sm_trainer_reduction(const sm_trainer *trainer);

/** One step with the loader's next batch (all its micro-batches).
 *
 * \param stop     this rank was asked to stop: trainer->stop_requested becomes 1 on all ranks
 * \param [out] done  1 at the end of the data: no step was made
 * \return the same on every rank: what the loader of a rank met, or SM_ERR_NUMERIC after too many skipped steps in a
 * row. Collective */
sm_status sm_trainer_step(sm_trainer *trainer, sm_loader *loader, int stop, int *done);

/** Gives the next micro-batch, NULL at the end, as sm_loader_next(): valid until the next call. */
typedef sm_status (*sm_batch_next)(void *user, const sm_batch **batch);

/** The same with batches from anywhere. Collective. */
sm_status sm_trainer_step_from(sm_trainer *trainer, sm_batch_next next, void *user, int stop, int *done);

#ifdef __cplusplus
}
#endif
#endif
