#include <sigmatic/base/clones.h>
#include <sigmatic/base/random.h>
#include <sigmatic/ops/dropout.h>

#include "ops/parallel.h"

/* One Philox block serves four neighbouring elements of a sample. The key is the seed, turned so that no other user
 * of the same seed draws these numbers. */

typedef struct mask_source {
    uint32_t key[2];
    uint32_t threshold; /* a draw below it drops */
    float scale;
} mask_source;

static mask_source source_of(const sm_dropout *dropout)
{
    uint64_t key = dropout->seed ^ sm_hash("dropout");
    return (mask_source){.key = {(uint32_t)key, (uint32_t)(key >> 32)},
                         .threshold = (uint32_t)((double)dropout->probability * 0x1p32),
                         .scale = 1.0f / (1.0f - dropout->probability)};
}

int sm_dropout_keeps(const sm_dropout *dropout, uint32_t sample, size_t element)
{
    mask_source source = source_of(dropout);
    uint32_t counter[4] = {(uint32_t)(element / 4), sample, dropout->step, dropout->op}, draws[4];
    sm_philox(source.key, counter, draws);
    return draws[element % 4] >= source.threshold;
}

/* Philox blocks drawn side by side in vector lanes. (Loops over 16 the compiler unrolls instead of making vectors.) */
enum { BLOCKS = 64 };

/* sm_philox() for the counters (first_block + lane, c1, c2, c3); draws[4 * lane ..] is the block of a lane. */
static SM_CLONES(void, draw_blocks,
                 (const uint32_t key[2], uint32_t first_block, uint32_t c1, uint32_t c2, uint32_t c3,
                  uint32_t draws[4 * BLOCKS]),
                 (key, first_block, c1, c2, c3, draws))
{
    uint32_t a[BLOCKS], b[BLOCKS], c[BLOCKS], d[BLOCKS], k0 = key[0], k1 = key[1];
    for (uint32_t lane = 0; lane < BLOCKS; lane++) {
        a[lane] = first_block + lane;
        b[lane] = c1;
        c[lane] = c2;
        d[lane] = c3;
    }
    for (int round = 0; round < 10; round++) {
        for (int lane = 0; lane < BLOCKS; lane++) {
            uint64_t p = (uint64_t)0xD2511F53u * a[lane], q = (uint64_t)0xCD9E8D57u * c[lane];
            a[lane] = (uint32_t)(q >> 32) ^ b[lane] ^ k0;
            b[lane] = (uint32_t)q;
            c[lane] = (uint32_t)(p >> 32) ^ d[lane] ^ k1;
            d[lane] = (uint32_t)p;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int lane = 0; lane < BLOCKS; lane++) {
        draws[4 * lane] = a[lane];
        draws[4 * lane + 1] = b[lane];
        draws[4 * lane + 2] = c[lane];
        draws[4 * lane + 3] = d[lane];
    }
}

static SM_CLONES(void, mask,
                 (size_t count, const uint32_t *draws, uint32_t threshold, float scale, const float *from, float beta,
                  float *to),
                 (count, draws, threshold, scale, from, beta, to))
{
    for (size_t i = 0; i < count; i++) {
        float value = draws[i] >= threshold ? from[i] * scale : 0.0f;
        to[i] = beta == 0.0f ? value : to[i] + value;
    }
}

/* Elements begin .. end - 1 of a sample; begin is a multiple of 4. */
static void one_sample(const sm_dropout *dropout, const mask_source *source, uint32_t sample, size_t begin, size_t end,
                       const float *from, float beta, float *to)
{
    uint32_t draws[4 * BLOCKS];
    for (size_t i = begin; i < end; i += 4 * BLOCKS) {
        size_t count = end - i < 4 * BLOCKS ? end - i : 4 * BLOCKS;
        draw_blocks(source->key, (uint32_t)(i / 4), sample, dropout->step, dropout->op, draws);
        mask(count, draws, source->threshold, source->scale, from + i, beta, to + i);
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
