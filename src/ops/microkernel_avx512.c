/* Tiles of 14 x 32: 28 of the 32 registers hold C, two a row of B, one an element of A. Rows and vectors of a tile are
 * compile-time constants of the inlined body, so that C stays in registers; edge columns are masked. */
#if defined(__AVX512F__)
#include "ops/microkernel.h"

#include <immintrin.h>

/* Rows are addressed from a few bases, each with the next two rows by the addressing modes: 14 addresses of their own
 * would not fit the registers. The compiler must not see that they belong together. */
enum { ROWS = 14, LANES = 16, ROWS_A_BASE = 3, BASES = 5 };

static inline __attribute__((always_inline)) void multiply(const int rows, const int vectors, int depth, const float *a,
                                                           const size_t row_stride, const size_t step_stride,
                                                           const float *b, float *const *c, size_t offset,
                                                           const __mmask16 *masks, int accumulate)
{
    __m512 sum[ROWS][2];
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
        for (int v = 0; v < vectors; v++) {
            _mm_prefetch(c[i] + offset + v * LANES, _MM_HINT_T0);
            sum[i][v] = _mm512_setzero_ps();
        }
    }
    const float *base[BASES];
#pragma GCC unroll 5
    for (int i = 0; i < BASES; i++) {
        base[i] = a + (size_t)(ROWS_A_BASE * i) * row_stride;
        __asm__("" : "+r"(base[i]));
    }
    for (int k = 0; k < depth; k++) {
        __m512 b0 = _mm512_loadu_ps(b);
        __m512 b1 = vectors > 1 ? _mm512_loadu_ps(b + LANES) : b0;
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            __m512 value = _mm512_set1_ps(base[i / ROWS_A_BASE][(size_t)(i % ROWS_A_BASE) * row_stride]);
            sum[i][0] = _mm512_fmadd_ps(value, b0, sum[i][0]);
            if (vectors > 1) {
                sum[i][1] = _mm512_fmadd_ps(value, b1, sum[i][1]);
            }
        }
#pragma GCC unroll 5
        for (int i = 0; i < BASES; i++) {
            base[i] += step_stride;
        }
        b += 2 * LANES;
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
        for (int v = 0; v < vectors; v++) {
            float *out = c[i] + offset + v * LANES;
            __m512 old = accumulate ? _mm512_maskz_loadu_ps(masks[v], out) : _mm512_setzero_ps();
            _mm512_mask_storeu_ps(out, masks[v], _mm512_add_ps(old, sum[i][v]));
        }
    }
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
        CASE(7, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                      \
        CASE(8, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                      \
        CASE(9, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                      \
        CASE(10, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                     \
        CASE(11, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                     \
        CASE(12, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                     \
        CASE(13, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                     \
        CASE(14, VECTORS, ROW_STRIDE, STEP_STRIDE)                                                                     \
    }

void sm_multiply_block_avx512(int rows, int columns, int depth, const float *a, size_t stride, const float *b,
                              float *const *c, size_t offset, int accumulate)
{
    __mmask16 masks[2] = {(__mmask16)((1u << (columns < LANES ? columns : LANES)) - 1),
                          (__mmask16)((1u << (columns > LANES ? columns - LANES : 0)) - 1)};
    if (columns > LANES) {
        ALL_ROWS(2, stride, 1)
    } else {
        ALL_ROWS(1, stride, 1)
    }
}

void sm_multiply_panel_avx512(int rows, int columns, int depth, const float *a, size_t stride, const float *b,
                              float *const *c, size_t offset, int accumulate)
{
    __mmask16 masks[2] = {(__mmask16)((1u << (columns < LANES ? columns : LANES)) - 1),
                          (__mmask16)((1u << (columns > LANES ? columns - LANES : 0)) - 1)};
    if (columns > LANES) {
        ALL_ROWS(2, 1, stride)
    } else {
        ALL_ROWS(1, 1, stride)
    }
}
#endif
