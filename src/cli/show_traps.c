#include "cli/show_traps.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/config_entries.h>
#include <sigmatic/train/traps.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    sm_config_entry *entries;
    size_t count;
} settings;

static double number_of(const settings *all, const char *section, const char *key)
{
    const sm_config_entry *found = sm_config_entry_find(all->entries, all->count, section, key);
    return found ? strtod(found->value, NULL) : NAN;
}

static const char *text_of(const settings *all, const char *section, const char *key)
{
    const sm_config_entry *found = sm_config_entry_find(all->entries, all->count, section, key);
    return found ? found->value : "";
}

/* Where the run's length is set in epochs, it is known once it is over. */
static int64_t steps_of(const show_view *view, const settings *all)
{
    double set = number_of(all, "run", "steps");
    return strcmp(view->status, "done") == 0 ? view->step : set > 0 ? (int64_t)set : 0;
}

static sm_trap_task task_of(const show_view *view, const sm_loss_row *rows, size_t task, const settings *all)
{
    const show_task *curves = &view->curves[task];
    char *section = sm_format("task.%s", view->tasks[task]);
    int has_s = !isnan(curves->row.log_variance) && curves->row.likelihood &&
                strcmp(curves->row.likelihood->name, "per_pixel") != 0;
    sm_trap_task found = {.name = view->tasks[task],
                          .likelihood = curves->row.likelihood,
                          .of_loss = sm_likelihood_of_loss(curves->loss_name),
                          .shape = curves->row.shape,
                          .unit = curves->unit,
                          .first_loss = curves->first_loss,
                          .loss = curves->row.loss,
                          .first_weight = curves->first_weight,
                          .weight = curves->row.weight,
                          .initial = has_s ? number_of(all, section, "log_variance") : NAN,
                          .log_variance = has_s ? curves->row.log_variance : NAN,
                          .best = sm_report_minimiser(rows, (int)view->task_count, (int)task),
                          .share = curves->gradient_share,
                          .group = curves->row.group,
                          .group_weight = curves->row.group_weight};
    sm_free(section);
    return found;
}

static void find(const show_view *view, void (*say)(void *user, const sm_trap *trap, int task, const char *text),
                 void *user)
{
    settings all = {.count = 0};
    sm_trap_task *tasks = sm_alloc(view->task_count * sizeof *tasks);
    sm_loss_row *rows = show_loss_rows(view);
    all.entries = sm_config_entries(view->config, &all.count);
    for (size_t i = 0; i < view->task_count; i++) {
        tasks[i] = task_of(view, rows, i, &all);
    }
    const sm_trap_run run = {.step = view->step,
                             .steps = steps_of(view, &all),
                             .loss = show_last_mean(&view->loss),
                             .lower = number_of(&all, "weighting", "lower"),
                             .upper = number_of(&all, "weighting", "upper"),
                             .learning_rate_scale = number_of(&all, "weighting", "learning_rate_scale"),
                             .tasks = tasks,
                             .task_count = (int)view->task_count,
                             .method = text_of(&all, "weighting", "method")};
    sm_traps_find(&run, say, user);
    sm_free(all.entries);
    sm_free(tasks);
    sm_free(rows);
}

static void print(void *user, const sm_trap *trap, int task, const char *text)
{
    int *printed = user;
    (void)task;
    printf("%s%s: %s\n", (*printed)++ == 0 ? "\n" : "", trap->is_note ? "note" : "warning", text);
}

void show_traps_print(const show_view *view)
{
    int printed = 0;
    find(view, print, &printed);
}

typedef struct listing {
    sm_json *array;
    const show_view *view;
} listing;

static void add(void *user, const sm_trap *trap, int task, const char *text)
{
    const listing *list = user;
    sm_json *item = sm_json_set_object(list->array, NULL);
    sm_json_set_text(item, "trap", trap->name);
    sm_json_set_text(item, "severity", trap->is_note ? "note" : "warning");
    sm_json_set_text(item, "task", task < 0 ? "" : list->view->tasks[task]);
    sm_json_set_text(item, "text", text);
}

void show_traps_set_json(sm_json *array, const show_view *view)
{
    listing list = {array, view};
    find(view, add, &list);
}
