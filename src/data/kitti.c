/* KITTI 2015, as the readme files of its development kits describe it (Geiger, Menze and Alhaija, www.cvlibs.net: stereo,
 * flow and scene flow 2015; semantic and instance segmentation): {root}/{training,testing}/image_2/NNNNNN_10.png and, of the
 * training images, what lies in other folders under the same name. Each of its archives may also keep its own folder below
 * the root. Frames NNNNNN_11 follow the ones with labels and have none. */
#include "data/importer.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/io/file.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE, LABELS, INSTANCES, DISPARITY, OBJECTS, CAMERA, KINDS };

enum { NOT_OCCLUDED = 1u << 0, VALIDATION = 1 }; /* a flag's bit, and an option's place */

static const struct {
    const char *folder, *extension;
} files[KINDS] = {
    [IMAGE] = {"image_2", "png"},        [LABELS] = {"semantic", "png"}, [INSTANCES] = {"instance", "png"},
    [DISPARITY] = {"disp_occ_0", "png"}, [OBJECTS] = {"obj_map", "png"}, [CAMERA] = {"calib_cam_to_cam", "txt"},
};

/* The archives, when each was unpacked into a folder of its name. */
static const char *const archives[] = {".", "data_scene_flow", "data_semantics", "data_scene_flow_calib"};
enum { ARCHIVES = sizeof archives / sizeof *archives };

/* ---- looking for files -------------------------------------------------------------------------------------------- */

static const char *folder_name(int kind, unsigned flags)
{
    return kind == DISPARITY && flags & NOT_OCCLUDED ? "disp_noc_0" : files[kind].folder;
}

/* Where the files of a kind of `part` ("training") are, in the first archive that has such a folder; else where they would
 * be. */
static char *find_folder(const char *root, const char *part, int kind, unsigned flags)
{
    const char *name = folder_name(kind, flags);
    for (int a = 0; a < ARCHIVES; a++) {
        char *folder =
            a == 0 ? sm_format("%s/%s/%s", root, part, name) : sm_format("%s/%s/%s/%s", root, archives[a], part, name);
        if (sm_folder_exists(folder)) {
            return folder;
        }
        sm_free(folder);
    }
    return sm_format("%s/%s/%s", root, part, name);
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), more = strlen(end);
    return length > more && strcmp(text + length - more, end) == 0;
}

/* Calibrations are of a scene: "000000" of "000000_10", and of "Kitti2015_000000_10" as the segmentation kit has it. */
static char *scene_of(const char *name)
{
    size_t length = strlen(name);
    length -= ends_with(name, "_10") ? strlen("_10") : 0;
    const char *first = name;
    for (const char *c = name; c < name + length; c++) {
        first = *c == '_' ? c + 1 : first;
    }
    return sm_format("%.*s", (int)(name + length - first), first);
}

static void add_image(char *const folders[KINDS], const char *split, const char *name, sm_import_list *list)
{
    char *paths[KINDS], *scene = scene_of(name);
    for (int k = 0; k < KINDS; k++) {
        paths[k] = sm_format("%s/%s.%s", folders[k], k == CAMERA ? scene : name, files[k].extension);
    }
    sm_import_add(list, split, name, (const char *const *)paths);
    for (int k = 0; k < KINDS; k++) {
        sm_free(paths[k]);
    }
    sm_free(scene);
}

/* The names of images with labels, without ".png". */
static sm_status list_names(const char *folder, char ***names, size_t *count)
{
    size_t all = 0;
    *count = 0;
    sm_status status = sm_import_folder(folder, names, &all);
    for (size_t i = 0; i < all; i++) {
        char *name = (*names)[i];
        if (ends_with(name, ".png") && !ends_with(name, "_11.png")) {
            name[strlen(name) - strlen(".png")] = '\0';
            (*names)[(*count)++] = name;
        }
    }
    return status;
}

/* Adds the images of a part; of training the ones that are set aside for validation come behind the others. */
static sm_status list_part(const char *root, const char *part, int64_t validation, sm_import_list *list)
{
    static const char *const splits[] = {"train", "val"};
    sm_status status = SM_OK;
    char **names = NULL, *folders[KINDS];
    size_t count = 0;
    int is_training = strcmp(part, "training") == 0;
    for (int k = 0; k < KINDS; k++) {
        folders[k] = find_folder(root, part, k, sm_import_list_options(list)->flags);
    }
    SM_TRY(list_names(folders[IMAGE], &names, &count));
    if (is_training && count > 0 && validation >= (int64_t)count) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "--validation %lld: %s has only %zu %s, and some have to be left for training",
                       (long long)validation, folders[IMAGE], count, sm_plural((int64_t)count, "image", "images")));
    }
    for (int pass = 0; pass < (is_training ? 2 : 1); pass++) {
        for (size_t i = 0; i < count; i++) {
            int is_val = is_training && sm_import_is_spread((int64_t)i, (int64_t)count, validation);
            if (is_val == pass) {
                add_image(folders, is_training ? splits[pass] : "test", names[i], list);
            }
        }
    }
done:
    for (int k = 0; k < KINDS; k++) {
        sm_free(folders[k]);
    }
    sm_free(names);
    return status;
}

static sm_status list_images(const char *root, sm_import_list *list)
{
    enum { MOST_IMAGES = 1000000 };
    static const char *const parts[] = {"training", "testing", "test"};
    sm_status status = SM_OK;
    int64_t validation;
    SM_TRY(sm_import_count_option(sm_import_importer(list), sm_import_list_options(list), VALIDATION, 0, MOST_IMAGES,
                                  &validation));
    for (int p = 0; p < 3; p++) {
        SM_TRY(list_part(root, parts[p], validation, list));
    }
    if (sm_import_count(list) == 0) {
        status = sm_fail(SM_ERR_INPUT,
                         "%s: no KITTI images; looked for {training,testing}/image_2/*_10.png, there and in "
                         "data_scene_flow/ and data_semantics/",
                         root);
    }
done:
    return status;
}

/* ---- reading one image -------------------------------------------------------------------------------------------- */

enum { LABEL_IDS = 34 }; /* of Cityscapes, with 0, "unlabeled" */

/* KITTI's ids are those of Cityscapes. \return SM_ERR_INPUT naming file, pixel and id */
static sm_status check_label(const char *path, int id, int64_t pixel, int width)
{
    return id < LABEL_IDS ? SM_OK
                          : sm_fail(SM_ERR_INPUT, "%s: label id %d in row %lld, column %lld: expected 0 to %d", path,
                                    id, (long long)(pixel / width), (long long)(pixel % width), LABEL_IDS - 1);
}

static sm_status read_labels(sm_import *import, const char *path)
{
    sm_status status = SM_OK;
    sm_image map = {0};
    SM_TRY(sm_import_read_map(import, path, 8, &map));
    uint8_t *ids = map.pixels;
    for (int64_t i = 0; i < (int64_t)map.height * map.width; i++) {
        SM_TRY(check_label(path, ids[i], i, map.width));
        ids[i] = sm_cityscapes_train_id(ids[i]);
    }
    sm_import_class_ids(import, LABELS, ids);
done:
    sm_image_free(&map);
    return status;
}

/* Ids are label id * 256 + k; k counts from 1 within a label, 0: no instance is told apart. */
static int is_thing_instance(int id)
{
    uint8_t train_id = sm_cityscapes_train_id(id / 256);
    return id % 256 > 0 && train_id != SM_CLASS_IGNORED && sm_cityscapes_classes.thing[train_id];
}

static sm_status read_instances(sm_import *import, const char *path)
{
    sm_status status = SM_OK;
    sm_image map = {0};
    int32_t *ids = NULL;
    SM_TRY(sm_import_read_map(import, path, 16, &map));
    const uint16_t *stored = map.pixels;
    size_t count = (size_t)map.height * (size_t)map.width;
    ids = sm_alloc(count * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        SM_TRY(check_label(path, stored[i] / 256, (int64_t)i, map.width));
        ids[i] = is_thing_instance(stored[i]) ? stored[i] : 0;
    }
    SM_TRY(sm_import_instance_ids(import, INSTANCES, path, ids));
done:
    sm_image_free(&map);
    sm_free(ids);
    return status;
}

/* Sparse: of a laser scanner, and denser on moving cars. 0 is invalid. */
static sm_status read_disparity(sm_import *import, const char *path)
{
    sm_status status = SM_OK;
    sm_image map = {0};
    float *values = NULL;
    SM_TRY(sm_import_read_map(import, path, 16, &map));
    const uint16_t *stored = map.pixels;
    size_t count = (size_t)map.height * (size_t)map.width;
    values = sm_alloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i] = stored[i] > 0 ? (float)stored[i] / 256 : NAN;
    }
    sm_import_reals(import, DISPARITY, values, SM_IMPORT_NEAREST_VALID);
done:
    sm_image_free(&map);
    sm_free(values);
    return status;
}

/* 0: the static world. */
static sm_status read_objects(sm_import *import, const char *path)
{
    sm_status status = SM_OK;
    sm_image map = {0};
    int32_t *ids = NULL;
    SM_TRY(sm_import_read_map(import, path, 8, &map));
    const uint8_t *stored = map.pixels;
    size_t count = (size_t)map.height * (size_t)map.width;
    ids = sm_alloc(count * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        ids[i] = stored[i];
    }
    SM_TRY(sm_import_instance_ids(import, OBJECTS, path, ids));
done:
    sm_image_free(&map);
    sm_free(ids);
    return status;
}

/* The numbers of a line "<name>: n n n ...". */
static sm_status read_matrix(const char *path, const char *text, const char *name, double matrix[12])
{
    const char *line = text;
    size_t length = strlen(name);
    while (line && (strncmp(line, name, length) != 0 || line[length] != ':')) {
        line = strchr(line, '\n');
        line += line != NULL;
    }
    const char *at = line ? line + length + 1 : NULL, *end = at ? at + strcspn(at, "\n") : NULL;
    for (int i = 0; i < 12; i++) {
        char *next = NULL;
        matrix[i] = at ? strtod(at, &next) : 0;
        if (!at || next == at || next > end || !isfinite(matrix[i])) {
            return sm_fail(SM_ERR_INPUT, "%s: expected a line '%s:' of 12 numbers, found %s", path, name,
                           line ? "fewer" : "none");
        }
        at = next;
    }
    return SM_OK;
}

/* A rectified camera's projection has its focal length first and, fourth, minus that times how far right it stands. */
static sm_status read_camera(const char *path, sm_sample *sample)
{
    sm_status status = SM_OK;
    char *text = NULL;
    double left[12], right[12];
    SM_TRY(sm_file_read_text(path, &text));
    SM_TRY(read_matrix(path, text, "P_rect_02", left));
    SM_TRY(read_matrix(path, text, "P_rect_03", right));
    sample->fx_pixels = left[0];
    sample->baseline_metres = (left[3] - right[3]) / left[0];
    if (!(sample->baseline_metres > 0) || !(sample->fx_pixels > 0) || !isfinite(sample->baseline_metres)) {
        status = sm_fail(SM_ERR_INPUT, "%s: focal length %g px, baseline %g m: expected positive numbers", path,
                         sm_shown(sample->fx_pixels), sm_shown(sample->baseline_metres));
    }
done:
    sm_free(text);
    return status;
}

static sm_status read_image(sm_import *import, const char *const *paths, sm_sample *sample)
{
    static sm_status (*const readers[KINDS])(sm_import *, const char *) = {
        [IMAGE] = sm_import_image,    [LABELS] = read_labels,   [INSTANCES] = read_instances,
        [DISPARITY] = read_disparity, [OBJECTS] = read_objects,
    };
    sm_status status = SM_OK;
    for (int k = 0; k < KINDS; k++) {
        if (paths[k] && readers[k]) {
            SM_TRY(readers[k](import, paths[k]));
        }
    }
    if (paths[CAMERA]) {
        SM_TRY(read_camera(paths[CAMERA], sample));
    }
done:
    return status;
}

/* What moves, car by car. */
static const sm_target moving_object = {
    .name = "moving_object", .type = SM_TARGET_INSTANCE, .components = 1, .unit = ""};

static const sm_import_kind kinds[KINDS] = {
    [IMAGE] = {.what = "image"},
    [LABELS] = {.what = "labels", .target = "semantic", .classes = &sm_cityscapes_classes},
    [INSTANCES] = {.what = "instances", .target = "instance"},
    [DISPARITY] = {.what = "disparity", .target = "disparity"},
    [OBJECTS] = {.what = "map of moving objects", .described = &moving_object},
    [CAMERA] = {.what = "camera", .is_camera = 1},
};

static const sm_import_flag flags[] = {
    {"not-occluded", "disparity only where both cameras see: disp_noc_0 in place of disp_occ_0", NULL},
    {"validation", "training images, evenly spread, that become the split val: KITTI has none (0)", "N"},
    {NULL, NULL, NULL},
};

const sm_importer sm_kitti_importer = {
    .name = "kitti",
    .summary = "import KITTI 2015",
    .title = "KITTI 2015",
    .root_help = "folder with training/ and testing/, or with the folders of its archives, data_scene_flow/ ...",
    .flags = flags,
    .kinds = kinds,
    .kind_count = KINDS,
    .list = list_images,
    .read = read_image,
};
