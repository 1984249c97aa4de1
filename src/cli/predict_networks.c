#include "cli/predict_networks.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/checkpoint.h>

#include "cli/checkpoint_data.h"

#include <string.h>

/* Of a checkpoint that does not say it itself. */
static sm_status describe_dataset(const sm_config *config, const char *checkpoint, const char *data,
                                  sm_data_description **out)
{
    sm_status status = SM_OK;
    const char *split = sm_config_text_of(config, "data", "train_split");
    sm_dataset *dataset = NULL;
    sm_augmentation augmentation;
    status = data ? sm_dataset_open(&data, 1, split, &dataset)
                  : checkpoint_data_open(config, checkpoint, "train", split, "--data", &dataset);
    if (status != SM_OK) {
        char *why = sm_strdup(sm_error_message());
        sm_fail(status, "%s was written by a version that did not store what its data are: a dataset must tell: %s",
                checkpoint, why);
        sm_free(why);
        goto done;
    }
    SM_TRY(sm_data_augmentation(config, dataset, &augmentation));
    *out = sm_data_description_new(dataset, &augmentation);
done:
    sm_dataset_close(dataset);
    return status;
}

/* \param [in,out] asks_dataset  set to 1 if the checkpoint does not say it itself */
static sm_status find_description(const sm_config *config, const char *checkpoint, const char *data, int *asks_dataset,
                                  sm_data_description **out)
{
    sm_status status = sm_checkpoint_read_data(checkpoint, out);
    if (status == SM_OK && !*out) {
        *asks_dataset = 1;
        status = describe_dataset(config, checkpoint, data, out);
    }
    return status;
}

static int same_target(const sm_target *a, const sm_target *b)
{
    int same = strcmp(a->name, b->name) == 0 && a->type == b->type && a->scope == b->scope &&
               a->components == b->components && a->scaling == b->scaling && !a->classes == !b->classes &&
               (!a->classes || a->classes->count == b->classes->count);
    for (int c = 0; same && a->classes && c < a->classes->count; c++) {
        same = strcmp(a->classes->names[c], b->classes->names[c]) == 0;
    }
    return same;
}

/* What is averaged must mean the same. */
static sm_status check_same(const char *const *checkpoints, const sm_session *first, const sm_session *other, int which)
{
    int same = first->task_count == other->task_count && first->data->input.kind == other->data->input.kind;
    for (int t = 0; same && t < first->task_count; t++) {
        same = strcmp(first->tasks[t]->name, other->tasks[t]->name) == 0 &&
               first->tasks[t]->kind == other->tasks[t]->kind &&
               same_target(first->tasks[t]->target, other->tasks[t]->target);
    }
    for (int c = 0; same && c < first->data->input.channels; c++) {
        same = first->data->input.mean[c] == other->data->input.mean[c] &&
               first->data->input.std[c] == other->data->input.std[c];
    }
    return same ? SM_OK
                : sm_fail(SM_ERR_INPUT,
                          "%s has other tasks, classes or input statistics than %s: their predictions cannot "
                          "be averaged",
                          checkpoints[which], checkpoints[0]);
}

static sm_status open_one(sm_comm *comm, const char *checkpoint, const argument_list *sets, const char *data,
                          int use_average, int *asks_dataset, predict_networks *networks)
{
    sm_status status = SM_OK;
    int i = networks->count++;
    sm_data_description *description = NULL;
    SM_TRY(checkpoint_config(comm, checkpoint, sets, &networks->configs[i]));
    const sm_config *config = networks->configs[i];
    sm_comm_set_stall_limit(sm_config_real(config, "distributed", "stall_seconds"));
    SM_TRY(sm_comm_agree(comm, find_description(config, checkpoint, data, asks_dataset, &description)));
    SM_TRY(sm_session_new_described(config, comm, description, &networks->sessions[i]));
    SM_TRY(sm_checkpoint_load(networks->sessions[i], NULL, checkpoint, use_average));
done:
    sm_data_description_free(description);
    return status;
}

/* A network agrees with itself: as an ensemble it would look certain of everything. */
static sm_status refuse_doubles(const char *const *checkpoints, int count)
{
    for (int i = 1; i < count; i++) {
        for (int k = 0; k < i; k++) {
            if (sm_file_is_same(checkpoints[k], checkpoints[i])) {
                return sm_fail(SM_ERR_USAGE,
                               "predict: %s and %s are one checkpoint: an ensemble is of different networks",
                               checkpoints[k], checkpoints[i]);
            }
        }
    }
    return SM_OK;
}

sm_status predict_networks_open(sm_comm *comm, const char *const *checkpoints, int count, const argument_list *sets,
                                const char *data, int use_average, predict_networks *networks)
{
    sm_status status = SM_OK;
    *networks = (predict_networks){.configs = sm_alloc_zeroed((size_t)count * sizeof *networks->configs),
                                   .sessions = sm_alloc_zeroed((size_t)count * sizeof *networks->sessions)};
    int asks_dataset = 0;
    SM_TRY(sm_comm_agree(comm, refuse_doubles(checkpoints, count)));
    for (int i = 0; i < count; i++) {
        SM_TRY(open_one(comm, checkpoints[i], sets, data, use_average, &asks_dataset, networks));
        SM_TRY(sm_comm_agree(comm, check_same(checkpoints, networks->sessions[0], networks->sessions[i], i)));
    }
    if (data && !asks_dataset) {
        SM_TRY(sm_fail(SM_ERR_USAGE,
                       "predict: --data is for checkpoints of earlier versions, %s says itself what its classes are; "
                       "images of a dataset are predicted by its name alone",
                       checkpoints[0]));
    }
done:
    return status;
}

void predict_networks_free(predict_networks *networks)
{
    for (int i = 0; i < networks->count; i++) {
        sm_session_free(networks->sessions[i]);
        sm_config_free(networks->configs[i]);
    }
    sm_free(networks->sessions);
    sm_free(networks->configs);
    *networks = (predict_networks){0};
}
