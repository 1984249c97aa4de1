#include <sigmatic/base/clones.h>
#include <sigmatic/ops/add.h>

#include "ops/parallel.h"
#include "ops/typed.h"

#include <math.h>
#include <string.h>

SM_TYPED void add_loop(sm_dtype type, size_t begin, size_t end, const void *a, const void *b, float floor, void *output)
{
#pragma GCC ivdep /* output may be a or b itself */
    for (size_t i = begin; i < end; i++) {
        float sum = sm_map_get(type, a, i) + sm_map_get(type, b, i);
        sm_map_put(type, output, i, sum < floor ? floor : sum);
    }
}

static SM_CLONES(void, add_range,
                 (sm_dtype type, size_t begin, size_t end, const void *a, const void *b, float floor, void *output),
                 (type, begin, end, a, b, floor, output))
{
    SM_WITH_TYPE(type, add_loop, begin, end, a, b, floor, output);
}

void sm_add_forward(sm_dtype type, size_t count, const void *a, const void *b, int relu, void *output, int threads)
{
    int parts = sm_threads_worth(count, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        size_t begin = sm_part_begin(count, part, parts), end = sm_part_begin(count, part + 1, parts);
        add_range(type, begin, end, a, b, relu ? 0.0f : -INFINITY, output);
    }
}

void sm_accumulate(sm_dtype type, size_t count, const void *source, float beta, void *destination, int threads)
{
    int parts = sm_threads_worth(count, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        size_t begin = sm_part_begin(count, part, parts), end = sm_part_begin(count, part + 1, parts);
        if (beta != 0.0f) {
            add_range(type, begin, end, destination, source, -INFINITY, destination);
        } else if (destination != source) {
            memcpy(sm_map_at(type, destination, begin), sm_map_at_const(type, source, begin),
                   (end - begin) * sm_dtype_bytes(type));
        }
    }
}
