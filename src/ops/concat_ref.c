#include <sigmatic/ops/concat.h>

void sm_concat_copy_ref(size_t rows, int channels_part, const float *part, int channels_total, int offset, float *whole)
{
    for (size_t i = 0; i < rows * channels_part; i++) {
        whole[i / channels_part * channels_total + offset + i % channels_part] = part[i];
    }
}

void sm_concat_extract_ref(size_t rows, int channels_part, int channels_total, int offset, const float *grad_whole,
                           float beta, float *grad_part)
{
    for (size_t i = 0; i < rows * channels_part; i++) {
        float gradient = grad_whole[i / channels_part * channels_total + offset + i % channels_part];
        grad_part[i] = gradient + (beta == 0.0f ? 0.0f : beta * grad_part[i]);
    }
}

void sm_concat_broadcast_ref(int batch, size_t pixels, int channels_part, const float *part, int channels_total,
                             int offset, float *whole)
{
    for (size_t row = 0; row < batch * pixels; row++) {
        for (int c = 0; c < channels_part; c++) {
            whole[row * channels_total + offset + c] = part[row / pixels * channels_part + c];
        }
    }
}

void sm_concat_broadcast_backward_ref(int batch, size_t pixels, int channels_part, int channels_total, int offset,
                                      const float *grad_whole, float beta, float *grad_part)
{
    for (size_t i = 0; i < (size_t)batch * channels_part; i++) {
        double sum = beta == 0.0f ? 0.0 : (double)beta * grad_part[i];
        for (size_t p = 0; p < pixels; p++) {
            sum += (double)grad_whole[(i / channels_part * pixels + p) * channels_total + offset + i % channels_part];
        }
        grad_part[i] = (float)sum;
    }
}
