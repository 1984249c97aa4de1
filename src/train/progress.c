#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/train/report.h>
#include <sigmatic/train/traps.h>

#include "train/progress.h"

#include <math.h>
#include <stdio.h>

static const double LIVE_SECONDS = 0.2;
static const double SMOOTHING_STEPS = 50;

struct sm_progress {
    const sm_session *session;
    int64_t steps, first_step;
    double begin_seconds, shown_seconds;
    sm_loss_row *rows; /* one a task: the loss smoothed, NaN before the first; the rest of the last step */
    double loss;       /* the total, smoothed */
    sm_trap_task *tasks;
    int64_t step;
    char *said; /* (traps, tasks + 1): those that have been told */
};

static int trap_count(void)
{
    int count = 0;
    while (sm_traps[count].name) {
        count++;
    }
    return count;
}

/* What a run that goes on began with is not known. */
static sm_trap_task trap_task(const sm_session *session, int task)
{
    const sm_weighted_member *member = &session->weighting->members[task];
    const sm_weighted_task *weighted = &member->task;
    const sm_log_variances *learned = session->weighting->log_variances;
    int has_s = learned && !session->tasks[task]->is_heteroscedastic;
    return (sm_trap_task){.name = weighted->name,
                          .likelihood = weighted->likelihood,
                          .of_loss = sm_likelihood_of_loss(weighted->loss),
                          .shape = weighted->shape,
                          .unit = sm_task_unit(session->tasks[task]),
                          .first_loss = NAN,
                          .loss = NAN,
                          .first_weight = NAN,
                          .weight = NAN,
                          .initial = has_s ? learned->initial[member->group] : NAN,
                          .log_variance = NAN,
                          .best = NAN,
                          .share = NAN,
                          .group = session->weighting->sums ? session->weighting->tasks[member->group].name : NULL,
                          .group_weight = member->weight};
}

sm_progress *sm_progress_new(const sm_session *session, int64_t steps, int64_t first_step)
{
    sm_progress *progress = sm_alloc_zeroed(sizeof *progress);
    *progress =
        (sm_progress){.session = session, .steps = steps, .first_step = first_step, .begin_seconds = sm_seconds()};
    progress->rows = sm_alloc((size_t)session->task_count * sizeof *progress->rows);
    progress->tasks = sm_alloc((size_t)session->task_count * sizeof *progress->tasks);
    progress->said = sm_alloc_zeroed((size_t)trap_count() * ((size_t)session->task_count + 1));
    progress->loss = NAN;
    for (int i = 0; i < session->task_count; i++) {
        const sm_weighting *weighting = session->weighting;
        const sm_weighted_member *member = &weighting->members[i];
        progress->rows[i] = (sm_loss_row){.task = member->task.name,
                                          .likelihood = member->task.likelihood,
                                          .shape = member->task.shape,
                                          .unit = sm_task_unit(session->tasks[i]),
                                          .loss = NAN,
                                          .weight = NAN,
                                          .log_variance = NAN,
                                          .sigma = NAN,
                                          .group = weighting->sums ? weighting->tasks[member->group].name : NULL,
                                          .group_weight = member->weight};
        progress->tasks[i] = trap_task(session, i);
    }
    return progress;
}

void sm_progress_free(sm_progress *progress)
{
    if (progress) {
        sm_free(progress->rows);
        sm_free(progress->tasks);
        sm_free(progress->said);
        sm_free(progress);
    }
}

static void smooth(double *mean, double value)
{
    if (isfinite(value)) {
        *mean = isnan(*mean) ? value : *mean + (value - *mean) / SMOOTHING_STEPS;
    }
}

static void remember_for_traps(sm_progress *progress, const sm_step_record *record, int task)
{
    const sm_loss_row *row = &progress->rows[task];
    sm_trap_task *t = &progress->tasks[task];
    if (progress->first_step == 0 && isnan(t->first_loss) && isfinite(record->task_loss[task])) {
        t->first_loss = record->task_loss[task];
        t->first_weight = record->weight[task];
    }
    t->loss = row->loss;
    t->weight = row->weight;
    t->log_variance = isnan(t->initial) ? NAN : row->log_variance;
    t->share = sm_trap_mean_share(t->share, record->gradient_share[task]);
}

static void remember(sm_progress *progress, const sm_step_record *record)
{
    progress->step = record->step;
    smooth(&progress->loss, record->loss);
    for (int i = 0; i < progress->session->task_count; i++) {
        sm_loss_row *row = &progress->rows[i];
        smooth(&row->loss, record->task_loss[i]);
        row->weight = record->weight[i];
        row->log_variance = record->log_variance[i];
        row->sigma = record->sigma[i];
        remember_for_traps(progress, record, i);
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

/* As many characters of a diverging loss as of a large one: 2.95e+37; of a small one its digits: 0.00213. */
static void format_number(char out[32], double value)
{
    static const double LARGE = 1e4, SMALL = 0.1;
    const char *form = !isfinite(value) || value == 0 ? "%.3f"
                       : fabs(value) >= LARGE         ? "%.2e"
                       : fabs(value) < SMALL          ? "%.3g"
                                                      : "%.3f";
    snprintf(out, 32, form, sm_shown(value));
}

/* A dash without a valid pixel in this step; that has no weight either. */
static void format_loss(char out[32], const sm_step_record *record, int task)
{
    if (isnan(record->task_loss[task]) && isnan(record->weight[task])) {
        snprintf(out, 32, "-");
    } else {
        format_number(out, record->task_loss[task]);
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
    char line[2048], eta[32], number[32];
    double per_step = (now - progress->begin_seconds) / (double)(record->step - progress->first_step);
    format_seconds(eta, per_step * (double)(progress->steps - record->step));
    format_number(number, record->loss);
    int used = snprintf(line, sizeof line, "step %lld/%lld  loss %s", (long long)record->step,
                        (long long)progress->steps, number);
    for (int i = 0; i < progress->session->task_count && used < (int)sizeof line; i++) {
        format_loss(number, record, i);
        used += snprintf(line + used, sizeof line - (size_t)used, "  %s %s", progress->session->tasks[i]->name, number);
        if (!isnan(record->sigma[i]) && used < (int)sizeof line) {
            format_number(number, record->sigma[i]);
            used += snprintf(line + used, sizeof line - (size_t)used, " (sigma %s)", number);
        }
    }
    if (used < (int)sizeof line) {
        snprintf(line + used, sizeof line - (size_t)used, "  %.1f %s/s  ETA %s", record->images_per_second,
                 progress->session->data->input.kind->samples, eta);
    }
    sm_log_progress(final, "%s", line);
}

static void tell(void *user, const sm_trap *trap, int task, const char *text)
{
    sm_progress *progress = user;
    char *said = &progress->said[(trap - sm_traps) * (progress->session->task_count + 1) + task + 1];
    if (!*said && trap->is_note) {
        sm_log_info("note: %s", text);
    } else if (!*said) {
        sm_log_warning("%s", text);
    }
    *said = 1;
}

void sm_progress_warn(sm_progress *progress)
{
    const sm_log_variances *learned = progress->session->weighting->log_variances;
    int count = progress->session->task_count;
    for (int i = 0; i < count; i++) {
        progress->tasks[i].best = sm_report_minimiser(progress->rows, count, i);
    }
    const sm_trap_run run = {.step = progress->step,
                             .steps = progress->steps,
                             .loss = progress->loss,
                             .lower = learned ? learned->lower : NAN,
                             .upper = learned ? learned->upper : NAN,
                             .learning_rate_scale = learned ? learned->learning_rate_scale : NAN,
                             .tasks = progress->tasks,
                             .task_count = count,
                             .method = progress->session->weighting->kind->name};
    sm_traps_find(&run, tell, progress);
}

void sm_progress_calibration(const sm_progress *progress, const sm_calibration *calibrations)
{
    sm_report_calibrations(progress->rows, calibrations, progress->session->task_count);
}

void sm_progress_summary(const sm_progress *progress)
{
    sm_report_losses(progress->rows, progress->session->task_count);
}
