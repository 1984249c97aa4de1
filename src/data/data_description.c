#include "data/dataset_format.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/data/data_description.h>

#include <math.h>
#include <string.h>

static const char version_name[] = "description_version", names_name[] = "feature_names";
enum { VERSION = 1, MOST_SIDE = 65536 };

/* ---- in memory --------------------------------------------------------------------------------------------------- */

/* \return names in one block, freed with sm_free(); NULL of NULL */
static char **copy_names(const char *const *names, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; names && i < count; i++) {
        bytes += strlen(names[i]) + 1;
    }
    char **copy = names ? sm_alloc(count * sizeof *copy + bytes) : NULL, *at = names ? (char *)(copy + count) : NULL;
    for (size_t i = 0; names && i < count; i++) {
        copy[i] = memcpy(at, names[i], strlen(names[i]) + 1);
        at += strlen(names[i]) + 1;
    }
    return copy;
}

static sm_data_description *make(const sm_input *input, int crop_height, int crop_width)
{
    sm_data_description *description = sm_alloc_zeroed(sizeof *description);
    size_t channels = (size_t)input->channels;
    description->input = *input;
    description->crop_height = crop_height;
    description->crop_width = crop_width;
    description->statistics = sm_alloc(2 * channels * sizeof(double));
    description->input.mean = memcpy(description->statistics, input->mean, channels * sizeof(double));
    description->input.std = memcpy(description->statistics + channels, input->std, channels * sizeof(double));
    description->feature_names = copy_names(input->names, channels);
    description->input.names = (const char *const *)description->feature_names;
    return description;
}

sm_data_description *sm_data_description_new(const sm_dataset *dataset, const sm_augmentation *augmentation)
{
    sm_input input = *sm_dataset_input(dataset);
    input.height = augmentation->height;
    input.width = augmentation->width;
    sm_data_description *description = make(&input, augmentation->crop_height, augmentation->crop_width);
    const sm_target *const *targets = sm_dataset_targets(dataset, &description->target_count);
    for (int t = 0; t < description->target_count; t++) {
        description->targets[t] = sm_target_copy(targets[t]);
    }
    return description;
}

sm_data_description *sm_data_description_copy(const sm_data_description *from)
{
    sm_data_description *description = make(&from->input, from->crop_height, from->crop_width);
    description->target_count = from->target_count;
    for (int t = 0; t < from->target_count; t++) {
        description->targets[t] = sm_target_copy(from->targets[t]);
    }
    return description;
}

void sm_data_description_free(sm_data_description *description)
{
    if (description) {
        for (int t = 0; t < description->target_count; t++) {
            sm_free(description->targets[t]);
        }
        sm_free(description->statistics);
        sm_free(description->feature_names);
        sm_free(description);
    }
}

/* ---- in a file --------------------------------------------------------------------------------------------------- */

/* The sizes, by their names in the file. */
static const char *const size_names[] = {"height", "width", "crop_height", "crop_width"};
enum { SIZES = sizeof size_names / sizeof *size_names };

/* One number of nothing: an array carries the description, and its shape is a part of that. */
static sm_status write_target(sm_h5 *file, const char *group, const sm_target *target)
{
    sm_status status = SM_OK;
    static const char zeros[SM_COMPONENTS_MAX * sizeof(float) + SM_CLASSES_MAX]; /* of the widest target */
    char *object = sm_format("%s/%s", group, target->name);
    size_t shape[4];
    int rank = sm_target_shape(target, 1, 1, 1, shape);
    SM_TRY(sm_h5_write(file, object, sm_target_h5_type(target), rank, shape, zeros));
    SM_TRY(sm_target_write_description(file, object, target));
done:
    sm_free(object);
    return status;
}

sm_status sm_data_description_write(const sm_data_description *description, sm_h5 *file, const char *group)
{
    sm_status status = SM_OK;
    const sm_input *input = &description->input;
    size_t channels = (size_t)input->channels;
    const int sizes[SIZES] = {input->height, input->width, description->crop_height, description->crop_width};
    SM_TRY(sm_h5_make_group(file, group));
    SM_TRY(sm_h5_write_attribute_int64(file, group, version_name, VERSION));
    SM_TRY(sm_h5_write_attribute_text(file, group, "input", input->kind->name));
    SM_TRY(sm_h5_write_attribute_doubles(file, group, "mean", input->mean, channels));
    SM_TRY(sm_h5_write_attribute_doubles(file, group, "std", input->std, channels));
    if (input->names) {
        SM_TRY(sm_h5_write_attribute_texts(file, group, names_name, input->names, channels));
    }
    for (int i = 0; i < SIZES; i++) {
        SM_TRY(sm_h5_write_attribute_int64(file, group, size_names[i], sizes[i]));
    }
    for (int t = 0; t < description->target_count; t++) {
        SM_TRY(write_target(file, group, description->targets[t]));
    }
done:
    return status;
}

static sm_status read_kind(const sm_h5 *file, const char *group, const sm_input_kind **out)
{
    sm_status status = SM_OK;
    char *name = NULL;
    *out = NULL;
    SM_TRY(sm_h5_read_attribute_text(file, group, "input", &name));
    for (const sm_input_kind *kind = sm_input_kinds; kind->name; kind++) {
        *out = strcmp(kind->name, name) == 0 ? kind : *out;
    }
    if (!*out) {
        status = sm_fail(SM_ERR_INPUT, "%s: %s attribute 'input' is '%s', which this version does not know",
                         sm_h5_path(file), group, name);
    }
done:
    sm_free(name);
    return status;
}

/* \param [in,out] channels  how many there are; 0: as many as there are, which is put there */
static sm_status read_statistic(const sm_h5 *file, const char *group, const char *name, const sm_input_kind *kind,
                                double least, int *channels, double **out)
{
    sm_status status = SM_OK;
    size_t count = 0;
    SM_TRY(sm_h5_read_attribute_doubles(file, group, name, out, &count));
    *channels = *channels == 0 && count <= SM_FEATURES_MAX ? (int)count : *channels;
    if (count != (size_t)*channels || count == 0) {
        return sm_fail(SM_ERR_INPUT, "%s: %s attribute '%s' has %zu %s, expected %d (%s)", sm_h5_path(file), group,
                       name, count, sm_plural((int64_t)count, "number", "numbers"), *channels, kind->channel_names);
    }
    for (size_t c = 0; c < count; c++) {
        if (!isfinite((*out)[c]) || !((*out)[c] > least)) {
            return sm_fail(SM_ERR_INPUT, "%s: %s attribute '%s' holds %g, expected finite numbers%s", sm_h5_path(file),
                           group, name, sm_shown((*out)[c]), least == 0 ? " above 0" : "");
        }
    }
done:
    return status;
}

/* \param [out] names  freed with sm_free(); NULL without the attribute */
static sm_status read_names(const sm_h5 *file, const char *group, int channels, char ***names)
{
    sm_status status = SM_OK;
    size_t count = 0;
    if (!sm_h5_has_attribute(file, group, names_name)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_texts(file, group, names_name, names, &count));
    if (count != (size_t)channels) {
        status = sm_fail(SM_ERR_INPUT, "%s: %s attribute '%s' has %zu %s, expected %d", sm_h5_path(file), group,
                         names_name, count, sm_plural((int64_t)count, "name", "names"), channels);
    }
done:
    return status;
}

static sm_status read_sizes(const sm_h5 *file, const char *group, int sizes[SIZES])
{
    sm_status status = SM_OK;
    for (int i = 0; i < SIZES; i++) {
        int64_t size;
        SM_TRY(sm_h5_read_attribute_int64(file, group, size_names[i], &size));
        if (size < 1 || size > MOST_SIDE) {
            return sm_fail(SM_ERR_INPUT, "%s: %s attribute '%s' is %lld, expected 1 to %d", sm_h5_path(file), group,
                           size_names[i], (long long)size, MOST_SIDE);
        }
        sizes[i] = (int)size;
    }
done:
    return status;
}

static sm_status read_targets(const sm_h5 *file, const char *group, sm_data_description *description)
{
    sm_status status = SM_OK;
    char **names = NULL;
    size_t count = 0;
    SM_TRY(sm_h5_list(file, group, &names, &count));
    if (count > SM_TARGETS_MAX) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s has %zu targets, expected at most %d", sm_h5_path(file), group, count,
                       SM_TARGETS_MAX));
    }
    for (size_t i = 0; i < count; i++) {
        int64_t ignored;
        char *object = sm_format("%s/%s", group, names[i]);
        status = sm_target_read_description(file, object, names[i], &description->targets[i], &ignored);
        sm_free(object);
        SM_TRY(status);
        description->target_count++;
    }
done:
    sm_free(names);
    return status;
}

sm_status sm_data_description_read(const sm_h5 *file, const char *group, sm_data_description **out)
{
    sm_status status = SM_OK;
    sm_data_description *description = NULL;
    double *mean = NULL, *std = NULL;
    char **names = NULL;
    int64_t version;
    int sizes[SIZES];
    sm_input input = {0};
    SM_TRY(sm_h5_read_attribute_int64(file, group, version_name, &version));
    if (version != VERSION) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s attribute '%s' is %lld, expected %d", sm_h5_path(file), group,
                       version_name, (long long)version, VERSION));
    }
    SM_TRY(read_kind(file, group, &input.kind));
    input.channels = input.kind->channels;
    SM_TRY(read_statistic(file, group, "mean", input.kind, -INFINITY, &input.channels, &mean));
    SM_TRY(read_statistic(file, group, "std", input.kind, 0, &input.channels, &std));
    SM_TRY(read_names(file, group, input.channels, &names));
    input.names = (const char *const *)names;
    SM_TRY(read_sizes(file, group, sizes));
    input.height = sizes[0];
    input.width = sizes[1];
    input.mean = mean;
    input.std = std;
    description = make(&input, sizes[2], sizes[3]);
    SM_TRY(read_targets(file, group, description));
    *out = description;
    description = NULL;
done:
    sm_data_description_free(description);
    sm_free(names);
    sm_free(mean);
    sm_free(std);
    return status;
}
