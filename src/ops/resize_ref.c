#include <sigmatic/ops/resize.h>

#include <math.h>
#include <string.h>

/* How much input pixel i counts in output pixel o of one axis. */
static double weight(int in, int out, int align_corners, int i, int o)
{
    double source = align_corners ? (out > 1 ? (double)o * (in - 1) / (out - 1) : 0.0) : (o + 0.5) * in / out - 0.5;
    source = fmin(fmax(source, 0.0), in - 1.0);
    return fmax(0.0, 1.0 - fabs(source - i));
}

/* Sums over all pairs of pixels with the weight of the pair: a forward, or the same matrix transposed. */
static void all_pairs(const sm_resize_shape *s, int batch, const float *from, float *to, int transposed)
{
    size_t in_pixels = (size_t)s->height * s->width, out_pixels = (size_t)s->out_height * s->out_width;
    for (size_t n = 0; n < (size_t)batch; n++) {
        for (size_t o = 0; o < out_pixels; o++) {
            for (size_t i = 0; i < in_pixels; i++) {
                double w =
                    weight(s->height, s->out_height, s->align_corners, (int)i / s->width, (int)o / s->out_width) *
                    weight(s->width, s->out_width, s->align_corners, (int)i % s->width, (int)o % s->out_width);
                size_t source = n * (transposed ? out_pixels : in_pixels) + (transposed ? o : i);
                size_t target = n * (transposed ? in_pixels : out_pixels) + (transposed ? i : o);
                for (int c = 0; w > 0.0 && c < s->channels; c++) {
                    to[target * s->channels + c] += (float)(w * from[source * s->channels + c]);
                }
            }
        }
    }
}

void sm_resize_forward_ref(const sm_resize_shape *shape, int batch, const float *input, float *output)
{
    memset(output, 0, (size_t)batch * shape->out_height * shape->out_width * shape->channels * sizeof(float));
    all_pairs(shape, batch, input, output, 0);
}

void sm_resize_backward_ref(const sm_resize_shape *shape, int batch, const float *grad_output, float beta,
                            float *grad_input)
{
    if (beta == 0.0f) {
        memset(grad_input, 0, (size_t)batch * shape->height * shape->width * shape->channels * sizeof(float));
    }
    all_pairs(shape, batch, grad_output, grad_input, 1);
}
