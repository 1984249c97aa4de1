#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/arithmetic.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/pretrained.h>
#include <sigmatic/train/run_checkpoint.h>

#include "train/resume_changes.h"
#include "train/training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- where to start from (rank 0) ---- */

static sm_status refuse_folder(const sm_training *t)
{
    if (sm_run_folder_holds_run(t->folder) && !t->options->overwrite && !t->options->resume) {
        return sm_fail(SM_ERR_USAGE,
                       "run folder %s holds a run already; continue it with --resume auto, replace it with "
                       "--overwrite, or choose another with --set run.folder=...",
                       t->session->settings.folder);
    }
    return SM_OK;
}

/* Nobody else may write here, nor what the user asked for be impossible. A run whose launcher was killed may still be ending. */
static sm_status take_folder(sm_training *t)
{
    const double patience_seconds = 30;
    sm_status status = SM_OK;
    t->folder = sm_run_folder_new(t->session->settings.folder);
    if (sm_training_is_root(t)) {
        SM_TRY(refuse_folder(t));
        if (t->options->trace) {
            SM_TRY(sm_file_check_writable(t->options->trace));
        }
        status = sm_run_folder_lock(t->folder, patience_seconds);
        status = status == SM_ERR_IO ? sm_config_name_key(t->config, "run", "folder", status) : status;
    }
done:
    return sm_comm_agree(t->comm, status);
}

/* From now on other nodes see what a rank does that works alone, as the next one: it may read all of the data. */
static void show_ranks(const sm_training *t)
{
    char *ranks = sm_run_folder_file(t->folder, "ranks");
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
}

/* On rank 0, which writes the checkpoints that keep it. */
static sm_status find_fingerprint(const sm_training *t)
{
    return sm_comm_agree(t->comm, sm_training_is_root(t) ? sm_dataset_find_fingerprint(t->train) : SM_OK);
}

/* Decides which checkpoint to go on from; "" = none. */
static sm_status find_checkpoint(const sm_training *t, char *path, size_t path_bytes)
{
    sm_status status = SM_OK;
    const char *word = t->options->resume;
    char *found = NULL;
    if (word && strcmp(word, "auto") == 0) {
        SM_TRY(sm_run_folder_latest(t->folder, &found));
    } else if (word && sm_folder_exists(word)) {
        SM_TRY(sm_run_newest_checkpoint(word, &found));
        if (!found) {
            SM_TRY(sm_fail(SM_ERR_INPUT,
                           "--resume %s: a folder without a checkpoint: that of a run has checkpoints/step-*.h5",
                           word));
        }
    } else if (word) {
        found = sm_strdup(word);
    }
    snprintf(path, path_bytes, "%s", found ? found : "");
done:
    sm_free(found);
    return status;
}

static sm_status check_order(const sm_training *t, const char *path, const sm_checkpoint_info *info)
{
    if (!sm_dataset_is_same(t->train, info->fingerprint)) {
        return sm_fail(SM_ERR_INPUT,
                       "%s was trained on the dataset '%s', [data] train is '%s': the order of samples would not go on",
                       path, info->fingerprint, sm_dataset_fingerprint(t->train));
    }
    if (info->seed != (int64_t)t->session->settings.seed) {
        return sm_fail(
            SM_ERR_INPUT,
            "%s was trained with run.seed = %lld, the config says %lld: the order of samples would not go on", path,
            (long long)info->seed, (long long)t->session->settings.seed);
    }
    return SM_OK;
}

/* What the file holds; one of another kind that is easily taken for a checkpoint is told what it is good for. */
static sm_status read_info(const char *path, sm_checkpoint_info *info)
{
    sm_status status = sm_checkpoint_read_info(path, info);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *ending = strrchr(name, '.');
    if (status == SM_ERR_INPUT && strcmp(name, "run.h5") == 0) {
        char *why = sm_strdup(sm_error_message());
        sm_fail(status, "%s: a run's log: give the folder %.*s", why, slash ? (int)(name - path) : 1,
                slash ? path : ".");
        sm_free(why);
    } else if (status == SM_ERR_INPUT && ending && strcmp(ending, ".safetensors") == 0) {
        sm_fail(status, "%s: is safetensors, weights without a run to go on with: give it as model.pretrained", path);
    }
    return status;
}

/* What no best.h5 holds is not reached, whatever a checkpoint says: it was removed or damaged, or stands in another folder.
 * \return the score that the next evaluation is to beat; NaN: any */
static double find_best_metric(const sm_training *t, double claimed)
{
    char *path = sm_run_folder_file(t->folder, "checkpoints/best.h5");
    sm_checkpoint_info info = {.best_metric = NAN};
    double held = NAN;
    if (!t->session->settings.keep_best) {
        held = claimed;
    } else if (sm_file_exists(path)) {
        if (sm_checkpoint_verify(path, 1) == SM_OK && sm_checkpoint_read_info(path, &info) == SM_OK) {
            held = sm_resume_best_metric(&info, t->config);
        } else {
            sm_log_warning("the best checkpoint is lost, the next evaluation is the best: %s", sm_error_message());
        }
    }
    sm_checkpoint_info_free(&info);
    sm_free(path);
    return sm_best_is_better(&t->best, claimed, held) ? held : claimed;
}

/* Where to go on from, what stands there, and that nothing of the config stands against it. */
static sm_status choose_start(sm_training *t, char *path, size_t path_bytes, sm_checkpoint_info *info)
{
    sm_status status = SM_OK;
    char *log = sm_run_folder_file(t->folder, "run.h5");
    SM_TRY(find_checkpoint(t, path, path_bytes));
    if (*path) {
        SM_TRY(read_info(path, info));
        t->best_metric = find_best_metric(t, sm_resume_best_metric(info, t->config));
        SM_TRY(check_order(t, path, info));
        SM_TRY(sm_run_log_check(log, t->session));
        SM_TRY(sm_resume_refuse_changes(path, info->config, t->config));
    }
done:
    sm_free(log);
    return status;
}

/* \return 1 if the checkpoint is what this run would write of the same step */
static int is_own(const sm_training *t, const char *path)
{
    char *own = sm_run_folder_checkpoint(t->folder, t->trainer->step);
    int is_same = sm_file_is_same(path, own);
    sm_free(own);
    return is_same;
}

/* Of a run of epochs: at the end of the last one, whatever batches its samples came in so far. */
static void find_end(sm_training *t)
{
    const sm_settings *settings = &t->session->settings;
    if (settings->steps == 0) {
        t->steps = t->trainer->step + sm_sampler_steps_left(t->trainer->position, sm_dataset_count(t->train),
                                                            settings->batch, settings->epochs);
        sm_trainer_set_steps(t->trainer, t->steps);
    }
}

static sm_status load_start(sm_training *t)
{
    sm_status status = SM_OK;
    char path[4096] = "";
    sm_checkpoint_info info = {0}; /* rank 0's */
    SM_TRY(sm_comm_agree(t->comm, sm_training_is_root(t) ? choose_start(t, path, sizeof path, &info) : SM_OK));
    sm_comm_broadcast(t->comm, path, sizeof path, 0);
    sm_comm_broadcast(t->comm, &t->best_metric, sizeof t->best_metric, 0);
    const char *pretrained = sm_config_text_of(t->config, "model", "pretrained");
    if (*path) {
        SM_TRY(sm_checkpoint_load(t->session, t->trainer, path, 0));
        t->saved_step = is_own(t, path) ? t->trainer->step : -1;
        sm_log_info("resuming from %s at step %lld", path, (long long)t->trainer->step);
        find_end(t);
        if (sm_training_is_root(t) && t->trainer->step < t->steps) {
            sm_resume_report_changes(t, info.config);
        }
    } else {
        if (t->options->resume) {
            sm_log_info("nothing to resume in %s: a new run", t->session->settings.folder);
        }
        if (*pretrained) {
            SM_TRY(sm_config_name_key(t->config, "model", "pretrained", sm_pretrained_load(t->session, pretrained)));
        }
        sm_update_start_average(t->trainer->update);
    }
    t->first_step = t->judged_step = t->trainer->step;
    t->judged_applied = t->trainer->step - t->trainer->skipped;
done:
    sm_checkpoint_info_free(&info);
    return status;
}

static sm_status open_log(sm_training *t)
{
    sm_status status = SM_OK;
    sm_run_log_kept kept = {0};
    if (sm_training_is_root(t)) {
        char *path = sm_run_folder_file(t->folder, "run.h5");
        const char *split = t->validation ? sm_config_text_of(t->config, "data", "validation_split") : NULL;
        char *arithmetic = sm_arithmetic_text(t->trainer->engine->plan, t->session->settings.precision);
        if (t->trainer->step < t->steps) {
            sm_log_info("%s", arithmetic);
        }
        status = sm_run_log_open(path, t->session, arithmetic, split, t->trainer->step, &kept, &t->log);
        sm_free(arithmetic);
        sm_free(path);
    }
    SM_TRY(sm_comm_agree(t->comm, status));
    sm_comm_broadcast(t->comm, &kept, sizeof kept, 0);
    t->earlier_seconds = kept.seconds;
    t->evaluated_step = kept.evaluated_step;
done:
    return status;
}

/* The last words of a run that a lost or stuck rank has ended: of any rank, for it may be the first one that is gone. */
static void report_stall(void *user, const char *message)
{
    const sm_training *t = user;
    sm_run_folder_write_status(t->folder, "failed", message);
}

static void announce(const sm_training *t)
{
    const sm_settings *settings = &t->session->settings;
    int size = sm_comm_size(t->comm);
    int64_t samples = sm_dataset_count(t->train);
    if (t->first_step >= t->steps) {
        return;
    }
    sm_log_info("%d %s x %d %s, %lld %s, global batch %d, steps %lld to %lld, folder %s", size,
                sm_plural(size, "rank", "ranks"), settings->threads, sm_plural(settings->threads, "thread", "threads"),
                (long long)samples, sm_plural(samples, "sample", "samples"), settings->batch,
                (long long)t->first_step + 1, (long long)t->steps, settings->folder);
    if (settings->batch > samples) {
        sm_log_info("run.batch = %d is more than the training split has: every step is an epoch of %lld %s",
                    settings->batch, (long long)samples, sm_plural(samples, "sample", "samples"));
    }
}

/* ---- what is left to do ---- */

/* \return 1 if the run has made more than the config asks for */
static int has_gone_further(const sm_training *t)
{
    const sm_settings *settings = &t->session->settings;
    return settings->steps > 0 ? t->trainer->step > settings->steps
                               : t->trainer->position > settings->epochs * sm_dataset_count(t->train);
}

/* \return 1 if no step is left, its end is kept and judged. A run that learnt nothing is not at its end: it fails again */
static int has_everything(const sm_training *t)
{
    int64_t step = t->trainer->step;
    int is_judged = t->evaluator ? t->evaluated_step == step : step > t->trainer->skipped;
    return step >= t->steps && is_judged && (t->saved_step == step || sm_run_folder_has_checkpoint(t->folder, step));
}

static void say_that_nothing_is_left(const sm_training *t, int is_longer)
{
    const sm_settings *settings = &t->session->settings;
    const char *key = settings->steps > 0 ? "steps" : "epochs";
    int64_t step = t->trainer->step, asked = settings->steps > 0 ? settings->steps : settings->epochs;
    double epochs = (double)t->trainer->position / (double)sm_dataset_count(t->train);
    if (is_longer) {
        char *made = settings->steps > 0 ? sm_format("%lld", (long long)step) : sm_format("%.4g", epochs);
        sm_log_warning("run.%s = %lld is less than the run has made (%s %s): nothing is trained or changed; "
                       "--set run.%s=... with more goes on",
                       key, (long long)asked, made, key, key);
        sm_free(made);
    } else {
        sm_log_info("the run is complete (%lld of %lld %s): nothing is trained, what is set otherwise has no effect; "
                    "--set run.%s=... with more goes on",
                    (long long)step, (long long)t->steps, sm_plural(t->steps, "step", "steps"), key);
    }
    if (t->options->trace) {
        sm_log_warning("--trace %s: no step is made, no timeline is written", t->options->trace);
    }
}

/* Whether the run is complete, and that its status says so: it may be of a process that was killed before it could. */
static sm_status find_what_is_left(sm_training *t)
{
    sm_status status = SM_OK;
    int is_longer = has_gone_further(t);
    if (sm_training_is_root(t)) {
        t->is_complete = is_longer || has_everything(t);
        if (t->is_complete) {
            say_that_nothing_is_left(t, is_longer);
            status = is_longer ? SM_OK : sm_run_folder_write_status(t->folder, "done", "");
        }
    }
    sm_comm_broadcast(t->comm, &t->is_complete, sizeof t->is_complete, 0);
    return sm_comm_agree(t->comm, status);
}

/* ---- starting ---- */

/* Only when nothing can refuse the start any more: what an earlier run left is not lost to a wrong path. It is "running" last: a disk that
 * is full for the log leaves no status that nobody will end. */
static sm_status claim_folder(sm_training *t)
{
    sm_status status = SM_OK;
    if (sm_training_is_root(t)) {
        SM_TRY(sm_run_folder_claim(t->folder, t->options->resume != NULL));
        SM_TRY(sm_run_log_begin(t->log));
        SM_TRY(sm_run_folder_write_status(t->folder, "running", ""));
    }
done:
    status = sm_comm_agree(t->comm, status);
    t->folder_ready = status == SM_OK;
    return status;
}

static sm_status open_loader(sm_training *t)
{
    t->loader_options.start_position = t->trainer->position;
    return sm_comm_agree(t->comm, sm_loader_new(&t->loader_options, &t->loader));
}

/* What watches the steps from the side: progress, timeline, the guard against lost ranks. */
static void start_watching(sm_training *t)
{
    t->spikes = sm_loss_spikes_new(t->session);
    t->progress = sm_progress_new(t->session, t->steps, t->trainer->step);
    if (t->options->trace) {
        t->trace = t->trainer->trace = sm_trace_new(t->options->trace_first, t->options->trace_last);
    }
    sm_comm_set_stall_report(report_stall, t);
    if (sm_training_is_root(t)) {
        sm_time_limit_start(&t->time_limit, t->called_seconds, t->session->settings.time_limit_seconds,
                            t->memory.checkpoint);
    }
}

sm_status sm_training_start(sm_training *t)
{
    sm_status status = SM_OK;
    SM_TRY(take_folder(t));
    show_ranks(t);
    SM_TRY(find_fingerprint(t));
    SM_TRY(load_start(t));
    SM_TRY(open_log(t));
    SM_TRY(find_what_is_left(t));
    if (t->is_complete) {
        goto done;
    }
    sm_trainer_bind(t->trainer);
    SM_TRY(open_loader(t));
    SM_TRY(claim_folder(t));
    if (sm_training_is_root(t)) {
        t->saver = sm_saver_new(t->trainer, t->folder, sm_dataset_fingerprint(t->train), t->saved_step);
    }
    start_watching(t);
    t->begin_seconds = sm_seconds();
    announce(t);
done:
    return status;
}
