/** \file
 * Exponential moving average of the parameters, which one evaluates instead of them. */
#ifndef SIGMATIC_OPTIM_EMA_H
#define SIGMATIC_OPTIM_EMA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return the decay of update t (0-based): min(decay, (1 + t) / (10 + t)), so that the first parameters do not
 * linger. */
double sm_ema_decay_at(double decay, int64_t update);

/** average = decay * average + (1 - decay) * parameters, as average + (1 - decay) * (parameters - average).
 * \param [in,out] average  `count` floats; starts as a copy of the parameters */
void sm_ema_update(float *average, const float *parameters, size_t count, double decay, int threads);

#ifdef __cplusplus
}
#endif
#endif
