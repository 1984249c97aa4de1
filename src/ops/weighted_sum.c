/* A block that stays in the first cache is summed in float over all sources, then stored. */
#include <sigmatic/base/clones.h>
#include <sigmatic/ops/weighted_sum.h>

#include "ops/parallel.h"
#include "ops/typed.h"

enum { BLOCK = 1024 };

SM_TYPED void load_loop(sm_dtype type, size_t begin, size_t count, const void *destination, float beta, float *sums)
{
    for (size_t i = 0; i < count; i++) {
        sums[i] = beta != 0.0f ? sm_map_get(type, destination, begin + i) : 0.0f;
    }
}

SM_TYPED void add_loop(sm_dtype type, size_t begin, size_t count, const void *source, float weight, float *sums)
{
    for (size_t i = 0; i < count; i++) {
        sums[i] += weight * sm_map_get(type, source, begin + i);
    }
}

SM_TYPED void store_loop(sm_dtype type, size_t begin, size_t count, const float *sums, void *destination)
{
    for (size_t i = 0; i < count; i++) {
        sm_map_put(type, destination, begin + i, sums[i]);
    }
}

static SM_CLONES(void, sum_block,
                 (sm_dtype type, size_t begin, size_t elements, int count, const void *const *sources,
                  const float *weights, float beta, void *destination),
                 (type, begin, elements, count, sources, weights, beta, destination))
{
    float sums[BLOCK];
    SM_WITH_TYPE(type, load_loop, begin, elements, destination, beta, sums);
    for (int j = 0; j < count; j++) {
        SM_WITH_TYPE(type, add_loop, begin, elements, sources[j], weights[j], sums);
    }
    SM_WITH_TYPE(type, store_loop, begin, elements, sums, destination);
}

void sm_weighted_sum(sm_dtype type, size_t elements, int count, const void *const *sources, const float *weights,
                     float beta, void *destination, int threads)
{
    int parts = sm_threads_worth(elements * (size_t)(count + 1), threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        size_t end = sm_part_begin(elements, part + 1, parts);
        for (size_t begin = sm_part_begin(elements, part, parts); begin < end; begin += BLOCK) {
            size_t block = end - begin < BLOCK ? end - begin : BLOCK;
            sum_block(type, begin, block, count, sources, weights, beta, destination);
        }
    }
}
