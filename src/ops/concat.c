#include <sigmatic/base/clones.h>
#include <sigmatic/ops/concat.h>

#include "ops/column_sums.h"
#include "ops/parallel.h"

#include <string.h>

SM_CLONES static void add_row(int channels, const float *restrict from, float *restrict to)
{
    for (int c = 0; c < channels; c++) {
        to[c] += from[c];
    }
}

/* Rows between two matrices of different width, `repeat` rows of the target from one of the source. */
static void move_rows(size_t rows, size_t repeat, int channels, const float *from, size_t from_stride, float beta,
                      float *to, size_t to_stride, int threads)
{
    int parts = sm_threads_worth(rows * (size_t)channels, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (size_t row = 0; row < rows; row++) {
        const float *source = from + row / repeat * from_stride;
        if (beta == 0.0f) {
            memcpy(to + row * to_stride, source, (size_t)channels * sizeof(float));
        } else {
            add_row(channels, source, to + row * to_stride);
        }
    }
}

void sm_concat_copy(size_t rows, int channels_part, const float *part, int channels_total, int offset, float *whole,
                    int threads)
{
    move_rows(rows, 1, channels_part, part, (size_t)channels_part, 0.0f, whole + offset, (size_t)channels_total,
              threads);
}

void sm_concat_extract(size_t rows, int channels_part, int channels_total, int offset, const float *grad_whole,
                       float beta, float *grad_part, int threads)
{
    move_rows(rows, 1, channels_part, grad_whole + offset, (size_t)channels_total, beta, grad_part,
              (size_t)channels_part, threads);
}

void sm_concat_broadcast(int batch, size_t pixels, int channels_part, const float *part, int channels_total, int offset,
                         float *whole, int threads)
{
    move_rows((size_t)batch * pixels, pixels, channels_part, part, (size_t)channels_part, 0.0f, whole + offset,
              (size_t)channels_total, threads);
}

void sm_concat_broadcast_backward(int batch, size_t pixels, int channels_part, int channels_total, int offset,
                                  const float *grad_whole, float beta, float *grad_part, int threads)
{
    sm_column_sums(batch, pixels, channels_part, (size_t)channels_total, grad_whole + offset, 1.0, beta, grad_part,
                   threads);
}
