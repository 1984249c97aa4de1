/** \file
 * The mean of several predictions of one task, and how far they are apart. */
#ifndef SIGMATIC_TRAIN_PREDICTION_MEAN_H
#define SIGMATIC_TRAIN_PREDICTION_MEAN_H

#include <sigmatic/task/task.h>

/** Sums over runs; zero at first. */
typedef struct sm_prediction_mean {
    const sm_task *task;
    size_t items;
    int runs;
    float *mean; /**< (items, channels): probabilities of classes and labels; (items, components) decoded real values */
    float *squares;                               /**< real values: sum of squared deviations from the mean */
    float *entropy;                               /**< (items) mean of the runs' entropies; of real values NULL */
    size_t mean_room, squares_room, entropy_room; /**< floats */
} sm_prediction_mean;

void sm_prediction_mean_begin(sm_prediction_mean *mean, const sm_task *task, size_t items);
void sm_prediction_mean_free(sm_prediction_mean *mean);

/** Adds a run. \param inverse_temperature  multiplies the logits, as in sm_task_loss() */
void sm_prediction_mean_add(sm_prediction_mean *mean, const float *logits, double inverse_temperature);

/** \return numbers an item of what is averaged. */
int sm_prediction_components(const sm_task *task);

/** Entropy, in nat, of what logits say of each item: of classes that of the softmax, of labels the sum of each one's.
 * \param [out] entropy  (items) */
void sm_prediction_entropy(const sm_task *task, size_t items, const float *logits, double inverse_temperature,
                           float *entropy);

/** Ends the sums.
 * \param [out] logits       (items, channels) of the mean probabilities; not written of real values, whose mean is mean->mean
 * \param [out] entropy      (items) of the mean; of real values not written
 * \param [out] spread       (items) mutual information; of real values (items, components) variance. NULL: not wanted */
void sm_prediction_mean_end(const sm_prediction_mean *mean, float *logits, float *entropy, float *spread);

#endif
