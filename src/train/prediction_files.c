#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/image.h>
#include <sigmatic/io/npy.h>
#include <sigmatic/train/prediction_files.h>

#include "train/overlay.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- which tasks --------------------------------------------------------------------------------------------------- */

static int is_pixel(const sm_task *task)
{
    return task->target->scope == SM_SCOPE_PIXEL;
}

static int takes_disparity(const sm_task *task)
{
    return is_pixel(task) && task->target->type == SM_TARGET_REAL && task->target->components == 1 &&
           task->target->scaling == SM_SCALING_WIDTH;
}

static int takes_depth(const sm_task *task)
{
    return takes_disparity(task) || (is_pixel(task) && task->target->type == SM_TARGET_REAL &&
                                     task->target->components == 1 && strcmp(task->target->unit, "m") == 0);
}

static int takes_vectors(const sm_task *task)
{
    return is_pixel(task) && task->kind->learns == SM_TARGET_INSTANCE;
}

static int takes_any(const sm_task *task)
{
    (void)task;
    return 1;
}

/* ---- PNG ----------------------------------------------------------------------------------------------------------- */

static sm_status write_png(const sm_predicted_image *image, int bits, void *pixels, const char *path)
{
    const sm_image png = {image->height, image->width, 1, bits, pixels};
    return sm_image_write_png(&png, path);
}

static sm_status write_classes(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    sm_status status = SM_OK;
    uint8_t *ids = sm_alloc(task->items);
    memcpy(ids, task->values, task->items);
    SM_TRY(write_png(image, 8, ids, path));
done:
    sm_free(ids);
    return status;
}

static sm_status find_label_ids(const sm_task *task, uint8_t ids[SM_CLASSES_MAX])
{
    const sm_class_list *classes = task->target->classes;
    for (int c = 0; c < classes->count; c++) {
        int id = sm_cityscapes_label_id(classes->names[c]);
        if (id < 0) {
            return sm_fail(SM_ERR_INPUT,
                           "task '%s': class %d is '%s', which Cityscapes does not have; its own names are expected "
                           "(road, sidewalk, building ...)",
                           task->name, c, classes->names[c]);
        }
        ids[c] = (uint8_t)id;
    }
    return SM_OK;
}

static sm_status check_label_ids(const sm_task *task, const sm_prediction_source *source)
{
    uint8_t ids[SM_CLASSES_MAX];
    (void)source;
    return find_label_ids(task, ids);
}

static sm_status write_label_ids(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    sm_status status = SM_OK;
    const uint8_t *classes = task->values;
    uint8_t ids[SM_CLASSES_MAX], *labels = sm_alloc(task->items);
    SM_TRY(find_label_ids(task->task, ids));
    for (size_t i = 0; i < task->items; i++) {
        labels[i] = ids[classes[i]];
    }
    SM_TRY(write_png(image, 8, labels, path));
done:
    sm_free(labels);
    return status;
}

/* 0 says "invalid", and of what can be nothing is. */
static uint16_t disparity_code(float disparity)
{
    return isnan(disparity) ? 0 : (uint16_t)lrint(fmin(fmax(disparity * 256.0 + 1, 1), UINT16_MAX));
}

/* What does not fit is 0, "unknown". */
static uint16_t millimetre_code(float metres)
{
    double millimetres = metres * 1000.0;
    return millimetres >= 0.5 && millimetres < UINT16_MAX + 0.5 ? (uint16_t)lrint(millimetres) : 0;
}

static sm_status write_codes(const sm_predicted_image *image, const float *values, uint16_t (*code)(float value),
                             const char *path)
{
    size_t items = (size_t)image->height * (size_t)image->width;
    uint16_t *codes = sm_alloc(items * sizeof *codes);
    for (size_t i = 0; i < items; i++) {
        codes[i] = code(values[i]);
    }
    sm_status status = write_png(image, 16, codes, path);
    sm_free(codes);
    return status;
}

static sm_status write_disparity(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    return write_codes(image, task->values, disparity_code, path);
}

/* ---- instances ----------------------------------------------------------------------------------------------------- */

/* \return ids from 1, 0 where there is none, freed with sm_free() */
static uint16_t *instance_ids(const sm_instance_list *list)
{
    size_t pixels = (size_t)list->height * (size_t)list->width;
    uint16_t *ids = sm_alloc(pixels * sizeof *ids);
    for (size_t i = 0; i < pixels; i++) {
        ids[i] = list->labels[i] < UINT16_MAX ? (uint16_t)(list->labels[i] + 1) : 0;
    }
    return ids;
}

static sm_status write_instances(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    uint16_t *ids = instance_ids(task->instances);
    sm_status status = write_png(image, 16, ids, path);
    sm_free(ids);
    return status;
}

static sm_status write_mask(const sm_predicted_image *image, const sm_instance_list *list, int instance,
                            const char *path)
{
    size_t pixels = (size_t)list->height * (size_t)list->width;
    uint8_t *mask = sm_alloc(pixels);
    for (size_t i = 0; i < pixels; i++) {
        mask[i] = list->labels[i] == instance ? 255 : 0;
    }
    sm_status status = write_png(image, 8, mask, path);
    sm_free(mask);
    return status;
}

/* The classes of instances are those of the first task that says where things are. */
static sm_status check_instance_classes(const sm_task *task, const sm_prediction_source *source)
{
    for (int t = 0; t < source->task_count; t++) {
        if (sm_task_finds_things(source->tasks[t])) {
            return check_label_ids(source->tasks[t], source);
        }
    }
    return sm_fail(SM_ERR_INPUT, "task '%s': Cityscapes' instances need classes, and no task says where things are",
                   task->name);
}

/* A line an instance, "mask labelId confidence"; the masks first, so that no list names one that is not there. */
static sm_status write_instance_list(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    sm_status status = SM_OK;
    const sm_instance_list *list = task->instances;
    uint8_t ids[SM_CLASSES_MAX];
    const char *slash = strrchr(path, '/');
    char *lines = sm_strdup(""), *stem = sm_format("%.*s", (int)(strlen(slash + 1) - strlen(".txt")), slash + 1);
    SM_TRY(find_label_ids(task->instance_classes, ids));
    for (int k = 0; k < list->count; k++) {
        const sm_instance *one = &list->instances[k];
        char *mask = sm_format("%.*s/%s_mask_%03d.png", (int)(slash - path), path, stem, k);
        status = write_mask(image, list, k, mask);
        sm_free(mask);
        SM_TRY(status);
        char *longer = sm_format("%s%s_mask_%03d.png %d %.6f\n", lines, stem, k, ids[one->class_id], one->confidence);
        sm_free(lines);
        lines = longer;
    }
    SM_TRY(sm_file_write_atomic(path, lines, strlen(lines)));
done:
    sm_free(lines);
    sm_free(stem);
    return status;
}

/* ---- metres -------------------------------------------------------------------------------------------------------- */

static sm_status check_camera(const sm_task *task, const sm_prediction_source *source)
{
    return source->has_camera || !takes_disparity(task)
               ? SM_OK
               : sm_fail(SM_ERR_INPUT,
                         "task '%s' predicts disparities in pixels: metres need the camera's baseline and focal length "
                         "(--baseline METRES --focal PIXELS, or a dataset with baseline_metres and fx_pixels)",
                         task->name);
}

/* One image of a dataset may lack what others have. \param [out] out  (items), freed with sm_free() */
static sm_status find_metres(const sm_predicted_image *image, const sm_task_prediction *task, float **out)
{
    const float *values = task->values;
    double camera = image->baseline_metres * image->fx_pixels;
    if (takes_disparity(task->task) && !(camera > 0)) {
        return sm_fail(SM_ERR_INPUT,
                       "task '%s' predicts disparities in pixels: metres need baseline_metres and fx_pixels of the "
                       "image, or --baseline METRES --focal PIXELS",
                       task->task->name);
    }
    float *metres = sm_alloc(task->items * sizeof *metres);
    for (size_t i = 0; i < task->items; i++) {
        int stays = !takes_disparity(task->task) || isnan(values[i]);
        metres[i] = stays ? values[i] : values[i] > 0 ? (float)(camera / values[i]) : INFINITY;
    }
    *out = metres;
    return SM_OK;
}

static sm_status write_millimetres(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    sm_status status = SM_OK;
    float *metres = NULL;
    SM_TRY(find_metres(image, task, &metres));
    SM_TRY(write_codes(image, metres, millimetre_code, path));
done:
    sm_free(metres);
    return status;
}

/* ---- arrays -------------------------------------------------------------------------------------------------------- */

/* Fills the shape of an array with so many numbers an item; returns the rank. */
static int shape_of(const sm_predicted_image *image, const sm_task *task, int components, size_t shape[3])
{
    int rank = 0;
    if (is_pixel(task)) {
        shape[rank++] = (size_t)image->height;
        shape[rank++] = (size_t)image->width;
    }
    if (components > 1 || rank == 0) {
        shape[rank++] = (size_t)components;
    }
    return rank;
}

static sm_status write_npy(const sm_predicted_image *image, const sm_task *task, sm_npy_type type, int components,
                           const void *values, const char *path)
{
    sm_npy array = {.type = type, .count = 1};
    union {
        const void *read;
        void *data;
    } numbers = {.read = values}; /* writing only reads them */
    array.rank = shape_of(image, task, components, array.shape);
    for (int d = 0; d < array.rank; d++) {
        array.count *= array.shape[d];
    }
    array.data = numbers.data;
    return sm_npy_write(&array, path);
}

static sm_status write_metres(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    sm_status status = SM_OK;
    float *metres = NULL;
    SM_TRY(find_metres(image, task, &metres));
    SM_TRY(write_npy(image, task->task, SM_NPY_F32, 1, metres, path));
done:
    sm_free(metres);
    return status;
}

/* The arrays of an uncertainty by their names in files. */
typedef struct named_array {
    const char *name;
    const float *values;
    int components;
} named_array;

enum { UNCERTAINTIES = 4 };

static void list_uncertainties(const sm_task_prediction *task, named_array arrays[UNCERTAINTIES])
{
    arrays[0] = (named_array){"entropy", task->entropy, 1};
    arrays[1] = (named_array){"mutual_information", task->information, 1};
    arrays[2] = (named_array){"variance", task->variance, task->components};
    arrays[3] = (named_array){"sigmas", task->sigmas, 1};
}

static sm_status write_arrays(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    sm_status status = SM_OK;
    named_array arrays[UNCERTAINTIES];
    char *other = NULL;
    SM_TRY(write_npy(image, task->task, sm_task_is_regression(task->task) ? SM_NPY_F32 : SM_NPY_U8, task->components,
                     task->values, path));
    if (task->instances) {
        uint16_t *ids = instance_ids(task->instances);
        other = sm_format("%.*s.instances.npy", (int)(strlen(path) - strlen(".npy")), path);
        status = write_npy(image, task->task, SM_NPY_U16, 1, ids, other);
        sm_free(ids);
        SM_TRY(status);
    }
    list_uncertainties(task, arrays);
    for (int i = 0; i < UNCERTAINTIES; i++) {
        if (arrays[i].values) {
            sm_free(other);
            other = sm_format("%.*s.%s.npy", (int)(strlen(path) - strlen(".npy")), path, arrays[i].name);
            SM_TRY(write_npy(image, task->task, SM_NPY_F32, arrays[i].components, arrays[i].values, other));
        }
    }
done:
    sm_free(other);
    return status;
}

/* ---- HDF5 ---------------------------------------------------------------------------------------------------------- */

static sm_status put_array(sm_h5 *file, const sm_predicted_image *image, const sm_task *task, const char *group,
                           const char *name, sm_h5_type type, int components, const void *values)
{
    size_t shape[3];
    int rank = shape_of(image, task, components, shape);
    char *object = sm_format("%s/%s", group, name);
    sm_status status = sm_h5_write(file, object, type, rank, shape, values);
    sm_free(object);
    return status;
}

/* The map, and a number an instance of each of what is known of it. */
static sm_status put_instances(sm_h5 *file, const sm_predicted_image *image, const sm_task_prediction *p,
                               const char *group)
{
    sm_status status = SM_OK;
    const sm_instance_list *list = p->instances;
    size_t count = (size_t)list->count;
    uint16_t *ids = instance_ids(list);
    int64_t *classes = sm_alloc((count + 1) * sizeof *classes);
    double *confidences = sm_alloc((count + 1) * sizeof *confidences);
    char *class_object = sm_format("%s/instance_class", group);
    char *confidence_object = sm_format("%s/instance_confidence", group);
    for (size_t k = 0; k < count; k++) {
        classes[k] = list->instances[k].class_id;
        confidences[k] = list->instances[k].confidence;
    }
    SM_TRY(put_array(file, image, p->task, group, "instances", SM_H5_U16, 1, ids));
    SM_TRY(sm_h5_write(file, class_object, SM_H5_INT64, 1, &count, classes));
    SM_TRY(sm_h5_write(file, confidence_object, SM_H5_DOUBLE, 1, &count, confidences));
done:
    sm_free(ids);
    sm_free(classes);
    sm_free(confidences);
    sm_free(class_object);
    sm_free(confidence_object);
    return status;
}

static sm_status put_task(sm_h5 *file, const sm_predicted_image *image, const sm_task_prediction *p)
{
    sm_status status = SM_OK;
    const sm_task *task = p->task;
    const sm_class_list *classes = task->target->classes;
    named_array arrays[UNCERTAINTIES];
    char *group = sm_format("/tasks/%s", task->name);
    SM_TRY(put_array(file, image, task, group, "prediction", sm_task_is_regression(task) ? SM_H5_FLOAT : SM_H5_U8,
                     p->components, p->values));
    if (p->logits && !sm_task_is_regression(task)) {
        SM_TRY(put_array(file, image, task, group, "logits", SM_H5_FLOAT, task->channels, p->logits));
    }
    list_uncertainties(p, arrays);
    for (int i = 0; i < UNCERTAINTIES; i++) {
        if (arrays[i].values) {
            SM_TRY(put_array(file, image, task, group, arrays[i].name, SM_H5_FLOAT, arrays[i].components,
                             arrays[i].values));
        }
    }
    if (p->instances) {
        SM_TRY(put_instances(file, image, p, group));
    }
    SM_TRY(sm_h5_write_attribute_text(file, group, "kind", task->kind->name));
    SM_TRY(sm_h5_write_attribute_text(file, group, "unit", task->target->unit));
    SM_TRY(sm_h5_write_attribute_double(file, group, "sigma", p->sigma));
    SM_TRY(
        sm_h5_write_attribute_text(file, group, "sigma_unit", sm_task_is_regression(task) ? sm_task_unit(task) : ""));
    if (classes) {
        SM_TRY(sm_h5_write_attribute_texts(file, group, "class_names", classes->names, (size_t)classes->count));
    }
done:
    sm_free(group);
    return status;
}

static sm_status write_hdf5(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    (void)task;
    SM_TRY(sm_h5_create_in_memory(path, SM_H5_EARLIEST, NULL, &file));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-prediction"));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", 1));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "name", image->name));
    SM_TRY(sm_h5_make_group(file, "/tasks"));
    for (int t = 0; t < image->task_count; t++) {
        SM_TRY(put_task(file, image, &image->tasks[t]));
    }
    SM_TRY(sm_h5_write_image(file, path));
done:
    sm_h5_close(file);
    return status;
}

static sm_status write_overlay(const sm_predicted_image *image, const sm_task_prediction *task, const char *path)
{
    (void)task;
    sm_canvas canvas = sm_overlay_draw(image);
    const sm_image png = {canvas.height, canvas.width, 3, 8, canvas.rgb};
    sm_status status = sm_image_write_png(&png, path);
    sm_free(canvas.rgb);
    return status;
}

const sm_prediction_format sm_prediction_formats[] = {
    {"overlay", ".png", "PNG to look at: classes and instances over the image, other values beside it", 1, 1,
     .write = write_overlay},
    {"classes", ".png", "8-bit PNG of class ids", 0, 0, sm_task_maps_classes, "a class a pixel",
     .write = write_classes},
    {"instances", ".png", "16-bit PNG of instances, from 1; 0: none", 1, 0, takes_vectors, "instances",
     .write = write_instances},
    {"cityscapes", ".png", "8-bit PNG of Cityscapes label ids, for its pixel-level scripts", 0, 0, sm_task_maps_classes,
     "a class a pixel", check_label_ids, .write = write_label_ids},
    {"cityscapes-instances", ".txt", "list and masks of instances, for Cityscapes' instance-level scripts", 1, 0,
     takes_vectors, "instances", check_instance_classes, .write = write_instance_list},
    {"disparity", ".png", "16-bit PNG as Cityscapes' own: 256 x disparity + 1", 0, 0, takes_disparity,
     "a disparity a pixel", .write = write_disparity},
    {"metres", ".npy", "float32 array of depth in metres", 0, 0, takes_depth,
     "a disparity or a depth in metres a pixel", check_camera, 1, write_metres},
    {"millimetres", ".png", "16-bit PNG of depth in millimetres; 0: none, or 65.5 m and more", 0, 0, takes_depth,
     "a disparity or a depth in metres a pixel", check_camera, 1, write_millimetres},
    {"npy", ".npy", "arrays: uint8 class ids, float32 values; with --uncertainty its maps", 1, 1, takes_any, "anything",
     .write = write_arrays},
    {"hdf5", ".h5", "all of an image in one file: predictions, logits of classes, instances, uncertainties", 1, 1,
     .write = write_hdf5},
    {0},
};

/* ---- all formats --------------------------------------------------------------------------------------------------- */

const sm_prediction_format *sm_prediction_format_find(const char *name)
{
    for (const sm_prediction_format *format = sm_prediction_formats; format->name; format++) {
        if (strcmp(format->name, name) == 0) {
            return format;
        }
    }
    return NULL;
}

/* Of a task that the format takes: can it be written? Adds to `lacks` what stands against it. */
static int can_write(const sm_prediction_format *format, const sm_prediction_source *source, const sm_task *task,
                     char **lacks)
{
    if (!format->check || format->check(task, source) == SM_OK) {
        return 1;
    }
    char *longer = sm_format("%s%s%s", *lacks, **lacks ? "; " : "", sm_error_message());
    sm_free(*lacks);
    *lacks = longer;
    return 0;
}

sm_status sm_prediction_format_check(const sm_prediction_format *format, const sm_prediction_source *source,
                                     uint8_t *writes)
{
    sm_status status = SM_OK;
    char *found = sm_strdup(""), *lacks = sm_strdup("");
    int written = 0;
    for (int t = 0; t < source->task_count; t++) {
        const sm_task *task = source->tasks[t];
        writes[t] = !format->takes || (format->takes(task) && can_write(format, source, task, &lacks));
        written += writes[t];
        char *longer = sm_format("%s%s%s (%s)", found, t > 0 ? ", " : "", task->name, task->kind->name);
        sm_free(found);
        found = longer;
    }
    if (written == 0 && *lacks) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "predict: --format %s: %s", format->name, lacks));
    }
    if (written == 0) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "predict: --format %s needs a task that predicts %s; there are: %s", format->name,
                       format->wants, found));
    }
    if (*lacks) {
        sm_log_info("--format %s leaves out: %s", format->name, lacks);
    }
done:
    sm_free(found);
    sm_free(lacks);
    return status;
}

int sm_prediction_format_asks_camera(const sm_prediction_format *format, const sm_prediction_source *source)
{
    int asks = 0;
    for (int t = 0; format->uses_camera && t < source->task_count; t++) {
        asks |= takes_disparity(source->tasks[t]);
    }
    return asks;
}

/* \param task  NULL: of a format of images */
static char *path_of(const sm_prediction_format *format, const char *folder, const char *name, const sm_task *task)
{
    return task ? sm_format("%s/%s/%s/%s%s", folder, format->name, task->name, name, format->ending)
                : sm_format("%s/%s/%s%s", folder, format->name, name, format->ending);
}

int sm_prediction_format_exists(const sm_prediction_format *format, const uint8_t *writes, const char *folder,
                                const char *name, const sm_task *const *tasks, int task_count)
{
    int exists = 0;
    for (int t = 0; t < (format->takes ? task_count : 1) && !exists; t++) {
        if (writes[t]) {
            char *path = path_of(format, folder, name, format->takes ? tasks[t] : NULL);
            exists = sm_file_exists(path);
            sm_free(path);
        }
    }
    return exists;
}

sm_status sm_prediction_format_write(const sm_prediction_format *format, const uint8_t *writes, const char *folder,
                                     const sm_predicted_image *image)
{
    sm_status status = SM_OK;
    for (int t = 0; t < (format->takes ? image->task_count : 1); t++) {
        const sm_task_prediction *task = format->takes ? &image->tasks[t] : NULL;
        if (writes[t]) {
            char *path = path_of(format, folder, image->name, task ? task->task : NULL);
            status = sm_make_folder_of(path);
            status = status == SM_OK ? format->write(image, task, path) : status;
            sm_free(path);
            SM_TRY(status);
        }
    }
done:
    return status;
}
