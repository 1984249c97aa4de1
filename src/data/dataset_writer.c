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
    uint64_t map[SM_DATASET_MAPS];      /* 0: none */
    uint64_t checksum[SM_DATASET_MAPS]; /* 0: none */
    uint64_t original_size, baseline_metres, fx_pixels;
} split_places;

struct sm_dataset_writer {
    sm_file *file;
    int height, width, has_camera;
    split_places *splits;
    int split_count;
};

static char *partial_path(const char *path)
{
    return sm_format("%s.partial", path);
}

static int has_map(const sm_dataset_spec *spec, const sm_map_kind *kind)
{
    return kind->flag == 0 || (spec->maps & kind->flag) != 0;
}

/* ---- creating ---------------------------------------------------------------------------------------------------- */

static sm_status write_classes(sm_h5 *file, const char *object, const sm_dataset_classes *classes)
{
    sm_status status = SM_OK;
    size_t count = (size_t)classes->count;
    const char **names = sm_alloc(count * sizeof *names);
    int64_t *palette = sm_alloc(3 * count * sizeof *palette), *thing = sm_alloc(count * sizeof *thing);
    for (size_t i = 0; i < count; i++) {
        names[i] = classes->names[i];
        thing[i] = classes->thing[i];
        for (size_t c = 0; c < 3; c++) {
            palette[3 * i + c] = classes->palette[i][c];
        }
    }
    SM_TRY(sm_h5_write_attribute_texts(file, object, "class_names", names, count));
    SM_TRY(sm_h5_write_attribute_int64s(file, object, "palette", palette, 3 * count));
    SM_TRY(sm_h5_write_attribute_int64s(file, object, "thing", thing, count));
    SM_TRY(sm_h5_write_attribute_int64(file, object, "ignore", 255));
done:
    sm_free(names);
    sm_free(palette);
    sm_free(thing);
    return status;
}

static sm_status create_split(sm_h5 *file, const sm_dataset_spec *spec, const sm_dataset_split_spec *split)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    size_t count = (size_t)split->count, pairs[2] = {count, 2};
    for (int m = 0; m < SM_DATASET_MAPS; m++) {
        const sm_map_kind *kind = &sm_map_kinds[m];
        if (has_map(spec, kind)) {
            size_t shape[4];
            int rank = sm_map_shape(kind, split->count, spec->height, spec->width, shape);
            sm_map_object(object, split->name, kind->name, "");
            SM_TRY(sm_h5_create_contiguous(file, object, kind->type, rank, shape, NULL));
            if (kind->flag == SM_MAP_SEMANTIC) {
                SM_TRY(write_classes(file, object, spec->classes));
            }
            sm_map_object(object, split->name, kind->name, "_crc32c");
            SM_TRY(sm_h5_create_contiguous(file, object, SM_H5_U32, 1, &count, NULL));
        }
    }
    SM_TRY(sm_h5_write_texts(file, sm_map_object(object, split->name, "name", ""), split->names, count));
    sm_map_object(object, split->name, "original_size", "");
    SM_TRY(sm_h5_create_contiguous(file, object, SM_H5_INT32, 2, pairs, NULL));
    if (spec->has_camera) {
        sm_map_object(object, split->name, "baseline_metres", "");
        SM_TRY(sm_h5_create_contiguous(file, object, SM_H5_DOUBLE, 1, &count, NULL));
        sm_map_object(object, split->name, "fx_pixels", "");
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
    SM_TRY(sm_h5_write_attribute_doubles(file, "/", "mean", spec->mean ? spec->mean : sm_imagenet_mean, 3));
    SM_TRY(sm_h5_write_attribute_doubles(file, "/", "std", spec->std ? spec->std : sm_imagenet_std, 3));
    for (int s = 0; s < spec->split_count; s++) {
        SM_TRY(create_split(file, spec, &spec->splits[s]));
    }
done:
    closed = sm_h5_close(file);
    return status == SM_OK ? closed : status;
}

/* ---- joining ----------------------------------------------------------------------------------------------------- */

static sm_status locate_split(const sm_h5 *file, const sm_dataset_spec *spec, const sm_dataset_split_spec *split,
                              split_places *places)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    size_t count = (size_t)split->count, pairs[2] = {count, 2};
    places->count = split->count;
    for (int m = 0; m < SM_DATASET_MAPS; m++) {
        const sm_map_kind *kind = &sm_map_kinds[m];
        if (has_map(spec, kind)) {
            size_t shape[4];
            int rank = sm_map_shape(kind, split->count, spec->height, spec->width, shape);
            sm_map_object(object, split->name, kind->name, "");
            SM_TRY(sm_h5_locate(file, object, kind->type, rank, shape, &places->map[m]));
            sm_map_object(object, split->name, kind->name, "_crc32c");
            SM_TRY(sm_h5_locate(file, object, SM_H5_U32, 1, &count, &places->checksum[m]));
        }
    }
    sm_map_object(object, split->name, "original_size", "");
    SM_TRY(sm_h5_locate(file, object, SM_H5_INT32, 2, pairs, &places->original_size));
    if (spec->has_camera) {
        sm_map_object(object, split->name, "baseline_metres", "");
        SM_TRY(sm_h5_locate(file, object, SM_H5_DOUBLE, 1, &count, &places->baseline_metres));
        sm_map_object(object, split->name, "fx_pixels", "");
        SM_TRY(sm_h5_locate(file, object, SM_H5_DOUBLE, 1, &count, &places->fx_pixels));
    }
done:
    return status;
}

static void writer_free(sm_dataset_writer *writer)
{
    if (writer) {
        sm_file_close(writer->file);
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
    assert(spec->split_count >= 1 && (spec->classes || !(spec->maps & SM_MAP_SEMANTIC)));
    char *partial = partial_path(path);
    sm_status status = sm_make_folder_of(path);
    if (status == SM_OK) {
        status = create_file(partial, spec);
    }
    sm_free(partial);
    return status == SM_OK ? sm_dataset_writer_attach(path, spec, out) : status;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

sm_status sm_dataset_writer_put(sm_dataset_writer *writer, int split, int64_t index, const sm_sample *sample)
{
    assert(split >= 0 && split < writer->split_count && index >= 0 && index < writer->splits[split].count);
    sm_status status = SM_OK;
    const split_places *places = &writer->splits[split];
    uint64_t i = (uint64_t)index;
    for (int m = 0; m < SM_DATASET_MAPS; m++) {
        if (places->map[m] > 0) {
            const void *map = sm_map_get(&sm_map_kinds[m], sample);
            size_t bytes = sm_map_bytes(&sm_map_kinds[m], writer->height, writer->width);
            assert(map);
            uint32_t checksum = sm_crc32c(0, map, bytes);
            SM_TRY(sm_file_pwrite(writer->file, map, bytes, places->map[m] + i * bytes));
            SM_TRY(sm_file_pwrite(writer->file, &checksum, sizeof checksum, places->checksum[m] + i * sizeof checksum));
        }
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

static sm_status check_output(const char *path, int overwrite)
{
    if (sm_folder_exists(path)) {
        return sm_fail(SM_ERR_USAGE, "%s: is a folder, a dataset file is to be written", path);
    }
    if (!overwrite && sm_file_exists(path)) {
        return sm_fail(SM_ERR_USAGE, "%s: exists; --overwrite replaces it", path);
    }
    return SM_OK;
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
