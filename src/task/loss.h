/** \file
 * Losses of maps: sums over valid pixels, and gradients. The rows behind a kind's loss_forward and loss_backward.
 *
 * Sums are in double, of fixed slices of the pixels that are added in order: the same bits whatever the threads. */
#ifndef SIGMATIC_TASK_LOSS_H
#define SIGMATIC_TASK_LOSS_H

#include <sigmatic/task/task.h>

/** What a loss reads, and writes. */
typedef struct sm_loss_maps {
    int channels;
    const float *logits; /**< (pixels, channels) */
    const void *target;  /**< cross-entropy: u8 (pixels), 255 invalid; else float (pixels, channels), NaN invalid */
    const float *class_weights; /**< channels, or NULL */
    float inverse_temperature;  /**< multiplies the logits of a cross-entropy */
    float scale;                /**< of the gradient */
    float *grad_logits;         /**< (pixels, channels); NULL in the forward direction */
} sm_loss_maps;

/** One row of the table of losses, on pixels begin .. end - 1:
 *
 *  cross_entropy  w_t (log sum_c exp(z_c) - z_t),  z = inverse_temperature * logits, t the true class, w its weight
 *  l1             sum over components of |x - target|;  gradient sign(x - target), 0 at 0
 *  l2             sum over components of (x - target)^2
 *
 * A NaN in the logits of a valid pixel makes the loss NaN; logits of invalid pixels are not looked at. */
typedef struct sm_loss {
    const char *name;
    sm_loss_sums (*forward)(const sm_loss_maps *maps, size_t begin, size_t end);
    void (*backward)(const sm_loss_maps *maps, size_t begin, size_t end);
} sm_loss;

/** All losses; ends with a NULL name. */
extern const sm_loss sm_losses[];

/** The task's loss over all pixels: loss_forward and loss_backward of every row of sm_task_kinds. */
sm_loss_sums sm_loss_forward(const sm_task *task, size_t pixels, const float *logits, const void *target,
                             double inverse_temperature, int threads);
void sm_loss_backward(const sm_task *task, size_t pixels, const float *logits, const void *target,
                      double inverse_temperature, double scale, float *grad_logits, int threads);

#endif
