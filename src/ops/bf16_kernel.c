/* The kernel that runs everywhere: numbers rounded to bfloat16, multiplied and added as floats. */
#include "ops/bf16_kernel.h"
#include "ops/typed.h"

#include <sigmatic/base/bf16.h>
#include <sigmatic/base/clones.h>

/* ---- plain loops: what the others compute ------------------------------------------------------------------------ */

enum { STEPS = SM_BF16_STEPS, COLUMNS = SM_BF16_COLUMNS };

static void split(float x, int parts, uint16_t *to, size_t stride)
{
    for (int p = 0; p < parts; p++) {
        to[p * stride] = sm_bf16_of(x);
        x -= sm_float_of(to[p * stride]);
    }
}

static int whole_blocks(int depth)
{
    return (depth + SM_BF16_STEPS - 1) / SM_BF16_STEPS * SM_BF16_STEPS;
}

/* Step k of a row: [block][part][step]. */
static void put_in_row(float x, int parts, int k, char *row)
{
    split(x, parts, (uint16_t *)row + (size_t)(k - k % STEPS) * parts + k % STEPS, STEPS);
}

static void pack_rows(int parts, int rows, int depth, sm_dtype type, const void *a, size_t row_stride, char *packed,
                      size_t packed_stride)
{
    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < whole_blocks(depth); k++) {
            put_in_row(k < depth ? sm_map_get(type, a, i * row_stride + k) : 0, parts, k,
                       packed + (size_t)i * packed_stride);
        }
    }
}

static void pack_rows_transposed(int parts, int rows, int depth, sm_dtype type, const void *const *steps, size_t offset,
                                 char *packed, size_t packed_stride)
{
    for (int k = 0; k < whole_blocks(depth); k++) {
        for (int i = 0; i < rows; i++) {
            put_in_row(k < depth ? sm_map_get(type, steps[k], offset + i) : 0, parts, k,
                       packed + (size_t)i * packed_stride);
        }
    }
}

/* [step][part][column] */
static void pack_columns(int parts, int columns, int depth, sm_dtype type, const void *const *steps, size_t offset,
                         char *packed)
{
    uint16_t *to = (uint16_t *)packed;
    for (int k = 0; k < whole_blocks(depth); k++, to += parts * COLUMNS) {
        for (int j = 0; j < COLUMNS; j++) {
            split(j < columns && k < depth ? sm_map_get(type, steps[k], offset + j) : 0, parts, to + j, COLUMNS);
        }
    }
}

/* sum += value times one part of one step of B */
static inline void add_products(float value, const uint16_t *b, float *sum)
{
    for (int j = 0; j < COLUMNS; j++) {
        sum[j] += value * sm_float_of(b[j]);
    }
}

/* One row of the tile times all columns. */
static inline void multiply_row(int parts, int row, const sm_bf16_factors *factors, float *sum)
{
    for (const sm_bf16_piece *piece = factors->piece; piece < factors->piece + factors->count; piece++) {
        const char *half = piece->half[row / SM_BF16_HALF_ROWS];
        const uint16_t *left = (const uint16_t *)(half + (row % SM_BF16_HALF_ROWS) * factors->stride);
        const uint16_t *right = (const uint16_t *)piece->columns;
        for (int k = 0; k < whole_blocks(factors->depth); k++, right += parts * COLUMNS) {
            const uint16_t *step = left + (size_t)(k - k % STEPS) * parts + k % STEPS;
            for (int p = parts - 1; p >= 0; p--) {
                for (int q = parts - 1 - p; q >= 0; q--) {
                    add_products(sm_float_of(step[p * STEPS]), right + q * COLUMNS, sum);
                }
            }
        }
    }
}

static SM_CLONES(void, multiply,
                 (int parts, int rows, int columns, const sm_bf16_factors *factors, float *const *c, size_t offset,
                  int accumulate),
                 (parts, rows, columns, factors, c, offset, accumulate))
{
    for (int i = 0; i < rows; i++) {
        float sum[COLUMNS] = {0};
        multiply_row(parts, i, factors, sum);
        for (int j = 0; j < columns; j++) {
            c[i][offset + j] = (accumulate ? c[i][offset + j] : 0) + sum[j];
        }
    }
}

static SM_CLONES(void, round_row, (int columns, const float *restrict from, int accumulate, sm_bf16 *restrict to),
                 (columns, from, accumulate, to))
{
    for (int j = 0; j < columns; j++) {
        to[j] = sm_bf16_of((accumulate ? sm_float_of(to[j]) : 0) + from[j]);
    }
}

static void round_rows(int rows, int columns, float *const *c, size_t offset, int accumulate, sm_bf16 *const *to,
                       size_t to_offset)
{
    for (int i = 0; i < rows; i++) {
        if (to[i]) {
            round_row(columns, c[i] + offset, accumulate, to[i] + to_offset);
        }
    }
}

static int always(void)
{
    return 1;
}

const sm_bf16_kernel sm_bf16_kernel_plain = {.name = "plain",
                                             .parts_max = SM_BF16_PARTS_MAX,
                                             .supported = always,
                                             .pack_rows = pack_rows,
                                             .pack_rows_transposed = pack_rows_transposed,
                                             .pack_columns = pack_columns,
                                             .multiply = multiply,
                                             .round_rows = round_rows};
