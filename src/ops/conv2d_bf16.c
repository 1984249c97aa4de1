/* "bf16x3_gemm", "bf16x3_taps", "bf16x2_...", "bf16_...": as implicit_gemm and taps (conv2d_direct.c, conv2d_region.h),
 * with factors that are three parts of bfloat16, two, or one. */
#include "ops/conv2d_bf16.h"
#include "ops/conv2d_algorithms.h"
#include "ops/pack.h"
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

/* ---- memory ------------------------------------------------------------------------------------------------------ */

enum {
    ELEMENT_BYTES = SM_BF16_PARTS_MAX * sizeof(uint16_t),
    PIXELS_BYTES = ROWS * ROW_STRIDE * sizeof(float),
    SQUARE_BYTES = STEPS * COLUMNS * sizeof(float),
    THREAD_BYTES = PIXELS_BYTES + SQUARE_BYTES + SM_BF16_A_BYTES + SM_BF16_B_BYTES
};

_Static_assert(SM_BF16_A_BYTES >= ROWS * (ELEMENT_BYTES * DEPTH_NOW + 64), "a holds a block of rows");

static size_t turns_bytes(int threads)
{
    return sm_round_up((size_t)threads * sizeof(sm_turns), SM_ALIGNMENT_BYTES);
}

/* Turns of as many groups as there may be, then the buffers of each thread, then sums. */
static size_t sums_offset(int threads)
{
    return turns_bytes(threads) + (size_t)threads * THREAD_BYTES;
}

sm_bf16_buffers sm_bf16_buffers_of(const sm_conv2d_operands *run, int thread)
{
    char *own = (char *)run->workspace + turns_bytes(run->threads) + (size_t)thread * THREAD_BYTES;
    sm_bf16_buffers b = {.pixels = (float *)own, .square = (float *)(own + PIXELS_BYTES)};
    b.a = own + PIXELS_BYTES + SQUARE_BYTES;
    b.b = b.a + SM_BF16_A_BYTES;
    return b;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* STEPS of the depth, from `step` of the packed order of taps on, COLUMNS of the result: as floats, in own.square. */
static void gather_turned_weights(const sm_bf16_job *j, int step, int steps, int column, int columns)
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

/* Weights of a panel, steps of the packed order of taps, to `packed`. */
void sm_bf16_pack_weights(const sm_bf16_job *j, int step, int depth, int panel, char *packed)
{
    const void *rows[DEPTH_NOW];
    int column = panel * COLUMNS, columns = sm_smaller(COLUMNS, j->result_channels - column);
    if (j->pass == SM_CONV2D_FORWARD) {
        sm_bf16_point_at_rows(j->run->weight + (size_t)step * j->result_channels, j->result_channels * sizeof(float),
                              depth, rows);
        j->kernel->pack_columns(j->parts, columns, depth, SM_F32, rows, (size_t)column, packed);
        return;
    }
    sm_bf16_point_at_rows(j->own.square, COLUMNS * sizeof(float), STEPS, rows);
    for (int done = 0; done < depth; done += STEPS) {
        int steps = sm_smaller(STEPS, depth - done);
        gather_turned_weights(j, step + done, steps, column, columns);
        j->kernel->pack_columns(j->parts, columns, steps, SM_F32, rows, 0,
                                packed + sm_bf16_columns_bytes(j->parts, done));
    }
}

/* ---- the result -------------------------------------------------------------------------------------------------- */

void sm_bf16_point_at_result(const sm_bf16_job *j, int rows, const size_t *pixels, int is_whole, sm_bf16_target *target)
{
    target->rows = rows;
    target->is_aside = is_whole && j->result_type == SM_BF16;
    float *floats = j->result_type == SM_BF16 ? j->sums : j->run->result;
    sm_bf16 *rounded = j->result_type == SM_BF16 ? j->run->result : NULL;
    for (int i = 0; i < rows; i++) {
        int is_wanted = pixels[i] != (size_t)SM_BF16_NOBODY;
        size_t at = pixels[i] * (size_t)j->result_channels;
        target->to[i] = is_wanted && rounded ? rounded + at : NULL;
        target->c[i] = target->is_aside ? j->own.square + i * COLUMNS : is_wanted ? floats + at : j->own.pixels;
    }
}

/* What products are added to, where they do not begin from nothing. */
static void begin_tile(const sm_bf16_job *j, const sm_bf16_target *target, int column, int columns, size_t offset,
                       int accumulate)
{
    for (int i = 0; i < target->rows; i++) {
        for (int o = 0; o < columns; o++) {
            float *c = target->c[i] + offset + o;
            *c = (accumulate ? *c : 0) + (j->run->bias ? j->run->bias[column + o] : 0);
        }
    }
}

void sm_bf16_multiply(const sm_bf16_job *j, const sm_bf16_target *target, int panel, const sm_bf16_factors *factors,
                      int is_first, int is_last)
{
    int column = panel * COLUMNS, columns = sm_smaller(COLUMNS, j->result_channels - column);
    size_t offset = target->is_aside ? 0 : (size_t)column;
    int rounds = j->result_type == SM_BF16, adds_to_result = j->run->beta != 0;
    int accumulate = !is_first || (adds_to_result && !rounds);
    if (is_first && (j->run->bias || factors->count == 0)) {
        begin_tile(j, target, column, columns, offset, accumulate);
        accumulate = 1;
    }
    if (factors->count > 0) {
        j->kernel->multiply(j->parts, target->rows, columns, factors, target->c, offset, accumulate);
    }
    if (is_last && rounds) {
        j->kernel->round_rows(target->rows, columns, target->c, offset, adds_to_result, target->to, (size_t)column);
    }
}

/* ---- forward and data gradient: shares --------------------------------------------------------------------------- */

/* How threads stand to a region: `along` its rows times `across` its panels. */
typedef struct share {
    int along, across;
} share;

/* \param columns  that are packed for each thread along the rows */
static share share_of(const sm_bf16_job *j, size_t columns, int threads)
{
    int along = sm_threads_along_rows(sm_region_rows(j->region, j->run->batch), columns, threads,
                                      sm_divide_up(j->result_channels, COLUMNS), threads);
    return (share){along, threads / along};
}

/* Those along the rows take rows as they become free. */
static void share_blocks(sm_bf16_job *j, int thread, int threads)
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
static void share_bands(sm_bf16_job *j, int thread, int threads)
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
static void run_region(const sm_bf16_job *whole, int thread, int threads)
{
    sm_bf16_job j = *whole;
    int channels = sm_bf16_band_channels(j.region, j.parts);
    if (channels > 0) {
        share_bands(&j, thread, threads);
    } else {
        share_blocks(&j, thread, threads);
    }
    int units = sm_bf16_units_of(channels > 0 ? j.last_panel : sm_bf16_blocks_of(&j)); /* of every group */
#pragma omp barrier /* the last region's turns are taken */
#pragma omp single
    for (int group = 0; group < threads; group++) {
        sm_turns_begin(&whole->turns[group], units);
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
    sm_region_cut cut;
    sm_region_cut_axes(s, pass, split, &cut);
#pragma omp parallel num_threads(run->threads)
    {
        int thread = omp_get_thread_num();
        sm_region region;
        sm_bf16_job j = {.shape = s, .region = &region, .run = run, .pass = pass, .parts = parts};
        j.kernel = sm_bf16_kernel_get(parts);
        j.source = back ? run->grad_output : run->input;
        j.source_type = back ? run->output_type : run->input_type;
        j.result_type = back ? run->input_type : run->output_type;
        j.sums = (float *)(void *)((char *)run->workspace + sums_offset(run->threads));
        j.result_height = back ? s->height : s->out_height;
        j.result_width = back ? s->width : s->out_width;
        j.result_channels = back ? s->channels_in : s->channels_out;
        j.own = sm_bf16_buffers_of(run, thread);
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

/* ---- the table's columns ----------------------------------------------------------------------------------------- */

/* Cost of the parts, in multiply-adds of the float micro-kernel at full speed, measured with matrix registers. */
static const double multiply_cost[SM_BF16_PARTS_MAX + 1] = {0, .15, .36, .65};
static const double band_cost = .85;       /* of the same where taps share packed pixels */
static const double tile_cost = 25000;     /* of a tile there, for a piece of the channels */
static const double band_pixel_cost = 20;  /* of a float there: its neighbours in memory are few */
static const double weight_band_cost = .9; /* of multiply_cost, of bands for the weight gradient */
static const double pack_cost = 7;         /* of a float, rows or columns as they lie */
static const double turn_cost = 12;        /* of a float whose rows and columns change places */
static const double span_cost = 600;       /* of one piece of memory copied */

static double weight_cost(const sm_conv2d_shape *s, int parts, const sm_region *region, int batch)
{
    double pixels = (double)sm_round_up(sm_region_rows(region, batch), ROWS);
    double columns = (double)sm_round_up((size_t)s->channels_out, COLUMNS / 2);
    double grad_output = pack_cost * pixels * s->channels_out;
    if (sm_bf16_weight_bands_suit(region, parts)) {
        double channels = (double)sm_round_up((size_t)region->channels, ROWS / 2);
        double multiply = multiply_cost[parts] * sm_bf16_weight_bands_steps(region) * batch * channels * columns;
        return weight_band_cost * multiply +
               turn_cost * channels * sm_bf16_weight_bands_packed(s, region, parts, batch) + grad_output;
    }
    double multiply = multiply_cost[parts] * pixels * (double)sm_round_up((size_t)region->depth, STEPS) * columns;
    double spans = sm_region_is_whole(region) ? 0 : pixels * span_cost * region->spans;
    int column_parts = sm_divide_up(s->channels_out, COLUMNS_NOW);
    return multiply + column_parts * (turn_cost * pixels * region->depth + spans) + grad_output;
}

static double region_cost(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, const sm_region *region, int batch)
{
    double rows = (double)sm_round_up(sm_region_rows(region, batch), ROWS), depth = region->depth;
    int columns = pass == SM_CONV2D_BACKWARD_DATA ? s->channels_in : s->channels_out;
    double multiply = multiply_cost[parts] * rows * (double)sm_round_up((size_t)region->depth, STEPS) *
                      (double)sm_round_up((size_t)columns, COLUMNS / 2);
    double spans = sm_region_is_whole(region) ? 0 : rows * span_cost * region->spans;
    double weights = (pass == SM_CONV2D_FORWARD ? pack_cost : turn_cost) * depth * columns;
    int channels = sm_bf16_band_channels(region, parts);
    if (channels > 0) {
        int taps = region->y->taps * region->x->taps;
        double inside = sm_bf16_band_rows_times_taps(region, parts, channels) /
                        ((double)taps * region->y->count * region->x->count);
        double tiles = rows / ROWS * sm_divide_up(columns, COLUMNS) * sm_divide_up(region->channels, channels);
        return band_cost * multiply * inside + tile_cost * tiles + band_pixel_cost * rows * region->channels +
               sm_bf16_band_groups(region, parts, channels, batch) * weights * sm_bf16_taps_read(region) / taps;
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
    int images = sm_larger(batch, 1);
    sm_region_cut_axes(s, pass, split, &cut);
    for (int index = 0; index < cut.y_count * cut.x_count; index++) {
        sm_region_make(s, pass, &cut, index, &region);
        sum += pass == SM_CONV2D_BACKWARD_WEIGHT ? weight_cost(s, parts, &region, images)
                                                 : region_cost(s, pass, parts, &region, images);
    }
    return (split ? 1.02 : 1) * sum / images; /* ties go to the simpler algorithm */
}

/* \return pixels times taps that are multiplied, an image */
static double rows_times_taps(sm_conv2d_pass pass, int parts, const sm_region *region)
{
    if (pass == SM_CONV2D_BACKWARD_WEIGHT && sm_bf16_weight_bands_suit(region, parts)) {
        return sm_bf16_weight_bands_steps(region);
    }
    int channels = pass == SM_CONV2D_BACKWARD_WEIGHT ? 0 : sm_bf16_band_channels(region, parts);
    return channels > 0 ? sm_bf16_band_rows_times_taps(region, parts, channels)
                        : (double)sm_region_rows(region, 1) * region->y->taps * region->x->taps;
}

static double macs(const sm_conv2d_shape *s, sm_conv2d_pass pass, int parts, int split)
{
    sm_region_cut cut;
    sm_region region;
    double sum = 0;
    sm_region_cut_axes(s, pass, split, &cut);
    for (int index = 0; index < cut.y_count * cut.x_count; index++) {
        sm_region_make(s, pass, &cut, index, &region);
        sum += rows_times_taps(pass, parts, &region);
    }
    return sum * s->channels_in * s->channels_out;
}

static int supports(const sm_conv2d_shape *s, int parts)
{
    int most_channels = sm_larger(s->channels_in, s->channels_out);
    return sm_region_supports(s) && most_channels <= ROWS * ROW_STRIDE && sm_bf16_kernel_get(parts);
}

size_t sm_conv2d_bf16_parts_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch, int threads)
{
    (void)shape, (void)pass, (void)batch;
    return sums_offset(threads);
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
    return sums_offset(threads) + (comes_at_once || pass == SM_CONV2D_BACKWARD_WEIGHT ? 0 : sums * sizeof(float));
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
