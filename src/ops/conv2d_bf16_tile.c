/* What the passes by bfloat16 are made of: a thread's memory, packed weights, and a tile of the result. */
#include "ops/conv2d_bf16.h"
#include "ops/pack.h"
#include "ops/whole.h"

#include <sigmatic/base/memory.h>

enum {
    STEPS = SM_BF16_STEPS,
    ROWS = SM_BF16_ROWS,
    COLUMNS = SM_BF16_COLUMNS,
    DEPTH_NOW = SM_BF16_DEPTH_NOW,
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

static size_t work_bytes(int threads)
{
    return sm_round_up((size_t)threads * sizeof(sm_work), SM_ALIGNMENT_BYTES);
}

/* The workspace: work of as many groups of threads as there may be, then the buffers of each thread, then sums. */
size_t sm_bf16_sums_offset(int threads)
{
    return work_bytes(threads) + (size_t)threads * THREAD_BYTES;
}

sm_bf16_buffers sm_bf16_buffers_of(const sm_conv2d_operands *run, int thread)
{
    char *own = (char *)run->workspace + work_bytes(run->threads) + (size_t)thread * THREAD_BYTES;
    sm_bf16_buffers b = {.pixels = (float *)own, .square = (float *)(own + PIXELS_BYTES)};
    b.a = own + PIXELS_BYTES + SQUARE_BYTES;
    b.b = b.a + SM_BF16_A_BYTES;
    return b;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* STEPS of the depth, from `step` of the packed order of taps on, COLUMNS of the result: as floats, in own.square. */
static void gather_transposed_weights(const sm_bf16_job *j, int step, int steps, int column, int columns)
{
    const sm_conv2d_shape *s = j->shape;
    int channels = j->lattice->channels;
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
        gather_transposed_weights(j, step + done, steps, column, columns);
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
