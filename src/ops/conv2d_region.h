/** \file
 * Regions: how a convolution and its gradients become matrix products.
 *
 * A region is a lattice of pixels of the result (the rows of a matrix product) that all read the same taps at the same
 * relative places of a source image; taps and channels together are the product's depth. One region is the whole
 * forward pass; one a phase of the stride the data gradient; with `split`, one a set of pixels whose valid taps are
 * the same, so that taps in the zero padding cost nothing (ASPP). For the weight gradient the pixels are those of
 * grad_output, and with `split` there is one region a tap. */
#ifndef SIGMATIC_OPS_CONV2D_REGION_H
#define SIGMATIC_OPS_CONV2D_REGION_H

#include <sigmatic/ops/conv2d.h>
#include <sigmatic/tensor/tensor.h>

#include <stddef.h>

enum { SM_REGION_KERNEL_MAX = 16, SM_REGION_RANGES_MAX = 2 * SM_REGION_KERNEL_MAX + 32, SM_REGION_STRIDE_MAX = 16 };

/** One axis of a region: `count` places first, first + step, ... of the result; tap t of place i reads the source at i
 * * source_step + offset[t]. */
typedef struct sm_region_axis {
    int first, step, count, source_step;
    int taps;
    int tap[SM_REGION_KERNEL_MAX];    /**< index in the kernel */
    int offset[SM_REGION_KERNEL_MAX]; /**< ascending */
    int rank;                         /**< of tap[0] in sm_region_tap_order(); the others follow */
} sm_region_axis;

/** The two axes cut into ranges; every pair of a y range and an x range is a region. */
typedef struct sm_region_cut {
    int y_count, x_count;
    sm_region_axis y[SM_REGION_RANGES_MAX], x[SM_REGION_RANGES_MAX];
} sm_region_cut;

/** Taps next to each other in a source row, whose channels are one piece of memory (a single tap if dilated). */
typedef struct sm_region_span {
    int offset_y, offset_x;
    int elements; /**< taps * channels */
} sm_region_span;

typedef struct sm_region {
    const sm_region_axis *y, *x;
    int height, width, channels; /**< of the source */
    int depth;                   /**< taps * channels */
    int spans;
    sm_region_span span[SM_REGION_KERNEL_MAX * SM_REGION_KERNEL_MAX];
} sm_region;

/** \return 1 if the shape is within this header's limits. */
int sm_region_supports(const sm_conv2d_shape *shape);

/** The order of a kernel axis' taps in which those of every region are neighbours, by ascending offset; packed weights
 * keep it. */
void sm_region_tap_order(int kernel, int stride, int dilation, int pad, sm_conv2d_pass pass, int *order);

/** Cuts the axes for a pass. \param split  1: leaves out taps that lie in the padding */
void sm_region_cut_axes(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int split, sm_region_cut *cut);

/** Makes region `index` of y_count * x_count. \param channels  of the source */
void sm_region_make(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_region_cut *cut, int index,
                    sm_region *region);

/** \return rows of the product for a batch. */
static inline size_t sm_region_rows(const sm_region *region, int batch)
{
    return (size_t)batch * region->y->count * region->x->count;
}

/** \return 1 if the rows are all pixels of the source in their order, with their channels as depth: row r begins at
 * source + r * channels. */
int sm_region_is_whole(const sm_region *region);

/** The one place where source pixels, of `type`, are packed: rows first_row .. + rows of the product, steps first .. + depth of
 * its depth. Element (row, k) goes to block[row * stride + k]; zero where a tap lies outside the source. */
void sm_region_pack(const sm_region *region, sm_dtype type, const void *source, size_t first_row, int rows, int first,
                    int depth, void *block, size_t stride);

/** The channels that rows first_row .. + rows read through tap (tap_y, tap_x) of the region: pointers into `source`, or
 * `outside` where the tap lies outside of it. */
void sm_region_point(const sm_region *region, sm_dtype type, const void *source, size_t first_row, int rows, int tap_y,
                     int tap_x, const void *outside, const void **pixels);

/** Pixel indices in the lattice's image (of `width`, `height` pixels) of rows first_row .. + rows. */
void sm_region_pixels(const sm_region *region, int height, int width, size_t first_row, int rows, size_t *pixels);

/** Result rows first .. + count of an image, at source_step 1, and the source rows that they read: where packed one after
 * the other, each has a slot. */
typedef struct sm_region_stretch {
    int first, count;
    int begin[SM_REGION_KERNEL_MAX], end[SM_REGION_KERNEL_MAX]; /**< source rows that tap i of the y axis reads */
    int slot[SM_REGION_KERNEL_MAX];                             /**< of source row begin[i] */
    int slots;
} sm_region_stretch;

/** Finds the source rows of count >= 1 result rows; first + count <= region->y->count. */
void sm_region_stretch_make(const sm_region *region, int first, int count, sm_region_stretch *stretch);

/** \return slots of a stretch of `count` rows, at most. */
int sm_region_slots_most(const sm_region *region, int count);

/** \return the source row in a slot. */
int sm_region_slot_row(const sm_region *region, const sm_region_stretch *stretch, int slot);

/** \return the slot of the source row that row `row` of the stretch reads through a tap, or -1 if that is outside. */
static inline int sm_region_slot(const sm_region *region, const sm_region_stretch *stretch, int row, int tap_y)
{
    int y = stretch->first + row + region->y->offset[tap_y];
    int is_inside = y >= stretch->begin[tap_y] && y < stretch->end[tap_y];
    return is_inside ? stretch->slot[tap_y] + y - stretch->begin[tap_y] : -1;
}

#endif
