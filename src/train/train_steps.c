#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/stop_signal.h>

#include "train/skipped_step.h"
#include "train/training.h"

#include <math.h>

/* ---- saving ---- */

/* What is written on the way does not wait for steps that may still be skipped: it is of the last one that was not. */
static sm_trainer_position position_to_save(const sm_training *t)
{
    return t->trainer->step >= t->steps ? sm_trainer_where(t->trainer) : t->trainer->applied;
}

/* The first failure is what the run ends with, where all ranks agree on stopping. By rank 0. */
static void note_logged(sm_training *t, sm_status status)
{
    if (status != SM_OK && t->logged == SM_OK) {
        t->logged = status;
        t->log_failure = sm_strdup(sm_error_message());
    }
}

/* Collective */
static sm_status agree_on_log(const sm_training *t)
{
    return sm_comm_agree(t->comm, t->logged == SM_OK ? SM_OK : sm_fail(t->logged, "%s", t->log_failure));
}

/* Its row comes into the log when its best.h5 is on the disk: without it the evaluation is made again when the run goes on. By rank 0. */
static void log_evaluation(sm_training *t)
{
    if (t->is_evaluation_due && !sm_saver_is_writing(t->saver)) {
        t->is_evaluation_due = 0;
        note_logged(t, sm_run_log_evaluation(t->log, t->evaluated_step, t->values, t->calibrations));
    }
}

/* Waits for what is being written. By rank 0. */
static sm_status finish_saving(sm_training *t)
{
    sm_status status = sm_saver_finish(t->saver);
    if (status == SM_OK) {
        log_evaluation(t);
    }
    return status;
}

/* Rank 0 copies, and then writes while training goes on. The log reaches the disk first: a checkpoint never knows of
 * steps that a lost machine's log does not. */
static sm_status begin_save(sm_training *t, int best)
{
    sm_status status = SM_OK;
    const sm_trainer_position position = position_to_save(t);
    if (!best && sm_saver_step(t->saver) == position.step) {
        return SM_OK;
    }
    SM_TRY(finish_saving(t));
    sm_run_log_sync(t->log);
    SM_TRY(sm_saver_begin(t->saver, &position, t->best_metric, best));
done:
    return status;
}

static void note_time(sm_training *t)
{
    if (sm_saver_seconds(t->saver) > 0) {
        sm_time_limit_note_save(&t->time_limit, sm_saver_seconds(t->saver));
    }
}

/* Not collective: where rank 0 meets something, all stop with the next step, and save() says what it was. */
static void save_if_due(sm_training *t)
{
    if (sm_training_is_root(t) && t->saved == SM_OK) {
        t->saved = sm_saver_look(t->saver);
        if (t->saved == SM_OK) {
            log_evaluation(t);
        }
        note_time(t);
        if (t->saved == SM_OK && t->trainer->step < t->steps && sm_saver_is_due(t->saver)) {
            t->saved = begin_save(t, 0);
        }
    }
}

/* \return when all is on the disk. Collective */
static sm_status save(sm_training *t)
{
    sm_status status = SM_OK;
    if (sm_training_is_root(t)) {
        status = begin_save(t, 0);
        status = status == SM_OK ? finish_saving(t) : status;
        note_time(t);
    }
    return sm_comm_agree(t->comm, status);
}

static sm_status prune(const sm_training *t)
{
    const sm_settings *settings = &t->session->settings;
    return sm_comm_agree(
        t->comm, sm_training_is_root(t)
                     ? sm_run_folder_prune(t->folder, t->trainer->step, settings->keep_last, settings->keep_every)
                     : SM_OK);
}

/* What ends the run loses no step that can be gone on from. \return `status` with its message, or what saving met */
static sm_status save_before_failing(sm_training *t, sm_status status)
{
    char *why = sm_strdup(sm_error_message());
    sm_status saved = save(t);
    if (saved == SM_OK) {
        sm_fail(status, "%s", why);
    } else if (status == SM_ERR_NUMERIC && saved == SM_ERR_NUMERIC) {
        char *what = sm_strdup(sm_error_message());
        sm_fail(status, "%s; %s", why, what);
        sm_free(what);
    }
    sm_free(why);
    return saved == SM_OK ? status : saved;
}

/* As rank 0, which keeps the time, sees it. Collective. */
static const char *why_stopped(const sm_training *t)
{
    int is_deadline = sm_stop_signal_is_deadline();
    sm_comm_broadcast(t->comm, &is_deadline, sizeof is_deadline, 0);
    return is_deadline ? "the time limit is reached" : "asked to stop";
}

/* A log that is given up stops a run too, which is no wish: nobody is to start it again and again. */
static sm_status stop(sm_training *t, const char *when)
{
    sm_status status = agree_on_log(t);
    if (status == SM_OK) {
        status = sm_fail(SM_PREEMPTED, "%s%s: checkpoint of step %lld is written, continue with --resume auto",
                         why_stopped(t), when, (long long)position_to_save(t).step);
    }
    return save_before_failing(t, status);
}

/* ---- evaluating ---- */

/* A run must not end well that learnt nothing: no step since it was last asked has changed the parameters. */
static sm_status check_that_it_learns(sm_training *t)
{
    int64_t step = t->trainer->step, applied = step - t->trainer->skipped, made = step - t->judged_step;
    int is_idle = made > 0 && applied == t->judged_applied;
    t->judged_step = step;
    t->judged_applied = applied;
    if (is_idle) {
        return sm_fail(SM_ERR_NUMERIC, "nothing is learnt: the last %lld %s skipped; %s", (long long)made,
                       sm_plural(made, "step was", "steps were"), t->skipped);
    }
    if (step > 0 && applied == 0) {
        return sm_fail(SM_ERR_NUMERIC, "nothing was learnt: %lld %s skipped for non-finite numbers, none was applied",
                       (long long)step, sm_plural(step, "step was", "steps were"));
    }
    return SM_OK;
}

static sm_status keep_evaluation(sm_training *t)
{
    sm_status status = SM_OK;
    double score = sm_best_score(&t->best, t->values);
    if (sm_best_is_better(&t->best, score, t->best_metric)) {
        t->best_metric = score;
        if (t->session->settings.keep_best) {
            SM_TRY(sm_comm_agree(t->comm, sm_training_is_root(t) ? begin_save(t, 1) : SM_OK));
        }
    }
    t->evaluated_step = t->trainer->step;
    if (sm_training_is_root(t)) {
        t->is_evaluation_due = 1;
        log_evaluation(t);
    }
done:
    return status;
}

static sm_status evaluate(sm_training *t)
{
    sm_status status = SM_OK;
    double begin = sm_seconds();
    const sm_evaluation evaluation = {
        .parameters = t->trainer->update->average, .losses = t->losses, .stop = sm_stop_signal_seen};
    if (t->evaluated_step == t->trainer->step || (!t->evaluator && t->trainer->step < t->steps)) {
        return SM_OK;
    }
    status =
        sm_comm_agree(t->comm, sm_training_is_root(t) ? finish_saving(t) : SM_OK); /* needs the last one's values */
    if (status == SM_OK) {
        status = check_that_it_learns(t);
    }
    if (status == SM_OK && t->evaluator) {
        status = sm_evaluator_run(t->evaluator, &evaluation, t->values);
    }
    if (status == SM_PREEMPTED) {
        return stop(t, " during the evaluation");
    }
    if (status != SM_OK) {
        return save_before_failing(t, status);
    }
    if (t->evaluator) {
        int64_t samples = sm_dataset_count(t->validation);
        sm_log_result("evaluation after step %lld (%lld %s, %.1f s)", (long long)t->trainer->step, (long long)samples,
                      sm_plural(samples, "sample", "samples"), sm_seconds() - begin);
        sm_evaluator_report(t->evaluator, t->values, NULL);
        sm_calibrate(t->session, evaluation.parameters, t->losses, t->calibrations);
        sm_progress_calibration(t->progress, t->calibrations);
        if (sm_training_is_root(t)) {
            sm_progress_warn(t->progress);
        }
        status = keep_evaluation(t);
    }
    return status;
}

/* ---- steps ---- */

/* Rank 0 writes. */
static void keep_step(sm_training *t, int64_t position)
{
    sm_step_record *record = &t->trainer->record;
    record->seconds = t->earlier_seconds + sm_seconds() - t->begin_seconds;
    if (!record->applied) {
        sm_free(t->skipped);
        t->skipped = sm_skipped_step_describe(t->trainer, t->train, position);
    }
    if (sm_training_is_root(t)) {
        if (!record->applied) {
            sm_log_warning("skipped %s", t->skipped);
        }
        sm_loss_spikes_note(t->spikes, record);
        sm_progress_step(t->progress, record);
        note_logged(t, sm_run_log_step(t->log, record));
    }
}

static sm_status make_step(sm_training *t)
{
    int done;
    int64_t step = t->trainer->step, position = t->trainer->position;
    int must_stop = sm_stop_signal_seen() || t->logged != SM_OK || t->saved != SM_OK;
    double begin = sm_seconds();
    sm_status status = sm_trainer_step(t->trainer, t->loader, must_stop, &done);
    sm_time_limit_note_step(&t->time_limit, sm_seconds() - begin);
    if (status == SM_OK || status == SM_ERR_NUMERIC) {
        keep_step(t, position);
    }
    if (status == SM_ERR_NUMERIC &&
        t->trainer->step > step) { /* too many skipped in a row: what came before them is good */
        char *message = sm_strdup(sm_error_message());
        sm_fail(status, "%s; %s", message, t->skipped);
        sm_free(message);
        status = save_before_failing(t, status);
    }
    return status;
}

static int is_due(int64_t interval, int64_t step)
{
    return interval > 0 && step % interval == 0;
}

/* What is due after a step: saved first, so that nothing that evaluation meets can lose it. */
static sm_status pause_between_steps(sm_training *t)
{
    sm_status status = SM_OK;
    const sm_settings *settings = &t->session->settings;
    int64_t step = t->trainer->step;
    save_if_due(t);
    if (step == t->steps) {
        SM_TRY(save(t));
    }
    if (t->trainer->stop_requested && step < t->steps) {
        SM_TRY(stop(t, ""));
    }
    if (step == t->steps || is_due(settings->evaluate_interval, step)) {
        SM_TRY(evaluate(t));
    }
done:
    return status;
}

/* The evaluation that an earlier start was stopped in or before. */
static sm_status make_up_for_evaluation(sm_training *t)
{
    sm_status status = SM_OK;
    int64_t step = t->trainer->step;
    if (step >= t->steps) {
        SM_TRY(t->saved_step == step ? prune(t) : save(t)); /* saved: a complete one of another folder */
    }
    if (step >= t->steps || (step > 0 && is_due(t->session->settings.evaluate_interval, step))) {
        SM_TRY(evaluate(t));
    }
done:
    return status;
}

static sm_status check_stop(sm_training *t)
{
    int64_t stop = sm_stop_signal_seen();
    sm_comm_max_int64(t->comm, &stop, 1);
    return stop == 0 ? SM_OK
                     : sm_fail(SM_PREEMPTED, "%s before step %lld: nothing new to save, continue with --resume auto",
                               why_stopped(t), (long long)t->trainer->step + 1);
}

/* On the rank that holds most. */
static void report_memory(const sm_training *t)
{
    size_t resident = sm_memory_status_bytes("RssAnon") + sm_memory_status_bytes("RssShmem");
    double mib[2] = {(double)resident / (1 << 20), (double)t->memory.total / (1 << 20)};
    sm_comm_max_double(t->comm, mib, 2);
    sm_log_info("memory of a rank: %.0f MiB, %.0f planned", mib[0], mib[1]);
}

/* By rank 0, which has written the last one. */
static void end_saving(sm_training *t)
{
    sm_saver_cost cost = sm_saver_cost_of(t->saver);
    sm_saver_release_memory(t->saver);
    if (cost.count > 0) {
        sm_log_info("checkpoints: %lld of %.1f MiB; training stood still for %.2f s each", (long long)cost.count,
                    (double)cost.bytes / (1 << 20), cost.seconds / (double)cost.count);
    }
}

sm_status sm_training_run(sm_training *t)
{
    sm_status status = SM_OK;
    SM_TRY(check_stop(t));
    SM_TRY(make_up_for_evaluation(t));
    while (t->trainer->step < t->steps) {
        SM_TRY(make_step(t));
        SM_TRY(pause_between_steps(t));
    }
    SM_TRY(sm_comm_agree(t->comm, sm_training_is_root(t) ? finish_saving(t) : SM_OK));
    SM_TRY(agree_on_log(t));
    if (sm_training_is_root(t)) {
        end_saving(t);
    }
    report_memory(t);
done:
    return status;
}
