#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>

#include "train/progress.h"

#include <math.h>
#include <stdio.h>

static const double LIVE_SECONDS = 0.2;
static const double SMOOTHING_STEPS = 50;

struct sm_progress {
    const sm_session *session;
    int64_t steps, first_step;
    double begin_seconds, shown_seconds;
    double *loss;         /* smoothed, NaN before the first */
    double *log_variance; /* last */
};

sm_progress *sm_progress_new(const sm_session *session, int64_t steps, int64_t first_step)
{
    size_t tasks = (size_t)session->task_count;
    sm_progress *progress = sm_alloc_zeroed(sizeof *progress);
    *progress =
        (sm_progress){.session = session, .steps = steps, .first_step = first_step, .begin_seconds = sm_seconds()};
    progress->loss = sm_alloc(tasks * sizeof *progress->loss);
    progress->log_variance = sm_alloc_zeroed(tasks * sizeof *progress->log_variance);
    for (size_t i = 0; i < tasks; i++) {
        progress->loss[i] = NAN;
    }
    return progress;
}

void sm_progress_free(sm_progress *progress)
{
    if (progress) {
        sm_free(progress->loss);
        sm_free(progress->log_variance);
        sm_free(progress);
    }
}

static void remember(sm_progress *progress, const sm_step_record *record)
{
    for (int i = 0; i < progress->session->task_count; i++) {
        double loss = record->task_loss[i];
        if (isfinite(loss)) {
            double *mean = &progress->loss[i];
            *mean = isnan(*mean) ? loss : *mean + (loss - *mean) / SMOOTHING_STEPS;
        }
        progress->log_variance[i] = record->log_variance[i];
    }
}

static void format_seconds(char out[32], double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600) {
        snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    } else {
        snprintf(out, 32, "%ld:%02ld", s / 60, s % 60);
    }
}

void sm_progress_step(sm_progress *progress, const sm_step_record *record)
{
    double now = sm_seconds();
    double interval = sm_log_is_live() ? LIVE_SECONDS : progress->session->settings.progress_seconds;
    int final = record->step >= progress->steps;
    remember(progress, record);
    if (now - progress->shown_seconds < interval && !final) {
        return;
    }
    progress->shown_seconds = now;
    char line[2048], eta[32];
    double per_step = (now - progress->begin_seconds) / (double)(record->step - progress->first_step);
    format_seconds(eta, per_step * (double)(progress->steps - record->step));
    int used = snprintf(line, sizeof line, "step %lld/%lld  loss %.3f", (long long)record->step,
                        (long long)progress->steps, record->loss);
    for (int i = 0; i < progress->session->task_count && used < (int)sizeof line; i++) {
        used += snprintf(line + used, sizeof line - (size_t)used, "  %s %.3f", progress->session->tasks[i]->name,
                         record->task_loss[i]);
        if (progress->session->weighting->kind->learns_log_variances && used < (int)sizeof line) {
            used += snprintf(line + used, sizeof line - (size_t)used, " (sigma %.3f)", record->sigma[i]);
        }
    }
    if (used < (int)sizeof line) {
        snprintf(line + used, sizeof line - (size_t)used, "  %.1f images/s  ETA %s", record->images_per_second, eta);
    }
    sm_log_progress(final, "%s", line);
}

void sm_progress_summary(const sm_progress *progress)
{
    const sm_weighting *weighting = progress->session->weighting;
    if (!weighting->kind->learns_log_variances) {
        return;
    }
    sm_log_info("%-14s %-20s %10s %10s %10s %12s %8s", "task", "likelihood", "loss", "s", "sigma", "at minimum",
                "ratio");
    for (int i = 0; i < weighting->count; i++) {
        const sm_weighted_task *task = &weighting->tasks[i];
        double s = progress->log_variance[i], sigma = task->likelihood->sigma(s);
        double best = task->likelihood->sigma(task->likelihood->minimiser(progress->loss[i], task->dimensions));
        sm_log_info("%-14s %-20s %10.4f %10.4f %10.4f %12.4f %8.3f", task->name, task->likelihood->name,
                    progress->loss[i], s, sigma, best, sigma / best);
    }
}
