/** \file
 * What weightings from gradients of single tasks share.
 *
 * A task takes part in a step if it is active and its gradient is not zero; the others' coefficients are 0, and the
 * equations are those of the n that take part, as if there were no others. Coefficients are NaN, so that the step is
 * skipped with a message, where dot products are not finite. */
#ifndef SIGMATIC_WEIGHTING_BY_GRADIENTS_H
#define SIGMATIC_WEIGHTING_BY_GRADIENTS_H

#include <sigmatic/weighting/weighting.h>

/** The gradients g_i of the tasks that take part. */
typedef struct sm_task_gram {
    int count;            /**< n, at least 1 */
    const int *task;      /**< n: which */
    const double *cosine; /**< (n, n): g_i g_j / (|g_i| |g_j|), with 1 on the diagonal */
    const double *length; /**< n: |g_i| over the greatest of them; all above 0 */
    double greatest;      /**< the greatest |g_i| */
} sm_task_gram;

/** Chooses n coefficients, zero when asked. */
typedef void (*sm_choose_coefficients)(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                                       double *coefficient);

/** For `combine`: the coefficients that `choose` finds. */
void sm_combine_gradients(sm_weighting *weighting, const sm_weighting_step *step, sm_choose_coefficients choose,
                          double *coefficient);

/** For `weigh`: each head learns by its own loss, and the total is the sum of the losses. */
void sm_weigh_plainly(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out);

#endif
