/** \file
 * Losses of tasks whose head predicts a log-variance s of each item beside what it predicts of it (A. Kendall, Y. Gal,
 * "What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?", NeurIPS 2017, sections 2 and 3).
 *
 * An item's loss is the negative log of its likelihood: of a regression the term of sm_task.likelihood at the item's own
 * loss and s (equation 5 is the Gaussian's); of a class
 *
 *   -log 1/T sum_t softmax(z + exp(s/2) e_t)_truth,  e_t standard normal of each logit, T = sm_task.noise_draws  (equation 12)
 *
 * and of labels the same with the logistic function, summed over known labels. */
#ifndef SIGMATIC_TASK_LOSS_ITEM_H
#define SIGMATIC_TASK_LOSS_ITEM_H

#include "task/loss.h"

/** Sums over items begin .. end - 1 of maps with `channels` + 1 numbers an item, s the last; `slope` is the sum of s. */
sm_loss_sums sm_item_loss_forward(const sm_task *task, const sm_loss *loss, const sm_loss_maps *maps,
                                  const sm_loss_place *place, size_t begin, size_t end);
void sm_item_loss_backward(const sm_task *task, const sm_loss *loss, const sm_loss_maps *maps,
                           const sm_loss_place *place, size_t begin, size_t end);

/** What is drawn for an item, which its place alone decides. \param [out] noise  `count` standard normal numbers and up
 * to 3 more */
void sm_item_noise(const sm_task *task, const sm_loss_place *place, size_t item, size_t count, float *noise);

/** Loss of one item by given noise (draws, channels). \param s  log-variance
 * \param [out] grad    scale * d loss / d logits (channels), \param [out] grad_s  scale * d loss / d s; both NULL: not asked for */
double sm_sampled_cross_entropy(int channels, int draws, const float *logits, double s, uint8_t truth,
                                const float *noise, double scale, float *grad, double *grad_s);
/** \param truth  (channels) \param weights  (channels) of labels that are there; NULL = 1 */
double sm_sampled_binary_cross_entropy(int channels, int draws, const float *logits, double s, const uint8_t *truth,
                                       const float *weights, const float *noise, double scale, float *grad,
                                       double *grad_s);

#endif
