/** \file
 * Several views of each image, scaled and mirrored, whose predictions are put together at the size that is measured at. */
#ifndef SIGMATIC_TRAIN_EVALUATOR_VIEWS_H
#define SIGMATIC_TRAIN_EVALUATOR_VIEWS_H

#include <sigmatic/train/session.h>

#include "train/prediction_mean.h"

/** The views of one scale: the image, and its mirror image with `flip`. */
typedef struct sm_scaled_view {
    sm_engine *engine;
    sm_loader_options options;
    sm_loader *loader; /**< while an evaluation runs; NULL: the size measured at, whose batches come from elsewhere */
} sm_scaled_view;

typedef struct sm_evaluator_views {
    const sm_session *session;
    sm_scaled_view *items;
    int count, flip;
    int height, width, capacity; /**< of what is put together */
    int is_plain;                /**< one view of the size measured at: predictions are the network's as they are */
    const float *parameters;     /**< that are used; NULL: the session's */
    sm_prediction_mean *means;   /**< one a task, of a batch; NULL of a plain one */
    float *mirrored;             /**< images of a batch of the largest view */
    float *resized, *values;     /**< predictions of a sample at the size measured at */
    void *workspace;             /**< of resizing */
    const float **logits;        /**< one a task */
} sm_evaluator_views;

/** Makes an engine for each scale. \param loader  of the size measured at, kept by value; \param scales  NULL: 1
 * \return what sm_engine_new() says. Not collective */
sm_status sm_evaluator_views_init(sm_evaluator_views *views, sm_session *session, const sm_loader_options *loader,
                                  const double *scales, int scale_count, int flip);
/** Legal after zeros. */
void sm_evaluator_views_free(sm_evaluator_views *views);

/** \return bytes of the session's memory that the largest engine works in. */
size_t sm_evaluator_views_memory_bytes(const sm_evaluator_views *views);

/** Gives the engines their addresses. \param parameters  flat parameters to use; NULL: the session's */
void sm_evaluator_views_bind(sm_evaluator_views *views, sm_session *session, float *parameters);

/** Starts and ends the loaders of other sizes. \return what sm_loader_new() says. Not collective. */
sm_status sm_evaluator_views_begin(sm_evaluator_views *views);
void sm_evaluator_views_end(sm_evaluator_views *views);

/** Predicts a batch of the size measured at.
 * \param [out] logits  one a task, until the next call: those of the mean of the views (sm_task_values(), sm_task_logits())
 * \return what a loader met. Not collective */
sm_status sm_evaluator_views_run(sm_evaluator_views *views, const sm_batch *batch, const float *const **logits);

#endif
