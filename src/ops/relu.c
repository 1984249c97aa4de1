#include <sigmatic/base/clones.h>
#include <sigmatic/ops/relu.h>

#include "ops/parallel.h"
#include "ops/typed.h"

/* Memory-bound: one pass, and the comparisons are written so that NaN falls on the side that keeps it. */

SM_TYPED void forward_loop(sm_dtype type, size_t begin, size_t end, const void *input, void *output)
{
#pragma GCC ivdep /* output may be input itself */
    for (size_t i = begin; i < end; i++) {
        float value = sm_map_get(type, input, i);
        sm_map_put(type, output, i, value < 0.0f ? 0.0f : value);
    }
}

static SM_CLONES(void, forward_range, (sm_dtype type, size_t begin, size_t end, const void *input, void *output),
                 (type, begin, end, input, output))
{
    SM_WITH_TYPE(type, forward_loop, begin, end, input, output);
}

SM_TYPED void backward_loop(sm_dtype type, size_t begin, size_t end, const void *output, const void *grad_output,
                            int adds, void *grad_input)
{
#pragma GCC ivdep /* grad_input may be grad_output itself */
    for (size_t i = begin; i < end; i++) {
        float value = sm_map_get(type, output, i) <= 0.0f ? 0.0f : sm_map_get(type, grad_output, i);
        sm_map_put(type, grad_input, i, adds ? sm_map_get(type, grad_input, i) + value : value);
    }
}

static SM_CLONES(void, backward_range,
                 (sm_dtype type, size_t begin, size_t end, const void *output, const void *grad_output, int adds,
                  void *grad_input),
                 (type, begin, end, output, grad_output, adds, grad_input))
{
    if (adds) {
        SM_WITH_TYPE(type, backward_loop, begin, end, output, grad_output, 1, grad_input);
    } else {
        SM_WITH_TYPE(type, backward_loop, begin, end, output, grad_output, 0, grad_input);
    }
}

void sm_relu_forward(sm_dtype type, size_t count, const void *input, void *output, int threads)
{
    int parts = sm_threads_worth(count, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        forward_range(type, sm_part_begin(count, part, parts), sm_part_begin(count, part + 1, parts), input, output);
    }
}

void sm_relu_backward(sm_dtype type, size_t count, const void *output, const void *grad_output, float beta,
                      void *grad_input, int threads)
{
    int parts = sm_threads_worth(count, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        size_t begin = sm_part_begin(count, part, parts), end = sm_part_begin(count, part + 1, parts);
        backward_range(type, begin, end, output, grad_output, beta != 0.0f, grad_input);
    }
}
