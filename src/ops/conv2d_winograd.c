/* "winograd4" and "winograd2": 3 x 3, stride 1, any dilation r (which is r * r interleaved images without dilation).
 *
 * A job is a block of tiles times a block of result channels (weight gradient: a block of input channels times a block
 * of output channels). Its `points` sums stay in L2 from the first to the last piece of the depth, and both factors
 * are transformed piece by piece right before they are multiplied, each job its own: what L3 delivers in a time
 * suffices for neither the transformed weights nor the transformed pixels, while transforming them again costs a few
 * percent. Weights (or grad_output) are transformed a panel at a time: what then fits L2 is a job twice as wide, which
 * transforms its pixels half as often. Buffers hold all points of a tile (or row) side by side, so that a transform
 * writes to neighbouring pages. */
#include "ops/conv2d_algorithms.h"
#include "ops/microkernel.h"
#include "ops/pack.h"
#include "ops/whole.h"

#include <sigmatic/base/memory.h>

#include <omp.h>
#include <string.h>
#include <threads.h>
#include <unistd.h>

enum { TAPS = 9, DEPTH_NOW = 64, ROWS_MAX = 112, LINE = 16 /* floats a cache line */ };

/* Block sizes of a tile size. */
typedef struct blocking {
    int tile, points;
    int rows;    /* tiles of a job; weight gradient: input channels */
    int columns; /* result channels of a job; weight gradient: output channels */
} blocking;

/* By what a core's L2 holds: sums, source and a panel of the factor. */
static const struct {
    long l2_bytes; /* at least */
    blocking blockings[2];
} caches[] = {
    {2 << 20, {{2, 16, 112, 160}, {4, 36, 64, 128}}},
    {0, {{2, 16, 112, 128}, {4, 36, 64, 64}}},
};

static int cache_row;

static void find_cache(void)
{
    long l2_bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); /* 0 and less: the system does not say */
    while (caches[cache_row].l2_bytes > 0 && l2_bytes < caches[cache_row].l2_bytes) {
        cache_row++;
    }
}

static const blocking *blocking_of(int tile)
{
    static once_flag once = ONCE_FLAG_INIT; /* asking the processor takes long on a virtual one */
    call_once(&once, find_cache);
    return &caches[cache_row].blockings[tile == 4];
}

/* One axis of the output, cut into tiles: phase after phase of the dilation. */
typedef struct tile_axis {
    int size, dilation, tile;
    int long_phases;             /* phases with one place more than the others */
    int long_tiles, short_tiles; /* a phase */
    int count;                   /* tiles */
} tile_axis;

static tile_axis tile_axis_of(int size, int dilation, int tile)
{
    tile_axis a = {.size = size, .dilation = dilation, .tile = tile, .long_phases = size % dilation};
    a.short_tiles = sm_divide_up(size / dilation, tile);
    a.long_tiles = sm_divide_up(size / dilation + 1, tile);
    a.count = a.long_phases * a.long_tiles + (dilation - a.long_phases) * a.short_tiles;
    return a;
}

/* \return the first place of a tile; the others follow `dilation` apart */
static int tile_begin(const tile_axis *a, int index)
{
    int in_long = a->long_phases * a->long_tiles;
    int tiles = index < in_long ? a->long_tiles : a->short_tiles;
    int phase = index < in_long ? index / tiles : a->long_phases + (index - in_long) / tiles;
    int within = index < in_long ? index % tiles : (index - in_long) % tiles;
    return phase + within * a->tile * a->dilation;
}

/* A pass as the transforms see it: source pixels weigh into result pixels; the weight gradient has output pixels as
 * its result side. */
typedef struct geometry {
    blocking block;
    int source_height, source_width, source_channels;
    int result_height, result_width, result_channels;
    int pad_y, pad_x; /* of the pass, may be negative */
    tile_axis y, x;
    int tiles; /* an image */
} geometry;

static geometry geometry_of(const sm_conv2d_shape *s, sm_conv2d_pass pass, const blocking *block)
{
    int back = pass == SM_CONV2D_BACKWARD_DATA;
    geometry g = {.block = *block};
    g.source_height = back ? s->out_height : s->height;
    g.source_width = back ? s->out_width : s->width;
    g.source_channels = back ? s->channels_out : s->channels_in;
    g.result_height = back ? s->height : s->out_height;
    g.result_width = back ? s->width : s->out_width;
    g.result_channels = back ? s->channels_in : s->channels_out;
    g.pad_y = back ? 2 * s->dilation_height - s->pad_top : s->pad_top;
    g.pad_x = back ? 2 * s->dilation_width - s->pad_left : s->pad_left;
    g.y = tile_axis_of(g.result_height, s->dilation_height, block->tile);
    g.x = tile_axis_of(g.result_width, s->dilation_width, block->tile);
    g.tiles = g.y.count * g.x.count;
    return g;
}

/* ---- how the work is cut ----------------------------------------------------------------------------------------- */

/* Jobs are row_parts * column_parts; sizes are the largest part's, columns whole panels. */
typedef struct job_cut {
    int row_parts, column_parts;
    int panels;
    int is_by_rows; /* jobs of the same rows follow each other, else those of the same columns */
} job_cut;

/* Cost of a job, fitted with the AVX-512 kernel (conv2d_algorithms.h): products, the transforms of both factors, the
 * transform of the sums. */
static double job_cost(double points, double rows, double columns, double depth)
{
    return points * (1.2 * rows * columns * depth + 22 * depth * rows + 24 * depth * columns + 16 * rows * columns);
}

/* The cheapest cut for so many threads, none of its parts larger than the buffers. */
static job_cut cut_jobs(const blocking *block, int rows, int columns, int depth, int threads)
{
    int width = sm_microkernel_get()->tile_columns;
    job_cut best = {.panels = sm_divide_up(columns, width)};
    double least = 0;
    int row_least = sm_divide_up(rows, block->rows), column_least = sm_divide_up(best.panels, block->columns / width);
    for (int row_parts = row_least; row_parts <= sm_smaller(row_least + threads, rows); row_parts++) {
        for (int column_parts = column_least; column_parts <= sm_smaller(column_least + threads, best.panels);
             column_parts++) {
            double cost = sm_divide_up(row_parts * column_parts, threads) *
                          job_cost(block->points, sm_divide_up(rows, row_parts),
                                   sm_divide_up(best.panels, column_parts) * width, depth);
            if (least == 0 || cost < least) {
                least = cost;
                best.row_parts = row_parts;
                best.column_parts = column_parts;
            }
        }
    }
    /* What is transformed again: the source for each part of the columns, or the factor for each part of the rows. */
    best.is_by_rows = rows * (best.column_parts - 1) > columns * (best.row_parts - 1);
    return best;
}

/* \return the size of pieces of the depth: equal ones, whole vectors; it does not depend on the number of threads */
static int depth_piece(int depth)
{
    return (int)sm_round_up((size_t)sm_divide_up(depth, sm_divide_up(depth, DEPTH_NOW)), LINE);
}

/* ---- buffers ----------------------------------------------------------------------------------------------------- */

/* floats of `points` rows of `floats`, and a line more: rows of tiles then spread over the sets of the caches */
static size_t row_stride(const blocking *block, size_t floats)
{
    return block->points * sm_round_up(floats, LINE) + LINE;
}

/* floats between points of buffer.factor: never a multiple of a page, so that the points of one row use different sets
 * */
static size_t factor_stride(int depth, int width)
{
    return sm_round_up((size_t)depth * width, LINE) | LINE;
}

/* floats of a panel */
static size_t panel_floats(const blocking *block, int depth, int width)
{
    return block->points * factor_stride(depth, width);
}

typedef struct buffers {
    float *sums;     /* [row][point][column] */
    float *source;   /* [tile][point][channel] */
    float *factor;   /* [panel][point][depth][column of the panel]: weights, or grad_output */
    float *arranged; /* for micro-kernels that want A in their own order */
    float *zeros;    /* a pixel in the padding */
    float *turned;   /* [tap][depth][column of a panel]: weights for the data gradient */
} buffers;

static size_t sums_floats(const blocking *block)
{
    return block->rows * row_stride(block, (size_t)block->columns);
}

static size_t source_floats(const blocking *block)
{
    int most = sm_larger(block->rows, DEPTH_NOW); /* rows and depth change places for the weight gradient */
    return most * row_stride(block, (size_t)most);
}

static size_t factor_floats(const blocking *block)
{
    int width = sm_microkernel_get()->tile_columns;
    return sm_divide_up(block->columns, width) * panel_floats(block, DEPTH_NOW, width);
}

enum { TURNED_FLOATS = TAPS * DEPTH_NOW * SM_TILE_COLUMNS_MAX };

static size_t zeros_floats(const geometry *g)
{
    return sm_round_up((size_t)sm_larger(g->source_channels, g->result_channels), LINE);
}

static size_t thread_floats(const geometry *g)
{
    return sums_floats(&g->block) + source_floats(&g->block) + factor_floats(&g->block) + TURNED_FLOATS +
           SM_BLOCK_FLOATS + zeros_floats(g);
}

static buffers buffers_of(const geometry *g, void *workspace, int thread)
{
    buffers b;
    b.sums = (float *)workspace + thread * thread_floats(g);
    b.source = b.sums + sums_floats(&g->block);
    b.factor = b.source + source_floats(&g->block);
    b.turned = b.factor + factor_floats(&g->block);
    b.arranged = b.turned + TURNED_FLOATS;
    b.zeros = b.arranged + SM_BLOCK_FLOATS;
    memset(b.zeros, 0, zeros_floats(g) * sizeof(float));
    return b;
}

/* ---- a job ------------------------------------------------------------------------------------------------------- */

/* Where a tile begins. */
typedef struct origin {
    int image, y, x;
} origin;

typedef struct job {
    const sm_conv2d_shape *shape;
    const sm_conv2d_operands *run;
    const geometry *geometry;
    const sm_microkernel *kernel;
    const sm_winograd *transform;
    buffers buffer;
    const float *source;
    int turned;                /* the weights have to be */
    int first_row, rows;       /* tiles, or input channels */
    int first_column, columns; /* result channels */
    int panels;                /* of this job */
    size_t sums_stride;        /* floats between rows of buffer.sums */
    int depth;                 /* channels, or tiles */
    int is_weight;             /* gradient */
    int held_row, held_column; /* what is still in buffer.source and buffer.factor, or -1 */
    origin origins[ROWS_MAX];  /* of the tiles at hand: rows of the job; weight gradient: those of a piece */
} job;

static void find_origins(job *j, int first, int count)
{
    const geometry *g = j->geometry;
    for (int i = 0; i < count; i++) {
        int within = (first + i) % g->tiles;
        j->origins[i] = (origin){(first + i) / g->tiles, tile_begin(&g->y, within / g->x.count),
                                 tile_begin(&g->x, within % g->x.count)};
    }
}

/* An operand whose pixels tiles are made of. */
typedef struct plane {
    const float *image; /* and first channel */
    int height, width, channels;
    int dilation_y, dilation_x;
} plane;

static plane source_plane(const geometry *g, const float *source, int image, int channel)
{
    size_t image_floats = (size_t)g->source_height * g->source_width * g->source_channels;
    return (plane){source + image * image_floats + channel,
                   g->source_height,
                   g->source_width,
                   g->source_channels,
                   g->y.dilation,
                   g->x.dilation};
}

static plane result_plane(const geometry *g, const float *result, int image, int channel)
{
    size_t image_floats = (size_t)g->result_height * g->result_width * g->result_channels;
    return (plane){result + image * image_floats + channel,
                   g->result_height,
                   g->result_width,
                   g->result_channels,
                   g->y.dilation,
                   g->x.dilation};
}

/* Pointers to `size` x `size` pixels, from (y, x) on and the dilation apart; `outside` where there is none. */
static void tile_pixels(const plane *p, int y, int x, int size, const float *outside, const float **pixels)
{
    int reach_y = (size - 1) * p->dilation_y, reach_x = (size - 1) * p->dilation_x;
    int all = y >= 0 && x >= 0 && y + reach_y < p->height && x + reach_x < p->width;
    for (int i = 0; i < size; i++) {
        int row = y + i * p->dilation_y;
        for (int j = 0; j < size; j++) {
            int column = x + j * p->dilation_x;
            int inside = all || (row >= 0 && row < p->height && column >= 0 && column < p->width);
            pixels[i * size + j] = inside ? p->image + ((size_t)row * p->width + column) * p->channels : outside;
        }
    }
}

/* The one place where source pixels are transformed: the `count` tiles at hand, channels channel .. + depth, to
 * [tile][point][depth]. */
static void transform_source(const job *j, int count, int channel, int depth)
{
    const geometry *g = j->geometry;
    size_t points_stride = sm_round_up((size_t)depth, LINE), stride = row_stride(&g->block, (size_t)depth);
    for (int tile = 0; tile < count; tile++) {
        const float *pixels[SM_WINOGRAD_POINTS_MAX];
        origin at = j->origins[tile];
        plane source = source_plane(g, j->source, at.image, channel);
        tile_pixels(&source, at.y - g->pad_y, at.x - g->pad_x, g->block.tile + 2, j->buffer.zeros, pixels);
        j->transform->input(pixels, depth, j->buffer.source + tile * stride, points_stride);
    }
}

/* The data gradient is the same convolution of grad_output, by the weights turned around and transposed. */
static void turn_weight(const job *j, int channel, int depth, int column, int columns)
{
    const geometry *g = j->geometry;
    size_t row = (size_t)g->source_channels, tap = row * g->result_channels;
    for (int i = 0; i < TAPS; i++) {
        sm_transpose(depth, columns, j->run->weight + (TAPS - 1 - i) * tap + column * row + channel, row,
                     j->buffer.turned + (size_t)i * depth * columns, (size_t)columns);
    }
}

static int panel_columns(const job *j, int panel)
{
    int width = j->kernel->tile_columns;
    return sm_smaller(width, j->columns - panel * width);
}

/* Weights of source channels channel .. + depth and one panel of this job. */
static void transform_weight(const job *j, int channel, int depth, int panel, float *factor)
{
    int width = j->kernel->tile_columns, column = j->first_column + panel * width, columns = panel_columns(j, panel);
    size_t row = (size_t)j->geometry->result_channels, tap = row * j->geometry->source_channels;
    const float *weight = j->run->weight + channel * row + column;
    if (j->turned) {
        turn_weight(j, channel, depth, column, columns);
        weight = j->buffer.turned;
        row = (size_t)columns;
        tap = depth * row;
    }
    for (int k = 0; k < depth; k++) {
        j->transform->weight(weight + k * row, tap, columns, factor + (size_t)k * width, factor_stride(depth, width));
    }
}

/* grad_output of the `count` tiles at hand and one panel of this job. */
static void transform_grad_output(const job *j, int count, int panel, float *factor)
{
    const geometry *g = j->geometry;
    int width = j->kernel->tile_columns;
    for (int tile = 0; tile < count; tile++) {
        const float *pixels[SM_WINOGRAD_POINTS_MAX];
        origin at = j->origins[tile];
        plane grad = result_plane(g, j->run->grad_output, at.image, j->first_column + panel * width);
        tile_pixels(&grad, at.y, at.x, g->block.tile, j->buffer.zeros, pixels);
        j->transform->grad_output(pixels, panel_columns(j, panel), factor + (size_t)tile * width,
                                  factor_stride(count, width));
    }
}

/* Rows of the source and what lies between them, in floats. */
typedef struct source_strides {
    size_t point, row, step;
} source_strides;

/* One panel of the sums (+)= source * factor, at every point. */
static void multiply_points(const job *j, int panel, const float *factor, int depth, const source_strides *a_strides,
                            int accumulate)
{
    int width = j->kernel->tile_columns, groups = sm_divide_up(j->rows, j->kernel->tile_rows);
    sm_microkernel_multiply *multiply = a_strides->step == 1 ? j->kernel->multiply_block : j->kernel->multiply_panel;
    for (int point = 0; point < j->geometry->block.points; point++) {
        for (int group = 0; group < groups; group++) {
            int begin = sm_piece_begin(j->rows, groups, group),
                rows = sm_piece_begin(j->rows, groups, group + 1) - begin;
            const float *a = j->buffer.source + point * a_strides->point + begin * a_strides->row;
            float *c[SM_TILE_ROWS_MAX];
            for (int i = 0; i < rows; i++) {
                c[i] = j->buffer.sums + (begin + i) * j->sums_stride + (size_t)point * j->panels * width;
            }
            if (j->kernel->arrange) {
                j->kernel->arrange(rows, depth, a, a_strides->row, a_strides->step, j->buffer.arranged);
                a = j->buffer.arranged;
            }
            multiply(rows, panel_columns(j, panel), depth, a, a_strides->step == 1 ? a_strides->row : a_strides->step,
                     factor + point * factor_stride(depth, width), c, (size_t)panel * width, accumulate);
        }
    }
}

/* The one place where output tiles are stored. */
static void transform_output(const job *j)
{
    const geometry *g = j->geometry;
    for (int row = 0; row < j->rows; row++) {
        float *pixels[SM_WINOGRAD_POINTS_MAX];
        origin at = j->origins[row];
        plane result = result_plane(g, j->run->result, at.image, j->first_column);
        tile_pixels(&result, at.y, at.x, g->block.tile, NULL, (const float **)pixels);
        j->transform->output(j->buffer.sums + row * j->sums_stride, (size_t)j->panels * j->kernel->tile_columns,
                             j->columns, j->run->bias ? j->run->bias + j->first_column : NULL, j->run->beta != 0,
                             pixels);
    }
}

/* The one place where rows of the weight gradient are stored. */
static void transform_grad_weight(const job *j)
{
    const geometry *g = j->geometry;
    size_t tap_stride = (size_t)g->source_channels * g->result_channels;
    for (int row = 0; row < j->rows; row++) {
        j->transform->grad_weight(
            j->buffer.sums + row * j->sums_stride, (size_t)j->panels * j->kernel->tile_columns, j->columns,
            j->run->beta != 0,
            (float *)j->run->result + (size_t)(j->first_row + row) * g->result_channels + j->first_column, tap_stride);
    }
}

/* What the pass makes of steps first .. + depth. Forward and data gradient: the depth is channels. Weight gradient: it
 * is tiles. A panel that the next job does not use gives its place to the next panel. */
static void add_piece(job *j, int first, int depth, int has_source, int has_factor)
{
    const blocking *block = &j->geometry->block;
    size_t step_row = row_stride(block, (size_t)j->rows), tile_row = row_stride(block, (size_t)depth);
    source_strides strides = j->is_weight ? (source_strides){sm_round_up((size_t)j->rows, LINE), 1, step_row}
                                          : (source_strides){sm_round_up((size_t)depth, LINE), tile_row, 1};
    if (j->is_weight) {
        find_origins(j, first, depth);
    }
    if (!has_source && j->is_weight) {
        transform_source(j, depth, j->first_row, j->rows);
    } else if (!has_source) {
        transform_source(j, j->rows, first, depth);
    }
    for (int panel = 0; panel < j->panels; panel++) {
        size_t kept = depth == j->depth ? panel * panel_floats(block, depth, j->kernel->tile_columns) : 0;
        float *factor = j->buffer.factor + kept;
        if (!has_factor && j->is_weight) {
            transform_grad_output(j, depth, panel, factor);
        } else if (!has_factor) {
            transform_weight(j, first, depth, panel, factor);
        }
        multiply_points(j, panel, factor, depth, &strides, first > 0);
    }
}

/* A factor of the last job is used again if it is the same, which it can only be if the depth is one piece. */
static void run_job(job *j)
{
    int step = depth_piece(j->depth), is_whole = step >= j->depth;
    int has_source = is_whole && j->held_row == j->first_row,
        has_factor = is_whole && j->held_column == j->first_column;
    if (!j->is_weight) {
        find_origins(j, j->first_row, j->rows);
    }
    for (int first = 0; first < j->depth; first += step) {
        add_piece(j, first, sm_smaller(step, j->depth - first), has_source, has_factor);
    }
    j->held_row = j->first_row;
    j->held_column = j->first_column;
    if (j->is_weight) {
        transform_grad_weight(j);
    } else {
        transform_output(j);
    }
}

static const sm_winograd *transform_of(int tile)
{
    const sm_winograd *row = sm_microkernel_get()->winograd;
    while (row->tile && row->tile != tile) {
        row++;
    }
    return row;
}

static void run_winograd(const sm_conv2d_shape *s, sm_conv2d_pass pass, const blocking *block,
                         const sm_conv2d_operands *run)
{
    const geometry g = geometry_of(s, pass, block);
    int is_weight = pass == SM_CONV2D_BACKWARD_WEIGHT, tiles = run->batch * g.tiles;
    int rows = is_weight ? g.source_channels : tiles, width = sm_microkernel_get()->tile_columns;
    if (tiles == 0) {
        if (is_weight && run->beta == 0) {
            memset(run->result, 0, (size_t)TAPS * g.source_channels * g.result_channels * sizeof(float));
        }
        return;
    }
    int depth = is_weight ? tiles : g.source_channels;
    job_cut cut = cut_jobs(block, rows, g.result_channels, depth, run->threads);
#pragma omp parallel num_threads(run->threads)
    {
        job j = {.shape = s,
                 .run = run,
                 .geometry = &g,
                 .kernel = sm_microkernel_get(),
                 .transform = transform_of(block->tile),
                 .buffer = buffers_of(&g, run->workspace, omp_get_thread_num()),
                 .source = pass == SM_CONV2D_BACKWARD_DATA ? run->grad_output : run->input,
                 .turned = pass == SM_CONV2D_BACKWARD_DATA,
                 .depth = depth,
                 .is_weight = is_weight,
                 .held_row = -1,
                 .held_column = -1};
#pragma omp for schedule(static)
        for (int index = 0; index < cut.row_parts * cut.column_parts; index++) {
            int row_part = cut.is_by_rows ? index / cut.column_parts : index % cut.row_parts;
            int column_part = cut.is_by_rows ? index % cut.column_parts : index / cut.row_parts;
            int first_panel = sm_piece_begin(cut.panels, cut.column_parts, column_part);
            j.first_row = sm_piece_begin(rows, cut.row_parts, row_part);
            j.rows = sm_piece_begin(rows, cut.row_parts, row_part + 1) - j.first_row;
            j.first_column = first_panel * width;
            j.panels = sm_piece_begin(cut.panels, cut.column_parts, column_part + 1) - first_panel;
            j.columns = sm_smaller(j.panels * width, g.result_channels - j.first_column);
            j.sums_stride = row_stride(block, (size_t)j.panels * width);
            run_job(&j);
        }
    }
}

/* ---- the table's columns ----------------------------------------------------------------------------------------- */

static int supports(const sm_conv2d_shape *s, int tile)
{
    const sm_winograd *transform = transform_of(tile);
    return s->kernel_height == 3 && s->kernel_width == 3 && s->stride_height == 1 && s->stride_width == 1 &&
           transform->tile == tile && sm_microkernel_get()->tile_columns % transform->lanes == 0;
}

static double macs(const sm_conv2d_shape *s, sm_conv2d_pass pass, int tile)
{
    const geometry g = geometry_of(s, pass, blocking_of(tile));
    return (double)g.block.points * g.tiles * g.source_channels * g.result_channels;
}

static double cost(const sm_conv2d_shape *s, sm_conv2d_pass pass, int batch, int tile)
{
    const geometry g = geometry_of(s, pass, blocking_of(tile));
    int is_weight = pass == SM_CONV2D_BACKWARD_WEIGHT, tiles = (batch > 0 ? batch : 1) * g.tiles;
    int rows = is_weight ? g.source_channels : tiles, depth = is_weight ? tiles : g.source_channels;
    job_cut cut = cut_jobs(&g.block, rows, g.result_channels, depth, 1);
    int width = sm_microkernel_get()->tile_columns;
    double one = job_cost(g.block.points, sm_divide_up(rows, cut.row_parts),
                          sm_divide_up(cut.panels, cut.column_parts) * width, depth);
    return one * cut.row_parts * cut.column_parts / (batch > 0 ? batch : 1);
}

static size_t workspace(const sm_conv2d_shape *s, sm_conv2d_pass pass, int threads, int tile)
{
    const geometry g = geometry_of(s, pass, blocking_of(tile));
    return threads * thread_floats(&g) * sizeof(float);
}

#define TABLE_COLUMNS(M)                                                                                               \
    int sm_conv2d_winograd##M##_supports(const sm_conv2d_shape *shape, sm_conv2d_pass pass)                            \
    {                                                                                                                  \
        (void)pass;                                                                                                    \
        return supports(shape, M);                                                                                     \
    }                                                                                                                  \
    double sm_conv2d_winograd##M##_cost(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch)                  \
    {                                                                                                                  \
        return cost(shape, pass, batch, M);                                                                            \
    }                                                                                                                  \
    double sm_conv2d_winograd##M##_macs(const sm_conv2d_shape *shape, sm_conv2d_pass pass)                             \
    {                                                                                                                  \
        return macs(shape, pass, M);                                                                                   \
    }                                                                                                                  \
    size_t sm_conv2d_winograd##M##_workspace(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int batch,             \
                                             int threads)                                                              \
    {                                                                                                                  \
        (void)batch;                                                                                                   \
        return workspace(shape, pass, threads, M);                                                                     \
    }                                                                                                                  \
    void sm_conv2d_winograd##M##_run(const sm_conv2d_shape *shape, sm_conv2d_pass pass,                                \
                                     const sm_conv2d_operands *operands)                                               \
    {                                                                                                                  \
        run_winograd(shape, pass, blocking_of(M), operands);                                                           \
    }
TABLE_COLUMNS(2)
TABLE_COLUMNS(4)
