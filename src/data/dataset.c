#include "data/dataset_format.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

const double sm_imagenet_mean[3] = {0.485, 0.456, 0.406}, sm_imagenet_std[3] = {0.229, 0.224, 0.225};

/* One file's part of the split. */
typedef struct file_part {
    char *path;
    sm_file *file;
    int64_t first, count; /* of its samples in the dataset */
    int height, width;
    int has[SM_DATASET_MAPS];
    uint64_t offset[SM_DATASET_MAPS];
    uint32_t *checksums[SM_DATASET_MAPS]; /* (count); NULL without */
    char **names;                         /* (count); NULL without */
    int32_t *original_size;               /* (count, 2); NULL without */
    double *baseline_metres, *fx_pixels;  /* (count); NULL without */
    double mean[3], std[3];
    sm_dataset_classes classes; /* count 0 without a semantic map */
    uint8_t ignore;             /* as stored; samples get 255 */
    _Atomic uint8_t *verified;  /* (count) 1 once a sample was found sound */
} file_part;

struct sm_dataset {
    char *split;
    file_part *parts;
    int part_count;
    int64_t count;
    int max_height, max_width;
    char *unnamed; /* (count, 24) names of samples of files without names; NULL if there are none */
    char fingerprint[160];
};

struct sm_sample_storage {
    void *maps[SM_DATASET_MAPS];
};

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static sm_status check_format(const sm_h5 *file)
{
    sm_status status = SM_OK;
    char *format = NULL;
    int64_t version = 0;
    if (!sm_h5_has_attribute(file, "/", "format")) {
        return sm_fail(SM_ERR_INPUT, "%s: no attribute 'format', expected '" SM_DATASET_FORMAT "'", sm_h5_path(file));
    }
    SM_TRY(sm_h5_read_attribute_text(file, "/", "format", &format));
    if (strcmp(format, SM_DATASET_FORMAT) != 0) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute 'format' is '%s', expected '" SM_DATASET_FORMAT "'",
                         sm_h5_path(file), format);
        goto done;
    }
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "format_version", &version));
    if (version != SM_DATASET_VERSION) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute 'format_version' is %lld, expected %d", sm_h5_path(file),
                         (long long)version, SM_DATASET_VERSION);
    }
done:
    sm_free(format);
    return status;
}

static int is_split(const sm_h5 *file, const char *name)
{
    char object[SM_OBJECT_BYTES];
    return sm_h5_has_dataset(file, sm_map_object(object, name, "image", ""));
}

/* Keeps the splits of a list of groups, in place. */
static sm_status list_splits(const sm_h5 *file, char ***names, size_t *count)
{
    sm_status status = sm_h5_list(file, "/", names, count);
    size_t kept = 0;
    for (size_t i = 0; status == SM_OK && i < *count; i++) {
        if (is_split(file, (*names)[i])) {
            (*names)[kept++] = (*names)[i];
        }
    }
    *count = kept;
    return status;
}

static sm_status fail_no_split(const sm_h5 *file, const char *split)
{
    char **names = NULL, found[512] = "";
    size_t count = 0;
    sm_status status = list_splits(file, &names, &count);
    for (size_t i = 0; status == SM_OK && i < count; i++) {
        size_t used = strlen(found);
        snprintf(found + used, sizeof found - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    sm_free(names);
    return sm_fail(SM_ERR_INPUT, "%s: no split '%s' (a group with a dataset 'image'); there %s: %s", sm_h5_path(file),
                   split, count == 1 ? "is" : "are", count > 0 ? found : "none");
}

sm_status sm_dataset_splits(const char *path, char ***names, size_t *count)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    *names = NULL;
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(check_format(file));
    SM_TRY(list_splits(file, names, count));
done:
    sm_h5_close(file);
    return status;
}

/* Three numbers of an attribute of the root; the fallback without it. */
static sm_status read_triple(const sm_h5 *file, const char *name, const double fallback[3], double out[3])
{
    sm_status status = SM_OK;
    double *values = NULL;
    size_t count = 0;
    memcpy(out, fallback, 3 * sizeof *out);
    if (sm_h5_has_attribute(file, "/", name)) {
        SM_TRY(sm_h5_read_attribute_doubles(file, "/", name, &values, &count));
        if (count != 3) {
            status = sm_fail(SM_ERR_INPUT, "%s: attribute '%s' has %zu numbers, expected 3 (R, G, B)", sm_h5_path(file),
                             name, count);
            goto done;
        }
        memcpy(out, values, 3 * sizeof *out);
    }
done:
    sm_free(values);
    return status;
}

static sm_status read_colours(const sm_h5 *file, file_part *part)
{
    sm_status status = SM_OK;
    SM_TRY(read_triple(file, "mean", sm_imagenet_mean, part->mean));
    SM_TRY(read_triple(file, "std", sm_imagenet_std, part->std));
    for (int c = 0; c < 3; c++) {
        if (!(part->std[c] > 0) || !isfinite(part->std[c]) || !isfinite(part->mean[c])) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: attributes 'mean', 'std' hold %g, %g: finite numbers and std > 0 expected", part->path,
                           part->mean[c], part->std[c]);
        }
    }
done:
    return status;
}

/* The images tell how many samples there are and how large; they need not be contiguous to be asked. */
static sm_status read_size(const sm_h5 *file, const char *split, file_part *part)
{
    char object[SM_OBJECT_BYTES];
    sm_h5_info info;
    sm_status status = sm_h5_query(file, sm_map_object(object, split, "image", ""), &info);
    if (status != SM_OK) {
        return status;
    }
    if (info.rank != 4 || info.shape[3] != 3 || info.type != SM_H5_U8) {
        return sm_fail(SM_ERR_INPUT, "%s: %s is not u8 of shape (N,H,W,3)", part->path, object);
    }
    if (info.count == 0 || info.shape[1] > INT32_MAX / 8 || info.shape[2] > INT32_MAX / 8) {
        return sm_fail(SM_ERR_INPUT, "%s: %s has shape (%zu,%zu,%zu,3)", part->path, object, info.shape[0],
                       info.shape[1], info.shape[2]);
    }
    part->count = (int64_t)info.shape[0];
    part->height = (int)info.shape[1];
    part->width = (int)info.shape[2];
    return SM_OK;
}

static sm_status locate_maps(const sm_h5 *file, const char *split, file_part *part)
{
    sm_status status = SM_OK;
    for (int m = 0; m < SM_DATASET_MAPS; m++) {
        const sm_map_kind *kind = &sm_map_kinds[m];
        char object[SM_OBJECT_BYTES];
        size_t shape[4], count = (size_t)part->count;
        int rank = sm_map_shape(kind, part->count, part->height, part->width, shape);
        part->has[m] = sm_h5_has_dataset(file, sm_map_object(object, split, kind->name, ""));
        if (!part->has[m]) {
            continue;
        }
        SM_TRY(sm_h5_locate(file, object, kind->type, rank, shape, &part->offset[m]));
        if (sm_h5_has_dataset(file, sm_map_object(object, split, kind->name, "_crc32c"))) {
            part->checksums[m] = sm_alloc(count * sizeof *part->checksums[m]);
            SM_TRY(sm_h5_read(file, object, SM_H5_U32, 1, &count, part->checksums[m]));
        }
    }
done:
    return status;
}

/* A dataset of `count` doubles; NULL if the file has none. */
static sm_status read_optional_doubles(const sm_h5 *file, const char *object, int64_t count, double **out)
{
    size_t shape[1] = {(size_t)count};
    if (!sm_h5_has_dataset(file, object)) {
        return SM_OK;
    }
    *out = sm_alloc(shape[0] * sizeof **out);
    return sm_h5_read(file, object, SM_H5_DOUBLE, 1, shape, *out);
}

/* Sizes may be stored as any integer that the reading function takes. */
static sm_status read_original_size(const sm_h5 *file, const char *object, file_part *part)
{
    sm_status status = SM_OK;
    size_t shape[2] = {(size_t)part->count, 2};
    int64_t *wide = sm_alloc(shape[0] * 2 * sizeof *wide);
    SM_TRY(sm_h5_read(file, object, SM_H5_INT64, 2, shape, wide));
    part->original_size = sm_alloc(shape[0] * 2 * sizeof *part->original_size);
    for (size_t i = 0; i < shape[0] * 2; i++) {
        if (wide[i] < 1 || wide[i] > INT32_MAX) {
            status = sm_fail(SM_ERR_INPUT, "%s: %s[%zu] is %lld, expected a size in pixels", part->path, object, i / 2,
                             (long long)wide[i]);
            goto done;
        }
        part->original_size[i] = (int32_t)wide[i];
    }
done:
    sm_free(wide);
    return status;
}

static sm_status read_descriptions(const sm_h5 *file, const char *split, file_part *part)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    if (sm_h5_has_dataset(file, sm_map_object(object, split, "name", ""))) {
        size_t count;
        SM_TRY(sm_h5_read_texts(file, object, &part->names, &count));
        if ((int64_t)count != part->count) {
            status = sm_fail(SM_ERR_INPUT, "%s: %s has %zu names, expected %lld", part->path, object, count,
                             (long long)part->count);
            goto done;
        }
    }
    if (sm_h5_has_dataset(file, sm_map_object(object, split, "original_size", ""))) {
        SM_TRY(read_original_size(file, object, part));
    }
    sm_map_object(object, split, "baseline_metres", "");
    SM_TRY(read_optional_doubles(file, object, part->count, &part->baseline_metres));
    sm_map_object(object, split, "fx_pixels", "");
    SM_TRY(read_optional_doubles(file, object, part->count, &part->fx_pixels));
done:
    return status;
}

/* A colour for a class of a file without palette: hues far apart. */
static void make_colour(int class_index, uint8_t colour[3])
{
    double hue = 6 * fmod(class_index * 0.618033988749895, 1);
    for (int c = 0; c < 3; c++) {
        double distance = fabs(fmod(hue + 6 - 2 * c, 6) - 3); /* 3: the channel's own hue; 0: opposite */
        double level = fmin(fmax(distance - 1, 0), 1);
        colour[c] = (uint8_t)(60 + 180 * level);
    }
}

static sm_status class_list_error(const file_part *part, const char *object, const char *attribute, size_t found,
                                  size_t expected)
{
    return sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s has %zu numbers, expected %zu", part->path, attribute,
                   object, found, expected);
}

static sm_status read_class_numbers(const sm_h5 *file, const char *object, const file_part *part, const char *attribute,
                                    size_t each, size_t classes, uint8_t *out)
{
    sm_status status = SM_OK;
    int64_t *values = NULL;
    size_t count = 0;
    if (!sm_h5_has_attribute(file, object, attribute)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_int64s(file, object, attribute, &values, &count));
    if (count != each * classes) {
        status = class_list_error(part, object, attribute, count, each * classes);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i] < 0 || values[i] > 255) {
            status = sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s holds %lld, expected 0 .. 255", part->path,
                             attribute, object, (long long)values[i]);
            goto done;
        }
        out[i] = (uint8_t)values[i];
    }
done:
    sm_free(values);
    return status;
}

static sm_status read_classes(const sm_h5 *file, const char *split, file_part *part)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES], **texts = NULL;
    size_t count = 0;
    part->ignore = 255;
    if (!sm_h5_has_dataset(file, sm_map_object(object, split, "semantic", ""))) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_texts(file, object, "class_names", &texts, &count));
    if (count < 1 || count > 255) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute 'class_names' of %s has %zu names, expected 1 .. 255", part->path,
                         object, count);
        goto done;
    }
    char(*names)[SM_CLASS_NAME_BYTES] = sm_alloc_zeroed(count * sizeof *names);
    uint8_t(*palette)[3] = sm_alloc(count * sizeof *palette);
    uint8_t *thing = sm_alloc_zeroed(count);
    part->classes = (sm_dataset_classes){(int)count, (const char(*)[SM_CLASS_NAME_BYTES])names,
                                         (const uint8_t(*)[3])palette, thing, 255};
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%s", texts[i]);
        make_colour((int)i, palette[i]);
    }
    SM_TRY(read_class_numbers(file, object, part, "palette", 3, count, palette[0]));
    SM_TRY(read_class_numbers(file, object, part, "thing", 1, count, thing));
    SM_TRY(read_class_numbers(file, object, part, "ignore", 1, 1, &part->ignore));
done:
    sm_free(texts);
    return status;
}

static sm_status open_part(const char *path, const char *split, file_part *part)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    part->path = sm_strdup(path);
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(check_format(file));
    if (!is_split(file, split)) {
        status = fail_no_split(file, split);
        goto done;
    }
    SM_TRY(read_colours(file, part));
    SM_TRY(read_size(file, split, part));
    SM_TRY(locate_maps(file, split, part));
    SM_TRY(read_descriptions(file, split, part));
    SM_TRY(read_classes(file, split, part));
    SM_TRY(sm_file_open_read(path, &part->file));
    part->verified = sm_alloc_zeroed((size_t)part->count);
done:
    sm_h5_close(file);
    return status;
}

/* Class ids only mean something together if every file has the same list. */
static sm_status check_same_classes(const sm_dataset *dataset)
{
    const file_part *first = NULL;
    for (int p = 0; p < dataset->part_count; p++) {
        const file_part *other = &dataset->parts[p];
        if (other->classes.count == 0) {
            continue;
        }
        if (!first) {
            first = other;
            continue;
        }
        if (other->classes.count != first->classes.count) {
            return sm_fail(SM_ERR_INPUT, "%s: %d classes, but %s has %d", other->path, other->classes.count,
                           first->path, first->classes.count);
        }
        for (int c = 0; c < first->classes.count; c++) {
            if (strcmp(other->classes.names[c], first->classes.names[c]) != 0) {
                return sm_fail(SM_ERR_INPUT, "%s: class %d is '%s', but in %s it is '%s'", other->path, c,
                               other->classes.names[c], first->path, first->classes.names[c]);
            }
        }
    }
    return SM_OK;
}

/* A network sees images by one mean and one standard deviation; those of the first file would silently be every file's. */
static sm_status check_same_colours(const sm_dataset *dataset)
{
    const file_part *first = &dataset->parts[0];
    for (int p = 1; p < dataset->part_count; p++) {
        const file_part *other = &dataset->parts[p];
        if (memcmp(other->mean, first->mean, sizeof first->mean) != 0 ||
            memcmp(other->std, first->std, sizeof first->std) != 0) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: mean %g %g %g, std %g %g %g, but %s has mean %g %g %g, std %g %g %g: one network needs "
                           "the same in all its files",
                           other->path, other->mean[0], other->mean[1], other->mean[2], other->std[0], other->std[1],
                           other->std[2], first->path, first->mean[0], first->mean[1], first->mean[2], first->std[0],
                           first->std[1], first->std[2]);
        }
    }
    return SM_OK;
}

static void make_fingerprint(sm_dataset *dataset)
{
    uint32_t crc = 0;
    char maps[64] = "image only";
    size_t used = 0;
    for (int p = 0; p < dataset->part_count; p++) {
        const file_part *part = &dataset->parts[p];
        int64_t numbers[3] = {part->count, part->height, part->width};
        crc = sm_crc32c(crc, numbers, sizeof numbers);
        for (int m = 0; m < SM_DATASET_MAPS; m++) {
            crc = part->has[m] ? sm_crc32c(crc, sm_map_kinds[m].name, strlen(sm_map_kinds[m].name)) : crc;
            if (part->checksums[m]) {
                crc = sm_crc32c(crc, part->checksums[m], (size_t)part->count * sizeof *part->checksums[m]);
            }
        }
        for (int64_t i = 0; i < part->count; i++) {
            const char *name = sm_dataset_name(dataset, part->first + i);
            crc = sm_crc32c(crc, name, strlen(name) + 1);
        }
        for (int c = 0; c < part->classes.count; c++) {
            crc = sm_crc32c(crc, part->classes.names[c], strlen(part->classes.names[c]) + 1);
        }
    }
    for (int m = 1; m < SM_DATASET_MAPS; m++) {
        if (sm_dataset_has(dataset, sm_map_kinds[m].name)) {
            used += (size_t)snprintf(maps + used, sizeof maps - used, "%s%s", used ? "," : "", sm_map_kinds[m].name);
        }
    }
    snprintf(dataset->fingerprint, sizeof dataset->fingerprint, "%lldx%dx%d %s %08x", (long long)dataset->count,
             dataset->max_height, dataset->max_width, maps, crc);
}

/* Joins the parts to one list. */
static void number_samples(sm_dataset *dataset)
{
    int unnamed = 0;
    for (int p = 0; p < dataset->part_count; p++) {
        file_part *part = &dataset->parts[p];
        part->first = dataset->count;
        dataset->count += part->count;
        dataset->max_height = part->height > dataset->max_height ? part->height : dataset->max_height;
        dataset->max_width = part->width > dataset->max_width ? part->width : dataset->max_width;
        unnamed |= part->names == NULL;
    }
    if (unnamed) {
        dataset->unnamed = sm_alloc((size_t)dataset->count * 24);
        for (int64_t i = 0; i < dataset->count; i++) {
            snprintf(dataset->unnamed + i * 24, 24, "%06lld", (long long)i);
        }
    }
}

sm_status sm_dataset_open(const char *const *paths, int path_count, const char *split, sm_dataset **out)
{
    assert(path_count >= 1);
    sm_status status = SM_OK;
    sm_dataset *dataset = sm_alloc_zeroed(sizeof *dataset);
    dataset->split = sm_strdup(split);
    dataset->parts = sm_alloc_zeroed((size_t)path_count * sizeof *dataset->parts);
    dataset->part_count = path_count;
    *out = NULL;
    for (int p = 0; p < path_count; p++) {
        SM_TRY(open_part(paths[p], split, &dataset->parts[p]));
    }
    SM_TRY(check_same_classes(dataset));
    SM_TRY(check_same_colours(dataset));
    number_samples(dataset);
    make_fingerprint(dataset);
    *out = dataset;
    dataset = NULL;
done:
    sm_dataset_close(dataset);
    return status;
}

static void close_part(file_part *part)
{
    sm_file_close(part->file);
    for (int m = 0; m < SM_DATASET_MAPS; m++) {
        sm_free(part->checksums[m]);
    }
    sm_free(part->names);
    sm_free(part->original_size);
    sm_free(part->baseline_metres);
    sm_free(part->fx_pixels);
    sm_free((void *)part->classes.names);
    sm_free((void *)part->classes.palette);
    sm_free((void *)part->classes.thing);
    sm_free((void *)part->verified);
    sm_free(part->path);
}

void sm_dataset_close(sm_dataset *dataset)
{
    if (!dataset) {
        return;
    }
    for (int p = 0; p < dataset->part_count; p++) {
        close_part(&dataset->parts[p]);
    }
    sm_free(dataset->parts);
    sm_free(dataset->split);
    sm_free(dataset->unnamed);
    sm_free(dataset);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

int64_t sm_dataset_count(const sm_dataset *dataset)
{
    return dataset->count;
}

int sm_dataset_has(const sm_dataset *dataset, const char *map)
{
    for (int m = 0; m < SM_DATASET_MAPS; m++) {
        for (int p = 0; strcmp(sm_map_kinds[m].name, map) == 0 && p < dataset->part_count; p++) {
            if (dataset->parts[p].has[m]) {
                return 1;
            }
        }
    }
    return 0;
}

static const file_part *part_with_classes(const sm_dataset *dataset)
{
    for (int p = 0; p < dataset->part_count; p++) {
        if (dataset->parts[p].classes.count > 0) {
            return &dataset->parts[p];
        }
    }
    return NULL;
}

const sm_dataset_classes *sm_dataset_class_info(const sm_dataset *dataset)
{
    const file_part *part = part_with_classes(dataset);
    return part ? &part->classes : NULL;
}

const char *sm_dataset_class_file(const sm_dataset *dataset)
{
    const file_part *part = part_with_classes(dataset);
    return part ? part->path : NULL;
}

void sm_dataset_max_size(const sm_dataset *dataset, int *height, int *width)
{
    *height = dataset->max_height;
    *width = dataset->max_width;
}

const double *sm_dataset_mean(const sm_dataset *dataset)
{
    return dataset->parts[0].mean;
}

const double *sm_dataset_std(const sm_dataset *dataset)
{
    return dataset->parts[0].std;
}

int sm_dataset_has_checksums(const sm_dataset *dataset)
{
    for (int p = 0; p < dataset->part_count; p++) {
        for (int m = 0; m < SM_DATASET_MAPS; m++) {
            if (dataset->parts[p].has[m] && !dataset->parts[p].checksums[m]) {
                return 0;
            }
        }
    }
    return 1;
}

const char *sm_dataset_fingerprint(const sm_dataset *dataset)
{
    return dataset->fingerprint;
}

static file_part *part_of(const sm_dataset *dataset, int64_t index)
{
    assert(index >= 0 && index < dataset->count);
    file_part *part = dataset->parts;
    while (index >= part->first + part->count) {
        part++;
    }
    return part;
}

const char *sm_dataset_name(const sm_dataset *dataset, int64_t index)
{
    const file_part *part = part_of(dataset, index);
    return part->names ? part->names[index - part->first] : dataset->unnamed + index * 24;
}

sm_sample sm_dataset_describe(const sm_dataset *dataset, int64_t index)
{
    const file_part *part = part_of(dataset, index);
    int64_t i = index - part->first;
    sm_sample sample = {.index = index, .height = part->height, .width = part->width};
    sample.baseline_metres = part->baseline_metres ? part->baseline_metres[i] : NAN;
    sample.fx_pixels = part->fx_pixels ? part->fx_pixels[i] : NAN;
    sample.original_height = part->original_size ? part->original_size[2 * i] : part->height;
    sample.original_width = part->original_size ? part->original_size[2 * i + 1] : part->width;
    return sample;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Of one map of the largest sample. */
static size_t most_bytes(const sm_dataset *dataset, int map)
{
    size_t most = 0;
    for (int p = 0; p < dataset->part_count; p++) {
        const file_part *part = &dataset->parts[p];
        size_t bytes = part->has[map] ? sm_map_bytes(&sm_map_kinds[map], part->height, part->width) : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

sm_sample_storage *sm_sample_storage_new(const sm_dataset *dataset)
{
    sm_sample_storage *storage = sm_alloc_zeroed(sizeof *storage);
    for (int m = 0; m < SM_DATASET_MAPS; m++) {
        size_t most = most_bytes(dataset, m);
        storage->maps[m] = most > 0 ? sm_alloc(most) : NULL;
    }
    return storage;
}

size_t sm_sample_storage_bytes(const sm_dataset *dataset)
{
    size_t bytes = sizeof(sm_sample_storage);
    for (int m = 0; m < SM_DATASET_MAPS; m++) {
        bytes += most_bytes(dataset, m);
    }
    return bytes;
}

void sm_sample_storage_free(sm_sample_storage *storage)
{
    if (storage) {
        for (int m = 0; m < SM_DATASET_MAPS; m++) {
            sm_free(storage->maps[m]);
        }
        sm_free(storage);
    }
}

static sm_status verify_checksum(const sm_dataset *dataset, const file_part *part, int map, int64_t index,
                                 const void *data, size_t bytes)
{
    uint32_t stored = part->checksums[map][index - part->first], found = sm_crc32c(0, data, bytes);
    if (stored != found) {
        return sm_fail(SM_ERR_INPUT, "%s: /%s/%s of sample %lld ('%s') is damaged: CRC32C %08x, %08x expected",
                       part->path, dataset->split, sm_map_kinds[map].name, (long long)(index - part->first),
                       sm_dataset_name(dataset, index), found, stored);
    }
    return SM_OK;
}

/* A class id out of the list would index out of tables later. */
static sm_status verify_labels(const sm_dataset *dataset, const file_part *part, int64_t index, const uint8_t *labels)
{
    size_t count = (size_t)part->height * (size_t)part->width;
    for (size_t i = 0; i < count; i++) {
        if (labels[i] >= part->classes.count && labels[i] != part->ignore && labels[i] != 255) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: /%s/semantic of sample %lld ('%s') holds class %d at row %zu, column %zu; there are %d",
                           part->path, dataset->split, (long long)(index - part->first),
                           sm_dataset_name(dataset, index), labels[i], i / (size_t)part->width, i % (size_t)part->width,
                           part->classes.count);
        }
    }
    return SM_OK;
}

static void rename_ignored(uint8_t *labels, size_t count, uint8_t ignore)
{
    for (size_t i = 0; i < count; i++) {
        labels[i] = labels[i] == ignore ? 255 : labels[i];
    }
}

sm_status sm_dataset_read(sm_dataset *dataset, int64_t index, sm_sample_storage *storage, sm_sample *sample)
{
    sm_status status = SM_OK;
    file_part *part = part_of(dataset, index);
    int64_t i = index - part->first;
    int verify = !atomic_load_explicit(&part->verified[i], memory_order_relaxed);
    *sample = sm_dataset_describe(dataset, index);
    for (int m = 0; m < SM_DATASET_MAPS; m++) {
        if (!part->has[m]) {
            continue;
        }
        size_t bytes = sm_map_bytes(&sm_map_kinds[m], part->height, part->width);
        status = sm_file_pread(part->file, storage->maps[m], bytes, part->offset[m] + (uint64_t)i * bytes);
        if (status != SM_OK) {
            return sm_fail(status, "%s (reading /%s/%s of sample %lld, '%s')", sm_error_message(), dataset->split,
                           sm_map_kinds[m].name, (long long)i, sm_dataset_name(dataset, index));
        }
        if (verify && part->checksums[m]) {
            SM_TRY(verify_checksum(dataset, part, m, index, storage->maps[m], bytes));
        }
        sm_map_set(&sm_map_kinds[m], sample, storage->maps[m]);
    }
    if (sample->semantic) {
        if (verify) {
            SM_TRY(verify_labels(dataset, part, index, sample->semantic));
        }
        if (part->ignore != 255) {
            rename_ignored((uint8_t *)(uintptr_t)sample->semantic, (size_t)part->height * (size_t)part->width,
                           part->ignore);
        }
    }
    atomic_store_explicit(&part->verified[i], 1, memory_order_relaxed);
done:
    return status;
}
