/** \file
 * Evaluation of a split over all ranks: every sample once, no padding, no duplicates; accumulated numbers simply add up over ranks. */
#ifndef SIGMATIC_TRAIN_EVALUATOR_H
#define SIGMATIC_TRAIN_EVALUATOR_H

#include <sigmatic/data/loader.h>
#include <sigmatic/train/report.h>
#include <sigmatic/train/session.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_evaluator sm_evaluator;

/** Makes the inference engine for whole inputs. Call before any engine of the session is bound.
 * \param dataset  kept by reference
 * \param input    what the network reads: size, and the statistics of the training set; those are kept by reference
 * \return SM_ERR_INPUT if the dataset's classes are not those of the session */
sm_status sm_evaluator_new(sm_session *session, sm_dataset *dataset, const sm_input *input, sm_evaluator **out);
/** NULL is legal. Not collective. */
void sm_evaluator_free(sm_evaluator *evaluator);

/** \return how many values sm_evaluator_run() gives: all metrics of task 0, then of task 1, ... */
int sm_evaluator_value_count(const sm_evaluator *evaluator);

/** What to evaluate, and what to write. All zero: the session's parameters, nothing. */
typedef struct sm_evaluation {
    float *parameters; /**< flat parameters to use; NULL = the session's */
    const float *const
        *fixed; /**< one prediction (items,D) a task, the same for every sample, instead of the network's; or NULL */
    const char *predictions;  /**< file to write (README: sigmatic-predictions), or NULL; on failure it is not there */
    int64_t prediction_count; /**< samples in it, the first ones of the split */
    int (*stop)(void); /**< about once a second: was this rank asked to stop? Set on all ranks or none; NULL = never */
} sm_evaluation;

/** Tells before the work whether predictions may be written to `path`: nothing is there, or earlier predictions. Not collective.
 * \return SM_ERR_USAGE naming what is there instead */
sm_status sm_evaluator_check_predictions(const char *path);

/** Evaluates. Collective.
 * \param [out] values  sm_evaluator_value_count() doubles, the same on every rank; NaN where nothing was measured
 * \return the same on every rank: SM_PREEMPTED if `stop` said so on one of them; what the loader of a rank met; what writing the predictions
 * did. `values` are only set on SM_OK */
sm_status sm_evaluator_run(sm_evaluator *evaluator, const sm_evaluation *evaluation, double *values);

/** Learns the trivial predictor from a training set: the most frequent class at each position (of equals the first), the median of a
 * one-component regression at each position, the zero vector. Uses at most the first 2048 samples. Collective; the ranks share the rows.
 * \param most_bytes  of targets kept on a rank at a time: the samples are read once for each part of the positions that fits
 * \param [out] maps  one prediction (items,D) a task, the same on every rank; each freed with sm_free(); NULL or valid on failure */
sm_status sm_evaluator_learn_trivial(const sm_evaluator *evaluator, sm_dataset *train, size_t most_bytes, float **maps);

/** Prints the values as a table (report.h) on rank 0, or sets them in an object. Not collective.
 * \param trivial  values of the trivial predictor to compare with, or NULL */
void sm_evaluator_report(const sm_evaluator *evaluator, const double *values, const double *trivial);
void sm_evaluator_set_json(const sm_evaluator *evaluator, const double *values, const double *trivial, sm_json *tasks);

#ifdef __cplusplus
}
#endif
#endif
