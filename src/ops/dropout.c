#include <sigmatic/base/random.h>
#include <sigmatic/ops/dropout.h>

#include "ops/parallel.h"

/* One Philox block serves four neighbouring elements of a sample. The key is the seed, turned so that no other user of the same
 * seed draws these numbers. */

typedef struct mask_source {
    uint32_t key[2];
    uint32_t threshold; /* a draw below it drops */
    float scale;
} mask_source;

static mask_source source_of(const sm_dropout *dropout)
{
    uint64_t key = dropout->seed ^ sm_hash("dropout");
    return (mask_source){
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .threshold = (uint32_t)((double)dropout->probability * 0x1p32),
        .scale = 1.0f / (1.0f - dropout->probability)
    };
}

static void draw(const sm_dropout *dropout, const mask_source *source, uint32_t sample, size_t element,
                 uint32_t draws[4])
{
    uint32_t counter[4] = {(uint32_t)(element / 4), sample, dropout->step, dropout->op};
    sm_philox(source->key, counter, draws);
}

int sm_dropout_keeps(const sm_dropout *dropout, uint32_t sample, size_t element)
{
    mask_source source = source_of(dropout);
    uint32_t draws[4];
    draw(dropout, &source, sample, element, draws);
    return draws[element % 4] >= source.threshold;
}

static void one_sample(const sm_dropout *dropout, const mask_source *source, uint32_t sample, size_t begin, size_t end,
                       const float *from, float beta, float *to)
{
    uint32_t draws[4] = {0};
    for (size_t i = begin; i < end; i++) {
        if (i % 4 == 0) {
            draw(dropout, source, sample, i, draws);
        }
        float value = draws[i % 4] >= source->threshold ? from[i] * source->scale : 0.0f;
        to[i] = beta == 0.0f ? value : to[i] + value;
    }
}

void sm_dropout_forward(const sm_dropout *dropout, uint32_t first_sample, int batch, size_t elements,
                        const float *input, float *output, int threads)
{
    sm_dropout_backward(dropout, first_sample, batch, elements, input, 0.0f, output, threads);
}

void sm_dropout_backward(const sm_dropout *dropout, uint32_t first_sample, int batch, size_t elements,
                         const float *grad_output, float beta, float *grad_input, int threads)
{
    const mask_source source = source_of(dropout);
    int parts = sm_threads_worth(batch * elements, threads); /* each sample is cut into that many ranges */
#pragma omp parallel for num_threads(parts) schedule(static) collapse(2) if (parts > 1)
    for (int n = 0; n < batch; n++) {
        for (int part = 0; part < parts; part++) {
            size_t at = (size_t)n * elements;
            one_sample(dropout, &source, first_sample + (uint32_t)n, sm_part_begin(elements, part, parts),
                       sm_part_begin(elements, part + 1, parts), grad_output + at, beta, grad_input + at);
        }
    }
}
