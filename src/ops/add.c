#include <sigmatic/base/clones.h>
#include <sigmatic/ops/add.h>

#include "ops/parallel.h"

#include <string.h>

SM_CLONES static void add_range(size_t begin, size_t end, const float *a, const float *b, float *output)
{
    for (size_t i = begin; i < end; i++) {
        output[i] = a[i] + b[i];
    }
}

SM_CLONES static void add_relu_range(size_t begin, size_t end, const float *a, const float *b, float *output)
{
    for (size_t i = begin; i < end; i++) {
        float sum = a[i] + b[i];
        output[i] = sum < 0.0f ? 0.0f : sum;
    }
}

void sm_add_forward(size_t count, const float *a, const float *b, int relu, float *output, int threads)
{
    int parts = sm_threads_worth(count, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        size_t begin = sm_part_begin(count, part, parts), end = sm_part_begin(count, part + 1, parts);
        (relu ? add_relu_range : add_range)(begin, end, a, b, output);
    }
}

void sm_accumulate(size_t count, const float *source, float beta, float *destination, int threads)
{
    int parts = sm_threads_worth(count, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        size_t begin = sm_part_begin(count, part, parts), end = sm_part_begin(count, part + 1, parts);
        if (beta != 0.0f) {
            add_range(begin, end, destination, source, destination);
        } else if (destination != source) {
            memcpy(destination + begin, source + begin, (end - begin) * sizeof(float));
        }
    }
}
