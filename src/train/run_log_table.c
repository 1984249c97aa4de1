#include <sigmatic/base/memory.h>

#include "train/run_log_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_ROWS = 1024 };

sm_run_column *sm_run_table_add(sm_run_table *t, sm_h5_type type)
{
    t->columns = sm_realloc(t->columns, (size_t)(t->count + 1) * sizeof *t->columns);
    sm_run_column *added = &t->columns[t->count++];
    added->type = type;
    return added;
}

sm_status sm_run_table_create(sm_h5 *file, const sm_run_table *t)
{
    sm_status status = SM_OK;
    for (int i = 0; i < t->count; i++) {
        SM_TRY(sm_h5_create_rows(file, t->columns[i].path, t->columns[i].type, 0, CHUNK_ROWS));
    }
done:
    return status;
}

/* Copies the rows of the old log up to `last_step`. \param [out] kept_step  of the last row copied; untouched if there is none */
static sm_status copy_rows(sm_h5 *file, const sm_h5 *old, sm_run_table *t, int64_t last_step, int64_t *kept_step,
                           double *seconds)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    int64_t *steps = NULL;
    void *rows = NULL;
    size_t kept = 0;
    if (t->count == 0 || !sm_h5_has_dataset(old, t->columns[0].path)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_query(old, t->columns[0].path, &info));
    steps = sm_alloc((info.count + 1) * sizeof *steps);
    SM_TRY(sm_h5_read_rows(old, t->columns[0].path, SM_H5_INT64, 0, info.count, 1, steps));
    while (kept < info.count && steps[kept] <= last_step) {
        kept++;
    }
    if (kept > 0) {
        *kept_step = steps[kept - 1];
    }
    rows = sm_alloc((kept + 1) * sizeof(double));
    for (int i = 0; i < t->count && kept > 0; i++) {
        const sm_run_column *c = &t->columns[i];
        if (sm_h5_has_dataset(old, c->path)) {
            SM_TRY(sm_h5_read_rows(old, c->path, c->type, 0, kept, 1, rows));
        } else { /* a column that an older version did not write */
            for (size_t r = 0; r < kept; r++) {
                ((double *)rows)[r] = c->type == SM_H5_DOUBLE ? NAN : 0;
            }
        }
        SM_TRY(sm_h5_append_rows(file, c->path, c->type, kept, rows));
        if (strcmp(c->path, "/steps/seconds") == 0) {
            *seconds = ((double *)rows)[kept - 1];
        }
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
static sm_status copy_other_splits(sm_h5 *file, const sm_h5 *old, const sm_run_table *evaluations, int64_t resume_step)
{
    sm_status status = SM_OK;
    sm_run_table other = {0};
    char **splits = NULL;
    size_t count = 0;
    int64_t last_step;
    double seconds;
    SM_TRY(sm_h5_has_group(old, "/evaluations") ? sm_h5_list(old, "/evaluations", &splits, &count) : SM_OK);
    for (size_t i = 0; i < count; i++) {
        char *own = sm_format("/evaluations/%s/step", splits[i]);
        int is_own = evaluations->count > 0 && strcmp(evaluations->columns[0].path, own) == 0;
        sm_free(own);
        if (!is_own) {
            other.count = 0;
            SM_TRY(list_evaluations(old, splits[i], &other));
            SM_TRY(sm_run_table_create(file, &other));
            SM_TRY(copy_rows(file, old, &other, resume_step, &last_step, &seconds));
        }
    }
done:
    sm_free(other.columns);
    sm_free(splits);
    return status;
}

sm_status sm_run_log_copy(const sm_h5 *old, sm_h5 *file, sm_run_table *steps, sm_run_table *evaluations,
                          int64_t last_step, sm_run_log_kept *kept)
{
    sm_status status = SM_OK;
    int64_t step;
    SM_TRY(copy_rows(file, old, steps, last_step, &step, &kept->seconds));
    SM_TRY(copy_rows(file, old, evaluations, last_step, &kept->evaluated_step, &kept->seconds));
    SM_TRY(copy_other_splits(file, old, evaluations, last_step));
done:
    return status;
}
