#include <sigmatic/base/clones.h>
#include <sigmatic/ops/concat.h>

#include "ops/column_sums.h"
#include "ops/parallel.h"
#include "ops/typed.h"

#include <string.h>

SM_TYPED void add_loop(sm_dtype type, int channels, const void *restrict from, void *restrict to)
{
    for (int c = 0; c < channels; c++) {
        sm_map_put(type, to, c, sm_map_get(type, to, c) + sm_map_get(type, from, c));
    }
}

static SM_CLONES(void, add_row, (sm_dtype type, int channels, const void *from, void *to), (type, channels, from, to))
{
    SM_WITH_TYPE(type, add_loop, channels, from, to);
}

SM_TYPED void write_loop(sm_dtype type, int channels, const float *restrict from, void *restrict to)
{
    for (int c = 0; c < channels; c++) {
        sm_map_put(type, to, c, from[c]);
    }
}

static SM_CLONES(void, write_vector, (sm_dtype type, int channels, const float *from, void *to),
                 (type, channels, from, to))
{
    SM_WITH_TYPE(type, write_loop, channels, from, to);
}

/* Rows between two matrices of different width. */
static void move_rows(sm_dtype type, size_t rows, int channels, const void *from, size_t from_stride, float beta,
                      void *to, size_t to_stride, int threads)
{
    int parts = sm_threads_worth(rows * (size_t)channels, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (size_t row = 0; row < rows; row++) {
        const void *source = sm_map_at_const(type, from, row * from_stride);
        void *target = sm_map_at(type, to, row * to_stride);
        if (beta == 0.0f) {
            memcpy(target, source, (size_t)channels * sm_dtype_bytes(type));
        } else {
            add_row(type, channels, source, target);
        }
    }
}

void sm_concat_copy(sm_dtype type, size_t rows, int channels_part, const void *part, int channels_total, int offset,
                    void *whole, int threads)
{
    move_rows(type, rows, channels_part, part, (size_t)channels_part, 0.0f, sm_map_at(type, whole, (size_t)offset),
              (size_t)channels_total, threads);
}

void sm_concat_extract(sm_dtype type, size_t rows, int channels_part, int channels_total, int offset,
                       const void *grad_whole, float beta, void *grad_part, int threads)
{
    move_rows(type, rows, channels_part, sm_map_at_const(type, grad_whole, (size_t)offset), (size_t)channels_total,
              beta, grad_part, (size_t)channels_part, threads);
}

void sm_concat_broadcast(sm_dtype type, int batch, size_t pixels, int channels_part, const float *part,
                         int channels_total, int offset, void *whole, int threads)
{
    size_t rows = (size_t)batch * pixels;
    int parts = sm_threads_worth(rows * (size_t)channels_part, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (size_t row = 0; row < rows; row++) {
        write_vector(type, channels_part, part + row / pixels * (size_t)channels_part,
                     sm_map_at(type, whole, row * (size_t)channels_total + (size_t)offset));
    }
}

void sm_concat_broadcast_backward(sm_dtype type, int batch, size_t pixels, int channels_part, int channels_total,
                                  int offset, const void *grad_whole, float beta, float *grad_part, int threads)
{
    sm_column_sums(type, batch, pixels, channels_part, (size_t)channels_total,
                   sm_map_at_const(type, grad_whole, (size_t)offset), 1.0, beta, grad_part, threads);
}
