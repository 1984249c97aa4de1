/** \file
 * What `sigmatic show` shows of a run log. Not collective. */
#ifndef SIGMATIC_CLI_SHOW_VIEW_H
#define SIGMATIC_CLI_SHOW_VIEW_H

#include <sigmatic/train/report.h>

typedef struct show_series {
    double *values;
    size_t count;
} show_series;

typedef struct show_task {
    sm_loss_row row;
    char *loss_name, *unit;          /**< of the loss */
    char *group;                     /**< row.group */
    double first_loss, first_weight; /**< of the run's first step with a loss; NaN: the log begins later */
    /** Of the gradient at the shared representation (show_gradients.h); NaN: not measured. */
    double gradient_norm, gradient_share;
    double mean_weight; /**< of the last rows; row.weight is the last one's */
    show_series loss, sigma;
} show_task;

/** The last evaluation of a split. */
typedef struct show_evaluation {
    const char *split; /**< owned by the view */
    int64_t step;
    size_t count;        /**< evaluations so far; 0: none yet */
    sm_metric_row *rows; /**< those of a task in the order of its kind */
    int row_count;
    char ***names;                /**< of the metrics, a list a task */
    char **units;                 /**< of what is predicted, one a task */
    sm_calibration *calibrations; /**< one a task; NaN what the log does not have */
} show_evaluation;

enum { SHOW_DATA, SHOW_OTHER_RANKS, SHOW_WAITS };
enum { SHOW_LEAST, SHOW_MEDIAN, SHOW_MOST, SHOW_WAITING_RANKS };

typedef struct show_view {
    char *path;
    char *config;  /**< resolved text */
    char *status;  /**< "done", "failed: why", ...: of the file beside the log; "" without one. "lost: ..." of
                     a run that is "running" there, while on this host, its own, no process holds its lock */
    char *samples; /**< "images", or of a table "rows" */
    size_t rows, task_count, split_count;
    char **tasks, **splits;
    /** From here on only of a log with a row. */
    int64_t step;
    double seconds, images_per_second; /**< mean of the last rows, as losses are */
    int64_t skipped;
    double step_seconds, wait_seconds[SHOW_WAITS][SHOW_WAITING_RANKS]; /**< NaN: not logged */
    show_series loss;
    int64_t first_step;           /**< of the log's first row */
    show_task *curves;            /**< task_count */
    double *cosines;              /**< (task_count, task_count) of gradients; NaN: not measured */
    show_evaluation *evaluations; /**< split_count */
} show_view;

/** Reads a log, also one that grows.
 * \param [out] view  cleared with show_view_clear(), also after a failure; it then has no rows
 * \return SM_ERR_INPUT if it is no run log, or damaged */
sm_status show_view_read(const char *path, show_view *view);

void show_view_clear(show_view *view);

/** \return "images/s" or "rows/s" if all that have rows agree, else "samples/s"; freed with sm_free() */
char *show_speed_unit(const show_view *views, int count);

/** \return the mean of the finite values of [begin, end); NaN if there are none */
double show_mean(const show_series *series, size_t begin, size_t end);

/** \return that of the last 50 */
double show_last_mean(const show_series *series);

/** \return rows for report.h, one a task, freed with sm_free() */
sm_loss_row *show_loss_rows(const show_view *view);

/** \return a metric of the last evaluation; NULL: not measured
 * \param metric  NULL: the first in the order of its kind of task, which says what is "best" */
const sm_metric_row *show_metric(const show_view *view, const char *task, const char *metric);

#endif
