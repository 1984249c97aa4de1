/** \file
 * Gradients of single tasks, for weightings that need them: the dot products of all pairs, and their joining.
 *
 * At the shared representation each sample lives on one rank: dot products of samples add up. For shared parameters the
 * gradients are summed over ranks first, one task after the other; each rank keeps its own part of them, and the dot
 * products of the parts add up. Either way one small message makes the (K, K) matrix global; but in sums whose bits do not
 * depend on the ranks, those of parameters are of fixed blocks, which all ranks of a node read and add in one order.
 *
 * Losses go backward with the weight 1: what a weight changes is done once it is known. */
#ifndef SIGMATIC_TRAIN_TASK_GRADIENTS_H
#define SIGMATIC_TRAIN_TASK_GRADIENTS_H

#include <sigmatic/train/update.h>

#include "train/batch_sums.h"

typedef struct sm_task_gradients {
    const sm_update *update; /**< not owned; knows the own part */
    sm_batch_sums *sums;     /**< not owned */
    double *ones;            /**< K: the weights that losses go backward with */
    double *gram;            /**< (K, K), of the last step; the same on every rank. Behind it, room to sum it */
    double *coefficient;     /**< K, the caller's: of the tasks' gradients in the joint one */
    float **parameters;      /**< K own parts of gradients of parameters; NULL: only those of the representation */
    const void **from;       /**< room for K places in `parameters`, and their coefficients */
    float *by;
    double *partials; /**< one a block of numbers that a thread works on */
    sm_range *ranges; /**< room for those of a task */
} sm_task_gradients;

/** \param capacity  most samples of this rank in a run of the plan
 * \param needs     which; \return NULL if it is none of them; freed with sm_task_gradients_free(). Not collective */
sm_task_gradients *sm_task_gradients_new(const sm_update *update, sm_batch_sums *sums, int capacity,
                                         sm_weighting_needs needs);
/** NULL is legal. */
void sm_task_gradients_free(sm_task_gradients *tasks);

/** \return bytes that it holds beside the plan's memory. NULL is legal. */
size_t sm_task_gradients_bytes(const sm_task_gradients *tasks);

/** Dot products of the tasks' gradients of the shared representation, after backward through each head. Collective. */
void sm_task_gradients_measure_shared(sm_task_gradients *tasks, const sm_engine *engine);

/** Keeps the own part of what sums->finish() left: one task's gradients of the shared parameters. Those of the heads come
 * with task 0, the first; what travels in their place with the others is not read. Not collective. */
void sm_task_gradients_keep(sm_task_gradients *tasks, int task);
/** Dot products of the K that were kept. Collective. */
void sm_task_gradients_measure_parameters(sm_task_gradients *tasks);

/** Completes the own part of sums->gradients: each head's own gradients by its weight; of parameters, those of all tasks
 * by their coefficients. Not collective. \param weight  one a task */
void sm_task_gradients_join(sm_task_gradients *tasks, const double *weight);

#endif
