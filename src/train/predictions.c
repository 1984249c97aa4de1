/* Rank 0 makes the file with all its space; then every rank writes the samples of its block at their offsets. */
#include <sigmatic/base/memory.h>
#include <sigmatic/data/data_description.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include "train/predictions.h"

#include <stdio.h>
#include <string.h>

/* What is stored of a task; pictures only of one that has a value a pixel. */
enum { TRUTH_PICTURE, PREDICTION_PICTURE, TRUTH, PREDICTION, ARRAYS };

static const char *const array_names[ARRAYS] = {"truth_picture", "prediction_picture", "truth", "prediction"};

static const char FORMAT[] = "sigmatic-predictions";

struct sm_predictions {
    const sm_session *session;
    char *path, *partial; /* its name in the end, and until then */
    sm_file *file;
    int64_t count;
    int height, width;
    uint64_t *offsets; /* input, then ARRAYS a task */
    uint8_t *picture, *thing;
    float *features; /* of one sample of a table */
    void *decoded;
    int thing_task; /* that says where things are; -1 */
};

/* Fills the shape of truth and prediction, the same for both; returns the rank. */
static int target_shape(const sm_predictions *p, const sm_task *task, size_t shape[4])
{
    int rank = 0;
    shape[rank++] = (size_t)p->count;
    if (task->target->scope == SM_SCOPE_PIXEL) {
        shape[rank++] = (size_t)p->height;
        shape[rank++] = (size_t)p->width;
    }
    if (!sm_task_is_classification(task)) { /* labels and real values: several an item */
        shape[rank++] = (size_t)task->channels;
    }
    return rank;
}

/* Of labels that no file has there is no truth to show. */
static int has_truth(const sm_dataset *dataset, const sm_task *task)
{
    return sm_dataset_target(dataset, task->target->name) != NULL;
}

static sm_status create_task(sm_predictions *p, const sm_dataset *dataset, sm_h5 *file, int t)
{
    sm_status status = SM_OK;
    const sm_task *task = p->session->tasks[t];
    uint64_t *offsets = p->offsets + 1 + t * ARRAYS;
    size_t shape[4], picture_shape[] = {(size_t)p->count, (size_t)p->height, (size_t)p->width, 3};
    int rank = target_shape(p, task, shape), has_ids = task->target->classes != NULL;
    char group[128], object[160];
    snprintf(group, sizeof group, "/tasks/%s", task->name);
    SM_TRY(sm_h5_make_group(file, group));
    SM_TRY(sm_h5_write_attribute_text(file, group, "kind", task->kind->name));
    SM_TRY(sm_target_write_description(file, group, task->target));
    for (int a = 0; a < ARRAYS; a++) {
        int picture = a == TRUTH_PICTURE || a == PREDICTION_PICTURE;
        snprintf(object, sizeof object, "%s/%s", group, array_names[a]);
        if ((a == TRUTH || a == TRUTH_PICTURE) && !has_truth(dataset, task)) {
            continue;
        }
        if (picture && task->kind->picture) {
            SM_TRY(sm_h5_create_contiguous(file, object, SM_H5_U8, 4, picture_shape, &offsets[a]));
        } else if (!picture) {
            SM_TRY(sm_h5_create_contiguous(file, object, has_ids ? SM_H5_U8 : SM_H5_FLOAT, rank, shape, &offsets[a]));
        }
    }
done:
    return status;
}

static int is_table(const sm_predictions *p)
{
    return p->session->data->input.kind->is_table;
}

static sm_status create_file(sm_predictions *p, const sm_dataset *dataset)
{
    sm_status status = SM_OK, closed;
    sm_h5 *file = NULL;
    size_t n = (size_t)p->count, h = (size_t)p->height, w = (size_t)p->width;
    const char **names = sm_alloc((n + 1) * sizeof *names);
    for (size_t i = 0; i < n; i++) {
        names[i] = sm_dataset_name(dataset, (int64_t)i);
    }
    SM_TRY(sm_make_folder_of(p->path));
    SM_TRY(sm_h5_create(p->partial, SM_H5_EARLIEST, &file));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", FORMAT));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", 1));
    SM_TRY(sm_h5_write_texts(file, "/name", names, n));
    if (is_table(p)) {
        const size_t shape[] = {n, (size_t)p->session->data->input.channels};
        SM_TRY(sm_h5_create_contiguous(file, "/features", SM_H5_FLOAT, 2, shape, &p->offsets[0]));
    } else {
        SM_TRY(sm_h5_create_contiguous(file, "/image", SM_H5_U8, 4, (size_t[]){n, h, w, 3}, &p->offsets[0]));
    }
    for (int t = 0; t < p->session->task_count; t++) {
        SM_TRY(create_task(p, dataset, file, t));
    }
done:
    closed = sm_h5_close(file);
    sm_free(names);
    return status == SM_OK ? closed : status;
}

static void free_predictions(sm_predictions *p)
{
    sm_file_close(p->file);
    sm_free(p->path);
    sm_free(p->partial);
    sm_free(p->offsets);
    sm_free(p->picture);
    sm_free(p->thing);
    sm_free(p->features);
    sm_free(p->decoded);
    sm_free(p);
}

static int is_predictions(const char *path)
{
    return sm_h5_has_format(path, FORMAT);
}

sm_status sm_predictions_check(const char *path)
{
    return sm_file_check_replaceable(path, is_predictions, "predictions file");
}

sm_status sm_predictions_finish(sm_predictions *p, sm_status status)
{
    if (!p) {
        return status;
    }
    sm_comm *comm = p->session->comm;
    if (status == SM_OK && p->file) {
        status = sm_file_sync(p->file);
    }
    status = sm_comm_agree(comm, status); /* nobody writes any more */
    if (sm_comm_rank(comm) == 0) {
        if (status == SM_OK) {
            status = sm_file_rename(p->partial, p->path);
        }
        if (status != SM_OK) {
            char *why = sm_strdup(sm_error_message()); /* removing may fail too and replace it */
            sm_remove_tree(p->partial);
            status = sm_fail(status, "%s", why);
            sm_free(why);
        }
    }
    free_predictions(p);
    return sm_comm_agree(comm, status);
}

static size_t items_of(const sm_predictions *p, const sm_task *task)
{
    return sm_scope_items(task->target->scope, p->height, p->width);
}

/* Of one sample; truth and prediction take the same. */
static size_t prediction_bytes(const sm_predictions *p, const sm_task *task)
{
    return items_of(p, task) * sm_task_item_bytes(task);
}

sm_status sm_predictions_create(const sm_session *session, const sm_dataset *dataset, const char *path, int64_t count,
                                int height, int width, sm_predictions **out)
{
    sm_status status = SM_OK;
    sm_comm *comm = session->comm;
    size_t pixels = (size_t)height * (size_t)width, offsets = 1 + ARRAYS * (size_t)session->task_count;
    sm_predictions *p = sm_alloc_zeroed(sizeof *p);
    *p = (sm_predictions){.session = session, .count = count, .height = height, .width = width, .thing_task = -1};
    p->path = sm_strdup(path);
    p->partial = sm_format("%s.partial", path);
    p->offsets = sm_alloc_zeroed(offsets * sizeof *p->offsets);
    p->picture = sm_alloc(3 * pixels);
    p->thing = sm_alloc(pixels);
    p->features = is_table(p) ? sm_alloc((size_t)session->data->input.channels * sizeof *p->features) : NULL;
    size_t most_bytes = 0;
    for (int t = 0; t < session->task_count; t++) {
        size_t bytes = prediction_bytes(p, session->tasks[t]);
        most_bytes = bytes > most_bytes ? bytes : most_bytes;
        p->thing_task = sm_task_finds_things(session->tasks[t]) ? t : p->thing_task;
    }
    p->decoded = sm_alloc(most_bytes);
    if (sm_comm_rank(comm) == 0) {
        status = create_file(p, dataset);
    }
    SM_TRY(sm_comm_agree(comm, status));
    sm_comm_broadcast(comm, p->offsets, offsets * sizeof *p->offsets, 0);
    SM_TRY(sm_comm_agree(comm, sm_file_open_write(p->partial, &p->file)));
    *out = p;
    p = NULL;
done:
    return sm_predictions_finish(p, status);
}

/* What the file does not have is left out. */
static sm_status put(sm_predictions *p, int place, int64_t index, const void *data, size_t bytes)
{
    return p->offsets[place] == 0 ? SM_OK
                                  : sm_file_pwrite(p->file, data, bytes, p->offsets[place] + (uint64_t)index * bytes);
}

static const float *logits_of(const sm_predictions *p, int t, int sample, const float *const *logits)
{
    const sm_task *task = p->session->tasks[t];
    return logits[t] + (size_t)sample * items_of(p, task) * (size_t)task->channels;
}

static sm_status put_pictures(sm_predictions *p, int t, int64_t index, const float *logits, const void *target,
                              const uint8_t *thing)
{
    sm_status status = SM_OK;
    const sm_task *task = p->session->tasks[t];
    size_t bytes = (size_t)p->height * (size_t)p->width * 3;
    int place = 1 + t * ARRAYS;
    task->kind->picture(task, p->height, p->width, NULL, target, NULL, p->picture);
    SM_TRY(put(p, place + TRUTH_PICTURE, index, p->picture, bytes));
    task->kind->picture(task, p->height, p->width, logits, NULL, thing, p->picture);
    SM_TRY(put(p, place + PREDICTION_PICTURE, index, p->picture, bytes));
done:
    return status;
}

/* The image, or what was known or taken of the features, in their own units. */
static sm_status put_input(sm_predictions *p, const sm_batch *batch, int sample)
{
    const sm_input *input = &p->session->data->input;
    int64_t index = batch->sample_index[sample];
    size_t channels = (size_t)input->channels, bytes = (size_t)p->height * (size_t)p->width * 3;
    if (!is_table(p)) {
        return put(p, 0, index, batch->pixels + (size_t)sample * bytes, bytes);
    }
    for (size_t c = 0; c < channels; c++) {
        p->features[c] = (float)(batch->input[(size_t)sample * channels + c] * input->std[c] + input->mean[c]);
    }
    return put(p, 0, index, p->features, channels * sizeof *p->features);
}

sm_status sm_predictions_put(sm_predictions *p, const sm_batch *batch, int sample, const float *const *logits)
{
    sm_status status = SM_OK;
    const sm_session *session = p->session;
    int64_t index = batch->sample_index[sample];
    size_t pixels = (size_t)p->height * (size_t)p->width;
    const uint8_t *thing = NULL;
    if (index >= p->count) {
        return SM_OK;
    }
    SM_TRY(put_input(p, batch, sample));
    if (p->thing_task >= 0) {
        sm_task_thing_mask(session->tasks[p->thing_task], pixels, logits_of(p, p->thing_task, sample, logits),
                           p->thing);
        thing = p->thing;
    }
    for (int t = 0; t < session->task_count; t++) {
        const sm_task *task = session->tasks[t];
        size_t bytes = prediction_bytes(p, task);
        const void *target = (const char *)batch->target[t] + (size_t)sample * bytes;
        const float *own = logits_of(p, t, sample, logits);
        int place = 1 + t * ARRAYS;
        if (task->kind->picture) {
            SM_TRY(put_pictures(p, t, index, own, target, thing));
        }
        sm_task_decode(task, items_of(p, task), own, p->decoded);
        SM_TRY(put(p, place + PREDICTION, index, p->decoded, bytes));
        sm_task_decode_truth(task, items_of(p, task), target, p->decoded);
        SM_TRY(put(p, place + TRUTH, index, p->decoded, bytes));
    }
done:
    return status;
}
