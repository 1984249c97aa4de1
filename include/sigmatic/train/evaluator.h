/** \file
 * Evaluation of a split over all ranks: every sample once, no padding, no duplicates; accumulated numbers simply add up over ranks. */
#ifndef SIGMATIC_TRAIN_EVALUATOR_H
#define SIGMATIC_TRAIN_EVALUATOR_H

#include <sigmatic/data/loader.h>
#include <sigmatic/train/session.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_evaluator sm_evaluator;

/** Makes the inference engine for whole images of (height, width). Call before any engine of the session is bound.
 * \param dataset  kept by reference
 * \param mean, std  of the training set: what the network was trained with */
sm_status sm_evaluator_new(sm_session *session, sm_dataset *dataset, int height, int width, const double mean[3], const double std[3], sm_evaluator **out);
void sm_evaluator_free(sm_evaluator *evaluator);

/** \return how many values sm_evaluator_run() gives: all metrics of task 0, then of task 1, ... */
int sm_evaluator_value_count(const sm_evaluator *evaluator);

/** Evaluates. Collective.
 *
 * \param parameters       flat parameters to use; NULL = the session's
 * \param predictions      file to write (README: sigmatic-predictions), or NULL
 * \param prediction_count samples in it, the first ones of the split
 * \param [out] values     sm_evaluator_value_count() doubles, the same on every rank; NaN where nothing was measured */
sm_status sm_evaluator_run(sm_evaluator *evaluator, float *parameters, const char *predictions, int64_t prediction_count, double *values);

/** Prints one line a task: "semantic: miou 61.3 %, ...". Rank 0. */
void sm_evaluator_report(const sm_evaluator *evaluator, const double *values);

#ifdef __cplusplus
}
#endif
#endif
