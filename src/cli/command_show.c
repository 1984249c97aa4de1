/* The run log as tables and a sparkline a task, or as JSON; --follow repeats it while the run goes on. */
#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>
#include <sigmatic/train/report.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/run_path.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SPARK_COLUMNS = 48, SMOOTHING_ROWS = 50 };

typedef struct series {
    double *values;
    size_t count;
} series;

typedef struct task_curves {
    sm_loss_row row;
    series loss, sigma;
} task_curves;

/* The last evaluation of a split. */
typedef struct evaluation {
    const char *split; /* owned by run_view */
    int64_t step;
    size_t count; /* evaluations so far */
    sm_metric_row *rows;
    int row_count;
    char ***names; /* of the metrics, a list a task */
    char **units;  /* of what is predicted, one a task */
} evaluation;

enum { DATA, OTHER_RANKS, WAITS };
enum { LEAST, MEDIAN, MOST, WAITING_RANKS };

/* What is shown of a run log; all but `path` and `rows` only if there is a row. */
typedef struct run_view {
    const char *path;
    size_t rows, task_count, split_count;
    char **tasks, **splits;
    double seconds, images_per_second;
    int64_t skipped;
    double step_seconds, wait_seconds[WAITS][WAITING_RANKS]; /* NaN: not logged */
    series loss;
    task_curves *curves;     /* task_count */
    evaluation *evaluations; /* split_count; count 0: none yet */
} run_view;

static sm_status read_series(const sm_h5 *file, const char *object, size_t rows, series *out)
{
    *out = (series){sm_alloc((rows + 1) * sizeof(double)), rows};
    return sm_h5_read_rows(file, object, SM_H5_DOUBLE, 0, rows, 1, out->values);
}

/* Mean of the finite values of [begin, end); NaN if there are none. */
static double mean_of(const series *s, size_t begin, size_t end)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = begin; i < end && i < s->count; i++) {
        if (isfinite(s->values[i])) {
            sum += s->values[i];
            count++;
        }
    }
    return count ? sum / (double)count : NAN;
}

static double last_mean(const series *s)
{
    return mean_of(s, s->count > SMOOTHING_ROWS ? s->count - SMOOTHING_ROWS : 0, s->count);
}

static void print_sparkline(const series *s)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double columns[SPARK_COLUMNS], low = INFINITY, high = -INFINITY;
    size_t count = s->count < SPARK_COLUMNS ? s->count : SPARK_COLUMNS;
    for (size_t i = 0; i < count; i++) {
        columns[i] = mean_of(s, s->count * i / count, s->count * (i + 1) / count);
        low = columns[i] < low ? columns[i] : low;
        high = columns[i] > high ? columns[i] : high;
    }
    for (size_t i = 0; i < count; i++) {
        double height = high > low ? (columns[i] - low) / (high - low) : 0;
        fputs(isnan(columns[i]) ? " " : bars[(int)(height * 7 + 0.5)], stdout);
    }
    printf("  %.4g .. %.4g\n", low, high);
}

/* ---- reading ---- */

static sm_status read_text(const sm_h5 *file, const char *task, const char *attribute, char **text)
{
    char *group = sm_format("/tasks/%s", task);
    sm_status status = sm_h5_read_attribute_text(file, group, attribute, text);
    sm_free(group);
    return status;
}

static void exchange(char **a, char **b)
{
    char *c = *a;
    *a = *b;
    *b = c;
}

static sm_status read_task(const sm_h5 *file, const char *task, size_t rows, task_curves *curves)
{
    sm_status status = SM_OK;
    series weight = {0}, log_variance = {0};
    const struct {
        const char *name;
        series *into;
    } columns[] = {
        {"loss", &curves->loss}, {"sigma", &curves->sigma}, {"weight", &weight}, {"log_variance", &log_variance}};
    char *likelihood = NULL, *object = NULL;
    int64_t dimensions;
    double delta = 0;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        sm_free(object);
        object = sm_format("/tasks/%s/%s", task, columns[i].name);
        SM_TRY(read_series(file, object, rows, columns[i].into));
    }
    sm_free(object);
    object = sm_format("/tasks/%s", task);
    if (sm_h5_has_attribute(file, object, "likelihood")) { /* not where no sigma is learned */
        SM_TRY(read_text(file, task, "likelihood", &likelihood));
    }
    SM_TRY(sm_h5_read_attribute_int64(file, object, "dimensions", &dimensions));
    if (sm_h5_has_attribute(file, object, "delta")) { /* of a Huber loss only */
        SM_TRY(sm_h5_read_attribute_double(file, object, "delta", &delta));
    }
    curves->row = (sm_loss_row){.task = task,
                                .likelihood = likelihood ? sm_likelihood_find(likelihood) : NULL,
                                .shape = {(int)dimensions, delta},
                                .loss = last_mean(&curves->loss),
                                .weight = weight.values[rows - 1],
                                .log_variance = log_variance.values[rows - 1],
                                .sigma = curves->sigma.values[rows - 1]};
done:
    sm_free(weight.values);
    sm_free(log_variance.values);
    sm_free(likelihood);
    sm_free(object);
    return status;
}

/* \return the metric of a kind of task, of any of its rows; NULL: of another version. \param [out] place  among the kind's; behind all others */
static const sm_metric *find_metric(const char *kind, const char *name, int *place)
{
    for (int k = 0; sm_task_kinds[k]; k++) {
        const sm_metric *m;
        int is_kind = strcmp(sm_task_kinds[k]->name, kind) == 0;
        for (int i = 0; is_kind && (m = sm_task_kind_metric(sm_task_kinds[k], i)); i++) {
            if (strcmp(m->name, name) == 0) {
                *place = i;
                return m;
            }
        }
    }
    *place = INT_MAX;
    return NULL;
}

/* Of another version's metric only the name is known. \param unit  of the target */
static sm_metric metric_of(const char *kind, const char *name, const char *unit)
{
    int place;
    const sm_metric *found = find_metric(kind, name, &place);
    sm_metric metric = found ? *found : (sm_metric){.name = name, .unit = "", .meaning = "", .unmeasured = ""};
    metric.unit = metric.unit ? metric.unit : unit;
    return metric;
}

/* As an evaluation prints them: the file's own order is that of the alphabet. */
static void order_metrics(const char *kind, char **names, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        int place, before;
        find_metric(kind, names[i], &place);
        for (size_t j = i; j > 0 && (find_metric(kind, names[j - 1], &before), place < before); j--) {
            exchange(&names[j], &names[j - 1]);
        }
    }
}

static sm_status read_metrics(const sm_h5 *file, const char *task, evaluation *e, char ***names, char **unit)
{
    sm_status status = SM_OK;
    char *group = sm_format("/evaluations/%s/%s", e->split, task), *object = NULL, *kind = NULL;
    size_t count = 0;
    SM_TRY(read_text(file, task, "kind", &kind));
    SM_TRY(read_text(file, task, "unit", unit));
    SM_TRY(sm_h5_list(file, group, names, &count));
    order_metrics(kind, *names, count);
    e->rows = sm_realloc(e->rows, ((size_t)e->row_count + count) * sizeof *e->rows);
    for (size_t i = 0; i < count; i++) {
        double last;
        sm_free(object);
        object = sm_format("%s/%s", group, (*names)[i]);
        SM_TRY(sm_h5_read_rows(file, object, SM_H5_DOUBLE, e->count - 1, 1, 1, &last));
        sm_metric metric = metric_of(kind, (*names)[i], *unit);
        if (!isnan(last) || metric.unmeasured) {
            e->rows[e->row_count++] = (sm_metric_row){task, metric, last, NAN};
        }
    }
done:
    sm_free(group);
    sm_free(object);
    sm_free(kind);
    return status;
}

static sm_status read_evaluation(const sm_h5 *file, const run_view *view, evaluation *e)
{
    sm_status status = SM_OK;
    char *object = sm_format("/evaluations/%s/step", e->split);
    sm_h5_info info;
    SM_TRY(sm_h5_query(file, object, &info));
    e->count = info.count;
    if (e->count == 0) {
        goto done;
    }
    SM_TRY(sm_h5_read_rows(file, object, SM_H5_INT64, e->count - 1, 1, 1, &e->step));
    e->names = sm_alloc_zeroed(view->task_count * sizeof *e->names);
    e->units = sm_alloc_zeroed(view->task_count * sizeof *e->units);
    for (size_t i = 0; i < view->task_count; i++) {
        SM_TRY(read_metrics(file, view->tasks[i], e, &e->names[i], &e->units[i]));
    }
done:
    sm_free(object);
    return status;
}

static sm_status read_evaluations(const sm_h5 *file, run_view *view)
{
    sm_status status = SM_OK;
    if (!sm_h5_has_group(file, "/evaluations")) {
        return SM_OK;
    }
    SM_TRY(sm_h5_list(file, "/evaluations", &view->splits, &view->split_count));
    view->evaluations = sm_alloc_zeroed(view->split_count * sizeof *view->evaluations);
    for (size_t i = 0; i < view->split_count; i++) {
        view->evaluations[i].split = view->splits[i];
        SM_TRY(read_evaluation(file, view, &view->evaluations[i]));
    }
done:
    return status;
}

static sm_status read_waits(const sm_h5 *file, run_view *view)
{
    static const char *const kinds[] = {"data", "communication"}, *const ranks[] = {"min", "median", "max"};
    sm_status status = SM_OK;
    series column = {0};
    char *object = NULL;
    view->step_seconds = NAN;
    if (!sm_h5_has_group(file, "/timing")) {
        return SM_OK;
    }
    SM_TRY(read_series(file, "/timing/step_seconds", view->rows, &column));
    view->step_seconds = last_mean(&column);
    for (int kind = 0; kind < WAITS; kind++) {
        for (int rank = 0; rank < WAITING_RANKS; rank++) {
            sm_free(object);
            sm_free(column.values);
            object = sm_format("/timing/%s_wait_seconds_%s", kinds[kind], ranks[rank]);
            SM_TRY(read_series(file, object, view->rows, &column));
            view->wait_seconds[kind][rank] = last_mean(&column);
        }
    }
done:
    sm_free(object);
    sm_free(column.values);
    return status;
}

static sm_status read_steps(const sm_h5 *file, run_view *view)
{
    sm_status status = SM_OK;
    series seconds = {0}, speed = {0};
    int64_t *applied = sm_alloc(view->rows * sizeof *applied);
    SM_TRY(read_series(file, "/steps/seconds", view->rows, &seconds));
    SM_TRY(read_series(file, "/steps/loss", view->rows, &view->loss));
    SM_TRY(read_series(file, "/steps/images_per_second", view->rows, &speed));
    SM_TRY(sm_h5_read_rows(file, "/steps/applied", SM_H5_INT64, 0, view->rows, 1, applied));
    for (size_t i = 0; i < view->rows; i++) {
        view->skipped += !applied[i];
    }
    view->seconds = seconds.values[view->rows - 1];
    view->images_per_second = last_mean(&speed);
done:
    sm_free(seconds.values);
    sm_free(speed.values);
    sm_free(applied);
    return status;
}

/* Rows that every column has: a live file may be caught between two columns. */
static sm_status count_rows(const sm_h5 *file, run_view *view)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    char *object = NULL;
    const char *last =
        sm_h5_has_group(file, "/timing") ? "/timing/communication_wait_seconds_max" : "/steps/images_per_second";
    SM_TRY(sm_h5_query(file, last, &info));
    view->rows = info.count;
    for (size_t i = 0; i < view->task_count; i++) {
        sm_free(object);
        object = sm_format("/tasks/%s/sigma", view->tasks[i]);
        SM_TRY(sm_h5_query(file, object, &info));
        view->rows = info.count < view->rows ? info.count : view->rows;
    }
done:
    sm_free(object);
    return status;
}

/* \return where the config has a task's section; behind all others if it does not name it */
static size_t place_of(const char *config, const char *task)
{
    char *section = sm_format("[task.%s]", task);
    const char *found = strstr(config, section);
    sm_free(section);
    return found ? (size_t)(found - config) : strlen(config);
}

/* As the config has them: the file's own order is that of the alphabet. */
static sm_status order_tasks(const sm_h5 *file, run_view *view)
{
    sm_status status = SM_OK;
    char *config = NULL;
    if (!sm_h5_has_attribute(file, "/", "config")) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_text(file, "/", "config", &config));
    for (size_t i = 1; i < view->task_count; i++) {
        for (size_t j = i; j > 0 && place_of(config, view->tasks[j]) < place_of(config, view->tasks[j - 1]); j--) {
            exchange(&view->tasks[j], &view->tasks[j - 1]);
        }
    }
done:
    sm_free(config);
    return status;
}

static sm_status read_view(const char *path, run_view *view)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    char *format = NULL;
    *view = (run_view){.path = path};
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(sm_h5_read_attribute_text(file, "/", "format", &format));
    if (strcmp(format, "sigmatic-run") != 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: attribute 'format' is '%s', expected 'sigmatic-run'", path, format));
    }
    SM_TRY(sm_h5_list(file, "/tasks", &view->tasks, &view->task_count));
    SM_TRY(order_tasks(file, view));
    SM_TRY(count_rows(file, view));
    if (view->rows == 0) {
        goto done;
    }
    SM_TRY(read_steps(file, view));
    SM_TRY(read_waits(file, view));
    view->curves = sm_alloc_zeroed(view->task_count * sizeof *view->curves);
    for (size_t i = 0; i < view->task_count; i++) {
        SM_TRY(read_task(file, view->tasks[i], view->rows, &view->curves[i]));
    }
    SM_TRY(read_evaluations(file, view));
done:
    sm_h5_close(file);
    sm_free(format);
    return status;
}

static void clear_view(run_view *view)
{
    for (size_t i = 0; view->curves && i < view->task_count; i++) {
        sm_free(view->curves[i].loss.values);
        sm_free(view->curves[i].sigma.values);
    }
    for (size_t i = 0; view->evaluations && i < view->split_count; i++) {
        evaluation *e = &view->evaluations[i];
        for (size_t j = 0; e->names && j < view->task_count; j++) {
            sm_free(e->names[j]);
            sm_free(e->units[j]);
        }
        sm_free(e->names);
        sm_free(e->units);
        sm_free(e->rows);
    }
    sm_free(view->evaluations);
    sm_free(view->curves);
    sm_free(view->loss.values);
    sm_free(view->tasks);
    sm_free(view->splits);
}

/* \return rows for report.h, one a task, freed with sm_free(). */
static sm_loss_row *loss_rows(const run_view *view)
{
    sm_loss_row *rows = sm_alloc(view->task_count * sizeof *rows);
    for (size_t i = 0; i < view->task_count; i++) {
        rows[i] = view->curves[i].row;
    }
    return rows;
}

/* ---- tables ---- */

static void print_waits(const run_view *view)
{
    static const char *const kinds[WAITS] = {"for data", "for each other"};
    printf("%.4g s a step; ranks wait, least / median / most:", view->step_seconds);
    for (int kind = 0; kind < WAITS; kind++) {
        printf("%s %s", kind ? "," : "", kinds[kind]);
        for (int rank = 0; rank < WAITING_RANKS; rank++) {
            printf("%s %.1f %%", rank ? " /" : "", 100 * view->wait_seconds[kind][rank] / view->step_seconds);
        }
    }
    printf("\n");
}

static void print_curve(const char *task, const char *what, const series *values)
{
    printf("%-14s  %-6s  ", task, what);
    print_sparkline(values);
}

static void print_tables(const run_view *view)
{
    if (view->rows == 0) {
        printf("%s: no step yet\n", view->path);
        return;
    }
    printf("%s: %zu %s in %.0f s, %.1f images/s, %lld skipped\n", view->path, view->rows,
           sm_plural((int64_t)view->rows, "step", "steps"), view->seconds, view->images_per_second,
           (long long)view->skipped);
    if (!isnan(view->step_seconds)) {
        print_waits(view);
    }
    printf("\n");
    sm_loss_row *rows = loss_rows(view);
    sm_report_losses(rows, (int)view->task_count);
    sm_free(rows);
    printf("\n");
    print_curve("total", "loss", &view->loss);
    for (size_t i = 0; i < view->task_count; i++) {
        print_curve(view->tasks[i], "loss", &view->curves[i].loss);
        if (!isnan(view->curves[i].row.sigma)) {
            print_curve("", "sigma", &view->curves[i].sigma);
        }
    }
    for (size_t i = 0; i < view->split_count; i++) {
        const evaluation *e = &view->evaluations[i];
        if (e->count > 0) {
            printf("\n%s after step %lld (%zu %s)\n", e->split, (long long)e->step, e->count,
                   sm_plural((int64_t)e->count, "evaluation", "evaluations"));
            sm_report_metrics(e->rows, e->row_count, 0);
        }
    }
}

/* ---- JSON ---- */

static void set_waits(sm_json *json, const run_view *view)
{
    static const char *const kinds[WAITS] = {"data_wait_seconds", "communication_wait_seconds"};
    static const char *const ranks[WAITING_RANKS] = {"least", "median", "most"};
    sm_json_set_real(json, "step_seconds", view->step_seconds);
    for (int kind = 0; kind < WAITS; kind++) {
        sm_json *wait = sm_json_set_object(json, kinds[kind]);
        for (int rank = 0; rank < WAITING_RANKS; rank++) {
            sm_json_set_real(wait, ranks[rank], view->wait_seconds[kind][rank]);
        }
    }
}

static sm_status print_json(const run_view *view)
{
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "run", view->path);
    sm_json_set_integer(json, "steps", (int64_t)view->rows);
    if (view->rows > 0) {
        sm_json_set_integer(json, "skipped", view->skipped);
        sm_json_set_real(json, "seconds", view->seconds);
        sm_json_set_real(json, "images_per_second", view->images_per_second);
        set_waits(json, view);
        sm_json_set_real(json, "loss", last_mean(&view->loss));
        sm_loss_row *rows = loss_rows(view);
        sm_report_set_losses(sm_json_set_object(json, "tasks"), rows, (int)view->task_count);
        sm_free(rows);
    }
    sm_json *evaluations = sm_json_set_object(json, "evaluations");
    for (size_t i = 0; i < view->split_count; i++) {
        const evaluation *e = &view->evaluations[i];
        if (e->count > 0) {
            sm_json *split = sm_json_set_object(evaluations, e->split);
            sm_json_set_integer(split, "step", e->step);
            sm_json_set_integer(split, "evaluations", (int64_t)e->count);
            sm_report_set_metrics(sm_json_set_object(split, "tasks"), e->rows, e->row_count, 0);
        }
    }
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

/* ---- the command ---- */

static sm_status show_once(const char *path, int as_json)
{
    run_view view;
    sm_status status = read_view(path, &view);
    if (status == SM_OK && as_json) {
        status = print_json(&view);
    } else if (status == SM_OK) {
        print_tables(&view);
    }
    clear_view(&view);
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
        status = show_once(path, 0);
        if (status == SM_OK) {
            return status;
        }
        printf("waiting: %s\n", sm_error_message());
    }
    return status;
}

sm_status command_show(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    const char *word = NULL;
    char *path = NULL;
    int follow = 0, json = 0, help;
    const argument table[] = {
        {"RUN.h5", ARGUMENT_POSITIONAL, &word, NULL,
         "run log: runs/NAME/run.h5, or the folder runs/NAME; may still be growing"},
        {"follow", ARGUMENT_FLAG, &follow, NULL,
         "show it again every two seconds, until interrupted or unreadable for a minute"},
        {"json", ARGUMENT_FLAG, &json, NULL, "print one JSON object instead of tables (README, Files)"},
        {0},
    };
    SM_TRY(command_arguments(
        context, "show",
        "Shows a run: each task's loss, weight and sigma, now and over the run, and the last evaluation.", table, argc,
        argv, &help));
    if (follow && json) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "show: --follow or --json: only one of them expected"));
    }
    if (help || sm_comm_rank(context->comm) != 0) {
        goto done;
    }
    SM_TRY(run_path_log(word, &path));
    SM_TRY(show_once(path, json));
    while (follow) {
        sm_comm_set_phase("show", 0, -1);
        SM_TRY(show_again(path));
    }
done:
    sm_free(path);
    return status;
}
