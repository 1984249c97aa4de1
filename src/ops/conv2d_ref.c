/* The readable twin: three sums as they stand in the header, parallel over independent outputs. */
#include "ops/conv2d_algorithms.h"

/* \return where the input pixel of (output pixel, tap) lies, or NULL in the padding */
static const float *input_pixel(const sm_conv2d_shape *s, const float *input, int n, int y, int x, int i, int j)
{
    int row = y * s->stride_height - s->pad_top + i * s->dilation_height;
    int column = x * s->stride_width - s->pad_left + j * s->dilation_width;
    if (row < 0 || row >= s->height || column < 0 || column >= s->width) {
        return NULL;
    }
    return input + (((size_t)n * s->height + row) * s->width + column) * s->channels_in;
}

/* Adds one (output pixel, tap) to the pixel's output row. */
static void add_tap(const sm_conv2d_shape *s, const float *pixel, const float *weight, float *output)
{
    for (int c = 0; c < s->channels_in; c++) {
        for (int o = 0; o < s->channels_out; o++) {
            output[o] += pixel[c] * weight[(size_t)c * s->channels_out + o];
        }
    }
}

static void forward(const sm_conv2d_shape *s, const sm_conv2d_operands *run)
{
#pragma omp parallel for collapse(2) num_threads(run->threads)
    for (int n = 0; n < run->batch; n++) {
        for (int y = 0; y < s->out_height; y++) {
            for (int x = 0; x < s->out_width; x++) {
                float *output =
                    (float *)run->result + (((size_t)n * s->out_height + y) * s->out_width + x) * s->channels_out;
                for (int o = 0; o < s->channels_out; o++) {
                    output[o] = (run->beta == 0 ? 0 : run->beta * output[o]) + (run->bias ? run->bias[o] : 0);
                }
                for (int tap = 0; tap < s->kernel_height * s->kernel_width; tap++) {
                    const float *pixel =
                        input_pixel(s, run->input, n, y, x, tap / s->kernel_width, tap % s->kernel_width);
                    if (pixel) {
                        add_tap(s, pixel, run->weight + (size_t)tap * s->channels_in * s->channels_out, output);
                    }
                }
            }
        }
    }
}

/* \return the sum over channels_out that reaches input channel c through one tap */
static float dot(int count, const float *a, const float *b)
{
    float sum = 0;
    for (int o = 0; o < count; o++) {
        sum += a[o] * b[o];
    }
    return sum;
}

/* \return the output coordinate that sees input coordinate `at` through `tap`, or -1 */
static int output_of(int at, int tap, int pad, int dilation, int stride, int out_size)
{
    int scaled = at + pad - tap * dilation;
    return scaled >= 0 && scaled % stride == 0 && scaled / stride < out_size ? scaled / stride : -1;
}

static void backward_data(const sm_conv2d_shape *s, const sm_conv2d_operands *run)
{
    size_t image = (size_t)s->height * s->width, out_image = (size_t)s->out_height * s->out_width;
#pragma omp parallel for num_threads(run->threads)
    for (size_t p = 0; p < run->batch * image; p++) {
        float *result = (float *)run->result + p * s->channels_in;
        for (int c = 0; c < s->channels_in; c++) {
            result[c] = run->beta == 0 ? 0 : run->beta * result[c];
        }
        for (int tap = 0; tap < s->kernel_height * s->kernel_width; tap++) {
            int y = output_of((int)(p % image) / s->width, tap / s->kernel_width, s->pad_top, s->dilation_height,
                              s->stride_height, s->out_height);
            int x = output_of((int)(p % s->width), tap % s->kernel_width, s->pad_left, s->dilation_width,
                              s->stride_width, s->out_width);
            if (y < 0 || x < 0) {
                continue;
            }
            const float *grad = (const float *)run->grad_output +
                                (p / image * out_image + (size_t)y * s->out_width + x) * s->channels_out;
            for (int c = 0; c < s->channels_in; c++) {
                result[c] +=
                    dot(s->channels_out, grad, run->weight + ((size_t)tap * s->channels_in + c) * s->channels_out);
            }
        }
    }
}

static void backward_weight(const sm_conv2d_shape *s, const sm_conv2d_operands *run)
{
    int taps = s->kernel_height * s->kernel_width;
#pragma omp parallel for num_threads(run->threads)
    for (int row = 0; row < taps * s->channels_in; row++) {
        int tap = row / s->channels_in, c = row % s->channels_in;
        float *result = (float *)run->result + (size_t)row * s->channels_out;
        for (int o = 0; o < s->channels_out; o++) {
            result[o] = run->beta == 0 ? 0 : run->beta * result[o];
        }
        for (int p = 0; p < run->batch * s->out_height * s->out_width; p++) {
            int x = p % s->out_width, y = p / s->out_width % s->out_height, n = p / s->out_width / s->out_height;
            const float *pixel = input_pixel(s, run->input, n, y, x, tap / s->kernel_width, tap % s->kernel_width);
            const float *grad = (const float *)run->grad_output + (size_t)p * s->channels_out;
            for (int o = 0; pixel && o < s->channels_out; o++) {
                result[o] += pixel[c] * grad[o];
            }
        }
    }
}

int sm_conv2d_reference_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass)
{
    (void)shape, (void)pass;
    return 1;
}

double sm_conv2d_reference_macs(const sm_conv2d_shape *s, sm_conv2d_pass pass)
{
    (void)pass;
    return (double)s->out_height * s->out_width * s->kernel_height * s->kernel_width * s->channels_in * s->channels_out;
}

double sm_conv2d_reference_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch)
{
    (void)batch;
    return 100 * sm_conv2d_reference_macs(shape, pass);
}

size_t sm_conv2d_reference_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads)
{
    (void)shape, (void)pass, (void)batch, (void)threads;
    return 0;
}

void sm_conv2d_reference_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands)
{
    static void (*const passes[SM_CONV2D_PASSES])(const sm_conv2d_shape *, const sm_conv2d_operands *) = {
        forward, backward_data, backward_weight};
    passes[pass](shape, operands);
}
