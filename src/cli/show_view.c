#define _XOPEN_SOURCE 700 /* gethostname() */
#include "cli/show_view.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5_checksums.h>
#include <sigmatic/train/run_log.h>

#include "cli/show_gradients.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { SMOOTHING_ROWS = 50 };

static sm_status read_series(const sm_h5 *file, const char *object, size_t rows, show_series *out)
{
    *out = (show_series){sm_alloc((rows + 1) * sizeof(double)), rows};
    return sm_h5_read_rows(file, object, SM_H5_DOUBLE, 0, rows, 1, out->values);
}

double show_mean(const show_series *series, size_t begin, size_t end)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = begin; i < end && i < series->count; i++) {
        if (isfinite(series->values[i])) {
            sum += series->values[i];
            count++;
        }
    }
    return count ? sum / (double)count : NAN;
}

double show_last_mean(const show_series *series)
{
    return show_mean(series, series->count > SMOOTHING_ROWS ? series->count - SMOOTHING_ROWS : 0, series->count);
}

/* Names in a group of which there are never many in a log. */
static sm_status list_few(const sm_h5 *file, const char *group, char ***names, size_t *count)
{
    enum { MOST = 4096 };
    sm_status status = sm_h5_list(file, group, names, count);
    return status == SM_OK && *count > MOST ? sm_fail(SM_ERR_INPUT, "%s: %s has %zu objects, expected at most %d",
                                                      sm_h5_path(file), group, *count, MOST)
                                            : status;
}

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

/* Of the first step with a loss, where the log has the run's beginning. */
static void find_first(show_task *curves, const show_series *weight, int is_whole)
{
    size_t i = 0;
    while (i < curves->loss.count && !isfinite(curves->loss.values[i])) {
        i++;
    }
    int is_known = is_whole && i < curves->loss.count;
    curves->first_loss = is_known ? curves->loss.values[i] : NAN;
    curves->first_weight = is_known ? weight->values[i] : NAN;
}

static sm_status read_task(const sm_h5 *file, const char *task, size_t rows, int is_whole, show_task *curves)
{
    sm_status status = SM_OK;
    show_series weight = {0}, log_variance = {0};
    const struct {
        const char *name;
        show_series *into;
    } columns[] = {
        {"loss", &curves->loss}, {"sigma", &curves->sigma}, {"weight", &weight}, {"log_variance", &log_variance}};
    char *likelihood = NULL, *object = NULL;
    int64_t dimensions;
    double delta = 0, group_weight = 1;
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
    SM_TRY(read_text(file, task, "unit", &curves->unit));
    SM_TRY(read_text(file, task, "loss", &curves->loss_name));
    SM_TRY(sm_h5_read_attribute_int64(file, object, "dimensions", &dimensions));
    if (sm_h5_has_attribute(file, object, "delta")) { /* of a Huber loss only */
        SM_TRY(sm_h5_read_attribute_double(file, object, "delta", &delta));
    }
    if (sm_h5_has_attribute(file, object, "group")) { /* where tasks are weighed in groups */
        SM_TRY(read_text(file, task, "group", &curves->group));
        SM_TRY(sm_h5_read_attribute_double(file, object, "group_weight", &group_weight));
    }
    curves->row = (sm_loss_row){.task = task,
                                .likelihood = likelihood ? sm_likelihood_find(likelihood) : NULL,
                                .shape = {(double)dimensions, delta},
                                .unit = curves->unit,
                                .loss = show_last_mean(&curves->loss),
                                .weight = weight.values[rows - 1],
                                .log_variance = log_variance.values[rows - 1],
                                .sigma = curves->sigma.values[rows - 1],
                                .group = curves->group,
                                .group_weight = group_weight};
    curves->mean_weight = show_last_mean(&weight);
    find_first(curves, &weight, is_whole);
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

/* As an show_evaluation prints them: the file's own order is that of the alphabet. */
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

static sm_status read_metrics(const sm_h5 *file, const char *task, show_evaluation *e, char ***names, char **unit)
{
    sm_status status = SM_OK;
    char *group = sm_format("/evaluations/%s/%s", e->split, task), *object = NULL, *kind = NULL;
    size_t count = 0;
    SM_TRY(read_text(file, task, "kind", &kind));
    SM_TRY(read_text(file, task, "unit", unit));
    SM_TRY(list_few(file, group, names, &count));
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

/* Older versions wrote none; a live log may not have the last ones yet. */
static sm_status read_calibration(const sm_h5 *file, const char *task, const show_evaluation *e, sm_calibration *out)
{
    sm_status status = SM_OK;
    double numbers[SM_CALIBRATION_NUMBERS];
    char *object = NULL;
    for (int i = 0; i < SM_CALIBRATION_NUMBERS; i++) {
        sm_h5_info info = {.count = 0};
        sm_free(object);
        object = sm_format("/calibration/%s/%s/%s", e->split, task, sm_calibration_names[i]);
        numbers[i] = NAN;
        if (sm_h5_has_dataset(file, object)) {
            SM_TRY(sm_h5_query(file, object, &info));
        }
        if (info.count >= e->count) {
            SM_TRY(sm_h5_read_rows(file, object, SM_H5_DOUBLE, e->count - 1, 1, 1, &numbers[i]));
        }
    }
    *out = (sm_calibration){numbers[0], numbers[1], numbers[2], numbers[3]};
done:
    sm_free(object);
    return status;
}

static sm_status read_evaluation(const sm_h5 *file, const show_view *view, show_evaluation *e)
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
    e->calibrations = sm_alloc_zeroed(view->task_count * sizeof *e->calibrations);
    for (size_t i = 0; i < view->task_count; i++) {
        SM_TRY(read_metrics(file, view->tasks[i], e, &e->names[i], &e->units[i]));
        SM_TRY(read_calibration(file, view->tasks[i], e, &e->calibrations[i]));
    }
done:
    sm_free(object);
    return status;
}

static sm_status read_evaluations(const sm_h5 *file, show_view *view)
{
    sm_status status = SM_OK;
    if (!sm_h5_has_group(file, "/evaluations")) {
        return SM_OK;
    }
    SM_TRY(list_few(file, "/evaluations", &view->splits, &view->split_count));
    view->evaluations = sm_alloc_zeroed(view->split_count * sizeof *view->evaluations);
    for (size_t i = 0; i < view->split_count; i++) {
        view->evaluations[i].split = view->splits[i];
        SM_TRY(read_evaluation(file, view, &view->evaluations[i]));
    }
done:
    return status;
}

static sm_status read_waits(const sm_h5 *file, show_view *view)
{
    static const char *const kinds[] = {"data", "communication"}, *const ranks[] = {"min", "median", "max"};
    sm_status status = SM_OK;
    show_series column = {0};
    char *object = NULL;
    view->step_seconds = NAN;
    if (!sm_h5_has_group(file, "/timing")) {
        return SM_OK;
    }
    SM_TRY(read_series(file, "/timing/step_seconds", view->rows, &column));
    view->step_seconds = show_last_mean(&column);
    for (int kind = 0; kind < SHOW_WAITS; kind++) {
        for (int rank = 0; rank < SHOW_WAITING_RANKS; rank++) {
            sm_free(object);
            sm_free(column.values);
            object = sm_format("/timing/%s_wait_seconds_%s", kinds[kind], ranks[rank]);
            SM_TRY(read_series(file, object, view->rows, &column));
            view->wait_seconds[kind][rank] = show_last_mean(&column);
        }
    }
done:
    sm_free(object);
    sm_free(column.values);
    return status;
}

static sm_status read_steps(const sm_h5 *file, show_view *view)
{
    sm_status status = SM_OK;
    show_series seconds = {0}, speed = {0};
    int64_t *applied = sm_alloc(view->rows * sizeof *applied);
    SM_TRY(read_series(file, "/steps/seconds", view->rows, &seconds));
    SM_TRY(read_series(file, "/steps/loss", view->rows, &view->loss));
    SM_TRY(read_series(file, "/steps/images_per_second", view->rows, &speed));
    SM_TRY(sm_h5_read_rows(file, "/steps/step", SM_H5_INT64, 0, 1, 1, &view->first_step));
    SM_TRY(sm_h5_read_rows(file, "/steps/step", SM_H5_INT64, view->rows - 1, 1, 1, &view->step));
    SM_TRY(sm_h5_read_rows(file, "/steps/applied", SM_H5_INT64, 0, view->rows, 1, applied));
    for (size_t i = 0; i < view->rows; i++) {
        view->skipped += !applied[i];
    }
    view->seconds = seconds.values[view->rows - 1];
    view->images_per_second = show_last_mean(&speed);
done:
    sm_free(seconds.values);
    sm_free(speed.values);
    sm_free(applied);
    return status;
}

/* Rows that every column has: a live file may be caught between two columns. */
static sm_status count_rows(const sm_h5 *file, show_view *view)
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
static void order_tasks(show_view *view)
{
    size_t *places = sm_alloc((view->task_count + 1) * sizeof *places);
    for (size_t i = 0; i < view->task_count; i++) {
        size_t place = places[i] = place_of(view->config, view->tasks[i]);
        for (size_t j = i; j > 0 && place < places[j - 1]; j--) {
            exchange(&view->tasks[j], &view->tasks[j - 1]);
            places[j] = places[j - 1];
            places[j - 1] = place;
        }
    }
    sm_free(places);
}

/* Every object can be opened, and the version is known. */
static sm_status check_log(const sm_h5 *file)
{
    enum { VERSION = 1 };
    sm_status status = SM_OK;
    SM_TRY(sm_h5_check_checksums(file, NULL));
    if (sm_h5_has_attribute(file, "/", "format_version")) {
        SM_TRY(sm_h5_check_version(file, VERSION, VERSION));
    }
done:
    return status;
}

/* The first line of the file beside the log. */
static void read_status(show_view *view)
{
    const char *slash = strrchr(view->path, '/');
    char *path = sm_format("%.*sstatus", slash ? (int)(slash + 1 - view->path) : 0, view->path);
    if (!sm_file_exists(path) || sm_file_read_text(path, &view->status) != SM_OK) {
        view->status = sm_strdup("");
    }
    view->status[strcspn(view->status, "\n")] = '\0';
    sm_free(path);
}

/* A run that was killed could not say so: its status is "running" for ever. On its own host nobody holds the lock of its folder. */
static sm_status find_lost(const sm_h5 *file, show_view *view)
{
    sm_status status = SM_OK;
    char here[256] = "", *host = NULL, *lock = NULL;
    if (strcmp(view->status, "running") != 0 || !sm_h5_has_attribute(file, "/", "host")) {
        goto done;
    }
    SM_TRY(sm_h5_read_attribute_text(file, "/", "host", &host));
    gethostname(here, sizeof here - 1);
    const char *slash = strrchr(view->path, '/');
    lock = sm_format("%.*s.lock", slash ? (int)(slash + 1 - view->path) : 0, view->path);
    if (strcmp(host, here) == 0 && sm_file_is_locked(lock) == 0) {
        sm_free(view->status);
        view->status = sm_format("lost: killed behind step %lld without a word; --resume auto goes on",
                                 (long long)(view->rows > 0 ? view->step : 0));
    }
done:
    sm_free(host);
    sm_free(lock);
    return status;
}

sm_status show_view_read(const char *path, show_view *view)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    char *format = NULL;
    *view = (show_view){.path = sm_strdup(path)};
    read_status(view);
    SM_TRY(sm_run_log_read(path, &file));
    SM_TRY(sm_h5_read_attribute_text(file, "/", "format", &format));
    if (strcmp(format, "sigmatic-run") != 0) {
        SM_TRY(sm_fail(
            SM_ERR_INPUT, "%s: attribute 'format' is '%s', expected 'sigmatic-run': a run's folder or its run.h5%s",
            path, format,
            strcmp(format, "sigmatic-checkpoint") == 0 ? " (sigmatic weights info lists what a checkpoint holds)"
                                                       : ""));
    }
    if (sm_h5_has_attribute(file, "/", "config")) {
        SM_TRY(sm_h5_read_attribute_text(file, "/", "config", &view->config));
    } else {
        view->config = sm_strdup("");
    }
    if (sm_h5_has_attribute(file, "/", "samples")) { /* not of older versions */
        SM_TRY(sm_h5_read_attribute_text(file, "/", "samples", &view->samples));
    } else {
        view->samples = sm_strdup("images");
    }
    SM_TRY(check_log(file));
    SM_TRY(list_few(file, "/tasks", &view->tasks, &view->task_count));
    order_tasks(view);
    SM_TRY(count_rows(file, view));
    if (view->rows > 0) {
        SM_TRY(read_steps(file, view));
    }
    SM_TRY(find_lost(file, view));
    if (view->rows == 0) {
        goto done;
    }
    SM_TRY(read_waits(file, view));
    view->curves = sm_alloc_zeroed(view->task_count * sizeof *view->curves);
    for (size_t i = 0; i < view->task_count; i++) {
        SM_TRY(read_task(file, view->tasks[i], view->rows, view->first_step == 1, &view->curves[i]));
    }
    SM_TRY(show_gradients_read(file, view));
    SM_TRY(read_evaluations(file, view));
done:
    if (status != SM_OK) {
        view->rows = 0; /* nobody looks at what was read of them */
    }
    sm_h5_close(file);
    sm_free(format);
    return status;
}

void show_view_clear(show_view *view)
{
    for (size_t i = 0; view->curves && i < view->task_count; i++) {
        sm_free(view->curves[i].loss.values);
        sm_free(view->curves[i].sigma.values);
        sm_free(view->curves[i].unit);
        sm_free(view->curves[i].group);
        sm_free(view->curves[i].loss_name);
    }
    for (size_t i = 0; view->evaluations && i < view->split_count; i++) {
        show_evaluation *e = &view->evaluations[i];
        for (size_t j = 0; e->names && j < view->task_count; j++) {
            sm_free(e->names[j]);
            sm_free(e->units[j]);
        }
        sm_free(e->names);
        sm_free(e->units);
        sm_free(e->rows);
        sm_free(e->calibrations);
    }
    sm_free(view->path);
    sm_free(view->config);
    sm_free(view->status);
    sm_free(view->samples);
    sm_free(view->evaluations);
    sm_free(view->curves);
    sm_free(view->cosines);
    sm_free(view->loss.values);
    sm_free(view->tasks);
    sm_free(view->splits);
}

char *show_speed_unit(const show_view *views, int count)
{
    const char *found = NULL;
    for (int i = 0; i < count; i++) {
        if (views[i].rows > 0) {
            found = !found || strcmp(found, views[i].samples) == 0 ? views[i].samples : "samples";
        }
    }
    return sm_format("%s/s", found ? found : "images");
}

sm_loss_row *show_loss_rows(const show_view *view)
{
    sm_loss_row *rows = sm_alloc(view->task_count * sizeof *rows);
    for (size_t i = 0; i < view->task_count; i++) {
        rows[i] = view->curves[i].row;
    }
    return rows;
}

const sm_metric_row *show_metric(const show_view *view, const char *task, const char *metric)
{
    for (size_t i = 0; view->evaluations && i < view->split_count; i++) {
        const show_evaluation *e = &view->evaluations[i];
        for (int r = 0; r < e->row_count; r++) {
            if (strcmp(e->rows[r].task, task) == 0 && (!metric || strcmp(e->rows[r].metric.name, metric) == 0)) {
                return &e->rows[r];
            }
        }
    }
    return NULL;
}
