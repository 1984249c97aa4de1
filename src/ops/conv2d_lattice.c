#include "ops/conv2d_lattice.h"
#include "ops/typed.h"
#include "ops/whole.h"

#include <string.h>

/* One axis of the convolution, from the viewpoint of a pass. */
typedef struct axis {
    int kernel, stride, dilation, pad;
    int result_size, source_size; /* backward weight: of grad_output and input */
} axis;

static axis axis_y(const sm_conv2d_shape *s, sm_conv2d_pass pass)
{
    int back = pass == SM_CONV2D_BACKWARD_DATA;
    return (axis){s->kernel_height,
                  s->stride_height,
                  s->dilation_height,
                  s->pad_top,
                  back ? s->height : s->out_height,
                  back ? s->out_height : s->height};
}

static axis axis_x(const sm_conv2d_shape *s, sm_conv2d_pass pass)
{
    int back = pass == SM_CONV2D_BACKWARD_DATA;
    return (axis){s->kernel_width,
                  s->stride_width,
                  s->dilation_width,
                  s->pad_left,
                  back ? s->width : s->out_width,
                  back ? s->out_width : s->width};
}

static int reaches(const axis *a, int phase, int tap)
{
    return (phase + a->pad - tap * a->dilation) % a->stride == 0;
}

void sm_lattice_tap_order(int kernel, int stride, int dilation, int pad, sm_conv2d_pass pass, int *order)
{
    if (pass != SM_CONV2D_BACKWARD_DATA) {
        for (int tap = 0; tap < kernel; tap++) {
            order[tap] = tap;
        }
        return;
    }
    axis a = {.stride = stride, .dilation = dilation, .pad = pad};
    for (int phase = 0, rank = 0; phase < stride; phase++) {
        for (int tap = kernel - 1; tap >= 0; tap--) {
            if (reaches(&a, phase, tap)) {
                order[rank++] = tap;
            }
        }
    }
}

/* All taps of a phase over all of its places. */
static sm_lattice_axis whole_phase(const axis *a, sm_conv2d_pass pass, int phase)
{
    sm_lattice_axis range = {.first = phase, .source_step = 1};
    int order[SM_LATTICE_KERNEL_MAX] = {0};
    sm_lattice_tap_order(a->kernel, a->stride, a->dilation, a->pad, pass, order);
    if (pass != SM_CONV2D_BACKWARD_DATA) {
        range.step = 1;
        range.count = a->result_size;
        range.source_step = a->stride;
        for (int tap = 0; tap < a->kernel; tap++) {
            range.tap[range.taps] = tap;
            range.offset[range.taps++] = tap * a->dilation - a->pad;
        }
        return range;
    }
    range.step = a->stride;
    range.count = phase < a->result_size ? (a->result_size - phase - 1) / a->stride + 1 : 0;
    for (int rank = 0; rank < a->kernel; rank++) {
        int tap = order[rank];
        if (reaches(a, phase, tap)) {
            range.rank = range.taps ? range.rank : rank;
            range.tap[range.taps] = tap;
            range.offset[range.taps++] = (phase + a->pad - tap * a->dilation) / a->stride;
        }
    }
    return range;
}

/* \return the part of a range between places begin and end, with taps from .. to only */
static sm_lattice_axis part(const sm_lattice_axis *whole, int begin, int end, int from, int to)
{
    sm_lattice_axis range = {.first = whole->first + begin * whole->step,
                             .step = whole->step,
                             .count = end - begin,
                             .source_step = whole->source_step,
                             .rank = whole->rank + from};
    for (int t = from; t < to; t++) {
        range.tap[range.taps] = whole->tap[t];
        range.offset[range.taps++] = whole->offset[t] + begin * whole->source_step;
    }
    return range;
}

static int is_inside(const sm_lattice_axis *range, int place, int t, int source_size)
{
    int at = place * range->source_step + range->offset[t];
    return at >= 0 && at < source_size;
}

/* Cuts where the set of valid taps changes. Offsets ascend, so the set is an interval. */
static int split_places(const sm_lattice_axis *whole, int source_size, sm_lattice_axis *out)
{
    int count = 0;
    for (int begin = 0, end; begin < whole->count; begin = end) {
        int from = 0, to = whole->taps;
        while (from < to && !is_inside(whole, begin, from, source_size)) {
            from++;
        }
        while (to > from && !is_inside(whole, begin, to - 1, source_size)) {
            to--;
        }
        for (end = begin + 1; end < whole->count; end++) {
            int same = 1;
            for (int t = 0; t < whole->taps; t++) {
                same &= is_inside(whole, end, t, source_size) == (t >= from && t < to);
            }
            if (!same) {
                break;
            }
        }
        out[count++] = part(whole, begin, end, from, to);
    }
    return count;
}

/* One range a tap: the places where it is valid. */
static int split_taps(const sm_lattice_axis *whole, int source_size, sm_lattice_axis *out)
{
    for (int t = 0; t < whole->taps; t++) {
        int begin = 0, end = whole->count;
        while (begin < end && !is_inside(whole, begin, t, source_size)) {
            begin++;
        }
        while (end > begin && !is_inside(whole, end - 1, t, source_size)) {
            end--;
        }
        out[t] = part(whole, begin, end, t, t + 1);
    }
    return whole->taps;
}

static int cut_axis(const axis *a, sm_conv2d_pass pass, int split, sm_lattice_axis *out)
{
    int count = 0;
    int phases = pass == SM_CONV2D_BACKWARD_DATA ? a->stride : 1;
    for (int phase = 0; phase < phases; phase++) {
        sm_lattice_axis whole = whole_phase(a, pass, phase);
        if (!split) {
            out[count++] = whole;
        } else if (pass == SM_CONV2D_BACKWARD_WEIGHT) {
            count += split_taps(&whole, a->source_size, out + count);
        } else {
            count += split_places(&whole, a->source_size, out + count);
        }
    }
    return count;
}

int sm_lattice_supports(const sm_conv2d_shape *s)
{
    return s->kernel_height <= SM_LATTICE_KERNEL_MAX && s->kernel_width <= SM_LATTICE_KERNEL_MAX &&
           s->stride_height <= SM_LATTICE_STRIDE_MAX && s->stride_width <= SM_LATTICE_STRIDE_MAX;
}

void sm_lattice_cut_axes(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int split, sm_lattice_cut *cut)
{
    axis y = axis_y(shape, pass), x = axis_x(shape, pass);
    cut->y_count = cut_axis(&y, pass, split, cut->y);
    cut->x_count = cut_axis(&x, pass, split, cut->x);
}

void sm_lattice_make(const sm_conv2d_shape *s, sm_conv2d_pass pass, const sm_lattice_cut *cut, int index,
                     sm_lattice *lattice)
{
    int back = pass == SM_CONV2D_BACKWARD_DATA;
    const sm_lattice_axis *y = &cut->y[index / cut->x_count], *x = &cut->x[index % cut->x_count];
    lattice->y = y;
    lattice->x = x;
    lattice->height = back ? s->out_height : s->height;
    lattice->width = back ? s->out_width : s->width;
    lattice->channels = back ? s->channels_out : s->channels_in;
    lattice->depth = y->taps * x->taps * lattice->channels;
    lattice->spans = 0;
    for (int i = 0; i < y->taps; i++) {
        for (int j = 0; j < x->taps; j++) {
            if (j > 0 && x->offset[j] == x->offset[j - 1] + 1) {
                lattice->span[lattice->spans - 1].elements += lattice->channels;
            } else {
                lattice->span[lattice->spans++] = (sm_lattice_span){y->offset[i], x->offset[j], lattice->channels};
            }
        }
    }
}

/* A row of the product, walked without divisions. */
typedef struct place {
    size_t image;
    int y, x;
} place;

static place place_of(const sm_lattice *lattice, size_t row)
{
    size_t a_image = (size_t)lattice->y->count * lattice->x->count;
    int within = (int)(row % a_image);
    return (place){row / a_image, within / lattice->x->count, within % lattice->x->count};
}

static void next_place(const sm_lattice *lattice, place *at)
{
    if (++at->x == lattice->x->count) {
        at->x = 0;
        if (++at->y == lattice->y->count) {
            at->y = 0;
            at->image++;
        }
    }
}

static inline void fill_zeros(size_t element, void *out, int count)
{
    if (count > 0) {
        memset(out, 0, (size_t)count * element);
    }
}

/* Copies elements from .. to of a span that starts at pixel `x` of a source row; outside the row they are zero. */
static inline void pack_span(size_t element, const char *source_row, int x, int width, int channels, int from, int to,
                             char *out)
{
    int begin = sm_clamp(-x * channels, from, to), end = sm_clamp((width - x) * channels, begin, to);
    fill_zeros(element, out, begin - from);
    if (end > begin) {
        memcpy(out + (size_t)(begin - from) * element,
               source_row + ((ptrdiff_t)x * channels + begin) * (ptrdiff_t)element, (size_t)(end - begin) * element);
    }
    fill_zeros(element, out + (size_t)(end - from) * element, to - end);
}

void sm_lattice_pack(const sm_lattice *lattice, sm_dtype type, const void *source, size_t first_row, int rows,
                     int first, int depth, void *block, size_t stride)
{
    size_t element = sm_dtype_bytes(type);
    int first_span = 0, skipped = 0;
    while (skipped + lattice->span[first_span].elements <= first) {
        skipped += lattice->span[first_span++].elements;
    }
    place at = place_of(lattice, first_row);
    for (int row = 0; row < rows; row++, next_place(lattice, &at)) {
        char *out = (char *)block + row * stride * element;
        const sm_lattice_span *span = &lattice->span[first_span];
        for (int from = first - skipped, left = depth; left > 0; span++) {
            int to = span->elements < from + left ? span->elements : from + left;
            int y = at.y * lattice->y->source_step + span->offset_y;
            int x = at.x * lattice->x->source_step + span->offset_x;
            if (y < 0 || y >= lattice->height) {
                fill_zeros(element, out, to - from);
            } else {
                size_t pixel = (at.image * lattice->height + y) * (size_t)lattice->width;
                const char *source_row = (const char *)source + pixel * lattice->channels * element;
                pack_span(element, source_row, x, lattice->width, lattice->channels, from, to, out);
            }
            out += (size_t)(to - from) * element;
            left -= to - from;
            from = 0;
        }
    }
}

static int is_identity(const sm_lattice_axis *range, int size)
{
    return range->taps == 1 && range->offset[0] == 0 && range->source_step == 1 && range->count == size;
}

int sm_lattice_is_whole(const sm_lattice *lattice)
{
    return is_identity(lattice->y, lattice->height) && is_identity(lattice->x, lattice->width);
}

void sm_lattice_point(const sm_lattice *lattice, sm_dtype type, const void *source, size_t first_row, int rows,
                      int tap_y, int tap_x, const void *outside, const void **pixels)
{
    size_t pixel_bytes = lattice->channels * sm_dtype_bytes(type);
    place at = place_of(lattice, first_row);
    for (int row = 0; row < rows; row++, next_place(lattice, &at)) {
        int y = at.y * lattice->y->source_step + lattice->y->offset[tap_y];
        int x = at.x * lattice->x->source_step + lattice->x->offset[tap_x];
        int inside = y >= 0 && y < lattice->height && x >= 0 && x < lattice->width;
        size_t pixel = (at.image * lattice->height + (size_t)y) * lattice->width + (size_t)x;
        pixels[row] = inside ? (const char *)source + pixel * pixel_bytes : outside;
    }
}

void sm_lattice_pixels(const sm_lattice *lattice, int height, int width, size_t first_row, int rows, size_t *pixels)
{
    place at = place_of(lattice, first_row);
    for (int row = 0; row < rows; row++, next_place(lattice, &at)) {
        int y = lattice->y->first + at.y * lattice->y->step, x = lattice->x->first + at.x * lattice->x->step;
        pixels[row] = (at.image * height + y) * (size_t)width + x;
    }
}

void sm_lattice_stretch_make(const sm_lattice *l, int first, int count, sm_lattice_stretch *stretch)
{
    *stretch = (sm_lattice_stretch){.first = first, .count = count};
    for (int i = 0, end = 0; i < l->y->taps; i++) {
        int begin = sm_clamp(first + l->y->offset[i], 0, l->height), shared = end > begin ? end - begin : 0;
        end = sm_clamp(first + l->y->offset[i] + count, 0, l->height);
        stretch->begin[i] = begin;
        stretch->end[i] = end;
        stretch->slot[i] = stretch->slots - shared;
        stretch->slots = stretch->slot[i] + end - begin;
    }
}

int sm_lattice_slots_most(const sm_lattice *l, int count)
{
    int slots = count;
    for (int i = 1; i < l->y->taps; i++) {
        slots += sm_smaller(count, l->y->offset[i] - l->y->offset[i - 1]);
    }
    return sm_smaller(slots, l->height);
}

int sm_lattice_slot_row(const sm_lattice *l, const sm_lattice_stretch *stretch, int slot)
{
    int tap = 0;
    while (tap < l->y->taps - 1 && slot >= stretch->slot[tap] + stretch->end[tap] - stretch->begin[tap]) {
        tap++;
    }
    return stretch->begin[tap] + slot - stretch->slot[tap];
}
