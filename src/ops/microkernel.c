/* The kernels, and in full the two that run everywhere: BLIS's own micro-kernel and, should its tile not fit our panels,
 * plain loops. */
#include "ops/microkernel.h"

#include <sigmatic/base/vectors.h>
#include <sigmatic/tensor/gemm.h>

#include <threads.h>

/* ---- plain loops: what all the others compute -------------------------------------------------------------------- */

enum { PLAIN_ROWS = 8, PLAIN_COLUMNS = 16 };

static int plain_supported(void)
{
    return 1;
}

static void plain_tile(int rows, int columns, int depth, const float *a, size_t row_stride, size_t step_stride,
                       const float *b, float *const *c, size_t offset, int accumulate)
{
    for (int i = 0; i < rows; i++) {
        float sum[PLAIN_COLUMNS] = {0};
        for (int k = 0; k < depth; k++) {
            for (int j = 0; j < PLAIN_COLUMNS; j++) {
                sum[j] += a[i * row_stride + k * step_stride] * b[(size_t)k * PLAIN_COLUMNS + j];
            }
        }
        for (int j = 0; j < columns; j++) {
            c[i][offset + j] = (accumulate ? c[i][offset + j] : 0) + sum[j];
        }
    }
}

static void plain_block(int rows, int columns, int depth, const float *a, size_t stride, const float *b,
                        float *const *c, size_t offset, int accumulate)
{
    plain_tile(rows, columns, depth, a, stride, 1, b, c, offset, accumulate);
}

static void plain_panel(int rows, int columns, int depth, const float *a, size_t stride, const float *b,
                        float *const *c, size_t offset, int accumulate)
{
    plain_tile(rows, columns, depth, a, 1, stride, b, c, offset, accumulate);
}

/* ---- BLIS: its kernel wants A packed, and C's rows or C's columns adjacent; for the latter: C^T = B^T A^T --------- */

static int blis_rows(const sm_gemm_kernel *kernel)
{
    return kernel->prefers_rows ? kernel->mr : kernel->nr;
}

static int blis_columns(const sm_gemm_kernel *kernel)
{
    return kernel->prefers_rows ? kernel->nr : kernel->mr;
}

/* The transforms of the widest vectors that fit its tile. */
static const sm_winograd *blis_winograd(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    sm_vectors vectors = sm_vectors_of_cpu();
    int columns = blis_columns(sm_gemm_kernel_query());
    if (vectors >= SM_VECTORS_AVX512 && columns % sm_winograd_avx512->lanes == 0) {
        return sm_winograd_avx512;
    }
    if (vectors >= SM_VECTORS_AVX2 && columns % sm_winograd_avx2->lanes == 0) {
        return sm_winograd_avx2;
    }
#endif
    return sm_winograd_plain;
}

static void blis_begin(void)
{
    sm_microkernel_blis.tile_rows = blis_rows(sm_gemm_kernel_query());
    sm_microkernel_blis.tile_columns = blis_columns(sm_gemm_kernel_query());
    sm_microkernel_blis.winograd = blis_winograd();
}

static int blis_supported(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, blis_begin);
    const sm_gemm_kernel *kernel = sm_gemm_kernel_query();
    return kernel->pack_mr == kernel->mr && kernel->pack_nr == kernel->nr && blis_rows(kernel) <= SM_TILE_ROWS_MAX &&
           blis_columns(kernel) <= SM_TILE_COLUMNS_MAX;
}

/* With the rows of a tile and the stride of the steps known while it is compiled, a step is a few loads and stores. */
static inline __attribute__((always_inline)) void interleave(const int tile_rows, int rows, int depth, const float *a,
                                                             size_t row_stride, const size_t step_stride,
                                                             float *restrict out)
{
    for (int k = 0; k < depth; k++, a += step_stride, out += tile_rows) {
        for (int i = 0; i < rows; i++) {
            out[i] = a[i * row_stride];
        }
        for (int i = rows; i < tile_rows; i++) {
            out[i] = 0;
        }
    }
}

#define CASE(ROWS)                                                                                                     \
    case ROWS:                                                                                                         \
        interleave(ROWS, ROWS, depth, a, row_stride, step_stride, arranged);                                           \
        break;
#define OF_ROWS                                                                                                        \
    switch (rows == tile_rows ? rows : 0) {                                                                            \
        CASE(4)                                                                                                        \
        CASE(6)                                                                                                        \
        CASE(8)                                                                                                        \
        CASE(12)                                                                                                       \
        CASE(16)                                                                                                       \
    default:                                                                                                           \
        interleave(tile_rows, rows, depth, a, row_stride, step_stride, arranged);                                      \
    }

static void blis_arrange(int rows, int depth, const float *a, size_t row_stride, size_t step_stride, float *arranged)
{
    int tile_rows = blis_rows(sm_gemm_kernel_query());
    if (step_stride == 1) {
        step_stride = 1;
        OF_ROWS
    } else if (row_stride == 1) {
        row_stride = 1;
        OF_ROWS
    } else {
        interleave(tile_rows, rows, depth, a, row_stride, step_stride, arranged);
    }
}

/* \return floats from each row to the next; 0 if they are not evenly spaced */
static int64_t spacing(int rows, float *const *c, int64_t columns)
{
    int64_t stride = rows > 1 ? c[1] - c[0] : columns;
    for (int i = 2; i < rows; i++) {
        stride = c[i] - c[i - 1] == stride ? stride : 0;
    }
    return stride;
}

static void blis_run(int rows, int columns, int depth, const float *a, const float *b, float *c, int64_t stride,
                     int accumulate)
{
    const sm_gemm_kernel *kernel = sm_gemm_kernel_query();
    if (kernel->prefers_rows) {
        sm_gemm_kernel_run(kernel, rows, columns, depth, a, b, accumulate, c, stride, 1);
    } else {
        sm_gemm_kernel_run(kernel, columns, rows, depth, b, a, accumulate, c, 1, stride);
    }
}

/* BLIS knows no rows scattered in memory: tiles of such are computed aside. */
static void blis_multiply(int rows, int columns, int depth, const float *a, size_t stride, const float *b,
                          float *const *c, size_t offset, int accumulate)
{
    (void)stride;
    int64_t even = spacing(rows, c, columns);
    if (even > 0) {
        blis_run(rows, columns, depth, a, b, c[0] + offset, even, accumulate);
        return;
    }
    float tile[SM_TILE_ROWS_MAX * SM_TILE_COLUMNS_MAX];
    int64_t width = blis_columns(sm_gemm_kernel_query());
    blis_run(rows, columns, depth, a, b, tile, width, 0);
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
            c[i][offset + j] = (accumulate ? c[i][offset + j] : 0) + tile[i * width + j];
        }
    }
}

/* ---- the four ---------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__) && defined(__GNUC__)
static int avx512_supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static int avx2_supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const sm_microkernel sm_microkernel_avx512 = {.name = "avx512",
                                              .supported = avx512_supported,
                                              .tile_rows = 14,
                                              .tile_columns = 32,
                                              .multiply_block = sm_multiply_block_avx512,
                                              .multiply_panel = sm_multiply_panel_avx512,
                                              .winograd = sm_winograd_avx512};

const sm_microkernel sm_microkernel_avx2 = {.name = "avx2",
                                            .supported = avx2_supported,
                                            .tile_rows = 6,
                                            .tile_columns = 16,
                                            .multiply_block = sm_multiply_block_avx2,
                                            .multiply_panel = sm_multiply_panel_avx2,
                                            .winograd = sm_winograd_avx2};
#endif

sm_microkernel sm_microkernel_blis = {.name = "blis",
                                      .supported = blis_supported,
                                      .multiply_block = blis_multiply,
                                      .multiply_panel = blis_multiply,
                                      .arrange = blis_arrange,
                                      .winograd = sm_winograd_plain};

const sm_microkernel sm_microkernel_plain = {.name = "plain",
                                             .supported = plain_supported,
                                             .tile_rows = PLAIN_ROWS,
                                             .tile_columns = PLAIN_COLUMNS,
                                             .multiply_block = plain_block,
                                             .multiply_panel = plain_panel,
                                             .winograd = sm_winograd_plain};
