/* A checkpoint's network for PyTorch. */
#include "cli/weights_export.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/safetensors.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/weights_write.h>

#include "cli/arguments.h"
#include "cli/checkpoint_data.h"
#include "cli/configuration.h"
#include "cli/run_path.h"

#include <stdio.h>
#include <string.h>

typedef struct options {
    const char *checkpoint, *output, *names, *task;
    int overwrite, no_average;
} options;

static const struct {
    const char *word, *style;
    int has_decoder; /* of one task, of map of classes */
} styles[] = {
    {"sigmatic", "sigmatic", 0},
    {"resnet", "torchvision ResNet", 0},
    {"deeplabv3", "torchvision DeepLabv3", 1},
};
enum { STYLES = sizeof styles / sizeof *styles };

static sm_status find_style(const char *word, int *style)
{
    sm_nearest nearest = {.wanted = word};
    for (*style = 0; *style < STYLES; ++*style) {
        if (strcmp(styles[*style].word, word) == 0) {
            return SM_OK;
        }
        sm_nearest_consider(&nearest, styles[*style].word);
    }
    char *question = sm_nearest_question(&nearest);
    sm_status status =
        sm_fail(SM_ERR_USAGE, "weights export: --names '%s': sigmatic, resnet or deeplabv3 expected%s", word, question);
    sm_free(question);
    return status;
}

static sm_status fail_no_task(const sm_session *session, const char *wanted)
{
    sm_nearest nearest = {.wanted = wanted};
    char *fitting = NULL;
    for (int t = 0; t < session->task_count; t++) {
        if (sm_task_maps_classes(session->tasks[t])) {
            sm_append_text(&fitting, ", ", "%s", session->tasks[t]->name);
            sm_nearest_consider(&nearest, session->tasks[t]->name);
        }
    }
    char *question = sm_nearest_question(&nearest);
    sm_status status = sm_fail(
        SM_ERR_USAGE, "weights export: --task '%s': no task of that name predicts a class a pixel; those that do: %s%s",
        wanted, fitting ? fitting : "none", question);
    sm_free(question);
    sm_free(fitting);
    return status;
}

/* Names of one decoder say nothing of whose it is: the task that --task names, or the only one that there is. */
static sm_status find_task(const sm_session *session, const char *wanted, const char **out)
{
    int fitting = 0;
    for (int t = 0; t < session->task_count; t++) {
        const sm_task *task = session->tasks[t];
        if (sm_task_maps_classes(task) && (!wanted || strcmp(task->name, wanted) == 0)) {
            *out = task->name;
            fitting++;
        }
    }
    return fitting == 1 ? SM_OK
           : wanted     ? fail_no_task(session, wanted)
                        : sm_fail(SM_ERR_USAGE,
                                  "weights export: %d tasks predict a class a pixel, and names of DeepLabv3 are of one: "
                                      "name it by --task",
                                  fitting);
}

static sm_status check_deeplab(const sm_session *session, const char *path)
{
    return session->network.project
               ? SM_OK
               : sm_fail(
                     SM_ERR_INPUT,
                     "%s: its network has no projection behind the ASPP (model.project = false), which DeepLabv3 has",
                     path);
}

/* Weights of any origin lie beside each other: who gives those that are for PyTorch already is told what reads them. */
static sm_status refuse_safetensors(const char *path)
{
    sm_safetensors *file = NULL;
    if (sm_h5_is_file(path) || sm_safetensors_open(path, &file) != SM_OK) {
        return SM_OK;
    }
    sm_safetensors_close(file);
    return sm_fail(
        SM_ERR_USAGE,
        "weights export: %s is safetensors already: 'sigmatic weights info %s' lists it; a checkpoint expected", path,
        path);
}

/* The network alone: without the data that it learnt from. */
static sm_status open_network(const options *o, sm_config **config, sm_session **session)
{
    sm_status status = SM_OK;
    sm_data_description *data = NULL;
    const argument_list none = {0};
    SM_TRY(refuse_safetensors(o->checkpoint));
    SM_TRY(checkpoint_config(sm_comm_self(), o->checkpoint, &none, config));
    SM_TRY(sm_checkpoint_read_data(o->checkpoint, &data));
    if (!data) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s was written by a version that did not store what its data are: resume it for a step first",
                       o->checkpoint));
    }
    SM_TRY(sm_session_new_described(*config, sm_comm_self(), data, session));
    SM_TRY(sm_checkpoint_load(*session, NULL, o->checkpoint, !o->no_average));
done:
    sm_data_description_free(data);
    return status;
}

static sm_status export(const options *o)
{
    sm_status status = SM_OK;
    sm_config *config = NULL;
    sm_session *session = NULL;
    const char *task = o->task;
    size_t written = 0;
    int style;
    SM_TRY(find_style(o->names, &style));
    if (o->task && !styles[style].has_decoder) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "weights export: --task goes with --names deeplabv3"));
    }
    SM_TRY(sm_weights_check_path(o->output, 0));
    if (!o->overwrite && sm_file_exists(o->output)) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "%s is there already; --overwrite replaces it", o->output));
    }
    SM_TRY(sm_file_check_writable(o->output));
    SM_TRY(open_network(o, &config, &session));
    if (strcmp(styles[style].style, "sigmatic") != 0 && session->network.backbone->reads_tables) {
        SM_TRY(sm_fail(SM_ERR_USAGE,
                       "weights export: --names %s is for ResNets, and the backbone of %s is %s: sigmatic expected",
                       o->names, o->checkpoint, session->network.backbone->name));
    }
    if (styles[style].has_decoder) {
        SM_TRY(check_deeplab(session, o->checkpoint));
        SM_TRY(find_task(session, o->task, &task));
    }
    SM_TRY(sm_weights_export(session, styles[style].style, task, o->output, &written));
    int all = sm_session_network_slices(session) + session->parameters->buffers.count;
    printf("%s: %zu of %d %s\n", o->output, written, all, sm_plural(all, "tensor", "tensors"));
done:
    sm_session_free(session);
    sm_config_free(config);
    return status;
}

sm_status weights_export(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    options o = {.names = "sigmatic"};
    char *path = NULL;
    int help;
    const argument table[] = {
        {"CHECKPOINT", ARGUMENT_POSITIONAL, &o.checkpoint, NULL,
         "runs/NAME, for its checkpoints/best.h5, or any checkpoint"},
        {"OUTPUT", ARGUMENT_POSITIONAL, &o.output, NULL,
         "file to write: NAME.safetensors, or NAME.h5 with a dataset a tensor"},
        {"names", ARGUMENT_TEXT, &o.names, "sigmatic|resnet|deeplabv3",
         "sigmatic (all tensors, as analysis/torch_model.py takes them); resnet (the backbone, as "
         "torchvision.models.resnet* and "
         "timm name it); deeplabv3 (all but other tasks' decoders, as torchvision's; needs model.project)"},
        {"task", ARGUMENT_TEXT, &o.task, "NAME", "of deeplabv3: the task whose decoder is its classifier"},
        {"no-average", ARGUMENT_FLAG, &o.no_average, NULL, "the last parameters, not their moving average"},
        {"overwrite", ARGUMENT_FLAG, &o.overwrite, NULL, "replace OUTPUT"},
        {0}};
    SM_TRY(command_arguments(
        context, "weights export",
        "Writes a checkpoint's network with names that load_state_dict() of PyTorch takes. The file says which\n"
        "network it is, what its tasks are, and by which mean and std its images are normalised.",
        table, argc, argv, &help));
    if (!help && sm_comm_rank(context->comm) == 0) {
        SM_TRY(run_path_checkpoint(o.checkpoint, &path));
        o.checkpoint = path;
        SM_TRY(export(&o));
    }
done:
    sm_free(path);
    return status;
}
