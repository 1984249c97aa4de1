/* The folders of NumPy arrays that come with MTAN (Liu, Johns and Davison, CVPR 2019; github.com/lorenmt/mtan):
 * {root}/{train,val}/{image,label,depth,normal}/<number>.npy of NYUv2, {image,label_19,label_7,label_2,depth} of Cityscapes.
 * image (H,W,3) of floats in [0, 1] or bytes; label (H,W), -1 invalid; depth (H,W,1), 0 invalid; normal (H,W,3), zeros
 * invalid. */
#include "data/importer.h"
#include "data/nyuv2_classes.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/npy.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE, LABELS, DEPTH, NORMAL, KINDS };

enum { CLASSES_OPTION };

/* ---- which of the datasets it is ---------------------------------------------------------------------------------- */

/* Table 1 of the paper; void is -1. */
static const char *const seven_names[] = {"flat", "construction", "object", "nature", "sky", "human", "vehicle"};
static const uint8_t seven_palette[][3] = {{128, 64, 128}, {70, 70, 70},  {220, 220, 0}, {107, 142, 35},
                                           {70, 130, 180}, {220, 20, 60}, {0, 0, 142}};
static const uint8_t seven_things[] = {[5] = 1, 1};
static const sm_class_list seven_classes = {
    .count = 7, .names = seven_names, .palette = seven_palette, .thing = seven_things};

static const char *const two_names[] = {"background", "foreground"};
static const uint8_t two_palette[][3] = {{70, 70, 70}, {220, 20, 60}};
static const sm_class_list two_classes = {.count = 2, .names = two_names, .palette = two_palette};

#define KINDS_OF(class_list, depth_target)                                                                             \
    {                                                                                                                  \
        [IMAGE] = {.what = "image"}, [LABELS] = {.what = "labels", .target = "semantic", .classes = &(class_list)},    \
        [DEPTH] = {.what = "depth", .target = (depth_target)}, [NORMAL] = {.what = "normals", .target = "normal"},     \
    }

/* The number of classes is what the labels' folder tells. */
static const struct variant {
    const char *labels, *title;
    sm_import_kind kinds[KINDS];
} variants[] = {
    {"label", "NYUv2 as preprocessed for MTAN", KINDS_OF(sm_nyuv2_classes_13, "depth")},
    {"label_19", "Cityscapes as preprocessed for MTAN", KINDS_OF(sm_cityscapes_classes, "disparity")},
    {"label_7", "Cityscapes as preprocessed for MTAN", KINDS_OF(seven_classes, "disparity")},
    {"label_2", "Cityscapes as preprocessed for MTAN", KINDS_OF(two_classes, "disparity")},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static const char *const split_names[] = {"train", "val", "test"};
enum { SPLITS = sizeof split_names / sizeof *split_names };

/* Any split has the labels of a variant. */
static int is_there(const char *root, const struct variant *variant)
{
    int found = 0;
    for (int s = 0; s < SPLITS && !found; s++) {
        char *folder = sm_format("%s/%s/%s", root, split_names[s], variant->labels);
        found = sm_folder_exists(folder);
        sm_free(folder);
    }
    return found;
}

/* The variant that is asked for by its number of classes, else the first that is there. */
static sm_status choose(const sm_import_options *options, int *chosen)
{
    const char *classes = options->values[CLASSES_OPTION];
    char there[128] = "none";
    *chosen = -1;
    for (int v = 0; v < VARIANTS; v++) {
        char *count = sm_format("%d", variants[v].kinds[LABELS].classes->count);
        if (is_there(options->root, &variants[v])) {
            size_t used = strcmp(there, "none") == 0 ? 0 : strlen(there);
            snprintf(there + used, sizeof there - used, "%s%s", used > 0 ? ", " : "", count);
            if (*chosen < 0 && (!classes || strcmp(classes, count) == 0)) {
                *chosen = v;
            }
        }
        sm_free(count);
    }
    if (*chosen < 0 && classes) {
        return sm_fail(SM_ERR_USAGE, "%s: --classes '%s': labels of so many classes that are there: %s", options->root,
                       classes, there);
    }
    *chosen = *chosen < 0 ? 0 : *chosen; /* without labels: NYUv2 */
    return SM_OK;
}

/* ---- looking for files -------------------------------------------------------------------------------------------- */

typedef struct numbered {
    long long number;
    const char *name;
} numbered;

static int compare_numbers(const void *a, const void *b)
{
    const numbered *x = a, *y = b;
    return x->number != y->number ? (x->number > y->number) - (x->number < y->number) : strcmp(x->name, y->name);
}

/* Cuts the ".npy" of names that have it and sorts them by number: 2 before 10. */
static sm_status sort_names(const char *folder, char **names, size_t count, numbered *sorted, size_t *kept)
{
    *kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        char *end = names[i];
        if (length <= 4 || strcmp(names[i] + length - 4, ".npy") != 0) {
            continue;
        }
        long long number = strtoll(names[i], &end, 10);
        if (number < 0 || strcmp(end, ".npy") != 0) {
            return sm_fail(SM_ERR_INPUT, "%s/%s: expected a number and '.npy' as name", folder, names[i]);
        }
        names[i][length - 4] = '\0';
        sorted[(*kept)++] = (numbered){number, names[i]};
    }
    if (*kept > 0) {
        qsort(sorted, *kept, sizeof *sorted, compare_numbers);
    }
    return SM_OK;
}

static void add_sample(const char *root, const char *split, const char *name, sm_import_list *list)
{
    const struct variant *variant = sm_import_importer(list)->user;
    const char *const folders[KINDS] = {"image", variant->labels, "depth", "normal"};
    char *paths[KINDS];
    for (int k = 0; k < KINDS; k++) {
        paths[k] = sm_format("%s/%s/%s/%s.npy", root, split, folders[k], name);
    }
    sm_import_add(list, split, name, (const char *const *)paths);
    for (int k = 0; k < KINDS; k++) {
        sm_free(paths[k]);
    }
}

static sm_status list_split(const char *root, const char *split, sm_import_list *list)
{
    sm_status status = SM_OK;
    char *folder = sm_format("%s/%s/image", root, split), **names = NULL;
    numbered *sorted = NULL;
    size_t count = 0, kept = 0;
    SM_TRY(sm_import_folder(folder, &names, &count));
    sorted = sm_alloc(count * sizeof *sorted);
    SM_TRY(sort_names(folder, names, count, sorted, &kept));
    for (size_t i = 0; i < kept; i++) {
        add_sample(root, split, sorted[i].name, list);
    }
done:
    sm_free(sorted);
    sm_free(names);
    sm_free(folder);
    return status;
}

static sm_status list_arrays(const char *root, sm_import_list *list)
{
    sm_status status = SM_OK;
    for (int s = 0; s < SPLITS; s++) {
        SM_TRY(list_split(root, split_names[s], list));
    }
    if (sm_import_count(list) == 0) {
        status = sm_fail(SM_ERR_INPUT, "%s: no images of MTAN; looked for {train,val}/image/<number>.npy", root);
    }
done:
    return status;
}

/* ---- reading one sample ------------------------------------------------------------------------------------------- */

/* Refuses an array whose shape is not (H,W,components); of one component also (H,W). */
static sm_status check_shape(const char *path, const sm_npy *array, size_t components)
{
    enum { MOST_SIDE = 65535 };
    char found[128] = "";
    int is_map = components == 1 && array->rank == 2;
    for (int d = 0; d < array->rank; d++) {
        size_t used = strlen(found);
        snprintf(found + used, sizeof found - used, "%s%zu", d > 0 ? ", " : "", array->shape[d]);
    }
    if ((!is_map && (array->rank != 3 || array->shape[2] != components)) || array->count == 0 ||
        array->shape[0] > MOST_SIDE || array->shape[1] > MOST_SIDE) {
        return sm_fail(SM_ERR_INPUT, "%s: shape (%s), expected (height, width, %zu)%s", path, found, components,
                       components == 1 ? " or (height, width)" : "");
    }
    return SM_OK;
}

static sm_status find_size(const sm_import_options *options, const char *path, int *height, int *width)
{
    sm_npy array = {0};
    sm_status status = SM_OK;
    (void)options;
    SM_TRY(sm_npy_read(path, &array));
    SM_TRY(check_shape(path, &array, 3));
    *height = (int)array.shape[0];
    *width = (int)array.shape[1];
done:
    sm_npy_free(&array);
    return status;
}

/* Floats to bytes, in place at the start of their memory. */
static sm_status make_bytes(const char *path, const sm_npy *array, uint8_t *bytes)
{
    static const float slack = 1e-3f; /* resampling may overshoot */
    const float *values = array->data;
    for (size_t i = 0; i < array->count; i++) {
        if (!(values[i] >= -slack && values[i] <= 1 + slack)) {
            return sm_fail(SM_ERR_INPUT, "%s: %g in row %zu, column %zu: expected colours from 0 to 1 (or uint8)", path,
                           sm_shown(values[i]), i / 3 / array->shape[1], i / 3 % array->shape[1]);
        }
        bytes[i] = (uint8_t)lrintf(fminf(fmaxf(values[i], 0), 1) * 255);
    }
    return SM_OK;
}

static sm_status read_image(sm_import *import, const char *path)
{
    sm_status status = SM_OK;
    sm_npy array = {0};
    uint8_t *bytes = NULL;
    SM_TRY(sm_npy_read(path, &array));
    SM_TRY(check_shape(path, &array, 3));
    if (array.type != SM_NPY_U8) {
        if (array.type != SM_NPY_F16 && array.type != SM_NPY_F32 && array.type != SM_NPY_F64) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s, expected floats from 0 to 1 or uint8", path,
                           sm_npy_type_name(array.type)));
        }
        sm_npy_free(&array);
        SM_TRY(sm_npy_read_float(path, &array));
        SM_TRY(check_shape(path, &array, 3));
        bytes = sm_alloc(array.count);
        SM_TRY(make_bytes(path, &array, bytes));
    }
    SM_TRY(sm_import_pixels(import, path, bytes ? bytes : array.data, (int)array.shape[0], (int)array.shape[1]));
done:
    sm_npy_free(&array);
    sm_free(bytes);
    return status;
}

/* A map of its image's size. */
static sm_status read_floats(const sm_import *import, const char *path, size_t components, sm_npy *array)
{
    sm_status status = SM_OK;
    SM_TRY(sm_npy_read_float(path, array));
    SM_TRY(check_shape(path, array, components));
    SM_TRY(sm_import_check_size(import, path, (int)array->shape[0], (int)array->shape[1]));
done:
    return status;
}

static sm_status read_labels(sm_import *import, const char *path)
{
    sm_status status = SM_OK;
    sm_npy array = {0};
    uint8_t *classes = NULL;
    int count = import->target_of[LABELS].classes->count;
    SM_TRY(sm_npy_read_int64(path, &array));
    SM_TRY(check_shape(path, &array, 1));
    SM_TRY(sm_import_check_size(import, path, (int)array.shape[0], (int)array.shape[1]));
    classes = sm_alloc(array.count);
    for (size_t i = 0; i < array.count; i++) {
        int64_t id = ((const int64_t *)array.data)[i];
        if (id < -1 || id >= count) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: label %lld in row %zu, column %zu: expected -1 (invalid) to %d", path,
                           (long long)id, i / array.shape[1], i % array.shape[1], count - 1));
        }
        classes[i] = id < 0 ? SM_CLASS_IGNORED : (uint8_t)id;
    }
    sm_import_class_ids(import, LABELS, classes);
done:
    sm_npy_free(&array);
    sm_free(classes);
    return status;
}

static float metres_of(float stored, int width)
{
    (void)width;
    return stored > 0 ? stored : NAN;
}

/* What MTAN calls the inverse depth of Cityscapes is its disparity map without further processing (issues 15 and 25 of its
 * repository) over 2^16: where that ranges to 32257, this does to 0.4922. Cityscapes stores 1 + 256 times the disparity in
 * pixels of an image 2048 wide. */
static float pixels_of(float stored, int width)
{
    enum { CITYSCAPES_WIDTH = 2048 };
    float number = stored * 65536;
    return stored > 0 ? fmaxf(number - 1, 0) / 256 * ((float)width / CITYSCAPES_WIDTH) : NAN;
}

static sm_status read_depth(sm_import *import, const char *path)
{
    sm_status status = SM_OK;
    sm_npy array = {0};
    const sm_target *target = &import->target_of[DEPTH];
    int is_disparity = target->scaling == SM_SCALING_WIDTH;
    SM_TRY(read_floats(import, path, 1, &array));
    float *values = array.data;
    for (size_t i = 0; i < array.count; i++) {
        float value = (is_disparity ? pixels_of : metres_of)(values[i], (int)array.shape[1]);
        if (isinf(value) || values[i] < 0 || value < target->least || value > target->most) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %g in row %zu, column %zu: expected %s, 0 for invalid", path,
                           (double)values[i], i / array.shape[1], i % array.shape[1],
                           is_disparity ? "a disparity of Cityscapes over 65536" : "a depth in metres"));
        }
        values[i] = value;
    }
    sm_import_reals(import, DEPTH, values, SM_IMPORT_MEDIAN);
done:
    sm_npy_free(&array);
    return status;
}

/* To unit length: they may have been stored as halves. */
static sm_status read_normals(sm_import *import, const char *path)
{
    sm_status status = SM_OK;
    sm_npy array = {0};
    SM_TRY(read_floats(import, path, 3, &array));
    for (float *n = array.data; n < (float *)array.data + array.count; n += 3) {
        float length = sqrtf(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
        int is_valid = length > 0 && isfinite(length);
        for (int c = 0; c < 3; c++) {
            n[c] = is_valid ? n[c] / length : NAN;
        }
    }
    sm_import_reals(import, NORMAL, array.data, SM_IMPORT_NEAREST);
done:
    sm_npy_free(&array);
    return status;
}

static sm_status read_sample(sm_import *import, const char *const *paths, sm_sample *sample)
{
    static sm_status (*const readers[KINDS])(sm_import *, const char *) = {read_image, read_labels, read_depth,
                                                                           read_normals};
    sm_status status = SM_OK;
    (void)sample;
    for (int k = 0; k < KINDS; k++) {
        if (paths[k]) {
            SM_TRY(readers[k](import, paths[k]));
        }
    }
done:
    return status;
}

/* ---- the row ------------------------------------------------------------------------------------------------------- */

static void free_importer(sm_importer *importer)
{
    sm_free(importer);
}

static sm_status make_importer(sm_comm *comm, const sm_import_options *options, sm_importer **made);

static const sm_import_flag flags[] = {
    {"classes", "labels to take: 13 of NYUv2; 19, 7 or 2 of Cityscapes (the first of these that are there)", "N"},
    {NULL, NULL, NULL},
};

const sm_importer sm_mtan_importer = {
    .name = "mtan",
    .summary = "import the .npy folders of MTAN",
    .title = "the .npy folders of MTAN",
    .root_help = "folder with train/ and val/ of NYUv2 or Cityscapes as MTAN has them",
    .flags = flags,
    .make = make_importer,
};

static sm_status make_importer(sm_comm *comm, const sm_import_options *options, sm_importer **made)
{
    int chosen = 0;
    sm_status status = sm_comm_agree(comm, sm_comm_rank(comm) == 0 ? choose(options, &chosen) : SM_OK);
    if (status != SM_OK) {
        return status;
    }
    sm_comm_broadcast(comm, &chosen, sizeof chosen, 0);
    *made = sm_alloc(sizeof **made);
    **made = (sm_importer){.name = sm_mtan_importer.name,
                           .title = variants[chosen].title,
                           .flags = flags,
                           .kinds = variants[chosen].kinds,
                           .kind_count = KINDS,
                           .list = list_arrays,
                           .size = find_size,
                           .read = read_sample,
                           .user = &variants[chosen],
                           .free = free_importer};
    return SM_OK;
}
