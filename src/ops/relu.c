#include <sigmatic/base/clones.h>
#include <sigmatic/ops/relu.h>

#include "ops/parallel.h"

/* Memory-bound: one pass, and the comparisons are written so that NaN falls on the side that keeps it. */

SM_CLONES static void forward_range(size_t begin, size_t end, const float *input, float *output)
{
    for (size_t i = begin; i < end; i++) {
        output[i] = input[i] < 0.0f ? 0.0f : input[i];
    }
}

SM_CLONES static void backward_range(size_t begin, size_t end, const float *output, const float *grad_output,
                                     float *grad_input)
{
    for (size_t i = begin; i < end; i++) {
        grad_input[i] = output[i] <= 0.0f ? 0.0f : grad_output[i];
    }
}

SM_CLONES static void backward_range_add(size_t begin, size_t end, const float *output, const float *grad_output,
                                         float *grad_input)
{
    for (size_t i = begin; i < end; i++) {
        grad_input[i] += output[i] <= 0.0f ? 0.0f : grad_output[i];
    }
}

void sm_relu_forward(size_t count, const float *input, float *output, int threads)
{
    int parts = sm_threads_worth(count, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        forward_range(sm_part_begin(count, part, parts), sm_part_begin(count, part + 1, parts), input, output);
    }
}

void sm_relu_backward(size_t count, const float *output, const float *grad_output, float beta, float *grad_input,
                      int threads)
{
    int parts = sm_threads_worth(count, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        size_t begin = sm_part_begin(count, part, parts), end = sm_part_begin(count, part + 1, parts);
        (beta == 0.0f ? backward_range : backward_range_add)(begin, end, output, grad_output, grad_input);
    }
}
