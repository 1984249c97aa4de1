/* "bf16x3_gemm", "bf16x3_taps", "bf16x2_...", "bf16_...": as implicit_gemm and taps (conv2d_direct.c, conv2d_region.h),
 * with factors that are three parts of bfloat16, two, or one (bf16_kernel.h). Packing a factor takes far longer than
 * copying it, so both stay packed while they are used:
 *   forward, data gradient   weights in L2 until all rows have passed, a block of rows until the weights in L2 have
 *                            passed; where several taps read the same pixels, a band of the image, which the taps
 *                            then read shifted
 *   weight gradient          grad_output in L2 until all rows of the result have passed */
#include "ops/bf16_kernel.h"
#include "ops/conv2d_algorithms.h"
#include "ops/conv2d_region.h"
#include "ops/pack.h"
#include "ops/parallel.h"
#include "ops/turns.h"
#include "ops/whole.h"

#include <sigmatic/base/memory.h>

#include <omp.h>
#include <string.h>

enum {
    STEPS = SM_BF16_STEPS,
    ROWS = SM_BF16_ROWS,
    HALF_ROWS = SM_BF16_HALF_ROWS,
    COLUMNS = SM_BF16_COLUMNS,
    DEPTH_NOW = 512,                      /* of one piece of the product */
    COLUMNS_NOW = 384,                    /* of B in L2 at that depth */
    PANELS_NOW = DEPTH_NOW * COLUMNS_NOW, /* elements of B in L2 */
    ROW_STRIDE = DEPTH_NOW + 16,          /* floats: an odd number of cache lines */
    LINE = 64,                            /* bytes, added to packed rows for the same reason */
    TAPS_MAX = SM_REGION_KERNEL_MAX * SM_REGION_KERNEL_MAX,
    ELEMENT_BYTES = SM_BF16_PARTS_MAX * sizeof(uint16_t)
};

static int clamp(int value, int least, int most)
{
    return sm_larger(least, sm_smaller(value, most));
}

/* ---- a thread's memory ------------------------------------------------------------------------------------------- */

typedef struct buffers {
    float *pixels; /* as they are: ROWS of a piece */
    float *square; /* STEPS x COLUMNS */
    char *a, *b;   /* packed: ROWS of a piece, or a band of an image; PANELS_NOW */
} buffers;

enum {
    PIXELS_BYTES = ROWS * ROW_STRIDE * sizeof(float),
    SQUARE_BYTES = STEPS * COLUMNS * sizeof(float),
    A_BYTES = 5 << 18,
    B_BYTES = ELEMENT_BYTES * PANELS_NOW,
};

_Static_assert(A_BYTES >= ROWS * (ELEMENT_BYTES * DEPTH_NOW + LINE), "a holds a block of rows");

/* In front of them: turns of as many groups as there may be. */
static size_t turns_bytes(int threads)
{
    return sm_round_up((size_t)threads * sizeof(sm_turns), SM_ALIGNMENT_BYTES);
}

static buffers buffers_of(const sm_conv2d_operands *run, int thread)
{
    char *own = (char *)run->workspace + turns_bytes(run->threads) +
                (size_t)thread * (PIXELS_BYTES + SQUARE_BYTES + A_BYTES + B_BYTES);
    return (buffers){(float *)own, (float *)(own + PIXELS_BYTES), own + PIXELS_BYTES + SQUARE_BYTES,
                     own + PIXELS_BYTES + SQUARE_BYTES + A_BYTES};
}

/* Bytes between packed rows. */
static size_t row_stride(int parts, int depth)
{
    return sm_bf16_row_bytes(parts, depth) + LINE;
}

/* ---- forward and data gradient ----------------------------------------------------------------------------------- */

/* What one thread computes of one region: rows and panels (of COLUMNS) of the result. */
typedef struct job {
    const sm_conv2d_shape *shape;
    const sm_region *region;
    const sm_conv2d_operands *run;
    const sm_bf16_kernel *kernel;
    sm_conv2d_pass pass;
    int parts;
    const float *source;
    int result_height, result_width, result_channels;
    int order_y[SM_REGION_KERNEL_MAX], order_x[SM_REGION_KERNEL_MAX]; /* of taps along the depth */
    size_t first_row, last_row; /* of the region's matrix; with bands: of all images */
    int first_panel, last_panel;
    sm_turns *turns; /* which rows (with bands: panels) of these come next: with the threads that have the same ones */
    buffers own;
} job;

/* STEPS of the depth, from `step` of the packed order of taps on, COLUMNS of the result: as floats, in own.square. */
static void gather_turned_weights(const job *j, int step, int steps, int column, int columns)
{
    const sm_conv2d_shape *s = j->shape;
    int channels = j->region->channels;
    for (int done = 0, now; done < steps; done += now) {
        int slot = (step + done) / channels, channel = (step + done) % channels;
        int tap = j->order_y[slot / s->kernel_width] * s->kernel_width + j->order_x[slot % s->kernel_width];
        const float *from = j->run->weight + ((size_t)tap * s->channels_in + column) * s->channels_out + channel;
        now = sm_smaller(steps - done, channels - channel);
        sm_transpose(now, columns, from, (size_t)s->channels_out, j->own.square + (size_t)done * COLUMNS, COLUMNS);
    }
}

/* Pointers to rows `stride` floats apart. */
static void point_at_rows(const float *first, size_t stride, int count, const float **rows)
{
    for (int i = 0; i < count; i++) {
        rows[i] = first + (size_t)i * stride;
    }
}

/* Weights of a panel, steps of the packed order of taps, to `packed`. */
static void pack_weights(const job *j, int step, int depth, int panel, char *packed)
{
    const float *rows[DEPTH_NOW];
    int column = panel * COLUMNS, columns = sm_smaller(COLUMNS, j->result_channels - column);
    if (j->pass == SM_CONV2D_FORWARD) {
        point_at_rows(j->run->weight + (size_t)step * j->result_channels, (size_t)j->result_channels, depth, rows);
        j->kernel->pack_columns(j->parts, columns, depth, rows, (size_t)column, packed);
        return;
    }
    point_at_rows(j->own.square, COLUMNS, STEPS, rows);
    for (int done = 0; done < depth; done += STEPS) {
        int steps = sm_smaller(STEPS, depth - done);
        gather_turned_weights(j, step + done, steps, column, columns);
        j->kernel->pack_columns(j->parts, columns, steps, rows, 0, packed + sm_bf16_columns_bytes(j->parts, done));
    }
}

/* beta * result + bias, where the products do not begin from nothing */
static void begin_rows(const job *j, int rows, float *const *c, int first_panel, int last_panel)
{
    int end = sm_smaller(last_panel * COLUMNS, j->result_channels);
    for (int i = 0; i < rows; i++) {
        for (int o = first_panel * COLUMNS; o < end; o++) {
            c[i][o] = (j->run->beta == 0 ? 0 : c[i][o]) + (j->run->bias ? j->run->bias[o] : 0);
        }
    }
}

/* The one place where source pixels are packed. A region that is the whole source needs no copy before. */
static void pack_pixels(const job *j, size_t first_row, int rows, int first, int depth)
{
    const sm_region *r = j->region;
    if (sm_region_is_whole(r)) {
        j->kernel->pack_rows(j->parts, rows, depth, j->source + first_row * r->channels + first, (size_t)r->channels,
                             j->own.a, row_stride(j->parts, depth));
        return;
    }
    sm_region_pack(r, j->source, first_row, rows, first, depth, j->own.pixels, ROW_STRIDE);
    j->kernel->pack_rows(j->parts, rows, depth, j->own.pixels, ROW_STRIDE, j->own.a, row_stride(j->parts, depth));
}

/* ROWS packed rows, times columns that are still to be named. */
static sm_bf16_piece rows_of(int parts, int depth, const char *packed)
{
    return (sm_bf16_piece){.half = {packed, packed + HALF_ROWS * row_stride(parts, depth)}};
}

/* A block of rows times the packed panels. */
static void run_block(const job *j, size_t first_row, int rows, int first, int depth, int first_panel, int last_panel)
{
    size_t pixels[ROWS];
    float *c[ROWS];
    sm_region_pixels(j->region, j->result_height, j->result_width, first_row, rows, pixels);
    for (int i = 0; i < rows; i++) {
        c[i] = j->run->result + pixels[i] * j->result_channels;
    }
    int from_nothing = first == 0 && j->run->beta == 0 && !j->run->bias;
    if (first == 0 && (j->run->bias || depth == 0)) {
        begin_rows(j, rows, c, first_panel, last_panel);
    }
    if (depth == 0) {
        return;
    }
    pack_pixels(j, first_row, rows, first, depth);
    sm_bf16_piece factor = rows_of(j->parts, depth, j->own.a);
    sm_bf16_factors factors = {1, depth, row_stride(j->parts, depth), &factor};
    for (int panel = first_panel; panel < last_panel; panel++) {
        int column = panel * COLUMNS, columns = sm_smaller(COLUMNS, j->result_channels - column);
        factor.columns = j->own.b + (size_t)(panel - first_panel) * sm_bf16_columns_bytes(j->parts, depth);
        j->kernel->multiply(j->parts, rows, columns, &factors, c, (size_t)column, !from_nothing);
    }
}

/* A stretch of a region's depth, whole blocks of steps, whose weights lie together in the order of taps. */
typedef struct stretch {
    int first, depth;
    int step; /* in the order of all taps */
} stretch;

static stretch stretch_at(const job *j, int first)
{
    const sm_region *r = j->region;
    int x_floats = r->x->taps * r->channels;
    int row = first / x_floats, within = first % x_floats;
    int left = r->x->taps == j->shape->kernel_width ? r->depth - first : x_floats - within;
    int depth = sm_divide_up(left, sm_divide_up(left, DEPTH_NOW));
    depth = sm_smaller((int)sm_round_up((size_t)depth, STEPS), left);
    int slot = (r->y->rank + row) * j->shape->kernel_width + r->x->rank;
    return (stretch){first, depth, slot * r->channels + within};
}

/* A round of all rows: a stretch of the depth and the panels whose weights fit L2. */
typedef struct block_round {
    int index;
    stretch depth;
    int first_panel, last_panel;
} block_round;

static block_round round_from(const job *j, int index, int first, int panel)
{
    stretch now = j->region->depth ? stretch_at(j, first) : (stretch){0, 0, 0};
    int panels = now.depth ? PANELS_NOW / COLUMNS / (int)sm_round_up((size_t)now.depth, STEPS) : j->last_panel;
    return (block_round){index, now, panel, sm_smaller(panel + panels, j->last_panel)};
}

/* \return 0 if there is none */
static int next_round(const job *j, block_round *round)
{
    int is_last = round->last_panel >= j->last_panel, end = round->depth.first + round->depth.depth;
    if (is_last && end >= j->region->depth) {
        return 0;
    }
    *round = is_last ? round_from(j, round->index + 1, end, j->first_panel)
                     : round_from(j, round->index + 1, round->depth.first, round->last_panel);
    return 1;
}

static void pack_round(const job *j, const block_round *round)
{
    for (int panel = round->first_panel; panel < round->last_panel; panel++) {
        size_t place = (size_t)(panel - round->first_panel) * sm_bf16_columns_bytes(j->parts, round->depth.depth);
        pack_weights(j, round->depth.step, round->depth.depth, panel, j->own.b + place);
    }
}

static int units_of(int count)
{
    return clamp(count, 1, SM_TURN_UNITS_MAX);
}

static int blocks_of(const job *j)
{
    return (int)((j->last_row - j->first_row + ROWS - 1) / ROWS);
}

/* Units are rows. */
static void run_blocks(const job *j)
{
    int blocks = blocks_of(j), packed = -1;
    block_round round = round_from(j, 0, 0, j->first_panel);
    for (;;) {
        sm_turn turn = sm_turn_take(j->turns);
        while (round.index < turn.round) {
            if (!next_round(j, &round)) {
                return;
            }
        }
        if (packed < round.index && blocks > 0) {
            pack_round(j, &round);
            packed = round.index;
        }
        sm_turn_wait(j->turns, turn);
        int end = sm_piece_begin(blocks, j->turns->units, turn.unit + 1);
        for (int block = sm_piece_begin(blocks, j->turns->units, turn.unit); block < end; block++) {
            size_t row = j->first_row + (size_t)block * ROWS;
            int rows = j->last_row - row < ROWS ? (int)(j->last_row - row) : ROWS;
            run_block(j, row, rows, round.depth.first, round.depth.depth, round.first_panel, round.last_panel);
        }
        sm_turn_end(j->turns, turn);
    }
}

/* ---- forward and data gradient of several taps at stride 1: by bands of an image --------------------------------- */

/* Result rows y .. + rows of an image and some channels of the source rows that they read, packed: the intervals of
 * source rows that the taps read, where they are inside the source, one after the other. To the left and right of a row
 * are as many zero pixels as half a tile reads there if it reads any pixel of the row. */
typedef struct band {
    size_t image;
    int y, rows;
    int channel, channels;
    int left, width; /* zero pixels before a row; pixels of a packed row */
    size_t pixel_bytes;
    int begin[SM_REGION_KERNEL_MAX], end[SM_REGION_KERNEL_MAX]; /* source rows that tap i of the y axis reads */
    int slot[SM_REGION_KERNEL_MAX];                             /* packed row of source row begin[i] */
    int slots;
    char *packed;
} band;

/* Bands whose pixels are packed at the same time, so that the weights are packed once for all of them. */
enum { BANDS_MAX = 8 };

/* Zero pixels on either side. */
static int left_of(const sm_region *r)
{
    return clamp(-r->x->offset[0], 0, HALF_ROWS - 1);
}

static int right_of(const sm_region *r)
{
    int reach = (int)sm_round_up((size_t)r->x->count, HALF_ROWS) + r->x->offset[r->x->taps - 1];
    return clamp(reach - r->width, 0, HALF_ROWS - 1);
}

static int band_width(const sm_region *r)
{
    return left_of(r) + r->width + right_of(r);
}

/* Finds the source rows of a band, and their place. */
static void find_rows(const sm_region *r, band *b)
{
    b->slots = 0;
    for (int i = 0, end = 0; i < r->y->taps; i++) {
        b->begin[i] = clamp(b->y + r->y->offset[i], 0, r->height);
        b->end[i] = clamp(b->y + r->y->offset[i] + b->rows, 0, r->height);
        b->slot[i] = i > 0 && b->begin[i] < end ? b->slots - (end - b->begin[i]) : b->slots;
        b->slots = sm_larger(b->slots, b->slot[i] + b->end[i] - b->begin[i]);
        end = b->end[i];
    }
}

/* \return packed rows of a band of so many result rows, at most */
static int slots_most(const sm_region *r, int rows)
{
    int slots = rows;
    for (int i = 1; i < r->y->taps; i++) {
        slots += sm_smaller(rows, r->y->offset[i] - r->y->offset[i - 1]);
    }
    return sm_smaller(slots, r->height);
}

/* \return result rows of a band with so many channels, 0 if not one fits */
static int band_rows(const sm_region *r, int parts, int channels)
{
    int fit = (int)(A_BYTES / (row_stride(parts, channels) * (size_t)band_width(r))) - 1, rows = 0;
    while (rows < r->y->count && slots_most(r, rows + 1) <= fit) {
        rows++;
    }
    return rows;
}

/* \return 1 if bands of so many channels and together PIXELS_WANTED pixels fit */
static int pixels_fit(const sm_region *r, int parts, int channels)
{
    enum { PIXELS_WANTED = 1024 };
    int rows = band_rows(r, parts, channels), wanted = sm_divide_up(PIXELS_WANTED, r->x->count);
    if (rows < r->y->count) {
        return rows >= wanted;
    }
    size_t image = ((size_t)slots_most(r, rows) * band_width(r) + HALF_ROWS) * row_stride(parts, channels);
    return sm_divide_up(wanted, rows) * image <= A_BYTES;
}

/* \return channels of a band: many, but few enough for so many pixels that packing the weights for them hardly counts;
 * 0 if bands do not suit */
static int band_channels(const sm_region *r, int parts)
{
    enum { CHANNELS_MAX = 256 };
    int taps = r->y->taps * r->x->taps;
    if (taps < 2 || r->y->count < 1 || r->x->count < 1 || r->channels < STEPS || r->y->source_step != 1 ||
        r->x->source_step != 1 || r->y->step != 1 || r->x->step != 1) {
        return 0;
    }
    int channels = CHANNELS_MAX;
    while (channels > STEPS && (channels * taps * COLUMNS > PANELS_NOW || channels >= r->channels + STEPS ||
                                !pixels_fit(r, parts, channels))) {
        channels /= 2;
    }
    return band_rows(r, parts, channels) > 0 && channels * taps * COLUMNS <= PANELS_NOW ? channels : 0;
}

static size_t band_bytes(const band *b)
{
    return ((size_t)b->slots * b->width + HALF_ROWS) * b->pixel_bytes;
}

/* After the packed rows: what lies outside the source. */
static char *zero_pixels(const band *b)
{
    return b->packed + (size_t)b->slots * b->width * b->pixel_bytes;
}

static void pack_band(const job *j, const band *b)
{
    const sm_region *r = j->region;
    int right = b->width - b->left - r->width;
    char *to = b->packed;
    for (int i = 0, end = 0; i < r->y->taps; i++) {
        for (int y = sm_larger(b->begin[i], end); y < b->end[i]; y++) {
            const float *from = j->source + (b->image * r->height + y) * r->width * r->channels + b->channel;
            memset(to, 0, b->left * b->pixel_bytes);
            to += b->left * b->pixel_bytes;
            j->kernel->pack_rows(j->parts, r->width, b->channels, from, (size_t)r->channels, to, b->pixel_bytes);
            to += r->width * b->pixel_bytes;
            memset(to, 0, right * b->pixel_bytes);
            to += right * b->pixel_bytes;
        }
        end = sm_larger(end, b->end[i]);
    }
    memset(to, 0, HALF_ROWS * b->pixel_bytes);
}

/* \return 1 if some pixel of the band reads inside the source through a tap */
static int band_reads_inside(const sm_region *r, const band *b, int tap_y, int tap_x)
{
    int x = r->x->offset[tap_x];
    return b->begin[tap_y] < b->end[tap_y] && x + r->x->count > 0 && x < r->width;
}

/* Weights of a panel, of all taps that the bands read something through. */
static void pack_band_weights(const job *j, const band *bands, int count, int panel)
{
    const sm_region *r = j->region;
    char *to = j->own.b;
    for (int y = 0; y < r->y->taps; y++) {
        for (int x = 0; x < r->x->taps; x++, to += sm_bf16_columns_bytes(j->parts, bands->channels)) {
            int is_read = 0;
            for (int i = 0; i < count; i++) {
                is_read |= band_reads_inside(r, &bands[i], y, x);
            }
            if (is_read) {
                int slot = (r->y->rank + y) * j->shape->kernel_width + r->x->rank + x;
                pack_weights(j, slot * r->channels + bands->channel, bands->channels, panel, to);
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
    return (half_tile){index / b->rows * HALF_ROWS, index % b->rows};
}

/* \return 1 if some pixel of the half reads inside the source through a tap */
static int reads_inside(const sm_region *r, const band *b, half_tile half, int tap_y, int tap_x)
{
    int y = b->y + half.y + r->y->offset[tap_y], x = half.x + r->x->offset[tap_x];
    int pixels = sm_smaller(HALF_ROWS, r->x->count - half.x);
    return y >= b->begin[tap_y] && y < b->end[tap_y] && x + pixels > 0 && x < r->width;
}

/* \return the packed pixel that the half's first pixel reads through a tap */
static const char *half_through(const sm_region *r, const band *b, half_tile half, int tap_y, int tap_x)
{
    if (!reads_inside(r, b, half, tap_y, tap_x)) {
        return zero_pixels(b);
    }
    int slot = b->slot[tap_y] + b->y + half.y + r->y->offset[tap_y] - b->begin[tap_y];
    return b->packed + ((size_t)slot * b->width + b->left + half.x + r->x->offset[tap_x]) * b->pixel_bytes;
}

/* Half tiles that are computed together: `index` and the next one, if there is one. */
typedef struct tile {
    int halves;
    half_tile half[2];
} tile;

static int halves_of(const sm_region *r, const band *b)
{
    return b->rows * sm_divide_up(r->x->count, HALF_ROWS);
}

static tile tile_at(const sm_region *r, const band *b, int index)
{
    int last = sm_smaller(index + 1, halves_of(r, b) - 1);
    return (tile){last - index + 1, {half_tile_of(b, index), half_tile_of(b, last)}};
}

static int tile_reads_inside(const sm_region *r, const band *b, const tile *t, int tap_y, int tap_x)
{
    return reads_inside(r, b, t->half[0], tap_y, tap_x) || reads_inside(r, b, t->half[1], tap_y, tap_x);
}

/* The factors of a tile: taps through which it reads something.
 *
 * \return their number */
static int pieces_of(const job *j, const band *b, const tile *t, sm_bf16_piece *pieces)
{
    const sm_region *r = j->region;
    int count = 0;
    const char *columns = j->own.b;
    for (int y = 0; y < r->y->taps; y++) {
        for (int x = 0; x < r->x->taps; x++, columns += sm_bf16_columns_bytes(j->parts, b->channels)) {
            if (tile_reads_inside(r, b, t, y, x)) {
                pieces[count++] = (sm_bf16_piece){
                    {half_through(r, b, t->half[0], y, x), half_through(r, b, t->half[1], y, x)}, columns};
            }
        }
    }
    return count;
}

/* Where a half goes: where it passes the end of its row, to `aside`. */
static void point_at_half(const job *j, const band *b, half_tile half, float **c, float *aside)
{
    const sm_region *r = j->region;
    size_t row = b->image * j->result_height + r->y->first + b->y + half.y;
    float *first = j->run->result + (row * j->result_width + r->x->first + half.x) * (size_t)j->result_channels;
    for (int i = 0; i < HALF_ROWS; i++) {
        c[i] = half.x + i < r->x->count ? first + (size_t)i * j->result_channels : aside;
    }
}

/* A band times one packed panel. */
static void multiply_band(const job *j, const band *b, int panel)
{
    sm_bf16_piece pieces[TAPS_MAX];
    sm_bf16_factors factors = {.depth = b->channels, .stride = b->pixel_bytes, .piece = pieces};
    int column = panel * COLUMNS, columns = sm_smaller(COLUMNS, j->result_channels - column);
    int is_first = b->channel == 0;
    for (int index = 0; index < halves_of(j->region, b); index += 2) {
        tile t = tile_at(j->region, b, index);
        float *c[ROWS];
        for (int i = 0; i < t.halves; i++) {
            point_at_half(j, b, t.half[i], c + i * HALF_ROWS, j->own.pixels);
        }
        if (is_first && j->run->bias) {
            begin_rows(j, t.halves * HALF_ROWS, c, panel, panel + 1);
        }
        factors.count = pieces_of(j, b, &t, pieces);
        j->kernel->multiply(j->parts, t.halves * HALF_ROWS, columns, &factors, c, (size_t)column,
                            !is_first || j->run->beta != 0 || j->run->bias);
    }
}

/* The band of an image that begins with row y. */
static band band_at(const sm_region *r, int parts, int channels, int y)
{
    band b = {.y = y, .left = left_of(r), .width = band_width(r), .pixel_bytes = row_stride(parts, channels)};
    b.rows = sm_smaller(band_rows(r, parts, channels), r->y->count - y);
    return b;
}

/* \return how often the weights are packed for so many images */
static int band_groups(const sm_region *r, int parts, int channels, int batch)
{
    band b = band_at(r, parts, channels, 0);
    find_rows(r, &b);
    if (b.rows < r->y->count) {
        return batch * sm_divide_up(r->y->count, b.rows);
    }
    return sm_divide_up(batch, clamp((int)(A_BYTES / band_bytes(&b)), 1, BANDS_MAX));
}

/* \return taps that an image reads something through */
static int taps_read(const sm_region *r)
{
    band whole = {.rows = r->y->count};
    int count = 0;
    find_rows(r, &whole);
    for (int tap = 0; tap < r->y->taps * r->x->taps; tap++) {
        count += band_reads_inside(r, &whole, tap / r->x->taps, tap % r->x->taps);
    }
    return count;
}

/* \return pixels times taps that bands multiply, an image */
static double band_rows_times_taps(const sm_region *r, int parts, int channels)
{
    double sum = 0;
    for (int y = 0, rows; y < r->y->count; y += rows) {
        band b = band_at(r, parts, channels, y);
        find_rows(r, &b);
        rows = b.rows;
        for (int index = 0; index < halves_of(r, &b); index += 2) {
            tile t = tile_at(r, &b, index);
            for (int tap = 0; tap < r->y->taps * r->x->taps; tap++) {
                sum += tile_reads_inside(r, &b, &t, tap / r->x->taps, tap % r->x->taps) * t.halves * HALF_ROWS;
            }
        }
    }
    return sum;
}

/* As many bands from `row` of all images on as fit.
 *
 * \return their number */
static int gather_bands(const job *j, int channels, size_t *row, band *bands)
{
    const sm_region *r = j->region;
    char *packed = j->own.a;
    int count = 0;
    while (count < BANDS_MAX && *row < j->last_row) {
        band b = band_at(r, j->parts, channels, (int)(*row % (size_t)r->y->count));
        b.image = *row / (size_t)r->y->count;
        b.rows = j->last_row - *row < (size_t)b.rows ? (int)(j->last_row - *row) : b.rows;
        b.packed = packed;
        find_rows(r, &b);
        packed += band_bytes(&b);
        if (packed > j->own.a + A_BYTES) {
            break;
        }
        bands[count++] = b;
        *row += (size_t)b.rows;
    }
    return count;
}

/* A round of all panels: bands, and channels of them. */
typedef struct band_round {
    int index, count;
    size_t next_row; /* after the bands */
    band bands[BANDS_MAX];
} band_round;

static void pack_bands(const job *j, band_round *round, int channel, int channels)
{
    for (int i = 0; i < round->count; i++) {
        round->bands[i].channel = channel;
        round->bands[i].channels = sm_smaller(channels, j->region->channels - channel);
        pack_band(j, &round->bands[i]);
    }
}

/* Goes on to round `index`: packs its bands. \return 0 if there is none */
static int enter_round(const job *j, band_round *round, int index, int channels)
{
    int pieces = sm_divide_up(j->region->channels, channels);
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
static void run_bands(const job *j, int channels)
{
    band_round round = {.index = -1, .next_row = j->first_row};
    for (;;) {
        sm_turn turn = sm_turn_take(j->turns);
        if (!enter_round(j, &round, turn.round, channels)) {
            return;
        }
        sm_turn_wait(j->turns, turn);
        int panels = j->last_panel - j->first_panel;
        int end = j->first_panel + sm_piece_begin(panels, j->turns->units, turn.unit + 1);
        for (int panel = j->first_panel + sm_piece_begin(panels, j->turns->units, turn.unit); panel < end; panel++) {
            pack_band_weights(j, round.bands, round.count, panel);
            for (int i = 0; i < round.count; i++) {
                multiply_band(j, &round.bands[i], panel);
            }
        }
        sm_turn_end(j->turns, turn);
    }
}

/* ---- forward and data gradient: shares --------------------------------------------------------------------------- */

/* How threads stand to a region: `along` its rows times `across` its panels. */
typedef struct share {
    int along, across;
} share;

/* \param columns  that are packed for each thread along the rows */
static share share_of(const job *j, size_t columns, int threads)
{
    int along = sm_threads_along_rows(sm_region_rows(j->region, j->run->batch), columns, threads);
    return (share){along, threads / along};
}

/* Those along the rows take rows as they become free. */
static void share_blocks(job *j, int thread, int threads)
{
    int panels = sm_divide_up(j->result_channels, COLUMNS);
    share s = share_of(j, (size_t)j->result_channels, threads);
    int group = thread / s.along;
    j->first_row = 0;
    j->last_row = sm_region_rows(j->region, j->run->batch);
    j->first_panel = sm_piece_begin(panels, s.across, group);
    j->last_panel = sm_piece_begin(panels, s.across, group + 1);
    j->turns += group;
}

/* Those across the panels take panels as they become free. */
static void share_bands(job *j, int thread, int threads)
{
    size_t taps = (size_t)j->region->y->taps * j->region->x->taps;
    share s = share_of(j, taps * j->result_channels, threads);
    int rows = j->run->batch * j->region->y->count, group = thread % s.along;
    j->first_row = (size_t)sm_piece_begin(rows, s.along, group);
    j->last_row = (size_t)sm_piece_begin(rows, s.along, group + 1);
    j->first_panel = 0;
    j->last_panel = sm_divide_up(j->result_channels, COLUMNS);
    j->turns += group;
}

/* All threads together. */
static void run_region(const job *whole, int thread, int threads)
{
    job j = *whole;
    int channels = band_channels(j.region, j.parts);
    if (channels > 0) {
        share_bands(&j, thread, threads);
    } else {
        share_blocks(&j, thread, threads);
    }
    int units = units_of(channels > 0 ? j.last_panel : blocks_of(&j)); /* of every group */
#pragma omp barrier                                                    /* the last region's turns are taken */
#pragma omp single
    for (int group = 0; group < threads; group++) {
        sm_turns_begin(&whole->turns[group], units);
    }
    if (channels > 0) {
        run_bands(&j, channels);
    } else {
        run_blocks(&j);
    }
}

static void run_pixels(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, int split,
                       const sm_conv2d_operands *run)
{
    int back = pass == SM_CONV2D_BACKWARD_DATA;
    sm_region_cut cut;
    sm_region_cut_axes(s, pass, split, &cut);
#pragma omp parallel num_threads(run->threads)
    {
        int thread = omp_get_thread_num();
        sm_region region;
        job j = {.shape = s, .region = &region, .run = run, .pass = pass, .parts = parts};
        j.kernel = sm_bf16_kernel_get(parts);
        j.source = back ? run->grad_output : run->input;
        j.result_height = back ? s->height : s->out_height;
        j.result_width = back ? s->width : s->out_width;
        j.result_channels = back ? s->channels_in : s->channels_out;
        j.own = buffers_of(run, thread);
        j.turns = run->workspace;
        sm_region_tap_order(s->kernel_height, s->stride_height, s->dilation_height, s->pad_top, pass, j.order_y);
        sm_region_tap_order(s->kernel_width, s->stride_width, s->dilation_width, s->pad_left, pass, j.order_x);
        sm_bf16_kernel_begin(j.kernel);
        for (int index = 0; index < cut.y_count * cut.x_count; index++) {
            sm_region_make(s, pass, &cut, index, &region);
            run_region(&j, thread, omp_get_num_threads());
        }
        sm_bf16_kernel_end(j.kernel);
    }
}

/* ---- weight gradient --------------------------------------------------------------------------------------------- */

/* grad_weight, seen by one thread: rows (tap, channel of the input) of one region after the other, and columns of the
 * output's channels that it shares with other threads. */
typedef struct weight_job {
    const sm_conv2d_shape *shape;
    const sm_region *region;
    const sm_conv2d_operands *run;
    const sm_bf16_kernel *kernel;
    int parts;
    int rows;                  /* of a region */
    int first_column, columns; /* of a round */
    float *result;             /* the region's first row */
    sm_turns *turns;
    buffers own;
} weight_job;

/* What one tap of the region sees of the input: kept while its channels are packed. */
typedef struct sight {
    int tap;
    const float *pixels[DEPTH_NOW];
} sight;

/* The input at `depth` pixels: ROWS of the region's rows, with pixels as depth. */
static void pack_input(const weight_job *j, size_t first, int depth, int row, int rows, sight *seen)
{
    const sm_region *r = j->region;
    int tap = row / r->channels;
    size_t stride = row_stride(j->parts, depth);
    if (row % r->channels + rows <= r->channels) { /* channels of one tap */
        if (tap != seen->tap) {
            sm_region_point(r, j->run->input, first, depth, tap / r->x->taps, tap % r->x->taps, j->own.pixels,
                            seen->pixels);
            seen->tap = tap;
        }
        j->kernel->pack_rows_transposed(j->parts, rows, depth, seen->pixels, (size_t)(row % r->channels), j->own.a,
                                        stride);
        return;
    }
    const float *copied[STEPS];
    point_at_rows(j->own.square, ROWS, STEPS, copied);
    for (int done = 0; done < depth; done += STEPS) {
        int steps = sm_smaller(STEPS, depth - done);
        sm_region_pack(r, j->run->input, first + done, steps, row, rows, j->own.square, ROWS);
        j->kernel->pack_rows_transposed(j->parts, rows, steps, copied, 0, j->own.a + sm_bf16_row_bytes(j->parts, done),
                                        stride);
    }
}

/* grad_output at the same pixels: this job's columns. */
static void pack_grad_output(const weight_job *j, size_t first, int depth)
{
    size_t pixel[DEPTH_NOW];
    const float *pixels[DEPTH_NOW];
    sm_region_pixels(j->region, j->shape->out_height, j->shape->out_width, first, depth, pixel);
    for (int k = 0; k < depth; k++) {
        pixels[k] = j->run->grad_output + pixel[k] * j->shape->channels_out + j->first_column;
    }
    char *to = j->own.b;
    for (int column = 0; column < j->columns; column += COLUMNS, to += sm_bf16_columns_bytes(j->parts, depth)) {
        j->kernel->pack_columns(j->parts, sm_smaller(COLUMNS, j->columns - column), depth, pixels, (size_t)column, to);
    }
}

/* ROWS of the result (+)= the packed rows times all packed columns. */
static void multiply_columns(const weight_job *j, int row, int rows, int depth, int accumulate)
{
    sm_bf16_piece factor = rows_of(j->parts, depth, j->own.a);
    sm_bf16_factors factors = {1, depth, row_stride(j->parts, depth), &factor};
    float *c[ROWS];
    for (int i = 0; i < rows; i++) {
        c[i] = j->result + (size_t)(row + i) * j->shape->channels_out + j->first_column;
    }
    factor.columns = j->own.b;
    for (int column = 0; column < j->columns; column += COLUMNS) {
        j->kernel->multiply(j->parts, rows, sm_smaller(COLUMNS, j->columns - column), &factors, c, (size_t)column,
                            accumulate);
        factor.columns += sm_bf16_columns_bytes(j->parts, depth);
    }
}

/* A round of all rows: pixels of a region, columns of the result. */
typedef struct weight_round {
    int index, region;
    int column, columns;
    size_t first; /* pixel */
    int depth;
} weight_round;

/* What all rounds of a thread have in common. */
typedef struct weight_span {
    const sm_region_cut *cut;
    int first_column, last_column;
} weight_span;

static void make_region(const weight_job *j, const weight_span *span, int index, sm_region *region)
{
    sm_region_make(j->shape, SM_CONV2D_BACKWARD_WEIGHT, span->cut, index, region);
}

static void set_depth(const weight_job *j, weight_round *round)
{
    size_t left = sm_region_rows(j->region, j->run->batch) - round->first;
    round->depth = left < DEPTH_NOW ? (int)left : DEPTH_NOW;
}

/* Goes on to the next round. \return 0 if there is none */
static int next_weight_round(const weight_job *j, const weight_span *span, weight_round *round, sm_region *region)
{
    round->index++;
    round->first += (size_t)round->depth;
    if (round->first >= sm_region_rows(region, j->run->batch)) {
        round->first = 0;
        round->column += round->columns;
        if (round->column >= span->last_column) {
            if (++round->region == span->cut->y_count * span->cut->x_count) {
                return 0;
            }
            round->column = span->first_column;
            make_region(j, span, round->region, region);
        }
        round->columns = sm_smaller(COLUMNS_NOW, span->last_column - round->column);
    }
    set_depth(j, round);
    return 1;
}

/* Rows of a round: those of ROWS, from `group` on, to before `last`. */
static void run_groups(const weight_job *j, const weight_round *round, int group, int last, sight *seen)
{
    for (int row = group * ROWS; row < sm_smaller(last * ROWS, j->rows); row += ROWS) {
        int rows = sm_smaller(ROWS, j->rows - row);
        if (round->depth > 0) {
            pack_input(j, round->first, round->depth, row, rows, seen);
            multiply_columns(j, row, rows, round->depth, j->run->beta != 0 || round->first > 0);
            continue;
        }
        for (int i = 0; i < rows && j->run->beta == 0; i++) { /* a tap that is outside everywhere */
            float *to = j->result + (size_t)(row + i) * j->shape->channels_out + j->first_column;
            memset(to, 0, (size_t)j->columns * sizeof *to);
        }
    }
}

static void enter_weight_round(weight_job *j, const weight_round *round, sight *seen)
{
    const sm_conv2d_shape *s = j->shape;
    size_t tap = (size_t)j->region->y->tap[0] * s->kernel_width + j->region->x->tap[0];
    j->first_column = round->column;
    j->columns = round->columns;
    j->result = j->run->result + tap * s->channels_in * s->channels_out;
    seen->tap = -1;
    if (round->depth > 0) {
        pack_grad_output(j, round->first, round->depth);
    }
}

/* Units are rows. */
static void run_weight_rounds(weight_job *j, const weight_span *span, sm_region *region)
{
    int groups = sm_divide_up(j->rows, ROWS), entered = -1;
    weight_round round = {.column = span->first_column};
    sight seen = {.tap = -1};
    make_region(j, span, 0, region);
    round.columns = sm_smaller(COLUMNS_NOW, span->last_column - span->first_column);
    set_depth(j, &round);
    memset(j->own.pixels, 0, (size_t)region->channels * sizeof *j->own.pixels); /* what lies outside the input */
    for (;;) {
        sm_turn turn = sm_turn_take(j->turns);
        while (round.index < turn.round) {
            if (!next_weight_round(j, span, &round, region)) {
                return;
            }
        }
        if (entered < round.index) {
            enter_weight_round(j, &round, &seen);
            entered = round.index;
        }
        sm_turn_wait(j->turns, turn);
        run_groups(j, &round, sm_piece_begin(groups, j->turns->units, turn.unit),
                   sm_piece_begin(groups, j->turns->units, turn.unit + 1), &seen);
        sm_turn_end(j->turns, turn);
    }
}

static void run_weight(const sm_conv2d_shape *s, int parts, int split, const sm_conv2d_operands *run)
{
    sm_region_cut cut;
    sm_region_cut_axes(s, SM_CONV2D_BACKWARD_WEIGHT, split, &cut);
    int rows = s->kernel_height * s->kernel_width * s->channels_in / (cut.y_count * cut.x_count);
    int panels = sm_divide_up(s->channels_out, COLUMNS), units = units_of(sm_divide_up(rows, ROWS));
#pragma omp parallel num_threads(run->threads)
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        int along = sm_threads_along_rows((size_t)rows, (size_t)s->channels_out, threads), group = thread / along;
        sm_region region;
        weight_job j = {.shape = s, .region = &region, .run = run, .parts = parts, .rows = rows};
        j.kernel = sm_bf16_kernel_get(parts);
        j.own = buffers_of(run, thread);
        j.turns = (sm_turns *)run->workspace + group;
#pragma omp single
        for (int i = 0; i < threads; i++) {
            sm_turns_begin((sm_turns *)run->workspace + i, units);
        }
        int across = threads / along, last_panel = sm_piece_begin(panels, across, group + 1);
        weight_span span = {&cut, sm_piece_begin(panels, across, group) * COLUMNS,
                            sm_smaller(last_panel * COLUMNS, s->channels_out)};
        if (span.last_column > span.first_column) {
            sm_bf16_kernel_begin(j.kernel);
            run_weight_rounds(&j, &span, &region);
            sm_bf16_kernel_end(j.kernel);
        }
    }
}

/* ---- the table's columns ----------------------------------------------------------------------------------------- */

/* Cost of the parts, in multiply-adds of the float micro-kernel at full speed, measured with matrix registers. */
static const double multiply_cost[SM_BF16_PARTS_MAX + 1] = {0, .15, .36, .65};
static const double band_cost = .85;      /* of the same where taps share packed pixels */
static const double tile_cost = 25000;    /* of a tile there, for a piece of the channels */
static const double band_pixel_cost = 20; /* of a float there: its neighbours in memory are few */
static const double pack_cost = 7;        /* of a float, rows or columns as they lie */
static const double turn_cost = 12;       /* of a float whose rows and columns change places */
static const double span_cost = 600;      /* of one piece of memory copied */

static double region_cost(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, const sm_region *region, int batch)
{
    double rows = (double)sm_round_up(sm_region_rows(region, batch), ROWS), depth = region->depth;
    int columns = pass == SM_CONV2D_BACKWARD_DATA ? s->channels_in : s->channels_out;
    double multiply = multiply_cost[parts] * rows * (double)sm_round_up((size_t)region->depth, STEPS) *
                      (double)sm_round_up((size_t)columns, COLUMNS / 2);
    double spans = sm_region_is_whole(region) ? 0 : rows * span_cost * region->spans;
    if (pass == SM_CONV2D_BACKWARD_WEIGHT) {
        int column_parts = sm_divide_up(columns, COLUMNS_NOW);
        return multiply + column_parts * (turn_cost * rows * depth + spans) + pack_cost * rows * columns;
    }
    double weights = (pass == SM_CONV2D_FORWARD ? pack_cost : turn_cost) * depth * columns;
    int channels = band_channels(region, parts);
    if (channels > 0) {
        int taps = region->y->taps * region->x->taps;
        double inside =
            band_rows_times_taps(region, parts, channels) / ((double)taps * region->y->count * region->x->count);
        double tiles = rows / ROWS * sm_divide_up(columns, COLUMNS) * sm_divide_up(region->channels, channels);
        return band_cost * multiply * inside + tile_cost * tiles + band_pixel_cost * rows * region->channels +
               band_groups(region, parts, channels, batch) * weights * taps_read(region) / taps;
    }
    int depth_now = sm_smaller(region->depth > 0 ? region->depth : 1, DEPTH_NOW);
    int passes = sm_divide_up(columns, PANELS_NOW / depth_now);
    return multiply + weights + passes * (pack_cost * rows * depth + spans);
}

static double cost(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, int split, int batch)
{
    sm_region_cut cut;
    sm_region region;
    double sum = 0;
    sm_region_cut_axes(s, pass, split, &cut);
    for (int index = 0; index < cut.y_count * cut.x_count; index++) {
        sm_region_make(s, pass, &cut, index, &region);
        sum += region_cost(s, pass, parts, &region, batch > 0 ? batch : 1);
    }
    return (split ? 1.02 : 1) * sum / (batch > 0 ? batch : 1); /* ties go to the simpler algorithm */
}

static double macs(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, int split)
{
    sm_region_cut cut;
    sm_region region;
    double sum = 0;
    sm_region_cut_axes(s, pass, split, &cut);
    for (int index = 0; index < cut.y_count * cut.x_count; index++) {
        sm_region_make(s, pass, &cut, index, &region);
        int channels = pass == SM_CONV2D_BACKWARD_WEIGHT ? 0 : band_channels(&region, parts);
        double rows = (double)sm_region_rows(&region, 1) * region.y->taps * region.x->taps;
        sum += channels > 0 ? band_rows_times_taps(&region, parts, channels) : rows;
    }
    return sum * s->channels_in * s->channels_out;
}

static int supports(const sm_conv2d_shape *s, int parts)
{
    int most_channels = sm_larger(s->channels_in, s->channels_out);
    return sm_region_supports(s) && most_channels <= ROWS * ROW_STRIDE && sm_bf16_kernel_get(parts);
}

size_t sm_conv2d_bf16_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads)
{
    (void)shape, (void)pass, (void)batch;
    return turns_bytes(threads) + (size_t)threads * (PIXELS_BYTES + SQUARE_BYTES + A_BYTES + B_BYTES);
}

#define COLUMNS_OF_TABLE(NAME, PARTS, SPLIT)                                                                           \
    int sm_conv2d_##NAME##_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass)                                 \
    {                                                                                                                  \
        (void)pass;                                                                                                    \
        return supports(shape, PARTS);                                                                                 \
    }                                                                                                                  \
    double sm_conv2d_##NAME##_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch)                       \
    {                                                                                                                  \
        return cost(shape, pass, PARTS, SPLIT, batch);                                                                 \
    }                                                                                                                  \
    double sm_conv2d_##NAME##_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass)                                  \
    {                                                                                                                  \
        return macs(shape, pass, PARTS, SPLIT);                                                                        \
    }                                                                                                                  \
    void sm_conv2d_##NAME##_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands) \
    {                                                                                                                  \
        if (pass == SM_CONV2D_BACKWARD_WEIGHT) {                                                                       \
            run_weight(shape, PARTS, SPLIT, operands);                                                                 \
        } else {                                                                                                       \
            run_pixels(shape, pass, PARTS, SPLIT, operands);                                                           \
        }                                                                                                              \
    }
COLUMNS_OF_TABLE(bf16x3_gemm, 3, 0)
COLUMNS_OF_TABLE(bf16x3_taps, 3, 1)
COLUMNS_OF_TABLE(bf16x2_gemm, 2, 0)
COLUMNS_OF_TABLE(bf16x2_taps, 2, 1)
COLUMNS_OF_TABLE(bf16_gemm, 1, 0)
COLUMNS_OF_TABLE(bf16_taps, 1, 1)
