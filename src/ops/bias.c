#include <sigmatic/ops/conv2d.h>

enum { CHANNELS_NOW = 64 };

/* Sums of up to CHANNELS_NOW channels over all rows. */
static void sum_rows(size_t rows, int channels, const float *grad, int first, int count, double *sums)
{
    for (int o = 0; o < count; o++) {
        sums[o] = 0;
    }
    for (size_t row = 0; row < rows; row++) {
        for (int o = 0; o < count; o++) {
            sums[o] += grad[row * channels + first + o];
        }
    }
}

void sm_bias_backward(size_t rows, int channels, const float *grad_output, float beta, float *grad_bias, int threads)
{
#pragma omp parallel for num_threads(threads)
    for (int first = 0; first < channels; first += CHANNELS_NOW) {
        double sums[CHANNELS_NOW];
        int count = channels - first < CHANNELS_NOW ? channels - first : CHANNELS_NOW;
        sum_rows(rows, channels, grad_output, first, count, sums);
        for (int o = 0; o < count; o++) {
            grad_bias[first + o] = (float)((beta == 0 ? 0 : beta * grad_bias[first + o]) + sums[o]);
        }
    }
}
