/** \file
 * Results as people and as programs read them: the same rows as a table on standard output (rank 0 prints) or in a JSON
 * object. A number that is not there (NaN) is a dash in the table and null in JSON. */
#ifndef SIGMATIC_TRAIN_REPORT_H
#define SIGMATIC_TRAIN_REPORT_H

#include <sigmatic/io/json.h>
#include <sigmatic/task/task.h>
#include <sigmatic/train/calibration.h>
#include <sigmatic/weighting/weighting.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A metric of an evaluation. */
typedef struct sm_metric_row {
    const char *task;
    sm_metric metric;
    double value;
    double trivial; /**< what the trivial predictor reaches */
} sm_metric_row;

/** Prints a line a metric: value, unit, what it measures or why it could not be measured.
 * \param with_trivial  also the trivial predictor's value, and the ratio of the two where it says something */
void sm_report_metrics(const sm_metric_row *rows, int count, int with_trivial);

/** Sets {TASK: {METRIC: {"value", "unit", "meaning", "higher_is_better", "trivial"}}} in an object; "trivial" with
 * `with_trivial` only. Rows of a task follow each other. */
void sm_report_set_metrics(sm_json *tasks, const sm_metric_row *rows, int count, int with_trivial);

/** How a task takes part in the total loss. */
typedef struct sm_loss_row {
    const char *task;
    const sm_likelihood *likelihood; /**< NULL: not known to this version */
    sm_loss_shape shape;
    const char *unit; /**< of the loss */
    double loss;      /**< smoothed */
    double weight, log_variance, sigma;
    const char *group; /**< of tasks that are weighed as one; NULL: every task by itself */
    double group_weight;
} sm_loss_row;

/** Prints a line a task, with the sigma that minimises the objective at its loss, or at those of its group, and what sigma is.
 * \param rows  all of a run */
void sm_report_losses(const sm_loss_row *rows, int count);

/** \return s at which the objective is least at a task's loss, or at those of its group; NaN: none is learned, or not in closed form
 * \param rows  all of a run */
double sm_report_minimiser(const sm_loss_row *rows, int count, int row);

/** Sets {TASK: {"likelihood", "sigma_meaning", "sigma_unit", "loss", "weight", "log_variance", "sigma",
 * "sigma_at_minimum", "group", "group_weight"}}, the last two only where tasks are weighed in groups. */
void sm_report_set_losses(sm_json *tasks, const sm_loss_row *rows, int count);

/** Prints a line a task that has a sigma to compare: the learned one and the residual scale of the split. Nothing if no task has.
 * \param losses  one a task, as `calibrations`: names, likelihoods and units */
void sm_report_calibrations(const sm_loss_row *losses, const sm_calibration *calibrations, int count);

/** Sets {TASK: {"loss", "sigma", "residual_scale", "ratio"}}. */
void sm_report_set_calibrations(sm_json *tasks, const sm_loss_row *losses, const sm_calibration *calibrations,
                                int count);

#ifdef __cplusplus
}
#endif
#endif
