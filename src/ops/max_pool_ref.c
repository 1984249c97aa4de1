#include <sigmatic/ops/max_pool.h>

#include <math.h>
#include <string.h>

static int inside(int value, int size)
{
    return value >= 0 && value < size;
}

static void one_window(const sm_max_pool_shape *s, const float *image, int out_y, int out_x, int c, float *maximum,
                       int32_t *winner)
{
    *maximum = -INFINITY;
    *winner = -1;
    for (int i = 0; i < s->kernel_height; i++) {
        for (int j = 0; j < s->kernel_width; j++) {
            int y = out_y * s->stride_height - s->pad_top + i * s->dilation_height;
            int x = out_x * s->stride_width - s->pad_left + j * s->dilation_width;
            if (inside(y, s->height) && inside(x, s->width)) {
                float value = image[((size_t)y * s->width + x) * s->channels + c];
                if (*winner < 0 || value > *maximum || isnan(value)) {
                    *maximum = value;
                    *winner = y * s->width + x;
                }
            }
        }
    }
}

void sm_max_pool_forward_ref(const sm_max_pool_shape *s, int batch, const float *input, float *output, int32_t *index)
{
    size_t pixels = (size_t)s->out_height * s->out_width, image = (size_t)s->height * s->width * s->channels;
    for (size_t e = 0; e < batch * pixels * s->channels; e++) {
        size_t pixel = e / s->channels;
        int32_t winner;
        one_window(s, input + pixel / pixels * image, (int)(pixel % pixels) / s->out_width, (int)(pixel % s->out_width),
                   (int)(e % s->channels), &output[e], &winner);
        if (index) {
            index[e] = winner;
        }
    }
}

void sm_max_pool_backward_ref(const sm_max_pool_shape *s, int batch, const float *grad_output, const int32_t *index,
                              float beta, float *grad_input)
{
    size_t image = (size_t)s->height * s->width * s->channels;
    size_t out_image = (size_t)s->out_height * s->out_width * s->channels;
    if (beta == 0.0f) {
        memset(grad_input, 0, batch * image * sizeof(float));
    }
    for (size_t e = 0; e < batch * out_image; e++) {
        if (index[e] >= 0) {
            grad_input[e / out_image * image + (size_t)index[e] * s->channels + e % s->channels] += grad_output[e];
        }
    }
}
