/** \file
 * The nearest stored pixel of every output pixel: sm_geometry_nearest() row by row, of a picture that is not turned taken apart by columns and rows. */
#ifndef SIGMATIC_TASK_PIXEL_LOOKUP_H
#define SIGMATIC_TASK_PIXEL_LOOKUP_H

#include <sigmatic/base/memory.h>
#include <sigmatic/data/sample.h>

#include <limits.h>

/** One output row after the other. */
typedef struct sm_lookup {
    const sm_geometry *geometry;
    int height, width; /**< as stored */
    int *places;       /**< (out_width) */
} sm_lookup;

/** \return a lookup in (height, width) stored pixels, fewer than 2^31; freed with sm_lookup_free(). */
static inline sm_lookup sm_lookup_new(const sm_geometry *geometry, int height, int width)
{
    assert((int64_t)height * width <= INT_MAX);
    sm_lookup lookup = {geometry, height, width, sm_alloc((size_t)geometry->out_width * sizeof *lookup.places)};
    for (int x = 0; x < geometry->out_width && geometry->sine == 0; x++) {
        double column = floor(sm_geometry_column(geometry, width, x) + 0.5);
        lookup.places[x] = column >= 0 && column < width ? (int)column : -1;
    }
    return lookup;
}

static inline void sm_lookup_free(sm_lookup *lookup)
{
    sm_free(lookup->places);
}

/** \return the out_width stored pixels of output row y, counted from pixel `first`, -1 outside; NULL: all lie outside. */
static inline const int *sm_lookup_row(sm_lookup *lookup, int y, size_t *first)
{
    const sm_geometry *geometry = lookup->geometry;
    *first = 0;
    if (geometry->sine == 0) {
        double row = floor(sm_geometry_row(geometry, y) + 0.5);
        if (!(row >= 0 && row < lookup->height)) {
            return NULL;
        }
        *first = (size_t)row * (size_t)lookup->width;
        return lookup->places;
    }
    assert(lookup->places);
    for (int x = 0; x < geometry->out_width; x++) {
        lookup->places[x] = (int)sm_geometry_nearest(geometry, lookup->height, lookup->width, x, y);
    }
    return lookup->places;
}

#endif
