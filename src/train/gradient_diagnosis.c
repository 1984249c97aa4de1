#include "train/gradient_diagnosis.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>

#include <math.h>
#include <string.h>

static size_t parameter_bytes(const sm_session *session)
{
    return session->parameters->parameters.floats * sizeof(float);
}

static size_t statistics_bytes(const sm_session *session)
{
    return session->parameters->buffers.floats * sizeof(float);
}

sm_status sm_gradient_diagnosis_new(const sm_update *update, sm_batch_sums *sums, int height, int width, int capacity,
                                    sm_gradient_diagnosis **out)
{
    sm_status status = SM_OK;
    sm_session *session = update->session;
    size_t tasks = (size_t)session->task_count;
    sm_gradient_diagnosis *d = NULL;
    *out = NULL;
    if (session->settings.diagnose_interval == 0) {
        return SM_OK;
    }
    d = sm_alloc_zeroed(sizeof *d);
    d->session = session;
    d->interval = session->settings.diagnose_interval;
    d->tasks = sm_task_gradients_new(update, sums, capacity, SM_WEIGHTING_NEEDS_SHARED_GRADIENTS);
    d->gram = sm_alloc_zeroed(tasks * tasks * sizeof *d->gram);
    if (session->weighting->needs < SM_WEIGHTING_NEEDS_SHARED_GRADIENTS) {
        SM_TRY(sm_engine_new(session, height, width, capacity, SM_ENGINE_TASK_GRADIENTS, &d->engine));
        d->gradients = sm_alloc(parameter_bytes(session));
        d->statistics = sm_alloc(statistics_bytes(session));
    }
    *out = d;
    d = NULL;
done:
    sm_gradient_diagnosis_free(d);
    return status;
}

void sm_gradient_diagnosis_free(sm_gradient_diagnosis *d)
{
    if (d) {
        sm_engine_free(d->engine);
        sm_task_gradients_free(d->tasks);
        sm_free(d->gradients);
        sm_free(d->statistics);
        sm_free(d->gram);
        sm_free(d);
    }
}

void sm_gradient_diagnosis_bind(sm_gradient_diagnosis *d)
{
    if (d && d->engine) {
        sm_engine_bind(d->session, d->engine);
        d->engine->run.base[SM_REGION_GRADIENTS] = (char *)d->gradients;
        d->engine->run.base[SM_REGION_BUFFERS] = (char *)d->statistics;
    }
}

int sm_gradient_diagnosis_begin(sm_gradient_diagnosis *d, int64_t step)
{
    if (!d) {
        return 0;
    }
    size_t tasks = (size_t)d->session->task_count;
    memset(d->gram, 0, tasks * tasks * sizeof *d->gram);
    d->is_measured = 0;
    return step % d->interval == 0;
}

/* The step's own run, in this engine's memory: the same samples, dropout and sums over ranks. */
static void follow(sm_engine *engine, const sm_run *trained)
{
    sm_run run = *trained;
    memcpy(run.base, engine->run.base, sizeof run.base);
    run.base[SM_REGION_INPUT] = trained->base[SM_REGION_INPUT];
    run.accumulate = 0;
    run.backward_is_due = 0;
    run.tasks_ready = 0;
    run.progress = NULL;
    run.observe = NULL;
    engine->run = run;
}

static void run_heads(sm_gradient_diagnosis *d, const sm_engine *trained, const sm_step_losses *losses,
                      const sm_batch *batch)
{
    sm_engine *engine = d->engine;
    sm_comm_set_phase("diagnosis", (int64_t)trained->run.step, batch->micro_batch);
    memcpy(d->statistics, d->session->buffers, statistics_bytes(d->session));
    follow(engine, &trained->run);
    sm_plan_prepare(engine->plan, &engine->run);
    sm_plan_forward(engine->plan, &engine->run);
    sm_step_losses_seed(losses, engine, batch, d->tasks->ones);
    for (int task = 0; task < d->session->task_count; task++) {
        sm_plan_backward_task(engine->plan, &engine->run, task);
    }
}

void sm_gradient_diagnosis_add(sm_gradient_diagnosis *d, const sm_engine *trained, const sm_step_losses *losses,
                               const sm_batch *batch)
{
    int tasks = d->session->task_count;
    if (d->engine) {
        run_heads(d, trained, losses, batch);
    }
    sm_task_gradients_measure_shared(d->tasks, d->engine ? d->engine : trained);
    for (int i = 0; i < tasks * tasks; i++) {
        d->gram[i] += d->tasks->gram[i];
    }
    d->is_measured = 1;
}

/* \return the length of a task's gradient; NaN where it has none to measure */
static double length_of(const sm_gradient_diagnosis *d, const sm_step_losses *losses, int task)
{
    return losses->active[task] ? sqrt(d->gram[task * d->session->task_count + task]) : NAN;
}

void sm_gradient_diagnosis_record(const sm_gradient_diagnosis *d, const sm_step_losses *losses, const double *weight,
                                  sm_step_record *record)
{
    int tasks = losses->session->task_count, is_measured = d && d->is_measured;
    double sum = 0;
    for (int i = 0; i < tasks; i++) {
        record->task_gradient_norm[i] = is_measured ? length_of(d, losses, i) : NAN;
        sum += losses->active[i] ? fabs(weight[i]) * record->task_gradient_norm[i] : 0;
    }
    for (int i = 0; i < tasks; i++) {
        record->gradient_share[i] =
            fabs(weight[i]) * record->task_gradient_norm[i] / sum; /* NaN of no gradient at all */
        for (int j = 0; j < tasks; j++) {
            double lengths = record->task_gradient_norm[i] * record->task_gradient_norm[j];
            double product = is_measured ? d->gram[i * tasks + j] : NAN;
            record->gradient_cosine[i * tasks + j] = lengths > 0 ? product / lengths : NAN;
        }
    }
}

size_t sm_gradient_diagnosis_bytes(const sm_gradient_diagnosis *d, size_t engine_bytes)
{
    if (!d || !d->engine) {
        return 0;
    }
    size_t own = sm_engine_memory_bytes(d->engine);
    return (own > engine_bytes ? own - engine_bytes : 0) + parameter_bytes(d->session) + statistics_bytes(d->session);
}
