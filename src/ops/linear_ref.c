#include <sigmatic/ops/linear.h>

/* sum_k a[k * a_step] * b[k * b_step] + beta * old */
static float product(int count, const float *a, size_t a_step, const float *b, size_t b_step, float beta, float old)
{
    double sum = beta == 0.0f ? 0.0 : (double)beta * old;
    for (int k = 0; k < count; k++) {
        sum += (double)a[k * a_step] * b[k * b_step];
    }
    return (float)sum;
}

void sm_linear_forward_ref(int batch, int channels_in, int channels_out, const float *input, const float *weight,
                           const float *bias, float *output)
{
    for (int n = 0; n < batch; n++) {
        for (int o = 0; o < channels_out; o++) {
            output[(size_t)n * channels_out + o] = product(channels_in, input + (size_t)n * channels_in, 1, weight + o,
                                                           channels_out, 1.0f, bias ? bias[o] : 0.0f);
        }
    }
}

void sm_linear_backward_data_ref(int batch, int channels_in, int channels_out, const float *grad_output,
                                 const float *weight, float beta, float *grad_input)
{
    for (int n = 0; n < batch; n++) {
        for (int i = 0; i < channels_in; i++) {
            float *to = &grad_input[(size_t)n * channels_in + i];
            *to = product(channels_out, grad_output + (size_t)n * channels_out, 1, weight + (size_t)i * channels_out, 1,
                          beta, *to);
        }
    }
}

void sm_linear_backward_weight_ref(int batch, int channels_in, int channels_out, const float *input,
                                   const float *grad_output, float beta, float *grad_weight)
{
    for (int i = 0; i < channels_in; i++) {
        for (int o = 0; o < channels_out; o++) {
            float *to = &grad_weight[(size_t)i * channels_out + o];
            *to = product(batch, input + i, channels_in, grad_output + o, channels_out, beta, *to);
        }
    }
}

void sm_linear_backward_bias_ref(int batch, int channels_out, const float *grad_output, float beta, float *grad_bias)
{
    float one = 1.0f;
    for (int o = 0; o < channels_out; o++) {
        grad_bias[o] = product(batch, &one, 0, grad_output + o, channels_out, beta, grad_bias[o]);
    }
}
