#include "ops/pack.h"

enum { SQUARE = 16 };

static void transpose_part(int rows, int columns, const float *from, size_t from_stride, float *to, size_t to_stride)
{
    for (int j = 0; j < columns; j++) {
        for (int k = 0; k < rows; k++) {
            to[k * to_stride + j] = from[j * from_stride + k];
        }
    }
}

static void transpose_square_plain(const float *from, size_t from_stride, float *to, size_t to_stride)
{
    transpose_part(SQUARE, SQUARE, from, from_stride, to, to_stride);
}

static sm_transpose_square *best_square(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f")) {
        return sm_transpose_square_avx512;
    }
#endif
    return transpose_square_plain;
}

/* In squares, so that the lines of both sides are used whole while they are in L1. */
void sm_transpose(int rows, int columns, const float *from, size_t from_stride, float *to, size_t to_stride)
{
    sm_transpose_square *square = best_square();
    for (int j = 0; j < columns; j += SQUARE) {
        for (int k = 0; k < rows; k += SQUARE) {
            int down = rows - k < SQUARE ? rows - k : SQUARE, across = columns - j < SQUARE ? columns - j : SQUARE;
            const float *source = from + j * from_stride + k;
            float *target = to + k * to_stride + j;
            if (down == SQUARE && across == SQUARE) {
                square(source, from_stride, target, to_stride);
            } else {
                transpose_part(down, across, source, from_stride, target, to_stride);
            }
        }
    }
}
