/** \file
 * The mean of several predictions of one task, by the one definition that evaluations of several views and predictions by
 * several networks or draws of dropout share (sm_task_values()), and how far they are apart. */
#ifndef SIGMATIC_TRAIN_PREDICTION_MEAN_H
#define SIGMATIC_TRAIN_PREDICTION_MEAN_H

#include <sigmatic/task/task.h>

/** Sums over runs; zero at first. */
typedef struct sm_prediction_mean {
    const sm_task *task;
    size_t items;
    int has_spread;
    float *mean;    /**< (items, channels) as of sm_task_values() */
    float *squares; /**< of real values, with spread: sums of squared deviations from the mean, likewise */
    float *entropy; /**< of others, with spread: (items) mean of the runs' entropies */
    int runs;       /**< added so far */
    size_t mean_room, squares_room, entropy_room; /**< floats */
} sm_prediction_mean;

/** \param has_spread  1: sm_prediction_mean_spread() will be asked */
void sm_prediction_mean_begin(sm_prediction_mean *mean, const sm_task *task, size_t items, int has_spread);
void sm_prediction_mean_free(sm_prediction_mean *mean);

/** Adds what one run says of some of the items: first .. first + items - 1.
 * \param run     counts from 0, for each item by itself
 * \param values  (items, channels) as of sm_task_values() */
void sm_prediction_mean_add(sm_prediction_mean *mean, int run, size_t first, size_t items, const float *values);

/** How much the runs differ.
 * \param [out] spread  of classes and labels (items) the mutual information between prediction and network: entropy of the
 * mean less mean of the entropies (Houlsby et al. 2011); of real values (items, channels) their variance */
void sm_prediction_mean_spread(const sm_prediction_mean *mean, float *spread);

/** Entropy, in nat, of what is said of each item: of classes that of their distribution, of labels the sum of each one's.
 * \param probabilities  (items, channels) \param [out] entropy  (items) */
void sm_prediction_entropy(const sm_task *task, size_t items, const float *probabilities, float *entropy);

#endif
