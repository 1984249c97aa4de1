/* Rank 0 makes the file with all its space; then every rank writes the samples of its block at their offsets. */
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include "train/predictions.h"

#include <stdio.h>
#include <string.h>

/* What is stored of a task. */
enum { TRUTH_PICTURE, PREDICTION_PICTURE, TRUTH, PREDICTION, MAPS };

static const char *const map_names[MAPS] = {"truth_picture", "prediction_picture", "truth", "prediction"};

struct sm_predictions {
    const sm_session *session;
    char *path, *partial; /* its name in the end, and until then */
    sm_file *file;
    int64_t count;
    int height, width;
    uint64_t *offsets; /* image, then MAPS a task */
    uint8_t *picture, *thing, *classes;
    int semantic; /* task that says where things are; -1 */
};

static int is_class_map(const sm_task *task)
{
    return task->kind->target_bytes_per_pixel == 1;
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
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-predictions"));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", 1));
    SM_TRY(sm_h5_write_texts(file, "/name", names, n));
    SM_TRY(sm_h5_create_contiguous(file, "/image", SM_H5_U8, 4, (size_t[]){n, h, w, 3}, &p->offsets[0]));
    for (int t = 0; t < p->session->task_count; t++) {
        const sm_task *task = p->session->tasks[t];
        char group[128];
        snprintf(group, sizeof group, "/tasks/%s", task->name);
        SM_TRY(sm_h5_make_group(file, group));
        SM_TRY(sm_h5_write_attribute_text(file, group, "kind", task->kind->name));
        for (int m = 0; m < MAPS; m++) {
            char object[160];
            int picture = m == TRUTH_PICTURE || m == PREDICTION_PICTURE, classes = is_class_map(task);
            size_t shape[] = {n, h, w, picture ? 3 : (size_t)task->channels};
            snprintf(object, sizeof object, "%s/%s", group, map_names[m]);
            SM_TRY(sm_h5_create_contiguous(file, object, picture || classes ? SM_H5_U8 : SM_H5_FLOAT,
                                           !picture && classes ? 3 : 4, shape, &p->offsets[1 + t * MAPS + m]));
        }
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
    sm_free(p->classes);
    sm_free(p);
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

sm_status sm_predictions_create(const sm_session *session, const sm_dataset *dataset, const char *path, int64_t count,
                                int height, int width, sm_predictions **out)
{
    sm_status status = SM_OK;
    sm_comm *comm = session->comm;
    size_t pixels = (size_t)height * (size_t)width, offsets = 1 + MAPS * (size_t)session->task_count;
    sm_predictions *p = sm_alloc_zeroed(sizeof *p);
    *p = (sm_predictions){.session = session, .count = count, .height = height, .width = width, .semantic = -1};
    p->path = sm_strdup(path);
    p->partial = sm_format("%s.partial", path);
    p->offsets = sm_alloc_zeroed(offsets * sizeof *p->offsets);
    p->picture = sm_alloc(3 * pixels);
    p->thing = sm_alloc(pixels);
    p->classes = sm_alloc(pixels);
    for (int t = 0; t < session->task_count; t++) {
        if (strcmp(session->tasks[t]->kind->name, "semantic") == 0) {
            p->semantic = t;
        }
    }
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

static sm_status put(sm_predictions *p, int place, int64_t index, const void *data, size_t bytes)
{
    return sm_file_pwrite(p->file, data, bytes, p->offsets[place] + (uint64_t)index * bytes);
}

static void find_largest(const float *logits, size_t pixels, int channels, uint8_t *classes)
{
    for (size_t i = 0; i < pixels; i++) {
        const float *row = logits + i * (size_t)channels;
        int best = 0;
        for (int c = 1; c < channels; c++) {
            best = row[c] > row[best] ? c : best;
        }
        classes[i] = (uint8_t)best;
    }
}

sm_status sm_predictions_put(sm_predictions *p, const sm_batch *batch, int sample, const float *const *logits)
{
    sm_status status = SM_OK;
    const sm_session *session = p->session;
    int64_t index = batch->sample_index[sample];
    size_t pixels = (size_t)p->height * (size_t)p->width;
    if (index >= p->count) {
        return SM_OK;
    }
    SM_TRY(put(p, 0, index, batch->pixels + (size_t)sample * pixels * 3, pixels * 3));
    for (int t = 0; t < session->task_count; t++) {
        const sm_task *task = session->tasks[t];
        size_t target_bytes = pixels * (size_t)task->kind->target_bytes_per_pixel;
        const void *target = (const char *)batch->target[t] + (size_t)sample * target_bytes;
        const float *prediction = logits[t] + (size_t)sample * pixels * (size_t)task->channels;
        int place = 1 + t * MAPS;
        const uint8_t *thing = NULL;
        if (p->semantic >= 0) {
            const sm_task *semantic = session->tasks[p->semantic];
            sm_task_thing_mask(semantic, p->height, p->width,
                               logits[p->semantic] + (size_t)sample * pixels * (size_t)semantic->channels, NULL,
                               p->thing);
            thing = p->thing;
        }
        task->kind->picture(task, p->height, p->width, NULL, target, NULL, p->picture);
        SM_TRY(put(p, place + TRUTH_PICTURE, index, p->picture, pixels * 3));
        task->kind->picture(task, p->height, p->width, prediction, NULL, thing, p->picture);
        SM_TRY(put(p, place + PREDICTION_PICTURE, index, p->picture, pixels * 3));
        SM_TRY(put(p, place + TRUTH, index, target, target_bytes));
        if (is_class_map(task)) {
            find_largest(prediction, pixels, task->channels, p->classes);
            SM_TRY(put(p, place + PREDICTION, index, p->classes, pixels));
        } else {
            SM_TRY(put(p, place + PREDICTION, index, prediction, pixels * (size_t)task->channels * sizeof(float)));
        }
    }
done:
    return status;
}
