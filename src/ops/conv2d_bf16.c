/* "bf16x3_gemm", "bf16x3_taps", "bf16x2_...", "bf16_...": as implicit_gemm and taps (conv2d_direct.c, conv2d_lattice.h),
 * with factors that are three parts of bfloat16, two, or one. */
#include "ops/conv2d_bf16.h"
#include "ops/conv2d_algorithms.h"
#include "ops/parallel.h"
#include "ops/whole.h"

#include <sigmatic/base/memory.h>

#include <omp.h>

enum {
    STEPS = SM_BF16_STEPS,
    ROWS = SM_BF16_ROWS,
    COLUMNS = SM_BF16_COLUMNS,
    COLUMNS_NOW = SM_BF16_COLUMNS_NOW,
    DEPTH_NOW = SM_BF16_DEPTH_NOW,
    PANELS_NOW = SM_BF16_PANELS_NOW,
    ROW_STRIDE = SM_BF16_PIXELS_STRIDE,
};

/* ---- forward and data gradient ----------------------------------------------------------------------------------- */

/* Threads are laid out as a grid over a lattice: `along` its rows times `across` its panels. */
typedef struct thread_grid {
    int along, across;
} thread_grid;

/* \param columns  that are packed for each thread along the rows */
static thread_grid grid_of(const sm_bf16_job *j, size_t columns, int threads)
{
    int along = sm_threads_along_rows(sm_lattice_rows(j->lattice, j->run->batch), columns, threads,
                                      sm_divide_up(j->result_channels, COLUMNS), threads);
    return (thread_grid){along, threads / along};
}

/* Threads along the rows have the same panels, and take rows of them as they become free. */
static void assign_blocks(sm_bf16_job *j, int thread, int threads)
{
    int panels = sm_divide_up(j->result_channels, COLUMNS);
    thread_grid grid = grid_of(j, (size_t)j->result_channels, threads);
    int group = thread / grid.along;
    j->first_row = 0;
    j->last_row = sm_lattice_rows(j->lattice, j->run->batch);
    j->first_panel = sm_piece_begin(panels, grid.across, group);
    j->last_panel = sm_piece_begin(panels, grid.across, group + 1);
    j->work = sm_bf16_work_of(j->run, group);
}

/* Threads across the panels have the same rows, and take panels as they become free. */
static void assign_bands(sm_bf16_job *j, int thread, int threads)
{
    size_t taps = (size_t)j->lattice->y->taps * j->lattice->x->taps;
    thread_grid grid = grid_of(j, taps * j->result_channels, threads);
    int rows = j->run->batch * j->lattice->y->count, group = thread % grid.along;
    j->first_row = (size_t)sm_piece_begin(rows, grid.along, group);
    j->last_row = (size_t)sm_piece_begin(rows, grid.along, group + 1);
    j->first_panel = 0;
    j->last_panel = sm_divide_up(j->result_channels, COLUMNS);
    j->work = sm_bf16_work_of(j->run, group);
}

/* All threads together. */
static void run_lattice(const sm_bf16_job *whole, int thread, int threads)
{
    sm_bf16_job j = *whole;
    int channels = sm_bf16_band_channels(j.lattice, j.parts);
    if (channels > 0) {
        assign_bands(&j, thread, threads);
    } else {
        assign_blocks(&j, thread, threads);
    }
    int units = sm_bf16_units_of(channels > 0 ? j.last_panel : sm_bf16_blocks_of(&j)); /* of every group */
#pragma omp barrier /* nobody takes from the last lattice's work any more */
#pragma omp single
    for (int group = 0; group < threads; group++) {
        sm_work_begin(sm_bf16_work_of(j.run, group), units);
    }
    if (channels > 0) {
        sm_bf16_run_bands(&j, channels);
    } else {
        sm_bf16_run_blocks(&j);
    }
}

static void run_pixels(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, int split,
                       const sm_conv2d_operands *run)
{
    int back = pass == SM_CONV2D_BACKWARD_DATA;
    sm_lattice_cut cut;
    sm_lattice_cut_axes(s, pass, split, &cut);
#pragma omp parallel num_threads(run->threads)
    {
        int thread = omp_get_thread_num();
        sm_lattice lattice;
        sm_bf16_job j = {.shape = s, .lattice = &lattice, .run = run, .pass = pass, .parts = parts};
        j.kernel = sm_bf16_kernel_get(parts);
        j.source = back ? run->grad_output : run->input;
        j.source_type = back ? run->output_type : run->input_type;
        j.result_type = back ? run->input_type : run->output_type;
        j.sums = (float *)(void *)((char *)run->workspace + sm_bf16_sums_offset(run->threads));
        j.result_height = back ? s->height : s->out_height;
        j.result_width = back ? s->width : s->out_width;
        j.result_channels = back ? s->channels_in : s->channels_out;
        j.own = sm_bf16_buffers_of(run, thread);
        sm_lattice_tap_order(s->kernel_height, s->stride_height, s->dilation_height, s->pad_top, pass, j.order_y);
        sm_lattice_tap_order(s->kernel_width, s->stride_width, s->dilation_width, s->pad_left, pass, j.order_x);
        sm_bf16_kernel_begin(j.kernel);
        for (int index = 0; index < cut.y_count * cut.x_count; index++) {
            sm_lattice_make(s, pass, &cut, index, &lattice);
            run_lattice(&j, thread, omp_get_num_threads());
        }
        sm_bf16_kernel_end(j.kernel);
    }
}

/* ---- the table's columns ----------------------------------------------------------------------------------------- */

/* Costs of the parts, fitted on a CPU with AMX (conv2d_algorithms.h). A product of one, two or three parts of bfloat16: */
static const double multiply_cost[SM_BF16_PARTS_MAX + 1] = {0, .15, .36, .65};
static const double band_cost = .85;       /* of the same where taps share packed pixels */
static const double tile_cost = 25000;     /* of a tile there, for a piece of the channels */
static const double band_pixel_cost = 20;  /* of a float there: its neighbours in memory are few */
static const double weight_band_cost = .9; /* of multiply_cost, of bands for the weight gradient */
static const double pack_cost = 7;         /* of a float, rows or columns as they lie */
static const double transpose_cost = 12;   /* of a float whose rows and columns change places */
static const double span_cost = 600;       /* of one piece of memory copied */

static double weight_cost(const sm_conv2d_shape *s, int parts, const sm_lattice *lattice, int batch)
{
    double pixels = (double)sm_round_up(sm_lattice_rows(lattice, batch), ROWS);
    double columns = (double)sm_round_up((size_t)s->channels_out, COLUMNS / 2);
    double grad_output = pack_cost * pixels * s->channels_out;
    if (sm_bf16_weight_bands_suit(lattice, parts)) {
        double channels = (double)sm_round_up((size_t)lattice->channels, ROWS / 2);
        double multiply = multiply_cost[parts] * sm_bf16_weight_bands_steps(lattice) * batch * channels * columns;
        return weight_band_cost * multiply +
               transpose_cost * channels * sm_bf16_weight_bands_packed(s, lattice, parts, batch) + grad_output;
    }
    double multiply = multiply_cost[parts] * pixels * (double)sm_round_up((size_t)lattice->depth, STEPS) * columns;
    double spans = sm_lattice_is_whole(lattice) ? 0 : pixels * span_cost * lattice->spans;
    int column_parts = sm_divide_up(s->channels_out, COLUMNS_NOW);
    return multiply + column_parts * (transpose_cost * pixels * lattice->depth + spans) + grad_output;
}

static double lattice_cost(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, const sm_lattice *lattice,
                           int batch)
{
    double rows = (double)sm_round_up(sm_lattice_rows(lattice, batch), ROWS), depth = lattice->depth;
    int columns = pass == SM_CONV2D_BACKWARD_DATA ? s->channels_in : s->channels_out;
    double multiply = multiply_cost[parts] * rows * (double)sm_round_up((size_t)lattice->depth, STEPS) *
                      (double)sm_round_up((size_t)columns, COLUMNS / 2);
    double spans = sm_lattice_is_whole(lattice) ? 0 : rows * span_cost * lattice->spans;
    double weights = (pass == SM_CONV2D_FORWARD ? pack_cost : transpose_cost) * depth * columns;
    int channels = sm_bf16_band_channels(lattice, parts);
    if (channels > 0) {
        int taps = lattice->y->taps * lattice->x->taps;
        double inside = sm_bf16_band_rows_times_taps(lattice, parts, channels) /
                        ((double)taps * lattice->y->count * lattice->x->count);
        double tiles = rows / ROWS * sm_divide_up(columns, COLUMNS) * sm_divide_up(lattice->channels, channels);
        return band_cost * multiply * inside + tile_cost * tiles + band_pixel_cost * rows * lattice->channels +
               sm_bf16_band_groups(lattice, parts, channels, batch) * weights * sm_bf16_taps_read(lattice) / taps;
    }
    int depth_now = sm_smaller(lattice->depth > 0 ? lattice->depth : 1, DEPTH_NOW);
    int passes = sm_divide_up(columns, PANELS_NOW / depth_now);
    return multiply + weights + passes * (pack_cost * rows * depth + spans);
}

static double cost(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, int split, int batch)
{
    sm_lattice_cut cut;
    sm_lattice lattice;
    double sum = 0;
    int images = sm_larger(batch, 1);
    sm_lattice_cut_axes(s, pass, split, &cut);
    for (int index = 0; index < cut.y_count * cut.x_count; index++) {
        sm_lattice_make(s, pass, &cut, index, &lattice);
        sum += pass == SM_CONV2D_BACKWARD_WEIGHT ? weight_cost(s, parts, &lattice, images)
                                                 : lattice_cost(s, pass, parts, &lattice, images);
    }
    return (split ? 1.02 : 1) * sum / images; /* ties go to the simpler algorithm */
}

/* \return pixels times taps that are multiplied, an image */
static double rows_times_taps(sm_conv2d_pass pass, int parts, const sm_lattice *lattice)
{
    if (pass == SM_CONV2D_BACKWARD_WEIGHT && sm_bf16_weight_bands_suit(lattice, parts)) {
        return sm_bf16_weight_bands_steps(lattice);
    }
    int channels = pass == SM_CONV2D_BACKWARD_WEIGHT ? 0 : sm_bf16_band_channels(lattice, parts);
    return channels > 0 ? sm_bf16_band_rows_times_taps(lattice, parts, channels)
                        : (double)sm_lattice_rows(lattice, 1) * lattice->y->taps * lattice->x->taps;
}

static double macs(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, int split)
{
    sm_lattice_cut cut;
    sm_lattice lattice;
    double sum = 0;
    sm_lattice_cut_axes(s, pass, split, &cut);
    for (int index = 0; index < cut.y_count * cut.x_count; index++) {
        sm_lattice_make(s, pass, &cut, index, &lattice);
        sum += rows_times_taps(pass, parts, &lattice);
    }
    return sum * s->channels_in * s->channels_out;
}

static int supports(const sm_conv2d_shape *s, int parts)
{
    int most_channels = sm_larger(s->channels_in, s->channels_out);
    return sm_lattice_supports(s) && most_channels <= ROWS * ROW_STRIDE && sm_bf16_kernel_get(parts);
}

size_t sm_conv2d_bf16_parts_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads)
{
    (void)shape, (void)pass, (void)batch;
    return sm_bf16_sums_offset(threads);
}

/* With sums for a result of bfloat16: of several taps, whose depth may come row by row, or of many channels. Which type
 * the result has is not known here, so that one of floats gets them too. */
size_t sm_conv2d_bf16_workspace(const sm_conv2d_shape *s, sm_conv2d_pass pass, int batch, int threads)
{
    int back = pass == SM_CONV2D_BACKWARD_DATA;
    size_t pixels = back ? (size_t)s->height * s->width : (size_t)s->out_height * s->out_width;
    size_t sums = batch * pixels * (back ? s->channels_in : s->channels_out);
    int channels = back ? s->channels_out : s->channels_in;
    int comes_at_once = s->kernel_height * s->kernel_width == 1 && channels <= DEPTH_NOW;
    return sm_bf16_sums_offset(threads) +
           (comes_at_once || pass == SM_CONV2D_BACKWARD_WEIGHT ? 0 : sums * sizeof(float));
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
            sm_bf16_run_weight(shape, PARTS, SPLIT, operands);                                                         \
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
