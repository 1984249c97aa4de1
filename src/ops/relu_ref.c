#include <sigmatic/ops/relu.h>

void sm_relu_forward_ref(size_t count, const float *input, float *output)
{
    for (size_t i = 0; i < count; i++) {
        output[i] = input[i] < 0.0f ? 0.0f : input[i];
    }
}

void sm_relu_backward_ref(size_t count, const float *output, const float *grad_output, float beta, float *grad_input)
{
    for (size_t i = 0; i < count; i++) {
        float old = beta == 0.0f ? 0.0f : beta * grad_input[i];
        grad_input[i] = old + (output[i] <= 0.0f ? 0.0f : grad_output[i]);
    }
}
