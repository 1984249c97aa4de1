#include <sigmatic/base/memory.h>
#include <sigmatic/base/version.h>
#include <sigmatic/io/h5_checksums.h>
#include <sigmatic/train/checkpoint.h>

#include "train/checkpoint_private.h"
#include "train/tensor_checksum.h"

/* Large ones straight into the file's memory; of small ones HDF5 keeps no alignment. */
static sm_status write_tensor(sm_h5 *file, const char *object, const sm_slice *slice, float *flat)
{
    enum { SMALL = SM_H5_PAGE_BYTES / sizeof(float) };
    sm_status status = SM_OK;
    size_t shape[4];
    float small[SMALL];
    void *values = small;
    for (int d = 0; d < slice->dimensions; d++) {
        shape[d] = (size_t)slice->shape[d];
    }
    if (slice->count >= SMALL) {
        SM_TRY(sm_h5_write_in_place(file, object, SM_H5_FLOAT, slice->dimensions, shape, &values));
    }
    sm_slice_export(slice, flat, values);
    if (!sm_tensor_is_finite(values, slice->count)) {
        SM_TRY(sm_fail(SM_ERR_NUMERIC, "%s has numbers that are not finite: no checkpoint is written of them", object));
    }
    if (values == small) {
        SM_TRY(sm_h5_write(file, object, SM_H5_FLOAT, slice->dimensions, shape, small));
    }
    SM_TRY(sm_tensor_write_checksum(file, object, values, slice->count * sizeof(float)));
done:
    return status;
}

static sm_status write_array(sm_h5 *file, const char *object, sm_h5_type type, size_t count, const void *values)
{
    sm_status status = SM_OK;
    SM_TRY(sm_h5_write(file, object, type, 1, &count, values));
    SM_TRY(sm_tensor_write_checksum(file, object, values, count * sm_h5_type_bytes(type)));
done:
    return status;
}

static sm_status write_state(sm_h5 *file, const char *object, const sm_weighting_state *state)
{
    return write_array(file, object, SM_H5_DOUBLE, state->count, state->values);
}

static sm_status write_attributes(sm_h5 *file, const sm_trainer *trainer, sm_trainer_position position,
                                  const char *fingerprint, double best_metric)
{
    sm_status status = SM_OK;
    const sm_session *session = trainer->session;
    char *config = sm_config_text(session->config);
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", sm_checkpoint_format));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", SM_CHECKPOINT_VERSION));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "version", SM_VERSION));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "config", config));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "dataset", fingerprint));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "optimizer", trainer->update->optimizer->kind->name));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "seed", (int64_t)session->settings.seed));
    for (int i = 0; i < SM_CHECKPOINT_COUNTS; i++) {
        SM_TRY(sm_h5_write_attribute_int64(file, "/", sm_checkpoint_counts[i].attribute,
                                           *sm_checkpoint_count_of(&position, i)));
    }
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "world_size", sm_comm_size(session->comm)));
    SM_TRY(sm_h5_write_attribute_double(file, "/", "best_metric", best_metric));
done:
    sm_free(config);
    return status;
}

/* A little more than the file will have: numbers in whole pages, and what HDF5 notes of each tensor. */
static size_t expected_bytes(const sm_trainer *trainer)
{
    enum { NOTES_BYTES = 1 << 10, REST_BYTES = 1 << 20 };
    const sm_parameters *parameters = trainer->session->parameters;
    size_t kept = 1 + (size_t)trainer->update->optimizer->kind->state_count + (trainer->update->average != NULL);
    size_t copies[] = {kept, 1}, bytes = REST_BYTES;
    const sm_slices *slices[] = {&parameters->parameters, &parameters->buffers};
    for (int group = 0; group < 2; group++) {
        for (int i = 0; i < slices[group]->count; i++) {
            size_t values = slices[group]->items[i].count * sizeof(float);
            bytes += copies[group] * (NOTES_BYTES + sm_round_up(values, SM_H5_PAGE_BYTES));
        }
    }
    return bytes;
}

sm_status sm_checkpoint_build(const sm_trainer *trainer, const sm_trainer_position *position, const char *path,
                              const char *fingerprint, double best_metric, sm_h5_memory *memory, sm_h5 **out)
{
    static const char *const checked[] = {"/", sm_checkpoint_data};
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    size_t slices = (size_t)trainer->session->parameters->parameters.count;
    sm_h5_memory_reserve(memory, expected_bytes(trainer));
    SM_TRY(sm_h5_create_in_memory(path, SM_H5_LATEST, memory, &file));
    SM_TRY(write_attributes(file, trainer, *position, fingerprint, best_metric));
    SM_TRY(sm_data_description_write(trainer->session->data, file, sm_checkpoint_data));
    SM_TRY(sm_h5_write_checksums(file, checked, sizeof checked / sizeof *checked));
    SM_TRY(sm_checkpoint_network(write_tensor, file, trainer->session));
    SM_TRY(sm_checkpoint_optimizer(write_tensor, file, trainer));
    SM_TRY(write_array(file, sm_checkpoint_updates, SM_H5_INT64, slices, trainer->update->updates));
    SM_TRY(sm_checkpoint_weighting(write_state, file, trainer->session->weighting));
    *out = file;
    file = NULL;
done:
    sm_h5_close(file);
    return status;
}

/* The best first: a checkpoint of the run never knows of a best one that is not there. */
sm_status sm_checkpoint_save(const sm_trainer *trainer, const char *path, const char *best_path,
                             const char *fingerprint, double best_metric)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    sm_h5_memory memory = {0};
    if (sm_comm_rank(trainer->session->comm) == 0) {
        const sm_trainer_position position = sm_trainer_where(trainer);
        SM_TRY(sm_checkpoint_build(trainer, &position, path, fingerprint, best_metric, &memory, &file));
        if (best_path) {
            SM_TRY(sm_h5_write_image(file, best_path));
        }
        SM_TRY(sm_h5_write_image(file, path));
    }
done:
    sm_h5_close(file);
    sm_h5_memory_free(&memory);
    return sm_comm_agree(trainer->session->comm, status);
}
