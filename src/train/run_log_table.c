#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>

#include "train/run_log_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_ROWS = 1024, FIRST_ROWS = 64 };
static const char SECONDS[] = "/steps/seconds";

/* ---- in memory ---- */

sm_run_column *sm_run_table_add(sm_run_table *t, sm_h5_type type)
{
    t->columns = sm_realloc(t->columns, (size_t)(t->count + 1) * sizeof *t->columns);
    sm_run_column *added = &t->columns[t->count++];
    added->type = type;
    return added;
}

double *sm_run_table_add_row(sm_run_table *t)
{
    if (t->waiting == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : FIRST_ROWS;
        t->rows = sm_realloc(t->rows, (size_t)t->capacity * (size_t)t->count * sizeof *t->rows);
    }
    return t->rows + (size_t)t->waiting++ * (size_t)t->count;
}

int64_t sm_run_table_step(const sm_run_table *t, int row)
{
    return (int64_t)t->rows[(size_t)row * (size_t)t->count];
}

void sm_run_table_clear(sm_run_table *t)
{
    sm_free(t->columns);
    sm_free(t->rows);
    *t = (sm_run_table){0};
}

/* ---- in a file ---- */

sm_status sm_run_table_create(sm_h5 *file, const sm_run_table *t)
{
    sm_status status = SM_OK;
    for (int i = 0; i < t->count; i++) {
        SM_TRY(sm_h5_create_rows(file, t->columns[i].path, t->columns[i].type, 0, CHUNK_ROWS));
    }
done:
    return status;
}

/* The column's numbers of rows from `first` on, as they are stored. \param [out] values  8 bytes a row */
static void gather(const sm_run_table *t, int column, int first, void *values)
{
    double *real = values;
    int64_t *whole = values;
    for (int row = first; row < t->waiting; row++) {
        double value = t->rows[(size_t)row * (size_t)t->count + (size_t)column];
        if (t->columns[column].type == SM_H5_DOUBLE) {
            *real++ = value;
        } else {
            *whole++ = (int64_t)value;
        }
    }
}

/* \param [out] step  of the last row; -1: there is none */
static sm_status find_last_step(const sm_h5 *file, const sm_run_table *t, size_t rows, int64_t *step)
{
    *step = -1;
    return rows == 0 ? SM_OK : sm_h5_read_rows(file, t->columns[0].path, SM_H5_INT64, rows - 1, 1, 1, step);
}

sm_status sm_run_table_count(const sm_h5 *file, const sm_run_table *t, size_t *rows)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    *rows = 0;
    for (int i = 0; i < t->count; i++) {
        SM_TRY(sm_h5_query(file, t->columns[i].path, &info));
        if (i > 0 && info.count != *rows) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s has %zu %s, %s has %zu", sm_h5_path(file), t->columns[i].path,
                           info.count, sm_plural((int64_t)info.count, "row", "rows"), t->columns[0].path, *rows));
        }
        *rows = info.count;
    }
done:
    return status;
}

sm_status sm_run_table_append(sm_h5 *file, const sm_run_table *t, int *added)
{
    sm_status status = SM_OK;
    int64_t last_step;
    int first = 0;
    size_t rows;
    void *values = NULL;
    SM_TRY(sm_run_table_count(file, t, &rows));
    SM_TRY(find_last_step(file, t, rows, &last_step));
    while (first < t->waiting && sm_run_table_step(t, first) <= last_step) {
        first++;
    }
    *added = t->waiting - first;
    values = sm_alloc(((size_t)*added + 1) * sizeof(double));
    for (int i = 0; i<t->count && * added> 0; i++) {
        gather(t, i, first, values);
        SM_TRY(sm_h5_append_rows(file, t->columns[i].path, t->columns[i].type, (size_t)*added, values));
    }
done:
    sm_free(values);
    return status;
}

static int column_named(const sm_run_table *t, const char *path)
{
    for (int i = 0; i < t->count; i++) {
        if (strcmp(t->columns[i].path, path) == 0) {
            return i;
        }
    }
    return -1;
}

static void keep(sm_run_log_kept *kept, int is_step, int64_t step, double seconds)
{
    if (is_step) {
        kept->step = step;
        kept->seconds = seconds;
    } else {
        kept->evaluated_step = step;
    }
}

static double nothing(const sm_run_column *column)
{
    return column->type == SM_H5_DOUBLE ? NAN : 0;
}

sm_status sm_run_table_take(sm_h5 *file, const sm_run_table *t, const sm_run_table *other, int64_t last_step,
                            sm_run_log_kept *kept)
{
    sm_status status = SM_OK;
    sm_run_table taken = {.columns = t->columns, .count = t->count};
    int added = 0;
    if (t->count == 0 || column_named(other, t->columns[0].path) != 0) {
        return SM_OK;
    }
    for (int r = 0; r < other->waiting && sm_run_table_step(other, r) <= last_step; r++) {
        double *row = sm_run_table_add_row(&taken);
        for (int i = 0; i < t->count; i++) {
            int from = column_named(other, t->columns[i].path);
            row[i] = from < 0 ? nothing(&t->columns[i]) : other->rows[(size_t)r * (size_t)other->count + (size_t)from];
        }
    }
    SM_TRY(sm_run_table_append(file, &taken, &added));
    if (added > 0) {
        int seconds = column_named(t, SECONDS);
        size_t last = (size_t)(taken.waiting - 1) * (size_t)t->count;
        keep(kept, seconds >= 0, (int64_t)taken.rows[last], seconds >= 0 ? taken.rows[last + (size_t)seconds] : 0);
    }
done:
    sm_free(taken.rows);
    return status;
}

/* ---- from an old log ---- */

/* Rows that every column has which is there at all. */
static sm_status count_whole(const sm_h5 *old, const sm_run_table *t, size_t *rows)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    *rows = SIZE_MAX;
    for (int i = 0; i < t->count; i++) {
        if (sm_h5_has_dataset(old, t->columns[i].path)) {
            SM_TRY(sm_h5_query(old, t->columns[i].path, &info));
            *rows = info.count < *rows ? info.count : *rows;
        }
    }
done:
    return status;
}

/* A column that an older version did not write is empty of it. \param [out] rows  8 bytes a row */
static sm_status read_column(const sm_h5 *old, const sm_run_column *c, size_t count, void *rows)
{
    if (sm_h5_has_dataset(old, c->path)) {
        return sm_h5_read_rows(old, c->path, c->type, 0, count, 1, rows);
    }
    for (size_t r = 0; r < count; r++) {
        ((double *)rows)[r] = nothing(c); /* 0 of either type is zero bytes */
    }
    return SM_OK;
}

/* Copies the rows of the old log up to `last_step`. \param kept  NULL: nobody asks */
static sm_status copy_rows(sm_h5 *file, const sm_h5 *old, const sm_run_table *t, int64_t last_step,
                           sm_run_log_kept *kept)
{
    sm_status status = SM_OK;
    int64_t *steps = NULL;
    double *rows = NULL, seconds = 0;
    int is_step = 0;
    size_t count, copied = 0;
    if (t->count == 0 || !sm_h5_has_dataset(old, t->columns[0].path)) {
        return SM_OK;
    }
    SM_TRY(count_whole(old, t, &count));
    steps = sm_alloc((count + 1) * sizeof *steps);
    SM_TRY(sm_h5_read_rows(old, t->columns[0].path, SM_H5_INT64, 0, count, 1, steps));
    while (copied < count && steps[copied] <= last_step && (copied == 0 || steps[copied] > steps[copied - 1])) {
        copied++;
    }
    rows = sm_alloc((copied + 1) * sizeof *rows);
    for (int i = 0; i < t->count && copied > 0; i++) {
        SM_TRY(read_column(old, &t->columns[i], copied, rows));
        SM_TRY(sm_h5_append_rows(file, t->columns[i].path, t->columns[i].type, copied, rows));
        if (strcmp(t->columns[i].path, SECONDS) == 0) {
            is_step = 1;
            seconds = rows[copied - 1];
        }
    }
    if (copied > 0 && kept) {
        keep(kept, is_step, steps[copied - 1], seconds);
    }
done:
    sm_free(steps);
    sm_free(rows);
    return status;
}

/* The columns of the tasks in one group, of numbers of evaluations, as they stand in a file. */
static sm_status list_numbers(const sm_h5 *file, const char *what, const char *split, sm_run_table *t)
{
    sm_status status = SM_OK;
    char group[160], **tasks = NULL, **metrics = NULL;
    size_t task_count = 0, count = 0;
    snprintf(group, sizeof group, "/%s/%s", what, split);
    SM_TRY(sm_h5_has_group(file, group) ? sm_h5_list(file, group, &tasks, &task_count) : SM_OK);
    for (size_t i = 0; i < task_count; i++) {
        snprintf(group, sizeof group, "/%s/%s/%s", what, split, tasks[i]);
        if (sm_h5_has_group(file, group)) {
            sm_free(metrics);
            metrics = NULL;
            SM_TRY(sm_h5_list(file, group, &metrics, &count));
            for (size_t m = 0; m < count; m++) {
                sm_run_column *c = sm_run_table_add(t, SM_H5_DOUBLE);
                snprintf(c->path, sizeof c->path, "%s/%s", group, metrics[m]);
            }
        }
    }
done:
    sm_free(metrics);
    sm_free(tasks);
    return status;
}

static sm_status list_evaluations(const sm_h5 *file, const char *split, sm_run_table *t)
{
    sm_status status = SM_OK;
    sm_run_column *step = sm_run_table_add(t, SM_H5_INT64);
    snprintf(step->path, sizeof step->path, "/evaluations/%s/step", split);
    SM_TRY(list_numbers(file, "evaluations", split, t));
    SM_TRY(list_numbers(file, "calibration", split, t));
done:
    return status;
}

/* Evaluations of splits that this run does not evaluate on. */
static sm_status copy_other_splits(sm_h5 *file, const sm_h5 *old, const sm_run_table *evaluations, int64_t last_step)
{
    sm_status status = SM_OK;
    sm_run_table other = {0};
    char **splits = NULL;
    size_t count = 0;
    SM_TRY(sm_h5_has_group(old, "/evaluations") ? sm_h5_list(old, "/evaluations", &splits, &count) : SM_OK);
    for (size_t i = 0; i < count; i++) {
        char *own = sm_format("/evaluations/%s/step", splits[i]);
        int is_own = evaluations->count > 0 && strcmp(evaluations->columns[0].path, own) == 0;
        sm_free(own);
        if (!is_own) {
            sm_run_table_clear(&other);
            SM_TRY(list_evaluations(old, splits[i], &other));
            SM_TRY(sm_run_table_create(file, &other));
            SM_TRY(copy_rows(file, old, &other, last_step, NULL));
        }
    }
done:
    sm_run_table_clear(&other);
    sm_free(splits);
    return status;
}

sm_status sm_run_log_copy(const sm_h5 *old, sm_h5 *file, const sm_run_table *tables, int64_t last_step,
                          sm_run_log_kept *kept)
{
    sm_status status = SM_OK;
    for (int i = 0; i < SM_RUN_TABLES; i++) {
        SM_TRY(copy_rows(file, old, &tables[i], last_step, kept));
    }
    SM_TRY(copy_other_splits(file, old, &tables[SM_RUN_EVALUATIONS], last_step));
done:
    return status;
}
