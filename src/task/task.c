#include <sigmatic/base/plural.h>
#include <sigmatic/task/task.h>

#include "task/loss.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include <math.h>
#include <string.h>

const char *sm_task_unit(const sm_task *task)
{
    static const char *const of_encoding[] = {
        [SM_DEPTH_LINEAR] = NULL, [SM_DEPTH_LOG] = "log m", [SM_DEPTH_INVERSE] = "1/m"};
    return sm_task_is_classification(task) || sm_task_is_labelling(task) ? "nat"
           : of_encoding[task->encoding]                                 ? of_encoding[task->encoding]
           : task->kind->unit                                            ? task->kind->unit
                                                                         : task->target->unit;
}

/* Its own, and the noise of the vectors of instances. */
static int reads_target(const void *user, const char *name)
{
    const sm_task *task = user;
    size_t length = strlen(task->target->name);
    return strncmp(name, task->target->name, length) == 0 &&
           (name[length] == 0 || strcmp(name + length, "_offset") == 0);
}

sm_target_builder sm_task_builder(const sm_task *task)
{
    return (sm_target_builder){task->kind->build_target, task, task->target->scope, sm_task_item_bytes(task),
                               reads_target};
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
        for (int l = 0; sm_losses[l]; l++) {
            const char *name = sm_losses[l]->name;
            if (strlen(name) == length && strncmp(name, at, length) == 0 &&
                (strcmp(wanted, "auto") == 0 || strcmp(wanted, name) == 0)) {
                return name;
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
    if (!sm_task_is_classification(task) && !sm_task_is_labelling(task)) {
        return sm_config_fail(config, section, "class_weights", "a task of kind %s has no classes; expected none",
                              task->kind->name);
    }
    if (count != (size_t)task->channels) {
        return sm_config_fail(config, section, "class_weights", "expected %d %s, one a class; found %zu",
                              task->channels, sm_plural(task->channels, "number", "numbers"), count);
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
static sm_target *imagine_target(const sm_config *config, const char *section, const sm_task_kind *kind,
                                 const char *name)
{
    size_t weights;
    const char *class_names[SM_CLASSES_MAX];
    sm_config_reals(config, section, "class_weights", &weights);
    sm_class_list classes = {.count = weights > 0 && weights <= SM_CLASSES_MAX ? (int)weights : 1,
                             .names = class_names};
    for (int c = 0; c < classes.count; c++) {
        class_names[c] = "unknown";
    }
    int is_labels = kind->learns == SM_TARGET_LABELS;
    const sm_target target = {.name = name,
                              .type = kind->learns,
                              .scope = kind->scope,
                              .scaling = kind->scaling == SM_SCALINGS ? SM_SCALING_NONE : kind->scaling,
                              .components = is_labels              ? classes.count
                                            : kind->components > 0 ? kind->components
                                                                   : 1,
                              .unit = "",
                              .least = 1, /* whatever is learnt of a depth can be */
                              .most = 2,
                              .classes = is_labels || kind->learns == SM_TARGET_CLASS ? &classes : NULL};
    return sm_target_copy(&target);
}

/* ---- which target, and so which row of the kind ------------------------------------------------------------------- */

static int fits(const sm_task_kind *kind, const sm_target *target)
{
    return target->type == kind->learns && target->scope == kind->scope &&
           (kind->scaling == SM_SCALINGS || target->scaling == kind->scaling) &&
           (kind->components == 0 || target->components == kind->components);
}

/* \return the first row of a name that a target fits, NULL if none does. */
static const sm_task_kind *find_row(const char *name, const sm_target *target)
{
    for (int k = 0; sm_task_kinds[k]; k++) {
        if (strcmp(sm_task_kinds[k]->name, name) == 0 && fits(sm_task_kinds[k], target)) {
            return sm_task_kinds[k];
        }
    }
    return NULL;
}

/* \return the first row of a name, for a target that nobody has seen; the first that encodes, where that is asked for */
static const sm_task_kind *imagine_row(const sm_config *config, const char *section, const char *name)
{
    int encodes = sm_config_choice(config, section, "encoding") != SM_DEPTH_LINEAR;
    for (int k = 0; sm_task_kinds[k] && encodes; k++) {
        if (strcmp(sm_task_kinds[k]->name, name) == 0 && sm_task_kinds[k]->encode) {
            return sm_task_kinds[k];
        }
    }
    return sm_task_kind_find(name);
}

/* \return "type 'real', a value a pixel, scaling 'width' or ...": what the rows of a name take; freed with sm_free(). */
static char *list_rows(const char *name)
{
    char *list = sm_strdup("");
    for (int k = 0; sm_task_kinds[k]; k++) {
        const sm_task_kind *kind = sm_task_kinds[k];
        if (strcmp(kind->name, name) == 0) {
            char *count = kind->components > 0
                              ? sm_format("%d %s", kind->components, sm_plural(kind->components, "value", "values"))
                              : sm_strdup("values");
            sm_append_text(&list, ", or ", "type '%s', %s a %s, %s%s", sm_target_type_names[kind->learns], count,
                           sm_scope_names[kind->scope], kind->scaling == SM_SCALINGS ? "any scaling" : "scaling ",
                           kind->scaling == SM_SCALINGS ? "" : sm_target_scaling_names[kind->scaling]);
            sm_free(count);
        }
    }
    return list;
}

/* \param kind  of the task; NULL: all targets
 * \return the names of those that fit it, "" without any; freed with sm_free() */
static char *list_targets(const char *kind, const sm_target *const *targets, int target_count)
{
    char *list = sm_strdup("");
    for (int t = 0; t < target_count; t++) {
        if (!kind || find_row(kind, targets[t])) {
            sm_append_text(&list, ", ", "%s", targets[t]->name);
        }
    }
    return list;
}

/* \return "; did you mean 'price'?" of those that fit, or ""; freed with sm_free(). \param kind  NULL: all fit */
static char *ask_for_target(const char *wanted, const char *kind, const sm_target *const *targets, int target_count)
{
    sm_nearest nearest = {.wanted = wanted};
    for (int t = 0; t < target_count; t++) {
        if (!kind || find_row(kind, targets[t])) {
            sm_nearest_consider(&nearest, targets[t]->name);
        }
    }
    return sm_nearest_question(&nearest);
}

/* \param standard  of the kind, NULL: none; of a config that names no target */
static sm_status fail_no_target(const sm_config *config, const char *section, const sm_task *task, const char *standard,
                                const sm_target *const *targets, int target_count)
{
    static const char another[] = "an array of another name is a target if it has an attribute 'type'";
    const char *wanted = sm_config_text_of(config, section, "target");
    const char *kind = sm_config_text_of(config, section, "kind");
    char *all = list_targets(NULL, targets, target_count), *fitting = list_targets(kind, targets, target_count);
    char *question = ask_for_target(*wanted ? wanted : task->name, *wanted ? NULL : kind, targets, target_count);
    char *missing = standard ? sm_format("'%s', nor one of the task's name", standard) : sm_strdup("one of its name");
    char *rows = list_rows(kind);
    char *expected = *fitting ? sm_format("expected [%s] target = one of: %s", section, fitting)
                              : sm_format("nor any other of %s; there are: %s", rows, *all ? all : "none");
    sm_status status =
        *wanted ? sm_fail(SM_ERR_CONFIG,
                          "task '%s' learns the target '%s', which no dataset file has; there are: %s%s (%s)",
                          task->name, wanted, *all ? all : "none", question, another)
                : sm_fail(SM_ERR_CONFIG,
                          "task '%s' of kind %s names no target, and no dataset file has %s that fits%s%s%s (%s)",
                          task->name, kind, missing, *fitting ? "; " : ", ", expected, question, another);
    sm_free(question);
    sm_free(all);
    sm_free(fitting);
    sm_free(missing);
    sm_free(rows);
    sm_free(expected);
    return status;
}

static sm_status fail_other_target(const sm_task *task, const char *kind, const sm_target *found)
{
    char *rows = list_rows(kind);
    sm_status status = sm_fail(SM_ERR_CONFIG,
                               "task '%s' of kind %s learns '%s': expected a target of %s; but it is of type '%s', %d "
                               "%s a %s, scaling '%s'",
                               task->name, kind, found->name, rows, sm_target_type_names[found->type],
                               found->components, sm_plural(found->components, "value", "values"),
                               sm_scope_names[found->scope], sm_target_scaling_names[found->scaling]);
    sm_free(rows);
    return status;
}

static const sm_target *target_of_name(const sm_target *const *targets, int target_count, const char *name)
{
    for (int t = 0; t < target_count; t++) {
        if (strcmp(targets[t]->name, name) == 0) {
            return targets[t];
        }
    }
    return NULL;
}

/* \return what a task learns that names no target: the standard one of its kind, else the one of its own name if it fits */
static const sm_target *default_target(const char *kind, const char *standard, const char *task,
                                       const sm_target *const *targets, int target_count)
{
    const sm_target *found = standard ? target_of_name(targets, target_count, standard) : NULL;
    const sm_target *own = target_of_name(targets, target_count, task);
    return found ? found : own && find_row(kind, own) ? own : NULL;
}

/* Fills in kind and target. \param targets  NULL: there is no dataset */
static sm_status find_target(const sm_config *config, const char *section, const sm_target *const *targets,
                             int target_count, sm_task *task)
{
    const char *kind = sm_config_text_of(config, section, "kind");
    const char *wanted = sm_config_text_of(config, section, "target");
    const char *standard_name = sm_task_kind_find(kind)->target;
    const sm_target *found = *wanted ? target_of_name(targets, target_count, wanted)
                                     : default_target(kind, standard_name, task->name, targets, target_count);
    if (!targets) {
        const char *name = *wanted ? wanted : standard_name ? standard_name : task->name;
        const sm_target *standard = sm_standard_target(name);
        const sm_task_kind *row = standard ? find_row(kind, standard) : NULL;
        task->kind = row ? row : imagine_row(config, section, kind);
        task->target = imagine_target(config, section, task->kind, name);
        return SM_OK;
    }
    if (!found) {
        return sm_config_name_key(config, section, *wanted ? "target" : "kind",
                                  fail_no_target(config, section, task, standard_name, targets, target_count));
    }
    task->kind = find_row(kind, found);
    if (!task->kind) {
        return sm_config_name_key(config, section, *wanted ? "target" : "kind", fail_other_target(task, kind, found));
    }
    task->target = sm_target_copy(found);
    return SM_OK;
}

static void read_uncertainty(const sm_config *config, const char *section, sm_task *task)
{
    task->is_heteroscedastic = sm_config_choice(config, section, "uncertainty") != 0;
    task->noise_draws = (int)sm_config_integer(config, section, "uncertainty_draws");
    task->likelihood = task->is_heteroscedastic ? sm_likelihood_of_loss(task->loss) : NULL;
}

sm_status sm_task_new(const sm_config *config, const char *name, const sm_target *const *targets, int target_count,
                      sm_task **out)
{
    sm_status status = SM_OK;
    char *section = sm_format("task.%s", name);
    sm_task *task = sm_alloc_zeroed(sizeof *task);

    *out = NULL;
    SM_TRY(check_name(name));
    task->name = sm_strdup(name);
    SM_TRY(find_target(config, section, targets, target_count, task));
    task->channels = channels_of(task);
    task->loss = find_loss(task->kind->losses, sm_config_text_of(config, section, "loss"));
    if (!task->loss) {
        SM_TRY(sm_config_fail(config, section, "loss", "for kind = %s expected one of auto|%s", task->kind->name,
                              task->kind->losses));
    }
    task->huber_delta = strcmp(task->loss, "huber") == 0 ? sm_config_real(config, section, "huber_delta") : 0;
    SM_TRY(read_class_weights(config, section, task));
    read_uncertainty(config, section, task);
    if (task->kind->configure) {
        SM_TRY(task->kind->configure(config, section, task));
    }
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
        sm_free(task->own);
        sm_free(task);
    }
}
