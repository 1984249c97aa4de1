/* Tiles of 6 x 16: 12 of the 16 registers hold C. Edge columns go through masks, as in the AVX-512 kernel. */
#if defined(__AVX2__)
#include "ops/microkernel.h"

#include <immintrin.h>

enum { ROWS = 6, LANES = 8 };

static inline __attribute__((always_inline)) void multiply(const int rows, const int vectors, int depth, const float *a,
                                                           const size_t row_stride, const size_t step_stride,
                                                           const float *b, float *const *c, size_t offset,
                                                           const __m256i *masks, int accumulate)
{
    __m256 sum[ROWS][2];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        _mm_prefetch(c[i] + offset, _MM_HINT_T0);
        for (int v = 0; v < vectors; v++) {
            sum[i][v] = _mm256_setzero_ps();
        }
    }
    for (int k = 0; k < depth; k++) {
        __m256 b0 = _mm256_loadu_ps(b);
        __m256 b1 = vectors > 1 ? _mm256_loadu_ps(b + LANES) : b0;
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            __m256 value = _mm256_broadcast_ss(a + (size_t)i * row_stride);
            sum[i][0] = _mm256_fmadd_ps(value, b0, sum[i][0]);
            if (vectors > 1) {
                sum[i][1] = _mm256_fmadd_ps(value, b1, sum[i][1]);
            }
        }
        a += step_stride;
        b += 2 * LANES;
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        for (int v = 0; v < vectors; v++) {
            float *out = c[i] + offset + v * LANES;
            __m256 old = accumulate ? _mm256_maskload_ps(out, masks[v]) : _mm256_setzero_ps();
            _mm256_maskstore_ps(out, masks[v], _mm256_add_ps(old, sum[i][v]));
        }
    }
}

/* \return a mask of the lanes that hold columns first .. columns - 1 */
static inline __m256i lanes(int columns, int first)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(columns - first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#define CASE(ROWS_NOW, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                               \
    case ROWS_NOW:                                                                                                     \
        multiply(ROWS_NOW, VECTORS, depth, a, ROW_STRIDE, STEP_STRIDE, b, c, offset, masks, accumulate);               \
        break;
#define ALL_ROWS(VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                     \
    switch (rows) {                                                                                                    \
        CASE(1, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                      \
        CASE(2, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                      \
        CASE(3, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                      \
        CASE(4, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                      \
        CASE(5, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                      \
        CASE(6, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                      \
    }

void sm_multiply_block_avx2(int rows, int columns, int depth, const float *a, size_t stride, const float *b,
                            float *const *c, size_t offset, int accumulate)
{
    __m256i masks[2] = {lanes(columns, 0), lanes(columns, LANES)};
    if (columns > LANES) {
        ALL_ROWS(2, stride, 1)
    } else {
        ALL_ROWS(1, stride, 1)
    }
}

void sm_multiply_panel_avx2(int rows, int columns, int depth, const float *a, size_t stride, const float *b,
                            float *const *c, size_t offset, int accumulate)
{
    __m256i masks[2] = {lanes(columns, 0), lanes(columns, LANES)};
    if (columns > LANES) {
        ALL_ROWS(2, 1, stride)
    } else {
        ALL_ROWS(1, 1, stride)
    }
}
#endif
