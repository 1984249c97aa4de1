/* "implicit_gemm" and "taps": the convolution as matrix products that are never written out. Pixels with the channels
 * of their taps are copied to a block that fits L1 while the micro-kernel streams packed weights from L2 (forward,
 * data gradient); or pixels are the depth, and both sides are packed to panels (weight gradient). The two differ in
 * how they cut the result into lattices (conv2d_lattice.h). */
#include "ops/conv2d_algorithms.h"
#include "ops/conv2d_lattice.h"
#include "ops/microkernel.h"
#include "ops/pack.h"
#include "ops/parallel.h"
#include "ops/whole.h"

#include <sigmatic/base/memory.h>

#include <omp.h>
#include <string.h>

enum {
    WEIGHTS_NOW = 1 << 17, /* floats of weights that stay in L2 while all pixels pass */
    COLUMNS_NOW = 512,     /* weight gradient: columns (output channels) of a panel */
    PIXELS_NOW = 256,      /* weight gradient: depth of the panels */
    ROWS_NOW = 256,        /* weight gradient: rows (tap, channel) of a panel */
    PANEL_STRIDE_MAX = ROWS_NOW + 32,
    PANELS_A_FLOATS = PIXELS_NOW * PANEL_STRIDE_MAX,
    PANELS_B_FLOATS = PIXELS_NOW * (COLUMNS_NOW + SM_TILE_COLUMNS_MAX),
    FORWARD_FLOATS = 2 * SM_BLOCK_FLOATS,
    WEIGHT_FLOATS = PANELS_A_FLOATS + PANELS_B_FLOATS + SM_BLOCK_FLOATS
};

/* ---- weights, packed --------------------------------------------------------------------------------------------- */

/* [panel of tile_columns result channels][tap in the order of the lattices][source channel][tile_columns] */
typedef struct layout {
    int source_channels, result_channels;
    int panels;
    size_t panel_floats;
} layout;

static layout layout_of(const sm_conv2d_shape *s, sm_conv2d_pass pass)
{
    int back = pass == SM_CONV2D_BACKWARD_DATA;
    layout l = {.source_channels = back ? s->channels_out : s->channels_in,
                .result_channels = back ? s->channels_in : s->channels_out};
    int columns = sm_microkernel_get()->tile_columns;
    l.panels = sm_divide_up(l.result_channels, columns);
    l.panel_floats = (size_t)s->kernel_height * s->kernel_width * l.source_channels * columns;
    return l;
}

size_t sm_conv2d_direct_prepared(const sm_conv2d_shape *shape, sm_conv2d_pass pass)
{
    layout l = layout_of(shape, pass);
    return pass == SM_CONV2D_BACKWARD_WEIGHT ? 0 : (size_t)l.panels * l.panel_floats * sizeof(float);
}

/* Weights of one tap for the forward pass: its rows first .. + count of output channels, cut into panels. */
static void prepare_forward(const layout *l, const float *tap, int first, int count, float *to)
{
    int width = sm_microkernel_get()->tile_columns;
    for (int c = first; c < first + count; c++) {
        sm_split_row(l->result_channels, tap + (size_t)c * l->result_channels, width, to + (size_t)c * width,
                     l->panel_floats);
    }
}

/* The same for the data gradient: one panel, transposed. */
static void prepare_backward(const layout *l, const float *tap, int panel, float *to)
{
    int width = sm_microkernel_get()->tile_columns;
    int column = panel * width, columns = sm_smaller(width, l->result_channels - column);
    if (columns < width) {
        memset(to, 0, (size_t)l->source_channels * width * sizeof *to);
    }
    sm_transpose(l->source_channels, columns, tap + (size_t)column * l->source_channels, (size_t)l->source_channels, to,
                 (size_t)width);
}

void sm_conv2d_direct_prepare(const sm_conv2d_shape *s, sm_conv2d_pass pass, const float *weight, void *prepared,
                              int threads)
{
    enum { CHANNELS_A_PART = 64 };
    layout l = layout_of(s, pass);
    int width = sm_microkernel_get()->tile_columns, taps = s->kernel_height * s->kernel_width;
    int parts = pass == SM_CONV2D_FORWARD ? sm_divide_up(l.source_channels, CHANNELS_A_PART) : l.panels;
    int order_y[SM_LATTICE_KERNEL_MAX], order_x[SM_LATTICE_KERNEL_MAX];
    sm_lattice_tap_order(s->kernel_height, s->stride_height, s->dilation_height, s->pad_top, pass, order_y);
    sm_lattice_tap_order(s->kernel_width, s->stride_width, s->dilation_width, s->pad_left, pass, order_x);
#pragma omp parallel for collapse(2) num_threads(threads)
    for (int slot = 0; slot < taps; slot++) {
        for (int part = 0; part < parts; part++) {
            int tap = order_y[slot / s->kernel_width] * s->kernel_width + order_x[slot % s->kernel_width];
            const float *from = weight + (size_t)tap * s->channels_in * s->channels_out;
            float *to = (float *)prepared + (size_t)slot * l.source_channels * width;
            if (pass == SM_CONV2D_FORWARD) {
                int first = sm_piece_begin(l.source_channels, parts, part);
                prepare_forward(&l, from, first, sm_piece_begin(l.source_channels, parts, part + 1) - first, to);
            } else {
                prepare_backward(&l, from, part, to + part * l.panel_floats);
            }
        }
    }
}

/* ---- forward and data gradient ----------------------------------------------------------------------------------- */

/* What one thread computes of one lattice: rows and panels of the result. */
typedef struct job {
    const sm_conv2d_shape *shape;
    const sm_lattice *lattice;
    const sm_conv2d_operands *run;
    const sm_microkernel *kernel;
    const float *source;
    layout weights;
    int result_height, result_width;
    size_t rows;                         /* of the lattice */
    int blocks, first_block, last_block; /* of rows: of the lattice, of this thread */
    int first_panel, last_panel;
    float *block, *arranged;
} job;

/* A piece of a lattice's depth whose weights are one piece of a panel. */
typedef struct depth_piece {
    int first, depth;
    size_t weight_row; /* in the panel */
} depth_piece;

/* \return the piece that begins at `first`: as long as one micro-kernel call can be, or to the end of the neighbouring
 * taps */
static depth_piece piece_at(const sm_conv2d_shape *s, const sm_lattice *lattice, int first)
{
    int x_floats = lattice->x->taps * lattice->channels;
    int row = first / x_floats, within = first % x_floats;
    size_t slot = (size_t)(lattice->y->rank + row) * s->kernel_width + lattice->x->rank;
    int left = lattice->x->taps == s->kernel_width ? lattice->depth - first : x_floats - within;
    int depth = sm_divide_up(left, sm_divide_up(left, SM_TILE_DEPTH));
    return (depth_piece){first, depth, slot * lattice->channels + within};
}

/* The one place where output tiles are stored: a block of rows times some panels, one piece of the depth. */
static void multiply_rows(const job *j, depth_piece piece, int rows, float *const *c, const float *a, int first_panel,
                          int last_panel, int accumulate)
{
    int width = j->kernel->tile_columns;
    for (int panel = first_panel; panel < last_panel; panel++) {
        const float *b = (const float *)j->run->prepared + panel * j->weights.panel_floats + piece.weight_row * width;
        int column = panel * width, columns = sm_smaller(width, j->weights.result_channels - column);
        j->kernel->multiply_block(rows, columns, piece.depth, a, SM_BLOCK_STRIDE, b, c, (size_t)column, accumulate);
    }
}

/* beta * result + bias, where the products do not begin from nothing */
static void begin_rows(const job *j, int rows, float *const *c, int first_panel, int last_panel)
{
    int begin = first_panel * j->kernel->tile_columns;
    int end = sm_smaller(last_panel * j->kernel->tile_columns, j->weights.result_channels);
    for (int i = 0; i < rows; i++) {
        for (int o = begin; o < end; o++) {
            c[i][o] = (j->run->beta == 0 ? 0 : c[i][o]) + (j->run->bias ? j->run->bias[o] : 0);
        }
    }
}

static size_t block_begin(const job *j, int block)
{
    return j->rows * (size_t)block / (size_t)j->blocks;
}

static void run_block(const job *j, depth_piece piece, int block, int first_panel, int last_panel)
{
    size_t first_row = block_begin(j, block);
    int rows = (int)(block_begin(j, block + 1) - first_row);
    size_t pixels[SM_TILE_ROWS_MAX];
    float *c[SM_TILE_ROWS_MAX];
    sm_lattice_pixels(j->lattice, j->result_height, j->result_width, first_row, rows, pixels);
    for (int i = 0; i < rows; i++) {
        c[i] = (float *)j->run->result + pixels[i] * j->weights.result_channels;
    }
    int from_nothing = piece.first == 0 && j->run->beta == 0 && !j->run->bias;
    if (piece.first == 0 && (j->run->bias || piece.depth == 0)) {
        begin_rows(j, rows, c, first_panel, last_panel);
    }
    if (piece.depth > 0) {
        const float *a = j->block;
        sm_lattice_pack(j->lattice, SM_F32, j->source, first_row, rows, piece.first, piece.depth, j->block,
                        SM_BLOCK_STRIDE);
        if (j->kernel->arrange) {
            j->kernel->arrange(rows, piece.depth, j->block, SM_BLOCK_STRIDE, 1, j->arranged);
            a = j->arranged;
        }
        multiply_rows(j, piece, rows, c, a, first_panel, last_panel, !from_nothing);
    }
}

/* \return the panels whose weights stay in L2 together */
static int panels_at_once(const sm_microkernel *kernel, int depth)
{
    int panels = WEIGHTS_NOW / (kernel->tile_columns * (depth > 0 ? depth : 1));
    return panels > 0 ? panels : 1;
}

static void run_lattice(const job *j)
{
    int first = 0;
    do {
        depth_piece piece = j->lattice->depth ? piece_at(j->shape, j->lattice, first) : (depth_piece){0, 0, 0};
        int panels_now = panels_at_once(j->kernel, piece.depth);
        for (int panel = j->first_panel; panel < j->last_panel; panel += panels_now) {
            for (int block = j->first_block; block < j->last_block; block++) {
                run_block(j, piece, block, panel, sm_smaller(panel + panels_now, j->last_panel));
            }
        }
        first += piece.depth;
    } while (first < j->lattice->depth);
}

static void assign_blocks(job *j, int thread, int threads)
{
    j->rows = sm_lattice_rows(j->lattice, j->run->batch);
    j->blocks = (int)((j->rows + j->kernel->tile_rows - 1) / j->kernel->tile_rows);
    int along = sm_threads_along_rows(j->rows, (size_t)j->weights.result_channels, threads, threads, threads);
    int across = threads / along;
    j->first_block = sm_piece_begin(j->blocks, along, thread % along);
    j->last_block = sm_piece_begin(j->blocks, along, thread % along + 1);
    j->first_panel = sm_piece_begin(j->weights.panels, across, thread / along);
    j->last_panel = sm_piece_begin(j->weights.panels, across, thread / along + 1);
}

static void run_pixels(const sm_conv2d_shape *s, sm_conv2d_pass pass, int split, const sm_conv2d_operands *run)
{
    int back = pass == SM_CONV2D_BACKWARD_DATA;
    sm_lattice_cut cut;
    sm_lattice_cut_axes(s, pass, split, &cut);
#pragma omp parallel num_threads(run->threads)
    {
        int thread = omp_get_thread_num();
        float *mine = (float *)run->workspace + (size_t)thread * FORWARD_FLOATS;
        sm_lattice lattice;
        job j = {.shape = s, .lattice = &lattice, .run = run, .kernel = sm_microkernel_get()};
        j.source = back ? run->grad_output : run->input;
        j.weights = layout_of(s, pass);
        j.result_height = back ? s->height : s->out_height;
        j.result_width = back ? s->width : s->out_width;
        j.block = mine;
        j.arranged = mine + SM_BLOCK_FLOATS;
        for (int index = 0; index < cut.y_count * cut.x_count; index++) {
            sm_lattice_make(s, pass, &cut, index, &lattice);
            assign_blocks(&j, thread, omp_get_num_threads());
            run_lattice(&j);
        }
    }
}

/* ---- weight gradient --------------------------------------------------------------------------------------------- */

/* One rectangle of grad_weight: rows (tap, channel of the input) of one lattice, columns of the output's channels. */
typedef struct weight_job {
    const sm_conv2d_shape *shape;
    const sm_lattice *lattice;
    const sm_conv2d_operands *run;
    const sm_microkernel *kernel;
    int first_row, rows, first_column, columns;
    size_t stride; /* of panels_a */
    float *result; /* the lattice's first row */
    float *panels_a, *panels_b, *arranged;
} weight_job;

/* grad_output of `count` pixels: [panel][pixel][tile_columns] */
static void pack_grad_output(const weight_job *j, size_t first, int count)
{
    int width = j->kernel->tile_columns;
    size_t pixels[PIXELS_NOW];
    sm_lattice_pixels(j->lattice, j->shape->out_height, j->shape->out_width, first, count, pixels);
    for (int k = 0; k < count; k++) {
        const float *from = (const float *)j->run->grad_output + pixels[k] * j->shape->channels_out + j->first_column;
        sm_split_row(j->columns, from, width, j->panels_b + (size_t)k * width, (size_t)PIXELS_NOW * width);
    }
}

static void multiply_panels(const weight_job *j, int count, int accumulate)
{
    int groups = sm_divide_up(j->rows, j->kernel->tile_rows), width = j->kernel->tile_columns;
    for (int group = 0; group < groups; group++) {
        int begin = sm_piece_begin(j->rows, groups, group);
        int rows = sm_piece_begin(j->rows, groups, group + 1) - begin;
        float *c[SM_TILE_ROWS_MAX];
        for (int i = 0; i < rows; i++) {
            c[i] = j->result + (size_t)(j->first_row + begin + i) * j->shape->channels_out + j->first_column;
        }
        const float *a = j->panels_a + begin;
        if (j->kernel->arrange) {
            j->kernel->arrange(rows, count, a, 1, j->stride, j->arranged);
            a = j->arranged;
        }
        for (int column = 0; column < j->columns; column += width) {
            j->kernel->multiply_panel(rows, sm_smaller(width, j->columns - column), count, a, j->stride,
                                      j->panels_b + (size_t)column * PIXELS_NOW, c, (size_t)column, accumulate);
        }
    }
}

static void run_weight_job(const weight_job *j)
{
    size_t pixels = sm_lattice_rows(j->lattice, j->run->batch);
    for (size_t first = 0; first < pixels; first += PIXELS_NOW) {
        int count = pixels - first < PIXELS_NOW ? (int)(pixels - first) : PIXELS_NOW;
        sm_lattice_pack(j->lattice, SM_F32, j->run->input, first, count, j->first_row, j->rows, j->panels_a, j->stride);
        pack_grad_output(j, first, count);
        multiply_panels(j, count, j->run->beta != 0 || first > 0);
    }
    for (int i = 0; pixels == 0 && j->run->beta == 0 && i < j->rows; i++) {
        float *row = j->result + (size_t)(j->first_row + i) * j->shape->channels_out + j->first_column;
        memset(row, 0, (size_t)j->columns * sizeof *row);
    }
}

/* How one lattice's part of grad_weight is cut: never larger than the panels, and into enough pieces for the threads. */
typedef struct weight_cut {
    int row_parts, column_parts;
} weight_cut;

static weight_cut cut_weight(int rows, int columns, int lattices, int threads)
{
    const sm_microkernel *kernel = sm_microkernel_get();
    weight_cut cut = {sm_divide_up(rows, ROWS_NOW), sm_divide_up(columns, COLUMNS_NOW)};
    int most = sm_divide_up(rows, kernel->tile_rows);
    while (cut.row_parts < most && cut.row_parts * cut.column_parts * lattices % threads != 0 &&
           cut.row_parts * cut.column_parts * lattices < 4 * threads) {
        cut.row_parts++;
    }
    return cut;
}

static void run_weight(const sm_conv2d_shape *s, int split, const sm_conv2d_operands *run)
{
    sm_lattice_cut cut;
    sm_lattice_cut_axes(s, SM_CONV2D_BACKWARD_WEIGHT, split, &cut);
    int lattices = cut.y_count * cut.x_count, width = sm_microkernel_get()->tile_columns;
    int lattice_rows = s->kernel_height * s->kernel_width * s->channels_in / lattices;
    weight_cut parts = cut_weight(lattice_rows, s->channels_out, lattices, run->threads);
    int jobs = parts.row_parts * parts.column_parts, panels = sm_divide_up(s->channels_out, width);
#pragma omp parallel for num_threads(run->threads) schedule(dynamic)
    for (int index = 0; index < lattices * jobs; index++) {
        float *mine = (float *)run->workspace + (size_t)omp_get_thread_num() * WEIGHT_FLOATS;
        int row_part = index % jobs % parts.row_parts, column_part = index % jobs / parts.row_parts;
        sm_lattice lattice;
        sm_lattice_make(s, SM_CONV2D_BACKWARD_WEIGHT, &cut, index / jobs, &lattice);
        weight_job j = {.shape = s, .lattice = &lattice, .run = run, .kernel = sm_microkernel_get()};
        j.first_row = sm_piece_begin(lattice_rows, parts.row_parts, row_part);
        j.rows = sm_piece_begin(lattice_rows, parts.row_parts, row_part + 1) - j.first_row;
        j.first_column = sm_piece_begin(panels, parts.column_parts, column_part) * width;
        j.columns = sm_smaller(sm_piece_begin(panels, parts.column_parts, column_part + 1) * width, s->channels_out) -
                    j.first_column;
        j.stride = sm_round_up((size_t)j.rows, 16) | 16; /* an odd number of cache lines */
        j.result = (float *)run->result +
                   (size_t)(lattice.y->tap[0] * s->kernel_width + lattice.x->tap[0]) * s->channels_in * s->channels_out;
        j.panels_a = mine;
        j.panels_b = mine + PANELS_A_FLOATS;
        j.arranged = mine + PANELS_A_FLOATS + PANELS_B_FLOATS;
        run_weight_job(&j);
    }
}

/* ---- the table's columns ----------------------------------------------------------------------------------------- */

int sm_conv2d_direct_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass)
{
    (void)pass;
    return sm_lattice_supports(shape);
}

/* Costs of the parts, fitted with the AVX-512 kernel (conv2d_algorithms.h). */
static const double multiply_cost = 1.08; /* of a multiply-add: the tiles' loads and stores, the caches */
static const double copy_cost = 12;       /* of copying a float into a block or panel */
static const double span_cost = 600;      /* of one piece of memory copied */

/* \return the columns that the micro-kernel computes for `columns`: half tiles exist */
static double padded_columns(int columns)
{
    int half = sm_microkernel_get()->tile_columns / 2;
    return half > 0 ? (double)sm_divide_up(columns, half) * half : columns;
}

/* Cost of one lattice, rows x depth x columns. */
static double lattice_cost(const sm_conv2d_shape *s, sm_conv2d_pass pass, const sm_lattice *lattice, int batch)
{
    double rows = (double)sm_lattice_rows(lattice, batch), depth = lattice->depth;
    int columns = pass == SM_CONV2D_BACKWARD_DATA ? s->channels_in : s->channels_out;
    double multiply = multiply_cost * rows * depth * padded_columns(columns);
    int once = pass == SM_CONV2D_BACKWARD_WEIGHT
                   ? COLUMNS_NOW
                   : panels_at_once(sm_microkernel_get(), sm_smaller(lattice->depth, SM_TILE_DEPTH)) *
                         sm_microkernel_get()->tile_columns;
    double copies = sm_divide_up(columns, once) * rows * (copy_cost * depth + span_cost * lattice->spans);
    if (pass == SM_CONV2D_BACKWARD_WEIGHT) {
        double panels = sm_divide_up(lattice->depth, ROWS_NOW) * rows * (copy_cost * columns + span_cost);
        return 1.1 * multiply + copies + panels;
    }
    return multiply + copies;
}

typedef double lattice_quantity(const sm_conv2d_shape *s, sm_conv2d_pass pass, const sm_lattice *lattice, int batch);

static double lattice_macs(const sm_conv2d_shape *s, sm_conv2d_pass pass, const sm_lattice *lattice, int batch)
{
    int columns = pass == SM_CONV2D_BACKWARD_DATA ? s->channels_in : s->channels_out;
    return (double)sm_lattice_rows(lattice, batch) * lattice->depth * columns;
}

/* \return the sum of a quantity over all lattices */
static double total(const sm_conv2d_shape *s, sm_conv2d_pass pass, int split, int batch, lattice_quantity *quantity)
{
    sm_lattice_cut cut;
    sm_lattice lattice;
    double sum = 0;
    sm_lattice_cut_axes(s, pass, split, &cut);
    for (int index = 0; index < cut.y_count * cut.x_count; index++) {
        sm_lattice_make(s, pass, &cut, index, &lattice);
        sum += quantity(s, pass, &lattice, batch);
    }
    return sum;
}

double sm_conv2d_gemm_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass)
{
    return total(shape, pass, 0, 1, lattice_macs);
}

double sm_conv2d_taps_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass)
{
    return total(shape, pass, 1, 1, lattice_macs);
}

double sm_conv2d_gemm_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch)
{
    return batch > 0 ? total(shape, pass, 0, batch, lattice_cost) / batch : 0;
}

/* Ties go to the simpler algorithm. */
double sm_conv2d_taps_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch)
{
    return batch > 0 ? 1.02 * total(shape, pass, 1, batch, lattice_cost) / batch : 1;
}

size_t sm_conv2d_direct_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads)
{
    (void)shape, (void)batch;
    return (size_t)threads * (pass == SM_CONV2D_BACKWARD_WEIGHT ? WEIGHT_FLOATS : FORWARD_FLOATS) * sizeof(float);
}

void sm_conv2d_gemm_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands)
{
    if (pass == SM_CONV2D_BACKWARD_WEIGHT) {
        run_weight(shape, 0, operands);
    } else {
        run_pixels(shape, pass, 0, operands);
    }
}

void sm_conv2d_taps_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_conv2d_operands *operands)
{
    if (pass == SM_CONV2D_BACKWARD_WEIGHT) {
        run_weight(shape, 1, operands);
    } else {
        run_pixels(shape, pass, 1, operands);
    }
}
