/* Several taps at stride 1 by bands of the image: pixels are packed once for all taps, and a tap that reaches into the
 * image nowhere in a tile of pixels is left out there. */
#include "ops/conv2d_bf16.h"
#include "ops/typed.h"
#include "ops/whole.h"

#include <sigmatic/base/memory.h>

#include <string.h>

enum {
    STEPS = SM_BF16_STEPS,
    ROWS = SM_BF16_ROWS,
    HALF_ROWS = SM_BF16_HALF_ROWS,
    COLUMNS = SM_BF16_COLUMNS,
    PANELS_NOW = SM_BF16_PANELS_NOW,
    A_BYTES = SM_BF16_A_BYTES,
};

enum { TAPS_MAX = SM_LATTICE_KERNEL_MAX * SM_LATTICE_KERNEL_MAX };

/* Some result rows of an image and some channels of the source rows that they read, packed. To the left and right of a
 * row are as many zero pixels as half a tile reads there if it reads any pixel of the row. */
typedef struct band {
    size_t image;
    sm_lattice_stretch rows;
    int channel, channels;
    int left, width; /* zero pixels before a row; pixels of a packed row */
    size_t pixel_bytes;
    char *packed;
} band;

/* Bands whose pixels are packed at the same time, so that the weights are packed once for all of them. */
enum { BANDS_MAX = 8 };

/* Zero pixels on either side. */
static int left_of(const sm_lattice *l)
{
    return sm_clamp(-l->x->offset[0], 0, HALF_ROWS - 1);
}

static int right_of(const sm_lattice *l)
{
    int reach = (int)sm_round_up((size_t)l->x->count, HALF_ROWS) + l->x->offset[l->x->taps - 1];
    return sm_clamp(reach - l->width, 0, HALF_ROWS - 1);
}

static int band_width(const sm_lattice *l)
{
    return left_of(l) + l->width + right_of(l);
}

/* \return result rows of a band with so many channels, 0 if not one fits */
static int band_rows(const sm_lattice *l, int parts, int channels)
{
    int fit = (int)(A_BYTES / (sm_bf16_row_stride(parts, channels) * (size_t)band_width(l))) - 1, rows = 0;
    while (rows < l->y->count && sm_lattice_slots_most(l, rows + 1) <= fit) {
        rows++;
    }
    return rows;
}

/* \return 1 if bands of so many channels and together PIXELS_WANTED pixels fit */
static int pixels_fit(const sm_lattice *l, int parts, int channels)
{
    enum { PIXELS_WANTED = 1024 };
    int rows = band_rows(l, parts, channels), wanted = sm_divide_up(PIXELS_WANTED, l->x->count);
    if (rows < l->y->count) {
        return rows >= wanted;
    }
    size_t image =
        ((size_t)sm_lattice_slots_most(l, rows) * band_width(l) + HALF_ROWS) * sm_bf16_row_stride(parts, channels);
    return sm_smaller(BANDS_MAX, sm_divide_up(wanted, rows)) * image <= A_BYTES;
}

/* \return channels of a band: many, but few enough for so many pixels that packing the weights for them hardly counts;
 * 0 if bands do not suit */
int sm_bf16_band_channels(const sm_lattice *l, int parts)
{
    enum { CHANNELS_MAX = 256 };
    int taps = l->y->taps * l->x->taps;
    if (taps < 2 || l->y->count < 1 || l->x->count < 1 || l->channels < STEPS || l->y->source_step != 1 ||
        l->x->source_step != 1 || l->y->step != 1 || l->x->step != 1) {
        return 0;
    }
    int channels = CHANNELS_MAX;
    while (channels > STEPS && (channels * taps * COLUMNS > PANELS_NOW || channels >= l->channels + STEPS ||
                                !pixels_fit(l, parts, channels))) {
        channels /= 2;
    }
    return band_rows(l, parts, channels) > 0 && channels * taps * COLUMNS <= PANELS_NOW ? channels : 0;
}

static size_t band_bytes(const band *b)
{
    return ((size_t)b->rows.slots * b->width + HALF_ROWS) * b->pixel_bytes;
}

/* After the packed rows: what lies outside the source. */
static char *zero_pixels(const band *b)
{
    return b->packed + (size_t)b->rows.slots * b->width * b->pixel_bytes;
}

static void pack_band(const sm_bf16_job *j, const band *b)
{
    const sm_lattice *l = j->lattice;
    int right = b->width - b->left - l->width;
    char *to = b->packed;
    for (int slot = 0; slot < b->rows.slots; slot++) {
        size_t row = b->image * l->height + sm_lattice_slot_row(l, &b->rows, slot);
        const void *from = sm_map_at_const(j->source_type, j->source, row * l->width * l->channels + b->channel);
        memset(to, 0, b->left * b->pixel_bytes);
        to += b->left * b->pixel_bytes;
        j->kernel->pack_rows(j->parts, l->width, b->channels, j->source_type, from, (size_t)l->channels, to,
                             b->pixel_bytes);
        to += l->width * b->pixel_bytes;
        memset(to, 0, right * b->pixel_bytes);
        to += right * b->pixel_bytes;
    }
    memset(to, 0, HALF_ROWS * b->pixel_bytes);
}

/* \return 1 if some pixel of the band reads inside the source through a tap */
static int band_reads_inside(const sm_lattice *l, const band *b, int tap_y, int tap_x)
{
    int x = l->x->offset[tap_x];
    return b->rows.begin[tap_y] < b->rows.end[tap_y] && x + l->x->count > 0 && x < l->width;
}

/* Weights of a panel, of all taps that the bands read something through. */
static void pack_band_weights(const sm_bf16_job *j, const band *bands, int count, int panel)
{
    const sm_lattice *l = j->lattice;
    char *to = j->own.b;
    for (int y = 0; y < l->y->taps; y++) {
        for (int x = 0; x < l->x->taps; x++, to += sm_bf16_columns_bytes(j->parts, bands->channels)) {
            int is_read = 0;
            for (int i = 0; i < count; i++) {
                is_read |= band_reads_inside(l, &bands[i], y, x);
            }
            if (is_read) {
                int slot = (l->y->rank + y) * j->shape->kernel_width + l->x->rank + x;
                sm_bf16_pack_weights(j, slot * l->channels + bands->channel, bands->channels, panel, to);
            }
        }
    }
}

/* HALF_ROWS pixels of a result row, from x on, of row y of the band. Halves that follow each other lie below each other:
 * the taps of a tile that are inside the source are then few. */
typedef struct half_tile {
    int x, y;
} half_tile;

static half_tile half_tile_of(const band *b, int index)
{
    return (half_tile){index / b->rows.count * HALF_ROWS, index % b->rows.count};
}

/* \return 1 if some pixel of the half reads inside the source through a tap */
static int reads_inside(const sm_lattice *l, const band *b, half_tile half, int tap_y, int tap_x)
{
    int x = half.x + l->x->offset[tap_x];
    int pixels = sm_smaller(HALF_ROWS, l->x->count - half.x);
    return sm_lattice_slot(l, &b->rows, half.y, tap_y) >= 0 && x + pixels > 0 && x < l->width;
}

/* \return the packed pixel that the half's first pixel reads through a tap */
static const char *half_through(const sm_lattice *l, const band *b, half_tile half, int tap_y, int tap_x)
{
    if (!reads_inside(l, b, half, tap_y, tap_x)) {
        return zero_pixels(b);
    }
    int slot = sm_lattice_slot(l, &b->rows, half.y, tap_y);
    return b->packed + ((size_t)slot * b->width + b->left + half.x + l->x->offset[tap_x]) * b->pixel_bytes;
}

/* Half tiles that are computed together: `index` and the next one, if there is one. */
typedef struct tile {
    int halves;
    half_tile half[2];
} tile;

static int halves_of(const sm_lattice *l, const band *b)
{
    return b->rows.count * sm_divide_up(l->x->count, HALF_ROWS);
}

static tile tile_at(const sm_lattice *l, const band *b, int index)
{
    int last = sm_smaller(index + 1, halves_of(l, b) - 1);
    return (tile){last - index + 1, {half_tile_of(b, index), half_tile_of(b, last)}};
}

static int tile_reads_inside(const sm_lattice *l, const band *b, const tile *t, int tap_y, int tap_x)
{
    return reads_inside(l, b, t->half[0], tap_y, tap_x) || reads_inside(l, b, t->half[1], tap_y, tap_x);
}

/* The factors of a tile: taps through which it reads something.
 *
 * \return their number */
static int pieces_of(const sm_bf16_job *j, const band *b, const tile *t, sm_bf16_piece *pieces)
{
    const sm_lattice *l = j->lattice;
    int count = 0;
    const char *columns = j->own.b;
    for (int y = 0; y < l->y->taps; y++) {
        for (int x = 0; x < l->x->taps; x++, columns += sm_bf16_columns_bytes(j->parts, b->channels)) {
            if (tile_reads_inside(l, b, t, y, x)) {
                pieces[count++] = (sm_bf16_piece){
                    {half_through(l, b, t->half[0], y, x), half_through(l, b, t->half[1], y, x)}, columns};
            }
        }
    }
    return count;
}

/* Pixels of the result that a half is: nobody's where it passes the end of its row. */
static void pixels_of_half(const sm_bf16_job *j, const band *b, half_tile half, size_t *pixels)
{
    const sm_lattice *l = j->lattice;
    size_t row = b->image * j->result_height + l->y->first + b->rows.first + half.y;
    size_t first = row * j->result_width + l->x->first + half.x;
    for (int i = 0; i < HALF_ROWS; i++) {
        pixels[i] = half.x + i < l->x->count ? first + i : (size_t)SM_BF16_NOBODY;
    }
}

/* A band times one packed panel. */
static void multiply_band(const sm_bf16_job *j, const band *b, int panel)
{
    sm_bf16_piece pieces[TAPS_MAX];
    sm_bf16_factors factors = {.depth = b->channels, .stride = b->pixel_bytes, .piece = pieces};
    int is_first = b->channel == 0, is_last = b->channel + b->channels == j->lattice->channels;
    for (int index = 0; index < halves_of(j->lattice, b); index += 2) {
        tile t = tile_at(j->lattice, b, index);
        size_t pixels[ROWS];
        sm_bf16_target target;
        for (int i = 0; i < t.halves; i++) {
            pixels_of_half(j, b, t.half[i], pixels + i * HALF_ROWS);
        }
        sm_bf16_point_at_result(j, t.halves * HALF_ROWS, pixels, is_first && is_last, &target);
        factors.count = pieces_of(j, b, &t, pieces);
        sm_bf16_multiply(j, &target, panel, &factors, is_first, is_last);
    }
}

/* The band of an image that begins with row y, of no more rows than `most`. */
static band band_at(const sm_lattice *l, int parts, int channels, int y, int most)
{
    band b = {.left = left_of(l), .width = band_width(l), .pixel_bytes = sm_bf16_row_stride(parts, channels)};
    int rows = sm_smaller(band_rows(l, parts, channels), l->y->count - y);
    sm_lattice_stretch_make(l, y, sm_smaller(rows, most), &b.rows);
    return b;
}

/* \return how often the weights are packed for so many images */
int sm_bf16_band_groups(const sm_lattice *l, int parts, int channels, int batch)
{
    band b = band_at(l, parts, channels, 0, l->y->count);
    if (b.rows.count < l->y->count) {
        return batch * sm_divide_up(l->y->count, b.rows.count);
    }
    return sm_divide_up(batch, sm_clamp((int)(A_BYTES / band_bytes(&b)), 1, BANDS_MAX));
}

/* \return taps that an image reads something through */
int sm_bf16_taps_read(const sm_lattice *l)
{
    band whole;
    int count = 0;
    sm_lattice_stretch_make(l, 0, l->y->count, &whole.rows);
    for (int tap = 0; tap < l->y->taps * l->x->taps; tap++) {
        count += band_reads_inside(l, &whole, tap / l->x->taps, tap % l->x->taps);
    }
    return count;
}

/* \return pixels times taps that bands multiply, an image */
double sm_bf16_band_rows_times_taps(const sm_lattice *l, int parts, int channels)
{
    double sum = 0;
    for (int y = 0, rows; y < l->y->count; y += rows) {
        band b = band_at(l, parts, channels, y, l->y->count);
        rows = b.rows.count;
        for (int index = 0; index < halves_of(l, &b); index += 2) {
            tile t = tile_at(l, &b, index);
            for (int tap = 0; tap < l->y->taps * l->x->taps; tap++) {
                sum += tile_reads_inside(l, &b, &t, tap / l->x->taps, tap % l->x->taps) * t.halves * HALF_ROWS;
            }
        }
    }
    return sum;
}

/* As many bands from `row` of all images on as fit.
 *
 * \return their number */
static int gather_bands(const sm_bf16_job *j, int channels, size_t *row, band *bands)
{
    const sm_lattice *l = j->lattice;
    char *packed = j->own.a;
    int count = 0;
    while (count < BANDS_MAX && *row < j->last_row) {
        size_t height = (size_t)l->y->count, left = j->last_row - *row;
        band b = band_at(l, j->parts, channels, (int)(*row % height), left < height ? (int)left : l->y->count);
        b.image = *row / height;
        b.packed = packed;
        packed += band_bytes(&b);
        if (packed > j->own.a + A_BYTES) {
            break;
        }
        bands[count++] = b;
        *row += (size_t)b.rows.count;
    }
    return count;
}

/* A round of all panels: bands, and channels of them. */
typedef struct band_round {
    int index, count;
    size_t next_row; /* after the bands */
    band bands[BANDS_MAX];
} band_round;

static void pack_bands(const sm_bf16_job *j, band_round *round, int channel, int channels)
{
    for (int i = 0; i < round->count; i++) {
        round->bands[i].channel = channel;
        round->bands[i].channels = sm_smaller(channels, j->lattice->channels - channel);
        pack_band(j, &round->bands[i]);
    }
}

/* Goes on to round `index`: packs its bands. \return 0 if there is none */
static int enter_round(const sm_bf16_job *j, band_round *round, int index, int channels)
{
    int pieces = sm_divide_up(j->lattice->channels, channels);
    if (index == round->index) {
        return 1;
    }
    for (int group = round->index < 0 ? -1 : round->index / pieces; group < index / pieces; group++) {
        if (round->next_row >= j->last_row) {
            return 0;
        }
        round->count = gather_bands(j, channels, &round->next_row, round->bands);
    }
    pack_bands(j, round, index % pieces * channels, channels);
    round->index = index;
    return 1;
}

/* Units are panels. */
void sm_bf16_run_bands(const sm_bf16_job *j, int channels)
{
    band_round round = {.index = -1, .next_row = j->first_row};
    for (;;) {
        sm_work_unit unit = sm_work_take(j->work);
        if (!enter_round(j, &round, unit.round, channels)) {
            return;
        }
        sm_work_wait(j->work, unit);
        int panels = j->last_panel - j->first_panel;
        int end = j->first_panel + sm_piece_begin(panels, j->work->units, unit.index + 1);
        for (int panel = j->first_panel + sm_piece_begin(panels, j->work->units, unit.index); panel < end; panel++) {
            pack_band_weights(j, round.bands, round.count, panel);
            for (int i = 0; i < round.count; i++) {
                multiply_band(j, &round.bands[i], panel);
            }
        }
        sm_work_end(j->work, unit);
    }
}
