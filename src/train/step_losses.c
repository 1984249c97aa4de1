#include "train/step_losses.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <string.h>

sm_step_losses *sm_step_losses_new(const sm_session *session, const sm_batch_sums_kind *summing, int capacity)
{
    size_t tasks = (size_t)session->task_count, rows = summing->samples_a_row ? (size_t)capacity : 1;
    sm_step_losses *losses = sm_alloc_zeroed(sizeof *losses);
    *losses = (sm_step_losses){.session = session,
                               .summing = summing,
                               .valid = sm_alloc_zeroed((tasks + 1) * sizeof(int64_t)),
                               .steps = sm_task_steps_read(session),
                               .active = sm_alloc_zeroed(tasks * sizeof(int)),
                               .log_variance = sm_alloc_zeroed(tasks * sizeof(double)),
                               .loss = sm_alloc_zeroed(tasks * sizeof(double)),
                               .slope = sm_alloc_zeroed(tasks * sizeof(double)),
                               .row_doubles = 2 * tasks * rows + 1};
    losses->rows = sm_alloc_zeroed(losses->row_doubles * sizeof *losses->rows);
    return losses;
}

void sm_step_losses_free(sm_step_losses *losses)
{
    if (losses) {
        sm_free(losses->valid);
        sm_free(losses->steps);
        sm_free(losses->active);
        sm_free(losses->log_variance);
        sm_free(losses->loss);
        sm_free(losses->slope);
        sm_free(losses->rows);
        sm_free(losses);
    }
}

sm_status sm_step_losses_count(sm_step_losses *losses, int64_t step, const sm_batch *batch, sm_status loaded)
{
    sm_comm *comm = losses->session->comm;
    size_t tasks = (size_t)losses->session->task_count;
    for (size_t i = 0; i < tasks; i++) {
        losses->valid[i] = loaded == SM_OK && batch ? batch->valid_step[i] : 0;
    }
    losses->valid[tasks] = loaded != SM_OK;
    sm_comm_sum_int64(comm, losses->valid, tasks + 1);
    if (losses->valid[tasks] > 0) {
        return sm_comm_agree(comm, loaded);
    }
    for (size_t i = 0; i < tasks; i++) {
        losses->active[i] = losses->valid[i] > 0 && sm_task_trains(&losses->steps[i], step);
    }
    return SM_OK;
}

void sm_step_losses_begin(sm_step_losses *losses)
{
    for (int i = 0; i < losses->session->task_count; i++) {
        const float *s = sm_session_log_variance(losses->session, i);
        losses->log_variance[i] = s ? *s : 0;
        losses->loss[i] = losses->slope[i] = 0;
    }
    memset(losses->rows, 0, losses->row_doubles * sizeof *losses->rows);
}

static double inverse_temperature(const sm_step_losses *losses, int task)
{
    const sm_weighting *weighting = losses->session->weighting;
    int scaled = weighting->log_variances && weighting->members[task].task.likelihood->scales_logits;
    return scaled ? exp(-losses->log_variance[task]) : 1;
}

static const void *target_of(const sm_batch *batch, const sm_task *task, int task_index, int sample)
{
    return (const char *)batch->target[task_index] +
           sm_batch_items(batch, task->target->scope, sample) * sm_task_item_bytes(task);
}

static sm_loss_place place_of(const sm_engine *engine, const sm_batch *batch, const sm_task *task, int sample)
{
    return (sm_loss_place){engine->run.seed, engine->run.step, (uint64_t)(batch->first_local + sample),
                           sm_batch_items(batch, task->target->scope, 1)};
}

/* \param [in,out] row  2 a task */
static void add_samples(const sm_step_losses *losses, const sm_engine *engine, const sm_batch *batch, int first,
                        int count, double *row)
{
    const sm_session *session = losses->session;
    for (int i = 0; i < session->task_count; i++) {
        const sm_task *task = session->tasks[i];
        const float *logits = sm_plan_output(engine->plan, &engine->run, i);
        size_t offset = sm_batch_items(batch, task->target->scope, first) * (size_t)sm_task_outputs(task);
        const sm_loss_place place = place_of(engine, batch, task, first);
        sm_loss_sums sums = sm_task_loss(task, sm_batch_items(batch, task->target->scope, count), logits + offset,
                                         target_of(batch, task, i, first), &place, inverse_temperature(losses, i),
                                         session->settings.threads);
        row[2 * i] += sums.loss;
        row[2 * i + 1] += sums.slope;
    }
}

/* \return samples whose losses, and gradients of these, are computed together. */
static int samples_at_once(const sm_step_losses *losses, const sm_batch *batch)
{
    return losses->summing->samples_a_row ? losses->summing->samples_a_row : batch->count_local;
}

void sm_step_losses_add(sm_step_losses *losses, const sm_engine *engine, const sm_batch *batch)
{
    int at_once = samples_at_once(losses, batch);
    double *row = losses->rows;
    for (int first = 0; first < batch->count_local; first += at_once) {
        add_samples(losses, engine, batch, first, at_once, row);
        row += 2 * losses->session->task_count;
    }
}

void sm_step_losses_share(sm_step_losses *losses, sm_batch_sums *sums, int *stop)
{
    size_t tasks = (size_t)losses->session->task_count;
    sums->kind->rows(sums, losses->rows, 2 * tasks, stop);
    for (size_t i = 0; i < tasks; i++) {
        losses->loss[i] = losses->active[i] ? losses->rows[2 * i] / (double)losses->valid[i] : 0;
        losses->slope[i] = losses->active[i] ? losses->rows[2 * i + 1] / (double)losses->valid[i] : 0;
    }
}

void sm_step_losses_again(sm_step_losses *losses, const sm_engine *engine, const sm_batch *batch, sm_batch_sums *sums,
                          double *loss)
{
    size_t tasks = (size_t)losses->session->task_count;
    int stop = 0; /* who asks meanwhile is heard in the next step */
    memset(losses->rows, 0, losses->row_doubles * sizeof *losses->rows);
    sm_step_losses_add(losses, engine, batch);
    sums->kind->rows(sums, losses->rows, 2 * tasks, &stop);
    for (size_t i = 0; i < tasks; i++) {
        loss[i] = losses->active[i] ? losses->rows[2 * i] / (double)losses->valid[i] : 0;
    }
}

static void seed_samples(const sm_step_losses *losses, const sm_engine *engine, const sm_batch *batch, int first,
                         int count, const double *weight)
{
    const sm_session *session = losses->session;
    for (int i = 0; i < session->task_count; i++) {
        const sm_task *task = session->tasks[i];
        double scale = losses->active[i] ? weight[i] / (double)losses->valid[i] : 0;
        float *gradient = sm_plan_output_gradient(engine->plan, &engine->run, i);
        const float *logits = sm_plan_output(engine->plan, &engine->run, i);
        size_t offset = sm_batch_items(batch, task->target->scope, first) * (size_t)sm_task_outputs(task);
        const sm_loss_place place = place_of(engine, batch, task, first);
        if (gradient) {
            sm_task_loss_gradient(task, sm_batch_items(batch, task->target->scope, count), logits + offset,
                                  target_of(batch, task, i, first), &place, inverse_temperature(losses, i), scale,
                                  gradient + offset, session->settings.threads);
        }
    }
}

void sm_step_losses_seed(const sm_step_losses *losses, const sm_engine *engine, const sm_batch *batch,
                         const double *weight)
{
    int at_once = samples_at_once(losses, batch);
    for (int first = 0; first < batch->count_local; first += at_once) {
        seed_samples(losses, engine, batch, first, at_once, weight);
    }
}
