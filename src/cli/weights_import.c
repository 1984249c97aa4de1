/* Weights of others as ours: a file with our names, or a checkpoint of a whole network. */
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
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
#include <stdlib.h>
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

/* A tensor of the file and what we call it. */
typedef struct renamed {
    size_t index;
    char *name;
} renamed;

static int by_name(const void *a, const void *b)
{
    const renamed *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : x->index < y->index ? -1 : x->index > y->index;
}

static int by_index(const void *a, const void *b)
{
    const renamed *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Of several that would have one name the first of the file is kept. \return how many stay, in the file's order */
static size_t drop_doubles(renamed *all, size_t count)
{
    size_t kept = 0;
    qsort(all, count, sizeof *all, by_name);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && strcmp(all[kept - 1].name, all[i].name) == 0) {
            sm_free(all[i].name);
        } else {
            all[kept++] = all[i];
        }
    }
    qsort(all, kept, sizeof *all, by_index);
    return kept;
}

/* \param [out] left  how many tensors of real numbers are not taken \return our names, freed with their array by sm_free() */
static renamed *rename_all(const sm_weights_file *weights, size_t *count, size_t *left)
{
    renamed *all = sm_alloc((weights->count + 1) * sizeof *all);
    size_t real = 0, found = 0;
    for (size_t i = 0; i < weights->count; i++) {
        char *name = weights->tensors[i].is_real ? our_name(weights->tensors[i].name) : NULL;
        real += weights->tensors[i].is_real != 0;
        if (name) {
            all[found++] = (renamed){i, name};
        }
    }
    *count = drop_doubles(all, found);
    *left = real - *count;
    return all;
}

static sm_status read_tensor(const sm_weights_file *weights, const renamed *which, sm_safetensor_values *out)
{
    const sm_weights_tensor *tensor = &weights->tensors[which->index];
    float *values = sm_alloc((tensor->count + 1) * sizeof *values);
    sm_status status = sm_weights_file_read(weights, which->index, values);
    *out = (sm_safetensor_values){.name = which->name, .rank = tensor->rank, .values = values};
    memcpy(out->shape, tensor->shape, sizeof tensor->shape);
    return status;
}

static sm_status rename_tensors(const options *o)
{
    sm_status status = SM_OK;
    sm_weights_file *weights = NULL;
    sm_safetensor_values *tensors = NULL;
    renamed *names = NULL;
    size_t count = 0, left = 0;
    SM_TRY(sm_weights_file_open(o->input, &weights));
    names = rename_all(weights, &count, &left);
    tensors = sm_alloc_zeroed((count + 1) * sizeof *tensors);
    for (size_t i = 0; i < count; i++) {
        SM_TRY(read_tensor(weights, &names[i], &tensors[i]));
    }
    if (count == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: of its %zu %s none has a name that is known", o->input, weights->count,
                       sm_plural((int64_t)weights->count, "tensor", "tensors")));
    }
    SM_TRY(sm_weights_write(
        o->output, tensors, count,
        &(sm_weights_notes){.mean = weights->mean, .std = weights->std, .channels = weights->channels}));
    printf("%s: %zu %s by our names, %zu left out\n", o->output, count, sm_plural((int64_t)count, "tensor", "tensors"),
           left);
done:
    for (size_t i = 0; i < count; i++) {
        sm_free(names[i].name);
        sm_free((void *)tensors[i].values);
    }
    sm_free(names);
    sm_free(tensors);
    sm_weights_file_close(weights);
    return status;
}

static sm_status import(const options *o)
{
    sm_status status = SM_OK;
    SM_TRY(sm_weights_check_path(o->output, o->config != NULL));
    if (!o->overwrite && sm_file_exists(o->output)) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "%s is there already; --overwrite replaces it", o->output));
    }
    SM_TRY(sm_file_check_writable(o->output));
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
        {"OUTPUT", ARGUMENT_POSITIONAL, &o.output, NULL,
         "file to write, NAME.h5, or without --config NAME.safetensors"},
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
