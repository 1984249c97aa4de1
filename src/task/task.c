#include <sigmatic/task/task.h>

#include "task/loss.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <string.h>

size_t sm_task_item_bytes(const sm_task *task)
{
    return sm_task_is_classification(task) ? 1 : (size_t)task->channels * sizeof(float);
}

const char *sm_task_unit(const sm_task *task)
{
    return sm_task_is_classification(task) ? "nat" : task->kind->unit ? task->kind->unit : task->target->unit;
}

sm_target_builder sm_task_builder(const sm_task *task)
{
    return (sm_target_builder){task->kind->build_target, task, task->target->scope, sm_task_item_bytes(task)};
}

static int channels_of(const sm_task *task)
{
    return task->kind->outputs > 0           ? task->kind->outputs
           : sm_task_is_classification(task) ? task->target->classes->count
                                             : task->target->components;
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
    if (!sm_task_is_classification(task)) {
        return sm_config_fail(config, section, "class_weights", "a task of kind %s has no classes; expected none",
                              task->kind->name);
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

/* A target that fits, of a dataset that nobody has named yet: with a class for each of the class weights. */
static sm_target *imagine_target(const sm_config *config, const char *section, const sm_task_kind *kind)
{
    size_t weights;
    const char *class_names[SM_CLASSES_MAX];
    sm_config_reals(config, section, "class_weights", &weights);
    sm_class_list classes = {.count = weights > 0 && weights <= SM_CLASSES_MAX ? (int)weights : 1,
                             .names = class_names};
    for (int c = 0; c < classes.count; c++) {
        class_names[c] = "unknown";
    }
    const sm_target target = {.name = kind->target,
                              .type = kind->learns,
                              .scope = kind->scope,
                              .components = kind->components > 0 ? kind->components : 1,
                              .unit = "",
                              .classes = kind->learns == SM_TARGET_CLASS ? &classes : NULL};
    return sm_target_copy(&target);
}

static sm_status fail_no_target(const sm_task *task, const char *name, const sm_target *const *targets,
                                int target_count)
{
    char *found = sm_strdup(target_count > 0 ? "" : "none");
    for (int t = 0; t < target_count; t++) {
        char *longer = sm_format("%s%s%s", found, t > 0 ? ", " : "", targets[t]->name);
        sm_free(found);
        found = longer;
    }
    sm_status status =
        sm_fail(SM_ERR_INPUT,
                "task '%s' learns the target '%s', which no dataset file has; there are: %s (an array of another name "
                "is a target if it has an attribute 'type')",
                task->name, name, found);
    sm_free(found);
    return status;
}

static sm_status find_target(const sm_task *task, const char *wanted, const sm_target *const *targets, int target_count,
                             const sm_target **found)
{
    const sm_task_kind *kind = task->kind;
    const char *name = *wanted ? wanted : kind->target;
    *found = NULL;
    for (int t = 0; t < target_count; t++) {
        if (strcmp(targets[t]->name, name) == 0) {
            *found = targets[t];
        }
    }
    if (!*found) {
        return fail_no_target(task, name, targets, target_count);
    }
    if ((*found)->type != kind->learns || (*found)->scope != kind->scope || (*found)->scaling != kind->scaling ||
        (kind->components > 0 && (*found)->components != kind->components)) {
        return sm_fail(
            SM_ERR_INPUT,
            "task '%s' of kind %s learns '%s': expected a target of type '%s', a value a %s, scaling '%s', but "
            "it is of type '%s', %d value(s) a %s, scaling '%s'",
            task->name, kind->name, name, sm_target_type_names[kind->learns], sm_scope_names[kind->scope],
            sm_target_scaling_names[kind->scaling], sm_target_type_names[(*found)->type], (*found)->components,
            sm_scope_names[(*found)->scope], sm_target_scaling_names[(*found)->scaling]);
    }
    return SM_OK;
}

sm_status sm_task_new(const sm_config *config, const char *name, const sm_target *const *targets, int target_count,
                      sm_task **out)
{
    sm_status status = SM_OK;
    char *section = sm_format("task.%s", name);
    sm_task *task = sm_alloc_zeroed(sizeof *task);
    const sm_target *target;

    *out = NULL;
    SM_TRY(check_name(name));
    task->name = sm_strdup(name);
    task->kind = sm_task_kinds[sm_config_choice(config, section, "kind")];
    if (targets) {
        SM_TRY(find_target(task, sm_config_text_of(config, section, "target"), targets, target_count, &target));
        task->target = sm_target_copy(target);
    } else {
        task->target = imagine_target(config, section, task->kind);
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
        sm_free(task->target);
        sm_free(task->class_weights);
        sm_free(task);
    }
}
