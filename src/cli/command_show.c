/* The run log as a table and a sparkline a task; --follow repeats it while the run goes on. */
#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/memory.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/weighting/weighting.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SPARK_COLUMNS = 48, SMOOTHING_ROWS = 50 };

typedef struct series {
    double *values;
    size_t count;
} series;

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

static sm_status show_task(const sm_h5 *file, const char *task, size_t rows)
{
    sm_status status = SM_OK;
    enum { LOSS, WEIGHT, LOG_VARIANCE, SIGMA, COLUMNS };
    static const char *const names[COLUMNS] = {"loss", "weight", "log_variance", "sigma"};
    series columns[COLUMNS] = {{0}};
    char group[128], object[160], *likelihood_name = NULL, *meaning = NULL;
    int64_t dimensions;
    snprintf(group, sizeof group, "/tasks/%s", task);
    for (int i = 0; i < COLUMNS; i++) {
        snprintf(object, sizeof object, "%s/%s", group, names[i]);
        SM_TRY(read_series(file, object, rows, &columns[i]));
    }
    SM_TRY(sm_h5_read_attribute_text(file, group, "likelihood", &likelihood_name));
    SM_TRY(sm_h5_read_attribute_text(file, group, "meaning", &meaning));
    SM_TRY(sm_h5_read_attribute_int64(file, group, "dimensions", &dimensions));
    const sm_likelihood *likelihood = sm_likelihood_find(likelihood_name);
    double loss = last_mean(&columns[LOSS]), sigma = columns[SIGMA].values[rows - 1];
    double best = likelihood ? likelihood->sigma(likelihood->minimiser(loss, (int)dimensions)) : NAN;
    if (isnan(sigma)) { /* a weighting that learns no sigma */
        printf("\n%s\n  loss %.4g   weight %.4g\n  loss   ", task, loss, columns[WEIGHT].values[rows - 1]);
        print_sparkline(&columns[LOSS]);
        goto done;
    }
    printf("\n%s (%s, sigma = %s)\n", task, likelihood_name, meaning);
    printf("  loss %.4g   weight %.4g   s %.4g   sigma %.4g   at minimum %.4g   ratio %.3f\n", loss,
           columns[WEIGHT].values[rows - 1], columns[LOG_VARIANCE].values[rows - 1], sigma, best, sigma / best);
    printf("  sigma  ");
    print_sparkline(&columns[SIGMA]);
    printf("  loss   ");
    print_sparkline(&columns[LOSS]);
done:
    for (int i = 0; i < COLUMNS; i++) {
        sm_free(columns[i].values);
    }
    sm_free(likelihood_name);
    sm_free(meaning);
    return status;
}

static sm_status show_metrics(const sm_h5 *file, const char *split, const char *task, size_t rows)
{
    sm_status status = SM_OK;
    char **metrics = NULL, group[160];
    size_t count = 0;
    snprintf(group, sizeof group, "/evaluations/%s/%s", split, task);
    SM_TRY(sm_h5_list(file, group, &metrics, &count));
    printf("  %-12s", task);
    for (size_t i = 0; i < count; i++) {
        char object[256];
        double last;
        snprintf(object, sizeof object, "%s/%s", group, metrics[i]);
        SM_TRY(sm_h5_read_rows(file, object, SM_H5_DOUBLE, rows - 1, 1, 1, &last));
        printf("  %s %.4g", metrics[i], last);
    }
    printf("\n");
done:
    sm_free(metrics);
    return status;
}

static sm_status show_evaluations(const sm_h5 *file)
{
    sm_status status = SM_OK;
    char **splits = NULL, **entries = NULL;
    size_t split_count = 0, entry_count;
    if (!sm_h5_has_group(file, "/evaluations")) {
        return SM_OK;
    }
    SM_TRY(sm_h5_list(file, "/evaluations", &splits, &split_count));
    for (size_t i = 0; i < split_count; i++) {
        char object[160];
        sm_h5_info info;
        int64_t step;
        snprintf(object, sizeof object, "/evaluations/%s/step", splits[i]);
        SM_TRY(sm_h5_query(file, object, &info));
        if (info.count == 0) {
            continue;
        }
        SM_TRY(sm_h5_read_rows(file, object, SM_H5_INT64, info.count - 1, 1, 1, &step));
        printf("\n%s after step %lld (%zu evaluation%s)\n", splits[i], (long long)step, info.count,
               info.count > 1 ? "s" : "");
        snprintf(object, sizeof object, "/evaluations/%s", splits[i]);
        sm_free(entries);
        SM_TRY(sm_h5_list(file, object, &entries, &entry_count));
        for (size_t j = 0; j < entry_count; j++) {
            if (strcmp(entries[j], "step") != 0) {
                SM_TRY(show_metrics(file, splits[i], entries[j], info.count));
            }
        }
    }
done:
    sm_free(splits);
    sm_free(entries);
    return status;
}

/* Where the ranks' time goes: shares of the step, of the rank that waits least, the median one, the one that waits most. */
static sm_status show_waits(const sm_h5 *file, size_t rows)
{
    static const char *const kinds[] = {"data", "communication"}, *const ranks[] = {"min", "median", "max"};
    sm_status status = SM_OK;
    series step = {0}, wait = {0};
    if (!sm_h5_has_group(file, "/timing")) {
        return SM_OK;
    }
    SM_TRY(read_series(file, "/timing/step_seconds", rows, &step));
    printf("  %.4g s a step; ranks wait, min / median / max:", last_mean(&step));
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        printf("%s for %s", k ? "," : "", k ? "each other" : kinds[k]);
        for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) {
            char object[96];
            snprintf(object, sizeof object, "/timing/%s_wait_seconds_%s", kinds[k], ranks[r]);
            sm_free(wait.values);
            SM_TRY(read_series(file, object, rows, &wait));
            printf("%s %.1f %%", r ? " /" : "", 100 * last_mean(&wait) / last_mean(&step));
        }
    }
    printf("\n");
done:
    sm_free(step.values);
    sm_free(wait.values);
    return status;
}

static sm_status show_steps(const sm_h5 *file, size_t rows)
{
    sm_status status = SM_OK;
    series seconds = {0}, loss = {0}, speed = {0};
    int64_t *applied = sm_alloc((rows + 1) * sizeof *applied), skipped = 0;
    SM_TRY(read_series(file, "/steps/seconds", rows, &seconds));
    SM_TRY(read_series(file, "/steps/loss", rows, &loss));
    SM_TRY(read_series(file, "/steps/images_per_second", rows, &speed));
    SM_TRY(sm_h5_read_rows(file, "/steps/applied", SM_H5_INT64, 0, rows, 1, applied));
    for (size_t i = 0; i < rows; i++) {
        skipped += !applied[i];
    }
    printf("%s: %zu steps in %.0f s, %.1f images/s, %lld skipped\n", sm_h5_path(file), rows, seconds.values[rows - 1],
           last_mean(&speed), (long long)skipped);
    SM_TRY(show_waits(file, rows));
    printf("  total loss %.4g\n         ", last_mean(&loss));
    print_sparkline(&loss);
done:
    sm_free(seconds.values);
    sm_free(loss.values);
    sm_free(speed.values);
    sm_free(applied);
    return status;
}

/* Rows that every column has: a live file may be caught between two columns. */
static sm_status count_rows(const sm_h5 *file, char *const *tasks, size_t task_count, size_t *rows)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    const char *last =
        sm_h5_has_group(file, "/timing") ? "/timing/communication_wait_seconds_max" : "/steps/images_per_second";
    SM_TRY(sm_h5_query(file, last, &info));
    *rows = info.count;
    for (size_t i = 0; i < task_count; i++) {
        char object[160];
        snprintf(object, sizeof object, "/tasks/%s/sigma", tasks[i]);
        SM_TRY(sm_h5_query(file, object, &info));
        *rows = info.count < *rows ? info.count : *rows;
    }
done:
    return status;
}

static sm_status show_once(const char *path)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    char **tasks = NULL;
    size_t task_count = 0, rows = 0;
    char *format = NULL;
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(sm_h5_read_attribute_text(file, "/", "format", &format));
    if (strcmp(format, "sigmatic-run") != 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: attribute 'format' is '%s', expected 'sigmatic-run'", path, format));
    }
    SM_TRY(sm_h5_list(file, "/tasks", &tasks, &task_count));
    SM_TRY(count_rows(file, tasks, task_count, &rows));
    if (rows == 0) {
        printf("%s: no step yet\n", path);
        goto done;
    }
    SM_TRY(show_steps(file, rows));
    for (size_t i = 0; i < task_count; i++) {
        SM_TRY(show_task(file, tasks[i], rows));
    }
    SM_TRY(show_evaluations(file));
done:
    sm_h5_close(file);
    sm_free(tasks);
    sm_free(format);
    return status;
}

/* A log on a network file system, or one that a new run replaces, cannot be read now and then. */
static sm_status show_again(const char *path)
{
    enum { TRIES = 30 };
    sm_status status = SM_OK;
    for (int tries = 0; tries < TRIES; tries++) {
        fflush(stdout);
        sleep(2);
        printf(isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "\n");
        status = show_once(path);
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
    const char *path = NULL;
    int follow = 0, help;
    const argument table[] = {
        {"RUN.h5", ARGUMENT_POSITIONAL, &path, NULL, "run log: runs/NAME/run.h5; may still be growing"},
        {"follow", ARGUMENT_FLAG, &follow, NULL,
         "show it again every two seconds until interrupted, or unreadable for a minute"},
        {0},
    };
    SM_TRY(command_arguments(context, "show",
                             "Shows each task's loss and sigma: last values and a sparkline of the run.", table, argc,
                             argv, &help));
    if (help || sm_comm_rank(context->comm) != 0) {
        goto done;
    }
    SM_TRY(show_once(path));
    while (follow) {
        SM_TRY(show_again(path));
    }
done:
    return status;
}
