/** \file
 * The predictions file that `eval --predictions` writes: pictures and raw maps of the first samples, each rank its own at their places. */
#ifndef SIGMATIC_TRAIN_PREDICTIONS_H
#define SIGMATIC_TRAIN_PREDICTIONS_H

#include <sigmatic/data/loader.h>
#include <sigmatic/train/session.h>

typedef struct sm_predictions sm_predictions;

/** sm_evaluator_check_predictions(). */
sm_status sm_predictions_check(const char *path);

/** Creates the file as `<path>.partial`. Collective; on failure nothing is left. */
sm_status sm_predictions_create(const sm_session *session, const sm_dataset *dataset, const char *path, int64_t count,
                                int height, int width, sm_predictions **out);

/** Writes one sample if it is among the first `count`. */
sm_status sm_predictions_put(sm_predictions *predictions, const sm_batch *batch, int sample,
                             const float *const *logits);

/** Gives the file its name if `status`, the same on every rank, says that all went well; removes it otherwise. Frees.
 * Collective. NULL is legal.
 * \return `status`, or what went wrong at the end; the same on every rank */
sm_status sm_predictions_finish(sm_predictions *predictions, sm_status status);

#endif
