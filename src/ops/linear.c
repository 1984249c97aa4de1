#include <sigmatic/ops/linear.h>
#include <sigmatic/tensor/gemm.h>

#include "ops/column_sums.h"
#include "ops/parallel.h"

#include <string.h>

/* The result is cut into tiles of fixed size, one gemm each, and threads take tiles: as BLIS chooses its path by
 * shape, tiles that followed the number of threads would change the bits. */
enum { TILE_ROWS = 192, TILE_COLUMNS = 512 };

typedef struct product {
    int transpose_a, transpose_b;
    int m, n, k;
    const float *a, *b;
    int64_t lda, ldb;
    float beta;
    const float *bias; /* n floats that every row starts from (beta is not read then), or NULL */
    float *c;          /* (m, n), contiguous */
} product;

static void one_tile(const product *p, int row, int column)
{
    int m = p->m - row < TILE_ROWS ? p->m - row : TILE_ROWS;
    int n = p->n - column < TILE_COLUMNS ? p->n - column : TILE_COLUMNS;
    float *c = p->c + (size_t)row * p->n + column;
    for (int i = 0; p->bias && i < m; i++) {
        memcpy(c + (size_t)i * p->n, p->bias + column, (size_t)n * sizeof(float));
    }
    sm_gemm(p->transpose_a, p->transpose_b, m, n, p->k, 1.0f, p->a + (p->transpose_a ? row : row * p->lda), p->lda,
            p->b + (p->transpose_b ? column * p->ldb : column), p->ldb, p->bias ? 1.0f : p->beta, c, p->n);
}

static void multiply(const product *p, int threads)
{
    int tiles_down = (p->m + TILE_ROWS - 1) / TILE_ROWS, tiles_across = (p->n + TILE_COLUMNS - 1) / TILE_COLUMNS;
    int parts = sm_threads_worth((size_t)p->m * (size_t)p->n * (size_t)p->k / 16, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int tile = 0; tile < tiles_down * tiles_across; tile++) {
        one_tile(p, tile / tiles_across * TILE_ROWS, tile % tiles_across * TILE_COLUMNS);
    }
}

void sm_linear_forward(int batch, int channels_in, int channels_out, const float *input, const float *weight,
                       const float *bias, float *output, int threads)
{
    product p = {.m = batch,
                 .n = channels_out,
                 .k = channels_in,
                 .a = input,
                 .lda = channels_in,
                 .b = weight,
                 .ldb = channels_out,
                 .bias = bias,
                 .c = output};
    multiply(&p, threads);
}

void sm_linear_backward_data(int batch, int channels_in, int channels_out, const float *grad_output,
                             const float *weight, float beta, float *grad_input, int threads)
{
    product p = {.m = batch,
                 .n = channels_in,
                 .k = channels_out,
                 .a = grad_output,
                 .lda = channels_out,
                 .transpose_b = 1,
                 .b = weight,
                 .ldb = channels_out,
                 .beta = beta,
                 .c = grad_input};
    multiply(&p, threads);
}

void sm_linear_backward_weight(int batch, int channels_in, int channels_out, const float *input,
                               const float *grad_output, float beta, float *grad_weight, int threads)
{
    product p = {.m = channels_in,
                 .n = channels_out,
                 .k = batch,
                 .transpose_a = 1,
                 .a = input,
                 .lda = channels_in,
                 .b = grad_output,
                 .ldb = channels_out,
                 .beta = beta,
                 .c = grad_weight};
    multiply(&p, threads);
}

void sm_linear_backward_bias(int batch, int channels_out, const float *grad_output, float beta, float *grad_bias,
                             int threads)
{
    sm_column_sums(SM_F32, 1, (size_t)batch, channels_out, (size_t)channels_out, grad_output, 1.0, beta, grad_bias,
                   threads);
}
