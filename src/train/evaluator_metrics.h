/** \file
 * What an evaluation accumulates: the numbers of every task's own metrics and of those that read several tasks, sample by sample and then over the ranks. */
#ifndef SIGMATIC_TRAIN_EVALUATOR_METRICS_H
#define SIGMATIC_TRAIN_EVALUATOR_METRICS_H

#include <sigmatic/base/sum_tree.h>
#include <sigmatic/comm/tree_sum.h>
#include <sigmatic/train/session.h>

/** The metrics of a kind of task: its own, or its joint ones. */
typedef struct sm_metric_part {
    int task;
    const sm_joint_metric *joint; /**< NULL: its own */
    int is_measured;              /**< the dataset has the labels that they need, and they are wanted */
    int class_task;               /**< joint: the task that says what is where */
    int ids;                      /**< joint: place of the instances' ids among the targets of a batch */
    const sm_metric *rows;        /**< ends with a NULL name */
    int row_count;
    size_t first_count, first_sum;
    sm_records records;
} sm_metric_part;

typedef struct sm_evaluator_metrics {
    const sm_session *session;
    const sm_dataset *dataset;
    sm_metric_part *parts;
    int part_count, value_count, class_value_count;
    sm_target_builder *builders; /**< what a loader delivers: the tasks' targets, then ids of instances */
    int builder_count;
    size_t count_count, sum_count;
    size_t first_valid,
        first_loss;       /**< one a task among counts and sums: its valid items, and the sum of their losses */
    int with_losses;      /**< these are wanted */
    int64_t *counts;      /**< count_count, then `nan_samples` */
    int64_t *nan_samples; /**< one a task: samples with predictions that are no numbers. Not owned */
    double *sums;         /**< rows: the places of the stack of `tree`, the order in which samples are added */
    sm_sum_tree tree;
    int64_t *blocks; /**< where each rank's samples begin; and the end */
    int64_t position;
    sm_tree_sum *ranks;
    void *workspace;    /**< of `ranks` */
    uint8_t *predicted; /**< classes of one sample */
    int predicted_task; /**< whose they are, -1 nobody's */
} sm_evaluator_metrics;

/** \param dataset    kept by reference
 * \param height, width  of maps
 * \param instances  1: joint metrics that decode instances, too */
void sm_evaluator_metrics_init(sm_evaluator_metrics *metrics, const sm_session *session, const sm_dataset *dataset,
                               int height, int width, int instances);
/** Legal after zeros. Not collective. */
void sm_evaluator_metrics_free(sm_evaluator_metrics *metrics);

/** \param with_losses  1: sm_evaluator_metrics_find_losses() follows */
void sm_evaluator_metrics_begin(sm_evaluator_metrics *metrics, int with_losses);

/** Counts what losses are averaged over. Once a batch. */
void sm_evaluator_metrics_count_valid(sm_evaluator_metrics *metrics, const sm_batch *batch);

/** Adds sample n of a batch. \param predictions  one a task, of this sample alone: (items, channels) */
void sm_evaluator_metrics_add(sm_evaluator_metrics *metrics, const sm_batch *batch, int n,
                              const float *const *predictions);

/** Counts predictions of a sample that are no numbers: a network's are all meant to be, where labels are missing, too. */
void sm_evaluator_metrics_count_nans(sm_evaluator_metrics *metrics, const sm_batch *batch,
                                     const float *const *predictions);

/** Collective. What reads a task with predictions that are no numbers is not measured: NaN, for a class or a distance that
 * it does not mean would hide them. The same on every rank: \param [out] values  value_count \param [out] class_values  class_value_count, or NULL */
void sm_evaluator_metrics_find(sm_evaluator_metrics *metrics, double *values, double *class_values);

/** After sm_evaluator_metrics_find(). \param [out] losses  sm_evaluation.losses */
void sm_evaluator_metrics_find_losses(const sm_evaluator_metrics *metrics, double *losses);

/** \return 1 if a part is not measured because predictions that it reads are no numbers, once sums are found. */
int sm_metric_part_reads_nan(const sm_evaluator_metrics *metrics, const sm_metric_part *part);

/** \return how many metrics of each class a part has: (so many, classes) values of class_values are its own, after those of
 * the parts before it */
int sm_metric_part_class_rows(const sm_evaluator_metrics *metrics, const sm_metric_part *part, const sm_metric **rows,
                              const sm_class_list **classes);

#endif
