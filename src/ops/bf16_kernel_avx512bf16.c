/* Dot products of pairs in vectors: 8 rows x 32 columns at a time, one part only (with several, plain float arithmetic
 * is faster). */
#if defined(__AVX512BF16__)
#include "ops/bf16_kernel.h"
#include "ops/vectors_avx512.h"

enum { LANES = 16, PAIRS = 16, HALF_BYTES = 1024, LINE = 64, ROWS = 8 };

static int supported(void)
{
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

/* Adds one block of steps to the sums of up to ROWS rows. */
static inline __attribute__((always_inline)) void add_block(const int rows, const char *a, size_t stride, const char *b,
                                                            __m512 (*sum)[2])
{
    for (int j = 0; j < PAIRS; j++) {
        __m512bh left = (__m512bh)_mm512_load_si512((const __m512i *)(b + j * LINE));
        __m512bh right = (__m512bh)_mm512_load_si512((const __m512i *)(b + HALF_BYTES + j * LINE));
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            __m512bh pair = (__m512bh)_mm512_set1_epi32(*(const int *)(a + i * stride + j * 4));
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], pair, left);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], pair, right);
        }
    }
}

static inline __attribute__((always_inline)) void multiply_rows(const int rows, int columns, int first,
                                                                const sm_bf16_factors *factors, float *const *c,
                                                                size_t offset, int accumulate)
{
    __m512 sum[ROWS][2];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    }
    for (int i = 0; i < factors->count; i++) {
        const sm_bf16_piece *piece = &factors->piece[i];
        const char *a = piece->half[first / SM_BF16_HALF_ROWS] + (first % SM_BF16_HALF_ROWS) * factors->stride;
        const char *b = piece->columns;
        for (int k = 0; k < factors->depth; k += SM_BF16_STEPS, a += LINE, b += 2 * HALF_BYTES) {
            add_block(rows, a, factors->stride, b, sum);
        }
    }
    __mmask16 mask[2] = {sm_lanes(columns), sm_lanes(columns - LANES)};
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        for (int half = 0; half < 2; half++) {
            float *to = c[i] + offset + half * LANES;
            __m512 old = accumulate ? _mm512_maskz_loadu_ps(mask[half], to) : _mm512_setzero_ps();
            _mm512_mask_storeu_ps(to, mask[half], _mm512_add_ps(old, sum[i][half]));
        }
    }
}

static void multiply(int parts, int rows, int columns, const sm_bf16_factors *factors, float *const *c, size_t offset,
                     int accumulate)
{
    (void)parts;
    for (int first = 0; first < rows; first += ROWS) {
        switch (rows - first < ROWS ? rows - first : ROWS) {
#define CASE(COUNT)                                                                                                    \
    case COUNT:                                                                                                        \
        multiply_rows(COUNT, columns, first, factors, c + first, offset, accumulate);                                  \
        break;
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#undef CASE
        }
    }
}

const sm_bf16_kernel sm_bf16_kernel_avx512bf16 = {.name = "avx512bf16",
                                                  .parts_max = 1,
                                                  .supported = supported,
                                                  .pack_rows = sm_bf16_pack_rows_avx512,
                                                  .pack_rows_transposed = sm_bf16_pack_rows_transposed_avx512,
                                                  .pack_columns = sm_bf16_pack_columns_avx512,
                                                  .multiply = multiply,
                                                  .round_rows = sm_bf16_round_rows_avx512};
#endif
