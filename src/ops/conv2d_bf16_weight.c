/* The weight gradient: grad_output of some pixels is packed for all rows of the result, the input at the same pixels for
 * all columns. */
#include "ops/conv2d_bf16.h"
#include "ops/parallel.h"
#include "ops/typed.h"
#include "ops/whole.h"

#include <sigmatic/base/memory.h>

#include <omp.h>
#include <string.h>

enum {
    STEPS = SM_BF16_STEPS,
    ROWS = SM_BF16_ROWS,
    COLUMNS = SM_BF16_COLUMNS,
    COLUMNS_NOW = SM_BF16_COLUMNS_NOW,
    DEPTH_NOW = SM_BF16_DEPTH_NOW,
};

/* grad_weight, as one thread sees it: rows (tap, channel of the input) of one lattice after the other, and columns of the
 * output's channels that it shares with other threads. */
typedef struct weight_job {
    const sm_conv2d_shape *shape;
    const sm_lattice *lattice;
    const sm_conv2d_operands *run;
    const sm_bf16_kernel *kernel;
    int parts;
    int rows;                  /* of a lattice */
    int first_column, columns; /* of a round */
    float *result;             /* the lattice's first row */
    sm_work *work;
    sm_bf16_buffers own;
} weight_job;

/* Where one tap of the lattice reads the input: kept while its channels are packed. */
typedef struct tap_pixels {
    int tap; /* -1: of none yet */
    const void *pixels[DEPTH_NOW];
} tap_pixels;

/* The input at `depth` pixels: ROWS of the lattice's rows, with pixels as depth. */
static void pack_input(const weight_job *j, size_t first, int depth, int row, int rows, tap_pixels *read)
{
    const sm_lattice *l = j->lattice;
    int tap = row / l->channels;
    size_t stride = sm_bf16_row_stride(j->parts, depth);
    if (row % l->channels + rows <= l->channels) { /* channels of one tap */
        if (tap != read->tap) {
            sm_lattice_point(l, j->run->input_type, j->run->input, first, depth, tap / l->x->taps, tap % l->x->taps,
                             j->own.pixels, read->pixels);
            read->tap = tap;
        }
        j->kernel->pack_rows_transposed(j->parts, rows, depth, j->run->input_type, read->pixels,
                                        (size_t)(row % l->channels), j->own.a, stride);
        return;
    }
    const void *copied[STEPS];
    sm_bf16_point_at_rows(j->own.square, ROWS * sm_dtype_bytes(j->run->input_type), STEPS, copied);
    for (int done = 0; done < depth; done += STEPS) {
        int steps = sm_smaller(STEPS, depth - done);
        sm_lattice_pack(l, j->run->input_type, j->run->input, first + done, steps, row, rows, j->own.square, ROWS);
        j->kernel->pack_rows_transposed(j->parts, rows, steps, j->run->input_type, copied, 0,
                                        j->own.a + sm_bf16_row_bytes(j->parts, done), stride);
    }
}

/* grad_output at the same pixels: this job's columns. */
static void pack_grad_output(const weight_job *j, size_t first, int depth)
{
    size_t pixel[DEPTH_NOW];
    const void *pixels[DEPTH_NOW];
    sm_lattice_pixels(j->lattice, j->shape->out_height, j->shape->out_width, first, depth, pixel);
    for (int k = 0; k < depth; k++) {
        pixels[k] = sm_map_at_const(j->run->output_type, j->run->grad_output,
                                    pixel[k] * j->shape->channels_out + j->first_column);
    }
    char *to = j->own.b;
    for (int column = 0; column < j->columns; column += COLUMNS, to += sm_bf16_columns_bytes(j->parts, depth)) {
        j->kernel->pack_columns(j->parts, sm_smaller(COLUMNS, j->columns - column), depth, j->run->output_type, pixels,
                                (size_t)column, to);
    }
}

/* ROWS of the result (+)= the packed rows times all packed columns. */
static void multiply_columns(const weight_job *j, int row, int rows, int depth, int accumulate)
{
    sm_bf16_piece factor = sm_bf16_rows_of(j->parts, depth, j->own.a);
    sm_bf16_factors factors = {1, depth, sm_bf16_row_stride(j->parts, depth), &factor};
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

/* A round of all rows: pixels of a lattice, columns of the result. */
typedef struct weight_round {
    int index, lattice;
    int column, columns;
    size_t first; /* pixel */
    int depth;
} weight_round;

/* What all rounds of a thread have in common. */
typedef struct weight_span {
    const sm_lattice_cut *cut;
    int first_column, last_column;
} weight_span;

static void make_lattice(const weight_job *j, const weight_span *span, int index, sm_lattice *lattice)
{
    sm_lattice_make(j->shape, SM_CONV2D_BACKWARD_WEIGHT, span->cut, index, lattice);
}

static void set_depth(const weight_job *j, weight_round *round)
{
    size_t left = sm_lattice_rows(j->lattice, j->run->batch) - round->first;
    round->depth = left < DEPTH_NOW ? (int)left : DEPTH_NOW;
}

/* Goes on to the next round. \return 0 if there is none */
static int next_weight_round(const weight_job *j, const weight_span *span, weight_round *round, sm_lattice *lattice)
{
    round->index++;
    round->first += (size_t)round->depth;
    if (round->first >= sm_lattice_rows(lattice, j->run->batch)) {
        round->first = 0;
        round->column += round->columns;
        if (round->column >= span->last_column) {
            if (++round->lattice == span->cut->y_count * span->cut->x_count) {
                return 0;
            }
            round->column = span->first_column;
            make_lattice(j, span, round->lattice, lattice);
        }
        round->columns = sm_smaller(COLUMNS_NOW, span->last_column - round->column);
    }
    set_depth(j, round);
    return 1;
}

/* Rows of a round: those of ROWS, from `group` on, to before `last`. */
static void run_groups(const weight_job *j, const weight_round *round, int group, int last, tap_pixels *read)
{
    for (int row = group * ROWS; row < sm_smaller(last * ROWS, j->rows); row += ROWS) {
        int rows = sm_smaller(ROWS, j->rows - row);
        if (round->depth > 0) {
            pack_input(j, round->first, round->depth, row, rows, read);
            multiply_columns(j, row, rows, round->depth, j->run->beta != 0 || round->first > 0);
            continue;
        }
        for (int i = 0; i < rows && j->run->beta == 0; i++) { /* a tap that is outside everywhere */
            float *to = j->result + (size_t)(row + i) * j->shape->channels_out + j->first_column;
            memset(to, 0, (size_t)j->columns * sizeof *to);
        }
    }
}

static void enter_weight_round(weight_job *j, const weight_round *round, tap_pixels *read)
{
    const sm_conv2d_shape *s = j->shape;
    size_t tap = (size_t)j->lattice->y->tap[0] * s->kernel_width + j->lattice->x->tap[0];
    j->first_column = round->column;
    j->columns = round->columns;
    j->result = (float *)j->run->result + tap * s->channels_in * s->channels_out;
    read->tap = -1;
    if (round->depth > 0) {
        pack_grad_output(j, round->first, round->depth);
    }
}

/* Units are rows. */
static void run_weight_rounds(weight_job *j, const weight_span *span, sm_lattice *lattice)
{
    int groups = sm_divide_up(j->rows, ROWS), entered = -1;
    weight_round round = {.column = span->first_column};
    tap_pixels read = {.tap = -1};
    make_lattice(j, span, 0, lattice);
    round.columns = sm_smaller(COLUMNS_NOW, span->last_column - span->first_column);
    set_depth(j, &round);
    memset(j->own.pixels, 0, (size_t)lattice->channels * sizeof *j->own.pixels); /* what lies outside the input */
    for (;;) {
        sm_work_unit unit = sm_work_take(j->work);
        while (round.index < unit.round) {
            if (!next_weight_round(j, span, &round, lattice)) {
                return;
            }
        }
        if (entered < round.index) {
            enter_weight_round(j, &round, &read);
            entered = round.index;
        }
        sm_work_wait(j->work, unit);
        run_groups(j, &round, sm_piece_begin(groups, j->work->units, unit.index),
                   sm_piece_begin(groups, j->work->units, unit.index + 1), &read);
        sm_work_end(j->work, unit);
    }
}

void sm_bf16_run_weight(const sm_conv2d_shape *s, int parts, int split, const sm_conv2d_operands *run)
{
    sm_lattice_cut cut;
    sm_lattice_cut_axes(s, SM_CONV2D_BACKWARD_WEIGHT, split, &cut);
    sm_lattice whole;
    sm_lattice_make(s, SM_CONV2D_BACKWARD_WEIGHT, &cut, 0, &whole); /* unless split: then one of a single tap */
    if (run->batch > 0 && sm_bf16_weight_bands_suit(&whole, parts)) {
        sm_bf16_run_weight_bands(s, &whole, parts, run);
        return;
    }
    int rows = s->kernel_height * s->kernel_width * s->channels_in / (cut.y_count * cut.x_count);
    int panels = sm_divide_up(s->channels_out, COLUMNS), units = sm_bf16_units_of(sm_divide_up(rows, ROWS));
#pragma omp parallel num_threads(run->threads)
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        int along = sm_threads_along_rows((size_t)rows, (size_t)s->channels_out, threads, threads, threads),
            group = thread / along;
        sm_lattice lattice;
        weight_job j = {.shape = s, .lattice = &lattice, .run = run, .parts = parts, .rows = rows};
        j.kernel = sm_bf16_kernel_get(parts);
        j.own = sm_bf16_buffers_of(run, thread);
        j.work = sm_bf16_work_of(run, group);
#pragma omp single
        for (int i = 0; i < threads; i++) {
            sm_work_begin(sm_bf16_work_of(run, i), units);
        }
        int across = threads / along, last_panel = sm_piece_begin(panels, across, group + 1);
        weight_span span = {&cut, sm_piece_begin(panels, across, group) * COLUMNS,
                            sm_smaller(last_panel * COLUMNS, s->channels_out)};
        if (span.last_column > span.first_column) {
            sm_bf16_kernel_begin(j.kernel);
            run_weight_rounds(&j, &span, &lattice);
            sm_bf16_kernel_end(j.kernel);
        }
    }
}
