/** \file
 * What weightings from gradients of single tasks share. */
#ifndef SIGMATIC_WEIGHTING_BY_GRADIENTS_H
#define SIGMATIC_WEIGHTING_BY_GRADIENTS_H

#include <sigmatic/weighting/weighting.h>

/** Chooses coefficients as sm_weighting_kind.choose() does. */
typedef void (*sm_choose_coefficients)(sm_weighting *weighting, const sm_weighting_step *step, const sm_task_gram *gram,
                                       double *coefficient);

/** Finds the tasks that take part in a step, and gives each what `choose` finds for it.
 * \param [in,out] coefficient  one a task, 0 when asked */
void sm_combine_gradients(sm_weighting *weighting, const sm_weighting_step *step, sm_choose_coefficients choose,
                          double *coefficient);

/** For `weigh`: each head learns by its own loss, and the total is the sum of the losses. */
void sm_weigh_plainly(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out);

#endif
