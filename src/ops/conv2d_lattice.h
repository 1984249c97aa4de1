/** \file
 * Lattices: how a convolution and its gradients become matrix products.
 *
 * A lattice is evenly spaced pixels of the result that all read the same taps of the kernel, at the same places relative
 * to themselves. Its pixels are the rows of a matrix product; the taps, each with all channels of the source image, are
 * the product's depth.
 *   forward          one lattice is all of the output
 *   data gradient    one lattice a phase of the stride
 *   weight gradient  the pixels are those of grad_output, and the depth of the product: one lattice is all of them
 * With `split` there are more lattices, so that taps in the zero padding cost nothing (most of the ASPP): one for each
 * set of pixels that reads inside the image through the same taps; for the weight gradient one a tap. */
#ifndef SIGMATIC_OPS_CONV2D_LATTICE_H
#define SIGMATIC_OPS_CONV2D_LATTICE_H

#include <sigmatic/ops/conv2d.h>
#include <sigmatic/tensor/dtype.h>

#include <stddef.h>

enum { SM_LATTICE_KERNEL_MAX = 16, SM_LATTICE_RANGES_MAX = 2 * SM_LATTICE_KERNEL_MAX + 32, SM_LATTICE_STRIDE_MAX = 16 };

/** One axis of a lattice: `count` places first, first + step, ... of the result; tap t of place i reads the source at i
 * * source_step + offset[t]. */
typedef struct sm_lattice_axis {
    int first, step, count, source_step;
    int taps;
    int tap[SM_LATTICE_KERNEL_MAX];    /**< index in the kernel */
    int offset[SM_LATTICE_KERNEL_MAX]; /**< ascending */
    int rank;                          /**< of tap[0] in sm_lattice_tap_order(); the others follow */
} sm_lattice_axis;

/** The two axes cut into ranges; every pair of a y range and an x range is a lattice. */
typedef struct sm_lattice_cut {
    int y_count, x_count;
    sm_lattice_axis y[SM_LATTICE_RANGES_MAX], x[SM_LATTICE_RANGES_MAX];
} sm_lattice_cut;

/** Taps next to each other in a source row, whose channels are one piece of memory (a single tap if dilated). */
typedef struct sm_lattice_span {
    int offset_y, offset_x;
    int elements; /**< taps * channels */
} sm_lattice_span;

typedef struct sm_lattice {
    const sm_lattice_axis *y, *x;
    int height, width, channels; /**< of the source */
    int depth;                   /**< taps * channels */
    int spans;
    sm_lattice_span span[SM_LATTICE_KERNEL_MAX * SM_LATTICE_KERNEL_MAX];
} sm_lattice;

/** \return 1 if the shape is within this header's limits. */
int sm_lattice_supports(const sm_conv2d_shape *shape);

/** The order of a kernel axis' taps in which those of every lattice are neighbours, by ascending offset; packed weights
 * keep it. */
void sm_lattice_tap_order(int kernel, int stride, int dilation, int pad, sm_conv2d_pass pass, int *order);

/** Cuts the axes for a pass. \param split  1: leaves out taps that lie in the padding */
void sm_lattice_cut_axes(const sm_conv2d_shape *shape, sm_conv2d_pass pass, int split, sm_lattice_cut *cut);

/** Makes lattice `index` of y_count * x_count. \param channels  of the source */
void sm_lattice_make(const sm_conv2d_shape *shape, sm_conv2d_pass pass, const sm_lattice_cut *cut, int index,
                     sm_lattice *lattice);

/** \return rows of the product for a batch. */
static inline size_t sm_lattice_rows(const sm_lattice *lattice, int batch)
{
    return (size_t)batch * lattice->y->count * lattice->x->count;
}

/** \return 1 if the rows are all pixels of the source in their order, with their channels as depth: row r begins at
 * source + r * channels. */
int sm_lattice_is_whole(const sm_lattice *lattice);

/** The one place where source pixels, of `type`, are packed: rows first_row .. + rows of the product, steps first .. + depth of
 * its depth. Element (row, k) goes to block[row * stride + k]; zero where a tap lies outside the source. */
void sm_lattice_pack(const sm_lattice *lattice, sm_dtype type, const void *source, size_t first_row, int rows,
                     int first, int depth, void *block, size_t stride);

/** The channels that rows first_row .. + rows read through tap (tap_y, tap_x) of the lattice: pointers into `source`, or
 * `outside` where the tap lies outside of it. */
void sm_lattice_point(const sm_lattice *lattice, sm_dtype type, const void *source, size_t first_row, int rows,
                      int tap_y, int tap_x, const void *outside, const void **pixels);

/** Pixel indices in the lattice's image (of `width`, `height` pixels) of rows first_row .. + rows. */
void sm_lattice_pixels(const sm_lattice *lattice, int height, int width, size_t first_row, int rows, size_t *pixels);

/** Result rows first .. + count of an image, at source_step 1, and the source rows that they read: where packed one after
 * the other, each has a slot. */
typedef struct sm_lattice_stretch {
    int first, count;
    int begin[SM_LATTICE_KERNEL_MAX], end[SM_LATTICE_KERNEL_MAX]; /**< source rows that tap i of the y axis reads */
    int slot[SM_LATTICE_KERNEL_MAX];                              /**< of source row begin[i] */
    int slots;
} sm_lattice_stretch;

/** Finds the source rows of count >= 1 result rows; first + count <= lattice->y->count. */
void sm_lattice_stretch_make(const sm_lattice *lattice, int first, int count, sm_lattice_stretch *stretch);

/** \return slots of a stretch of `count` rows, at most. */
int sm_lattice_slots_most(const sm_lattice *lattice, int count);

/** \return the source row in a slot. */
int sm_lattice_slot_row(const sm_lattice *lattice, const sm_lattice_stretch *stretch, int slot);

/** \return the slot of the source row that row `row` of the stretch reads through a tap, or -1 if that is outside. */
static inline int sm_lattice_slot(const sm_lattice *lattice, const sm_lattice_stretch *stretch, int row, int tap_y)
{
    int y = stretch->first + row + lattice->y->offset[tap_y];
    int is_inside = y >= stretch->begin[tap_y] && y < stretch->end[tap_y];
    return is_inside ? stretch->slot[tap_y] + y - stretch->begin[tap_y] : -1;
}

#endif
