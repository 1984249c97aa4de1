/* Opening one file of a dataset: what the split holds, where it lies, how it is described. */
#include "data/dataset_format.h"
#include "data/dataset_private.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/data/target_picture.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/h5_checksums.h>

#include <stdio.h>
#include <string.h>

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
    if (version < SM_DATASET_OLDEST_VERSION || version > SM_DATASET_VERSION) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute 'format_version' is %lld, expected %d to %d", sm_h5_path(file),
                         (long long)version, SM_DATASET_OLDEST_VERSION, SM_DATASET_VERSION);
        goto done;
    }
    SM_TRY(sm_h5_check_checksums(file, NULL));
done:
    sm_free(format);
    return status;
}

/* ---- splits and their input -------------------------------------------------------------------------------------- */

/* \param [out] found  the kind of input that a split has; NULL: it is no split. */
static sm_status find_input_kind(const sm_h5 *file, const char *split, const sm_input_kind **found)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    *found = NULL;
    for (const sm_input_kind *kind = sm_input_kinds; kind->name && !*found; kind++) {
        int has;
        SM_TRY(sm_h5_find_dataset(file, sm_array_object(object, split, kind->name, ""), &has));
        *found = has ? kind : NULL;
    }
done:
    return status;
}

/* Keeps the splits of a list of groups, in place. */
static sm_status list_splits(const sm_h5 *file, char ***names, size_t *count)
{
    sm_status status = SM_OK;
    size_t kept = 0, all = 0;
    SM_TRY(sm_h5_list(file, "/", names, &all));
    for (size_t i = 0; i < all; i++) {
        char object[SM_OBJECT_BYTES];
        const sm_input_kind *kind;
        int is_dataset;
        snprintf(object, sizeof object, "/%s", (*names)[i]);
        SM_TRY(sm_h5_find_dataset(file, object, &is_dataset)); /* it can be opened */
        SM_TRY(find_input_kind(file, (*names)[i], &kind));
        if (kind) {
            (*names)[kept++] = (*names)[i];
        }
    }
    *count = kept;
done:
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
    return sm_fail(SM_ERR_INPUT, "%s: no split '%s' (a group with a dataset 'image' or 'features'); there %s: %s",
                   sm_h5_path(file), split, count == 1 ? "is" : "are", count > 0 ? found : "none");
}

int sm_is_dataset_file(const char *path)
{
    return sm_h5_has_format(path, SM_DATASET_FORMAT);
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

/* One number a channel of an attribute of the root; the kind's own without it.
 * \param fallback  NULL: that of each channel is `plain` */
static sm_status read_statistic(const sm_h5 *file, const char *name, const sm_input *input, const double *fallback,
                                double plain, double *out)
{
    sm_status status = SM_OK;
    double *values = NULL;
    size_t count = 0, channels = (size_t)input->channels;
    for (size_t c = 0; c < channels; c++) {
        out[c] = fallback ? fallback[c] : plain;
    }
    if (sm_h5_has_attribute(file, "/", name)) {
        SM_TRY(sm_h5_read_attribute_doubles(file, "/", name, &values, &count));
        if (count != channels) {
            status =
                sm_fail(SM_ERR_INPUT, "%s: attribute '%s' has %zu %s, expected %zu (%s)", sm_h5_path(file), name, count,
                        sm_plural((int64_t)count, "number", "numbers"), channels, input->kind->channel_names);
            goto done;
        }
        memcpy(out, values, channels * sizeof *out);
    }
done:
    sm_free(values);
    return status;
}

static sm_status read_statistics(const sm_h5 *file, file_part *part)
{
    sm_status status = SM_OK;
    const sm_input_kind *kind = part->input.kind;
    size_t channels = (size_t)part->input.channels;
    double *mean = part->statistics = sm_alloc(2 * channels * sizeof *mean), *std = mean + channels;
    part->input.mean = mean;
    part->input.std = std;
    SM_TRY(read_statistic(file, "mean", &part->input, kind->mean, 0, mean));
    SM_TRY(read_statistic(file, "std", &part->input, kind->std, 1, std));
    for (size_t c = 0; c < channels; c++) {
        if (!(std[c] > 0) || !isfinite(std[c]) || !isfinite(mean[c])) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: attributes 'mean', 'std' hold %g, %g: finite numbers and std > 0 expected", part->path,
                           sm_shown(mean[c]), sm_shown(std[c]));
        }
    }
done:
    return status;
}

static sm_status locate(const sm_h5 *file, const char *split, const char *name, sm_h5_type type, int rank,
                        const size_t *shape, stored_array *array)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    SM_TRY(sm_h5_place(file, sm_array_object(object, split, name, ""), type, rank, shape, &array->offset));
    array->object = sm_strdup(object);
    array->type = type;
    array->bytes = sm_h5_type_bytes(type);
    for (int i = 1; i < rank; i++) {
        array->bytes *= shape[i];
    }
    if (sm_h5_has_dataset(file, sm_array_object(object, split, name, "_crc32c"))) {
        array->checksums = sm_alloc(shape[0] * sizeof *array->checksums);
        SM_TRY(sm_h5_read(file, object, SM_H5_U32, 1, shape, array->checksums));
    }
done:
    return status;
}

static sm_status check_images(const file_part *part, const char *object, const sm_h5_info *info)
{
    const sm_input_kind *kind = part->input.kind;
    if (info->rank != 4 || info->shape[3] != (size_t)kind->channels || info->type != SM_H5_U8) {
        return sm_fail(SM_ERR_INPUT, "%s: %s is not u8 of shape (N,H,W,%d)", part->path, object, kind->channels);
    }
    if (info->shape[0] > 0 && (info->count == 0 || info->shape[1] > INT32_MAX / 8 || info->shape[2] > INT32_MAX / 8 ||
                               info->shape[1] * info->shape[2] > INT32_MAX)) {
        return sm_fail(SM_ERR_INPUT, "%s: %s has shape (%zu,%zu,%zu,%d), expected images of 1 to %d pixels", part->path,
                       object, info->shape[0], info->shape[1], info->shape[2], kind->channels, INT32_MAX);
    }
    return SM_OK;
}

static sm_status check_features(const file_part *part, const char *object, const sm_h5_info *info)
{
    int is_real = info->type == SM_H5_FLOAT || info->type == SM_H5_DOUBLE || info->type == SM_H5_HALF;
    if (info->rank != 2 || !is_real || info->shape[1] < 1 || info->shape[1] > SM_FEATURES_MAX) {
        return sm_fail(SM_ERR_INPUT, "%s: %s is not f32 of shape (N,F), F from 1 to %d", part->path, object,
                       SM_FEATURES_MAX);
    }
    return SM_OK;
}

/* What features are called, by which a table's columns are found again. */
static sm_status read_feature_names(const sm_h5 *file, const char *object, file_part *part)
{
    sm_status status = SM_OK;
    size_t count = 0;
    if (!part->input.kind->is_table || !sm_h5_has_attribute(file, object, "names")) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_texts(file, object, "names", &part->feature_names, &count));
    if (count != (size_t)part->input.channels) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute 'names' of %s has %zu %s, expected %d, one a feature", part->path,
                         object, count, sm_plural((int64_t)count, "name", "names"), part->input.channels);
        goto done;
    }
    part->input.names = (const char *const *)part->feature_names;
done:
    return status;
}

/* What is optional must not seem absent where it is damaged. */
static sm_status check_arrays(const sm_h5 *file, const char *split)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES], **names = NULL;
    size_t count = 0;
    int has;
    sm_array_object(object, split, "", "");
    object[strlen(object) - 1] = '\0';
    SM_TRY(sm_h5_list(file, object, &names, &count));
    for (size_t i = 0; i < count; i++) {
        SM_TRY(sm_h5_find_dataset(file, sm_array_object(object, split, names[i], ""), &has));
    }
done:
    sm_free(names);
    return status;
}

/* The input tells how many samples there are and how large. */
static sm_status read_input(const sm_h5 *file, const char *split, file_part *part)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    const sm_input_kind *kind = part->input.kind;
    sm_h5_info info;
    SM_TRY(sm_h5_query(file, sm_array_object(object, split, kind->name, ""), &info));
    SM_TRY((kind->is_table ? check_features : check_images)(part, object, &info));
    if (info.shape[0] == 0) {
        return sm_fail(SM_ERR_INPUT, "%s: %s holds no sample; a split needs at least one: leave an empty one out",
                       part->path, object);
    }
    part->count = (int64_t)info.shape[0];
    part->input.height = kind->is_table ? 1 : (int)info.shape[1];
    part->input.width = kind->is_table ? 1 : (int)info.shape[2];
    part->input.channels = kind->is_table ? (int)info.shape[1] : kind->channels;
    part->input_bytes = sm_input_elements(&part->input) * sm_input_number_bytes(kind);
    SM_TRY(locate(file, split, kind->name, info.type, info.rank, info.shape, &part->input_array));
    SM_TRY(read_feature_names(file, object, part));
done:
    return status;
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

/* `count` numbers 0 .. 255 of an attribute; `out` stays as it is without it. */
static sm_status read_bytes(const sm_h5 *file, const char *object, const char *attribute, size_t expected, uint8_t *out)
{
    sm_status status = SM_OK;
    int64_t *values = NULL;
    size_t count = 0;
    if (!sm_h5_has_attribute(file, object, attribute)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_int64s(file, object, attribute, &values, &count));
    if (count != expected) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s has %zu %s, expected %zu", sm_h5_path(file), attribute,
                         object, count, sm_plural((int64_t)count, "number", "numbers"), expected);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i] < 0 || values[i] > 255) {
            status = sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s holds %lld, expected 0 .. 255", sm_h5_path(file),
                             attribute, object, (long long)values[i]);
            goto done;
        }
        out[i] = (uint8_t)values[i];
    }
done:
    sm_free(values);
    return status;
}

static sm_status check_count(const sm_h5 *file, const char *object, const char *attribute, size_t count,
                             size_t expected)
{
    return count == expected ? SM_OK
                             : sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s has %zu %s, expected %zu, one a class",
                                       sm_h5_path(file), attribute, object, count,
                                       sm_plural((int64_t)count, "value", "values"), expected);
}

/* What metrics know of the classes: their categories, and mean areas of their instances.
 * \param [out] categories, pixels  freed with sm_free(); NULL without the attribute */
static sm_status read_groups(const sm_h5 *file, const char *object, size_t expected, char ***categories,
                             double **pixels)
{
    sm_status status = SM_OK;
    size_t count;
    if (sm_h5_has_attribute(file, object, "category")) {
        SM_TRY(sm_h5_read_attribute_texts(file, object, "category", categories, &count));
        SM_TRY(check_count(file, object, "category", count, expected));
    }
    if (sm_h5_has_attribute(file, object, "instance_pixels")) {
        SM_TRY(sm_h5_read_attribute_doubles(file, object, "instance_pixels", pixels, &count));
        SM_TRY(check_count(file, object, "instance_pixels", count, expected));
    }
done:
    return status;
}

/* Replaces the description by one with the classes that the file names. */
static sm_status read_classes(const sm_h5 *file, const char *object, sm_target **target, int64_t *ignored)
{
    sm_status status = SM_OK;
    char **names = NULL, **categories = NULL;
    double *pixels = NULL;
    size_t count = 0;
    uint8_t palette[SM_CLASSES_MAX][3], thing[SM_CLASSES_MAX] = {0};
    SM_TRY(sm_h5_read_attribute_texts(file, object, "class_names", &names, &count));
    if (count < 1 || count > SM_CLASSES_MAX) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute 'class_names' of %s has %zu names, expected 1 .. %d",
                         sm_h5_path(file), object, count, SM_CLASSES_MAX);
        goto done;
    }
    if ((*target)->type == SM_TARGET_LABELS && count != (size_t)(*target)->components) {
        status =
            sm_fail(SM_ERR_INPUT, "%s: attribute 'class_names' of %s has %zu %s, expected %d: one a component",
                    sm_h5_path(file), object, count, sm_plural((int64_t)count, "name", "names"), (*target)->components);
        goto done;
    }
    for (size_t c = 0; c < count; c++) {
        sm_picture_number((int)c, palette[c]);
    }
    SM_TRY(read_bytes(file, object, "palette", 3 * count, palette[0]));
    SM_TRY(read_bytes(file, object, "thing", count, thing));
    SM_TRY(read_groups(file, object, count, &categories, &pixels));
    if (sm_h5_has_attribute(file, object, "ignore")) {
        SM_TRY(sm_h5_read_attribute_int64(file, object, "ignore", ignored));
    }
    sm_class_list classes = {.count = (int)count,
                             .names = (const char *const *)names,
                             .palette = (const uint8_t(*)[3])palette,
                             .thing = thing,
                             .categories = (const char *const *)categories,
                             .instance_pixels = pixels};
    sm_target described = **target;
    described.classes = &classes;
    sm_target *copy = sm_target_copy(&described);
    sm_free(*target);
    *target = copy;
done:
    sm_free(categories);
    sm_free(pixels);
    sm_free(names);
    return status;
}

/* ---- targets ----------------------------------------------------------------------------------------------------- */

/* \param [in,out] value  place of the attribute's word in `words`; stays as it is without the attribute */
static sm_status read_word(const sm_h5 *file, const char *object, const char *attribute, const char *const *words,
                           int count, int *value)
{
    sm_status status = SM_OK;
    char *word = NULL, allowed[128] = "";
    if (!sm_h5_has_attribute(file, object, attribute)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_text(file, object, attribute, &word));
    for (int i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            *value = i;
            goto done;
        }
        size_t used = strlen(allowed);
        snprintf(allowed + used, sizeof allowed - used, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    status = sm_fail(SM_ERR_INPUT, "%s: attribute '%s' of %s is '%s', expected one of %s", sm_h5_path(file), attribute,
                     object, word, allowed);
done:
    sm_free(word);
    return status;
}

static sm_status read_flip(const sm_h5 *file, const char *object, sm_target *target)
{
    sm_status status = SM_OK;
    int64_t *components = NULL;
    size_t count = 0;
    if (!sm_h5_has_attribute(file, object, "flip_negates")) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_int64s(file, object, "flip_negates", &components, &count));
    target->flip_negates = 0;
    for (size_t i = 0; i < count; i++) {
        if (components[i] < 0 || components[i] >= target->components) {
            status = sm_fail(SM_ERR_INPUT, "%s: attribute 'flip_negates' of %s names component %lld of %d",
                             sm_h5_path(file), object, (long long)components[i], target->components);
            goto done;
        }
        target->flip_negates |= 1u << components[i];
    }
done:
    sm_free(components);
    return status;
}

static sm_status read_turning(const sm_h5 *file, const char *object, int is_standard, sm_target *target)
{
    int turning = (int)(is_standard ? target->turning : sm_target_turning_of(target->scaling));
    sm_status status = read_word(file, object, "turning", sm_target_turning_names, SM_TURNINGS, &turning);
    target->turning = (sm_target_turning)turning;
    if (status == SM_OK && target->turning != SM_TURNING_NONE && target->components < 2) {
        status = sm_fail(SM_ERR_INPUT,
                         "%s: attribute 'turning' of %s is '%s', which takes 2 components and more; there is one",
                         sm_h5_path(file), object, sm_target_turning_names[turning]);
    }
    return status;
}

static sm_status read_bound(const sm_h5 *file, const char *object, const char *attribute, double *bound)
{
    return sm_h5_has_attribute(file, object, attribute) ? sm_h5_read_attribute_double(file, object, attribute, bound)
                                                        : SM_OK;
}

/* What an array that is no standard target shows by its shape: (N), (N,D), (N,H,W) or (N,H,W,D). */
static sm_status describe_shape(const sm_h5 *file, const char *object, sm_target *target)
{
    sm_h5_info info;
    sm_status status = sm_h5_query(file, object, &info);
    if (status != SM_OK) {
        return status;
    }
    int has_components = info.rank == 2 || info.rank == 4;
    size_t components = has_components ? info.shape[info.rank - 1] : 1;
    size_t most = target->type == SM_TARGET_REAL     ? (size_t)SM_COMPONENTS_MAX
                  : target->type == SM_TARGET_LABELS ? (size_t)SM_CLASSES_MAX
                                                     : 1;
    if (info.rank < 1 || info.rank > 4 || components < 1 || components > most) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: %s has %d %s and %zu %s, expected (N), (N,H,W) and, of real values and "
                       "labels, (N,D), (N,H,W,D) with D up to %d and %d",
                       sm_h5_path(file), object, info.rank, sm_plural(info.rank, "dimension", "dimensions"), components,
                       sm_plural((int64_t)components, "component", "components"), SM_COMPONENTS_MAX, SM_CLASSES_MAX);
    }
    target->scope = info.rank >= 3 ? SM_SCOPE_PIXEL : SM_SCOPE_SAMPLE;
    target->components = (int)components;
    return SM_OK;
}

/* \param [in,out] target  the standard target of that name, or only its name */
static sm_status describe(const sm_h5 *file, const char *object, int is_standard, sm_target *target, char **unit)
{
    sm_status status = SM_OK;
    int type = (int)target->type, scaling = (int)target->scaling;
    SM_TRY(read_word(file, object, "type", sm_target_type_names, SM_TARGET_TYPES, &type));
    if (is_standard && type != (int)target->type) {
        return sm_fail(SM_ERR_INPUT, "%s: attribute 'type' of %s is '%s', but a target of that name is '%s'",
                       sm_h5_path(file), object, sm_target_type_names[type], sm_target_type_names[target->type]);
    }
    target->type = (sm_target_type)type;
    if (!is_standard) {
        SM_TRY(describe_shape(file, object, target));
    }
    SM_TRY(read_word(file, object, "scaling", sm_target_scaling_names, SM_SCALINGS, &scaling));
    target->scaling = (sm_target_scaling)scaling;
    if (target->scaling == SM_SCALING_AXES && target->components != 2) {
        return sm_fail(SM_ERR_INPUT, "%s: attribute 'scaling' of %s is 'axes', which takes 2 components; there are %d",
                       sm_h5_path(file), object, target->components);
    }
    SM_TRY(read_turning(file, object, is_standard, target));
    SM_TRY(read_flip(file, object, target));
    SM_TRY(read_bound(file, object, "least", &target->least));
    SM_TRY(read_bound(file, object, "most", &target->most));
    if (target->type == SM_TARGET_REAL &&
        !(target->least >= -SM_GREATEST_REAL && target->least <= target->most && target->most <= SM_GREATEST_REAL)) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: attributes 'least', 'most' of %s are %g, %g: expected -%g <= least <= most <= %g",
                       sm_h5_path(file), object, sm_shown(target->least), sm_shown(target->most), SM_GREATEST_REAL,
                       SM_GREATEST_REAL);
    }
    if (sm_h5_has_attribute(file, object, "unit")) {
        SM_TRY(sm_h5_read_attribute_text(file, object, "unit", unit));
        target->unit = *unit;
    }
done:
    return status;
}

/* Standard targets are maps: a value a sample of such a name (the depth of a beam, in a table) is what it says itself. */
static int describes_itself(const sm_h5 *file, const char *object)
{
    sm_h5_info info;
    return sm_h5_has_attribute(file, object, "type") && sm_h5_query(file, object, &info) == SM_OK && info.rank <= 2;
}

sm_status sm_target_read_description(const sm_h5 *file, const char *object, const char *name, sm_target **out,
                                     int64_t *ignored)
{
    sm_status status = SM_OK;
    char *unit = NULL;
    sm_target *target = NULL;
    const sm_target *standard = describes_itself(file, object) ? NULL : sm_standard_target(name);
    const sm_target named = {.name = name, .unit = "", .least = -SM_GREATEST_REAL, .most = SM_GREATEST_REAL};
    sm_target description = standard ? *standard : named;
    SM_TRY(describe(file, object, standard != NULL, &description, &unit));
    target = sm_target_copy(&description);
    *ignored = SM_CLASS_IGNORED;
    if (description.type == SM_TARGET_CLASS || description.type == SM_TARGET_LABELS) {
        SM_TRY(read_classes(file, object, &target, ignored));
    }
    *out = target;
    target = NULL;
done:
    sm_free(target);
    sm_free(unit);
    return status;
}

/* Types of which every number, or its rounding to a float, finds a place in memory; the last is what it becomes. */
static const struct {
    sm_h5_type types[6];
    int count;
} readable[SM_TARGET_TYPES] = {
    [SM_TARGET_CLASS] = {{SM_H5_INT16, SM_H5_U16, SM_H5_INT32, SM_H5_U32, SM_H5_INT64, SM_H5_U8}, 6},
    [SM_TARGET_INSTANCE] = {{SM_H5_U8, SM_H5_INT16, SM_H5_INT32, SM_H5_U32, SM_H5_INT64, SM_H5_U16}, 6},
    [SM_TARGET_REAL] = {{SM_H5_HALF, SM_H5_DOUBLE, SM_H5_FLOAT}, 3},
    [SM_TARGET_LABELS] = {{SM_H5_INT16, SM_H5_U16, SM_H5_INT32, SM_H5_U32, SM_H5_INT64, SM_H5_U8}, 6},
};

/* \param [out] type  as stored, if it can be read; else the one that is expected */
static sm_status find_type(const sm_h5 *file, const char *object, const sm_target *target, sm_h5_type *type)
{
    sm_h5_info info;
    sm_status status = sm_h5_query(file, object, &info);
    *type = sm_target_h5_type(target);
    for (int i = 0; status == SM_OK && i < readable[target->type].count; i++) {
        *type = readable[target->type].types[i] == info.type ? info.type : *type;
    }
    return status;
}

static sm_status add_target(const sm_h5 *file, const char *split, const char *name, file_part *part)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    size_t shape[4];
    sm_h5_type type;
    if (part->target_count == SM_TARGETS_MAX) {
        return sm_fail(SM_ERR_INPUT, "%s: split '%s' has more than %d targets", part->path, split, SM_TARGETS_MAX);
    }
    stored_target *stored = &part->targets[part->target_count];
    sm_array_object(object, split, name, "");
    SM_TRY(sm_target_read_description(file, object, name, &stored->target, &stored->ignored));
    part->target_count++;
    const sm_target *target = stored->target;
    if (part->input.kind->is_table && target->scope == SM_SCOPE_PIXEL) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: %s is a map, a value a pixel, but the split has features in place of images: values a "
                       "sample expected, (N) or (N,D), with an attribute 'type'",
                       part->path, object);
    }
    stored->memory = sm_target_h5_type(target);
    stored->memory_bytes = sm_target_sample_bytes(target, part->input.height, part->input.width);
    int rank = sm_target_shape(target, part->count, part->input.height, part->input.width, shape);
    SM_TRY(find_type(file, object, target, &type));
    SM_TRY(locate(file, split, name, type, rank, shape, &stored->array));
done:
    return status;
}

/* Standard targets first; then what describes itself. */
static sm_status read_targets(const sm_h5 *file, const char *split, file_part *part)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES], **names = NULL;
    size_t count = 0;
    for (const sm_target *target = sm_standard_targets; target->name; target++) {
        if (sm_h5_has_dataset(file, sm_array_object(object, split, target->name, ""))) {
            SM_TRY(add_target(file, split, target->name, part));
        }
    }
    SM_TRY(sm_h5_list(file, split, &names, &count));
    for (size_t i = 0; i < count; i++) {
        sm_array_object(object, split, names[i], "");
        if (!sm_standard_target(names[i]) && sm_h5_has_dataset(file, object) &&
            sm_h5_has_attribute(file, object, "type")) {
            SM_TRY(add_target(file, split, names[i], part));
        }
    }
done:
    sm_free(names);
    return status;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

/* Compares each sample's values, as they are stored, with their checksums, where there are some. */
static sm_status check_facts(const sm_h5 *file, const char *split, const char *name, const file_part *part)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES], checked[SM_OBJECT_BYTES];
    sm_h5_info info;
    size_t count = (size_t)part->count;
    uint8_t *values = NULL;
    uint32_t *checksums = NULL;
    sm_array_object(object, split, name, "");
    sm_array_object(checked, split, name, "_crc32c");
    if (!sm_h5_has_dataset(file, object) || !sm_h5_has_dataset(file, checked)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_query(file, object, &info));
    size_t bytes = info.count / count * sm_h5_type_bytes(info.type);
    values = sm_alloc(count * bytes + 1);
    checksums = sm_alloc(count * sizeof *checksums);
    SM_TRY(sm_h5_read(file, object, info.type, info.rank, info.shape, values));
    SM_TRY(sm_h5_read(file, checked, SM_H5_U32, 1, &count, checksums));
    for (size_t i = 0; i < count; i++) {
        uint32_t found = sm_crc32c(0, values + i * bytes, bytes);
        if (found != checksums[i]) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s of sample %zu is damaged: CRC32C %08x, %08x expected", part->path,
                           object, i, found, checksums[i]));
        }
    }
done:
    sm_free(values);
    sm_free(checksums);
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

static sm_status read_sample_facts(const sm_h5 *file, const char *split, file_part *part)
{
    sm_status status = SM_OK;
    static const char *const facts[] = {"original_size", "baseline_metres", "fx_pixels"};
    char object[SM_OBJECT_BYTES];
    if (sm_h5_has_dataset(file, sm_array_object(object, split, "name", ""))) {
        size_t count;
        SM_TRY(sm_h5_read_texts(file, object, &part->names, &count));
        if ((int64_t)count != part->count) {
            status = sm_fail(SM_ERR_INPUT, "%s: %s has %zu %s, expected %lld", part->path, object, count,
                             sm_plural((int64_t)count, "name", "names"), (long long)part->count);
            goto done;
        }
    }
    if (sm_h5_has_dataset(file, sm_array_object(object, split, "original_size", ""))) {
        SM_TRY(read_original_size(file, object, part));
    }
    sm_array_object(object, split, "baseline_metres", "");
    SM_TRY(read_optional_doubles(file, object, part->count, &part->baseline_metres));
    sm_array_object(object, split, "fx_pixels", "");
    SM_TRY(read_optional_doubles(file, object, part->count, &part->fx_pixels));
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        SM_TRY(check_facts(file, split, facts[i], part)); /* now that they have the shape of facts */
    }
done:
    return status;
}

static int needs_hdf5(const file_part *part)
{
    int needs = part->input_array.offset == SM_H5_NO_OFFSET;
    for (int t = 0; t < part->target_count; t++) {
        needs |= part->targets[t].array.offset == SM_H5_NO_OFFSET;
    }
    return needs;
}

sm_status sm_file_part_open(const char *path, const char *split, file_part *part)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    part->path = sm_strdup(path);
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(check_format(file));
    SM_TRY(find_input_kind(file, split, &part->input.kind));
    if (!part->input.kind) {
        status = fail_no_split(file, split);
        goto done;
    }
    SM_TRY(check_arrays(file, split));
    SM_TRY(read_input(file, split, part));
    SM_TRY(read_statistics(file, part));
    SM_TRY(read_targets(file, split, part));
    SM_TRY(read_sample_facts(file, split, part));
    SM_TRY(sm_file_open_read(path, &part->file));
    part->verified = sm_alloc_zeroed((size_t)part->count * sizeof *part->verified);
    if (needs_hdf5(part)) {
        part->h5 = file;
        file = NULL;
    }
done:
    sm_h5_close(file);
    return status;
}

static void free_array(stored_array *array)
{
    sm_free(array->object);
    sm_free(array->checksums);
}

void sm_file_part_close(file_part *part)
{
    sm_file_close(part->file);
    sm_h5_close(part->h5);
    free_array(&part->input_array);
    for (int t = 0; t < part->target_count; t++) {
        free_array(&part->targets[t].array);
        sm_free(part->targets[t].target);
    }
    sm_free(part->statistics);
    sm_free(part->feature_names);
    sm_free(part->names);
    sm_free(part->original_size);
    sm_free(part->baseline_metres);
    sm_free(part->fx_pixels);
    sm_free((void *)part->verified);
    sm_free(part->path);
}
