#include "comm/reduction_kernels.h"

#include <sigmatic/base/clones.h>

#include <string.h>

enum { BLOCK = 1024 }; /* the running sum stays in the first-level cache while the sources stream by */

static SM_CLONES(void, add, (float *restrict into, const float *restrict from, size_t count), (into, from, count))
{
    for (size_t i = 0; i < count; i++) {
        into[i] += from[i];
    }
}

static void add_block(const float *const *from, size_t sources, float *const *to, size_t targets, size_t first,
                      size_t count)
{
    float sum[BLOCK];
    memcpy(sum, from[0] + first, count * sizeof *sum);
    for (size_t s = 1; s < sources; s++) {
        add(sum, from[s] + first, count);
    }
    for (size_t t = 0; t < targets; t++) {
        memcpy(to[t] + first, sum, count * sizeof *sum);
    }
}

void sm_add_in_order(const float *const *from, size_t sources, float *const *to, size_t targets, size_t first,
                     size_t count, int threads)
{
    size_t blocks = (count + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (size_t b = 0; b < blocks; b++) {
        add_block(from, sources, to, targets, first + b * BLOCK, count - b * BLOCK < BLOCK ? count - b * BLOCK : BLOCK);
    }
}

SM_CLONES(void, sm_bf16_from_floats, (const float *from, sm_bf16 *to, size_t count), (from, to, count))
{
    for (size_t i = 0; i < count; i++) {
        to[i] = sm_bf16_of(from[i]);
    }
}

SM_CLONES(void, sm_floats_from_bf16, (const sm_bf16 *from, float *to, size_t count), (from, to, count))
{
    for (size_t i = 0; i < count; i++) {
        to[i] = sm_float_of(from[i]);
    }
}
