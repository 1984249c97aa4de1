#include "cli/show_compare.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/config_entries.h>

#include "cli/show_grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct comparison {
    const show_view *views;
    int count;
    show_grid grid;
} comparison;

/* Bytes of a path without run.h5 at its end. */
static size_t stem_length(const char *path)
{
    static const char name[] = "/run.h5";
    size_t length = strlen(path), tail = strlen(name);
    return length > tail && strcmp(path + length - tail, name) == 0 ? length - tail : length;
}

/* Bytes up to and with the last slash up to which all paths are the same. */
static size_t shared_length(const show_view *views, int count)
{
    size_t shared = 0;
    for (size_t at = 0; count > 1; at++) {
        for (int i = 0; i < count; i++) {
            if (at >= stem_length(views[i].path) || views[i].path[at] != views[0].path[at]) {
                return shared;
            }
        }
        shared = views[0].path[at] == '/' ? at + 1 : shared;
    }
    return shared;
}

char *show_label(const show_view *views, int count, int index)
{
    const char *path = views[index].path;
    size_t shared = shared_length(views, count);
    return sm_format("%.*s", (int)(stem_length(path) - shared), path + shared);
}

/* ---- runs ---- */

static double step_of(const show_view *view)
{
    return (double)view->step;
}

static double hours_of(const show_view *view)
{
    return view->seconds / 3600;
}

static double speed_of(const show_view *view)
{
    return view->images_per_second;
}

static double loss_of(const show_view *view)
{
    return show_last_mean(&view->loss);
}

static void add_runs(comparison *c)
{
    char *speed = show_speed_unit(c->views, c->count);
    const struct {
        const char *name;
        double (*value)(const show_view *view);
    } rows[] = {{"step", step_of}, {"hours", hours_of}, {speed, speed_of}, {"total loss", loss_of}};
    show_grid_text(&c->grid, "");
    for (int i = 0; i < c->count; i++) {
        char *label = show_label(c->views, c->count, i);
        show_grid_text(&c->grid, label);
        sm_free(label);
    }
    show_grid_text(&c->grid, "status");
    for (int i = 0; i < c->count; i++) {
        show_grid_text(&c->grid, *c->views[i].status ? c->views[i].status : NULL);
    }
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        show_grid_text(&c->grid, rows[r].name);
        for (int i = 0; i < c->count; i++) {
            show_grid_number(&c->grid, c->views[i].rows > 0 ? rows[r].value(&c->views[i]) : NAN, "");
        }
    }
    sm_free(speed);
}

/* ---- configurations ---- */

typedef struct settings_list {
    sm_config_entry *settings;
    size_t count;
} settings_list;

static const char *value_in(const settings_list *list, const char *section, const char *key)
{
    const sm_config_entry *found = sm_config_entry_find(list->settings, list->count, section, key);
    return found ? found->value : NULL;
}

/* A task that only some have is told by one line. */
static int is_partial_section(const settings_list *lists, int count, const char *section)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        found += value_in(&lists[i], section, NULL) != NULL;
    }
    return found < count;
}

/* A row of the key, or of the section without one; none if all runs have the same. */
static void add_setting(comparison *c, const settings_list *lists, const char *section, const char *key)
{
    int apart = 0;
    for (int i = 0; i < c->count; i++) {
        const char *first = value_in(&lists[0], section, key), *value = value_in(&lists[i], section, key);
        apart = apart || !first != !value || (key && first && strcmp(first, value) != 0);
    }
    if (apart) {
        char *name = sm_format("%s%s%s", section, key ? "." : "", key ? key : "");
        show_grid_text(&c->grid, name);
        for (int i = 0; i < c->count; i++) {
            const char *value = value_in(&lists[i], section, key);
            show_grid_text(&c->grid, value && !key ? "yes" : value && *value ? value : NULL);
        }
        sm_free(name);
    }
}

static void add_settings(comparison *c)
{
    settings_list *lists = sm_alloc((size_t)c->count * sizeof *lists);
    for (int i = 0; i < c->count; i++) {
        lists[i].settings = sm_config_entries(c->views[i].config, &lists[i].count);
    }
    for (int i = 0; i < c->count; i++) {
        for (size_t s = 0; s < lists[i].count; s++) {
            const char *section = lists[i].settings[s].section, *key = lists[i].settings[s].key;
            int is_first = s == 0 || strcmp(lists[i].settings[s - 1].section, section) != 0;
            int is_partial = is_partial_section(lists, c->count, section), is_known = 0;
            for (int earlier = 0; earlier < i; earlier++) {
                is_known = is_known || value_in(&lists[earlier], section, is_partial ? NULL : key);
            }
            int is_folder = strcmp(section, "run") == 0 && strcmp(key, "folder") == 0; /* the labels tell it */
            if (!is_known && !is_folder && (!is_partial || is_first)) {
                add_setting(c, lists, section, is_partial ? NULL : key);
            }
        }
    }
    for (int i = 0; i < c->count; i++) {
        sm_free(lists[i].settings);
    }
    sm_free(lists);
}

/* ---- tasks ---- */

static const show_task *task_of(const show_view *view, const char *name)
{
    for (size_t i = 0; view->curves && i < view->task_count; i++) {
        if (strcmp(view->tasks[i], name) == 0) {
            return &view->curves[i];
        }
    }
    return NULL;
}

static void add_losses(comparison *c, const char *task)
{
    enum { LOSS, WEIGHT, SIGMA, QUANTITIES };
    static const char *const names[QUANTITIES] = {"loss", "weight", "sigma"};
    for (int q = 0; q < QUANTITIES; q++) {
        char *name = sm_format("%s: %s", task, names[q]);
        show_grid_text(&c->grid, name);
        for (int i = 0; i < c->count; i++) {
            const show_task *found = task_of(&c->views[i], task);
            const double values[QUANTITIES] = {found ? found->row.loss : NAN, found ? found->row.weight : NAN,
                                               found ? found->row.sigma : NAN};
            show_grid_number(&c->grid, values[q], "");
        }
        sm_free(name);
    }
}

/* \return the best value of the runs; NaN where they do not differ */
static double best_of(const comparison *c, const char *task, const sm_metric *metric)
{
    double best = NAN, worst = NAN;
    for (int i = 0; i < c->count; i++) {
        const sm_metric_row *row = show_metric(&c->views[i], task, metric->name);
        if (row && !isnan(row->value)) {
            double value = metric->higher_is_better ? row->value : -row->value;
            best = fmax(best, value); /* NaN is left out */
            worst = fmin(worst, value);
        }
    }
    return best > worst ? (metric->higher_is_better ? best : -best) : NAN;
}

static void add_metric(comparison *c, const char *task, const sm_metric *metric)
{
    double best = best_of(c, task, metric);
    char *name = sm_format("%s: %s%s%s", task, metric->name, *metric->unit ? ", " : "", metric->unit);
    show_grid_text(&c->grid, name);
    for (int i = 0; i < c->count; i++) {
        const sm_metric_row *row = show_metric(&c->views[i], task, metric->name);
        show_grid_number(&c->grid, row ? row->value : NAN, row && row->value == best ? " *" : "");
    }
    sm_free(name);
}

/* Metrics that this view has and no earlier one. */
static void add_metrics(comparison *c, int index, const char *task)
{
    const show_view *view = &c->views[index];
    for (size_t s = 0; view->evaluations && s < view->split_count; s++) {
        const show_evaluation *e = &view->evaluations[s];
        for (int r = 0; r < e->row_count; r++) {
            int is_known = strcmp(e->rows[r].task, task) != 0;
            for (int earlier = 0; earlier < index; earlier++) {
                is_known = is_known || show_metric(&c->views[earlier], task, e->rows[r].metric.name);
            }
            if (!is_known) {
                add_metric(c, task, &e->rows[r].metric);
            }
        }
    }
}

static void add_tasks(comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        for (size_t t = 0; t < c->views[i].task_count; t++) {
            const char *task = c->views[i].tasks[t];
            int is_known = 0;
            for (int earlier = 0; earlier < i; earlier++) {
                is_known = is_known || task_of(&c->views[earlier], task);
            }
            if (is_known) {
                continue;
            }
            add_losses(c, task);
            for (int v = 0; v < c->count; v++) {
                add_metrics(c, v, task);
            }
        }
    }
}

void show_compare(const show_view *views, int count)
{
    comparison c = {views, count, {.columns = count + 1}};
    add_runs(&c);
    show_grid_print(&c.grid);
    add_settings(&c);
    printf("\n%s\n", c.grid.count > 0 ? "configurations differ in" : "configurations are the same");
    show_grid_print(&c.grid);
    add_tasks(&c);
    printf("\nlosses are means of the last 50 steps, metrics those of the last evaluation, * the best\n");
    show_grid_print(&c.grid);
}
