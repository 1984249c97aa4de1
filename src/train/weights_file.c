#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/data_description.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5_checksums.h>
#include <sigmatic/io/safetensors.h>
#include <sigmatic/train/run_checkpoint.h>
#include <sigmatic/train/weights_file.h>

#include "train/tensor_checksum.h"
#include "train/weights_pickle.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char CHECKPOINT[] = "sigmatic-checkpoint", AVERAGE[] = "/ema";
enum { STATISTICS_MAX = 4096 /* channels of an image, or features of a table */ };
_Static_assert((int)SM_WEIGHTS_MAX_RANK == (int)SM_H5_MAX_RANK &&
                   (int)SM_WEIGHTS_MAX_RANK == (int)SM_SAFETENSORS_MAX_RANK,
               "a tensor of either kind of file fits, and can be written to the other");

struct sm_weights_source {
    size_t capacity;   /* of the list of tensors */
    sm_h5 *h5;         /* this or safetensors is open */
    const char *group; /* of the tensors in the HDF5 file, "" the root */
    sm_safetensors *safetensors;
};

static sm_weights_tensor *add_tensor(sm_weights_file *weights, const char *name, const char *type, int is_real,
                                     int rank, const size_t *shape)
{
    enum { FIRST = 256 };
    sm_weights_source *source = weights->source;
    if (weights->count == source->capacity) {
        source->capacity = source->capacity > 0 ? 2 * source->capacity : FIRST;
        weights->tensors = sm_realloc(weights->tensors, source->capacity * sizeof *weights->tensors);
    }
    sm_weights_tensor *tensor = &weights->tensors[weights->count++];
    *tensor = (sm_weights_tensor){.name = sm_strdup(name), .type = type, .is_real = is_real, .rank = rank, .count = 1};
    for (int d = 0; d < rank; d++) {
        tensor->shape[d] = shape[d];
        tensor->count *= shape[d];
    }
    return tensor;
}

/* Takes both over. What normalises images is finite, and divides by more than 0. */
static sm_status set_statistics(sm_weights_file *weights, double *mean, size_t means, double *std, size_t stds)
{
    int right = means == stds && means > 0 && means <= STATISTICS_MAX;
    for (size_t c = 0; right && c < means; c++) {
        right = isfinite(mean[c]) && isfinite(std[c]) && std[c] > 0;
    }
    if (!right) {
        sm_free(mean);
        sm_free(std);
        return sm_fail(SM_ERR_INPUT,
                       "%s: its mean and std are not one number a channel of the image each, those of std above 0",
                       weights->path);
    }
    weights->mean = mean;
    weights->std = std;
    weights->channels = (int)means;
    return SM_OK;
}

/* ---- HDF5 ---------------------------------------------------------------------------------------------------------- */

static const char *h5_type_name(sm_h5_type type)
{
    static const char *const names[] = {
        [SM_H5_HALF] = "float16", [SM_H5_FLOAT] = "float32", [SM_H5_DOUBLE] = "float64", [SM_H5_INT64] = "int64",
        [SM_H5_INT32] = "int32",  [SM_H5_INT16] = "int16",   [SM_H5_U8] = "uint8",       [SM_H5_U16] = "uint16",
        [SM_H5_U32] = "uint32",   [SM_H5_TEXT] = "text",     [SM_H5_OTHER] = "other",
    };
    return names[type];
}

static char *object_of(const sm_weights_file *weights, const char *name)
{
    return sm_format("%s/%s", weights->source->group, name);
}

/* Buffers have no average. */
static char *object_to_read(const sm_weights_file *weights, const char *name)
{
    char *average = sm_format("%s/%s", AVERAGE, name);
    if (weights->is_average && sm_h5_has_dataset(weights->source->h5, average)) {
        return average;
    }
    sm_free(average);
    return object_of(weights, name);
}

static int has_checksum(const sm_weights_file *weights, const char *name)
{
    char *object = object_to_read(weights, name);
    int has = sm_h5_has_attribute(weights->source->h5, object, "crc32c");
    sm_free(object);
    return has;
}

static sm_status list_h5(sm_weights_file *weights)
{
    sm_status status = SM_OK;
    const sm_h5 *file = weights->source->h5;
    char **names = NULL, *object = NULL;
    size_t count = 0;
    SM_TRY(sm_h5_list(file, *weights->source->group ? weights->source->group : "/", &names, &count));
    for (size_t i = 0; i < count; i++) {
        sm_h5_info info;
        sm_free(object);
        object = object_of(weights, names[i]);
        if (!sm_h5_has_dataset(file, object)) {
            continue;
        }
        SM_TRY(sm_h5_query(file, object, &info));
        int is_real = info.type == SM_H5_HALF || info.type == SM_H5_FLOAT || info.type == SM_H5_DOUBLE;
        add_tensor(weights, names[i], h5_type_name(info.type), is_real, info.rank, info.shape);
        weights->checksums += is_real && has_checksum(weights, names[i]);
    }
done:
    sm_free(object);
    sm_free(names);
    return status;
}

static sm_status read_h5_statistics(sm_weights_file *weights)
{
    sm_status status = SM_OK;
    const sm_h5 *file = weights->source->h5;
    double *mean = NULL, *std = NULL;
    size_t means = 0, stds = 0;
    if (sm_h5_has_attribute(file, "/", "mean") && sm_h5_has_attribute(file, "/", "std")) {
        SM_TRY(sm_h5_read_attribute_doubles(file, "/", "mean", &mean, &means));
        SM_TRY(sm_h5_read_attribute_doubles(file, "/", "std", &std, &stds));
        status = set_statistics(weights, mean, means, std, stds);
        mean = std = NULL;
    }
done:
    sm_free(mean);
    sm_free(std);
    return status;
}

static double *copy_of(const double *values, int count)
{
    double *copy = sm_alloc((size_t)count * sizeof *copy);
    return memcpy(copy, values, (size_t)count * sizeof *copy);
}

static sm_status open_checkpoint(sm_weights_file *weights)
{
    sm_status status = SM_OK;
    const sm_h5 *file = weights->source->h5;
    sm_data_description *data = NULL;
    weights->kind = "checkpoint";
    weights->source->group = "/model";
    weights->is_average = sm_h5_has_group(file, AVERAGE);
    SM_TRY(sm_h5_read_attribute_text(file, "/", "config", &weights->config));
    if (sm_h5_has_group(file, "/data")) {
        SM_TRY(sm_data_description_read(file, "/data", &data));
        weights->channels = data->input.channels;
        weights->mean = copy_of(data->input.mean, weights->channels);
        weights->std = copy_of(data->input.std, weights->channels);
    }
done:
    sm_data_description_free(data);
    return status;
}

/* Of what `weights export` wrote; files of others say none. */
static sm_status check_version(const sm_h5 *file)
{
    enum { VERSION = 1 };
    return sm_h5_has_attribute(file, "/", "format_version") ? sm_h5_check_version(file, VERSION, VERSION) : SM_OK;
}

static sm_status open_state_dict(sm_weights_file *weights)
{
    static const char *const groups[] = {"/model", "/state_dict"};
    weights->kind = "HDF5";
    weights->source->group = "";
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (sm_h5_has_group(weights->source->h5, groups[i])) {
            weights->source->group = groups[i];
        }
    }
    return read_h5_statistics(weights);
}

static sm_status open_h5(sm_weights_file *weights)
{
    sm_status status = SM_OK;
    char *format = NULL;
    SM_TRY(sm_h5_open(weights->path, &weights->source->h5));
    SM_TRY(sm_h5_check_checksums(weights->source->h5, NULL));
    if (sm_h5_has_attribute(weights->source->h5, "/", "format")) {
        SM_TRY(sm_h5_read_attribute_text(weights->source->h5, "/", "format", &format));
    }
    if (format && strcmp(format, CHECKPOINT) == 0) {
        SM_TRY(open_checkpoint(weights));
    } else if (format && strncmp(format, "sigmatic-", 9) == 0 && strcmp(format, "sigmatic-weights") != 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: is a '%s', expected weights: a '%s', a state_dict in HDF5, or safetensors",
                       weights->path, format, CHECKPOINT));
    } else {
        SM_TRY(format && strcmp(format, "sigmatic-weights") == 0 ? check_version(weights->source->h5) : SM_OK);
        SM_TRY(open_state_dict(weights));
    }
    SM_TRY(list_h5(weights));
done:
    sm_free(format);
    return status;
}

static sm_status read_h5(const sm_weights_file *weights, const sm_weights_tensor *tensor, float *values)
{
    sm_status status = SM_OK;
    const sm_h5 *file = weights->source->h5;
    char *object = object_to_read(weights, tensor->name);
    SM_TRY(sm_h5_read(file, object, SM_H5_FLOAT, tensor->rank, tensor->shape, values));
    SM_TRY(sm_tensor_check(file, object, values, tensor->count * sizeof *values));
done:
    sm_free(object);
    return status;
}

/* ---- safetensors --------------------------------------------------------------------------------------------------- */

/* Their types by the names of NumPy, as those of HDF5. */
static const char *safetensors_type_name(const char *type)
{
    static const char *const names[][2] = {{"F64", "float64"},   {"F32", "float32"}, {"F16", "float16"},
                                           {"BF16", "bfloat16"}, {"I64", "int64"},   {"I32", "int32"},
                                           {"I16", "int16"},     {"U8", "uint8"},    {"BOOL", "bool"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i][0], type) == 0) {
            return names[i][1];
        }
    }
    return type;
}

/* Numbers out of a text like "[0.485, 0.456, 0.406]", with or without brackets. \return how many; 0 if that is no such text */
static size_t numbers_of(const char *text, double values[STATISTICS_MAX])
{
    size_t count = 0;
    text += strspn(text, " [(");
    while (count < STATISTICS_MAX) {
        char *end;
        values[count] = strtod(text, &end);
        if (end == text) {
            return 0;
        }
        count++;
        text = end + strspn(end, " ");
        if (*text != ',') {
            break;
        }
        text += 1 + strspn(text + 1, " ");
    }
    return text[strspn(text, " ])")] == '\0' ? count : 0;
}

static sm_status read_safetensors_statistics(sm_weights_file *weights)
{
    const char *mean_text = sm_safetensors_metadata(weights->source->safetensors, "mean");
    const char *std_text = sm_safetensors_metadata(weights->source->safetensors, "std");
    double mean[STATISTICS_MAX], std[STATISTICS_MAX];
    if (!mean_text || !std_text) {
        return SM_OK;
    }
    size_t means = numbers_of(mean_text, mean), stds = numbers_of(std_text, std);
    return set_statistics(weights, copy_of(mean, (int)means), means, copy_of(std, (int)stds), stds);
}

static sm_status open_safetensors(sm_weights_file *weights)
{
    sm_status status = SM_OK;
    weights->kind = "safetensors";
    SM_TRY(sm_safetensors_open(weights->path, &weights->source->safetensors));
    const sm_safetensors *file = weights->source->safetensors;
    for (size_t i = 0; i < sm_safetensors_count(file); i++) {
        const sm_safetensor *tensor = sm_safetensors_get(file, i);
        add_tensor(weights, tensor->name, safetensors_type_name(tensor->type), tensor->is_real, tensor->rank,
                   tensor->shape);
    }
    const char *config = sm_safetensors_metadata(file, "config");
    weights->config = config ? sm_strdup(config) : NULL;
    SM_TRY(read_safetensors_statistics(weights));
done:
    return status;
}

static sm_status read_safetensors(const sm_weights_file *weights, size_t index, float *values)
{
    const sm_safetensors *file = weights->source->safetensors;
    return sm_safetensors_read(file, sm_safetensors_get(file, index), values);
}

/* ---- any kind ------------------------------------------------------------------------------------------------------ */

/* Of a run's folder its checkpoint. */
static sm_status find_in_folder(sm_weights_file *weights)
{
    sm_status status = SM_OK;
    char *found = NULL;
    if (!sm_folder_exists(weights->path)) {
        return SM_OK;
    }
    SM_TRY(sm_run_checkpoint(weights->path, &found));
    if (!found) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s: a folder without a checkpoint: expected a file of weights, or a run's folder with "
                       "checkpoints/best.h5 or checkpoints/step-*.h5",
                       weights->path));
    }
    sm_log_info("%s: taking %s", weights->path, found);
    sm_free(weights->path);
    weights->path = found;
done:
    return status;
}

/* What a file is stands in its first bytes; those of safetensors are a length, and then a brace. */
static sm_status open_any(sm_weights_file *weights)
{
    sm_status status = SM_OK;
    sm_file *file = NULL;
    uint64_t bytes = 0;
    char start[9] = "";
    SM_TRY(find_in_folder(weights));
    SM_TRY(sm_file_size(weights->path, &bytes));
    SM_TRY(sm_file_open_read(weights->path, &file));
    SM_TRY(sm_file_pread(file, start, bytes < sizeof start ? (size_t)bytes : sizeof start, 0));
    if (sm_h5_is_file(weights->path)) {
        SM_TRY(open_h5(weights));
        goto done;
    }
    const char *dot = strrchr(weights->path, '.');
    if (start[8] == '{' || (dot && strcmp(dot, ".safetensors") == 0)) {
        SM_TRY(open_safetensors(weights));
        goto done;
    }
    SM_TRY(sm_weights_refuse_pickle(weights->path, start));
    SM_TRY(sm_fail(SM_ERR_INPUT, "%s: neither an HDF5 file nor safetensors", weights->path));
done:
    sm_file_close(file);
    return status;
}

sm_status sm_weights_file_open(const char *path, sm_weights_file **out)
{
    sm_weights_file *weights = sm_alloc_zeroed(sizeof *weights);
    weights->path = sm_strdup(path);
    weights->source = sm_alloc_zeroed(sizeof *weights->source);
    sm_status status = open_any(weights);
    if (status != SM_OK) {
        sm_weights_file_close(weights);
        weights = NULL;
    }
    *out = weights;
    return status;
}

void sm_weights_file_close(sm_weights_file *weights)
{
    if (!weights) {
        return;
    }
    for (size_t i = 0; i < weights->count; i++) {
        sm_free(weights->tensors[i].name);
    }
    sm_h5_close(weights->source->h5);
    sm_safetensors_close(weights->source->safetensors);
    sm_free(weights->source);
    sm_free(weights->tensors);
    sm_free(weights->mean);
    sm_free(weights->std);
    sm_free(weights->config);
    sm_free(weights->path);
    sm_free(weights);
}

sm_status sm_weights_file_read(const sm_weights_file *weights, size_t index, float *values)
{
    assert(index < weights->count && weights->tensors[index].is_real);
    return weights->source->h5 ? read_h5(weights, &weights->tensors[index], values)
                               : read_safetensors(weights, index, values);
}
