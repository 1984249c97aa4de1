#include <sigmatic/ops/dropout.h>

void sm_dropout_forward_ref(const sm_dropout *dropout, uint32_t first_sample, int batch, size_t elements,
                            const float *input, float *output)
{
    for (size_t i = 0; i < batch * elements; i++) {
        int keeps = sm_dropout_keeps(dropout, first_sample + (uint32_t)(i / elements), i % elements);
        output[i] = keeps ? input[i] * (1.0f / (1.0f - dropout->probability)) : 0.0f;
    }
}

void sm_dropout_backward_ref(const sm_dropout *dropout, uint32_t first_sample, int batch, size_t elements,
                             const float *grad_output, float beta, float *grad_input)
{
    for (size_t i = 0; i < batch * elements; i++) {
        int keeps = sm_dropout_keeps(dropout, first_sample + (uint32_t)(i / elements), i % elements);
        float old = beta == 0.0f ? 0.0f : beta * grad_input[i];
        grad_input[i] = old + (keeps ? grad_output[i] * (1.0f / (1.0f - dropout->probability)) : 0.0f);
    }
}
