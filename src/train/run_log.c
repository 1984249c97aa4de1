/* Columns: each dataset has a list of rows in memory that is appended and flushed every few seconds. */
#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/base/version.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/tensor/gemm.h>
#include <sigmatic/train/run_log.h>

#include "train/run_log_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double FLUSH_SECONDS = 2;

struct sm_run_log {
    sm_h5 *file;
    sm_file *disk; /* the same file, for syncing; NULL: it does not stand in its place yet */
    char *path, *partial;
    int is_aside_due; /* what stands at `path` cannot be read */
    const sm_session *session;
    sm_run_table steps;       /* /steps, /timing, /tasks, /weighting */
    sm_run_table evaluations; /* /evaluations/<split>; empty without one */
    double flushed_seconds;
};

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

static void name_state_columns(sm_run_log *log)
{
    const sm_weighting *weighting = log->session->weighting;
    for (int i = 0; i < weighting->state_count; i++) {
        const sm_weighting_state *state = &weighting->states[i];
        for (int task = 0; is_logged(weighting, state) && task < weighting->count; task++) {
            sm_run_column *c = sm_run_table_add(&log->steps, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/weighting/%s/%s", state->name, weighting->tasks[task].name);
        }
    }
}

/* Measured of each task, and of each pair. */
static const char *const diagnosis_columns[] = {"gradient_norm", "gradient_share"};
enum { DIAGNOSIS_COLUMNS = sizeof diagnosis_columns / sizeof *diagnosis_columns };

static void name_diagnosis_columns(sm_run_log *log)
{
    const sm_session *session = log->session;
    int tasks = session->settings.diagnose_interval > 0 ? session->task_count : 0;
    for (int task = 0; task < tasks; task++) {
        for (int i = 0; i < DIAGNOSIS_COLUMNS; i++) {
            sm_run_column *c = sm_run_table_add(&log->steps, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/tasks/%s/%s", session->tasks[task]->name, diagnosis_columns[i]);
        }
        for (int other = task + 1; other < tasks; other++) {
            sm_run_column *c = sm_run_table_add(&log->steps, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/gradient_cosines/%s/%s", session->tasks[task]->name,
                     session->tasks[other]->name);
        }
    }
}

/* \param columns  the last ones of the table */
static void write_diagnosis(const sm_session *session, const sm_step_record *r, sm_run_column *columns, int row)
{
    const double *const values[DIAGNOSIS_COLUMNS] = {r->task_gradient_norm, r->gradient_share};
    int tasks = session->settings.diagnose_interval > 0 ? session->task_count : 0;
    for (int task = 0; task < tasks; task++) {
        for (int i = 0; i < DIAGNOSIS_COLUMNS; i++) {
            (columns++)->rows[row] = values[i][task];
        }
        for (int other = task + 1; other < tasks; other++) {
            (columns++)->rows[row] = r->gradient_cosine[task * tasks + other];
        }
    }
}

/* \return the first column behind those of the states */
static sm_run_column *write_states(const sm_weighting *weighting, sm_run_column *columns, int row)
{
    for (int i = 0; i < weighting->state_count; i++) {
        const sm_weighting_state *state = &weighting->states[i];
        for (int task = 0; is_logged(weighting, state) && task < weighting->count; task++) {
            (columns++)->rows[row] = state->values[task];
        }
    }
    return columns;
}

static void name_calibration_columns(sm_run_log *log, const char *split)
{
    for (int task = 0; task < log->session->task_count; task++) {
        for (int i = 0; i < SM_CALIBRATION_NUMBERS; i++) {
            sm_run_column *c = sm_run_table_add(&log->evaluations, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/calibration/%s/%s/%s", split, log->session->tasks[task]->name,
                     sm_calibration_names[i]);
        }
    }
}

static void name_columns(sm_run_log *log, const char *split)
{
    const sm_session *session = log->session;
    for (int i = 0; i < STEP_COLUMNS; i++) {
        sm_run_column *c = sm_run_table_add(&log->steps, step_columns[i].type);
        snprintf(c->path, sizeof c->path, "%s", step_columns[i].path);
    }
    for (int task = 0; task < session->task_count; task++) {
        for (int i = 0; i < TASK_COLUMNS; i++) {
            sm_run_column *c = sm_run_table_add(&log->steps, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/tasks/%s/%s", session->tasks[task]->name, task_columns[i]);
        }
    }
    name_state_columns(log);
    name_diagnosis_columns(log);
    if (!split) {
        return;
    }
    sm_run_column *step = sm_run_table_add(&log->evaluations, SM_H5_INT64);
    snprintf(step->path, sizeof step->path, "/evaluations/%s/step", split);
    for (int task = 0; task < session->task_count; task++) {
        const sm_metric *m;
        for (int i = 0; (m = sm_task_kind_metric(session->tasks[task]->kind, i)); i++) {
            sm_run_column *c = sm_run_table_add(&log->evaluations, SM_H5_DOUBLE);
            snprintf(c->path, sizeof c->path, "/evaluations/%s/%s/%s", split, session->tasks[task]->name, m->name);
        }
    }
    name_calibration_columns(log, split);
}

static sm_status append(sm_h5 *file, const sm_run_column *c, size_t count)
{
    if (c->type == SM_H5_DOUBLE) {
        return sm_h5_append_rows(file, c->path, SM_H5_DOUBLE, count, c->rows);
    }
    int64_t whole[SM_RUN_WAITING_ROWS];
    for (size_t i = 0; i < count; i++) {
        whole[i] = (int64_t)c->rows[i];
    }
    return sm_h5_append_rows(file, c->path, SM_H5_INT64, count, whole);
}

static sm_status write_waiting(sm_run_log *log, sm_run_table *t)
{
    sm_status status = SM_OK;
    for (int i = 0; i < t->count && t->waiting > 0; i++) {
        SM_TRY(append(log->file, &t->columns[i], (size_t)t->waiting));
    }
    t->waiting = 0;
done:
    return status;
}

/* What is said of all rows of a log, where it stands in the file and in the config. */
typedef struct description {
    char group[160], key[160];
    const char *attribute, *text;
} description;

typedef sm_status (*description_function)(sm_h5 *file, const description *d);

static sm_status write_description(sm_h5 *file, const description *d)
{
    return sm_h5_write_attribute_text(file, d->group, d->attribute, d->text);
}

/* Rows of another description cannot stand in the same log. What cannot be read is not compared. */
static sm_status compare_description(sm_h5 *file, const description *d)
{
    sm_status status = SM_OK;
    char *found = NULL;
    if (sm_h5_has_group(file, d->group) && sm_h5_has_attribute(file, d->group, d->attribute) &&
        sm_h5_read_attribute_text(file, d->group, d->attribute, &found) == SM_OK && strcmp(found, d->text) != 0) {
        status =
            sm_fail(SM_ERR_INPUT,
                    "%s: its steps were made with %s '%s', the config says '%s', and one log cannot hold both: keep "
                    "'%s', or begin a run in another folder with the checkpoint as model.pretrained",
                    sm_h5_path(file), d->key, found, d->text, found);
    }
    sm_free(found);
    return status;
}

static sm_status each_description(description_function function, sm_h5 *file, const sm_session *session)
{
    sm_status status = SM_OK;
    description d = {"/", "weighting.method", "weighting", session->weighting->kind->name};
    SM_TRY(function(file, &d));
    for (int i = 0; i < session->task_count; i++) {
        const sm_task *task = session->tasks[i];
        const sm_likelihood *likelihood =
            session->weighting->members[i].task.likelihood; /* NULL: nothing is learned of it */
        const char *const texts[][2] = {
            {"kind", task->kind->name}, {"loss", task->loss}, {"likelihood", likelihood ? likelihood->name : NULL}};
        snprintf(d.group, sizeof d.group, "/tasks/%s", task->name);
        for (size_t t = 0; t < sizeof texts / sizeof *texts && texts[t][1]; t++) {
            d.attribute = texts[t][0];
            d.text = texts[t][1];
            snprintf(d.key, sizeof d.key, "task.%s.%s", task->name, d.attribute);
            SM_TRY(function(file, &d));
        }
    }
done:
    return status;
}

static sm_status write_attributes(sm_h5 *file, const sm_session *session, const char *arithmetic)
{
    sm_status status = SM_OK;
    char host[256] = "";
    char *config = sm_config_text(session->config);
    gethostname(host, sizeof host - 1);
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-run"));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", 1));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "config", config));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "version", SM_VERSION));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "mpi", sm_comm_library_version()));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "hdf5", sm_h5_library_version()));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "blis", sm_blis_version()));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "arithmetic", arithmetic));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "host", host));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "world_size", sm_comm_size(session->comm)));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "threads", session->settings.threads));
    SM_TRY(each_description(write_description, file, session));
    for (int i = 0; i < session->task_count; i++) {
        const sm_task *task = session->tasks[i];
        const sm_weighted_member *member = &session->weighting->members[i];
        const sm_weighted_task *weighted = &member->task;
        char group[160];
        snprintf(group, sizeof group, "/tasks/%s", task->name);
        if (weighted->likelihood && *weighted->likelihood->meaning) {
            SM_TRY(sm_h5_write_attribute_text(file, group, "meaning", weighted->likelihood->meaning));
            SM_TRY(sm_h5_write_attribute_text(file, group, "sigma_unit",
                                              sm_likelihood_unit(weighted->likelihood, sm_task_unit(task))));
        }
        SM_TRY(sm_h5_write_attribute_text(file, group, "unit", sm_task_unit(task)));
        SM_TRY(sm_h5_write_attribute_int64(file, group, "dimensions", (int64_t)weighted->shape.dimensions));
        if (weighted->shape.delta > 0) {
            SM_TRY(sm_h5_write_attribute_double(file, group, "delta", weighted->shape.delta));
        }
        if (session->weighting->sums) {
            const char *name = session->weighting->tasks[member->group].name;
            SM_TRY(sm_h5_write_attribute_text(file, group, "group", name));
            SM_TRY(sm_h5_write_attribute_double(file, group, "group_weight", member->weight));
        }
    }
done:
    sm_free(config);
    return status;
}

/* A log without rows at `path`. */
static sm_status create(sm_run_log *log, const char *path, const char *arithmetic)
{
    sm_status status = SM_OK;
    SM_TRY(sm_h5_create(path, SM_H5_EARLIEST, &log->file));
    SM_TRY(sm_run_table_create(log->file, &log->steps));
    SM_TRY(sm_run_table_create(log->file, &log->evaluations));
    SM_TRY(write_attributes(log->file, log->session, arithmetic));
done:
    return status;
}

static sm_status copy_old(sm_run_log *log, int64_t resume_step, sm_run_log_kept *kept)
{
    sm_status status = SM_OK;
    sm_h5 *old = NULL;
    SM_TRY(sm_h5_open(log->path, &old));
    SM_TRY(sm_run_log_copy(old, log->file, &log->steps, &log->evaluations, resume_step, kept));
done:
    sm_h5_close(old);
    return status;
}

/* Gives a file that cannot be read another name, beside those that earlier starts put aside. */
static sm_status set_aside(const char *path)
{
    char *aside = NULL;
    int number = 0;
    do {
        sm_free(aside);
        aside = sm_format("%s.damaged-%d", path, ++number);
    } while (sm_file_exists(aside));
    sm_status status = sm_file_rename(path, aside);
    if (status == SM_OK) {
        sm_log_warning("the log of earlier steps is now %s, a new one begins", aside);
    }
    sm_free(aside);
    return status;
}

/* A log that is damaged stops nobody: the checkpoint knows all that is needed to go on. */
static sm_status continue_old(sm_run_log *log, const char *arithmetic, int64_t resume_step, sm_run_log_kept *kept)
{
    sm_status status = copy_old(log, resume_step, kept);
    if (status == SM_OK || status == SM_ERR_WRITE) {
        return status;
    }
    sm_log_warning("the log of earlier steps cannot be read: %s", sm_error_message());
    *kept = (sm_run_log_kept){0};
    log->is_aside_due = 1;
    SM_TRY(sm_h5_close(log->file));
    log->file = NULL;
    SM_TRY(create(log, log->partial, arithmetic));
done:
    return status;
}

/* From here on the new rows are what stands at `path`. */
static sm_status put_in_place(sm_run_log *log)
{
    sm_status status = SM_OK;
    sm_file *disk = NULL;
    SM_TRY(sm_h5_flush(log->file));
    SM_TRY(sm_file_open_write(log->partial, &disk));
    SM_TRY(sm_file_sync(disk));
    if (log->is_aside_due) {
        SM_TRY(set_aside(log->path));
        log->is_aside_due = 0;
    }
    SM_TRY(sm_file_rename(log->partial, log->path));
    log->disk = disk;
    disk = NULL;
done:
    sm_file_close(disk);
    return status;
}

sm_status sm_run_log_begin(sm_run_log *log)
{
    return sm_file_exists(log->path) ? SM_OK : put_in_place(log);
}

int sm_run_log_is_empty(const char *path)
{
    sm_h5 *file = NULL;
    sm_h5_info info;
    int is_empty = sm_h5_open(path, &file) == SM_OK && sm_h5_has_dataset(file, step_columns[0].path) &&
                   sm_h5_query(file, step_columns[0].path, &info) == SM_OK && info.count == 0;
    sm_h5_close(file);
    return is_empty;
}

sm_status sm_run_log_check(const char *path, const sm_session *session)
{
    sm_h5 *file = NULL;
    sm_status status = SM_OK;
    if (sm_file_exists(path) && sm_h5_open(path, &file) == SM_OK) {
        status = each_description(compare_description, file, session);
    }
    sm_h5_close(file);
    return status;
}

static sm_status release(sm_run_log *log)
{
    sm_status status = sm_h5_close(log->file);
    if (!log->disk) {
        sm_remove_tree(log->partial);
    }
    sm_file_close(log->disk);
    sm_free(log->path);
    sm_free(log->partial);
    sm_free(log->steps.columns);
    sm_free(log->evaluations.columns);
    sm_free(log);
    return status;
}

sm_status sm_run_log_open(const char *path, const sm_session *session, const char *arithmetic, const char *split,
                          int64_t resume_step, sm_run_log_kept *kept, sm_run_log **out)
{
    sm_status status = SM_OK;
    sm_run_log *log = sm_alloc_zeroed(sizeof *log);
    *kept = (sm_run_log_kept){0};
    log->path = sm_strdup(path);
    log->partial = sm_format("%s.partial", path);
    log->session = session;
    log->flushed_seconds = sm_seconds();
    name_columns(log, split);
    SM_TRY(create(log, log->partial, arithmetic));
    if (resume_step > 0 && sm_file_exists(path)) {
        SM_TRY(continue_old(log, arithmetic, resume_step, kept));
    }
    SM_TRY(sm_h5_flush(log->file));
    *out = log;
    log = NULL;
done:
    if (log) {
        release(log);
    }
    return status;
}

static sm_status flush(sm_run_log *log)
{
    sm_status status = SM_OK;
    log->flushed_seconds = sm_seconds();
    if (!log->disk) {
        SM_TRY(put_in_place(log));
    }
    SM_TRY(write_waiting(log, &log->steps));
    SM_TRY(write_waiting(log, &log->evaluations));
    SM_TRY(sm_h5_flush(log->file));
done:
    return status;
}

sm_status sm_run_log_sync(sm_run_log *log)
{
    sm_status status = flush(log);
    return status == SM_OK ? sm_file_sync(log->disk) : status;
}

static sm_status end_row(sm_run_log *log, sm_run_table *t)
{
    t->waiting++;
    int due = !log->disk || t->waiting == SM_RUN_WAITING_ROWS || sm_seconds() - log->flushed_seconds > FLUSH_SECONDS;
    return due ? flush(log) : SM_OK;
}

sm_status sm_run_log_step(sm_run_log *log, const sm_step_record *r)
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
    int row = log->steps.waiting;
    for (int i = 0; i < STEP_COLUMNS; i++) {
        log->steps.columns[i].rows[row] = values[i];
    }
    for (int task = 0; task < log->session->task_count; task++) {
        for (int i = 0; i < TASK_COLUMNS; i++) {
            log->steps.columns[STEP_COLUMNS + task * TASK_COLUMNS + i].rows[row] = task_values[i][task];
        }
    }
    sm_run_column *behind = write_states(
        log->session->weighting, log->steps.columns + STEP_COLUMNS + log->session->task_count * TASK_COLUMNS, row);
    write_diagnosis(log->session, r, behind, row);
    return end_row(log, &log->steps);
}

sm_status sm_run_log_evaluation(sm_run_log *log, int64_t step, const double *values, const sm_calibration *calibrations)
{
    sm_run_table *t = &log->evaluations;
    int calibrated = log->session->task_count * SM_CALIBRATION_NUMBERS, metrics_end = t->count - calibrated;
    if (t->count == 0) {
        return SM_OK;
    }
    t->columns[0].rows[t->waiting] = (double)step;
    for (int i = 1; i < metrics_end; i++) {
        t->columns[i].rows[t->waiting] = values[i - 1];
    }
    for (int i = 0; i < calibrated; i++) {
        t->columns[metrics_end + i].rows[t->waiting] =
            sm_calibration_number(&calibrations[i / SM_CALIBRATION_NUMBERS], i % SM_CALIBRATION_NUMBERS);
    }
    return end_row(log, t);
}

sm_status sm_run_log_close(sm_run_log *log)
{
    if (!log) {
        return SM_OK;
    }
    sm_status status = log->disk ? flush(log) : SM_OK; /* else nothing has been made */
    sm_status closed = release(log);
    return status != SM_OK ? status : closed;
}
