#include "ops/pack.h"

#include <sigmatic/base/clones.h>
#include <sigmatic/base/vectors.h>

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
    if (sm_vectors_in_use == SM_VECTORS_AVX512) {
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

static inline __attribute__((always_inline)) void split_row(int columns, const float *from, const int width, float *to,
                                                            size_t stride)
{
    for (; columns >= width; columns -= width, from += width, to += stride) {
        for (int j = 0; j < width; j++) {
            to[j] = from[j];
        }
    }
    for (int j = 0; columns > 0 && j < width; j++) {
        to[j] = j < columns ? from[j] : 0;
    }
}

/* The usual widths are constants, so that their loops become a few vectors. */
SM_CLONES(void, sm_split_row, (int columns, const float *from, int width, float *to, size_t stride),
          (columns, from, width, to, stride))
{
    if (width == 32) {
        split_row(columns, from, 32, to, stride);
    } else if (width == 16) {
        split_row(columns, from, 16, to, stride);
    } else {
        split_row(columns, from, width, to, stride);
    }
}
