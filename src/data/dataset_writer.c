#include "data/dataset_format.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <assert.h>
#include <string.h>

/* Places of one split in the file. */
typedef struct split_places {
    int64_t count;
    uint64_t input, input_checksum;
    uint64_t target[SM_TARGETS_MAX], target_checksum[SM_TARGETS_MAX];
    uint64_t original_size, baseline_metres, fx_pixels;
} split_places;

struct sm_dataset_writer {
    sm_file *file;
    const sm_input_kind *input;
    sm_target *targets[SM_TARGETS_MAX];
    int target_count;
    int height, width, has_camera;
    split_places *splits;
    int split_count;
};

static char *partial_path(const char *path)
{
    return sm_format("%s.partial", path);
}

static const sm_input_kind *input_of(const sm_dataset_spec *spec)
{
    return spec->input ? spec->input : &sm_input_kinds[0];
}

/* ---- creating ---------------------------------------------------------------------------------------------------- */

static sm_status write_classes(sm_h5 *file, const char *object, const sm_class_list *classes)
{
    sm_status status = SM_OK;
    size_t count = (size_t)classes->count;
    int64_t *palette = sm_alloc(3 * count * sizeof *palette), *thing = sm_alloc(count * sizeof *thing);
    SM_TRY(sm_h5_write_attribute_texts(file, object, "class_names", classes->names, count));
    for (size_t i = 0; classes->palette && i < 3 * count; i++) {
        palette[i] = classes->palette[i / 3][i % 3];
    }
    if (classes->palette) {
        SM_TRY(sm_h5_write_attribute_int64s(file, object, "palette", palette, 3 * count));
    }
    for (size_t i = 0; i < count; i++) {
        thing[i] = classes->thing && classes->thing[i];
    }
    SM_TRY(sm_h5_write_attribute_int64s(file, object, "thing", thing, count));
    SM_TRY(sm_h5_write_attribute_int64(file, object, "ignore", SM_CLASS_IGNORED));
done:
    sm_free(palette);
    sm_free(thing);
    return status;
}

/* Standard targets are described too: a reader of plain HDF5 need not know them. */
sm_status sm_target_write_description(sm_h5 *file, const char *object, const sm_target *target)
{
    sm_status status = SM_OK;
    int64_t negated[SM_COMPONENTS_MAX];
    size_t negated_count = 0;
    assert(target->components >= 1 && target->components <= SM_COMPONENTS_MAX);
    SM_TRY(sm_h5_write_attribute_text(file, object, "type", sm_target_type_names[target->type]));
    if (target->type == SM_TARGET_REAL) {
        for (int c = 0; c < target->components; c++) {
            if (target->flip_negates >> c & 1) {
                negated[negated_count++] = c;
            }
        }
        SM_TRY(sm_h5_write_attribute_text(file, object, "unit", target->unit));
        SM_TRY(sm_h5_write_attribute_text(file, object, "scaling", sm_target_scaling_names[target->scaling]));
        if (negated_count > 0) {
            SM_TRY(sm_h5_write_attribute_int64s(file, object, "flip_negates", negated, negated_count));
        }
        SM_TRY(sm_h5_write_attribute_double(file, object, "least", target->least));
        SM_TRY(sm_h5_write_attribute_double(file, object, "most", target->most));
    }
    if (target->classes) {
        SM_TRY(write_classes(file, object, target->classes));
    }
done:
    return status;
}

/* The array and its checksums. */
static sm_status create_array(sm_h5 *file, const sm_dataset_split_spec *split, const char *name, sm_h5_type type,
                              int rank, const size_t *shape)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    SM_TRY(sm_h5_create_contiguous(file, sm_array_object(object, split->name, name, ""), type, rank, shape, NULL));
    sm_array_object(object, split->name, name, "_crc32c");
    SM_TRY(sm_h5_create_contiguous(file, object, SM_H5_U32, 1, shape, NULL));
done:
    return status;
}

static sm_status create_target(sm_h5 *file, const sm_dataset_spec *spec, const sm_dataset_split_spec *split,
                               const sm_target *target)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    size_t shape[4];
    int rank = sm_target_shape(target, split->count, spec->height, spec->width, shape);
    SM_TRY(create_array(file, split, target->name, sm_target_h5_type(target), rank, shape));
    SM_TRY(sm_target_write_description(file, sm_array_object(object, split->name, target->name, ""), target));
done:
    return status;
}

/* Fills the shape of the input; returns the rank. */
static int input_shape(const sm_dataset_spec *spec, int64_t count, size_t shape[4])
{
    shape[0] = (size_t)count;
    shape[1] = (size_t)spec->height;
    shape[2] = (size_t)spec->width;
    shape[3] = (size_t)input_of(spec)->channels;
    return 4;
}

static sm_status create_split(sm_h5 *file, const sm_dataset_spec *spec, const sm_dataset_split_spec *split)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    size_t count = (size_t)split->count, pairs[2] = {count, 2}, shape[4];
    int rank = input_shape(spec, split->count, shape);
    SM_TRY(create_array(file, split, input_of(spec)->name, SM_H5_U8, rank, shape));
    for (int t = 0; t < spec->target_count; t++) {
        SM_TRY(create_target(file, spec, split, &spec->targets[t]));
    }
    SM_TRY(sm_h5_write_texts(file, sm_array_object(object, split->name, "name", ""), split->names, count));
    sm_array_object(object, split->name, "original_size", "");
    SM_TRY(sm_h5_create_contiguous(file, object, SM_H5_INT32, 2, pairs, NULL));
    if (spec->has_camera) {
        sm_array_object(object, split->name, "baseline_metres", "");
        SM_TRY(sm_h5_create_contiguous(file, object, SM_H5_DOUBLE, 1, &count, NULL));
        sm_array_object(object, split->name, "fx_pixels", "");
        SM_TRY(sm_h5_create_contiguous(file, object, SM_H5_DOUBLE, 1, &count, NULL));
    }
done:
    return status;
}

static sm_status create_file(const char *path, const sm_dataset_spec *spec)
{
    sm_status status = SM_OK, closed;
    sm_h5 *file = NULL;
    SM_TRY(sm_h5_create(path, SM_H5_LATEST, &file));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", SM_DATASET_FORMAT));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", SM_DATASET_VERSION));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "source", spec->source));
    const sm_input_kind *input = input_of(spec);
    size_t channels = (size_t)input->channels;
    SM_TRY(sm_h5_write_attribute_doubles(file, "/", "mean", spec->mean ? spec->mean : input->mean, channels));
    SM_TRY(sm_h5_write_attribute_doubles(file, "/", "std", spec->std ? spec->std : input->std, channels));
    for (int s = 0; s < spec->split_count; s++) {
        SM_TRY(create_split(file, spec, &spec->splits[s]));
    }
done:
    closed = sm_h5_close(file);
    return status == SM_OK ? closed : status;
}

/* ---- joining ----------------------------------------------------------------------------------------------------- */

static sm_status locate_array(const sm_h5 *file, const sm_dataset_split_spec *split, const char *name, sm_h5_type type,
                              int rank, const size_t *shape, uint64_t *array, uint64_t *checksums)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    SM_TRY(sm_h5_locate(file, sm_array_object(object, split->name, name, ""), type, rank, shape, array));
    sm_array_object(object, split->name, name, "_crc32c");
    SM_TRY(sm_h5_locate(file, object, SM_H5_U32, 1, shape, checksums));
done:
    return status;
}

static sm_status locate_split(const sm_h5 *file, const sm_dataset_spec *spec, const sm_dataset_split_spec *split,
                              split_places *places)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    size_t count = (size_t)split->count, pairs[2] = {count, 2}, shape[4];
    int rank = input_shape(spec, split->count, shape);
    places->count = split->count;
    SM_TRY(locate_array(file, split, input_of(spec)->name, SM_H5_U8, rank, shape, &places->input,
                        &places->input_checksum));
    for (int t = 0; t < spec->target_count; t++) {
        const sm_target *target = &spec->targets[t];
        rank = sm_target_shape(target, split->count, spec->height, spec->width, shape);
        SM_TRY(locate_array(file, split, target->name, sm_target_h5_type(target), rank, shape, &places->target[t],
                            &places->target_checksum[t]));
    }
    sm_array_object(object, split->name, "original_size", "");
    SM_TRY(sm_h5_locate(file, object, SM_H5_INT32, 2, pairs, &places->original_size));
    if (spec->has_camera) {
        sm_array_object(object, split->name, "baseline_metres", "");
        SM_TRY(sm_h5_locate(file, object, SM_H5_DOUBLE, 1, &count, &places->baseline_metres));
        sm_array_object(object, split->name, "fx_pixels", "");
        SM_TRY(sm_h5_locate(file, object, SM_H5_DOUBLE, 1, &count, &places->fx_pixels));
    }
done:
    return status;
}

static void writer_free(sm_dataset_writer *writer)
{
    if (writer) {
        sm_file_close(writer->file);
        for (int t = 0; t < writer->target_count; t++) {
            sm_free(writer->targets[t]);
        }
        sm_free(writer->splits);
        sm_free(writer);
    }
}

sm_status sm_dataset_writer_attach(const char *path, const sm_dataset_spec *spec, sm_dataset_writer **out)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    char *partial = partial_path(path);
    sm_dataset_writer *writer = sm_alloc_zeroed(sizeof *writer);
    *out = NULL;
    writer->input = input_of(spec);
    for (; writer->target_count < spec->target_count; writer->target_count++) {
        writer->targets[writer->target_count] = sm_target_copy(&spec->targets[writer->target_count]);
    }
    writer->height = spec->height;
    writer->width = spec->width;
    writer->has_camera = spec->has_camera;
    writer->split_count = spec->split_count;
    writer->splits = sm_alloc_zeroed((size_t)spec->split_count * sizeof *writer->splits);
    SM_TRY(sm_h5_open(partial, &file));
    for (int s = 0; s < spec->split_count; s++) {
        SM_TRY(locate_split(file, spec, &spec->splits[s], &writer->splits[s]));
    }
    SM_TRY(sm_file_open_write(partial, &writer->file));
    *out = writer;
    writer = NULL;
done:
    sm_h5_close(file);
    writer_free(writer);
    sm_free(partial);
    return status;
}

sm_status sm_dataset_writer_create(const char *path, const sm_dataset_spec *spec, sm_dataset_writer **out)
{
    assert(spec->split_count >= 1 && spec->target_count <= SM_TARGETS_MAX);
    char *partial = partial_path(path);
    sm_status status = sm_make_folder_of(path);
    if (status == SM_OK) {
        status = create_file(partial, spec);
    }
    sm_free(partial);
    return status == SM_OK ? sm_dataset_writer_attach(path, spec, out) : status;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static sm_status put_array(const sm_dataset_writer *writer, const void *data, size_t bytes, uint64_t index,
                           uint64_t array, uint64_t checksums)
{
    sm_status status = SM_OK;
    uint32_t checksum = sm_crc32c(0, data, bytes);
    SM_TRY(sm_file_pwrite(writer->file, data, bytes, array + index * bytes));
    SM_TRY(sm_file_pwrite(writer->file, &checksum, sizeof checksum, checksums + index * sizeof checksum));
done:
    return status;
}

sm_status sm_dataset_writer_put(sm_dataset_writer *writer, int split, int64_t index, const sm_sample *sample)
{
    assert(split >= 0 && split < writer->split_count && index >= 0 && index < writer->splits[split].count);
    sm_status status = SM_OK;
    const split_places *places = &writer->splits[split];
    uint64_t i = (uint64_t)index;
    size_t input_bytes = (size_t)writer->height * (size_t)writer->width * (size_t)writer->input->channels;
    SM_TRY(put_array(writer, sample->input, input_bytes, i, places->input, places->input_checksum));
    for (int t = 0; t < writer->target_count; t++) {
        const sm_target *target = writer->targets[t];
        const sm_target_view *view = sm_sample_find(sample, target->name);
        assert(view && "a sample without a target of the file");
        size_t bytes = sm_target_sample_bytes(target, writer->height, writer->width);
        SM_TRY(put_array(writer, view->data, bytes, i, places->target[t], places->target_checksum[t]));
    }
    int32_t size[2] = {sample->original_height, sample->original_width};
    SM_TRY(sm_file_pwrite(writer->file, size, sizeof size, places->original_size + i * sizeof size));
    if (writer->has_camera) {
        double baseline = sample->baseline_metres, fx = sample->fx_pixels;
        SM_TRY(sm_file_pwrite(writer->file, &baseline, sizeof baseline, places->baseline_metres + i * sizeof baseline));
        SM_TRY(sm_file_pwrite(writer->file, &fx, sizeof fx, places->fx_pixels + i * sizeof fx));
    }
done:
    return status;
}

sm_status sm_dataset_writer_close(sm_dataset_writer *writer)
{
    sm_status status = writer ? sm_file_sync(writer->file) : SM_OK;
    writer_free(writer);
    return status;
}

sm_status sm_dataset_writer_publish(const char *path)
{
    char *partial = partial_path(path);
    sm_status status = sm_file_rename(partial, path);
    sm_free(partial);
    return status;
}

void sm_dataset_writer_discard(const char *path)
{
    char *partial = partial_path(path);
    if (sm_remove_tree(partial) != SM_OK) {
        sm_log_warning("%s", sm_error_message());
    }
    sm_free(partial);
}

/* ---- the collective loop ----------------------------------------------------------------------------------------- */

/* Ranks agree after every so many samples of each, so that one rank's failure does not wait for everyone's last sample. */
enum { SAMPLES_A_ROUND = 8 };

typedef struct write_progress {
    int64_t done, total; /* samples over all ranks and splits */
    double begin_seconds, last_seconds;
} write_progress;

static void report(write_progress *progress, const char *path, int64_t samples)
{
    progress->done += samples;
    double now = sm_seconds();
    int final = progress->done == progress->total;
    if (final || now - progress->last_seconds > (sm_log_is_live() ? 0.2 : 30)) {
        progress->last_seconds = now;
        sm_log_progress(final, "%s: %lld of %lld samples, %.1f samples/s", path, (long long)progress->done,
                        (long long)progress->total, (double)progress->done / (now - progress->begin_seconds + 1e-9));
    }
}

static sm_status write_split(sm_comm *comm, const char *path, sm_dataset_writer *writer, int split, int64_t count,
                             sm_dataset_produce produce, void *user, write_progress *progress)
{
    int64_t first, share, most, ignored;
    sm_sampler_share(count, sm_comm_rank(comm), sm_comm_size(comm), &first, &share);
    sm_sampler_share(count, 0, sm_comm_size(comm), &ignored, &most);
    int64_t reported = 0;
    for (int64_t begin = 0; begin < most; begin += SAMPLES_A_ROUND) {
        sm_status status = SM_OK;
        for (int64_t i = begin; status == SM_OK && i < begin + SAMPLES_A_ROUND && i < share; i++) {
            sm_sample sample = {.baseline_metres = NAN, .fx_pixels = NAN};
            sm_comm_set_phase("dataset, sample", 0, (int)(first + i));
            status = produce(user, split, first + i, &sample);
            if (status == SM_OK) {
                status = sm_dataset_writer_put(writer, split, first + i, &sample);
            }
        }
        status = sm_comm_agree(comm, status);
        if (status != SM_OK) {
            return status;
        }
        int64_t done = (begin + SAMPLES_A_ROUND) * sm_comm_size(comm);
        done = done < count ? done : count;
        report(progress, path, done - reported);
        reported = done;
    }
    return SM_OK;
}

static int is_dataset(const char *path)
{
    return sm_h5_has_format(path, SM_DATASET_FORMAT);
}

static sm_status check_output(const char *path, int overwrite)
{
    if (sm_folder_exists(path)) {
        return sm_fail(SM_ERR_USAGE, "%s: is a folder, a dataset file is to be written", path);
    }
    if (!overwrite && sm_file_exists(path)) {
        return sm_fail(SM_ERR_USAGE, "%s: exists; --overwrite replaces it", path);
    }
    return sm_file_check_replaceable(path, is_dataset, "dataset file");
}

sm_status sm_dataset_write(sm_comm *comm, const char *path, const sm_dataset_spec *spec, int overwrite,
                           sm_dataset_produce produce, void *user)
{
    sm_status status = SM_OK;
    int is_root = sm_comm_rank(comm) == 0, created = 0;
    sm_dataset_writer *writer = NULL;
    write_progress progress = {.begin_seconds = sm_seconds(), .last_seconds = sm_seconds()};

    SM_TRY(sm_comm_agree(comm, is_root ? check_output(path, overwrite) : SM_OK));
    created = 1;
    char *ranks = sm_format("%s.ranks", path);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    SM_TRY(sm_comm_agree(comm, is_root ? sm_dataset_writer_create(path, spec, &writer) : SM_OK));
    SM_TRY(sm_comm_agree(comm, is_root ? SM_OK : sm_dataset_writer_attach(path, spec, &writer)));
    for (int s = 0; s < spec->split_count; s++) {
        progress.total += spec->splits[s].count;
    }
    for (int s = 0; s < spec->split_count; s++) {
        SM_TRY(write_split(comm, path, writer, s, spec->splits[s].count, produce, user, &progress));
    }
    sm_comm_set_phase("dataset, to the disk", 0, -1);
    status = sm_dataset_writer_close(writer);
    writer = NULL;
    SM_TRY(sm_comm_agree(comm, status));
    SM_TRY(sm_comm_agree(comm, is_root ? sm_dataset_writer_publish(path) : SM_OK));
    created = 0;
done:
    if (writer) {
        writer_free(writer);
    }
    if (created) {
        char *message = sm_strdup(sm_error_message()); /* removing may fail too and replace it */
        sm_comm_barrier(comm);                         /* nobody writes any more */
        if (is_root) {
            sm_dataset_writer_discard(path);
        }
        status = sm_fail(status, "%s", message);
        sm_free(message);
    }
    sm_comm_set_stall_folder(NULL);
    return status;
}
