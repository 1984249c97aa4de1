#include <sigmatic/base/clones.h>
#include <sigmatic/ops/global_average_pool.h>

#include "ops/column_sums.h"
#include "ops/parallel.h"

void sm_global_average_pool_forward(int batch, size_t pixels, int channels, const float *input, float *output,
                                    int threads)
{
    sm_column_sums(batch, pixels, channels, (size_t)channels, input, 1.0 / (double)pixels, 0.0f, output, threads);
}

SM_CLONES static void spread(int channels, const float *restrict grad_output, float share, float beta,
                             float *restrict grad_input)
{
    if (beta == 0.0f) {
        for (int c = 0; c < channels; c++) {
            grad_input[c] = grad_output[c] * share;
        }
    } else {
        for (int c = 0; c < channels; c++) {
            grad_input[c] += grad_output[c] * share;
        }
    }
}

void sm_global_average_pool_backward(int batch, size_t pixels, int channels, const float *grad_output, float beta,
                                     float *grad_input, int threads)
{
    size_t rows = (size_t)batch * pixels;
    int parts = sm_threads_worth(rows * (size_t)channels, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (size_t row = 0; row < rows; row++) {
        spread(channels, grad_output + row / pixels * (size_t)channels, 1.0f / (float)pixels, beta,
               grad_input + row * (size_t)channels);
    }
}
