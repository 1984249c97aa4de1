/* How a stored image and maps of ids become those of one sample: the image and the geometry come first. */
#include "data/importer.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/data/augmentation.h>
#include <sigmatic/data/input.h>
#include <sigmatic/io/image.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char sm_import_resizing[] =
    "Resizing: images by an antialiased bilinear filter in which every pixel counts; classes and instances from the\n"
    "nearest pixel; disparity as the median of the valid pixels that an output pixel covers, invalid if fewer than\n"
    "half are, in pixels of the new width; of sparse maps the valid pixel nearest to its centre.\n"
    "--fit stretch scales each axis by itself; letterbox keeps the proportions and adds borders of ImageNet's mean\n"
    "colour, which are invalid in every target; crop keeps them and cuts what is too long, both sides alike.";

/* ---- the image ---------------------------------------------------------------------------------------------------- */

sm_status sm_import_check_size(const sm_import *import, const char *path, int height, int width)
{
    if (height != import->stored_height || width != import->stored_width) {
        return sm_fail(SM_ERR_INPUT, "%s: %d x %d pixels (height x width), its image has %d x %d", path, height, width,
                       import->stored_height, import->stored_width);
    }
    return SM_OK;
}

static void make_room_for_sampling(sm_import *import)
{
    size_t room = sm_image_sample_workspace(import->stored_height, import->stored_width, import->height, import->width,
                                            fmin(import->geometry.scale_x, import->geometry.scale_y));
    if (room > import->workspace_room) {
        sm_free(import->workspace);
        import->workspace = sm_alloc(room * sizeof *import->workspace);
        import->workspace_room = room;
    }
}

sm_status sm_import_pixels(sm_import *import, const char *path, const uint8_t *pixels, int height, int width)
{
    static const double unit[3] = {1, 1, 1};
    const sm_import_options *options = import->options;
    if (options->height == 0 && (height != import->height || width != import->width)) {
        import->begins_anew = 1;
        return sm_fail(SM_ERR_INPUT,
                       "%s: %d x %d pixels (height x width), the first image has %d x %d: --size HxW brings all to one "
                       "size, --fit says how",
                       path, height, width, import->height, import->width);
    }
    import->stored_height = height;
    import->stored_width = width;
    import->geometry = sm_fit_geometry(options->fit, height, width, import->height, import->width);
    make_room_for_sampling(import);
    sm_image_sample(pixels, height, width, &import->geometry, sm_imagenet_mean, unit, import->sampled,
                    import->workspace);
    size_t count = (size_t)import->height * (size_t)import->width * 3;
    for (size_t i = 0; i < count; i++) {
        import->image[i] = (uint8_t)lrint((import->sampled[i] + sm_imagenet_mean[i % 3]) * 255);
    }
    return SM_OK;
}

sm_status sm_import_image(sm_import *import, const char *path)
{
    sm_image image;
    sm_status status = sm_image_read(path, SM_IMAGE_AS_RGB | SM_IMAGE_AS_8_BIT, &image);
    if (status == SM_OK) {
        status = sm_import_pixels(import, path, image.pixels, image.height, image.width);
    }
    sm_image_free(&image);
    return status;
}

/* ---- classes and instances ---------------------------------------------------------------------------------------- */

static int64_t nearest(const sm_import *import, int64_t item)
{
    return sm_geometry_nearest(&import->geometry, import->stored_height, import->stored_width,
                               (int)(item % import->width), (int)(item / import->width));
}

void sm_import_labels(sm_import *import, int kind, const uint8_t *labels)
{
    size_t components = (size_t)import->target_of[kind].components;
    uint8_t *out = import->target[kind];
    for (int64_t i = 0; i < (int64_t)import->height * import->width; i++, out += components) {
        int64_t from = nearest(import, i);
        if (from < 0) {
            memset(out, SM_CLASS_IGNORED, components);
        } else {
            memcpy(out, labels + (size_t)from * components, components);
        }
    }
}

void sm_import_class_ids(sm_import *import, int kind, const uint8_t *classes)
{
    sm_import_labels(import, kind, classes); /* one component */
}

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The different ids above 0, sorted. \param [out] unique  room for `count` \return how many */
static size_t unique_ids(const int32_t *ids, size_t count, int32_t *unique)
{
    size_t runs = 0, kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] > 0 && (i == 0 || ids[i] != ids[i - 1])) {
            unique[runs++] = ids[i];
        }
    }
    qsort(unique, runs, sizeof *unique, compare_ids);
    for (size_t i = 0; i < runs; i++) {
        if (kept == 0 || unique[i] != unique[kept - 1]) {
            unique[kept++] = unique[i];
        }
    }
    return kept;
}

static void number_ids(const int32_t *ids, size_t count, const int32_t *unique, size_t unique_count, uint16_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && ids[i] == ids[i - 1]) {
            out[i] = out[i - 1];
        } else {
            const int32_t *place =
                ids[i] > 0 ? bsearch(&ids[i], unique, unique_count, sizeof *unique, compare_ids) : NULL;
            out[i] = (uint16_t)(place ? place - unique + 1 : 0);
        }
    }
}

sm_status sm_import_instance_ids(sm_import *import, int kind, const char *path, const int32_t *ids)
{
    enum { INSTANCES_MAX = 65535 };
    sm_status status = SM_OK;
    size_t area = (size_t)import->height * (size_t)import->width;
    int32_t *taken = sm_alloc(2 * area * sizeof *taken), *unique = taken + area;
    for (size_t i = 0; i < area; i++) {
        int64_t from = nearest(import, (int64_t)i);
        taken[i] = from < 0 ? 0 : ids[from];
    }
    size_t count = unique_ids(taken, area, unique);
    if (count <= INSTANCES_MAX) {
        number_ids(taken, area, unique, count, import->target[kind]);
    } else {
        status = sm_fail(SM_ERR_INPUT, "%s: %zu instances, at most %d are allowed", path, count, INSTANCES_MAX);
    }
    sm_free(taken);
    return status;
}

/* ---- from files --------------------------------------------------------------------------------------------------- */

sm_status sm_import_read_map(const sm_import *import, const char *path, int bits, sm_image *map)
{
    sm_status status = sm_image_read(path, SM_IMAGE_KEEP_INDICES, map);
    if (status == SM_OK && (map->channels != 1 || map->bits != bits)) {
        status = sm_fail(SM_ERR_INPUT, "%s: %d %s of %d bits, expected 1 of %d", path, map->channels,
                         sm_plural(map->channels, "channel", "channels"), map->bits, bits);
    }
    return status == SM_OK ? sm_import_check_size(import, path, map->height, map->width) : status;
}

sm_status sm_import_classes(sm_import *import, int kind, const char *path, const uint8_t class_of[256])
{
    sm_image map = {0};
    sm_status status = sm_import_read_map(import, path, 8, &map);
    if (status == SM_OK) {
        uint8_t *ids = map.pixels;
        for (int64_t i = 0; i < (int64_t)map.height * map.width; i++) {
            ids[i] = class_of[ids[i]];
        }
        sm_import_class_ids(import, kind, ids);
    }
    sm_image_free(&map);
    return status;
}

sm_status sm_import_instances(sm_import *import, int kind, const char *path, int (*is_instance)(int id))
{
    sm_image map = {0};
    int32_t *ids = NULL;
    sm_status status = SM_OK;
    SM_TRY(sm_import_read_map(import, path, 16, &map));
    size_t count = (size_t)map.height * (size_t)map.width;
    const uint16_t *stored = map.pixels;
    ids = sm_alloc(count * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        ids[i] = is_instance(stored[i]) ? stored[i] : 0;
    }
    SM_TRY(sm_import_instance_ids(import, kind, path, ids));
done:
    sm_image_free(&map);
    sm_free(ids);
    return status;
}

sm_status sm_import_disparity(sm_import *import, int kind, const char *path, float (*pixels_of)(int stored))
{
    sm_image map = {0};
    float *values = NULL;
    sm_status status = SM_OK;
    SM_TRY(sm_import_read_map(import, path, 16, &map));
    size_t count = (size_t)map.height * (size_t)map.width;
    const uint16_t *stored = map.pixels;
    values = sm_alloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i] = pixels_of(stored[i]);
    }
    sm_import_reals(import, kind, values, SM_IMPORT_MEDIAN);
done:
    sm_image_free(&map);
    sm_free(values);
    return status;
}
