#include "ops/pack.h"

/* In squares, so that the lines of both sides are used whole while they are in L1. */
void sm_transpose(int rows, int columns, const float *from, size_t from_stride, float *to, size_t to_stride)
{
    enum { SQUARE = 16 };
    for (int k0 = 0; k0 < rows; k0 += SQUARE) {
        int k1 = k0 + SQUARE < rows ? k0 + SQUARE : rows;
        for (int j0 = 0; j0 < columns; j0 += SQUARE) {
            int j1 = j0 + SQUARE < columns ? j0 + SQUARE : columns;
            for (int j = j0; j < j1; j++) {
                for (int k = k0; k < k1; k++) {
                    to[k * to_stride + j] = from[j * from_stride + k];
                }
            }
        }
    }
}
