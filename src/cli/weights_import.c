/* Weights of others as ours: a file with our names, or a checkpoint of a whole network. */
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/io/file.h>
#include <sigmatic/model/weight_names.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/pretrained.h>
#include <sigmatic/train/weights_write.h>

#include "cli/arguments.h"
#include "cli/configuration.h"
#include "cli/weights_export.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct options {
    const char *input, *output, *config;
    argument_list sets;
    int overwrite;
} options;

/* ---- a checkpoint -------------------------------------------------------------------------------------------------- */

/* Of a run that has not made a step: what eval and predict read, and a training can resume from. */
static sm_status make_checkpoint(const options *o)
{
    sm_status status = SM_OK;
    sm_config *config = NULL;
    sm_dataset *train = NULL;
    sm_session *session = NULL;
    sm_trainer *trainer = NULL;
    sm_augmentation augmentation;
    SM_TRY(command_config(o->config, NULL, &o->sets, &config));
    SM_TRY(sm_data_open_train(config, &train));
    SM_TRY(sm_data_augmentation(config, train, &augmentation));
    SM_TRY(sm_session_new(config, sm_comm_self(), train, &session));
    SM_TRY(sm_trainer_new(session, augmentation.crop_height, augmentation.crop_width, 1, 1, &trainer));
    SM_TRY(sm_pretrained_load(session, o->input));
    sm_update_start_average(trainer->update);
    SM_TRY(sm_dataset_find_fingerprint(train));
    SM_TRY(sm_checkpoint_save(trainer, o->output, NULL, sm_dataset_fingerprint(train), NAN));
    printf("%s: a checkpoint of the network of %s\n", o->output, o->config);
done:
    sm_trainer_free(trainer);
    sm_session_free(session);
    sm_dataset_close(train);
    sm_config_free(config);
    return status;
}

/* ---- names --------------------------------------------------------------------------------------------------------- */

static sm_status read_tensor(const sm_weights_file *weights, size_t index, sm_safetensor_values *out)
{
    const sm_weights_tensor *tensor = &weights->tensors[index];
    float *values = sm_alloc((tensor->count + 1) * sizeof *values);
    sm_status status = sm_weights_file_read(weights, index, values);
    *out = (sm_safetensor_values){.rank = tensor->rank, .values = values};
    memcpy(out->shape, tensor->shape, sizeof tensor->shape);
    return status;
}

static int is_there(const sm_safetensor_values *tensors, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tensors[i].name, name) == 0) {
            return 1;
        }
    }
    return 0;
}

/* A decoder that is nobody's by name becomes that of a task "semantic". \return NULL if we have no such part */
static char *our_name(const char *theirs)
{
    const char *rest;
    const sm_weight_name *row = sm_weight_name_find(theirs, &rest);
    if (!row || !row->ours) {
        return NULL;
    }
    const char *star = strchr(row->ours, '*');
    return star ? sm_format("%.*ssemantic%s%s", (int)(star - row->ours), row->ours, star + 1, rest)
                : sm_format("%s%s", row->ours, rest);
}

static sm_status rename_tensors(const options *o)
{
    sm_status status = SM_OK;
    sm_weights_file *weights = NULL;
    sm_safetensor_values *tensors = NULL;
    size_t count = 0, left = 0;
    SM_TRY(sm_weights_file_open(o->input, &weights));
    tensors = sm_alloc_zeroed((weights->count + 1) * sizeof *tensors);
    for (size_t i = 0; i < weights->count; i++) {
        char *name = weights->tensors[i].is_real ? our_name(weights->tensors[i].name) : NULL;
        if (!name || is_there(tensors, count, name)) {
            left += weights->tensors[i].is_real;
            sm_free(name);
            continue;
        }
        sm_status read = read_tensor(weights, i, &tensors[count]);
        tensors[count++].name = name;
        SM_TRY(read);
    }
    if (count == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: none of its %zu tensors has a name that is known", o->input, weights->count));
    }
    SM_TRY(sm_weights_write(
        o->output, tensors, count,
        &(sm_weights_notes){.mean = weights->mean, .std = weights->std, .channels = weights->channels}));
    printf("%s: %zu tensors by our names, %zu left out\n", o->output, count, left);
done:
    for (size_t i = 0; i < count; i++) {
        sm_free((void *)tensors[i].name);
        sm_free((void *)tensors[i].values);
    }
    sm_free(tensors);
    sm_weights_file_close(weights);
    return status;
}

static sm_status import(const options *o)
{
    sm_status status = SM_OK;
    if (!o->overwrite && sm_file_exists(o->output)) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "%s is there already; --overwrite replaces it", o->output));
    }
    SM_TRY(sm_file_check_writable(o->output));
    SM_TRY(sm_weights_check_path(o->output));
    SM_TRY(o->config ? make_checkpoint(o) : rename_tensors(o));
done:
    return status;
}

sm_status weights_import(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    options o = {0};
    int help;
    const argument table[] = {
        {"FILE", ARGUMENT_POSITIONAL, &o.input, NULL, "state_dict in HDF5, safetensors, or a checkpoint"},
        {"OUTPUT", ARGUMENT_POSITIONAL, &o.output, NULL, "file to write, NAME.h5 or NAME.safetensors"},
        {"config", ARGUMENT_TEXT, &o.config, "CONFIG",
         "write a checkpoint of this config's network, which eval and predict read; what FILE lacks starts fresh"},
        {"set", ARGUMENT_LIST, &o.sets, "SECTION.KEY=VALUE", "override a key of CONFIG; may be repeated"},
        {"overwrite", ARGUMENT_FLAG, &o.overwrite, NULL, "replace OUTPUT"},
        {0}};
    SM_TRY(command_arguments(
        context, "weights import",
        "Turns weights of others into ours: with --config into a checkpoint, else into a file of the same tensors\n"
        "as float32 by our names.",
        table, argc, argv, &help));
    if (help) {
        goto done;
    }
    if (o.sets.count > 0 && !o.config) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "weights import: --set goes with --config"));
    }
    if (sm_comm_rank(context->comm) == 0) {
        SM_TRY(import(&o));
    }
done:
    return status;
}
