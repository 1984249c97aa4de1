/** \file
 * Convolution by factors of bfloat16 (bf16_kernel.h): what its files share. Each calls only those below it.
 *   conv2d_bf16.c               the rows of the table, their costs; forward and data gradient: which thread does what
 *   conv2d_bf16_weight.c        the weight gradient
 *   conv2d_bf16_weight_bands.c  that of several taps at stride 1
 *   conv2d_bf16_blocks.c        forward and data gradient of a lattice by blocks of rows
 *   conv2d_bf16_bands.c         those of several taps at stride 1 by bands of the image
 *   conv2d_bf16_tile.c          a thread's memory, packed weights, a tile of the result
 *
 * Packing a factor takes far longer than copying it, so both stay packed while they are used:
 *   forward, data gradient   weights in L2 until all rows have passed, a block of rows until the weights in L2 have
 *                            passed; where several taps read the same pixels, a band of the image, which the taps
 *                            then read shifted
 *   weight gradient          grad_output in L2 until all rows of the result have passed */
#ifndef SIGMATIC_OPS_CONV2D_BF16_H
#define SIGMATIC_OPS_CONV2D_BF16_H

#include "ops/bf16_kernel.h"
#include "ops/conv2d_lattice.h"
#include "ops/work.h"

#include <sigmatic/ops/conv2d.h>

enum {
    SM_BF16_DEPTH_NOW = 512,                                      /**< of one piece of the product */
    SM_BF16_COLUMNS_NOW = 384,                                    /**< of B in L2 at that depth */
    SM_BF16_PANELS_NOW = SM_BF16_DEPTH_NOW * SM_BF16_COLUMNS_NOW, /**< elements of B in L2 */
    SM_BF16_PIXELS_STRIDE = SM_BF16_DEPTH_NOW + 16,               /**< floats: an odd number of cache lines */
    SM_BF16_A_BYTES = 5 << 18,
    SM_BF16_B_BYTES = SM_BF16_PARTS_MAX * SM_BF16_PANELS_NOW * sizeof(uint16_t),
};

/** A thread's memory. */
typedef struct sm_bf16_buffers {
    float *pixels; /**< as they are: SM_BF16_ROWS of a piece */
    float *square; /**< SM_BF16_STEPS x SM_BF16_COLUMNS: weights on their way to be packed, a tile to be rounded */
    char *a;       /**< packed rows of a piece, or bands of images: SM_BF16_A_BYTES */
    char *b;       /**< packed columns: SM_BF16_B_BYTES, SM_BF16_PANELS_NOW elements of all parts */
} sm_bf16_buffers;

sm_bf16_buffers sm_bf16_buffers_of(const sm_conv2d_operands *run, int thread);

/** \return the work that a group of the threads takes from; there are as many groups as threads at most. */
static inline sm_work *sm_bf16_work_of(const sm_conv2d_operands *run, int group)
{
    return (sm_work *)run->workspace + group;
}

/** \return bytes of the workspace before the sums of a bfloat16 result. */
size_t sm_bf16_sums_offset(int threads);

/** \return bytes between packed rows: a line more than they take, so that they spread over the sets of the caches. */
static inline size_t sm_bf16_row_stride(int parts, int depth)
{
    enum { LINE = 64 };
    return sm_bf16_row_bytes(parts, depth) + LINE;
}

/** SM_BF16_ROWS packed rows, times columns that are still to be named. */
static inline sm_bf16_piece sm_bf16_rows_of(int parts, int depth, const char *packed)
{
    return (sm_bf16_piece){.half = {packed, packed + SM_BF16_HALF_ROWS * sm_bf16_row_stride(parts, depth)}};
}

/** Pointers to rows `stride_bytes` apart. */
static inline void sm_bf16_point_at_rows(const void *first, size_t stride_bytes, int count, const void **rows)
{
    for (int i = 0; i < count; i++) {
        rows[i] = (const char *)first + (size_t)i * stride_bytes;
    }
}

/** \return the units of a round that so many equal pieces are. */
static inline int sm_bf16_units_of(int count)
{
    return count < 1 ? 1 : count > SM_WORK_UNITS_MAX ? SM_WORK_UNITS_MAX : count;
}

/** Forward and data gradient: what one thread computes of one lattice, rows and panels (of SM_BF16_COLUMNS) of the result. */
typedef struct sm_bf16_job {
    const sm_conv2d_shape *shape;
    const sm_lattice *lattice;
    const sm_conv2d_operands *run;
    const sm_bf16_kernel *kernel;
    sm_conv2d_pass pass;
    int parts;
    sm_dtype source_type, result_type;
    const void *source;
    float *sums; /**< a result of bfloat16: as many floats, while the depth comes in several pieces */
    int result_height, result_width, result_channels;
    int order_y[SM_LATTICE_KERNEL_MAX], order_x[SM_LATTICE_KERNEL_MAX]; /**< of taps along the depth */
    size_t first_row, last_row; /**< of the lattice's matrix; with bands: of all images */
    int first_panel, last_panel;
    sm_work *work; /**< rows of these (with bands: panels), taken in turn with the threads that have the same ones */
    sm_bf16_buffers own;
} sm_bf16_job;

/** Packs weights of a panel: `depth` steps from `step` of the packed order of taps on. */
void sm_bf16_pack_weights(const sm_bf16_job *job, int step, int depth, int panel, char *packed);

/** A tile's rows of the result, in all columns: floats are added up where they belong; of a result of bfloat16 in the
 * sums, or in a tile aside if the whole depth comes at once, and are rounded after that. */
typedef struct sm_bf16_target {
    int rows, is_aside;
    float *c[SM_BF16_ROWS];
    sm_bf16 *to[SM_BF16_ROWS]; /**< NULL: not of bfloat16, or nobody's row */
} sm_bf16_target;

enum { SM_BF16_NOBODY = -1 };

/** \param pixels   of the result; SM_BF16_NOBODY: a row of the tile that is not wanted
 * \param is_whole  the depth comes at once */
void sm_bf16_point_at_result(const sm_bf16_job *job, int rows, const size_t *pixels, int is_whole,
                             sm_bf16_target *target);

/** result = beta * result + bias + factors, or what of it belongs to this piece of the depth. */
void sm_bf16_multiply(const sm_bf16_job *job, const sm_bf16_target *target, int panel, const sm_bf16_factors *factors,
                      int is_first, int is_last);

/** \return blocks of SM_BF16_ROWS of the job's rows. */
int sm_bf16_blocks_of(const sm_bf16_job *job);

/** Computes the job's rows and panels; units of its work are blocks of rows. */
void sm_bf16_run_blocks(const sm_bf16_job *job);

/** \return channels of a band: many, but few enough for so many pixels that packing the weights for them hardly counts;
 * 0 if bands do not suit the lattice. */
int sm_bf16_band_channels(const sm_lattice *lattice, int parts);

/** Computes the job's rows and panels by bands of so many channels; units of its work are panels. */
void sm_bf16_run_bands(const sm_bf16_job *job, int channels);

/** Of bands with so many channels: \return how often weights are packed for `batch` images; taps that an image reads
 * something through; pixels times taps that are multiplied, an image. */
int sm_bf16_band_groups(const sm_lattice *lattice, int parts, int channels, int batch);
int sm_bf16_taps_read(const sm_lattice *lattice);
double sm_bf16_band_rows_times_taps(const sm_lattice *lattice, int parts, int channels);

/** \return 1 if bands suit the weight gradient of a lattice. */
int sm_bf16_weight_bands_suit(const sm_lattice *lattice, int parts);

/** The whole weight gradient by bands, of at least one image; opens a parallel section.
 * \param lattice  of the shape without `split`, that suits */
void sm_bf16_run_weight_bands(const sm_conv2d_shape *shape, const sm_lattice *lattice, int parts,
                              const sm_conv2d_operands *run);

/** Of bands for the weight gradient: \return pixels times taps that are multiplied, an image; pixels of the input that are
 * packed, each as often as that happens, for `batch` images. */
double sm_bf16_weight_bands_steps(const sm_lattice *lattice);
double sm_bf16_weight_bands_packed(const sm_conv2d_shape *shape, const sm_lattice *lattice, int parts, int batch);

/** The whole weight gradient. */
void sm_bf16_run_weight(const sm_conv2d_shape *shape, int parts, int split, const sm_conv2d_operands *run);

#endif
