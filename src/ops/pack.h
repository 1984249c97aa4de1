/** \file
 * Copies of matrices. */
#ifndef SIGMATIC_OPS_PACK_H
#define SIGMATIC_OPS_PACK_H

#include <stddef.h>

/** Cuts a row into pieces of `width` floats, which go `stride` floats apart; the last one is filled up with zeros. */
void sm_split_row(int columns, const float *from, int width, float *to, size_t stride);

/** to[k * to_stride + j] = from[j * from_stride + k], k < rows, j < columns. */
void sm_transpose(int rows, int columns, const float *from, size_t from_stride, float *to, size_t to_stride);

/** The same of 16 x 16 floats: its fast core. */
typedef void sm_transpose_square(const float *from, size_t from_stride, float *to, size_t to_stride);
sm_transpose_square sm_transpose_square_avx512;

#endif
