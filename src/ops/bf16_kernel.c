/* The table of kernels, and the one that runs everywhere: numbers rounded to bfloat16, multiplied and added as floats. */
#include "ops/bf16_kernel.h"

#include <sigmatic/base/clones.h>

#include <stdlib.h>
#include <string.h>

/* ---- plain loops: what the others compute ------------------------------------------------------------------------ */

enum { WIDTH = SM_BF16_ROWS };

_Static_assert(SM_BF16_ROWS == SM_BF16_COLUMNS, "rows and columns are packed alike");

static uint16_t round_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float float_of(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Element (i, k) at from[i * row_stride + k * step_stride] to [k][part][i]. */
static void pack(int parts, int rows, int depth, const float *from, size_t row_stride, size_t step_stride, void *packed)
{
    int whole = (depth + SM_BF16_STEPS - 1) / SM_BF16_STEPS * SM_BF16_STEPS;
    for (int k = 0; k < whole; k++) {
        uint16_t *to = (uint16_t *)packed + (size_t)k * parts * WIDTH;
        for (int i = 0; i < WIDTH; i++) {
            float left = i < rows && k < depth ? from[i * row_stride + k * step_stride] : 0;
            for (int p = 0; p < parts; p++) {
                to[p * WIDTH + i] = round_to_bf16(left);
                left -= float_of(to[p * WIDTH + i]);
            }
        }
    }
}

static void pack_rows(int parts, int rows, int depth, const float *a, size_t row_stride, void *packed)
{
    pack(parts, rows, depth, a, row_stride, 1, packed);
}

static void pack_across(int parts, int count, int depth, const float *from, size_t step_stride, void *packed)
{
    pack(parts, count, depth, from, 1, step_stride, packed);
}

/* sum += a b^T of one step and two parts */
static inline void add_products(int rows, const uint16_t *a, const uint16_t *b, float sum[][WIDTH])
{
    float row[WIDTH];
    for (int j = 0; j < WIDTH; j++) {
        row[j] = float_of(b[j]);
    }
    for (int i = 0; i < rows; i++) {
        float value = float_of(a[i]);
        for (int j = 0; j < WIDTH; j++) {
            sum[i][j] += value * row[j];
        }
    }
}

SM_CLONES static void multiply(int parts, int rows, int columns, int depth, const void *a, const void *b,
                               float *const *c, size_t offset, int accumulate)
{
    float sum[SM_BF16_ROWS][WIDTH] = {{0}};
    for (int k = 0; k < depth; k++) {
        const uint16_t *left = (const uint16_t *)a + (size_t)k * parts * WIDTH;
        const uint16_t *right = (const uint16_t *)b + (size_t)k * parts * WIDTH;
        for (int p = parts - 1; p >= 0; p--) {
            for (int q = parts - 1 - p; q >= 0; q--) {
                add_products(rows, left + p * WIDTH, right + q * WIDTH, sum);
            }
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
            c[i][offset + j] = (accumulate ? c[i][offset + j] : 0) + sum[i][j];
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
                                             .pack_rows_transposed = pack_across,
                                             .pack_columns = pack_across,
                                             .multiply = multiply};

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Fastest first. */
static const sm_bf16_kernel *const kernels[] = {
#if defined(__x86_64__) && defined(__GNUC__)
    &sm_bf16_kernel_amx,
    &sm_bf16_kernel_avx512bf16,
#endif
    &sm_bf16_kernel_plain,
    NULL,
};

static const sm_bf16_kernel *selected;

const sm_bf16_kernel *sm_bf16_kernel_get(int parts)
{
    if (selected) {
        return parts <= selected->parts_max ? selected : NULL;
    }
    for (const sm_bf16_kernel *const *kernel = kernels; *kernel; kernel++) {
        int is_slow = parts > 1 && *kernel == &sm_bf16_kernel_plain;
        if (parts <= (*kernel)->parts_max && !is_slow && (*kernel)->supported()) {
            return *kernel;
        }
    }
    return NULL;
}

const sm_bf16_kernel *sm_bf16_kernel_find(const char *name)
{
    for (const sm_bf16_kernel *const *kernel = kernels; *kernel; kernel++) {
        if (strcmp((*kernel)->name, name) == 0 && (*kernel)->supported()) {
            return *kernel;
        }
    }
    return NULL;
}

void sm_bf16_kernel_select(const sm_bf16_kernel *kernel)
{
    selected = kernel;
}
