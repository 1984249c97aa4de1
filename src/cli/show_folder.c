#define _POSIX_C_SOURCE 200809L
#include "cli/show_folder.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include "cli/run_path.h"
#include "cli/show_compare.h"
#include "cli/show_grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- finding ---- */

static void add_run(show_folder *folder, const char *path)
{
    size_t count = (size_t)folder->count + 1;
    folder->views = sm_realloc(folder->views, count * sizeof *folder->views);
    folder->problems = sm_realloc(folder->problems, count * sizeof *folder->problems);
    show_view *view = &folder->views[folder->count];
    char **problem = &folder->problems[folder->count++];
    *problem = NULL;
    if (show_view_read(path, view) != SM_OK) {
        int is_told = !sm_file_exists(path) && strchr(view->status, ':'); /* a start that failed */
        *problem = is_told ? NULL : sm_strdup(sm_file_exists(path) ? sm_error_message() : "no log");
    }
}

static int has(const char *folder, const char *name)
{
    char *path = sm_format("%s/%s", folder, name);
    int found = sm_file_exists(path);
    sm_free(path);
    return found;
}

/* A link is followed only to a run: it may lead back up. */
static int is_followed(const char *path)
{
    struct stat found;
    return sm_folder_exists(path) && (lstat(path, &found) != 0 || !S_ISLNK(found.st_mode) || run_path_is_run(path));
}

/* \param is_top  the folder that was named: without it nothing is left to show */
static sm_status find_runs(show_folder *folder, const char *path, int is_top)
{
    sm_status status = SM_OK;
    char **names = NULL, *below = NULL;
    size_t count = 0;
    if (has(path, "run.h5") || has(path, "status")) {
        below = sm_format("%s/run.h5", path);
        add_run(folder, below);
        goto done;
    }
    status = sm_folder_list(path, &names, &count);
    if (status != SM_OK && !is_top) {
        sm_log_warning("passing over a folder: %s", sm_error_message());
        status = SM_OK;
        goto done;
    }
    SM_TRY(status);
    for (size_t i = 0; i < count; i++) {
        sm_free(below);
        below = sm_format("%s/%s", path, names[i]);
        if (names[i][0] != '.' && is_followed(below)) {
            SM_TRY(find_runs(folder, below, 0));
        }
    }
done:
    sm_free(names);
    sm_free(below);
    return status;
}

sm_status show_folder_read(const char *path, show_folder *folder)
{
    sm_status status = SM_OK;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    char *plain = sm_format("%.*s", (int)length, path);
    *folder = (show_folder){0};
    SM_TRY(find_runs(folder, plain, 1));
    if (folder->count == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: a folder that is not a run's: expected run.h5 in it or in folders below it",
                       path));
    }
done:
    sm_free(plain);
    return status;
}

void show_folder_clear(show_folder *folder)
{
    for (int i = 0; i < folder->count; i++) {
        show_view_clear(&folder->views[i]);
        sm_free(folder->problems[i]);
    }
    sm_free(folder->views);
    sm_free(folder->problems);
}

/* ---- the table ---- */

/* A column of the table: a task's first metric, as the first run that has it names it. */
typedef struct measure {
    const char *task;
    const sm_metric *metric;
} measure;

static int find_measures(const show_folder *folder, measure **measures)
{
    int count = 0;
    *measures = NULL;
    for (int i = 0; i < folder->count; i++) {
        for (size_t t = 0; t < folder->views[i].task_count; t++) {
            const sm_metric_row *row = show_metric(&folder->views[i], folder->views[i].tasks[t], NULL);
            int is_known = !row;
            for (int m = 0; m < count && row; m++) {
                is_known = is_known || (strcmp((*measures)[m].task, row->task) == 0 &&
                                        strcmp((*measures)[m].metric->name, row->metric.name) == 0);
            }
            if (!is_known) {
                *measures = sm_realloc(*measures, (size_t)(count + 1) * sizeof **measures);
                (*measures)[count++] = (measure){row->task, &row->metric};
            }
        }
    }
    return count;
}

/* "12 s", "3.5 h" since the log was written: a run that died on another host says "running" for ever. */
static char *age_of(const char *path)
{
    static const struct {
        double seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {0, "s"}};
    struct stat found;
    if (stat(path, &found) != 0) {
        return sm_strdup("-");
    }
    double seconds = fmax(0, difftime(time(NULL), found.st_mtime));
    int u = 0;
    while (seconds < units[u].seconds) {
        u++;
    }
    return sm_format("%.*f %s", units[u].seconds > 0, units[u].seconds > 0 ? seconds / units[u].seconds : seconds,
                     units[u].unit);
}

static void add_headings(show_grid *grid, const show_folder *folder, const measure *measures, int count)
{
    char *speed = show_speed_unit(folder->views, folder->count);
    const char *const headings[] = {"run", "status", "step", "hours", speed, "last written"};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) {
        show_grid_text(grid, headings[i]);
    }
    for (int m = 0; m < count; m++) {
        const sm_metric *metric = measures[m].metric;
        char *heading = sm_format("%s %s%s%s", measures[m].task, metric->name, *metric->unit ? ", " : "", metric->unit);
        show_grid_text(grid, heading);
        sm_free(heading);
    }
    grid->columns = grid->count;
    sm_free(speed);
}

static void add_line(show_grid *grid, const show_folder *folder, int i, const measure *measures, int count)
{
    const show_view *view = &folder->views[i];
    char *label = show_label(folder->views, folder->count, i), *age = age_of(view->path);
    char *word = sm_format("%.*s", (int)strcspn(view->status, ":"), view->status);
    show_grid_text(grid, label);
    show_grid_text(grid, folder->problems[i] && sm_file_exists(view->path) ? "unreadable" : *word ? word : NULL);
    show_grid_number(grid, view->rows > 0 ? (double)view->step : NAN, "");
    show_grid_number(grid, view->rows > 0 ? view->seconds / 3600 : NAN, "");
    show_grid_number(grid, view->rows > 0 ? view->images_per_second : NAN, "");
    show_grid_text(grid, age);
    for (int m = 0; m < count; m++) {
        const sm_metric_row *row = show_metric(view, measures[m].task, measures[m].metric->name);
        show_grid_number(grid, row ? row->value : NAN, "");
    }
    sm_free(label);
    sm_free(age);
    sm_free(word);
}

/* What does not fit into a column: why runs failed, why logs cannot be read. */
static void print_reasons(const show_folder *folder)
{
    for (int i = 0; i < folder->count; i++) {
        const show_view *view = &folder->views[i];
        const char *reason = folder->problems[i]         ? folder->problems[i]
                             : strchr(view->status, ':') ? view->status
                                                         : NULL;
        if (reason) {
            char *label = show_label(folder->views, folder->count, i);
            printf("%s: %s\n", label, reason);
            sm_free(label);
        }
    }
}

void show_folder_print(const show_folder *folder)
{
    measure *measures;
    int count = find_measures(folder, &measures);
    show_grid grid = {0};
    add_headings(&grid, folder, measures, count);
    for (int i = 0; i < folder->count; i++) {
        add_line(&grid, folder, i, measures, count);
    }
    show_grid_print(&grid);
    print_reasons(folder);
    sm_free(measures);
}
