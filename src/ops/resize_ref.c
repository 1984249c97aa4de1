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

/* Adds row i of the input, with weight `down`, to row o of the output; or the other way round. */
static void all_columns(const sm_resize_shape *s, double down, const float *from, float *to, int transposed)
{
    for (int o = 0; o < s->out_width; o++) {
        for (int i = 0; i < s->width; i++) {
            double w = down * weight(s->width, s->out_width, s->align_corners, i, o);
            for (int c = 0; w > 0.0 && c < s->channels; c++) {
                to[(transposed ? i : o) * s->channels + c] += (float)(w * from[(transposed ? o : i) * s->channels + c]);
            }
        }
    }
}

/* Sums over all pairs of pixels with the weight of the pair: a forward, or the same matrix transposed. */
static void all_pairs(const sm_resize_shape *s, int batch, const float *from, float *to, int transposed)
{
    size_t row = (size_t)s->width * s->channels, out_row = (size_t)s->out_width * s->channels;
    for (size_t n = 0; n < (size_t)batch; n++) {
        for (size_t o = 0; o < (size_t)s->out_height; o++) {
            for (size_t i = 0; i < (size_t)s->height; i++) {
                double down = weight(s->height, s->out_height, s->align_corners, (int)i, (int)o);
                size_t inside = (n * s->height + i) * row, outside = (n * s->out_height + o) * out_row;
                if (down > 0.0) {
                    all_columns(s, down, from + (transposed ? outside : inside), to + (transposed ? inside : outside),
                                transposed);
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
