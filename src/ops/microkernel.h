/** \file
 * The innermost loop of every fast convolution: one register tile of a matrix product,
 *
 *   C[i][j] (+)= sum over k of A[i][k] * B[k][j],   i < rows, j < columns, k < depth
 *
 * B comes from a panel (depth rows of tile_columns floats, unused columns finite), C goes to `rows` separate rows of
 * memory. A comes in two forms:
 *   block  rows `stride` floats apart, k along the row: pixels with their channels (forward, data gradient)
 *   panel  one row a k, `stride` floats apart, i along the row: channels of a pixel (weight gradient)
 * A kernel that wants A in an order of its own says so by `arranges`. */
#ifndef SIGMATIC_OPS_MICROKERNEL_H
#define SIGMATIC_OPS_MICROKERNEL_H

#include "ops/winograd.h"

#include <stddef.h>

enum {
    SM_TILE_DEPTH = 512, /**< most k of one call: a block of A then fits L1 */
    SM_BLOCK_STRIDE =
        SM_TILE_DEPTH + 16, /**< of packed rows: an odd number of cache lines, so that they spread over L1's sets */
    SM_TILE_ROWS_MAX = 32,
    SM_TILE_COLUMNS_MAX = 32,
    SM_BLOCK_FLOATS = SM_TILE_ROWS_MAX * SM_BLOCK_STRIDE
};

/** C (+)= A * B. Column j of row i is c[i][offset + j]. `accumulate` 0: the old C is not read. */
typedef void sm_microkernel_multiply(int rows, int columns, int depth, const float *a, size_t stride, const float *b,
                                     float *const *c, size_t offset, int accumulate);

typedef struct sm_microkernel {
    const char *name;
    int (*supported)(void); /**< by this CPU */
    int tile_rows, tile_columns;
    sm_microkernel_multiply *multiply_block;
    sm_microkernel_multiply *multiply_panel;
    /** Copies A (row_stride and step_stride apart) to where and how both multiply functions want it, SM_BLOCK_FLOATS.
     * NULL: they read A as it is. */
    void (*arrange)(int rows, int depth, const float *a, size_t row_stride, size_t step_stride, float *arranged);
    const sm_winograd *winograd; /**< transforms by the same instructions: one row a tile size, ends with size 0 */
} sm_microkernel;

/** \return the kernel of the instruction set in use (isa.c). */
const sm_microkernel *sm_microkernel_get(void);

extern const sm_microkernel sm_microkernel_avx512, sm_microkernel_avx2, sm_microkernel_plain;

/** Complete once supported() was asked: its sizes are BLIS's. */
extern sm_microkernel sm_microkernel_blis;

sm_microkernel_multiply sm_multiply_block_avx512, sm_multiply_panel_avx512;
sm_microkernel_multiply sm_multiply_block_avx2, sm_multiply_panel_avx2;

#endif
