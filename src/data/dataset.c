/* A dataset: the files of one split as one list of samples, and the reading of a sample. */
#include "data/dataset_private.h"
#include "data/target_convert.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ---- joining files ----------------------------------------------------------------------------------------------- */

/* Class ids only mean something together if every file has the same list. */
static sm_status check_same_classes(const file_part *first, const file_part *other, const sm_target *a,
                                    const sm_target *b)
{
    if (!a->classes) {
        return SM_OK;
    }
    if (b->classes->count != a->classes->count) {
        return sm_fail(SM_ERR_INPUT, "%s: %d %s of '%s', but %s has %d", other->path, b->classes->count,
                       sm_plural(b->classes->count, "class", "classes"), a->name, first->path, a->classes->count);
    }
    for (int c = 0; c < a->classes->count; c++) {
        if (strcmp(b->classes->names[c], a->classes->names[c]) != 0) {
            return sm_fail(SM_ERR_INPUT, "%s: class %d of '%s' is '%s', but in %s it is '%s'", other->path, c, a->name,
                           b->classes->names[c], first->path, a->classes->names[c]);
        }
    }
    return SM_OK;
}

static sm_status check_same_target(const file_part *first, const file_part *other, const sm_target *a,
                                   const sm_target *b)
{
    if (a->type != b->type || a->scope != b->scope || a->components != b->components || a->scaling != b->scaling ||
        a->turning != b->turning || a->flip_negates != b->flip_negates || strcmp(a->unit, b->unit) != 0) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: target '%s' is %s a %s, %d %s, unit '%s', scaling '%s', turning '%s', "
                       "but in %s it is %s a %s, %d %s, unit '%s', scaling '%s', turning '%s'",
                       other->path, a->name, sm_target_type_names[b->type], sm_scope_names[b->scope], b->components,
                       sm_plural(b->components, "component", "components"), b->unit,
                       sm_target_scaling_names[b->scaling], sm_target_turning_names[b->turning], first->path,
                       sm_target_type_names[a->type], sm_scope_names[a->scope], a->components,
                       sm_plural(a->components, "component", "components"), a->unit,
                       sm_target_scaling_names[a->scaling], sm_target_turning_names[a->turning]);
    }
    return check_same_classes(first, other, a, b);
}

static const stored_target *find_target(const file_part *part, const char *name)
{
    for (int t = 0; t < part->target_count; t++) {
        if (strcmp(part->targets[t].target->name, name) == 0) {
            return &part->targets[t];
        }
    }
    return NULL;
}

static const file_part *part_with_target(const sm_dataset *dataset, const char *name)
{
    for (int p = 0; p < dataset->part_count; p++) {
        if (find_target(&dataset->parts[p], name)) {
            return &dataset->parts[p];
        }
    }
    return NULL;
}

/* In the order of the files' own lists: standard targets, then the others by name. */
static int comes_before(const sm_target *a, const sm_target *b)
{
    const sm_target *x = sm_standard_target(a->name), *y = sm_standard_target(b->name);
    return x && y ? x < y : x || y ? x != NULL : strcmp(a->name, b->name) < 0;
}

static sm_status insert_target(sm_dataset *dataset, const sm_target *target)
{
    int place = dataset->target_count;
    if (place == SM_TARGETS_MAX) {
        return sm_fail(SM_ERR_INPUT, "%s and other files: more than %d targets", dataset->parts[0].path,
                       SM_TARGETS_MAX);
    }
    for (; place > 0 && comes_before(target, dataset->targets[place - 1]); place--) {
        dataset->targets[place] = dataset->targets[place - 1];
    }
    dataset->targets[place] = target;
    dataset->target_count++;
    return SM_OK;
}

static sm_status join_targets(sm_dataset *dataset)
{
    sm_status status = SM_OK;
    for (int p = 0; p < dataset->part_count; p++) {
        const file_part *part = &dataset->parts[p];
        for (int t = 0; t < part->target_count; t++) {
            const sm_target *target = part->targets[t].target;
            const file_part *first = part_with_target(dataset, target->name);
            if (first == part) {
                SM_TRY(insert_target(dataset, target));
            } else {
                SM_TRY(check_same_target(first, part, find_target(first, target->name)->target, target));
            }
        }
    }
done:
    return status;
}

static int place_of(const sm_dataset *dataset, const char *name)
{
    int place = 0;
    while (strcmp(dataset->targets[place]->name, name) != 0) {
        place++;
    }
    return place;
}

static void number_targets(sm_dataset *dataset)
{
    for (int p = 0; p < dataset->part_count; p++) {
        for (int t = 0; t < dataset->parts[p].target_count; t++) {
            stored_target *stored = &dataset->parts[p].targets[t];
            stored->place = place_of(dataset, stored->target->name);
        }
    }
}

/* Of tables: as many features, and of the same names where both have names. */
static sm_status check_same_features(const file_part *first, const file_part *other)
{
    const sm_input *a = &first->input, *b = &other->input;
    if (a->channels != b->channels) {
        return sm_fail(SM_ERR_INPUT, "%s: %d %s, but %s has %d", other->path, b->channels,
                       sm_plural(b->channels, "feature", "features"), first->path, a->channels);
    }
    for (int c = 0; a->names && b->names && c < a->channels; c++) {
        if (strcmp(a->names[c], b->names[c]) != 0) {
            return sm_fail(SM_ERR_INPUT, "%s: feature %d is '%s', but in %s it is '%s'", other->path, c, b->names[c],
                           first->path, a->names[c]);
        }
    }
    return SM_OK;
}

/* A network sees its input by one mean and one standard deviation; those of the first file would silently be every
 * file's. */
static sm_status check_same_input(const file_part *first, const file_part *other)
{
    sm_status status = SM_OK;
    if (other->input.kind != first->input.kind) {
        return sm_fail(SM_ERR_INPUT, "%s: input '%s', but %s has '%s'", other->path, other->input.kind->name,
                       first->path, first->input.kind->name);
    }
    SM_TRY(check_same_features(first, other));
    for (int c = 0; c < first->input.channels; c++) {
        if (other->input.mean[c] != first->input.mean[c] || other->input.std[c] != first->input.std[c]) {
            return sm_fail(
                SM_ERR_INPUT,
                "%s: mean %g, std %g of channel %d, but %s has mean %g, std %g: one network needs the same in "
                "all its files",
                other->path, other->input.mean[c], other->input.std[c], c, first->path, first->input.mean[c],
                first->input.std[c]);
        }
    }
done:
    return status;
}

static sm_status join_inputs(sm_dataset *dataset)
{
    sm_status status = SM_OK;
    dataset->input = dataset->parts[0].input;
    for (int p = 1; p < dataset->part_count; p++) {
        const sm_input *input = &dataset->parts[p].input;
        SM_TRY(check_same_input(&dataset->parts[0], &dataset->parts[p]));
        dataset->input.height = input->height > dataset->input.height ? input->height : dataset->input.height;
        dataset->input.width = input->width > dataset->input.width ? input->width : dataset->input.width;
    }
done:
    return status;
}

/* Joins the parts to one list. */
static void number_samples(sm_dataset *dataset)
{
    int unnamed = 0;
    for (int p = 0; p < dataset->part_count; p++) {
        file_part *part = &dataset->parts[p];
        part->first = dataset->count;
        dataset->count += part->count;
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
    *out = NULL;
    for (int p = 0; p < path_count; p++) {
        dataset->part_count++; /* closed after a failure too */
        SM_TRY(sm_file_part_open(paths[p], split, &dataset->parts[p]));
    }
    SM_TRY(join_inputs(dataset));
    SM_TRY(join_targets(dataset));
    number_targets(dataset);
    number_samples(dataset);
    *out = dataset;
    dataset = NULL;
done:
    sm_dataset_close(dataset);
    return status;
}

void sm_dataset_close(sm_dataset *dataset)
{
    if (!dataset) {
        return;
    }
    for (int p = 0; p < dataset->part_count; p++) {
        sm_file_part_close(&dataset->parts[p]);
    }
    sm_free(dataset->parts);
    sm_free(dataset->split);
    sm_free(dataset->unnamed);
    sm_free(dataset->fingerprint);
    sm_free(dataset);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

int64_t sm_dataset_count(const sm_dataset *dataset)
{
    return dataset->count;
}

const sm_target *sm_dataset_target(const sm_dataset *dataset, const char *name)
{
    const file_part *part = part_with_target(dataset, name);
    return part ? find_target(part, name)->target : NULL;
}

const sm_target *const *sm_dataset_targets(const sm_dataset *dataset, int *count)
{
    *count = dataset->target_count;
    return dataset->targets;
}

const char *sm_dataset_target_file(const sm_dataset *dataset, const char *name)
{
    const file_part *part = part_with_target(dataset, name);
    return part ? part->path : NULL;
}

const sm_input *sm_dataset_input(const sm_dataset *dataset)
{
    return &dataset->input;
}

int sm_dataset_without_checksums(const sm_dataset *dataset, const char *names[SM_TARGETS_MAX + 1])
{
    int count = 0, has_input = 1;
    for (int p = 0; p < dataset->part_count; p++) {
        has_input &= dataset->parts[p].input_array.checksums != NULL;
    }
    if (!has_input) {
        names[count++] = dataset->input.kind->name;
    }
    for (int t = 0; t < dataset->target_count; t++) {
        int has = 1;
        for (int p = 0; p < dataset->part_count; p++) {
            const stored_target *stored = find_target(&dataset->parts[p], dataset->targets[t]->name);
            has &= !stored || stored->array.checksums;
        }
        if (!has) {
            names[count++] = dataset->targets[t]->name;
        }
    }
    return count;
}

int sm_dataset_has_checksums(const sm_dataset *dataset)
{
    const char *names[SM_TARGETS_MAX + 1];
    return sm_dataset_without_checksums(dataset, names) == 0;
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
    sm_sample sample = {.index = index, .height = part->input.height, .width = part->input.width};
    sample.baseline_metres = part->baseline_metres ? part->baseline_metres[i] : NAN;
    sample.fx_pixels = part->fx_pixels ? part->fx_pixels[i] : NAN;
    sample.original_height = part->original_size ? part->original_size[2 * i] : part->input.height;
    sample.original_width = part->original_size ? part->original_size[2 * i + 1] : part->input.width;
    return sample;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Room for the input and what is wanted of one sample. */
struct sm_sample_storage {
    uint32_t wanted;
    void *input, *targets[SM_TARGETS_MAX]; /* of each target of the dataset; NULL where it is not wanted */
    void *raw; /* an array as stored, where that is another type than in memory; NULL: none is */
};

/* Bytes of the largest sample. */
typedef struct storage_sizes {
    size_t input, targets[SM_TARGETS_MAX], raw;
} storage_sizes;

static size_t most_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Features may be stored as other floats than those of memory. */
static int input_is_stored_so(const file_part *part)
{
    return !part->input.kind->is_table || part->input_array.type == SM_H5_FLOAT;
}

static storage_sizes find_sizes(const sm_dataset *dataset, uint32_t wanted)
{
    storage_sizes sizes = {0};
    for (int p = 0; p < dataset->part_count; p++) {
        const file_part *part = &dataset->parts[p];
        sizes.input = most_of(sizes.input, part->input_bytes);
        sizes.raw = most_of(sizes.raw, input_is_stored_so(part) ? 0 : part->input_array.bytes);
        for (int t = 0; t < part->target_count; t++) {
            const stored_target *stored = &part->targets[t];
            if (wanted >> stored->place & 1) {
                size_t *bytes = &sizes.targets[stored->place];
                *bytes = most_of(*bytes, stored->memory_bytes);
                sizes.raw = most_of(sizes.raw, stored->array.type != stored->memory ? stored->array.bytes : 0);
            }
        }
    }
    return sizes;
}

sm_sample_storage *sm_sample_storage_new(const sm_dataset *dataset)
{
    return sm_sample_storage_new_of(dataset, UINT32_MAX);
}

sm_sample_storage *sm_sample_storage_new_of(const sm_dataset *dataset, uint32_t wanted)
{
    storage_sizes sizes = find_sizes(dataset, wanted);
    sm_sample_storage *storage = sm_alloc_zeroed(sizeof *storage);
    storage->wanted = wanted;
    storage->input = sm_alloc(sizes.input);
    for (int t = 0; t < SM_TARGETS_MAX; t++) {
        storage->targets[t] = sizes.targets[t] > 0 ? sm_alloc(sizes.targets[t]) : NULL;
    }
    storage->raw = sizes.raw > 0 ? sm_alloc(sizes.raw) : NULL;
    return storage;
}

size_t sm_sample_storage_bytes(const sm_dataset *dataset, uint32_t wanted)
{
    storage_sizes sizes = find_sizes(dataset, wanted);
    size_t bytes = sizeof(sm_sample_storage) + sizes.input + sizes.raw;
    for (int t = 0; t < SM_TARGETS_MAX; t++) {
        bytes += sizes.targets[t];
    }
    return bytes;
}

void sm_sample_storage_free(sm_sample_storage *storage)
{
    if (storage) {
        sm_free(storage->input);
        for (int t = 0; t < SM_TARGETS_MAX; t++) {
            sm_free(storage->targets[t]);
        }
        sm_free(storage->raw);
        sm_free(storage);
    }
}

/* A place in the dataset, for messages. */
typedef struct place_in_file {
    const sm_dataset *dataset;
    const file_part *part;
    int64_t index; /* in the dataset */
    const char *array;
} place_in_file;

/* \return "/train/semantic of sample 3 ('x')", freed with sm_free(). */
static char *text_of(const place_in_file *place)
{
    return sm_format("/%s/%s of sample %lld ('%s')", place->dataset->split, place->array,
                     (long long)(place->index - place->part->first), sm_dataset_name(place->dataset, place->index));
}

sm_status sm_stored_array_read(const file_part *part, const stored_array *array, int64_t sample, void *data)
{
    if (array->offset != SM_H5_NO_OFFSET) {
        return sm_file_pread(part->file, data, array->bytes, array->offset + (uint64_t)sample * array->bytes);
    }
    return sm_h5_read_rows(part->h5, array->object, array->type, (size_t)sample, 1,
                           array->bytes / sm_h5_type_bytes(array->type), data);
}

/* How far a sample has to be looked at. */
typedef enum sample_trust {
    TRUST_FOUND_SOUND, /* it was, and nobody has written to the file since */
    TRUST_NEW,
    TRUST_CHANGED /* somebody has written to the file */
} sample_trust;

static sm_status check_array(const place_in_file *place, const stored_array *array, sample_trust trust,
                             const void *data, const char *text)
{
    const char *path = place->part->path;
    if (!array->checksums) {
        return trust == TRUST_CHANGED ? sm_fail(SM_ERR_INPUT,
                                                "%s: the file was changed while it was in use; %s has no checksum "
                                                "that could tell whether it is still the same",
                                                path, text)
                                      : SM_OK;
    }
    uint32_t stored = array->checksums[place->index - place->part->first], found = sm_crc32c(0, data, array->bytes);
    return stored == found
               ? SM_OK
               : sm_fail(SM_ERR_INPUT, "%s: %s is damaged: CRC32C %08x, %08x expected%s", path, text, found, stored,
                         trust == TRUST_CHANGED ? " (the file was changed while it was in use)" : "");
}

static sm_status read_array(const place_in_file *place, const stored_array *array, sample_trust trust, void *data)
{
    sm_status status = sm_stored_array_read(place->part, array, place->index - place->part->first, data);
    if (status == SM_OK && trust == TRUST_FOUND_SOUND) {
        return SM_OK;
    }
    char *text = text_of(place);
    if (status == SM_OK) {
        status = check_array(place, array, trust, data, text);
    } else {
        char *why = sm_strdup(sm_error_message());
        sm_fail(status, "%s (reading %s)", why, text);
        sm_free(why);
    }
    sm_free(text);
    return status;
}

/* Where item `item` of an array lies. */
static sm_status fail_value(const place_in_file *place, const sm_target *target, size_t item, const char *found,
                            const char *expected)
{
    size_t width = (size_t)place->part->input.width;
    char *text = text_of(place), *where = sm_strdup("");
    if (target->scope == SM_SCOPE_PIXEL) {
        sm_free(where);
        where = sm_format(" at row %zu, column %zu", item / width, item % width);
    }
    sm_status status = sm_fail(SM_ERR_INPUT, "%s: %s holds %s%s; %s", place->part->path, text, found, where, expected);
    sm_free(text);
    sm_free(where);
    return status;
}

/* A class id out of the list would index out of tables later; a label is a class of two, of each component. */
static sm_status verify_classes(const place_in_file *place, const stored_target *stored, size_t items,
                                const uint8_t *ids)
{
    size_t components = (size_t)stored->target->components;
    int is_label = stored->target->type == SM_TARGET_LABELS, count = is_label ? 2 : stored->target->classes->count;
    for (size_t i = 0; i < items * components; i++) {
        if (ids[i] >= count && ids[i] != stored->ignored && ids[i] != SM_CLASS_IGNORED) {
            char found[32], expected[48];
            snprintf(found, sizeof found, "%s %d", is_label ? "label" : "class", ids[i]);
            snprintf(expected, sizeof expected, "%s %d", is_label ? "from 0 to 1 expected, or ignored:" : "there are",
                     is_label ? (int)stored->ignored : count);
            return fail_value(place, stored->target, i / components, found, expected);
        }
    }
    return SM_OK;
}

/* Infinite or absurd numbers would spoil a whole step, and nobody could tell which sample did. */
static sm_status verify_reals(const place_in_file *place, const stored_target *stored, size_t items,
                              const float *values)
{
    const sm_target *target = stored->target;
    size_t components = (size_t)target->components;
    for (size_t i = 0; i < items * components; i++) {
        if (values[i] < target->least || values[i] > target->most) {
            char found[32], expected[80];
            snprintf(found, sizeof found, "%g", (double)values[i]);
            snprintf(expected, sizeof expected, "from %g to %g expected, NaN where invalid", target->least,
                     target->most);
            return fail_value(place, target, i / components, found, expected);
        }
    }
    return SM_OK;
}

/* Reads a target and makes it what it is in memory. */
static sm_status read_target(const place_in_file *place, const stored_target *stored, sample_trust trust, void *raw,
                             void *data)
{
    sm_status status = SM_OK;
    int is_stored_so = stored->array.type == stored->memory;
    size_t count = stored->memory_bytes / sm_h5_type_bytes(stored->memory);
    SM_TRY(read_array(place, &stored->array, trust, is_stored_so ? data : raw));
    if (!is_stored_so) {
        int is_class = stored->target->classes != NULL;
        size_t fits = sm_target_convert(stored->array.type, raw, count, is_class ? stored->ignored : 0,
                                        is_class ? SM_CLASS_IGNORED : 0, stored->memory, data);
        if (fits < count) {
            char found[48];
            snprintf(found, sizeof found, "%s %lld", sm_target_type_names[stored->target->type],
                     (long long)sm_target_integer(stored->array.type, raw, fits));
            return fail_value(place, stored->target, fits, found, "ids from 0 to 255 (instances: 65535) expected");
        }
    }
done:
    return status;
}

static void rename_ignored(uint8_t *ids, size_t count, int64_t ignored)
{
    for (size_t i = 0; i < count; i++) {
        ids[i] = ids[i] == ignored ? SM_CLASS_IGNORED : ids[i];
    }
}

static sm_status check_target(const place_in_file *place, const stored_target *stored, int verify, void *data)
{
    sm_status status = SM_OK;
    const sm_input *input = &place->part->input;
    size_t items = sm_scope_items(stored->target->scope, input->height, input->width);
    if (stored->target->classes) {
        SM_TRY(verify ? verify_classes(place, stored, items, data) : SM_OK);
        if (stored->ignored != SM_CLASS_IGNORED) {
            rename_ignored(data, items * (size_t)stored->target->components, stored->ignored);
        }
    } else if (stored->target->type == SM_TARGET_REAL && verify) {
        SM_TRY(verify_reals(place, stored, items, data));
    }
done:
    return status;
}

static sample_trust trust_in(uint64_t sound, int array, int has_changed)
{
    return has_changed ? TRUST_CHANGED : sound >> array & 1 ? TRUST_FOUND_SOUND : TRUST_NEW;
}

/* Infinite or absurd features would spoil a whole step, and nobody could tell which sample did. */
static sm_status verify_features(const place_in_file *place, const float *features)
{
    const sm_input *input = &place->part->input;
    for (int c = 0; c < input->channels; c++) {
        if (fabsf(features[c]) > SM_GREATEST_REAL) {
            char *text = text_of(place), *name = input->names ? sm_format(" ('%s')", input->names[c]) : sm_strdup("");
            sm_status status =
                sm_fail(SM_ERR_INPUT, "%s: %s holds %g as feature %d%s; from %g to %g expected, NaN where unknown",
                        place->part->path, text, (double)features[c], c, name, -SM_GREATEST_REAL, SM_GREATEST_REAL);
            sm_free(text);
            sm_free(name);
            return status;
        }
    }
    return SM_OK;
}

static sm_status read_input(const place_in_file *place, sample_trust trust, sm_sample_storage *storage)
{
    sm_status status = SM_OK;
    const file_part *part = place->part;
    int is_stored_so = input_is_stored_so(part);
    SM_TRY(read_array(place, &part->input_array, trust, is_stored_so ? storage->input : storage->raw));
    if (!is_stored_so) {
        sm_target_convert(part->input_array.type, storage->raw, (size_t)part->input.channels, 0, 0, SM_H5_FLOAT,
                          storage->input);
    }
    if (part->input.kind->is_table && trust != TRUST_FOUND_SOUND) {
        SM_TRY(verify_features(place, storage->input));
    }
done:
    return status;
}

sm_status sm_dataset_read(sm_dataset *dataset, int64_t index, sm_sample_storage *storage, sm_sample *sample)
{
    sm_status status = SM_OK;
    file_part *part = part_of(dataset, index);
    _Atomic uint64_t *verified = &part->verified[index - part->first];
    uint64_t sound = atomic_load_explicit(verified, memory_order_relaxed), found = 1;
    int has_changed = sm_file_has_changed(part->file);
    place_in_file place = {dataset, part, index, part->input.kind->name};
    *sample = sm_dataset_describe(dataset, index);
    SM_TRY(read_input(&place, trust_in(sound, 0, has_changed), storage));
    sample->input = storage->input;
    for (int t = 0; t < part->target_count; t++) {
        const stored_target *stored = &part->targets[t];
        void *data = storage->targets[stored->place];
        sample_trust trust = trust_in(sound, 1 + t, has_changed);
        if (storage->wanted >> stored->place & 1) {
            place.array = stored->target->name;
            SM_TRY(read_target(&place, stored, trust, storage->raw, data));
            SM_TRY(check_target(&place, stored, trust != TRUST_FOUND_SOUND, data));
            sm_sample_add(sample, stored->target, data);
            found |= (uint64_t)1 << (1 + t);
        }
    }
    if ((sound & found) != found) {
        atomic_fetch_or_explicit(verified, found, memory_order_relaxed);
    }
done:
    return status;
}
