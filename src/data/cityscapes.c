/* Folders `{root}/{leftImg8bit,gtFine,disparity,camera}/{split}/{city}/{name}_{kind}`, or a flat copy that keeps all kinds of
 * a city in one folder, `{root}/{split}/{city}/{name}_{kind}`; name = `{city}_{sequence}_{frame}`. */
#include "data/importer.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/io/json.h>

#include <math.h>
#include <string.h>

enum { SKY = 10, SPLITS = 3 };

enum { NO_SKY = 1u << 0 }; /* the flags */

static const char *const split_names[SPLITS] = {"train", "val", "test"};

enum { IMAGE, LABELS, INSTANCES, DISPARITY, CAMERA, KINDS };

static const struct {
    const char *folder, *suffix;
} files[KINDS] = {
    [IMAGE] = {"leftImg8bit", "_leftImg8bit.png"},
    [LABELS] = {"gtFine", "_gtFine_labelIds.png"},
    [INSTANCES] = {"gtFine", "_gtFine_instanceIds.png"},
    [DISPARITY] = {"disparity", "_disparity.png"},
    [CAMERA] = {"camera", "_camera.json"},
};

/* ---- looking for files -------------------------------------------------------------------------------------------- */

/* Where one city of one split may have its files. */
typedef struct city_place {
    const char *root;
    int is_flat;
    const char *split, *city;
} city_place;

static char *city_folder(const city_place *at, int kind)
{
    return at->is_flat ? sm_format("%s/%s/%s", at->root, at->split, at->city)
                       : sm_format("%s/%s/%s/%s", at->root, files[kind].folder, at->split, at->city);
}

static void add_frame(const city_place *at, const char *name, sm_import_list *list)
{
    char *paths[KINDS];
    for (int k = 0; k < KINDS; k++) {
        char *folder = city_folder(at, k);
        paths[k] = sm_format("%s/%s%s", folder, name, files[k].suffix);
        sm_free(folder);
    }
    sm_import_add(list, at->split, name, (const char *const *)paths);
    for (int k = 0; k < KINDS; k++) {
        sm_free(paths[k]);
    }
}

static sm_status list_city(const city_place *at, sm_import_list *list)
{
    sm_status status = SM_OK;
    char *folder = city_folder(at, IMAGE), **names = NULL;
    size_t count = 0, suffix = strlen(files[IMAGE].suffix);
    SM_TRY(sm_import_folder(folder, &names, &count));
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (length > suffix && strcmp(names[i] + length - suffix, files[IMAGE].suffix) == 0) {
            names[i][length - suffix] = '\0';
            add_frame(at, names[i], list);
        }
    }
done:
    sm_free(names);
    sm_free(folder);
    return status;
}

static sm_status list_split(const char *root, int is_flat, const char *split, sm_import_list *list)
{
    sm_status status = SM_OK;
    char *folder = is_flat ? sm_format("%s/%s", root, split) : sm_format("%s/%s/%s", root, files[IMAGE].folder, split);
    char **cities = NULL;
    size_t count = 0;
    SM_TRY(sm_import_folder(folder, &cities, &count));
    for (size_t i = 0; i < count; i++) {
        SM_TRY(list_city(&(city_place){root, is_flat, split, cities[i]}, list));
    }
done:
    sm_free(cities);
    sm_free(folder);
    return status;
}

static sm_status list_frames(const char *root, sm_import_list *list)
{
    sm_status status = SM_OK;
    for (int is_flat = 0; is_flat <= 1 && sm_import_count(list) == 0; is_flat++) {
        for (int s = 0; s < SPLITS; s++) {
            SM_TRY(list_split(root, is_flat, split_names[s], list));
        }
    }
    if (sm_import_count(list) == 0) {
        status = sm_fail(SM_ERR_INPUT,
                         "%s: no Cityscapes images; looked for leftImg8bit/{train,val,test}/<city>/*%s (official) and "
                         "{train,val,test}/<city>/*%s (flat)",
                         root, files[IMAGE].suffix, files[IMAGE].suffix);
    }
done:
    return status;
}

/* ---- reading one frame -------------------------------------------------------------------------------------------- */

/* Ids are label id * 1000 + k; below 1000 the quotient is label 0, which is no thing. Caravans (29) and trailers (30) have
 * ids as well, but cityscapesScripts scores neither (labels.py: ignoreInEval): they are void, as their classes are. */
static int is_thing_instance(int id)
{
    uint8_t train_id = sm_cityscapes_train_id(id / 1000);
    return train_id != SM_CLASS_IGNORED && sm_cityscapes_classes.thing[train_id];
}

static float disparity_of(int stored)
{
    return stored > 0 ? (float)(stored - 1) / 256 : NAN;
}

static sm_status read_labels(sm_import *import, const char *path)
{
    uint8_t train_id[256];
    for (int id = 0; id < 256; id++) {
        train_id[id] = sm_cityscapes_train_id(id);
    }
    return sm_import_classes(import, LABELS, path, train_id);
}

static void put_sky_far(sm_import *import)
{
    const uint8_t *semantic = import->target[LABELS];
    float *disparity = import->target[DISPARITY];
    for (int i = 0; i < import->height * import->width; i++) {
        if (semantic[i] == SKY) {
            disparity[i] = 0;
        }
    }
}

static sm_status read_camera(const char *path, sm_sample *sample)
{
    sm_status status = SM_OK;
    SM_TRY(sm_json_read_real(path, "extrinsic.baseline", &sample->baseline_metres));
    SM_TRY(sm_json_read_real(path, "intrinsic.fx", &sample->fx_pixels));
    if (!(sample->baseline_metres > 0) || !(sample->fx_pixels > 0)) {
        status = sm_fail(SM_ERR_INPUT, "%s: extrinsic.baseline %g, intrinsic.fx %g: expected positive numbers", path,
                         sample->baseline_metres, sample->fx_pixels);
    }
done:
    return status;
}

static sm_status read_frame(sm_import *import, const char *const *paths, sm_sample *sample)
{
    sm_status status = SM_OK;
    SM_TRY(sm_import_image(import, paths[IMAGE]));
    if (paths[LABELS]) {
        SM_TRY(read_labels(import, paths[LABELS]));
    }
    if (paths[INSTANCES]) {
        SM_TRY(sm_import_instances(import, INSTANCES, paths[INSTANCES], is_thing_instance));
    }
    if (paths[DISPARITY]) {
        SM_TRY(sm_import_disparity(import, DISPARITY, paths[DISPARITY], disparity_of));
        if (!(import->options->flags & NO_SKY)) {
            put_sky_far(import);
        }
    }
    if (paths[CAMERA]) {
        SM_TRY(read_camera(paths[CAMERA], sample));
    }
done:
    return status;
}

static const sm_import_kind kinds[KINDS] = {
    [IMAGE] = {.what = "image"},
    [LABELS] = {.what = "labels", .target = "semantic", .classes = &sm_cityscapes_classes},
    [INSTANCES] = {.what = "instances", .target = "instance"},
    [DISPARITY] = {.what = "disparity", .target = "disparity"},
    [CAMERA] = {.what = "camera", .is_camera = 1},
};

static const sm_import_flag flags[] = {
    {.name = "no-sky", .help = "keep the disparity map's values at sky instead of 0 (infinitely far)"},
    {0},
};

const sm_importer sm_cityscapes_importer = {
    .name = "cityscapes",
    .summary = "import Cityscapes",
    .title = "Cityscapes",
    .root_help = "folder with leftImg8bit/, gtFine/, ..., or a flat copy",
    .flags = flags,
    .kinds = kinds,
    .kind_count = KINDS,
    .list = list_frames,
    .read = read_frame,
};
