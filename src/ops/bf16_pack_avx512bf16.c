/* Packing for the two kernels that multiply pairs of steps: matrix registers and vectors of dot products.
 *
 * Which steps form a pair is free as long as A and B agree: here k and k + 16, since then both halves of a pair come
 * from whole vectors. A line is 16 pairs.
 *   a row of A: [block][part][pair]      B: [block][part][half of the columns][pair][column] */
#if defined(__AVX512BF16__)
#include "ops/bf16_kernel.h"
#include "ops/vectors_avx512.h"

#include <stddef.h>

enum { LANES = 16, PAIRS = 16, HALF_BYTES = 1024, COLUMNS_PART = 2 * HALF_BYTES, LINE = 64 };

/* The parts of a vector, each in the upper half of its float's bits; below it the last of two is not cleared. Rounding
 * half away from zero instead of to even keeps all three exact. */
typedef struct parts {
    __m512i part[SM_BF16_PARTS_MAX];
} parts;

static inline __attribute__((always_inline)) parts split(const int count, __m512 x)
{
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32((int)0xffff0000u);
    parts p;
    for (int i = 0; i < count - 1; i++) {
        p.part[i] = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), half), upper);
        x = _mm512_sub_ps(x, _mm512_castsi512_ps(p.part[i]));
    }
    p.part[count - 1] = _mm512_castps_si512(x);
    if (count == 2) { /* rounded, but for NaN, which would become a number */
        p.part[1] = _mm512_mask_add_epi32(p.part[1], _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q), p.part[1], half);
    }
    return p;
}

/* One part of steps k (lower half) and k + 16 (upper half). The last part still has to be rounded if it is the only
 * one; as the second it is, as the third it fits. */
static inline __attribute__((always_inline)) __m512i pair(const int count, __m512i lower, __m512i upper)
{
    if (count == 1) {
        __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_castsi512_ps(lower)));
        __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_castsi512_ps(upper)));
        return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
    }
    return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(lower, 16), upper);
}

static inline __attribute__((always_inline)) void pack_pair(const int count, __m512 lower, __m512 upper,
                                                            size_t part_stride, char *to)
{
    parts low = split(count, lower), high = split(count, upper);
    for (int p = 0; p < count; p++) {
        _mm512_store_si512((__m512i *)(to + (size_t)p * part_stride), pair(count, low.part[p], high.part[p]));
    }
}

static inline __attribute__((always_inline)) void pack_rows(const int count, int rows, int depth, const float *a,
                                                            size_t row_stride, char *to, size_t stride)
{
    for (int k = 0; k < depth; k += SM_BF16_STEPS, to += count * LINE) {
        __mmask16 first = sm_lanes(depth - k), second = sm_lanes(depth - k - LANES);
        for (int i = 0; i < rows; i++) {
            __m512 low = _mm512_maskz_loadu_ps(first, a + (size_t)i * row_stride + k);
            __m512 high = _mm512_maskz_loadu_ps(second, a + (size_t)i * row_stride + k + LANES);
            pack_pair(count, low, high, LINE, to + (size_t)i * stride);
        }
    }
}

static inline __attribute__((always_inline)) void pack_columns(const int count, int columns, int depth,
                                                               const void *const *steps, size_t offset, char *to)
{
    __mmask16 mask[2] = {sm_lanes(columns), sm_lanes(columns - LANES)};
    for (int k = 0; k < depth; k += SM_BF16_STEPS, to += count * COLUMNS_PART) {
        for (int j = 0; j < PAIRS; j++) {
            const float *first = k + j < depth ? steps[k + j] : NULL;
            const float *second = k + j + PAIRS < depth ? steps[k + j + PAIRS] : NULL;
            for (int half = 0; half < 2; half++) {
                size_t at = offset + (size_t)half * LANES;
                __m512 low = _mm512_setzero_ps(), high = low;
                if (first) {
                    low = _mm512_maskz_loadu_ps(mask[half], first + at);
                }
                if (second) {
                    high = _mm512_maskz_loadu_ps(mask[half], second + at);
                }
                pack_pair(count, low, high, COLUMNS_PART, to + half * HALF_BYTES + j * LINE);
            }
        }
    }
}

/* 16 rows of 16 steps, which lie as 16 steps of 16 rows; rows that the mask leaves out and steps from `count` on are
 * zero. */
static inline __attribute__((always_inline)) void load_turned(__mmask16 mask, int count, const void *const *steps,
                                                              size_t offset, __m512 *r)
{
#pragma GCC unroll 16
    for (int k = 0; k < 16; k++) {
        r[k] = k < count ? _mm512_maskz_loadu_ps(mask, (const float *)steps[k] + offset) : _mm512_setzero_ps();
    }
    sm_turn_square(r);
}

static inline __attribute__((always_inline)) void pack_rows_transposed(const int count, int rows, int depth,
                                                                       const void *const *steps, size_t offset,
                                                                       char *to, size_t stride)
{
    for (int k = 0; k < depth; k += SM_BF16_STEPS, to += count * LINE) {
        for (int row = 0; row < rows; row += LANES) {
            __m512 low[LANES], high[LANES];
            load_turned(sm_lanes(rows - row), depth - k, steps + k, offset + (size_t)row, low);
            load_turned(sm_lanes(rows - row), depth - k - PAIRS, steps + k + PAIRS, offset + (size_t)row, high);
            for (int i = 0; i < LANES; i++) {
                pack_pair(count, low[i], high[i], LINE, to + (size_t)(row + i) * stride);
            }
        }
    }
}

/* ---- the same of bfloat16 numbers, which are parts already ------------------------------------------------------- */

static inline __m256i load_bf16(__mmask16 mask, const sm_bf16 *from)
{
    return _mm256_maskz_loadu_epi16(mask, from);
}

/* Steps k (lower half) and k + 16 (upper half). */
static inline __m512i pair_bf16(__m256i lower, __m256i upper)
{
    return _mm512_or_si512(_mm512_cvtepu16_epi32(lower), _mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16));
}

static void pack_rows_bf16(int rows, int depth, const sm_bf16 *a, size_t row_stride, char *to, size_t stride)
{
    for (int k = 0; k < depth; k += SM_BF16_STEPS, to += LINE) {
        __mmask16 first = sm_lanes(depth - k), second = sm_lanes(depth - k - LANES);
        for (int i = 0; i < rows; i++) {
            const sm_bf16 *row = a + (size_t)i * row_stride + k;
            _mm512_store_si512((__m512i *)(to + (size_t)i * stride),
                               pair_bf16(load_bf16(first, row), load_bf16(second, row + LANES)));
        }
    }
}

/* Steps k and k + 16 of those that lie anywhere: 16 elements from `at` on; steps from `depth` on are zero. */
static inline __m512i load_pair(__mmask16 mask, const void *const *steps, int k, int depth, size_t at)
{
    __m256i lower = _mm256_setzero_si256(), upper = lower;
    if (k < depth) {
        lower = load_bf16(mask, (const sm_bf16 *)steps[k] + at);
    }
    if (k + PAIRS < depth) {
        upper = load_bf16(mask, (const sm_bf16 *)steps[k + PAIRS] + at);
    }
    return pair_bf16(lower, upper);
}

static void pack_columns_bf16(int columns, int depth, const void *const *steps, size_t offset, char *to)
{
    for (int k = 0; k < depth; k += SM_BF16_STEPS, to += COLUMNS_PART) {
        for (int j = 0; j < PAIRS; j++) {
            for (int half = 0; half < 2; half++) {
                __mmask16 mask = sm_lanes(columns - half * LANES);
                _mm512_store_si512((__m512i *)(to + half * HALF_BYTES + j * LINE),
                                   load_pair(mask, steps, k + j, depth, offset + (size_t)half * LANES));
            }
        }
    }
}

static void pack_rows_transposed_bf16(int rows, int depth, const void *const *steps, size_t offset, char *to,
                                      size_t stride)
{
    for (int k = 0; k < depth; k += SM_BF16_STEPS, to += LINE) {
        for (int row = 0; row < rows; row += LANES) {
            __m512 pairs[PAIRS];
#pragma GCC unroll 16
            for (int j = 0; j < PAIRS; j++) {
                pairs[j] =
                    _mm512_castsi512_ps(load_pair(sm_lanes(rows - row), steps, k + j, depth, offset + (size_t)row));
            }
            sm_turn_square(pairs);
            for (int i = 0; i < LANES; i++) {
                _mm512_store_ps(to + (size_t)(row + i) * stride, pairs[i]);
            }
        }
    }
}

void sm_bf16_round_rows_avx512(int rows, int columns, float *const *c, size_t offset, int accumulate,
                               sm_bf16 *const *to, size_t to_offset)
{
    __mmask16 mask[2] = {sm_lanes(columns), sm_lanes(columns - LANES)};
    for (int i = 0; i < rows; i++) {
        for (int half = 0; half < 2 && to[i]; half++) {
            sm_bf16 *at = to[i] + to_offset + half * LANES;
            __m512 x = _mm512_maskz_loadu_ps(mask[half], c[i] + offset + half * LANES);
            if (accumulate) {
                __m512i old = _mm512_slli_epi32(_mm512_cvtepu16_epi32(load_bf16(mask[half], at)), 16);
                x = _mm512_add_ps(_mm512_castsi512_ps(old), x);
            }
            _mm256_mask_storeu_epi16(at, mask[half], (__m256i)_mm512_cvtneps_pbh(x));
        }
    }
}

/* ---- by number of parts and type --------------------------------------------------------------------------------- */

void sm_bf16_pack_rows_avx512(int count, int rows, int depth, sm_dtype type, const void *a, size_t row_stride,
                              char *packed, size_t packed_stride)
{
    if (type == SM_BF16) {
        pack_rows_bf16(rows, depth, a, row_stride, packed, packed_stride);
    } else if (count == 1) {
        pack_rows(1, rows, depth, a, row_stride, packed, packed_stride);
    } else if (count == 2) {
        pack_rows(2, rows, depth, a, row_stride, packed, packed_stride);
    } else {
        pack_rows(3, rows, depth, a, row_stride, packed, packed_stride);
    }
}

void sm_bf16_pack_columns_avx512(int count, int columns, int depth, sm_dtype type, const void *const *steps,
                                 size_t offset, char *packed)
{
    if (type == SM_BF16) {
        pack_columns_bf16(columns, depth, steps, offset, packed);
    } else if (count == 1) {
        pack_columns(1, columns, depth, steps, offset, packed);
    } else if (count == 2) {
        pack_columns(2, columns, depth, steps, offset, packed);
    } else {
        pack_columns(3, columns, depth, steps, offset, packed);
    }
}

void sm_bf16_pack_rows_transposed_avx512(int count, int rows, int depth, sm_dtype type, const void *const *steps,
                                         size_t offset, char *packed, size_t packed_stride)
{
    if (type == SM_BF16) {
        pack_rows_transposed_bf16(rows, depth, steps, offset, packed, packed_stride);
    } else if (count == 1) {
        pack_rows_transposed(1, rows, depth, steps, offset, packed, packed_stride);
    } else if (count == 2) {
        pack_rows_transposed(2, rows, depth, steps, offset, packed, packed_stride);
    } else {
        pack_rows_transposed(3, rows, depth, steps, offset, packed, packed_stride);
    }
}
#endif
