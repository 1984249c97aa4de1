/* How one sample's files become its image and targets.
 *
 * Disparity is shrunk by the median: a mean would put surfaces between near and far ones where there are none, the
 * nearest pixel would keep the holes and the noise of the stereo matcher. */
#include "data/importer.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/augmentation.h>
#include <sigmatic/io/image.h>

#include <math.h>
#include <stdlib.h>

const char sm_import_resizing[] =
    "Resizing: images by an antialiased bilinear filter in which every pixel counts; classes and instances from the\n"
    "nearest pixel; disparity as the median of the valid pixels that an output pixel covers, invalid if fewer than\n"
    "half are, in pixels of the new width.";

static sm_geometry whole(const sm_import *import)
{
    return sm_geometry_whole(import->stored_height, import->stored_width, import->height, import->width);
}

sm_status sm_import_image(sm_import *import, const char *path)
{
    static const double mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};
    sm_image image;
    sm_status status = sm_image_read(path, SM_IMAGE_AS_RGB | SM_IMAGE_AS_8_BIT, &image);
    if (status != SM_OK) {
        return status;
    }
    import->stored_height = image.height;
    import->stored_width = image.width;
    sm_geometry geometry = whole(import);
    size_t count = (size_t)import->height * (size_t)import->width * 3;
    size_t room = sm_image_sample_workspace(image.height, image.width, import->height, import->width,
                                            fmin(geometry.scale_x, geometry.scale_y));
    if (room > import->workspace_room) {
        sm_free(import->workspace);
        import->workspace = sm_alloc(room * sizeof *import->workspace);
        import->workspace_room = room;
    }
    sm_image_sample(image.pixels, image.height, image.width, &geometry, mean, std, import->sampled, import->workspace);
    for (size_t i = 0; i < count; i++) {
        import->image[i] = (uint8_t)lrintf(import->sampled[i] * 255);
    }
    sm_image_free(&image);
    return SM_OK;
}

/* Reads a map of one channel of `bits` bits, of the image's size. */
static sm_status read_map(const sm_import *import, const char *path, int bits, sm_image *map)
{
    sm_status status = sm_image_read(path, SM_IMAGE_KEEP_INDICES, map);
    if (status == SM_OK && (map->channels != 1 || map->bits != bits)) {
        status = sm_fail(SM_ERR_INPUT, "%s: %d channel%s of %d bits, expected 1 of %d", path, map->channels,
                         map->channels > 1 ? "s" : "", map->bits, bits);
    }
    if (status == SM_OK && (map->height != import->stored_height || map->width != import->stored_width)) {
        status = sm_fail(SM_ERR_INPUT, "%s: %d x %d pixels (height x width), its image has %d x %d", path, map->height,
                         map->width, import->stored_height, import->stored_width);
    }
    return status;
}

sm_status sm_import_classes(sm_import *import, int kind, const char *path, const uint8_t class_of[256])
{
    sm_image map = {0};
    sm_status status = read_map(import, path, 8, &map);
    sm_geometry geometry = whole(import);
    const uint8_t *ids = map.pixels;
    uint8_t *out = import->target[kind];
    for (int y = 0; status == SM_OK && y < import->height; y++) {
        for (int x = 0; x < import->width; x++) {
            out[y * import->width + x] = class_of[ids[sm_geometry_nearest(&geometry, map.height, map.width, x, y)]];
        }
    }
    sm_image_free(&map);
    return status;
}

static void renumber(uint16_t *instances, int area, int (*is_instance)(int id))
{
    uint16_t *number = sm_alloc_zeroed(65536 * sizeof *number), used = 0; /* id -> new number */
    for (int i = 0; i < area; i++) {
        number[instances[i]] = 1;
    }
    for (int id = 0; id < 65536; id++) {
        number[id] = number[id] && is_instance(id) ? ++used : 0;
    }
    for (int i = 0; i < area; i++) {
        instances[i] = number[instances[i]];
    }
    sm_free(number);
}

sm_status sm_import_instances(sm_import *import, int kind, const char *path, int (*is_instance)(int id))
{
    sm_image map = {0};
    sm_status status = read_map(import, path, 16, &map);
    sm_geometry geometry = whole(import);
    const uint16_t *ids = map.pixels;
    uint16_t *out = import->target[kind];
    for (int y = 0; status == SM_OK && y < import->height; y++) {
        for (int x = 0; x < import->width; x++) {
            out[y * import->width + x] = ids[sm_geometry_nearest(&geometry, map.height, map.width, x, y)];
        }
    }
    if (status == SM_OK) {
        renumber(out, import->height * import->width, is_instance);
    }
    sm_image_free(&map);
    return status;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of an even number the mean of the middle two if they can be one surface (within a pixel), else the farther one. */
static float median(float *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_floats);
    float low = values[(count - 1) / 2], high = values[count / 2];
    return high - low < 1 ? (low + high) / 2 : low;
}

/* The stored pixels that an output pixel covers along one axis. */
typedef struct extent {
    int first, end;
} extent;

/* First stored pixel whose centre lies in output pixel `i` or behind, where one covers `factor` stored ones. */
static int first_covered(int i, double factor, int stored)
{
    int first = (int)ceil(i * factor - 0.5);
    return first > stored ? stored : first;
}

static extent covered(int i, double factor, int stored)
{
    return (extent){first_covered(i, factor, stored), first_covered(i + 1, factor, stored)};
}

/* The median over the stored pixels of (rows, columns), NaN if fewer than half are valid. */
static float median_of(sm_import *import, const sm_image *map, extent rows, extent columns, float (*pixels_of)(int))
{
    const uint16_t *stored = map->pixels;
    int total = (rows.end - rows.first) * (columns.end - columns.first), valid = 0;
    for (int y = rows.first; y < rows.end; y++) {
        for (int x = columns.first; x < columns.end; x++) {
            float value = pixels_of(stored[(int64_t)y * map->width + x]);
            if (!isnan(value)) {
                import->covered[valid++] = value;
            }
        }
    }
    return 2 * valid >= total ? median(import->covered, valid) : NAN;
}

static void make_room_for_covered(sm_import *import, double factor_x, double factor_y)
{
    size_t room = (size_t)(ceil(factor_x) + 1) * (size_t)(ceil(factor_y) + 1);
    if (room > import->covered_room) {
        sm_free(import->covered);
        import->covered = sm_alloc(room * sizeof *import->covered);
        import->covered_room = room;
    }
}

sm_status sm_import_disparity(sm_import *import, int kind, const char *path, float (*pixels_of)(int stored))
{
    sm_image map = {0};
    sm_status status = read_map(import, path, 16, &map);
    sm_geometry geometry = whole(import);
    double factor_x = (double)map.width / import->width, factor_y = (double)map.height / import->height;
    float *out = import->target[kind];
    make_room_for_covered(import, factor_x, factor_y);
    for (int i = 0; status == SM_OK && i < import->height * import->width; i++) {
        int x = i % import->width, y = i / import->width;
        extent rows = covered(y, factor_y, map.height), columns = covered(x, factor_x, map.width);
        if (rows.first >= rows.end || columns.first >= columns.end) { /* enlarged: a pixel may cover no centre */
            int64_t nearest = sm_geometry_nearest(&geometry, map.height, map.width, x, y);
            columns.first = (int)(nearest % map.width);
            rows.first = (int)(nearest / map.width);
            columns.end = columns.first + 1;
            rows.end = rows.first + 1;
        }
        out[i] = median_of(import, &map, rows, columns, pixels_of) / (float)factor_x;
    }
    sm_image_free(&map);
    return status;
}
