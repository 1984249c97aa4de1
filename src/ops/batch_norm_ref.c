#include <sigmatic/ops/batch_norm.h>

static float masked(const float *grad_output, const float *output, size_t i)
{
    return output && output[i] <= 0.0f ? 0.0f : grad_output[i];
}

void sm_batch_norm_statistics_ref(size_t rows, int channels, const float *input, double *sums)
{
    for (int c = 0; c < channels; c++) {
        sums[c] = sums[channels + c] = 0.0;
        for (size_t r = 0; r < rows; r++) {
            double x = input[r * channels + c];
            sums[c] += x;
            sums[channels + c] += x * x;
        }
    }
}

void sm_batch_norm_apply_ref(size_t rows, int channels, const float *input, const float *mean, const float *inverse_std,
                             const float *scale, const float *shift, const float *residual, int relu, float *output)
{
    for (size_t i = 0; i < rows * channels; i++) {
        size_t c = i % channels;
        float y = (input[i] - mean[c]) * inverse_std[c] * scale[c] + shift[c] + (residual ? residual[i] : 0.0f);
        output[i] = relu && y < 0.0f ? 0.0f : y;
    }
}

void sm_batch_norm_backward_statistics_ref(size_t rows, int channels, const float *input, const float *grad_output,
                                           const float *output, const float *mean, const float *inverse_std,
                                           double *sums)
{
    for (int c = 0; c < channels; c++) {
        sums[c] = sums[channels + c] = 0.0;
        for (size_t r = 0; r < rows; r++) {
            double g = masked(grad_output, output, r * channels + c);
            sums[c] += g;
            sums[channels + c] += g * ((double)input[r * channels + c] - mean[c]) * inverse_std[c];
        }
    }
}

void sm_batch_norm_backward_apply_ref(size_t rows, int channels, const float *input, const float *grad_output,
                                      const float *output, const float *mean, const float *inverse_std,
                                      const float *scale, double count, const double *sums, float beta,
                                      float *grad_input)
{
    for (size_t i = 0; i < rows * channels; i++) {
        size_t c = i % channels;
        double xhat = ((double)input[i] - mean[c]) * inverse_std[c];
        double g = masked(grad_output, output, i);
        if (sums) {
            g -= (sums[c] + xhat * sums[channels + c]) / count;
        }
        double old = beta == 0.0f ? 0.0 : (double)beta * grad_input[i];
        grad_input[i] = (float)(old + g * scale[c] * inverse_std[c]);
    }
}
