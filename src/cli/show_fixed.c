#include "cli/show_fixed.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/config_entries.h>
#include <sigmatic/weighting/weighting.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char FIXED[] = "fixed";

static const show_task *task_of(const show_view *view, const char *section)
{
    static const char family[] = "task.";
    for (size_t i = 0; strncmp(section, family, strlen(family)) == 0 && i < view->task_count; i++) {
        if (strcmp(section + strlen(family), view->tasks[i]) == 0) {
            return &view->curves[i];
        }
    }
    return NULL;
}

static sm_status check_weights(const show_view *view)
{
    for (size_t i = 0; i < view->task_count; i++) {
        const show_task *task = &view->curves[i];
        if (task->row.likelihood && strcmp(task->row.likelihood->name, "categorical_scaled") == 0) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: task '%s' has the likelihood categorical_scaled, whose sigma scales the logits: no "
                           "weight of its loss does the same; expected categorical",
                           view->path, view->tasks[i]);
        }
        if (task->mean_weight < 0) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: the gradient of task '%s' had the coefficient %g in the last steps, and a constant "
                           "weight is never negative",
                           view->path, view->tasks[i], task->mean_weight);
        }
        if (!(task->mean_weight >= 0)) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: task '%s' had no weight in the last steps: no valid pixel, or no step applied",
                           view->path, view->tasks[i]);
        }
    }
    return SM_OK;
}

static const char *method_of(const sm_config_entry *settings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(settings[i].section, "weighting") == 0 && strcmp(settings[i].key, "method") == 0) {
            return settings[i].value;
        }
    }
    return "";
}

/* \return 1 if the method has coefficients for what the tasks share, beside the weights of their heads */
static int combines_gradients(const char *method)
{
    for (int i = 0; sm_weighting_kinds[i]; i++) {
        if (strcmp(sm_weighting_kinds[i]->name, method) == 0) {
            return sm_weighting_kinds[i]->combine || sm_weighting_kinds[i]->choose;
        }
    }
    return 0;
}

/* \return groups of tasks; where there are none, tasks */
static size_t count_weighed(const show_view *view)
{
    size_t count = 0;
    for (size_t i = 0; i < view->task_count; i++) {
        size_t first = 0;
        const char *group = view->curves[i].group;
        while (group && first < i && !(view->curves[first].group && strcmp(view->curves[first].group, group) == 0)) {
            first++;
        }
        count += !group || first == i;
    }
    return count;
}

/* Weights that nothing has learned are not called so. */
static void print_origin(const show_view *view, const char *method)
{
    if (strcmp(method, FIXED) == 0) {
        printf("; %s with its own weights: its weighting is fixed already, nothing was learned.\n", view->path);
    } else if (strcmp(method, "equal") == 0) {
        size_t weighed = count_weighed(view);
        printf("; %s with the weights of its weighting, equal: 1/%zu for each of %zu %s, nothing was learned.\n",
               view->path, weighed, weighed, weighed < view->task_count ? "groups of tasks" : "tasks");
    } else {
        printf("; %s with the weights that its weighting, %s, came to: means of the last 50 steps, up to step %lld.\n",
               view->path, method, (long long)view->step);
        if (combines_gradients(method)) {
            printf("; They are those of the parameters that the tasks share: its heads learn by weights of their own, "
                   "these by the same.\n");
        }
    }
}

/* Keys of the run's weighting, and those that are given anew. */
static int is_replaced(const sm_config_entry *setting, int is_task)
{
    static const char *const of_task[] = {"weight", "likelihood", "log_variance", "group", "group_weight"};
    int found = strcmp(setting->section, "weighting") == 0;
    for (size_t i = 0; is_task && i < sizeof of_task / sizeof *of_task; i++) {
        found = found || strcmp(setting->key, of_task[i]) == 0;
    }
    return found;
}

static void begin_section(const show_view *view, const char *section, int is_fixed)
{
    const show_task *task = task_of(view, section);
    printf("\n[%s]\n", section);
    if (is_fixed) {
        return;
    }
    if (task) {
        printf("weight = %.6g\n", task->mean_weight);
    } else if (strcmp(section, "weighting") == 0) {
        printf("method = %s\n", FIXED);
    }
}

/* Beside the run's own; a value in quotes ends with one. */
static void print_folder(const char *value)
{
    size_t length = strlen(value);
    int is_quoted = length > 1 && value[length - 1] == '"';
    printf("folder = %.*s-fixed%s\n", (int)length - is_quoted, value, is_quoted ? "\"" : "");
}

sm_status show_as_fixed(const show_view *view)
{
    sm_status status = SM_OK;
    size_t count = 0;
    sm_config_entry *settings = NULL;
    if (view->rows == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: no step yet, so no weight is known", view->path));
    }
    settings = sm_config_entries(view->config, &count);
    const char *method = method_of(settings, count);
    int is_fixed = strcmp(method, FIXED) == 0;
    if (!is_fixed) {
        SM_TRY(check_weights(view));
    }
    print_origin(view, method);
    for (size_t i = 0; i < count; i++) {
        const sm_config_entry *setting = &settings[i];
        if (i == 0 || strcmp(setting->section, settings[i - 1].section) != 0) {
            begin_section(view, setting->section, is_fixed);
        }
        if (strcmp(setting->section, "run") == 0 && strcmp(setting->key, "folder") == 0) {
            print_folder(setting->value);
        } else if (is_fixed || !is_replaced(setting, task_of(view, setting->section) != NULL)) {
            printf("%s = %s\n", setting->key, setting->value);
        }
    }
done:
    sm_free(settings);
    return status;
}
