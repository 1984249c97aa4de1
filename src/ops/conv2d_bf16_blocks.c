/* A lattice by blocks of rows: a block of pixels is packed for all panels whose weights are packed. */
#include "ops/conv2d_bf16.h"
#include "ops/typed.h"
#include "ops/whole.h"

#include <sigmatic/base/memory.h>

enum {
    STEPS = SM_BF16_STEPS,
    ROWS = SM_BF16_ROWS,
    HALF_ROWS = SM_BF16_HALF_ROWS,
    COLUMNS = SM_BF16_COLUMNS,
    PANELS_NOW = SM_BF16_PANELS_NOW,
    DEPTH_NOW = SM_BF16_DEPTH_NOW,
    ROW_STRIDE = SM_BF16_PIXELS_STRIDE,
};

/* The one place where source pixels are packed. A lattice that is the whole source needs no copy before. */
static void pack_pixels(const sm_bf16_job *j, size_t first_row, int rows, int first, int depth)
{
    const sm_lattice *l = j->lattice;
    if (sm_lattice_is_whole(l)) {
        j->kernel->pack_rows(j->parts, rows, depth, j->source_type,
                             sm_map_at_const(j->source_type, j->source, first_row * l->channels + first),
                             (size_t)l->channels, j->own.a, sm_bf16_row_stride(j->parts, depth));
        return;
    }
    sm_lattice_pack(l, j->source_type, j->source, first_row, rows, first, depth, j->own.pixels, ROW_STRIDE);
    j->kernel->pack_rows(j->parts, rows, depth, j->source_type, j->own.pixels, ROW_STRIDE, j->own.a,
                         sm_bf16_row_stride(j->parts, depth));
}

/* A block of rows times the packed panels. */
static void run_block(const sm_bf16_job *j, size_t first_row, int rows, int first, int depth, int first_panel,
                      int last_panel)
{
    size_t pixels[ROWS];
    sm_bf16_target target;
    int is_first = first == 0, is_last = first + depth == j->lattice->depth;
    sm_lattice_pixels(j->lattice, j->result_height, j->result_width, first_row, rows, pixels);
    sm_bf16_point_at_result(j, rows, pixels, is_first && is_last, &target);
    sm_bf16_piece factor = sm_bf16_rows_of(j->parts, depth, j->own.a);
    sm_bf16_factors factors = {depth > 0, depth, sm_bf16_row_stride(j->parts, depth), &factor};
    if (depth > 0) {
        pack_pixels(j, first_row, rows, first, depth);
    }
    for (int panel = first_panel; panel < last_panel; panel++) {
        factor.columns = j->own.b + (size_t)(panel - first_panel) * sm_bf16_columns_bytes(j->parts, depth);
        sm_bf16_multiply(j, &target, panel, &factors, is_first, is_last);
    }
}

/* A span of a lattice's depth, whole blocks of steps, whose weights lie together in the order of taps. */
typedef struct depth_span {
    int first, depth;
    int step; /* in the order of all taps */
} depth_span;

static depth_span depth_span_at(const sm_bf16_job *j, int first)
{
    const sm_lattice *l = j->lattice;
    int x_floats = l->x->taps * l->channels;
    int row = first / x_floats, within = first % x_floats;
    int left = l->x->taps == j->shape->kernel_width ? l->depth - first : x_floats - within;
    int depth = sm_divide_up(left, sm_divide_up(left, DEPTH_NOW));
    depth = sm_smaller((int)sm_round_up((size_t)depth, STEPS), left);
    int slot = (l->y->rank + row) * j->shape->kernel_width + l->x->rank;
    return (depth_span){first, depth, slot * l->channels + within};
}

/* A round of all rows: a span of the depth and the panels whose weights fit L2. */
typedef struct block_round {
    int index;
    depth_span depth;
    int first_panel, last_panel;
} block_round;

static block_round round_from(const sm_bf16_job *j, int index, int first, int panel)
{
    depth_span now = j->lattice->depth ? depth_span_at(j, first) : (depth_span){0, 0, 0};
    int panels = now.depth ? PANELS_NOW / COLUMNS / (int)sm_round_up((size_t)now.depth, STEPS) : j->last_panel;
    return (block_round){index, now, panel, sm_smaller(panel + panels, j->last_panel)};
}

/* \return 0 if there is none */
static int next_round(const sm_bf16_job *j, block_round *round)
{
    int is_last = round->last_panel >= j->last_panel, end = round->depth.first + round->depth.depth;
    if (is_last && end >= j->lattice->depth) {
        return 0;
    }
    *round = is_last ? round_from(j, round->index + 1, end, j->first_panel)
                     : round_from(j, round->index + 1, round->depth.first, round->last_panel);
    return 1;
}

static void pack_round(const sm_bf16_job *j, const block_round *round)
{
    for (int panel = round->first_panel; panel < round->last_panel; panel++) {
        size_t place = (size_t)(panel - round->first_panel) * sm_bf16_columns_bytes(j->parts, round->depth.depth);
        sm_bf16_pack_weights(j, round->depth.step, round->depth.depth, panel, j->own.b + place);
    }
}

int sm_bf16_blocks_of(const sm_bf16_job *j)
{
    return (int)((j->last_row - j->first_row + ROWS - 1) / ROWS);
}

/* Units are rows. */
void sm_bf16_run_blocks(const sm_bf16_job *j)
{
    int blocks = sm_bf16_blocks_of(j), packed = -1;
    block_round round = round_from(j, 0, 0, j->first_panel);
    for (;;) {
        sm_work_unit unit = sm_work_take(j->work);
        while (round.index < unit.round) {
            if (!next_round(j, &round)) {
                return;
            }
        }
        if (packed < round.index && blocks > 0) {
            pack_round(j, &round);
            packed = round.index;
        }
        sm_work_wait(j->work, unit);
        int end = sm_piece_begin(blocks, j->work->units, unit.index + 1);
        for (int block = sm_piece_begin(blocks, j->work->units, unit.index); block < end; block++) {
            size_t row = j->first_row + (size_t)block * ROWS;
            int rows = j->last_row - row < ROWS ? (int)(j->last_row - row) : ROWS;
            run_block(j, row, rows, round.depth.first, round.depth.depth, round.first_panel, round.last_panel);
        }
        sm_work_end(j->work, unit);
    }
}
