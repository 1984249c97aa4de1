/* Rows wait in memory until they get into run.h5, in a replacement of the whole file. That costs more the longer the run is: in between
 * they go to a journal beside it. */
#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/base/version.h>
#include <sigmatic/io/file.h>
#include <sigmatic/tensor/gemm.h>
#include <sigmatic/train/run_log.h>

#include "train/run_journal.h"
#include "train/run_log_columns.h"
#include "train/run_log_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of the time of the run, replacements take at most a hundredth. */
static const double FLUSH_SECONDS = 2, PAUSE_PER_REPLACEMENT = 100;
enum { MOST_WAITING = 1 << 16, MANY_WAITING = MOST_WAITING / 2 };

struct sm_run_log {
    const sm_session *session;
    char *path, *journal_path, *arithmetic;
    sm_run_table tables[SM_RUN_TABLES];
    sm_run_log_file *file;
    sm_run_journal *journal;             /* NULL: none yet */
    int is_failing;                      /* since the last replacement something could not be written */
    double next_flush, next_replacement; /* when they are due */
};

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

static sm_status write_attributes(sm_h5 *file, const void *user)
{
    sm_status status = SM_OK;
    const sm_run_log *log = user;
    const sm_session *session = log->session;
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
    SM_TRY(sm_h5_write_attribute_text(file, "/", "arithmetic", log->arithmetic));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "host", host));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "samples", session->data->input.kind->samples));
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

int sm_run_log_is_empty(const char *path)
{
    sm_h5 *file = NULL;
    sm_h5_info info;
    static const char steps[] = "/steps/step";
    int is_empty = sm_h5_open(path, &file) == SM_OK && sm_h5_has_dataset(file, steps) &&
                   sm_h5_query(file, steps, &info) == SM_OK && info.count == 0;
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

/* ---- writing ---- */

static void release(sm_run_log *log)
{
    sm_run_log_file_free(log->file);
    sm_run_journal_close(log->journal);
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        sm_run_table_clear(&log->tables[t]);
    }
    sm_free(log->path);
    sm_free(log->journal_path);
    sm_free(log->arithmetic);
    sm_free(log);
}

sm_status sm_run_log_open(const char *path, const sm_session *session, const char *arithmetic, const char *split,
                          int64_t resume_step, sm_run_log_kept *kept, sm_run_log **out)
{
    sm_status status = SM_OK;
    sm_run_log *log = sm_alloc_zeroed(sizeof *log);
    log->session = session;
    log->path = sm_strdup(path);
    log->arithmetic = sm_strdup(arithmetic);
    log->journal_path = sm_run_log_file_journal(path);
    sm_run_log_name_columns(session, split, log->tables);
    SM_TRY(sm_run_log_file_open(path, log->journal_path, log->tables, resume_step, write_attributes, log, kept,
                                &log->file));
    *out = log;
    log = NULL;
done:
    if (log) {
        release(log);
    }
    return status;
}

/* The journal of rows that have all reached the file, or of an earlier start. */
static void drop_journal(sm_run_log *log)
{
    if (!log->journal) {
        sm_remove_tree(log->journal_path);
    } else if (sm_run_journal_empty(log->journal) != SM_OK) { /* what stands there twice is known by its step */
        sm_log_warning("%s", sm_error_message());
    }
}

static sm_status replace(sm_run_log *log)
{
    double begin = sm_seconds();
    sm_status status = sm_run_log_file_replace(log->file);
    double end = sm_seconds(), pause = PAUSE_PER_REPLACEMENT * (end - begin);
    log->next_replacement = end + (pause > FLUSH_SECONDS ? pause : FLUSH_SECONDS);
    if (status == SM_OK) {
        drop_journal(log);
        if (log->is_failing) {
            sm_log_info("the log can be written again, no row is lost");
        }
        log->is_failing = 0;
    }
    return status;
}

/* It is made when it is first needed: a short run never has one, nor has one whose file is not there. */
static sm_status write_journal(sm_run_log *log, int to_disk)
{
    sm_status status = SM_OK;
    if (!log->journal && sm_run_log_file_is_ours(log->file)) {
        SM_TRY(sm_run_journal_create(log->journal_path, sm_run_log_file_start(log->file), log->tables, &log->journal));
    }
    if (!log->journal) {
        return SM_ERR_WRITE;
    }
    SM_TRY(sm_run_journal_write(log->journal, log->tables));
    SM_TRY(to_disk ? sm_run_journal_sync(log->journal) : SM_OK);
done:
    return status;
}

/* A log that cannot be written stops no run: its rows wait, and it is tried again. Said once. */
static void tell_failure(sm_run_log *log)
{
    if (!log->is_failing) {
        sm_log_warning("the log is behind, its rows wait until it can be written: %s", sm_error_message());
    }
    log->is_failing = 1;
}

/* \param to_disk  what the rows are written to reaches the disk
 * \return SM_OK if they are in the file or in the journal */
static sm_status flush(sm_run_log *log, int to_disk)
{
    double now = sm_seconds();
    int replaces = now >= log->next_replacement || log->tables[SM_RUN_STEPS].waiting >= MANY_WAITING;
    sm_status status = replaces ? replace(log) : write_journal(log, to_disk);
    log->next_flush = now + FLUSH_SECONDS;
    if (status != SM_OK) {
        tell_failure(log);
        status = replaces ? write_journal(log, to_disk) : to_disk ? replace(log) : status;
    }
    return status;
}

sm_status sm_run_log_begin(sm_run_log *log)
{
    return sm_file_exists(log->path) ? SM_OK : replace(log);
}

void sm_run_log_sync(sm_run_log *log)
{
    flush(log, 1);
}

static sm_status end_row(sm_run_log *log, int is_due)
{
    if (is_due || sm_seconds() >= log->next_flush) {
        flush(log, 0);
    }
    int waiting = log->tables[SM_RUN_STEPS].waiting;
    sm_status status = waiting < MOST_WAITING ? SM_OK : replace(log);
    if (status != SM_OK) {
        char *why = sm_strdup(sm_error_message());
        write_journal(log, 1); /* where there is room for these rows, but not for the whole file */
        sm_fail(status, "the log is given up, %d rows of it wait that cannot be written: %s", waiting, why);
        sm_free(why);
    }
    return status;
}

sm_status sm_run_log_step(sm_run_log *log, const sm_step_record *record)
{
    sm_run_log_add_step(log->session, record, &log->tables[SM_RUN_STEPS]);
    return end_row(log, 0);
}

sm_status sm_run_log_evaluation(sm_run_log *log, int64_t step, const double *values, const sm_calibration *calibrations)
{
    sm_run_table *t = &log->tables[SM_RUN_EVALUATIONS];
    if (t->count == 0) {
        return SM_OK;
    }
    sm_run_log_add_evaluation(log->session, step, values, calibrations, t);
    return end_row(log, 1);
}

/* Only a file that is complete needs no journal. */
static sm_status finish(sm_run_log *log)
{
    sm_status status = SM_OK;
    if (!sm_run_log_file_is_ours(log->file) && log->tables[SM_RUN_STEPS].waiting == 0) {
        return SM_OK; /* nothing has been made */
    }
    for (int tries = 0; tries < 2 && (tries == 0 || status != SM_OK); tries++) {
        if (tries > 0) {
            tell_failure(log);
        }
        status = replace(log);
    }
    if (status == SM_OK) {
        sm_remove_tree(log->journal_path);
    } else {
        char *why = sm_strdup(sm_error_message());
        write_journal(log, 1);
        sm_fail(status, "%s", why);
        sm_free(why);
    }
    return status;
}

sm_status sm_run_log_close(sm_run_log *log)
{
    if (!log) {
        return SM_OK;
    }
    sm_status status = finish(log);
    release(log);
    return status;
}
