/* The run log as tables and a sparkline a task, or as JSON; --follow repeats it while the run goes on. Several runs side by
 * side, the runs of a folder as a list. */
#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/json.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/run_path.h"
#include "cli/show_compare.h"
#include "cli/show_fixed.h"
#include "cli/show_folder.h"
#include "cli/show_gradients.h"
#include "cli/show_traps.h"
#include "cli/show_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SPARK_COLUMNS = 48 };

static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
enum { BARS = sizeof bars / sizeof *bars };

/* From the lowest to the highest finite number, of which the difference need not be one. */
static const char *bar_of(double value, double low, double high)
{
    if (isnan(value)) {
        return " ";
    }
    double height = value <= low ? 0 : value >= high ? 1 : (value / 2 - low / 2) / (high / 2 - low / 2);
    return bars[(int)(height * (BARS - 1) + 0.5)];
}

static void print_sparkline(const show_series *s)
{
    double columns[SPARK_COLUMNS], low = INFINITY, high = -INFINITY;
    size_t count = s->count < SPARK_COLUMNS ? s->count : SPARK_COLUMNS;
    for (size_t i = 0; i < count; i++) {
        columns[i] = show_mean(s, s->count * i / count, s->count * (i + 1) / count);
        low = isfinite(columns[i]) && columns[i] < low ? columns[i] : low;
        high = isfinite(columns[i]) && columns[i] > high ? columns[i] : high;
    }
    for (size_t i = 0; i < count; i++) {
        fputs(bar_of(columns[i], low, high), stdout);
    }
    printf("  %.4g .. %.4g\n", low, high);
}

/* ---- tables ---- */

static void print_waits(const show_view *view)
{
    static const char *const kinds[SHOW_WAITS] = {"for data", "for each other"};
    printf("%.4g s a step; ranks wait, least / median / most:", view->step_seconds);
    for (int kind = 0; kind < SHOW_WAITS; kind++) {
        printf("%s %s", kind ? "," : "", kinds[kind]);
        for (int rank = 0; rank < SHOW_WAITING_RANKS; rank++) {
            printf("%s %.1f %%", rank ? " /" : "", 100 * view->wait_seconds[kind][rank] / view->step_seconds);
        }
    }
    printf("\n");
}

static void print_curve(const char *task, const char *what, const show_series *values)
{
    printf("%-14s  %-6s  ", task, what);
    print_sparkline(values);
}

static void print_tables(const show_view *view)
{
    if (strncmp(view->status, "lost:", 5) == 0) {
        printf("%s\n", view->status);
    }
    if (view->rows == 0) {
        printf("%s: no step yet\n", view->path);
        return;
    }
    printf("%s: %zu %s in %.0f s, %.1f %s/s, %lld skipped\n", view->path, view->rows,
           sm_plural((int64_t)view->rows, "step", "steps"), view->seconds, view->images_per_second, view->samples,
           (long long)view->skipped);
    if (!isnan(view->step_seconds)) {
        print_waits(view);
    }
    printf("\n");
    sm_loss_row *rows = show_loss_rows(view);
    sm_report_losses(rows, (int)view->task_count);
    printf("\n");
    print_curve("total", "loss", &view->loss);
    for (size_t i = 0; i < view->task_count; i++) {
        print_curve(view->tasks[i], "loss", &view->curves[i].loss);
        if (!isnan(view->curves[i].row.sigma)) {
            print_curve("", "sigma", &view->curves[i].sigma);
        }
    }
    show_gradients_print(view);
    for (size_t i = 0; i < view->split_count; i++) {
        const show_evaluation *e = &view->evaluations[i];
        if (e->count > 0) {
            printf("\n%s after step %lld (%zu %s)\n", e->split, (long long)e->step, e->count,
                   sm_plural((int64_t)e->count, "evaluation", "evaluations"));
            sm_report_metrics(e->rows, e->row_count, 0);
            sm_report_calibrations(rows, e->calibrations, (int)view->task_count);
        }
    }
    sm_free(rows);
    show_traps_print(view);
}

/* ---- JSON ---- */

static void set_waits(sm_json *json, const show_view *view)
{
    static const char *const kinds[SHOW_WAITS] = {"data_wait_seconds", "communication_wait_seconds"};
    static const char *const ranks[SHOW_WAITING_RANKS] = {"least", "median", "most"};
    sm_json_set_real(json, "step_seconds", view->step_seconds);
    for (int kind = 0; kind < SHOW_WAITS; kind++) {
        sm_json *wait = sm_json_set_object(json, kinds[kind]);
        for (int rank = 0; rank < SHOW_WAITING_RANKS; rank++) {
            sm_json_set_real(wait, ranks[rank], view->wait_seconds[kind][rank]);
        }
    }
}

static void set_evaluations(sm_json *json, const show_view *view, const sm_loss_row *losses)
{
    for (size_t i = 0; view->evaluations && i < view->split_count; i++) {
        const show_evaluation *e = &view->evaluations[i];
        if (e->count > 0) {
            sm_json *split = sm_json_set_object(json, e->split);
            sm_json_set_integer(split, "step", e->step);
            sm_json_set_integer(split, "evaluations", (int64_t)e->count);
            sm_report_set_metrics(sm_json_set_object(split, "tasks"), e->rows, e->row_count, 0);
            sm_report_set_calibrations(sm_json_set_object(split, "calibration"), losses, e->calibrations,
                                       (int)view->task_count);
        }
    }
}

static void set_view(sm_json *json, const show_view *view)
{
    sm_loss_row *rows = view->rows > 0 ? show_loss_rows(view) : NULL;
    sm_json_set_text(json, "run", view->path);
    sm_json_set_text(json, "status", view->status);
    sm_json_set_integer(json, "steps", (int64_t)view->rows);
    if (view->rows > 0) {
        sm_json_set_integer(json, "skipped", view->skipped);
        sm_json_set_real(json, "seconds", view->seconds);
        sm_json_set_real(json, "images_per_second", view->images_per_second);
        sm_json_set_text(json, "samples", view->samples);
        set_waits(json, view);
        sm_json_set_real(json, "loss", show_last_mean(&view->loss));
        sm_report_set_losses(sm_json_set_object(json, "tasks"), rows, (int)view->task_count);
        show_gradients_set_json(sm_json_set_object(json, "gradients"), view);
        show_traps_set_json(sm_json_set_array(json, "warnings"), view);
    }
    set_evaluations(sm_json_set_object(json, "evaluations"), view, rows);
    sm_free(rows);
}

/* \param problems  why logs cannot be read, one a view; NULL: all were read */
static sm_status print_json(const show_view *views, int count, char **problems, int is_list)
{
    sm_json *json = sm_json_new(), *list = is_list ? sm_json_set_array(json, "runs") : NULL;
    for (int i = 0; i < count; i++) {
        sm_json *run = is_list ? sm_json_set_object(list, NULL) : json;
        set_view(run, &views[i]);
        if (problems && problems[i]) {
            sm_json_set_text(run, "problem", problems[i]);
        }
    }
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

/* ---- the command ---- */

enum { TABLES, JSON, AS_FIXED };

static sm_status show_once(const char *path, int form)
{
    show_view view;
    sm_status status = show_view_read(path, &view);
    if (status == SM_OK && form == JSON) {
        status = print_json(&view, 1, NULL, 0);
    } else if (status == SM_OK && form == AS_FIXED) {
        status = show_as_fixed(&view);
    } else if (status == SM_OK) {
        print_tables(&view);
    }
    show_view_clear(&view);
    return status;
}

static int is_folder_of_runs(const char *word)
{
    return sm_folder_exists(word) && !run_path_is_run(word);
}

/* Runs that are compared. */
typedef struct view_list {
    show_view *views;
    int count;
} view_list;

static void add_view(view_list *list, const show_view *view)
{
    list->views = sm_realloc(list->views, (size_t)(list->count + 1) * sizeof *list->views);
    list->views[list->count++] = *view;
}

static sm_status add_log(view_list *list, const char *word)
{
    sm_status status = SM_OK;
    char *path = NULL;
    show_view view;
    SM_TRY(run_path_log(word, &path));
    status = show_view_read(path, &view);
    add_view(list, &view);
done:
    sm_free(path);
    return status;
}

/* Those that have a log to compare. */
static sm_status add_below(view_list *list, const char *path)
{
    show_folder folder;
    sm_status status = show_folder_read(path, &folder);
    for (int i = 0; i < folder.count && status == SM_OK; i++) {
        show_view *view = &folder.views[i];
        if (folder.problems[i] || !view->config) {
            sm_log_warning("passing over %s: %s", view->path, folder.problems[i] ? folder.problems[i] : view->status);
        } else {
            add_view(list, view);
            *view = (show_view){0};
        }
    }
    show_folder_clear(&folder);
    return status;
}

static sm_status show_runs(const argument_words *words, int as_json)
{
    sm_status status = SM_OK;
    view_list list = {0};
    for (int i = 0; i < words->count; i++) {
        const char *word = words->items[i];
        SM_TRY(is_folder_of_runs(word) ? add_below(&list, word) : add_log(&list, word));
    }
    if (list.count == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "show: no run with a log among these"));
    }
    if (as_json) {
        SM_TRY(print_json(list.views, list.count, NULL, 1));
    } else {
        show_compare(list.views, list.count);
    }
done:
    for (int i = 0; i < list.count; i++) {
        show_view_clear(&list.views[i]);
    }
    sm_free(list.views);
    return status;
}

static sm_status show_below(const char *path, int as_json)
{
    show_folder folder;
    sm_status status = show_folder_read(path, &folder);
    if (status == SM_OK && as_json) {
        status = print_json(folder.views, folder.count, folder.problems, 1);
    } else if (status == SM_OK) {
        show_folder_print(&folder);
    }
    show_folder_clear(&folder);
    return status;
}

/* A log on a network file system, or one that a new run replaces, cannot be read now and then. */
static sm_status show_again(const char *path)
{
    enum { TRIES = 30 };
    sm_status status = SM_OK;
    for (int tries = 0; tries < TRIES; tries++) {
        if (fflush(stdout) != 0 || ferror(stdout)) {
            return sm_fail(SM_ERR_WRITE, "results cannot be written to standard output");
        }
        sleep(2);
        printf(isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "\n");
        status = show_once(path, TABLES);
        if (status == SM_OK) {
            return status;
        }
        printf("waiting: %s\n", sm_error_message());
    }
    return status;
}

static sm_status show_one(const char *word, int form, int follow)
{
    sm_status status = SM_OK;
    char *path = NULL;
    SM_TRY(run_path_log(word, &path));
    SM_TRY(show_once(path, form));
    while (follow) {
        sm_comm_set_phase("show", 0, -1);
        SM_TRY(show_again(path));
    }
done:
    sm_free(path);
    return status;
}

sm_status command_show(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    argument_words words = {0};
    int follow = 0, json = 0, as_fixed = 0, help;
    const argument table[] = {
        {"RUN", ARGUMENT_REST, &words, NULL,
         "a run's folder runs/NAME or its log run.h5, which may still be growing; a folder with runs: they are "
         "listed; several of these: the runs are compared"},
        {"follow", ARGUMENT_FLAG, &follow, NULL,
         "show it again every two seconds, until interrupted or unreadable for a minute"},
        {"as-fixed", ARGUMENT_FLAG, &as_fixed, NULL,
         "print a config that trains with the weights that the run has learned (weighting.method = fixed)"},
        {"json", ARGUMENT_FLAG, &json, NULL, "print one JSON object instead of tables (include/README.md, JSON)"},
        {0},
    };
    SM_TRY(command_arguments(
        context, "show",
        "Shows a run: each task's loss, weight, sigma, the last evaluation; several runs; a folder of runs.", table,
        argc, argv, &help));
    if (follow + json + as_fixed > 1) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "show: --follow, --as-fixed or --json: only one of them expected"));
    }
    if (help || sm_comm_rank(context->comm) != 0) {
        goto done;
    }
    int is_folder = words.count == 1 && is_folder_of_runs(words.items[0]);
    if ((words.count > 1 || is_folder) && (follow || as_fixed)) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "show: --%s takes one run, %s", follow ? "follow" : "as-fixed",
                       is_folder ? "not a folder of runs" : "not several"));
    }
    if (is_folder) {
        SM_TRY(show_below(words.items[0], json));
    } else if (words.count > 1) {
        SM_TRY(show_runs(&words, json));
    } else {
        SM_TRY(show_one(words.items[0], json ? JSON : as_fixed ? AS_FIXED : TABLES, follow));
    }
done:
    sm_free(words.items);
    return status;
}
