/** \file
 * The nearest stored pixel of every output pixel: sm_geometry_nearest() taken apart by columns and rows. */
#ifndef SIGMATIC_TASK_PIXEL_LOOKUP_H
#define SIGMATIC_TASK_PIXEL_LOOKUP_H

#include <sigmatic/base/memory.h>
#include <sigmatic/data/sample.h>

/** \return out_width stored columns, -1 outside; freed with sm_free(). */
static inline int *sm_lookup_columns(const sm_geometry *geometry, int width)
{
    int *columns = sm_alloc((size_t)geometry->out_width * sizeof *columns);
    for (int x = 0; x < geometry->out_width; x++) {
        double column = floor(sm_geometry_source_x(geometry, width, x) + 0.5);
        columns[x] = column >= 0 && column < width ? (int)column : -1;
    }
    return columns;
}

/** \return the stored row of output row y, -1 outside. */
static inline int sm_lookup_row(const sm_geometry *geometry, int height, int y)
{
    double row = floor(sm_geometry_source_y(geometry, y) + 0.5);
    return row >= 0 && row < height ? (int)row : -1;
}

#endif
