#include <sigmatic/base/clones.h>
#include <sigmatic/ops/global_average_pool.h>

#include "ops/column_sums.h"
#include "ops/parallel.h"
#include "ops/typed.h"

void sm_global_average_pool_forward(sm_dtype type, int batch, size_t pixels, int channels, const void *input,
                                    float *output, int threads)
{
    sm_column_sums(type, batch, pixels, channels, (size_t)channels, input, 1.0 / (double)pixels, 0.0f, output, threads);
}

SM_TYPED void spread_loop(sm_dtype type, int channels, const float *restrict grad_output, float share, int adds,
                          void *restrict grad_input)
{
    for (int c = 0; c < channels; c++) {
        float value = grad_output[c] * share;
        sm_map_put(type, grad_input, c, adds ? sm_map_get(type, grad_input, c) + value : value);
    }
}

static SM_CLONES(void, spread,
                 (sm_dtype type, int channels, const float *grad_output, float share, int adds, void *grad_input),
                 (type, channels, grad_output, share, adds, grad_input))
{
    if (adds) {
        SM_WITH_TYPE(type, spread_loop, channels, grad_output, share, 1, grad_input);
    } else {
        SM_WITH_TYPE(type, spread_loop, channels, grad_output, share, 0, grad_input);
    }
}

void sm_global_average_pool_backward(sm_dtype type, int batch, size_t pixels, int channels, const float *grad_output,
                                     float beta, void *grad_input, int threads)
{
    size_t rows = (size_t)batch * pixels;
    int parts = sm_threads_worth(rows * (size_t)channels, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (size_t row = 0; row < rows; row++) {
        spread(type, channels, grad_output + row / pixels * (size_t)channels, 1.0f / (float)pixels, beta != 0.0f,
               sm_map_at(type, grad_input, row * (size_t)channels));
    }
}
