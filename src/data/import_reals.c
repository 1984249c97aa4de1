/* Maps of real values at another size.
 *
 * Disparity and depth are shrunk by the median: a mean would put surfaces between near and far ones where there are none,
 * the nearest pixel would keep the holes and the noise of the stereo matcher. */
#include "data/importer.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One map on its way. */
typedef struct real_map {
    sm_import *import;
    const sm_target *target;
    const float *values;
    double factor_x, factor_y; /* stored pixels an output pixel */
} real_map;

/* The stored pixels that an output pixel covers: [first, end) of rows and of columns. */
typedef struct extent {
    int first, end;
} extent;

/* First stored pixel whose centre lies at this edge, given in scaled pixels, or behind it. */
static int first_covered(double edge, double factor, int stored)
{
    double first = ceil(edge * factor - 0.5);
    return first < 0 ? 0 : first > stored ? stored : (int)first;
}

static extent covered(double edge, double factor, int stored)
{
    return (extent){first_covered(edge, factor, stored), first_covered(edge + 1, factor, stored)};
}

/* What output pixel (x, y) covers, at least the nearest one. */
static void find_covered(const real_map *map, int x, int y, int64_t nearest, extent *rows, extent *columns)
{
    const sm_import *import = map->import;
    *rows = covered(y + import->geometry.offset_y, map->factor_y, import->stored_height);
    *columns = covered(x + import->geometry.offset_x, map->factor_x, import->stored_width);
    if (rows->first >= rows->end || columns->first >= columns->end) { /* enlarged: it may cover no centre */
        columns->first = (int)(nearest % import->stored_width);
        rows->first = (int)(nearest / import->stored_width);
        columns->end = columns->first + 1;
        rows->end = rows->first + 1;
    }
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float median(const sm_target *target, float *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_floats);
    float low = values[(count - 1) / 2], high = values[count / 2];
    if (target->scaling != SM_SCALING_WIDTH) {
        return high;
    }
    return high - low < 1 ? (low + high) / 2 : low;
}

static void take_median(const real_map *map, int x, int y, int64_t nearest, float *out)
{
    extent rows, columns;
    find_covered(map, x, y, nearest, &rows, &columns);
    int total = (rows.end - rows.first) * (columns.end - columns.first), valid = 0;
    for (int r = rows.first; r < rows.end; r++) {
        for (int c = columns.first; c < columns.end; c++) {
            float value = map->values[(int64_t)r * map->import->stored_width + c];
            if (!isnan(value)) {
                map->import->covered[valid++] = value;
            }
        }
    }
    *out = 2 * valid >= total ? median(map->target, map->import->covered, valid) : NAN;
}

static int is_valid(const real_map *map, int64_t pixel)
{
    const float *value = map->values + pixel * map->target->components;
    int valid = 1;
    for (int c = 0; c < map->target->components; c++) {
        valid = valid && !isnan(value[c]);
    }
    return valid;
}

static void take_pixel(const real_map *map, int64_t pixel, float *out)
{
    size_t components = (size_t)map->target->components;
    memcpy(out, map->values + (size_t)pixel * components, components * sizeof *out);
}

static void take_nearest_valid(const real_map *map, int x, int y, int64_t nearest, float *out)
{
    const sm_import *import = map->import;
    extent rows, columns;
    double at_x, at_y, least = INFINITY;
    sm_geometry_source(&import->geometry, import->stored_width, x, y, &at_x, &at_y);
    int64_t best = nearest; /* invalid if all are */
    find_covered(map, x, y, nearest, &rows, &columns);
    for (int r = rows.first; r < rows.end; r++) {
        for (int c = columns.first; c < columns.end; c++) {
            int64_t pixel = (int64_t)r * import->stored_width + c;
            double distance = (r - at_y) * (r - at_y) + (c - at_x) * (c - at_x);
            if (distance < least && is_valid(map, pixel)) {
                least = distance;
                best = pixel;
            }
        }
    }
    take_pixel(map, best, out);
}

static void take_nearest(const real_map *map, int x, int y, int64_t nearest, float *out)
{
    (void)x;
    (void)y;
    take_pixel(map, nearest, out);
}

static void (*const take[])(const real_map *map, int x, int y, int64_t nearest, float *out) = {
    [SM_IMPORT_MEDIAN] = take_median,
    [SM_IMPORT_NEAREST_VALID] = take_nearest_valid,
    [SM_IMPORT_NEAREST] = take_nearest,
};

static void make_room_for_covered(sm_import *import, double factor_x, double factor_y)
{
    size_t room = (size_t)(ceil(factor_x) + 1) * (size_t)(ceil(factor_y) + 1);
    if (room > import->covered_room) {
        sm_free(import->covered);
        import->covered = sm_alloc(room * sizeof *import->covered);
        import->covered_room = room;
    }
}

/* As the image grows, so do values in pixels. */
static void scale(const real_map *map, float *out)
{
    if (map->target->scaling == SM_SCALING_WIDTH) {
        for (int c = 0; c < map->target->components; c++) {
            out[c] /= (float)map->factor_x;
        }
    } else if (map->target->scaling == SM_SCALING_AXES) {
        out[0] /= (float)map->factor_x;
        out[1] /= (float)map->factor_y;
    }
}

void sm_import_reals(sm_import *import, int kind, const float *values, sm_import_rule rule)
{
    const sm_geometry *geometry = &import->geometry;
    const real_map map = {import, &import->target_of[kind], values, 1 / geometry->scale_x, 1 / geometry->scale_y};
    float *out = import->target[kind];
    make_room_for_covered(import, map.factor_x, map.factor_y);
    for (int y = 0; y < import->height; y++) {
        for (int x = 0; x < import->width; x++, out += map.target->components) {
            int64_t nearest = sm_geometry_nearest(geometry, import->stored_height, import->stored_width, x, y);
            if (nearest >= 0) { /* outside all stays invalid */
                take[rule](&map, x, y, nearest, out);
                scale(&map, out);
            }
        }
    }
}
