#include <sigmatic/task/task.h>

#include "task/loss.h"
#include "task/task_kinds.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <string.h>

const sm_key sm_task_keys[] = {
    {"task.NAME", "kind", SM_KEY_CHOICE, NULL, 0, 0, "semantic|instance|depth", NULL, "what the task predicts"},
    {"task.NAME", "loss", SM_KEY_CHOICE, "auto", 0, 0, "auto|cross_entropy|l1|l2", NULL,
     "auto = cross_entropy of a semantic task, l1 of the others, which also take l2"},
    {"task.NAME", "class_weights", SM_KEY_REALS, "", 0, INFINITY, NULL, NULL,
     "semantic: factor of the cross-entropy of each class's pixels; empty = 1"},
    {0},
};

const sm_task_kind sm_task_kinds[] = {
    {
        .name = "semantic",
        .target_dataset = "semantic",
        .losses = "cross_entropy",
        .target_bytes_per_pixel = 1,
        .build_target = sm_semantic_build,
        .loss_forward = sm_loss_forward,
        .loss_backward = sm_loss_backward,
        .metric_counts = sm_semantic_counts,
        .metric_sums = sm_semantic_sums,
        .metric_add = sm_semantic_add,
        .metric_values = sm_semantic_values,
        .metrics = sm_semantic_metrics,
        .picture = sm_semantic_picture,
    },
    {
        .name = "instance",
        .target_dataset = "instance",
        .losses = "l1|l2",
        .target_bytes_per_pixel = 2 * sizeof(float),
        .build_target = sm_instance_build,
        .loss_forward = sm_loss_forward,
        .loss_backward = sm_loss_backward,
        .metric_counts = sm_instance_counts,
        .metric_sums = sm_instance_sums,
        .metric_add = sm_instance_add,
        .metric_values = sm_instance_values,
        .metrics = sm_instance_metrics,
        .picture = sm_instance_picture,
    },
    {
        .name = "depth",
        .target_dataset = "disparity",
        .losses = "l1|l2",
        .target_bytes_per_pixel = sizeof(float),
        .build_target = sm_depth_build,
        .loss_forward = sm_loss_forward,
        .loss_backward = sm_loss_backward,
        .metric_counts = sm_depth_counts,
        .metric_sums = sm_depth_sums,
        .metric_add = sm_depth_add,
        .metric_values = sm_depth_values,
        .metrics = sm_depth_metrics,
        .picture = sm_depth_picture,
    },
    {0},
};

static int is_semantic(const sm_task *task)
{
    return task->kind->build_target == sm_semantic_build;
}

static int channels_of(const sm_task *task)
{
    return is_semantic(task) ? task->classes->count : task->kind->target_bytes_per_pixel / (int)sizeof(float);
}

/* \return the row of sm_losses whose name begins `names` up to a '|' and equals `wanted`; "auto" takes the first. */
static const char *find_loss(const char *names, const char *wanted)
{
    for (const char *at = names; *at; at += strcspn(at, "|"), at += *at == '|') {
        size_t length = strcspn(at, "|");
        for (const sm_loss *loss = sm_losses; loss->name; loss++) {
            if (strlen(loss->name) == length && strncmp(loss->name, at, length) == 0 &&
                (strcmp(wanted, "auto") == 0 || strcmp(wanted, loss->name) == 0)) {
                return loss->name;
            }
        }
    }
    return NULL;
}

static sm_status read_class_weights(const sm_config *config, const char *section, sm_task *task)
{
    size_t count = 0;
    double sum = 0;
    const double *weights = sm_config_reals(config, section, "class_weights", &count);
    if (count == 0) {
        return SM_OK;
    }
    if (!is_semantic(task)) {
        return sm_config_fail(config, section, "class_weights", "only a semantic task has classes; expected none");
    }
    if (count != (size_t)task->channels) {
        return sm_config_fail(config, section, "class_weights", "expected %d numbers, one a class; found %zu",
                              task->channels, count);
    }
    task->class_weights = sm_alloc(count * sizeof *task->class_weights);
    for (size_t c = 0; c < count; c++) {
        task->class_weights[c] = (float)weights[c];
        sum += weights[c];
    }
    return sum > 0 ? SM_OK : sm_config_fail(config, section, "class_weights", "expected at least one above 0");
}

/* Names are parts of parameter names and of groups in the run log, where "step" stands beside the tasks. */
static sm_status check_name(const char *name)
{
    enum { MOST_CHARACTERS = 48 };
    if (strlen(name) > MOST_CHARACTERS || strcmp(name, "step") == 0) {
        return sm_fail(SM_ERR_CONFIG, "[task.%s]: expected a name of at most %d characters, and not 'step'", name,
                       MOST_CHARACTERS);
    }
    return SM_OK;
}

sm_status sm_task_new(const sm_config *config, const char *name, const sm_class_info *classes, sm_task **out)
{
    sm_status status = SM_OK;
    char *section = sm_format("task.%s", name);
    sm_task *task = sm_alloc_zeroed(sizeof *task);

    *out = NULL;
    SM_TRY(check_name(name));
    task->name = sm_strdup(name);
    task->kind = &sm_task_kinds[sm_config_choice(config, section, "kind")];
    task->classes = classes;
    if (is_semantic(task) && !(classes && classes->count >= 1 && classes->count <= 255)) {
        SM_TRY(sm_config_fail(config, section, "kind", "expected a training set with 1 to 255 classes; found %d",
                              classes ? classes->count : 0));
    }
    task->channels = channels_of(task);
    task->loss = find_loss(task->kind->losses, sm_config_text_of(config, section, "loss"));
    if (!task->loss) {
        SM_TRY(sm_config_fail(config, section, "loss", "for kind = %s expected one of auto|%s", task->kind->name,
                              task->kind->losses));
    }
    SM_TRY(read_class_weights(config, section, task));
    *out = task;
    task = NULL;
done:
    sm_task_free(task);
    sm_free(section);
    return status;
}

void sm_task_free(sm_task *task)
{
    if (task) {
        sm_free(task->name);
        sm_free(task->class_weights);
        sm_free(task);
    }
}
