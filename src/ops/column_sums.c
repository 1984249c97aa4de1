#include <sigmatic/base/clones.h>

#include "ops/column_sums.h"
#include "ops/parallel.h"
#include "ops/typed.h"

enum { SLICE = 128 }; /* channels whose sums one thread holds: 1 KiB in L1, 8 cache lines of each row */

SM_TYPED void slice_loop(sm_dtype type, size_t pixels, int width, size_t stride, const void *from,
                         double *restrict sums)
{
    for (int c = 0; c < width; c++) {
        sums[c] = 0.0;
    }
    for (size_t p = 0; p < pixels; p++) {
        for (int c = 0; c < width; c++) {
            sums[c] += (double)sm_map_get(type, from, p * stride + c);
        }
    }
}

static SM_CLONES(void, slice_sums,
                 (sm_dtype type, size_t pixels, int width, size_t stride, const void *from, double *sums),
                 (type, pixels, width, stride, from, sums))
{
    SM_WITH_TYPE(type, slice_loop, pixels, width, stride, from, sums);
}

void sm_column_sums(sm_dtype type, int batch, size_t pixels, int channels, size_t stride, const void *from,
                    double factor, float beta, float *result, int threads)
{
    int slices = (channels + SLICE - 1) / SLICE, parts = sm_threads_worth(batch * pixels * channels, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int task = 0; task < batch * slices; task++) {
        int n = task / slices, first = task % slices * SLICE;
        int width = channels - first < SLICE ? channels - first : SLICE;
        double sums[SLICE];
        float *to = result + (size_t)n * channels + first;
        slice_sums(type, pixels, width, stride, sm_map_at_const(type, from, (size_t)n * pixels * stride + first), sums);
        for (int c = 0; c < width; c++) {
            to[c] = (float)(factor * sums[c] + (beta == 0.0f ? 0.0 : (double)beta * to[c]));
        }
    }
}
