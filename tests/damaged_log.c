#define _XOPEN_SOURCE 700
#include "damaged_log.h"

#include "cli/show_view.h"
#include "train/run_log_columns.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/train/run_log.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 40, FIRST_STEPS = 30, STEPS_IN_FILE = FIRST_STEPS + 1, EVALUATED_EVERY = 10 };

static const sm_session *session;

void damaged_log_use(const sm_session *of)
{
    session = of;
}

/* NAME of "NAME.h5" or "NAME.journal", with another end. Freed with sm_free(). */
static char *with_end(const char *path, const char *end)
{
    return sm_format("%.*s%s", (int)(strrchr(path, '.') - path), path, end);
}

/* What is said of damage, once a place, is of no use here. \return what ends the silence */
static int be_silent(void)
{
    int kept = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
    return kept;
}

static void speak(int kept)
{
    dup2(kept, STDERR_FILENO);
    close(kept);
}

/* ---- making ---- */

static double loss_of(int64_t step)
{
    return 1000 - 0.5 * (double)step;
}

static void describe_step(int64_t step, double tasks[TINY_TASKS], sm_step_record *record)
{
    for (int i = 0; i < TINY_TASKS; i++) {
        tasks[i] = loss_of(step) / (i + 2);
    }
    *record = (sm_step_record){.step = step,
                               .epoch = 1,
                               .applied = 1,
                               .seconds = (double)step,
                               .loss = loss_of(step),
                               .task_loss = tasks,
                               .weight = tasks,
                               .log_variance = tasks,
                               .sigma = tasks};
}

static sm_status log_step(sm_run_log *log, int64_t step)
{
    sm_status status = SM_OK;
    double tasks[TINY_TASKS], values[TINY_VALUES] = {0};
    const sm_calibration calibrations[TINY_TASKS] = {0};
    sm_step_record record;
    describe_step(step, tasks, &record);
    SM_TRY(sm_run_log_step(log, &record));
    SM_TRY(step % EVALUATED_EVERY == 0 ? sm_run_log_evaluation(log, step, values, calibrations) : SM_OK);
done:
    return status;
}

/* Keeps what a kill at this moment would leave. \return 1 if a journal is there */
static int keep_left(const char *path, const char *journal, char *const left[2])
{
    return sm_file_exists(journal) && sm_file_copy(path, left[0]) == SM_OK && sm_file_copy(journal, left[1]) == SM_OK;
}

/* The second start puts its first row into the file, and the others into the journal, unless so much time goes by that the file is due
 * again. \return 1 if there is a journal, as on all machines but one that stands still */
static int leave_journal(const char *path, const char *journal, char *const left[2])
{
    sm_run_log_kept kept;
    sm_run_log *log = NULL;
    SM_TEST_OK(sm_run_log_open(path, session, "", "val", 0, &kept, &log));
    for (int64_t step = 1; step <= STEPS; step++) {
        SM_TEST_OK(log_step(log, step));
        if (step == FIRST_STEPS) {
            SM_TEST_OK(sm_run_log_close(log));
            SM_TEST_OK(sm_run_log_open(path, session, "", "val", step, &kept, &log));
        }
    }
    sm_run_log_sync(log);
    int has = keep_left(path, journal, left);
    SM_TEST_OK(sm_run_log_close(log));
    return has;
}

void damaged_log_make(const char *path)
{
    enum { TRIES = 20 };
    char *log = with_end(path, ".h5"), *journal = with_end(path, ".journal");
    char *left[] = {sm_format("%s.left", log), sm_format("%s.left", journal)};
    int has = 0;
    for (int i = 0; i < TRIES && !has; i++) {
        has = leave_journal(log, journal, left);
    }
    CU_ASSERT_FATAL(has);
    SM_TEST_OK(sm_file_rename(left[0], log));
    SM_TEST_OK(sm_file_rename(left[1], journal));
    sm_free(left[0]);
    sm_free(left[1]);
    sm_free(log);
    sm_free(journal);
}

static sm_status write_texts(sm_h5 *file)
{
    sm_status status = SM_OK;
    char *config = sm_config_text(session->config);
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-run"));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", 1));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "config", config));
    for (int i = 0; i < session->task_count; i++) {
        char *group = sm_format("/tasks/%s", session->tasks[i]->name);
        const char *const texts[][2] = {
            {"kind", session->tasks[i]->kind->name}, {"loss", session->tasks[i]->loss}, {"unit", "m"}};
        for (size_t t = 0; t < sizeof texts / sizeof *texts && status == SM_OK; t++) {
            status = sm_h5_write_attribute_text(file, group, texts[t][0], texts[t][1]);
        }
        status = status == SM_OK ? sm_h5_write_attribute_int64(file, group, "dimensions", 1) : status;
        sm_free(group);
        SM_TRY(status);
    }
done:
    sm_free(config);
    return status;
}

void damaged_log_make_old(const char *path)
{
    sm_run_table tables[SM_RUN_TABLES] = {0};
    sm_h5 *file = NULL;
    double task_values[TINY_TASKS], values[TINY_VALUES] = {0};
    const sm_calibration calibrations[TINY_TASKS] = {0};
    sm_run_log_name_columns(session, "val", tables);
    for (int64_t step = 1; step <= STEPS; step++) {
        sm_step_record record;
        describe_step(step, task_values, &record);
        sm_run_log_add_step(session, &record, &tables[SM_RUN_STEPS]);
    }
    sm_run_log_add_evaluation(session, STEPS, values, calibrations, &tables[SM_RUN_EVALUATIONS]);
    SM_TEST_OK(sm_h5_create(path, SM_H5_EARLIEST, &file));
    for (int t = 0, added; t < SM_RUN_TABLES; t++) {
        SM_TEST_OK(sm_run_table_create(file, &tables[t]));
        SM_TEST_OK(sm_run_table_append(file, &tables[t], &added));
        sm_run_table_clear(&tables[t]);
    }
    SM_TEST_OK(write_texts(file));
    SM_TEST_OK(sm_h5_close(file));
}

/* ---- going on ---- */

/* Rows of steps that rise up to the new one; where no row may be lost or wrong, all of them with their loss. */
static sm_status check_rows(const char *path, int has_sound_file)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    sm_h5_info info = {0}, losses = {0};
    int64_t steps[STEPS + 1] = {0};
    double loss[STEPS + 1] = {0};
    SM_TRY(sm_h5_open(path, &file));
    SM_TRY(sm_h5_query(file, "/steps/step", &info));
    SM_TRY(sm_h5_query(file, "/steps/loss", &losses));
    size_t rows = info.count, least = has_sound_file ? STEPS_IN_FILE + 1 : 1;
    CU_ASSERT(rows >= least && rows <= STEPS + 1 && losses.count == rows);
    if (rows < 1 || rows > STEPS + 1 || losses.count != rows) {
        goto done;
    }
    SM_TRY(sm_h5_read_rows(file, "/steps/step", SM_H5_INT64, 0, rows, 1, steps));
    SM_TRY(sm_h5_read_rows(file, "/steps/loss", SM_H5_DOUBLE, 0, rows, 1, loss));
    CU_ASSERT(steps[rows - 1] == STEPS + 1 && loss[rows - 1] == loss_of(STEPS + 1));
    for (size_t i = 0; i < rows; i++) {
        CU_ASSERT(i == 0 || steps[i] > steps[i - 1]);
        CU_ASSERT(!has_sound_file || loss[i] == loss_of(steps[i]));
    }
done:
    sm_h5_close(file);
    return status;
}

static sm_status go_on(const char *path)
{
    sm_status status = SM_OK;
    sm_run_log_kept kept;
    sm_run_log *log = NULL;
    SM_TRY(sm_run_log_check(path, session));
    SM_TRY(sm_run_log_open(path, session, "", "val", STEPS, &kept, &log));
    SM_TRY(log_step(log, STEPS + 1));
done:;
    sm_status closed = sm_run_log_close(log);
    return status != SM_OK ? status : closed;
}

sm_status damaged_log_resume(const char *path, uint32_t *crc)
{
    sm_status status = SM_OK;
    char *folder = sm_format("%s/going-on", sm_test_folder()), *log = sm_format("%s/run.h5", folder);
    char *copies[][2] = {{with_end(path, ".h5"), sm_strdup(log)},
                         {with_end(path, ".journal"), sm_format("%s/run.journal", folder)}};
    int kept = be_silent(), is_journal = strstr(path, ".journal") != NULL;
    *crc = 0;
    SM_TRY(sm_remove_tree(folder));
    SM_TRY(sm_make_folders(folder));
    for (int i = 0; i < 2; i++) {
        SM_TRY(sm_file_exists(copies[i][0]) ? sm_file_copy(copies[i][0], copies[i][1]) : SM_OK);
    }
    SM_TRY(go_on(log));
    SM_TRY(check_rows(log, is_journal));
done:
    speak(kept);
    for (int i = 0; i < 2; i++) {
        sm_free(copies[i][0]);
        sm_free(copies[i][1]);
    }
    sm_free(log);
    sm_free(folder);
    return status;
}

/* ---- showing ---- */

static uint32_t add_text(uint32_t crc, const char *text)
{
    return sm_crc32c(crc, text, strlen(text) + 1);
}

sm_status damaged_log_show(const char *path, uint32_t *crc)
{
    show_view view;
    char *log = with_end(path, ".h5");
    int kept = be_silent();
    sm_status status = show_view_read(log, &view);
    speak(kept);
    *crc = 0;
    for (size_t i = 0; status == SM_OK && i < view.task_count; i++) {
        *crc = add_text(*crc, view.tasks[i]);
        *crc = view.rows > 0 ? add_text(add_text(*crc, view.curves[i].unit), view.curves[i].loss_name) : *crc;
    }
    for (size_t i = 0; status == SM_OK && i < view.split_count; i++) {
        *crc = add_text(*crc, view.splits[i]);
    }
    *crc = status == SM_OK ? add_text(*crc, view.config) : *crc;
    CU_ASSERT(view.rows <= STEPS);
    show_view_clear(&view);
    sm_free(log);
    return status;
}
