/** \file
 * Losses: sums over valid items, and gradients. The rows behind sm_task_loss().
 *
 * Sums are in double, of fixed slices of the items that are added in order: the same bits whatever the threads. */
#ifndef SIGMATIC_TASK_LOSS_H
#define SIGMATIC_TASK_LOSS_H

#include <sigmatic/task/task.h>

/** What a loss reads, and writes. */
typedef struct sm_loss_maps {
    int channels;
    const float *logits; /**< (items, channels) */
    const void
        *target; /**< cross_entropy: u8 (items), binary_cross_entropy: u8 (items, channels), SM_CLASS_IGNORED invalid;
                      else float (items, channels), NaN invalid: all components of an item are, or none */
    const float *class_weights; /**< channels, or NULL */
    float delta;                /**< of the Huber loss, above 0 */
    float inverse_temperature;  /**< multiplies the logits of a cross-entropy */
    float scale;                /**< of the gradient */
    float *grad_logits;         /**< (items, channels); NULL in the forward direction */
} sm_loss_maps;

/** out = exp(z) for z <= 0, good to 2e-7 (loss_classes.c). */
void sm_exponentials(size_t count, const float *restrict z, float *restrict out);

/** One row of the table of losses, on items begin .. end - 1:
 *
 *  cross_entropy         w_t (log sum_c exp(z_c) - z_t),  z = inverse_temperature * logits, t the true class, w its weight
 *  binary_cross_entropy  sum over known labels of  w_c log(1 + exp(-z_c)) where it is there,  log(1 + exp(z_c)) where not
 *  l1                    sum over components of |x - target|;  gradient sign(x - target), 0 at 0
 *  l2                    sum over components of (x - target)^2
 *  huber                 sum over components of r^2 / 2 where |r| <= delta, else delta (|r| - delta / 2),  r = x - target
 *  cosine                1 - x.target / (|x| |target|), lengths below 1e-3 taken as 1e-3
 *
 * A NaN in the logits of a valid item makes the loss NaN; logits of invalid items are not looked at. */
typedef struct sm_loss {
    const char *name;
    sm_loss_sums (*forward)(const sm_loss_maps *maps, size_t begin, size_t end);
    void (*backward)(const sm_loss_maps *maps, size_t begin, size_t end);
} sm_loss;

/** All losses; ends with NULL. */
extern const sm_loss *const sm_losses[];

#endif
