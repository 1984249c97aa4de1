#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/stop_signal.h>
#include <sigmatic/train/train.h>

#include "train/training.h"

#include <math.h>
#include <string.h>

/* Closes the log. \return `status` with its message, or why rows are missing of a run that is done: it is not while they are */
static sm_status close_log(sm_training *t, sm_status status)
{
    char *why = sm_strdup(status == SM_OK ? "" : sm_error_message());
    sm_status closed = sm_run_log_close(t->log);
    t->log = NULL;
    if (status == SM_OK) {
        status = closed;
    } else {
        if (closed != SM_OK) {
            sm_log_warning("the latest rows of the log could not be written: %s", sm_error_message());
        }
        sm_fail(status, "%s", why); /* a log that was written at the second try has left its message too */
    }
    sm_free(why);
    return status;
}

/* The last words in the folder (rank 0). */
static sm_status close_folder(sm_training *t, sm_status status)
{
    status = close_log(t, status);
    const char *word = status == SM_OK ? "done" : status == SM_PREEMPTED ? "pre-empted" : "failed";
    char *why = sm_strdup(status == SM_OK ? "" : sm_error_message());
    sm_status written = sm_run_folder_write_status(t->folder, word, why);
    if (status != SM_OK) {
        sm_fail(status, "%s", why); /* the message of what ended the run, not of closing files */
    }
    sm_free(why);
    return status != SM_OK ? status : written;
}

static void summarise(const sm_training *t)
{
    if (t->trainer->skipped > 0) {
        sm_log_warning("%lld of %lld %s skipped: non-finite losses or gradients", (long long)t->trainer->skipped,
                       (long long)t->trainer->step, sm_plural(t->trainer->step, "step was", "steps were"));
    }
    if (t->first_step < t->steps) {
        sm_progress_summary(t->progress);
        sm_progress_warn(t->progress);
    }
}

static sm_status write_trace(const sm_training *t)
{
    const sm_train_options *options = t->options;
    sm_status status = sm_trace_write(t->trace, t->comm, options->trace);
    if (status == SM_OK && options->trace_first > t->steps) {
        sm_log_warning("--trace: the run has %lld %s, none of %lld to %lld: an empty timeline", (long long)t->steps,
                       sm_plural(t->steps, "step", "steps"), (long long)options->trace_first,
                       (long long)options->trace_last);
    } else if (status == SM_OK) {
        sm_log_info("timeline of steps %lld to %lld: %s", (long long)options->trace_first,
                    (long long)options->trace_last, options->trace);
    }
    return status;
}

static sm_status finish(sm_training *t, sm_status status)
{
    sm_comm_set_stall_folder(NULL);
    sm_comm_set_stall_report(NULL, NULL);
    if (!t->folder_ready) {
        return status;
    }
    sm_status closed = sm_training_is_root(t) ? close_folder(t, status) : SM_OK;
    if (status == SM_OK && sm_training_is_root(t)) {
        summarise(t);
    }
    if (status == SM_OK) {
        status = sm_comm_agree(t->comm, closed);
    }
    return status == SM_OK && t->trace ? write_trace(t) : status;
}

static int is_refusal(sm_status status)
{
    return status == SM_ERR_USAGE || status == SM_ERR_CONFIG;
}

/* A sweep's runs are all to be seen, those too that could not start for something outside; what was mistyped never was a
 * run. */
static void tell_failed_start(sm_training *t, sm_status status)
{
    char *why = sm_strdup(sm_error_message());
    if (!t->folder) {
        t->folder = sm_run_folder_new(sm_config_text_of(t->config, "run", "folder"));
    }
    sm_run_folder_tell_failed_start(t->folder, why);
    sm_fail(status, "%s", why);
    sm_free(why);
}

static void release(sm_training *t)
{
    sm_saver_free(t->saver);
    sm_run_log_close(t->log); /* of a start that came to nothing */
    sm_run_folder_free(t->folder);
    sm_loader_free(t->loader);
    sm_trace_free(t->trace);
    sm_progress_free(t->progress);
    sm_loss_spikes_free(t->spikes);
    sm_evaluator_free(t->evaluator);
    sm_trainer_free(t->trainer);
    sm_session_free(t->session);
    sm_dataset_close(t->train);
    sm_dataset_close(t->validation);
    sm_best_clear(&t->best);
    sm_free(t->builders);
    sm_free(t->log_failure);
    sm_free(t->values);
    sm_free(t->losses);
    sm_free(t->calibrations);
    sm_free(t->skipped);
}

static sm_status check_resume(const char *word)
{
    sm_nearest nearest = {.wanted = word};
    if (strcmp(word, "auto") == 0 || sm_file_exists(word)) {
        return SM_OK;
    }
    sm_nearest_consider(&nearest, "auto");
    return sm_fail(SM_ERR_USAGE,
                   "--resume '%s': no such file or folder; expected auto, a checkpoint or a run's folder%s", word,
                   nearest.best ? ": did you mean auto?" : "");
}

/* Before all work: one typing error must not cost a dataset or a checkpoint. */
static sm_status check_words(const sm_training *t)
{
    sm_status status = SM_OK;
    const sm_train_options *options = t->options;
    if (sm_training_is_root(t)) {
        SM_TRY(options->resume ? check_resume(options->resume) : SM_OK);
        SM_TRY(options->trace && !options->dry_run ? sm_trace_check(options->trace) : SM_OK);
    }
done:
    return sm_comm_agree(t->comm, status);
}

sm_status sm_train(const sm_config *config, sm_comm *comm, const sm_train_options *options, int *started)
{
    sm_status status = SM_OK;
    sm_training t = {.config = config,
                     .comm = comm,
                     .options = options,
                     .evaluated_step = -1,
                     .saved_step = -1,
                     .best_metric = NAN,
                     .called_seconds = sm_seconds(),
                     .time_limit = {.end_seconds = INFINITY}};
    *started = 0;
    sm_comm_set_stall_limit(sm_config_real(config, "distributed", "stall_seconds"));
    if (!options->dry_run) {
        sm_stop_signal_install();
    }
    SM_TRY(check_words(&t));
    SM_TRY(sm_training_set_up(&t));
    if (options->dry_run) {
        status = sm_training_print_plan(&t);
        goto done;
    }
    status = sm_training_start(&t);
    *started = status == SM_OK;
    if (*started && !t.is_complete) {
        status = sm_training_run(&t);
    }
    status = finish(&t, status);
done:
    if (status != SM_OK && !is_refusal(status) && !*started && !options->dry_run && sm_training_is_root(&t)) {
        tell_failed_start(&t, status);
    }
    release(&t);
    return status;
}
