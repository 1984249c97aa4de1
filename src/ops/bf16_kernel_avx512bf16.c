/* Dot products of pairs in vectors: 8 rows x 32 columns at a time, one part only (with three, plain float arithmetic is
 * faster). */
#if defined(__AVX512BF16__)
#include "ops/bf16_kernel.h"
#include "ops/vectors_avx512.h"
#include "ops/whole.h"

enum { LANES = 16, PAIRS = 16, HALF_BYTES = 1024, LINE = 64, ROWS = 8 };

static int supported(void)
{
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

/* One block of steps of row `first`, counted over all pieces. */
static inline const char *line_of(const sm_bf16_factor *a, int first, int block)
{
    int blocks = sm_divide_up(a->depth, SM_BF16_STEPS);
    const char *half = a->half[block / blocks][first / SM_BF16_HALF_ROWS];
    return half + (first % SM_BF16_HALF_ROWS) * a->stride + (size_t)(block % blocks) * LINE;
}

static inline __attribute__((always_inline)) void multiply_rows(const int rows, int columns, int first,
                                                                const sm_bf16_factor *a, const char *b, float *const *c,
                                                                size_t offset, int accumulate)
{
    __m512 sum[ROWS][2];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    }
    for (int block = 0; block < a->count * sm_divide_up(a->depth, SM_BF16_STEPS); block++, b += 2 * HALF_BYTES) {
        const char *row = line_of(a, first, block);
        for (int j = 0; j < PAIRS; j++) {
            __m512bh left = (__m512bh)_mm512_load_si512((const __m512i *)(b + j * LINE));
            __m512bh right = (__m512bh)_mm512_load_si512((const __m512i *)(b + HALF_BYTES + j * LINE));
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) {
                __m512bh pair = (__m512bh)_mm512_set1_epi32(*(const int *)(row + i * a->stride + j * 4));
                sum[i][0] = _mm512_dpbf16_ps(sum[i][0], pair, left);
                sum[i][1] = _mm512_dpbf16_ps(sum[i][1], pair, right);
            }
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

static void multiply(int parts, int rows, int columns, const sm_bf16_factor *a, const char *b, float *const *c,
                     size_t offset, int accumulate)
{
    (void)parts;
    for (int first = 0; first < rows; first += ROWS) {
        switch (rows - first < ROWS ? rows - first : ROWS) {
#define CASE(COUNT)                                                                                                    \
    case COUNT:                                                                                                        \
        multiply_rows(COUNT, columns, first, a, b, c + first, offset, accumulate);                                     \
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
                                                  .multiply = multiply};
#endif
