#include "train/run_log_columns.h"

#include <stdio.h>
#include <string.h>

/* Seconds of the step as a whole, and what ranks waited in it for data and for each other: least, median and most over the ranks. */
static const struct {
    const char *path;
    sm_h5_type type;
} step_columns[] = {
    {"/steps/step", SM_H5_INT64},
    {"/steps/epoch", SM_H5_INT64},
    {"/steps/applied", SM_H5_INT64},
    {"/steps/seconds", SM_H5_DOUBLE},
    {"/steps/learning_rate", SM_H5_DOUBLE},
    {"/steps/loss", SM_H5_DOUBLE},
    {"/steps/gradient_norm", SM_H5_DOUBLE},
    {"/steps/images_per_second", SM_H5_DOUBLE},
    {"/timing/step_seconds", SM_H5_DOUBLE},
    {"/timing/data_wait_seconds_min", SM_H5_DOUBLE},
    {"/timing/data_wait_seconds_median", SM_H5_DOUBLE},
    {"/timing/data_wait_seconds_max", SM_H5_DOUBLE},
    {"/timing/communication_wait_seconds_min", SM_H5_DOUBLE},
    {"/timing/communication_wait_seconds_median", SM_H5_DOUBLE},
    {"/timing/communication_wait_seconds_max", SM_H5_DOUBLE},
};
static const char *const task_columns[] = {"loss", "weight", "log_variance", "sigma"};
enum {
    STEP_COLUMNS = sizeof step_columns / sizeof *step_columns,
    TASK_COLUMNS = sizeof task_columns / sizeof *task_columns
};

/* What a weighting keeps of each task, or group of tasks; its other states say nothing to a reader. */
static int is_logged(const sm_weighting *weighting, const sm_weighting_state *state)
{
    return state->count == (size_t)weighting->count;
}

static void name_state_columns(const sm_weighting *weighting, sm_run_table *steps)
{
    for (int i = 0; i < weighting->state_count; i++) {
        const sm_weighting_state *state = &weighting->states[i];
        for (int task = 0; is_logged(weighting, state) && task < weighting->count; task++) {
            sm_run_column *c = sm_run_table_add(steps, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/weighting/%s/%s", state->name, weighting->tasks[task].name);
        }
    }
}

/* Measured of each task, and of each pair. */
static const char *const diagnosis_columns[] = {"gradient_norm", "gradient_share"};
enum { DIAGNOSIS_COLUMNS = sizeof diagnosis_columns / sizeof *diagnosis_columns };

static void name_diagnosis_columns(const sm_session *session, sm_run_table *steps)
{
    int tasks = session->settings.diagnose_interval > 0 ? session->task_count : 0;
    for (int task = 0; task < tasks; task++) {
        for (int i = 0; i < DIAGNOSIS_COLUMNS; i++) {
            sm_run_column *c = sm_run_table_add(steps, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/tasks/%s/%s", session->tasks[task]->name, diagnosis_columns[i]);
        }
        for (int other = task + 1; other < tasks; other++) {
            sm_run_column *c = sm_run_table_add(steps, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/gradient_cosines/%s/%s", session->tasks[task]->name,
                     session->tasks[other]->name);
        }
    }
}

/* \param row  its last numbers */
static void write_diagnosis(const sm_session *session, const sm_step_record *r, double *row)
{
    const double *const values[DIAGNOSIS_COLUMNS] = {r->task_gradient_norm, r->gradient_share};
    int tasks = session->settings.diagnose_interval > 0 ? session->task_count : 0;
    for (int task = 0; task < tasks; task++) {
        for (int i = 0; i < DIAGNOSIS_COLUMNS; i++) {
            *row++ = values[i][task];
        }
        for (int other = task + 1; other < tasks; other++) {
            *row++ = r->gradient_cosine[task * tasks + other];
        }
    }
}

/* \return the place behind those of the states */
static double *write_states(const sm_weighting *weighting, double *row)
{
    for (int i = 0; i < weighting->state_count; i++) {
        const sm_weighting_state *state = &weighting->states[i];
        for (int task = 0; is_logged(weighting, state) && task < weighting->count; task++) {
            *row++ = state->values[task];
        }
    }
    return row;
}

static void name_calibration_columns(const sm_session *session, const char *split, sm_run_table *evaluations)
{
    for (int task = 0; task < session->task_count; task++) {
        for (int i = 0; i < SM_CALIBRATION_NUMBERS; i++) {
            sm_run_column *c = sm_run_table_add(evaluations, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/calibration/%s/%s/%s", split, session->tasks[task]->name,
                     sm_calibration_names[i]);
        }
    }
}

void sm_run_log_name_columns(const sm_session *session, const char *split, sm_run_table *tables)
{
    sm_run_table *steps = &tables[SM_RUN_STEPS], *evaluations = &tables[SM_RUN_EVALUATIONS];
    for (int i = 0; i < STEP_COLUMNS; i++) {
        sm_run_column *c = sm_run_table_add(steps, step_columns[i].type);
        snprintf(c->path, sizeof c->path, "%s", step_columns[i].path);
    }
    for (int task = 0; task < session->task_count; task++) {
        for (int i = 0; i < TASK_COLUMNS; i++) {
            sm_run_column *c = sm_run_table_add(steps, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/tasks/%s/%s", session->tasks[task]->name, task_columns[i]);
        }
    }
    name_state_columns(session->weighting, steps);
    name_diagnosis_columns(session, steps);
    if (!split) {
        return;
    }
    sm_run_column *step = sm_run_table_add(evaluations, SM_H5_INT64);
    snprintf(step->path, sizeof step->path, "/evaluations/%s/step", split);
    for (int task = 0; task < session->task_count; task++) {
        const sm_metric *m;
        for (int i = 0; (m = sm_task_kind_metric(session->tasks[task]->kind, i)); i++) {
            sm_run_column *c = sm_run_table_add(evaluations, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/evaluations/%s/%s/%s", split, session->tasks[task]->name, m->name);
        }
    }
    name_calibration_columns(session, split, evaluations);
}

void sm_run_log_add_step(const sm_session *session, const sm_step_record *r, sm_run_table *steps)
{
    const double values[STEP_COLUMNS] = {(double)r->step,
                                         (double)r->epoch,
                                         r->applied,
                                         r->seconds,
                                         r->learning_rate,
                                         r->loss,
                                         r->gradient_norm,
                                         r->images_per_second,
                                         r->step_seconds,
                                         r->data_wait[0],
                                         r->data_wait[1],
                                         r->data_wait[2],
                                         r->communication_wait[0],
                                         r->communication_wait[1],
                                         r->communication_wait[2]};
    const double *const task_values[TASK_COLUMNS] = {r->task_loss, r->weight, r->log_variance, r->sigma};
    double *row = sm_run_table_add_row(steps);
    memcpy(row, values, sizeof values);
    row += STEP_COLUMNS;
    for (int task = 0; task < session->task_count; task++) {
        for (int i = 0; i < TASK_COLUMNS; i++) {
            *row++ = task_values[i][task];
        }
    }
    write_diagnosis(session, r, write_states(session->weighting, row));
}

void sm_run_log_add_evaluation(const sm_session *session, int64_t step, const double *values,
                               const sm_calibration *calibrations, sm_run_table *evaluations)
{
    int calibrated = session->task_count * SM_CALIBRATION_NUMBERS, metrics = evaluations->count - 1 - calibrated;
    double *row = sm_run_table_add_row(evaluations);
    *row++ = (double)step;
    memcpy(row, values, (size_t)metrics * sizeof *values);
    for (int i = 0; i < calibrated; i++) {
        row[metrics + i] = sm_calibration_number(&calibrations[i / SM_CALIBRATION_NUMBERS], i % SM_CALIBRATION_NUMBERS);
    }
}
