#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/h5_checksums.h>

#include "train/checkpoint_private.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char sm_checkpoint_format[] = "sigmatic-checkpoint", sm_checkpoint_updates[] = "/optimizer/updates",
           sm_checkpoint_data[] = "/data";

const sm_checkpoint_count sm_checkpoint_counts[SM_CHECKPOINT_COUNTS] = {
    {"step", offsetof(sm_trainer_position, step), 0},
    {"epoch", offsetof(sm_trainer_position, epoch), 0},
    {"samples_seen", offsetof(sm_trainer_position, samples), 0},
    {"skipped", offsetof(sm_trainer_position, skipped), 0},
    {"skipped_in_a_row", offsetof(sm_trainer_position, skipped_in_a_row), 0},
    {"backoffs", offsetof(sm_trainer_position, backoffs), 1},
    {"since_backoff", offsetof(sm_trainer_position, since_backoff), 1}};

/* ---- opening ---- */

static sm_status check_format(const sm_h5 *file)
{
    sm_status status = SM_OK;
    char *format = NULL;
    int64_t version;
    int has_checksums = 0;
    SM_TRY(sm_h5_read_attribute_text(file, "/", "format", &format));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "format_version", &version));
    if (strcmp(format, sm_checkpoint_format) != 0 || version < 1 || version > SM_CHECKPOINT_VERSION) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: format '%s' version 1 to %d expected, '%s' version %lld found",
                       sm_h5_path(file), sm_checkpoint_format, SM_CHECKPOINT_VERSION, format, (long long)version));
    }
    SM_TRY(sm_h5_check_checksums(file, &has_checksums));
    if (version > 1 && !has_checksums) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: has lost the checksums of its attributes, which version %lld has",
                       sm_h5_path(file), (long long)version));
    }
done:
    sm_free(format);
    return status;
}

sm_status sm_checkpoint_open(const char *path, sm_h5 **out)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(check_format(file));
    *out = file;
    file = NULL;
done:
    sm_h5_close(file);
    return status;
}

/* ---- the list of what it holds ---- */

/* Where a parameter stands below a group; log-variances have a group of their own beside /model. */
static void object_of(char out[SM_CHECKPOINT_OBJECT_BYTES], const char *group, const sm_slice *slice)
{
    if (slice->log_variance && strcmp(group, "/model") == 0) {
        snprintf(out, SM_CHECKPOINT_OBJECT_BYTES, "/log_variance/%s", strchr(slice->name, '.') + 1);
    } else {
        snprintf(out, SM_CHECKPOINT_OBJECT_BYTES, "%s/%s", group, slice->name);
    }
}

static sm_status each_tensor(sm_checkpoint_tensor function, sm_h5 *file, const char *group, const sm_slices *slices,
                             float *flat)
{
    sm_status status = SM_OK;
    for (int i = 0; i < slices->count; i++) {
        char object[SM_CHECKPOINT_OBJECT_BYTES];
        sm_comm_set_phase("checkpoint, tensor", 0, i);
        object_of(object, group, &slices->items[i]);
        SM_TRY(function(file, object, &slices->items[i], flat));
    }
done:
    return status;
}

sm_status sm_checkpoint_network(sm_checkpoint_tensor function, sm_h5 *file, sm_session *session)
{
    sm_status status = SM_OK;
    SM_TRY(each_tensor(function, file, "/model", &session->parameters->parameters, session->values));
    SM_TRY(each_tensor(function, file, "/model", &session->parameters->buffers, session->buffers));
done:
    return status;
}

sm_status sm_checkpoint_optimizer(sm_checkpoint_tensor function, sm_h5 *file, const sm_trainer *trainer)
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

sm_status sm_checkpoint_average(sm_checkpoint_tensor function, sm_h5 *file, sm_session *session)
{
    return sm_h5_has_group(file, "/ema")
               ? each_tensor(function, file, "/ema", &session->parameters->parameters, session->values)
               : SM_OK;
}

sm_status sm_checkpoint_weighting(sm_checkpoint_state function, sm_h5 *file, const sm_weighting *weighting)
{
    sm_status status = SM_OK;
    for (int i = 0; i < weighting->state_count; i++) {
        char object[SM_CHECKPOINT_OBJECT_BYTES];
        snprintf(object, sizeof object, "/weighting/%s", weighting->states[i].name);
        SM_TRY(function(file, object, &weighting->states[i]));
    }
done:
    return status;
}
