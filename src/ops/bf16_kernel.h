/** \file
 * Matrix products of bfloat16 numbers with sums in float: one tile of
 *
 *   C[i][j] (+)= sum over k of A[i][k] * B[k][j],   i < rows, j < columns, k < depth
 *
 * A factor is one to three parts, x = x1 + x2 + x3 with x1 = bf16(x), x2 = bf16(x - x1), x3 = x - x1 - x2:
 *   parts = 1  mixed precision: x1 alone, relative error 2^-9
 *   parts = 2  16 of a float's 24 bits; the three products xi * yj with i + j <= 3 leave out a few 2^-18 |x y|
 *   parts = 3  a float's 24 bits; the six products xi * yj with i + j <= 4 leave out less than 2^-24 |x y|, which is
 *              what a float's multiplication itself rounds away (Henry, Tang, Heinecke, Leveraging the bfloat16
 *              Artificial Intelligence Datatype For Higher-Precision Computations, 2019)
 * Non-finite elements make non-finite sums (an infinity may become NaN); elements below 2^-110 may count as zero.
 *
 * Each kernel packs both factors in an order of its own, in blocks of SM_BF16_STEPS steps of the depth. A row of A is
 * one piece of memory, so that A may be any rows of something larger that was packed once: the pixels of an image. */
#ifndef SIGMATIC_OPS_BF16_KERNEL_H
#define SIGMATIC_OPS_BF16_KERNEL_H

#include <sigmatic/base/bf16.h>
#include <sigmatic/tensor/dtype.h>

#include <stddef.h>
#include <stdint.h>

enum {
    SM_BF16_STEPS = 32,     /**< of the depth, packed together */
    SM_BF16_ROWS = 32,      /**< of a tile */
    SM_BF16_HALF_ROWS = 16, /**< of a tile that are evenly spaced */
    SM_BF16_COLUMNS = 32,   /**< of a tile */
    SM_BF16_PARTS_MAX = 3,
};

/** \return bytes of a packed row of `depth` steps. */
static inline size_t sm_bf16_row_bytes(int parts, int depth)
{
    size_t blocks = ((size_t)depth + SM_BF16_STEPS - 1) / SM_BF16_STEPS;
    return blocks * SM_BF16_STEPS * sizeof(uint16_t) * (size_t)parts;
}

/** \return bytes of SM_BF16_COLUMNS packed columns of `depth` steps. */
static inline size_t sm_bf16_columns_bytes(int parts, int depth)
{
    return SM_BF16_COLUMNS * sm_bf16_row_bytes(parts, depth);
}

/** Both factors of a tile for some steps of its depth. */
typedef struct sm_bf16_piece {
    const char
        *half[2]; /**< rows of A: the first row of each half, 64-byte aligned; always SM_BF16_HALF_ROWS rows of it
                            can be read, what lies beyond `rows` does not matter */
    const char *columns; /**< packed columns of B */
} sm_bf16_piece;

/** The factors of a tile: its depth is `count` pieces of `depth` steps each. The rows of a half lie `stride` bytes apart
 * (a multiple of 64). */
typedef struct sm_bf16_factors {
    int count, depth;
    size_t stride;
    const sm_bf16_piece *piece;
} sm_bf16_factors;

typedef struct sm_bf16_kernel {
    const char *name;
    int parts_max;          /**< 1 or 3 */
    int (*supported)(void); /**< by this CPU and system */
    /** A thread's brackets around multiply(), NULL if nothing needs them. */
    void (*begin)(void);
    void (*end)(void);
    /** Packs A: element (i, k) = a[i * row_stride + k], rows to packed + i * packed_stride. Steps up to whole blocks
     * become zeros. Elements to be packed are of `type`: SM_F32, or SM_BF16 where there is one part. */
    void (*pack_rows)(int parts, int rows, int depth, sm_dtype type, const void *a, size_t row_stride, char *packed,
                      size_t packed_stride);
    /** Packs A from what lies transposed and anywhere: element (i, k) = steps[k][offset + i]. */
    void (*pack_rows_transposed)(int parts, int rows, int depth, sm_dtype type, const void *const *steps, size_t offset,
                                 char *packed, size_t packed_stride);
    /** Packs B: element (k, j) = steps[k][offset + j]. Columns and steps up to whole tiles and blocks become zeros.
     */
    void (*pack_columns)(int parts, int columns, int depth, sm_dtype type, const void *const *steps, size_t offset,
                         char *packed);
    /** C (+)= A * B. Column j of row i is c[i][offset + j]. `accumulate` 0: the old C is not read. */
    void (*multiply)(int parts, int rows, int columns, const sm_bf16_factors *factors, float *const *c, size_t offset,
                     int accumulate);
    /** Rounds a tile: to[i][to_offset + j] = c[i][offset + j], or added to what is there. Rows with to[i] = NULL are
     * left out. */
    void (*round_rows)(int rows, int columns, float *const *c, size_t offset, int accumulate, sm_bf16 *const *to,
                       size_t to_offset);
} sm_bf16_kernel;

static inline void sm_bf16_kernel_begin(const sm_bf16_kernel *kernel)
{
    if (kernel->begin) {
        kernel->begin();
    }
}

static inline void sm_bf16_kernel_end(const sm_bf16_kernel *kernel)
{
    if (kernel->end) {
        kernel->end();
    }
}

/** \return the kernel of the instruction set in use (isa.c) for so many parts, or NULL if plain float arithmetic is faster:
 * with several parts that is so wherever there are no matrix registers. One part always has a kernel. */
const sm_bf16_kernel *sm_bf16_kernel_get(int parts);

/** For tests: whether it is the one of plain loops where it would be NULL. */
void sm_bf16_kernel_allow_slow(int allow);

extern const sm_bf16_kernel sm_bf16_kernel_amx, sm_bf16_kernel_avx512bf16, sm_bf16_kernel_plain;

/** What the first two share: bf16_pack_avx512bf16.c. */
void sm_bf16_pack_rows_avx512(int parts, int rows, int depth, sm_dtype type, const void *a, size_t row_stride,
                              char *packed, size_t packed_stride);
void sm_bf16_pack_rows_transposed_avx512(int parts, int rows, int depth, sm_dtype type, const void *const *steps,
                                         size_t offset, char *packed, size_t packed_stride);
void sm_bf16_pack_columns_avx512(int parts, int columns, int depth, sm_dtype type, const void *const *steps,
                                 size_t offset, char *packed);
void sm_bf16_round_rows_avx512(int rows, int columns, float *const *c, size_t offset, int accumulate,
                               sm_bf16 *const *to, size_t to_offset);

#endif
