/** \file
 * What each task contributes to the gradient of the shared representation, measured in some steps and in the way of none.
 *
 * With g_k the gradient of task k's loss there, of the global batch, before any weight, and w_k the weight of the step:
 *   length |g_k|,   share |w_k| |g_k| / sum over j of |w_j| |g_j|,   cosine of g_i and g_j
 *
 * A training by losses alone goes backward once, by the sum: what is measured then takes a forward and a pass through each
 * head of its own, in an engine that shares the session's memory. Of weightings that look at gradients of single tasks the
 * trainer's own passes leave what is measured. */
#ifndef SIGMATIC_TRAIN_GRADIENT_DIAGNOSIS_H
#define SIGMATIC_TRAIN_GRADIENT_DIAGNOSIS_H

#include <sigmatic/train/step_record.h>

#include "train/step_losses.h"
#include "train/task_gradients.h"

typedef struct sm_gradient_diagnosis {
    sm_session *session; /**< not owned */
    int64_t interval;    /**< steps */
    sm_engine *engine;   /**< NULL: the trainer's leaves the gradients of single tasks */
    float *gradients;    /**< where `engine` leaves those of the heads' parameters, which nobody reads */
    float *statistics;   /**< its running statistics: those of the step stay out of it */
    sm_task_gradients *tasks;
    double *gram;    /**< (K, K), of the micro-batches so far; the same on every rank */
    int is_measured; /**< in this step */
} sm_gradient_diagnosis;

/** Makes it as `weighting.diagnose_interval` says, before any engine of the session is bound.
 * \param sums, update          of the trainer; must outlive it
 * \param height, width         of the images
 * \param capacity              most samples of a micro-batch on this rank
 * \param [out] out             freed with sm_gradient_diagnosis_free(); NULL where nothing is to be measured
 * \return SM_ERR_CONFIG of a network that has no gradients of single tasks. Not collective */
sm_status sm_gradient_diagnosis_new(const sm_update *update, sm_batch_sums *sums, int height, int width, int capacity,
                                    sm_gradient_diagnosis **out);
/** NULL is legal, here and below. */
void sm_gradient_diagnosis_free(sm_gradient_diagnosis *diagnosis);

/** With the engines of the session. */
void sm_gradient_diagnosis_bind(sm_gradient_diagnosis *diagnosis);

/** Begins a step. \return whether it is one to measure in */
int sm_gradient_diagnosis_begin(sm_gradient_diagnosis *diagnosis, int64_t step);

/** Adds a micro-batch. Collective.
 *
 * Where it has an engine of its own: before the trainer's forward, whose packed weights have to be made anew after it. Else
 * after the trainer's passes through all heads, from weights of 1.
 * \param trained  the trainer's engine, its run set for this micro-batch */
void sm_gradient_diagnosis_add(sm_gradient_diagnosis *diagnosis, const sm_engine *trained, const sm_step_losses *losses,
                               const sm_batch *batch);

/** Fills in a step's numbers; NaN where nothing was measured. \param weight  one a task */
void sm_gradient_diagnosis_record(const sm_gradient_diagnosis *diagnosis, const sm_step_losses *losses,
                                  const double *weight, sm_step_record *record);

/** \return bytes that it takes beside an engine that needs `engine_bytes` of the session's memory. */
size_t sm_gradient_diagnosis_bytes(const sm_gradient_diagnosis *diagnosis, size_t engine_bytes);

#endif
