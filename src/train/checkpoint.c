#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/train/checkpoint.h>

#include "train/checkpoint_private.h"
#include "train/tensor_checksum.h"

#include <string.h>

/* ---- one tensor ---- */

static sm_status read_tensor(sm_h5 *file, const char *object, const sm_slice *slice, float *flat)
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

/* ---- one array of numbers ---- */

static sm_status read_array(const sm_h5 *file, const char *object, sm_h5_type type, size_t count, void *values)
{
    sm_status status = SM_OK;
    SM_TRY(sm_h5_read(file, object, type, 1, &count, values));
    SM_TRY(sm_tensor_check(file, object, values, count * sm_h5_type_bytes(type)));
done:
    return status;
}

static sm_status read_state(sm_h5 *file, const char *object, const sm_weighting_state *state)
{
    return read_array(file, object, SM_H5_DOUBLE, state->count, state->values);
}

/* ---- the whole file ---- */

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

static sm_status read_position(const sm_h5 *file, sm_trainer_position *position)
{
    sm_status status = SM_OK;
    for (int i = 0; i < SM_CHECKPOINT_COUNTS; i++) {
        const char *attribute = sm_checkpoint_counts[i].attribute;
        int64_t *count = sm_checkpoint_count_of(position, i);
        if (!sm_checkpoint_counts[i].may_lack || sm_h5_has_attribute(file, "/", attribute)) {
            SM_TRY(sm_h5_read_attribute_int64(file, "/", attribute, count));
        }
        if (*count < 0) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: / attribute %s: 0 or more expected, %lld found", sm_h5_path(file),
                           attribute, (long long)*count));
        }
    }
    if (position->skipped > position->step || position->skipped_in_a_row > position->skipped) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s: / attributes skipped_in_a_row = %lld, skipped = %lld, step = %lld: each at most the next "
                       "expected",
                       sm_h5_path(file), (long long)position->skipped_in_a_row, (long long)position->skipped,
                       (long long)position->step));
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
    SM_TRY(sm_h5_query(file, sm_checkpoint_updates, &info));
    SM_TRY(read_array(file, sm_checkpoint_updates, SM_H5_INT64, info.count == with ? with : slices, counts));
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

/* \param trainer, position  NULL: only the network */
static sm_status load_file(sm_session *session, sm_trainer *trainer, const char *path, int use_average,
                           sm_trainer_position *position)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    SM_TRY(sm_checkpoint_open(path, &file));
    SM_TRY(check_count(file, session));
    SM_TRY(sm_checkpoint_network(match_one, file, session));
    if (trainer) {
        SM_TRY(check_optimizer(file, trainer->update));
        SM_TRY(read_position(file, position));
    }
    SM_TRY(sm_checkpoint_network(read_tensor, file, session));
    if (use_average) {
        SM_TRY(sm_checkpoint_average(read_tensor, file, session));
    }
    if (trainer) {
        SM_TRY(sm_checkpoint_optimizer(read_tensor, file, trainer));
        SM_TRY(read_updates(file, trainer));
        SM_TRY(sm_checkpoint_weighting(read_state, file, session->weighting));
    }
done:
    sm_h5_close(file);
    return status;
}

/* What rank 0 has loaded of the run, beside the network. */
static void tell_others(sm_trainer *trainer, sm_trainer_position *position)
{
    sm_session *session = trainer->session;
    sm_comm *comm = session->comm;
    for (int i = 0; i < trainer->update->optimizer->kind->state_count; i++) {
        sm_session_broadcast(session, trainer->update->state[i]);
    }
    if (trainer->update->average) {
        sm_session_broadcast(session, trainer->update->average);
    }
    sm_comm_broadcast(comm, trainer->update->updates, (size_t)session->parameters->parameters.count * sizeof(int64_t),
                      0);
    for (int i = 0; i < session->weighting->state_count; i++) {
        const sm_weighting_state *state = &session->weighting->states[i];
        sm_comm_broadcast(comm, state->values, state->count * sizeof *state->values, 0);
    }
    sm_comm_broadcast(comm, position, sizeof *position, 0);
    sm_trainer_go_to(trainer, position);
}

sm_status sm_checkpoint_load(sm_session *session, sm_trainer *trainer, const char *path, int use_average)
{
    sm_comm *comm = session->comm;
    sm_trainer_position position = {0};
    sm_session_wait_for_node(session);
    sm_status status = sm_comm_rank(comm) == 0 ? load_file(session, trainer, path, use_average, &position) : SM_OK;
    status = sm_comm_agree(comm, status);
    if (status != SM_OK) {
        return status;
    }
    sm_session_broadcast_network(session);
    if (trainer) {
        tell_others(trainer, &position);
    }
    return SM_OK;
}
