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

/** How to evaluate. All zero: as a training does. */
typedef struct sm_evaluator_options {
    int instances;        /**< 1: also measure what decoded instances are worth, which takes longer */
    const double *scales; /**< sizes of what the network reads, in those that are measured at; NULL: 1 */
    int scale_count;
    int flip; /**< 1: also predict mirrored images */
} sm_evaluator_options;

/** Makes the inference engines for whole inputs. Call before any engine of the session is bound.
 *
 * Of several views of an image (scales, mirrored) the predictions are scaled to the size measured at and mirrored back, with the values, as the target's description says;
 * then the mean is taken as sm_predictor_run() takes it (sm_task_values()): of classes and labels of their probabilities, at the learned temperature, of real values in the target's unit.
 * Tasks whose target the dataset lacks are predicted and not measured.
 *
 * \param dataset  kept by reference
 * \param input    what is measured at: size, and the statistics of the training set; those are kept by reference
 * \param options  NULL: all zero
 * \return SM_ERR_INPUT if the dataset's classes are not those of the session */
sm_status sm_evaluator_new(sm_session *session, sm_dataset *dataset, const sm_input *input,
                           const sm_evaluator_options *options, sm_evaluator **out);
/** NULL is legal. Not collective. */
void sm_evaluator_free(sm_evaluator *evaluator);

/** \return how many values sm_evaluator_run() gives: all metrics (sm_task_kind_metric()) of task 0, then of task 1, ... */
int sm_evaluator_value_count(const sm_evaluator *evaluator);

/** \return how many values of single classes it gives. */
int sm_evaluator_class_value_count(const sm_evaluator *evaluator);

/** \return 1 if the dataset has what the task learns: its metrics can be measured. */
int sm_evaluator_has_labels(const sm_evaluator *evaluator, int task);

/** What to evaluate, and what to write. All zero: the session's parameters, nothing. */
typedef struct sm_evaluation {
    float *parameters; /**< flat parameters to use; NULL = the session's */
    const float *const
        *fixed; /**< one prediction (items,D) a task, the same for every sample, instead of the network's; or NULL */
    const char *predictions; /**< file to write (include/README.md, Predictions), or NULL; on failure it is not there */
    int64_t prediction_count; /**< samples in it, the first ones of the split */
    double *class_values;     /**< out: sm_evaluator_class_value_count() doubles, or NULL */
    double *losses; /**< out: of each task the loss that it is trained by, summed over its components, averaged over the
                       split's valid items; NaN: without labels, or of a task with uncertainties of each item. Or NULL */
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

/** Learns the trivial predictor from a training set: the most frequent class at each position (of equals the first), likewise for each label; the median of
 * each component of real values at each position; of vectors to centroids 0. Uses at most the first 2048 samples. Collective; the ranks share the rows.
 * \param most_bytes  of targets kept on a rank at a time: the samples are read once for each part of the positions that fits
 * \param [out] maps  one prediction (items,D) a task, the same on every rank; each freed with sm_free(); NULL or valid on failure */
sm_status sm_evaluator_learn_trivial(const sm_evaluator *evaluator, sm_dataset *train, size_t most_bytes, float **maps);

/** Prints the values as a table (report.h) on rank 0, or sets them in an object. Without what the dataset has no labels for. Not collective.
 * \param trivial  values of the trivial predictor to compare with, or NULL */
void sm_evaluator_report(const sm_evaluator *evaluator, const double *values, const double *trivial);
void sm_evaluator_set_json(const sm_evaluator *evaluator, const double *values, const double *trivial, sm_json *tasks);

/** The same of the values of classes: a table a task; {TASK: {CLASS: {METRIC: value}}}. */
void sm_evaluator_report_classes(const sm_evaluator *evaluator, const double *class_values);
void sm_evaluator_set_json_classes(const sm_evaluator *evaluator, const double *class_values, sm_json *tasks);

#ifdef __cplusplus
}
#endif
#endif
