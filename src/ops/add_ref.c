#include <sigmatic/ops/add.h>

void sm_add_forward_ref(size_t count, const float *a, const float *b, int relu, float *output)
{
    for (size_t i = 0; i < count; i++) {
        float sum = a[i] + b[i];
        output[i] = relu && sum < 0.0f ? 0.0f : sum;
    }
}

void sm_accumulate_ref(size_t count, const float *source, float beta, float *destination)
{
    for (size_t i = 0; i < count; i++) {
        destination[i] = source[i] + (beta == 0.0f ? 0.0f : beta * destination[i]);
    }
}
