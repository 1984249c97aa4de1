#include <sigmatic/base/clones.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/ops/resize.h>

#include "ops/parallel.h"

#include <string.h>

/* Separable, both ways. Forward: an output row is first mixed from two input rows (narrow when enlarging), then
 * stretched along x.
 * Backward: output rows are first gathered along x, then, for each input row, along y. Everything gathers, so threads
 * own rows.
 *
 * Few channels are the hot case (logits at full resolution), where a plain loop over channels has no full vector.
 * Groups of 4, 8 or 16 channels with a constant length do: the last group of a pixel starts early enough to end with
 * it (computing a few channels twice), and below 4 channels a group runs on into the following pixels, which are
 * written after it. */

/* One axis: output o mixes inputs low[o] and high[o] with 1 - part[o] and part[o]; input i appears in the outputs
 * begin[i] .. end[i] - 1. */
typedef struct axis {
    int in, out;
    int *low, *high, *begin, *end;
    float *part;
} axis;

static size_t axis_bytes(int in, int out)
{
    return sm_round_up((size_t)(3 * (size_t)out + 2 * (size_t)in) * 4, SM_ALIGNMENT_BYTES);
}

static double position(int o, int in, int out, int align_corners)
{
    if (align_corners) {
        return out > 1 ? (double)o * (in - 1) / (out - 1) : 0.0;
    }
    double centre = (o + 0.5) * in / out - 0.5;
    return centre < 0.0 ? 0.0 : centre;
}

static axis make_axis(int in, int out, int align_corners, void *memory)
{
    int *table = memory;
    axis a = {.in = in,
              .out = out,
              .low = table,
              .high = table + out,
              .begin = table + 2 * (size_t)out,
              .end = table + 2 * (size_t)out + in,
              .part = (float *)(table + 2 * (size_t)out + 2 * (size_t)in)};
    for (int i = 0; i < in; i++) {
        a.begin[i] = out;
        a.end[i] = 0;
    }
    for (int o = 0; o < out; o++) {
        double at = position(o, in, out, align_corners);
        int low = (int)at < in - 1 ? (int)at : in - 1, high = low < in - 1 ? low + 1 : low;
        a.low[o] = low;
        a.high[o] = high;
        a.part[o] = high > low ? (float)(at - low) : 0.0f; /* the last pixel exactly */
        a.begin[low] = o < a.begin[low] ? o : a.begin[low];
        a.begin[high] = o < a.begin[high] ? o : a.begin[high];
        a.end[low] = a.end[high] = o + 1; /* positions never decrease */
    }
    return a;
}

/* The weight of input i in output o, both of one axis, for an o within begin[i] .. end[i] - 1. */
static inline float weight_of(const axis *a, int i, int o)
{
    return (a->low[o] == i ? 1.0f - a->part[o] : 0.0f) + (a->high[o] == i ? a->part[o] : 0.0f);
}

/* A row of the input's width, with room for a group that runs on. */
static size_t mixed_row_floats(const sm_resize_shape *s)
{
    return sm_round_up((size_t)s->width * s->channels + 16, 16);
}

size_t sm_resize_forward_workspace_bytes(const sm_resize_shape *s, int threads)
{
    return axis_bytes(s->height, s->out_height) + axis_bytes(s->width, s->out_width) +
           (size_t)(threads < 1 ? 1 : threads) * mixed_row_floats(s) * sizeof(float);
}

size_t sm_resize_backward_workspace_bytes(const sm_resize_shape *s)
{
    return axis_bytes(s->height, s->out_height) + axis_bytes(s->width, s->out_width) +
           (size_t)s->out_height * s->width * s->channels * sizeof(float);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static SM_CLONES(void, mix_rows, (size_t count, const float *low, const float *high, float part, float *restrict mixed),
                 (count, low, high, part, mixed))
{
    for (size_t i = 0; i < count; i++) {
        mixed[i] = (1.0f - part) * low[i] + part * high[i];
    }
}

static inline __attribute__((always_inline)) void mix_group(int group, const float *low, const float *high, float part,
                                                            float *restrict to)
{
    for (int c = 0; c < group; c++) {
        to[c] = (1.0f - part) * low[c] + part * high[c];
    }
}

static inline __attribute__((always_inline)) void stretch(const axis *x, int group, int channels, const float *mixed,
                                                          float *restrict to)
{
    for (int o = 0; o < x->out; o++, to += channels) {
        const float *low = mixed + (size_t)x->low[o] * channels, *high = mixed + (size_t)x->high[o] * channels;
        int c = 0;
        for (; c + group <= channels; c += group) {
            mix_group(group, low + c, high + c, x->part[o], to + c);
        }
        if (c < channels) {
            c = channels - group;
            mix_group(group, low + c, high + c, x->part[o], to + c);
        }
    }
}

static inline __attribute__((always_inline)) void stretch_few(const axis *x, int channels, const float *mixed,
                                                              float *restrict to)
{
    int running_on = x->out - 3 / channels; /* from here on a group of 4 would leave the row */
    for (int o = 0; o < x->out; o++) {
        const float *low = mixed + (size_t)x->low[o] * channels, *high = mixed + (size_t)x->high[o] * channels;
        if (o < running_on) {
            mix_group(4, low, high, x->part[o], to + (size_t)o * channels);
        } else {
            mix_group(channels, low, high, x->part[o], to + (size_t)o * channels);
        }
    }
}

static SM_CLONES(void, stretch_row, (const axis *x, int channels, const float *mixed, float *restrict to),
                 (x, channels, mixed, to))
{
    if (channels >= 16) {
        stretch(x, 16, channels, mixed, to);
    } else if (channels >= 8) {
        stretch(x, 8, channels, mixed, to);
    } else if (channels >= 4) {
        stretch(x, 4, channels, mixed, to);
    } else {
        stretch_few(x, channels, mixed, to);
    }
}

void sm_resize_forward(const sm_resize_shape *s, int batch, const float *input, float *output, void *workspace,
                       int threads)
{
    char *memory = workspace;
    const axis y = make_axis(s->height, s->out_height, s->align_corners, memory);
    memory += axis_bytes(s->height, s->out_height);
    const axis x = make_axis(s->width, s->out_width, s->align_corners, memory);
    memory += axis_bytes(s->width, s->out_width);

    size_t row = (size_t)s->width * s->channels, out_row = (size_t)s->out_width * s->channels;
    int rows = batch * s->out_height, parts = sm_threads_worth((size_t)rows * out_row, threads);
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        float *mixed = (float *)memory + (size_t)part * mixed_row_floats(s);
        for (size_t i = row; i < mixed_row_floats(s); i++) {
            mixed[i] = 0.0f; /* read by groups that run on, never used */
        }
        for (int r = (int)((int64_t)rows * part / parts); r < (int)((int64_t)rows * (part + 1) / parts); r++) {
            const float *image = input + (size_t)(r / s->out_height) * s->height * row;
            int o = r % s->out_height;
            mix_rows(row, image + y.low[o] * row, image + y.high[o] * row, y.part[o], mixed);
            stretch_row(&x, s->channels, mixed, output + (size_t)r * out_row);
        }
    }
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* One group of channels of one input pixel: sum over the output pixels that it reached. */
static inline __attribute__((always_inline)) void gather_group(const axis *x, int i, int group, int channels,
                                                               const float *from, float *restrict to)
{
    float sum[16] = {0};
    for (int o = x->begin[i]; o < x->end[i]; o++) {
        float weight = weight_of(x, i, o);
        for (int c = 0; c < group; c++) {
            sum[c] += weight * from[(size_t)o * channels + c];
        }
    }
    for (int c = 0; c < group; c++) {
        to[c] = sum[c];
    }
}

static inline __attribute__((always_inline)) void gather(const axis *x, int group, int channels, const float *from,
                                                         float *restrict to)
{
    for (int i = 0; i < x->in; i++, to += channels) {
        int c = 0;
        for (; c + group <= channels; c += group) {
            gather_group(x, i, group, channels, from + c, to + c);
        }
        if (c < channels) {
            c = channels - group;
            gather_group(x, i, group, channels, from + c, to + c);
        }
    }
}

/* Many channels: whole pixels are read one after another, the sums stay in L1. */
static inline __attribute__((always_inline)) void gather_many(const axis *x, int channels, const float *from,
                                                              float *restrict to)
{
    for (int i = 0; i < x->in; i++, to += channels) {
        for (int c = 0; c < channels; c++) {
            to[c] = 0.0f;
        }
        for (int o = x->begin[i]; o < x->end[i]; o++) {
            float weight = weight_of(x, i, o);
            for (int c = 0; c < channels; c++) {
                to[c] += weight * from[(size_t)o * channels + c];
            }
        }
    }
}

static SM_CLONES(void, gather_row, (const axis *x, int channels, const float *from, float *restrict to),
                 (x, channels, from, to))
{
    if (channels > 64) {
        gather_many(x, channels, from, to);
    } else if (channels >= 16) {
        gather(x, 16, channels, from, to);
    } else if (channels >= 8) {
        gather(x, 8, channels, from, to);
    } else if (channels >= 4) {
        gather(x, 4, channels, from, to);
    } else if (channels == 3) {
        gather(x, 3, channels, from, to);
    } else if (channels == 2) {
        gather(x, 2, channels, from, to);
    } else {
        gather(x, 1, channels, from, to);
    }
}

static SM_CLONES(void, add_scaled_row, (size_t count, float weight, const float *restrict from, float *restrict to),
                 (count, weight, from, to))
{
    for (size_t i = 0; i < count; i++) {
        to[i] += weight * from[i];
    }
}

void sm_resize_backward(const sm_resize_shape *s, int batch, const float *grad_output, float beta, float *grad_input,
                        void *workspace, int threads)
{
    char *memory = workspace;
    const axis y = make_axis(s->height, s->out_height, s->align_corners, memory);
    memory += axis_bytes(s->height, s->out_height);
    const axis x = make_axis(s->width, s->out_width, s->align_corners, memory);
    memory += axis_bytes(s->width, s->out_width);
    float *gathered = (float *)memory; /* one image, (out_height, width, channels) */

    size_t row = (size_t)s->width * s->channels, out_row = (size_t)s->out_width * s->channels;
    int parts = sm_threads_worth((size_t)s->out_height * out_row, threads);
    for (int n = 0; n < batch; n++) {
        const float *from = grad_output + (size_t)n * s->out_height * out_row;
        float *to = grad_input + (size_t)n * s->height * row;
#pragma omp parallel num_threads(parts) if (parts > 1)
        {
#pragma omp for schedule(static)
            for (int o = 0; o < s->out_height; o++) {
                gather_row(&x, s->channels, from + (size_t)o * out_row, gathered + (size_t)o * row);
            }
#pragma omp for schedule(static)
            for (int i = 0; i < s->height; i++) {
                float *target = to + (size_t)i * row;
                if (beta == 0.0f) {
                    memset(target, 0, row * sizeof(float));
                }
                for (int o = y.begin[i]; o < y.end[i]; o++) {
                    add_scaled_row(row, weight_of(&y, i, o), gathered + (size_t)o * row, target);
                }
            }
        }
    }
}
