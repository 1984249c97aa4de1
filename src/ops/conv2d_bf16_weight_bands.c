/* The weight gradient of several taps at stride 1: some rows of images at a time. grad_output of all their pixels is
 * packed for some columns of the result; then a group of the input's channels, shifted by one tap of the x axis, for all
 * taps of the y axis, which differ in the rows that they read. So the input is packed once a column of the kernel, not
 * once a tap (conv2d_bf16_weight.c).
 *
 * The depth is blocks of STEPS pixels of a row; the last block of a row is filled with zeros. */
#include "ops/conv2d_bf16.h"
#include "ops/parallel.h"
#include "ops/typed.h"
#include "ops/whole.h"

#include <omp.h>
#include <string.h>

enum {
    STEPS = SM_BF16_STEPS,
    ROWS = SM_BF16_ROWS,
    HALF_ROWS = SM_BF16_HALF_ROWS,
    COLUMNS = SM_BF16_COLUMNS,
    PIXELS_NOW = 1024,
    BLOCKS_NOW = PIXELS_NOW / STEPS,
};

_Static_assert(SM_BF16_B_BYTES >= SM_BF16_PARTS_MAX * sizeof(uint16_t) * COLUMNS * PIXELS_NOW, "b holds a panel");

/* Rounds: pixels, and columns of the result. */
typedef struct round_cut {
    int row_blocks;    /* of a row of the output */
    int rows, images;  /* of a round: rows of one image, or all rows of several */
    int pixel_rounds;  /* of a batch */
    int panels_now;    /* of a round */
    int column_rounds; /* of a thread's panels */
} round_cut;

/* What one thread computes: all rounds of some panels, and of a round the groups of channels that it takes. */
typedef struct job {
    const sm_conv2d_shape *shape;
    const sm_lattice *lattice;
    const sm_conv2d_operands *run;
    const sm_bf16_kernel *kernel;
    int parts;
    int first_panel, last_panel;
    round_cut cut;
    sm_work *work;
    sm_bf16_buffers own;
    const void *outside; /* zeros */
} job;

typedef struct pixel_round {
    int index;
    int image, images;
    sm_lattice_stretch rows;
    int first_panel, last_panel;
    size_t panel_bytes;  /* of all pixels */
    size_t input_stride; /* between packed rows of the input */
} pixel_round;

static int row_blocks_of(const sm_lattice *l)
{
    return sm_divide_up(l->x->count, STEPS);
}

/* \return rows of a round, of several images if more than an image has */
static int rows_now(const sm_lattice *l)
{
    return PIXELS_NOW / (row_blocks_of(l) * STEPS);
}

/* \return bytes between packed rows of the input */
static size_t stride_of(const sm_lattice *l, int parts, int rows)
{
    return sm_bf16_row_stride(parts, rows * row_blocks_of(l) * STEPS);
}

int sm_bf16_weight_bands_suit(const sm_lattice *l, int parts)
{
    enum { CHANNELS_MIN = ROWS / 2 };
    if (l->y->taps * l->x->taps < 2 || l->channels < CHANNELS_MIN || l->y->source_step != 1 || l->x->source_step != 1 ||
        l->y->count < 1 || l->x->count < 1 || l->x->count > PIXELS_NOW) {
        return 0;
    }
    int is_filled = 4 * row_blocks_of(l) * STEPS <= 5 * l->x->count; /* else many zeros are multiplied */
    int slots = sm_lattice_slots_most(l, rows_now(l)) * sm_larger(1, rows_now(l) / l->y->count);
    return is_filled && ROWS * stride_of(l, parts, slots) <= SM_BF16_A_BYTES;
}

static round_cut cut_of(const sm_lattice *l, int parts, int batch, int panels)
{
    round_cut c = {.row_blocks = row_blocks_of(l)};
    int most = rows_now(l), height = l->y->count;
    if (most < height) {
        int pieces = sm_divide_up(height, most);
        c.rows = sm_divide_up(height, pieces);
        c.images = 1;
        c.pixel_rounds = batch * sm_divide_up(height, c.rows);
    } else {
        c.rows = height;
        c.images = sm_clamp(most / height, 1, sm_larger(batch, 1));
        c.pixel_rounds = sm_divide_up(batch, c.images);
    }
    int fit = (int)(SM_BF16_B_BYTES / sm_bf16_columns_bytes(parts, c.images * c.rows * c.row_blocks * STEPS));
    c.column_rounds = sm_divide_up(panels, fit);
    c.panels_now = sm_divide_up(panels, sm_larger(c.column_rounds, 1));
    return c;
}

static int rounds_of(const round_cut *c)
{
    return c->pixel_rounds * c->column_rounds;
}

static pixel_round round_at(const job *j, int index)
{
    const round_cut *c = &j->cut;
    int piece = index % c->pixel_rounds, pieces = sm_divide_up(j->lattice->y->count, c->rows); /* of an image */
    pixel_round r = {.index = index};
    r.image = piece / pieces * c->images;
    r.images = sm_smaller(c->images, j->run->batch - r.image);
    int first = piece % pieces * c->rows;
    sm_lattice_stretch_make(j->lattice, first, sm_smaller(c->rows, j->lattice->y->count - first), &r.rows);
    r.first_panel = j->first_panel + index / c->pixel_rounds * c->panels_now;
    r.last_panel = sm_smaller(r.first_panel + c->panels_now, j->last_panel);
    r.panel_bytes = sm_bf16_columns_bytes(j->parts, r.images * r.rows.count * c->row_blocks * STEPS);
    r.input_stride = stride_of(j->lattice, j->parts, r.images * r.rows.slots);
    return r;
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* STEPS pixels of a row of a map, from x on; `outside` but for steps begin .. end. */
static void point_at_row(const void *row, size_t pixel_bytes, int x, int begin, int end, const void *outside,
                         const void **pixels)
{
    for (int k = 0; k < STEPS; k++) {
        int is_inside = k >= begin && k < end;
        pixels[k] = is_inside ? (const char *)row + (size_t)(x + k) * pixel_bytes : outside;
    }
}

/* grad_output of a round's pixels, its panels. */
static void pack_grad_output(const job *j, const pixel_round *r)
{
    const sm_conv2d_shape *s = j->shape;
    size_t pixel_bytes = s->channels_out * sm_dtype_bytes(j->run->output_type);
    char *to = j->own.b;
    for (int row = 0; row < r->images * r->rows.count; row++) {
        size_t y = (size_t)(r->image + row / r->rows.count) * s->out_height + r->rows.first + row % r->rows.count;
        const char *from = (const char *)j->run->grad_output + y * s->out_width * pixel_bytes;
        for (int block = 0; block < j->cut.row_blocks; block++) {
            const void *pixels[STEPS];
            point_at_row(from, pixel_bytes, block * STEPS, 0, s->out_width - block * STEPS, j->outside, pixels);
            for (int panel = r->first_panel; panel < r->last_panel; panel++) {
                j->kernel->pack_columns(j->parts, sm_smaller(COLUMNS, s->channels_out - panel * COLUMNS), STEPS,
                                        j->run->output_type, pixels, (size_t)panel * COLUMNS,
                                        to + (panel - r->first_panel) * r->panel_bytes);
            }
            to += sm_bf16_columns_bytes(j->parts, STEPS);
        }
    }
}

/* Of a block of a row: steps `begin` .. `end` read inside the source through a tap. */
static void steps_inside(const sm_lattice *l, int block, int tap_x, int *begin, int *end)
{
    int x = block * STEPS + l->x->offset[tap_x];
    *begin = sm_larger(0, -x);
    *end = sm_smaller(sm_smaller(STEPS, l->x->count - block * STEPS), l->width - x);
}

static int block_reads_inside(const sm_lattice *l, int block, int tap_x)
{
    int begin, end;
    steps_inside(l, block, tap_x, &begin, &end);
    return begin < end;
}

/* Some channels of the rows that a round reads, shifted by a tap. */
static void pack_input(const job *j, const pixel_round *round, int channel, int channels, int tap_x)
{
    const sm_lattice *l = j->lattice;
    size_t pixel_bytes = l->channels * sm_dtype_bytes(j->run->input_type);
    char *to = j->own.a;
    for (int row = 0; row < round->images * round->rows.slots; row++) {
        int y = sm_lattice_slot_row(l, &round->rows, row % round->rows.slots);
        size_t image = (size_t)(round->image + row / round->rows.slots);
        const char *source = (const char *)j->run->input + (image * l->height + y) * l->width * pixel_bytes;
        for (int block = 0; block < j->cut.row_blocks; block++, to += sm_bf16_row_bytes(j->parts, STEPS)) {
            const void *pixels[STEPS];
            int begin, end;
            steps_inside(l, block, tap_x, &begin, &end);
            if (begin < end) {
                point_at_row(source, pixel_bytes, block * STEPS + l->x->offset[tap_x], begin, end, j->outside, pixels);
                j->kernel->pack_rows_transposed(j->parts, channels, STEPS, j->run->input_type, pixels, (size_t)channel,
                                                to, round->input_stride);
            }
        }
    }
}

/* ---- the product ------------------------------------------------------------------------------------------------- */

/* The blocks that a tap reads something through, times the round's first panel.
 *
 * \return their number */
static int pieces_of(const job *j, const pixel_round *round, int tap_y, int tap_x, sm_bf16_piece *pieces)
{
    const sm_lattice *l = j->lattice;
    int count = 0, blocks = j->cut.row_blocks;
    for (int row = 0; row < round->images * round->rows.count; row++) {
        int slot = sm_lattice_slot(l, &round->rows, row % round->rows.count, tap_y);
        if (slot < 0) {
            continue;
        }
        slot += row / round->rows.count * round->rows.slots;
        for (int block = 0; block < blocks; block++) {
            if (block_reads_inside(l, block, tap_x)) {
                const char *a = j->own.a + (size_t)(slot * blocks + block) * sm_bf16_row_bytes(j->parts, STEPS);
                pieces[count++] =
                    (sm_bf16_piece){{a, a + HALF_ROWS * round->input_stride},
                                    j->own.b + (size_t)(row * blocks + block) * sm_bf16_columns_bytes(j->parts, STEPS)};
            }
        }
    }
    return count;
}

/* Some channels of a tap: the round's columns. */
static void multiply_tap(const job *j, const pixel_round *round, int channel, int channels, int tap_y, int tap_x)
{
    const sm_conv2d_shape *s = j->shape;
    sm_bf16_piece pieces[BLOCKS_NOW];
    sm_bf16_factors factors = {.depth = STEPS, .stride = round->input_stride, .piece = pieces};
    factors.count = pieces_of(j, round, tap_y, tap_x, pieces);
    float *c[ROWS];
    int tap = j->lattice->y->tap[tap_y] * s->kernel_width + j->lattice->x->tap[tap_x];
    int accumulate = j->run->beta != 0 || round->index % j->cut.pixel_rounds > 0;
    for (int i = 0; i < channels; i++) {
        c[i] = (float *)j->run->result + ((size_t)tap * s->channels_in + channel + i) * s->channels_out;
    }
    for (int panel = round->first_panel; panel < round->last_panel; panel++) {
        int column = panel * COLUMNS, columns = sm_smaller(COLUMNS, s->channels_out - column);
        if (factors.count > 0) {
            j->kernel->multiply(j->parts, channels, columns, &factors, c, (size_t)column, accumulate);
        }
        for (int i = 0; i < channels && factors.count == 0 && !accumulate; i++) {
            memset(c[i] + column, 0, (size_t)columns * sizeof(float));
        }
        for (int i = 0; i < factors.count; i++) {
            pieces[i].columns += round->panel_bytes;
        }
    }
}

/* ---- what a thread does ------------------------------------------------------------------------------------------ */

/* A group of channels, shifted by one tap of the x axis: what a thread takes. */
static int groups_of(const sm_lattice *l)
{
    return sm_divide_up(l->channels, ROWS) * l->x->taps;
}

static void run_group(const job *j, const pixel_round *round, int group)
{
    int tap_x = group % j->lattice->x->taps, channel = group / j->lattice->x->taps * ROWS;
    int channels = sm_smaller(ROWS, j->lattice->channels - channel);
    pack_input(j, round, channel, channels, tap_x);
    for (int tap_y = 0; tap_y < j->lattice->y->taps; tap_y++) {
        multiply_tap(j, round, channel, channels, tap_y, tap_x);
    }
}

static void run_rounds(const job *j)
{
    pixel_round now = {.index = -1};
    int groups = groups_of(j->lattice), units = j->work->units;
    for (;;) {
        sm_work_unit unit = sm_work_take(j->work);
        if (unit.round >= rounds_of(&j->cut)) {
            return;
        }
        if (unit.round != now.index) {
            now = round_at(j, unit.round);
            pack_grad_output(j, &now);
        }
        sm_work_wait(j->work, unit);
        int end = sm_piece_begin(groups, units, unit.index + 1);
        for (int group = sm_piece_begin(groups, units, unit.index); group < end; group++) {
            run_group(j, &now, group);
        }
        sm_work_end(j->work, unit);
    }
}

void sm_bf16_run_weight_bands(const sm_conv2d_shape *s, const sm_lattice *lattice, int parts,
                              const sm_conv2d_operands *run)
{
    int panels = sm_divide_up(s->channels_out, COLUMNS), groups = groups_of(lattice);
#pragma omp parallel num_threads(run->threads)
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        int along = sm_threads_along_rows((size_t)groups * ROWS, (size_t)s->channels_out, groups, panels, threads);
        int across = threads / along, column_group = thread / along; /* of threads with the same panels */
        job j = {.shape = s, .lattice = lattice, .run = run, .parts = parts};
        j.kernel = sm_bf16_kernel_get(parts);
        j.own = sm_bf16_buffers_of(run, thread);
        j.outside = j.own.pixels;
        j.work = sm_bf16_work_of(run, column_group);
        j.first_panel = sm_piece_begin(panels, across, column_group);
        j.last_panel = sm_piece_begin(panels, across, column_group + 1);
        j.cut = cut_of(lattice, parts, run->batch, j.last_panel - j.first_panel);
#pragma omp single
        for (int i = 0; i < threads; i++) {
            sm_work_begin(sm_bf16_work_of(run, i), sm_bf16_units_of(groups));
        }
        memset(j.own.pixels, 0, (size_t)sm_larger(s->channels_in, s->channels_out) * sizeof(float));
        if (j.last_panel > j.first_panel) {
            sm_bf16_kernel_begin(j.kernel);
            run_rounds(&j);
            sm_bf16_kernel_end(j.kernel);
        }
    }
}

/* ---- what it costs ----------------------------------------------------------------------------------------------- */

double sm_bf16_weight_bands_steps(const sm_lattice *l)
{
    sm_lattice_stretch image;
    double sum = 0;
    sm_lattice_stretch_make(l, 0, l->y->count, &image);
    for (int tap_x = 0; tap_x < l->x->taps; tap_x++) {
        int blocks = 0;
        for (int block = 0; block < row_blocks_of(l); block++) {
            blocks += block_reads_inside(l, block, tap_x);
        }
        for (int tap_y = 0; tap_y < l->y->taps; tap_y++) {
            sum += (double)(image.end[tap_y] - image.begin[tap_y]) * blocks * STEPS;
        }
    }
    return sum;
}

double sm_bf16_weight_bands_packed(const sm_conv2d_shape *s, const sm_lattice *l, int parts, int batch)
{
    round_cut c = cut_of(l, parts, batch, sm_divide_up(s->channels_out, COLUMNS));
    double rows = (double)batch * l->y->count * sm_lattice_slots_most(l, c.rows) / c.rows;
    return c.column_rounds * l->x->taps * rows * c.row_blocks * STEPS;
}
