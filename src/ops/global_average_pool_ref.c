#include <sigmatic/ops/global_average_pool.h>

void sm_global_average_pool_forward_ref(int batch, size_t pixels, int channels, const float *input, float *output)
{
    for (int n = 0; n < batch; n++) {
        for (int c = 0; c < channels; c++) {
            double sum = 0.0;
            for (size_t p = 0; p < pixels; p++) {
                sum += (double)input[(n * pixels + p) * channels + c];
            }
            output[(size_t)n * channels + c] = (float)(sum / (double)pixels);
        }
    }
}

void sm_global_average_pool_backward_ref(int batch, size_t pixels, int channels, const float *grad_output, float beta,
                                         float *grad_input)
{
    for (size_t i = 0; i < batch * pixels * channels; i++) {
        float gradient = grad_output[i / (pixels * channels) * channels + i % channels] / (float)pixels;
        grad_input[i] = gradient + (beta == 0.0f ? 0.0f : beta * grad_input[i]);
    }
}
