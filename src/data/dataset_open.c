/* Opening one file of a dataset: what the split holds and where it lies. */
#include "data/dataset_format.h"
#include "data/dataset_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/h5_checksums.h>

#include <stdio.h>
#include <string.h>

static sm_status check_format(const sm_h5 *file)
{
    sm_status status = SM_OK;
    char *format = NULL;
    if (!sm_h5_has_attribute(file, "/", "format")) {
        return sm_fail(SM_ERR_INPUT, "%s: no attribute 'format', expected '" SM_DATASET_FORMAT "'", sm_h5_path(file));
    }
    SM_TRY(sm_h5_read_attribute_text(file, "/", "format", &format));
    if (strcmp(format, SM_DATASET_FORMAT) != 0) {
        status = sm_fail(SM_ERR_INPUT, "%s: attribute 'format' is '%s', expected '" SM_DATASET_FORMAT "'",
                         sm_h5_path(file), format);
        goto done;
    }
    SM_TRY(sm_h5_check_version(file, SM_DATASET_OLDEST_VERSION, SM_DATASET_VERSION));
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
    sm_nearest nearest = {.wanted = split};
    sm_status status = list_splits(file, &names, &count);
    for (size_t i = 0; status == SM_OK && i < count; i++) {
        sm_nearest_consider(&nearest, names[i]);
        size_t used = strlen(found);
        snprintf(found + used, sizeof found - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    char *question = sm_nearest_question(&nearest);
    status = sm_fail(SM_ERR_INPUT, "%s: no split '%s' (a group with a dataset 'image' or 'features'); there %s: %s%s",
                     sm_h5_path(file), split, count == 1 ? "is" : "are", count > 0 ? found : "none", question);
    sm_free(question);
    sm_free(names);
    return status;
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

/* ---- targets ----------------------------------------------------------------------------------------------------- */

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
    SM_TRY(sm_sample_facts_read(file, split, part));
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
