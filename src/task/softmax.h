/** \file
 * Probabilities of logits, in double. Losses of whole maps have their own, in float and for many items at a time
 * (loss_classes.c). */
#ifndef SIGMATIC_TASK_SOFTMAX_H
#define SIGMATIC_TASK_SOFTMAX_H

/** values[i] = exp(values[i]) / sum of exp(values), without overflow; NaN if any value is.
 * \param [out] greatest  of the values before; NULL: not asked for
 * \return log of the sum of exp(value - greatest): with `greatest` the logarithm of the sum of all exponentials */
double sm_softmax(int count, double *values, double *greatest);

/** \return 1 / (1 + exp(-z)) */
double sm_logistic(double z);

#endif
