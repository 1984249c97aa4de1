/** \file
 * The losses of one training step: counts of valid pixels, losses and their slopes over all ranks, and the gradients
 * that backward starts from. */
#ifndef SIGMATIC_TRAIN_STEP_LOSSES_H
#define SIGMATIC_TRAIN_STEP_LOSSES_H

#include <sigmatic/train/session.h>

#include "train/batch_sums.h"
#include "train/task_steps.h"

/** Arrays have one entry a task. All but `rows` are the same on every rank. */
typedef struct sm_step_losses {
    const sm_session *session;         /**< not owned */
    const sm_batch_sums_kind *summing; /**< decides how many samples a row holds */
    int64_t *valid;       /**< valid pixels of the whole step on all ranks; then votes of this rank's loader */
    sm_task_steps *steps; /**< in which it trains */
    int *active;          /**< it has valid pixels, in a step in which it trains */
    double *log_variance; /**< s at the beginning of the step; 0 where none is learned */
    double *loss,
        *slope;   /**< mean over valid pixels; d loss / d s at fixed logits, of a task with log-variances of each
                               pixel their mean. 0 of an inactive task */
    double *rows; /**< this rank's sums: 2 a task, loss and slope; then room for the sums' own use */
    size_t row_doubles;
} sm_step_losses;

/** \param capacity  most samples of this rank in a run of the plan */
sm_step_losses *sm_step_losses_new(const sm_session *session, const sm_batch_sums_kind *summing, int capacity);
/** NULL is legal. */
void sm_step_losses_free(sm_step_losses *losses);

/** Sums the valid pixels of the whole step; a rank whose loader failed says so in the same message.
 * \param step    its number, from 1
 * \param batch   its first; NULL at the end of the data
 * \param loaded  what this rank's loader returned
 * \return the same on every rank: the first failure of a loader. Collective */
sm_status sm_step_losses_count(sm_step_losses *losses, int64_t step, const sm_batch *batch, sm_status loaded);

/** Begins a step: no loss yet; the log-variances as they stand. */
void sm_step_losses_begin(sm_step_losses *losses);

/** Adds this rank's samples of a micro-batch, between forward and backward. */
void sm_step_losses_add(sm_step_losses *losses, const sm_engine *engine, const sm_batch *batch);

/** Makes the losses those of all ranks. \param [in,out] stop  1 becomes every rank's. Collective */
void sm_step_losses_share(sm_step_losses *losses, sm_batch_sums *sums, int *stop);

/** Finds the losses of a step's only micro-batch again, after another forward; those of the step stay.
 * \param [out] loss  mean over valid pixels on all ranks, 0 of an inactive task. Collective */
void sm_step_losses_again(sm_step_losses *losses, const sm_engine *engine, const sm_batch *batch, sm_batch_sums *sums,
                          double *loss);

/** Writes the gradient of sum weight[i] * loss[i] in the outputs of the network, where backward starts.
 * \param weight  one a task */
void sm_step_losses_seed(const sm_step_losses *losses, const sm_engine *engine, const sm_batch *batch,
                         const double *weight);

#endif
