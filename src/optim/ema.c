#include <sigmatic/optim/ema.h>

#include <sigmatic/base/clones.h>

#include <math.h>

double sm_ema_decay_at(double decay, int64_t update)
{
    return fmin(decay, (1 + (double)update) / (10 + (double)update));
}

static SM_CLONES(void, ema_loop, (size_t count, float rest, float *restrict average, const float *restrict parameters),
                 (count, rest, average, parameters))
{
    for (size_t i = 0; i < count; i++) {
        average[i] += rest * (parameters[i] - average[i]);
    }
}

void sm_ema_update(float *average, const float *parameters, size_t count, double decay, int threads)
{
    enum { BLOCK = 1 << 16 };
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t begin = 0; begin < count; begin += BLOCK) {
        size_t length = count - begin < BLOCK ? count - begin : BLOCK;
        ema_loop(length, (float)(1 - decay), average + begin, parameters + begin);
    }
}
