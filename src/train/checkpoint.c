#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/version.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/train/checkpoint.h>

#include "train/tensor_checksum.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FORMAT[] = "sigmatic-checkpoint", UPDATES[] = "/optimizer/updates", DATA[] = "/data";
enum { FORMAT_VERSION = 1, PATH_BYTES = SM_NAME_BYTES + 64 };

/* ---- one tensor ---- */

static sm_status write_tensor(sm_h5 *file, const char *object, const sm_slice *slice, const float *flat)
{
    sm_status status = SM_OK;
    size_t shape[4];
    float *values = sm_alloc(slice->count * sizeof *values);
    for (int d = 0; d < slice->dimensions; d++) {
        shape[d] = (size_t)slice->shape[d];
    }
    sm_slice_export(slice, flat, values);
    SM_TRY(sm_h5_write(file, object, SM_H5_FLOAT, slice->dimensions, shape, values));
    SM_TRY(sm_tensor_write_checksum(file, object, values, slice->count * sizeof *values));
done:
    sm_free(values);
    return status;
}

static sm_status read_tensor(const sm_h5 *file, const char *object, const sm_slice *slice, float *flat)
{
    sm_status status = SM_OK;
    size_t shape[4];
    float *values = sm_alloc(slice->count * sizeof *values);
    for (int d = 0; d < slice->dimensions; d++) {
        shape[d] = (size_t)slice->shape[d];
    }
    SM_TRY(sm_h5_read(file, object, SM_H5_FLOAT, slice->dimensions, shape, values));
    SM_TRY(sm_tensor_check(file, object, values, slice->count * sizeof *values));
    sm_slice_import(slice, values, flat);
done:
    sm_free(values);
    return status;
}

static int has_shape(const sm_h5_info *info, const sm_slice *slice)
{
    int same = info->rank == slice->dimensions;
    for (int d = 0; same && d < info->rank; d++) {
        same = info->shape[d] == (size_t)slice->shape[d];
    }
    return same;
}

/* Where a parameter stands below a group; log-variances have a group of their own beside /model. */
static void object_of(char out[PATH_BYTES], const char *group, const sm_slice *slice)
{
    if (slice->log_variance && strcmp(group, "/model") == 0) {
        snprintf(out, PATH_BYTES, "/log_variance/%s", strchr(slice->name, '.') + 1);
    } else {
        snprintf(out, PATH_BYTES, "%s/%s", group, slice->name);
    }
}

typedef sm_status (*tensor_function)(sm_h5 *file, const char *object, const sm_slice *slice, float *flat);

static sm_status write_one(sm_h5 *file, const char *object, const sm_slice *slice, float *flat)
{
    return write_tensor(file, object, slice, flat);
}

static sm_status read_one(sm_h5 *file, const char *object, const sm_slice *slice, float *flat)
{
    return read_tensor(file, object, slice, flat);
}

/* ---- one array of numbers ---- */

static sm_status write_array(sm_h5 *file, const char *object, sm_h5_type type, size_t count, const void *values)
{
    sm_status status = SM_OK;
    SM_TRY(sm_h5_write(file, object, type, 1, &count, values));
    SM_TRY(sm_tensor_write_checksum(file, object, values, count * sm_h5_type_bytes(type)));
done:
    return status;
}

static sm_status read_array(const sm_h5 *file, const char *object, sm_h5_type type, size_t count, void *values)
{
    sm_status status = SM_OK;
    SM_TRY(sm_h5_read(file, object, type, 1, &count, values));
    SM_TRY(sm_tensor_check(file, object, values, count * sm_h5_type_bytes(type)));
done:
    return status;
}

/* ---- every tensor ---- */

static sm_status no_such_tensor(const sm_h5 *file, const char *object, const sm_slice *slice)
{
    if (slice->log_variance) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: has no %s, which the configured weighting.method learns: a checkpoint of another weighting",
                       sm_h5_path(file), object);
    }
    return sm_fail(SM_ERR_INPUT, "%s: has no %s, which the configured network needs: a checkpoint of another model",
                   sm_h5_path(file), object);
}

/* A tensor that is missing or has another shape is another network's; one that cannot be read later on is damaged. */
static sm_status match_one(sm_h5 *file, const char *object, const sm_slice *slice, float *flat)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    (void)flat;
    if (!sm_h5_has_dataset(file, object)) {
        SM_TRY(no_such_tensor(file, object, slice));
    }
    SM_TRY(sm_h5_query(file, object, &info));
    if (!has_shape(&info, slice)) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s: %s has %zu %s, or in another shape than the configured network's %zu: a checkpoint of "
                       "another model",
                       sm_h5_path(file), object, info.count, sm_plural((int64_t)info.count, "number", "numbers"),
                       slice->count));
    }
done:
    return status;
}

static sm_status each_tensor(tensor_function function, sm_h5 *file, const char *group, const sm_slices *slices,
                             float *flat)
{
    sm_status status = SM_OK;
    for (int i = 0; i < slices->count; i++) {
        char object[PATH_BYTES];
        sm_comm_set_phase("checkpoint, tensor", 0, i);
        object_of(object, group, &slices->items[i]);
        SM_TRY(function(file, object, &slices->items[i], flat));
    }
done:
    return status;
}

/* ---- the whole file: reading and writing walk the same list ---- */

static sm_status network_tensors(tensor_function function, sm_h5 *file, sm_session *session)
{
    sm_status status = SM_OK;
    SM_TRY(each_tensor(function, file, "/model", &session->parameters->parameters, session->values));
    SM_TRY(each_tensor(function, file, "/model", &session->parameters->buffers, session->buffers));
done:
    return status;
}

static sm_status optimizer_tensors(tensor_function function, sm_h5 *file, const sm_trainer *trainer)
{
    sm_status status = SM_OK;
    const sm_optimizer_kind *kind = trainer->update->optimizer->kind;
    for (int i = 0; i < kind->state_count; i++) {
        char group[64];
        snprintf(group, sizeof group, "/optimizer/%s", kind->state_names[i]);
        SM_TRY(
            each_tensor(function, file, group, &trainer->session->parameters->parameters, trainer->update->state[i]));
    }
    if (trainer->update->average) {
        SM_TRY(
            each_tensor(function, file, "/ema", &trainer->session->parameters->parameters, trainer->update->average));
    }
done:
    return status;
}

/* What the weighting carries from step to step. */

typedef sm_status (*state_function)(sm_h5 *file, const char *object, const sm_weighting_state *state);

static sm_status write_state(sm_h5 *file, const char *object, const sm_weighting_state *state)
{
    return write_array(file, object, SM_H5_DOUBLE, state->count, state->values);
}

static sm_status read_state(sm_h5 *file, const char *object, const sm_weighting_state *state)
{
    return read_array(file, object, SM_H5_DOUBLE, state->count, state->values);
}

static sm_status weighting_states(state_function function, sm_h5 *file, const sm_weighting *weighting)
{
    sm_status status = SM_OK;
    for (int i = 0; i < weighting->state_count; i++) {
        char object[PATH_BYTES];
        snprintf(object, sizeof object, "/weighting/%s", weighting->states[i].name);
        SM_TRY(function(file, object, &weighting->states[i]));
    }
done:
    return status;
}

static sm_status write_attributes(sm_h5 *file, const sm_trainer *trainer, const char *fingerprint, double best_metric)
{
    sm_status status = SM_OK;
    const sm_session *session = trainer->session;
    char *config = sm_config_text(session->config);
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", FORMAT));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", FORMAT_VERSION));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "version", SM_VERSION));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "config", config));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "dataset", fingerprint));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "optimizer", trainer->update->optimizer->kind->name));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "seed", (int64_t)session->settings.seed));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "step", trainer->step));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "epoch", trainer->epoch));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "samples_seen", trainer->position));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "skipped", trainer->skipped));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "skipped_in_a_row", trainer->skipped_in_a_row));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "world_size", sm_comm_size(session->comm)));
    SM_TRY(sm_h5_write_attribute_double(file, "/", "best_metric", best_metric));
done:
    sm_free(config);
    return status;
}

static sm_status build(const sm_trainer *trainer, const char *path, const char *fingerprint, double best_metric,
                       sm_h5 **out)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    size_t slices = (size_t)trainer->session->parameters->parameters.count;
    SM_TRY(sm_h5_create_in_memory(path, SM_H5_LATEST, &file));
    SM_TRY(write_attributes(file, trainer, fingerprint, best_metric));
    SM_TRY(sm_data_description_write(trainer->session->data, file, DATA));
    SM_TRY(network_tensors(write_one, file, trainer->session));
    SM_TRY(optimizer_tensors(write_one, file, trainer));
    SM_TRY(write_array(file, UPDATES, SM_H5_INT64, slices, trainer->update->updates));
    SM_TRY(weighting_states(write_state, file, trainer->session->weighting));
    *out = file;
    file = NULL;
done:
    sm_h5_close(file);
    return status;
}

sm_status sm_checkpoint_save(const sm_trainer *trainer, const char *path, const char *best_path,
                             const char *fingerprint, double best_metric)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    if (sm_comm_rank(trainer->session->comm) == 0) {
        SM_TRY(build(trainer, path, fingerprint, best_metric, &file));
        SM_TRY(sm_h5_write_image(file, path));
        if (best_path) {
            SM_TRY(sm_h5_write_image(file, best_path));
        }
    }
done:
    sm_h5_close(file);
    return sm_comm_agree(trainer->session->comm, status);
}

/* ---- loading ---- */

static sm_status check_format(const sm_h5 *file)
{
    sm_status status = SM_OK;
    char *format = NULL;
    int64_t version;
    SM_TRY(sm_h5_read_attribute_text(file, "/", "format", &format));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "format_version", &version));
    if (strcmp(format, FORMAT) != 0 || version != FORMAT_VERSION) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: format '%s' version %d expected, '%s' version %lld found", sm_h5_path(file),
                       FORMAT, FORMAT_VERSION, format, (long long)version));
    }
done:
    sm_free(format);
    return status;
}

/* A file with more tensors than the network belongs to another one. */
static sm_status check_count(const sm_h5 *file, const sm_session *session)
{
    char **names = NULL;
    size_t found, expected = (size_t)(sm_session_network_slices(session) + session->parameters->buffers.count);
    sm_status status = sm_h5_list(file, "/model", &names, &found);
    for (size_t i = 0; status == SM_OK && i < found; i++) {
        if (!sm_slices_find(&session->parameters->parameters, names[i]) &&
            !sm_slices_find(&session->parameters->buffers, names[i])) {
            status = sm_fail(
                SM_ERR_INPUT,
                "%s: holds /model/%s (%zu %s), which the configured network (%zu %s) does not have: a checkpoint "
                "of another model",
                sm_h5_path(file), names[i], found, sm_plural((int64_t)found, "tensor", "tensors"), expected,
                sm_plural((int64_t)expected, "tensor", "tensors"));
        }
    }
    sm_free(names);
    return status;
}

/* Where the run stood: one list for reading, checking and telling the other ranks. */
static const struct {
    const char *attribute;
    size_t offset; /* of an int64_t in sm_trainer */
} positions[] = {{"step", offsetof(sm_trainer, step)},
                 {"epoch", offsetof(sm_trainer, epoch)},
                 {"samples_seen", offsetof(sm_trainer, position)},
                 {"skipped", offsetof(sm_trainer, skipped)},
                 {"skipped_in_a_row", offsetof(sm_trainer, skipped_in_a_row)}};
enum { POSITIONS = sizeof positions / sizeof *positions };

static int64_t *position_of(sm_trainer *trainer, int i)
{
    return (int64_t *)(void *)((char *)trainer + positions[i].offset);
}

static sm_status read_positions(const sm_h5 *file, sm_trainer *trainer)
{
    sm_status status = SM_OK;
    for (int i = 0; i < POSITIONS; i++) {
        SM_TRY(sm_h5_read_attribute_int64(file, "/", positions[i].attribute, position_of(trainer, i)));
        if (*position_of(trainer, i) < 0) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: / attribute %s: 0 or more expected, %lld found", sm_h5_path(file),
                           positions[i].attribute, (long long)*position_of(trainer, i)));
        }
    }
    if (trainer->skipped > trainer->step || trainer->skipped_in_a_row > trainer->skipped) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s: / attributes skipped_in_a_row = %lld, skipped = %lld, step = %lld: each at most the next "
                       "expected",
                       sm_h5_path(file), (long long)trainer->skipped_in_a_row, (long long)trainer->skipped,
                       (long long)trainer->step));
    }
done:
    return status;
}

/* Counts of log-variances come last: a file has them where the weighting of the run learned them, older ones have them
 * always. */
static sm_status read_updates(const sm_h5 *file, sm_trainer *trainer)
{
    sm_status status = SM_OK;
    size_t slices = (size_t)trainer->session->parameters->parameters.count;
    size_t without = (size_t)sm_session_network_slices(trainer->session);
    size_t with = without + (size_t)trainer->session->task_count;
    int64_t *counts = sm_alloc(with * sizeof *counts);
    sm_h5_info info;
    SM_TRY(sm_h5_query(file, UPDATES, &info));
    SM_TRY(read_array(file, UPDATES, SM_H5_INT64, info.count == with ? with : slices, counts));
    memcpy(trainer->update->updates, counts, slices * sizeof *counts);
done:
    sm_free(counts);
    return status;
}

/* What the optimizer keeps has another meaning for another kind. Files of others may come without the word. */
static sm_status check_optimizer(const sm_h5 *file, const sm_update *update)
{
    sm_status status = SM_OK;
    const char *wanted = update->optimizer->kind->name;
    char *found = NULL;
    if (sm_h5_has_attribute(file, "/", "optimizer")) {
        SM_TRY(sm_h5_read_attribute_text(file, "/", "optimizer", &found));
        if (strcmp(found, wanted) != 0) {
            SM_TRY(sm_fail(SM_ERR_INPUT,
                           "%s: was trained with optimizer.kind '%s', the config says '%s': keep '%s', or begin a run "
                           "in another folder with the checkpoint as model.pretrained",
                           sm_h5_path(file), found, wanted, found));
        }
    }
    if (update->average && !sm_h5_has_group(file, "/ema")) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s: was trained with optimizer.ema_decay = 0, the config says more: there is no average to go "
                       "on with",
                       sm_h5_path(file)));
    }
done:
    sm_free(found);
    return status;
}

static sm_status load_file(sm_session *session, sm_trainer *trainer, const char *path, int use_average)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(check_format(file));
    SM_TRY(check_count(file, session));
    SM_TRY(network_tensors(match_one, file, session));
    if (trainer) {
        SM_TRY(check_optimizer(file, trainer->update));
    }
    SM_TRY(network_tensors(read_one, file, session));
    if (use_average && sm_h5_has_group(file, "/ema")) {
        SM_TRY(each_tensor(read_one, file, "/ema", &session->parameters->parameters, session->values));
    }
    if (trainer) {
        SM_TRY(optimizer_tensors(read_one, file, trainer));
        SM_TRY(read_updates(file, trainer));
        SM_TRY(weighting_states(read_state, file, session->weighting));
        SM_TRY(read_positions(file, trainer));
    }
done:
    sm_h5_close(file);
    return status;
}

sm_status sm_checkpoint_load(sm_session *session, sm_trainer *trainer, const char *path, int use_average)
{
    sm_comm *comm = session->comm;
    sm_session_wait_for_node(session);
    sm_status status = sm_comm_rank(comm) == 0 ? load_file(session, trainer, path, use_average) : SM_OK;
    status = sm_comm_agree(comm, status);
    if (status != SM_OK) {
        return status;
    }
    sm_session_broadcast_network(session);
    if (trainer) {
        for (int i = 0; i < trainer->update->optimizer->kind->state_count; i++) {
            sm_session_broadcast(session, trainer->update->state[i]);
        }
        if (trainer->update->average) {
            sm_session_broadcast(session, trainer->update->average);
        }
        sm_comm_broadcast(comm, trainer->update->updates,
                          (size_t)session->parameters->parameters.count * sizeof(int64_t), 0);
        for (int i = 0; i < session->weighting->state_count; i++) {
            const sm_weighting_state *state = &session->weighting->states[i];
            sm_comm_broadcast(comm, state->values, state->count * sizeof *state->values, 0);
        }
        for (int i = 0; i < POSITIONS; i++) {
            sm_comm_broadcast(comm, position_of(trainer, i), sizeof(int64_t), 0);
        }
    }
    return SM_OK;
}

sm_status sm_checkpoint_read_info(const char *path, sm_checkpoint_info *info)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    *info = (sm_checkpoint_info){.best_metric = NAN};
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(check_format(file));
    SM_TRY(sm_h5_read_attribute_text(file, "/", "config", &info->config));
    SM_TRY(sm_h5_read_attribute_text(file, "/", "dataset", &info->fingerprint));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "step", &info->step));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "epoch", &info->epoch));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "samples_seen", &info->samples_seen));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "skipped", &info->skipped));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "world_size", &info->world_size));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "seed", &info->seed));
    SM_TRY(sm_h5_read_attribute_double(file, "/", "best_metric", &info->best_metric));
done:
    sm_h5_close(file);
    if (status != SM_OK) {
        sm_checkpoint_info_free(info);
    }
    return status;
}

void sm_checkpoint_info_free(sm_checkpoint_info *info)
{
    sm_free(info->config);
    sm_free(info->fingerprint);
    *info = (sm_checkpoint_info){0};
}

sm_status sm_checkpoint_read_data(const char *path, sm_data_description **out)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    *out = NULL;
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(check_format(file));
    if (sm_h5_has_group(file, DATA)) {
        SM_TRY(sm_data_description_read(file, DATA, out));
    }
done:
    sm_h5_close(file);
    return status;
}

/* \return the weight of a head's last layer, whatever the head is made of: "decoders.<task>.3.weight"; NULL if there is
 * none. */
static const char *last_weight(char *const *names, size_t count, const char *task)
{
    const char *last = NULL;
    int most = -1;
    for (size_t i = 0; i < count; i++) {
        char *end;
        size_t prefix = sizeof "decoders." - 1 + strlen(task) + 1;
        if (strncmp(names[i], "decoders.", 9) != 0 || strlen(names[i]) < prefix ||
            strncmp(names[i] + 9, task, strlen(task)) != 0 || names[i][prefix - 1] != '.') {
            continue;
        }
        long layer = strtol(names[i] + prefix, &end, 10);
        if (end != names[i] + prefix && strcmp(end, ".weight") == 0 && layer > most) {
            most = (int)layer;
            last = names[i];
        }
    }
    return last;
}

sm_status sm_checkpoint_task_channels(const char *path, const char *task, int *channels)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    sm_h5_info info;
    char **names = NULL, *object = NULL;
    size_t count = 0;
    *channels = 0;
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(check_format(file));
    SM_TRY(sm_h5_list(file, "/model", &names, &count));
    const char *last = last_weight(names, count, task);
    if (last) {
        object = sm_format("/model/%s", last);
        SM_TRY(sm_h5_query(file, object, &info));
        *channels = info.rank > 0 ? (int)info.shape[0] : 0;
    }
done:
    sm_h5_close(file);
    sm_free(names);
    sm_free(object);
    return status;
}

/* ---- verifying ---- */

/* Groups that we write; what else stands in the file is its user's. */
static const char *const our_groups[] = {"model", "log_variance", "optimizer", "ema", "weighting"};
enum { GROUPS_DEEP = 1 /* below those; links of others may lead round in circles */ };

static int is_ours(const char *group)
{
    for (size_t i = 0; i < sizeof our_groups / sizeof *our_groups; i++) {
        if (strcmp(our_groups[i], group) == 0) {
            return 1;
        }
    }
    return 0;
}

/* A dataset with our checksum. */
static sm_status verify_dataset(const sm_h5 *file, const char *object)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    void *values = NULL;
    uint64_t file_bytes = 0;
    SM_TRY(sm_file_size(sm_h5_path(file), &file_bytes));
    SM_TRY(sm_h5_query(file, object, &info));
    size_t bytes = info.count * sm_h5_type_bytes(info.type);
    if (bytes == 0 || bytes > file_bytes) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s is damaged: it has a checksum, but %zu bytes of numbers in a file of %llu",
                       sm_h5_path(file), object, bytes, (unsigned long long)file_bytes));
    }
    values = sm_alloc(bytes);
    SM_TRY(sm_h5_read(file, object, info.type, info.rank, info.shape, values));
    SM_TRY(sm_tensor_check(file, object, values, bytes));
done:
    sm_free(values);
    return status;
}

static sm_status verify_group(const sm_h5 *file, const char *group, int groups_deep)
{
    sm_status status = SM_OK;
    char **names = NULL, *object = NULL;
    size_t count = 0;
    SM_TRY(sm_h5_list(file, group, &names, &count));
    for (size_t i = 0; i < count; i++) {
        sm_free(object);
        object = sm_format("%s/%s", group, names[i]);
        int is_group = sm_h5_has_group(file, object);
        if (is_group && groups_deep > 0) {
            SM_TRY(verify_group(file, object, groups_deep - 1));
        } else if (!is_group && !sm_h5_has_dataset(file, object)) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s is damaged: it cannot be opened", sm_h5_path(file), object));
        } else if (!is_group && sm_h5_has_attribute(file, object, "crc32c")) {
            SM_TRY(verify_dataset(file, object));
        }
    }
done:
    sm_free(object);
    sm_free(names);
    return status;
}

sm_status sm_checkpoint_verify(const char *path)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    char **names = NULL, group[32];
    size_t count = 0;
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(check_format(file));
    SM_TRY(sm_h5_list(file, "/", &names, &count));
    for (size_t i = 0; i < count; i++) {
        if (is_ours(names[i])) {
            snprintf(group, sizeof group, "/%s", names[i]);
            SM_TRY(verify_group(file, group, GROUPS_DEEP));
        }
    }
done:
    sm_free(names);
    sm_h5_close(file);
    return status;
}
