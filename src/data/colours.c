/* Rows are taken apart into their three channels, so that every change is one loop over plain arrays. The mean of contrast
 * needs all rows as the changes before it leave them: images with contrast are gone through twice. */
#include <sigmatic/base/clones.h>
#include <sigmatic/data/colours.h>

/* One row, a channel after the other. */
typedef struct planes {
    float *channel[3];
    int count;
} planes;

int sm_colour_changes(const sm_colour_change *change)
{
    return change->factor[SM_COLOUR_BRIGHTNESS] != 1 || change->factor[SM_COLOUR_CONTRAST] != 1 ||
           change->factor[SM_COLOUR_SATURATION] != 1 || change->factor[SM_COLOUR_HUE] != 0;
}

size_t sm_image_recolour_workspace(int out_width)
{
    return 3 * (size_t)out_width;
}

static inline float cut(float value)
{
    value = value > 0 ? value : 0;
    return value < 1 ? value : 1;
}

static inline float grey_of(float r, float g, float b)
{
    return 0.2989f * r + 0.587f * g + 0.114f * b;
}

static SM_CLONES(void, multiply, (float *restrict v, int count, float factor, float shift), (v, count, factor, shift))
{
    for (int i = 0; i < count; i++) {
        v[i] = cut(factor * v[i] + shift);
    }
}

static SM_CLONES(void, saturate, (float *restrict r, float *restrict g, float *restrict b, int count, float factor),
                 (r, g, b, count, factor))
{
    for (int i = 0; i < count; i++) {
        float shift = (1 - factor) * grey_of(r[i], g[i], b[i]);
        r[i] = cut(factor * r[i] + shift);
        g[i] = cut(factor * g[i] + shift);
        b[i] = cut(factor * b[i] + shift);
    }
}

/* A channel of the colour of this hue, in sixths of the circle from that channel's own place, greatest channel and span. */
static inline float channel_of(float hue, float greatest, float span)
{
    hue = hue >= 6 ? hue - 6 : hue;
    float distance = hue < 4 - hue ? hue : 4 - hue;
    return greatest - span * cut(distance);
}

static SM_CLONES(void, turn_hue, (float *restrict r, float *restrict g, float *restrict b, int count, float sixths),
                 (r, g, b, count, sixths))
{
    for (int i = 0; i < count; i++) {
        float greatest = r[i] > g[i] ? r[i] : g[i], least = r[i] < g[i] ? r[i] : g[i];
        greatest = b[i] > greatest ? b[i] : greatest;
        least = b[i] < least ? b[i] : least;
        float span = greatest - least, scale = 1 / (span > 0 ? span : 1);
        float from_r = (g[i] - b[i]) * scale, from_g = 2 + (b[i] - r[i]) * scale, from_b = 4 + (r[i] - g[i]) * scale;
        float hue = sixths + (greatest == r[i] ? from_r : greatest == g[i] ? from_g : from_b);
        hue = hue < 0 ? hue + 6 : hue;
        hue = hue >= 6 ? hue - 6 : hue;
        r[i] = channel_of(hue + 5, greatest, span);
        g[i] = channel_of(hue + 3, greatest, span);
        b[i] = channel_of(hue + 1, greatest, span);
    }
}

static SM_CLONES(double, sum_grey,
                 (const float *restrict r, const float *restrict g, const float *restrict b, int count),
                 (r, g, b, count))
{
    float sum = 0; /* of one row */
    for (int i = 0; i < count; i++) {
        sum += grey_of(r[i], g[i], b[i]);
    }
    return sum;
}

/* \param grey  the picture's mean, for contrast */
static void change_row(const planes *row, int change, double factor, double grey)
{
    float *const *c = row->channel;
    float shift = change == SM_COLOUR_CONTRAST ? (float)((1 - factor) * grey) : 0;
    if (change == SM_COLOUR_HUE) {
        if (factor != 0) {
            turn_hue(c[0], c[1], c[2], row->count, (float)(6 * factor));
        }
    } else if (factor != 1 && change == SM_COLOUR_SATURATION) {
        saturate(c[0], c[1], c[2], row->count, (float)factor);
    } else if (factor != 1) {
        for (int k = 0; k < 3; k++) {
            multiply(c[k], row->count, (float)factor, shift);
        }
    }
}

static void take_apart(const float *pixels, const float gain[3], const float shift[3], const planes *row)
{
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < row->count; i++) {
            row->channel[c][i] = pixels[3 * i + c] * gain[c] + shift[c];
        }
    }
}

static void put_together(const planes *row, const float gain[3], const float shift[3], float *pixels)
{
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < row->count; i++) {
            pixels[3 * i + c] = row->channel[c][i] * gain[c] + shift[c];
        }
    }
}

/* The pixels of an output row that lie in the stored image are neighbours. */
static int find_inside(const sm_geometry *geometry, int height, int width, int y, int *first)
{
    int end = geometry->out_width;
    *first = 0;
    while (*first < end && sm_geometry_nearest(geometry, height, width, *first, y) < 0) {
        ++*first;
    }
    while (end > *first && sm_geometry_nearest(geometry, height, width, end - 1, y) < 0) {
        end--;
    }
    return end - *first;
}

/* How numbers become [0, 1] and what they were again. */
typedef struct scales {
    float gain[3], shift[3];
} scales;

/* Goes through all rows with the changes of places first .. end - 1 of the order.
 * \return the mean grey afterwards */
static double change_rows(const sm_colour_change *change, int first, int end, double grey, const scales *in,
                          const scales *out, int height, int width, const sm_geometry *geometry, float *image,
                          float *workspace)
{
    double sum = 0;
    int64_t pixels = 0;
    for (int y = 0; y < geometry->out_height; y++) {
        int begin, count = find_inside(geometry, height, width, y, &begin);
        float *from = image + 3 * ((size_t)y * (size_t)geometry->out_width + (size_t)begin);
        planes row = {{workspace, workspace + count, workspace + 2 * count}, count};
        take_apart(from, in->gain, in->shift, &row);
        for (int i = first; i < end; i++) {
            change_row(&row, change->order[i], change->factor[change->order[i]], grey);
        }
        put_together(&row, out->gain, out->shift, from);
        sum += sum_grey(row.channel[0], row.channel[1], row.channel[2], count);
        pixels += count;
    }
    return pixels > 0 ? sum / (double)pixels : 0;
}

void sm_image_recolour(const sm_colour_change *change, int height, int width, const sm_geometry *geometry,
                       const double mean[3], const double std[3], float *image, float *workspace)
{
    scales in, out, same = {{1, 1, 1}, {0, 0, 0}};
    int contrast = 0;
    double grey = 0;
    for (int c = 0; c < 3; c++) {
        in.gain[c] = (float)std[c];
        in.shift[c] = (float)mean[c];
        out.gain[c] = (float)(1 / std[c]);
        out.shift[c] = (float)(-mean[c] / std[c]);
    }
    while (change->order[contrast] != SM_COLOUR_CONTRAST) {
        contrast++;
    }
    if (change->factor[SM_COLOUR_CONTRAST] != 1) {
        grey = change_rows(change, 0, contrast, 0, &in, &same, height, width, geometry, image, workspace);
        change_rows(change, contrast, SM_COLOUR_CHANGES, grey, &same, &out, height, width, geometry, image, workspace);
    } else {
        change_rows(change, 0, SM_COLOUR_CHANGES, 0, &in, &out, height, width, geometry, image, workspace);
    }
}
