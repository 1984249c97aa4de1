#define _POSIX_C_SOURCE 200809L
#include "train/saver.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/thread.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/disk_space.h>
#include <sigmatic/io/file.h>

#include "train/checkpoint_private.h"

#include <stdatomic.h>
#include <string.h>

enum { PATHS_MOST = 2 /* best.h5, then that of the step */ };

/* What the thread works on; the saver leaves it alone until the thread is joined. */
typedef struct writing {
    const void *image;
    size_t bytes;
    char *paths[PATHS_MOST]; /* NULL: not this one */
    char **outdated;
    size_t outdated_count;
    double begin_seconds, took_seconds;
    sm_status status;
    char *message; /* of a failure */
    atomic_int is_done;
} writing;

struct sm_saver {
    const sm_trainer *trainer;
    sm_run_folder *folder;
    const char *fingerprint;
    int64_t saved_step;
    int is_due;
    double last_seconds; /* clock when the last one was begun, or the run */
    double took_seconds;
    sm_saver_cost cost;
    sm_h5_memory memory; /* of one after the other: not of what another part of the run has used in between */
    sm_h5 *file;         /* NULL: nothing is being written */
    writing job;
    pthread_t thread;
    int has_thread;
    sm_status failed; /* the first failure, with its message */
    char *failure;
};

sm_saver *sm_saver_new(const sm_trainer *trainer, sm_run_folder *folder, const char *fingerprint, int64_t saved_step)
{
    sm_saver *saver = sm_alloc_zeroed(sizeof *saver);
    saver->trainer = trainer;
    saver->folder = folder;
    saver->fingerprint = fingerprint;
    saver->saved_step = saved_step;
    saver->last_seconds = sm_seconds();
    return saver;
}

void sm_saver_free(sm_saver *saver)
{
    if (saver) {
        sm_saver_finish(saver);
        sm_h5_memory_free(&saver->memory);
        sm_free(saver->failure);
        sm_free(saver);
    }
}

int64_t sm_saver_step(const sm_saver *saver)
{
    return saver->saved_step;
}

int sm_saver_is_writing(const sm_saver *saver)
{
    return saver->file != NULL;
}

double sm_saver_seconds(const sm_saver *saver)
{
    return saver->took_seconds;
}

sm_saver_cost sm_saver_cost_of(const sm_saver *saver)
{
    return saver->cost;
}

void sm_saver_release_memory(sm_saver *saver)
{
    sm_h5_memory_free(&saver->memory);
}

int sm_saver_is_due(sm_saver *saver)
{
    const sm_settings *settings = &saver->trainer->session->settings;
    double seconds = 60 * settings->checkpoint_minutes;
    if (settings->checkpoint_interval > 0) {
        saver->is_due = saver->is_due || saver->trainer->step % settings->checkpoint_interval == 0;
    } else if (seconds > 0) {
        saver->is_due = saver->is_due || sm_seconds() - saver->last_seconds >= seconds;
    }
    return saver->is_due && saver->trainer->skipped_in_a_row == 0;
}

/* ---- the thread ---- */

static sm_status write_and_remove(const writing *job)
{
    sm_status status = SM_OK;
    for (int i = 0; i < PATHS_MOST; i++) {
        SM_TRY(job->paths[i] ? sm_file_write_atomic(job->paths[i], job->image, job->bytes) : SM_OK);
    }
    for (size_t i = 0; i < job->outdated_count; i++) {
        SM_TRY(sm_remove_tree(job->outdated[i]));
    }
done:
    return status;
}

static void *work(void *user)
{
    writing *job = user;
    job->status = write_and_remove(job);
    job->message = job->status == SM_OK ? NULL : sm_strdup(sm_error_message());
    job->took_seconds = sm_seconds() - job->begin_seconds;
    atomic_store(&job->is_done, 1);
    return NULL;
}

/* Where no thread is to be had, this one does the work. */
static void start(sm_saver *saver)
{
    saver->has_thread = sm_thread_start(&saver->thread, work, &saver->job) == 0;
    if (!saver->has_thread) {
        work(&saver->job);
    }
}

/* ---- what is written ---- */

static sm_status fail(sm_saver *saver, sm_status status, const char *message)
{
    if (status != SM_OK && saver->failed == SM_OK) {
        saver->failed = status;
        saver->failure = sm_strdup(message);
    }
    return saver->failed == SM_OK ? SM_OK : sm_fail(saver->failed, "%s", saver->failure);
}

static void clear_job(sm_saver *saver)
{
    for (int i = 0; i < PATHS_MOST; i++) {
        sm_free(saver->job.paths[i]);
    }
    sm_free(saver->job.outdated);
    sm_free(saver->job.message);
    memset(&saver->job, 0, sizeof saver->job);
}

sm_status sm_saver_finish(sm_saver *saver)
{
    if (saver->file) {
        if (saver->has_thread) {
            pthread_join(saver->thread, NULL);
        }
        sm_h5_close(saver->file);
        saver->file = NULL;
        saver->took_seconds = saver->job.took_seconds;
        if (saver->job.status == SM_OK) {
            sm_run_folder_note_whole(saver->folder, saver->saved_step);
        }
        fail(saver, saver->job.status, saver->job.message);
        clear_job(saver);
    }
    return fail(saver, SM_OK, NULL);
}

sm_status sm_saver_look(sm_saver *saver)
{
    return saver->file && !atomic_load(&saver->job.is_done) ? SM_OK : sm_saver_finish(saver);
}

/* What is needed, while the old ones are still there. */
static sm_status check_room(const writing *job)
{
    uint64_t copies = (job->paths[0] != NULL) + (uint64_t)1;
    return sm_disk_check_space(job->paths[1], copies * job->bytes);
}

static sm_status prepare(sm_saver *saver, const sm_trainer_position *position, double best_metric, int is_best)
{
    sm_status status = SM_OK;
    writing *job = &saver->job;
    const sm_settings *settings = &saver->trainer->session->settings;
    job->begin_seconds = sm_seconds();
    job->paths[0] = is_best ? sm_run_folder_file(saver->folder, "checkpoints/best.h5") : NULL;
    job->paths[1] = sm_run_folder_checkpoint(saver->folder, position->step);
    SM_TRY(sm_checkpoint_build(saver->trainer, position, job->paths[1], saver->fingerprint, best_metric, &saver->memory,
                               &saver->file));
    SM_TRY(sm_h5_image(saver->file, &job->image, &job->bytes));
    SM_TRY(sm_run_folder_remove_unfinished(saver->folder));
    SM_TRY(check_room(job));
    if (saver->trainer->skipped_in_a_row == 0) {
        SM_TRY(sm_run_folder_outdated(saver->folder, position->step, settings->keep_last, settings->keep_every,
                                      &job->outdated, &job->outdated_count));
    }
done:
    return status;
}

/* Numbers gone wrong are looked for where they still were right. */
static void keep_failure(sm_saver *saver, int64_t step, sm_status status)
{
    char *why = sm_strdup(sm_error_message()), *last = NULL;
    if (status == SM_ERR_NUMERIC) {
        last = saver->saved_step >= 0
                   ? sm_format("that of step %lld is the last good one", (long long)saver->saved_step)
                   : sm_strdup("there is no earlier one");
        sm_fail(status, "step %lld: %s; %s", (long long)step, why, last);
    }
    fail(saver, status, sm_error_message());
    sm_free(last);
    sm_free(why);
}

static void note_cost(sm_saver *saver)
{
    saver->cost.count++;
    saver->cost.bytes = saver->job.bytes;
    saver->cost.seconds += sm_seconds() - saver->job.begin_seconds;
}

sm_status sm_saver_begin(sm_saver *saver, const sm_trainer_position *position, double best_metric, int is_best)
{
    sm_status status = sm_saver_finish(saver);
    if (status != SM_OK) {
        return status;
    }
    sm_comm_set_phase("checkpoint", position->step, -1);
    status = prepare(saver, position, best_metric, is_best);
    if (status == SM_OK) {
        saver->saved_step = position->step;
        saver->is_due = 0;
        saver->last_seconds = saver->job.begin_seconds;
        note_cost(saver);
        start(saver);
        return SM_OK;
    }
    keep_failure(saver, position->step, status);
    sm_h5_close(saver->file);
    saver->file = NULL;
    clear_job(saver);
    return fail(saver, SM_OK, NULL);
}
