#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/train/trainer.h>

#include "train/batch_sums.h"
#include "train/broken_layer.h"
#include "train/gradient_diagnosis.h"
#include "train/step_losses.h"
#include "train/step_record_private.h"
#include "train/task_gradients.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Losses of the whole batch, and gradients of single tasks, are there before backward if the batch is in one piece. */
static sm_status check_weighting(const sm_session *session)
{
    const sm_weighting_kind *kind = session->weighting->kind;
    const char *name = kind->name;
    sm_weighting_needs needs = session->weighting->needs;
    assert(((session->weighting->state_count == 0 && !kind->learn_from_update) || needs >= SM_WEIGHTING_NEEDS_LOSSES) &&
           "a state would advance once a micro-batch");
    if (session->settings.micro_batches > 1 && needs >= SM_WEIGHTING_NEEDS_LOSSES) {
        return sm_config_fail(session->config, "distributed", "micro_batches",
                              "the weighting '%s' needs the losses of the whole batch before backward: expected 1",
                              name);
    }
    return SM_OK;
}

sm_status sm_trainer_new(sm_session *session, int out_height, int out_width, int capacity, int64_t steps,
                         sm_trainer **out)
{
    sm_status status = SM_OK;
    sm_trainer *trainer = sm_alloc_zeroed(sizeof *trainer);
    const sm_batch_sums_kind *summing = sm_batch_sums_choose(session);
    size_t tasks = (size_t)session->task_count, *parts = NULL;
    trainer->session = session;
    SM_TRY(check_weighting(session));
    SM_TRY(sm_update_new(session, &trainer->update));
    SM_TRY(sm_schedule_new(session->config, trainer->update->optimizer->learning_rate, steps, &trainer->schedule));
    SM_TRY(sm_engine_new(session, out_height, out_width, capacity, 1, &trainer->engine));
    if (session->settings.batch == 1 && session->settings.batch_norm != SM_BATCH_NORM_FROZEN &&
        session->network.backbone->neck) {
        sm_log_info("a global batch of 1 has no variance over images: the ASPP's pooled branch is normalised by its "
                    "running statistics");
    }
    parts = sm_update_parts(trainer->update);
    trainer->sums = summing->make(session, parts);
    trainer->losses = sm_step_losses_new(session, summing, capacity);
    trainer->tasks = sm_task_gradients_new(trainer->update, trainer->sums, capacity, session->weighting->needs);
    SM_TRY(sm_gradient_diagnosis_new(trainer->update, trainer->sums, out_height, out_width, capacity,
                                     &trainer->diagnosis));
    trainer->buffers_before = sm_alloc(session->parameters->buffers.floats * sizeof(float));
    trainer->loss_after = session->weighting->kind->learn_from_update ? sm_alloc_zeroed(tasks * sizeof(double)) : NULL;
    trainer->weights.weight = sm_alloc_zeroed(tasks * sizeof(double));
    trainer->weights.slope = sm_alloc_zeroed(tasks * sizeof(double));
    sm_step_record_begin(&trainer->record, session);
    *out = trainer;
    trainer = NULL;
done:
    sm_free(parts);
    sm_trainer_free(trainer);
    return status;
}

sm_trainer_position sm_trainer_where(const sm_trainer *trainer)
{
    return (sm_trainer_position){
        trainer->step,     trainer->epoch,        trainer->position, trainer->skipped, trainer->skipped_in_a_row,
        trainer->backoffs, trainer->since_backoff};
}

void sm_trainer_go_to(sm_trainer *trainer, const sm_trainer_position *position)
{
    trainer->step = position->step;
    trainer->epoch = position->epoch;
    trainer->position = position->samples;
    trainer->skipped = position->skipped;
    trainer->skipped_in_a_row = position->skipped_in_a_row;
    trainer->backoffs = position->backoffs;
    trainer->since_backoff = position->since_backoff;
    trainer->applied = *position;
}

void sm_trainer_set_steps(sm_trainer *trainer, int64_t steps)
{
    trainer->schedule->steps = steps > 0 ? steps : 1;
}

void sm_trainer_free(sm_trainer *trainer)
{
    if (!trainer) {
        return;
    }
    sm_gradient_diagnosis_free(trainer->diagnosis); /* as the next refers to sums and update */
    sm_task_gradients_free(trainer->tasks);
    if (trainer->sums) {
        trainer->sums->kind->free(trainer->sums);
    }
    sm_update_free(trainer->update);
    sm_step_losses_free(trainer->losses);
    sm_step_record_end(&trainer->record);
    sm_free(trainer->loss_after);
    sm_free(trainer->buffers_before);
    sm_free(trainer->weights.weight);
    sm_free(trainer->weights.slope);
    sm_schedule_free(trainer->schedule);
    sm_engine_free(trainer->engine);
    sm_free(trainer);
}

void sm_trainer_bind(sm_trainer *trainer)
{
    sm_engine_bind(trainer->session, trainer->engine);
    trainer->sums->kind->bind(trainer->sums, trainer->engine);
    sm_gradient_diagnosis_bind(trainer->diagnosis);
}

const sm_reduction *sm_trainer_reduction(const sm_trainer *trainer)
{
    return trainer->sums->reduction;
}

/* ---- what the plan calls in a step ---- */

static void reduce_statistics(void *user, double *values, size_t count)
{
    sm_comm_sum_double(((sm_trainer *)user)->session->comm, values, count);
}

static void reduce_subtrees(void *user, double *rows, size_t count)
{
    sm_batch_sums *sums = ((sm_trainer *)user)->sums;
    sums->kind->sum_subtrees(sums, rows, count);
}

static void send_gradients(void *user, size_t complete)
{
    sm_batch_sums *sums = ((sm_trainer *)user)->sums;
    sums->kind->progress(sums, complete);
}

static void trace_op(void *user, const sm_call *call, double begin, double end)
{
    const sm_trainer *trainer = user;
    sm_trace_add(trainer->trace, SM_TRACE_OP, begin, end, "%s %s", trainer->engine->graph->ops[call->op].name,
                 call->label);
}

static void set_run(sm_trainer *trainer, const sm_batch *batch, int64_t samples_of_statistics)
{
    sm_run *run = &trainer->engine->run;
    sm_engine_set_batch(trainer->engine, batch, samples_of_statistics);
    run->step = (uint64_t)trainer->step;
    run->accumulate = batch->micro_batch > 0;
    run->reduce = sm_comm_size(trainer->session->comm) > 1 ? reduce_statistics : NULL;
    run->reduce_subtrees = run->reduce && trainer->sums->kind->sum_subtrees ? reduce_subtrees : NULL;
    run->progress = NULL;
    if (trainer->trace) {
        run->observe = trace_op;
    }
    run->user = trainer;
}

/* Synchronised statistics of a micro-batch are those of its samples on all ranks. */
static int64_t micro_batch_samples(const sm_trainer *trainer, const sm_batch *batch)
{
    int64_t samples = batch->count_local;
    if (batch->micro_batches == 1) {
        return batch->count_global;
    }
    sm_comm_sum_int64(trainer->session->comm, &samples, 1);
    return samples;
}

/* ---- forward and backward ---- */

/* What the step tells its weighting. */
static sm_weighting_step describe(const sm_trainer *trainer, const sm_batch *batch)
{
    const sm_step_losses *losses = trainer->losses;
    return (sm_weighting_step){.active = losses->active,
                               .loss = losses->loss,
                               .loss_slope = losses->slope,
                               .log_variance = losses->log_variance,
                               .gram = trainer->tasks ? trainer->tasks->gram : NULL,
                               .step = trainer->step,
                               .epoch = batch->epoch,
                               .seed = trainer->session->settings.seed};
}

static void weigh(sm_trainer *trainer, const sm_batch *batch)
{
    const sm_weighting_step step = describe(trainer, batch);
    sm_weighting_weigh(trainer->session->weighting, &step, &trainer->weights);
    if (trainer->tasks) {
        sm_weighting_combine(trainer->session->weighting, &step, &trainer->weights, trainer->tasks->coefficient);
    }
}

static int losses_are_finite(const sm_trainer *trainer)
{
    int finite = 1;
    for (int i = 0; i < trainer->session->task_count; i++) {
        finite = finite && isfinite(trainer->losses->loss[i]);
    }
    return finite;
}

static int weights_are_finite(const sm_trainer *trainer)
{
    int finite = isfinite(trainer->weights.total);
    for (int i = 0; i < trainer->session->task_count; i++) {
        finite = finite && isfinite(trainer->weights.weight[i]) && isfinite(trainer->weights.slope[i]) &&
                 (!trainer->tasks || isfinite(trainer->tasks->coefficient[i]));
    }
    return finite;
}

/* What a step that ended before its weights were known says of them, instead of the step before. */
static void forget_weights(sm_trainer *trainer)
{
    sm_weights *weights = &trainer->weights;
    weights->total = NAN;
    for (int i = 0; i < trainer->session->task_count; i++) {
        weights->weight[i] = weights->slope[i] = trainer->losses->active[i] ? NAN : 0;
        if (trainer->tasks) {
            trainer->tasks->coefficient[i] = weights->weight[i];
        }
    }
}

/* d total/d s is the same number on every rank. \param writes  0: another rank does, and the sum is still to be made */
static void write_log_variance_gradients(sm_trainer *trainer, int writes)
{
    const sm_session *session = trainer->session;
    for (int i = 0; session->log_variances && i < session->task_count; i++) {
        double limit = session->weighting->log_variances->gradient_limit;
        double slope = trainer->weights.slope[i];
        if (limit > 0) {
            slope = fmax(-limit, fmin(limit, slope));
        }
        size_t offset = session->parameters->parameters.items[session->log_variances[i]].offset;
        trainer->sums->gradients[offset] = writes ? (float)slope : 0;
    }
}

static void trace_buckets(const sm_trainer *trainer)
{
    size_t count = 0;
    const sm_reduction_bucket_times *buckets =
        trainer->trace && trainer->sums->reduction ? sm_reduction_trace(trainer->sums->reduction, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        sm_trace_add(trainer->trace, SM_TRACE_BUCKET, buckets[i].started_seconds, buckets[i].finished_seconds,
                     "bucket %zu: %.2f MB", i, (double)buckets[i].count * sizeof(float) * 1e-6);
    }
}

static void begin_sums(sm_trainer *trainer)
{
    trainer->sums->kind->begin(trainer->sums);
    trainer->engine->run.progress = send_gradients;
}

static void finish_sums(sm_trainer *trainer)
{
    double begin = sm_seconds();
    sm_comm_set_phase("reduction", trainer->step, -1);
    trainer->sums->kind->finish(trainer->sums);
    sm_trace_add(trainer->trace, SM_TRACE_WAIT, begin, sm_seconds(), "end of the reduction");
    trace_buckets(trainer);
}

/* One pass, by weights that are known before it.
 * \return 0 if some number is not finite: nothing was summed */
static int backward_at_once(sm_trainer *trainer, const sm_batch *batch, int is_last)
{
    sm_engine *engine = trainer->engine;
    weigh(trainer, batch);
    if (is_last && !(losses_are_finite(trainer) && weights_are_finite(trainer))) {
        return 0;
    }
    sm_step_losses_seed(trainer->losses, engine, batch, trainer->weights.weight);
    if (is_last) { /* what later micro-batches add to is not final */
        write_log_variance_gradients(trainer, trainer->sums->writes_known);
        begin_sums(trainer);
    }
    sm_plan_backward(engine->plan, &engine->run);
    if (is_last) {
        finish_sums(trainer);
    }
    return 1;
}

/* Backward through what the tasks share, from the sum of their gradients by these coefficients. */
static void backward_shared(sm_trainer *trainer, const double *coefficients)
{
    sm_engine *engine = trainer->engine;
    sm_comm_set_phase("backward", trainer->step, -1);
    begin_sums(trainer);
    sm_plan_backward_shared(engine->plan, &engine->run, coefficients);
    finish_sums(trainer);
    engine->run.progress = NULL;
}

/* Each head alone, then what is shared: once, or for gradients of parameters once a task.
 * \return 0 if some number is not finite: nothing that was summed is to be used */
static int backward_by_task(sm_trainer *trainer, const sm_batch *batch, int diagnoses)
{
    sm_engine *engine = trainer->engine;
    sm_task_gradients *tasks = trainer->tasks;
    int count = trainer->session->task_count;
    if (!losses_are_finite(trainer)) {
        forget_weights(trainer);
        return 0;
    }
    sm_step_losses_seed(trainer->losses, engine, batch, tasks->ones);
    for (int i = 0; i < count; i++) {
        sm_plan_backward_task(engine->plan, &engine->run, i);
    }
    if (diagnoses) {
        sm_gradient_diagnosis_add(trainer->diagnosis, engine, trainer->losses, batch);
    }
    if (tasks->parameters) {
        for (int i = 0; i < count; i++) {
            memset(tasks->coefficient, 0, (size_t)count * sizeof *tasks->coefficient);
            tasks->coefficient[i] = 1;
            backward_shared(trainer, tasks->coefficient);
            sm_task_gradients_keep(tasks, i);
        }
        sm_task_gradients_measure_parameters(tasks);
    } else {
        sm_task_gradients_measure_shared(tasks, engine);
    }
    weigh(trainer, batch);
    if (!weights_are_finite(trainer)) {
        return 0;
    }
    if (!tasks->parameters) {
        backward_shared(trainer, tasks->coefficient);
    }
    sm_task_gradients_join(tasks, trainer->weights.weight);
    write_log_variance_gradients(trainer, 1);
    return 1;
}

/* Where micro-batches come from. */
typedef struct batch_source {
    sm_batch_next next;
    void *user;
} batch_source;

/* Forward and backward of all micro-batches, sums over ranks. The losses of the whole step are known after the last
 * forward: the weights of earlier micro-batches do not depend on them (sm_trainer_new() refuses weightings that would).
 * \param [in,out] batch  the first micro-batch; then the last
 * \param [out] samples   of this rank in the step
 * \param [out] applied   0 if a loss or a weight is not finite */
static sm_status run_micro_batches(sm_trainer *trainer, const batch_source *source, int stop, const sm_batch **batch,
                                   int64_t *samples, int *applied)
{
    sm_status status = SM_OK;
    sm_engine *engine = trainer->engine;
    int diagnoses = sm_gradient_diagnosis_begin(trainer->diagnosis, trainer->step);
    *samples = 0;
    sm_plan_prepare(engine->plan, &engine->run);
    for (;;) {
        int is_last = (*batch)->micro_batch + 1 == (*batch)->micro_batches;
        set_run(trainer, *batch, micro_batch_samples(trainer, *batch));
        *samples += (*batch)->count_local;
        if (diagnoses && !trainer->tasks) {
            sm_gradient_diagnosis_add(trainer->diagnosis, engine, trainer->losses, *batch);
            sm_plan_prepare(engine->plan, &engine->run);
        }
        sm_comm_set_phase("forward", trainer->step, (*batch)->micro_batch);
        sm_plan_forward(engine->plan, &engine->run);
        sm_step_losses_add(trainer->losses, engine, *batch);
        if (is_last) {
            sm_step_losses_share(trainer->losses, trainer->sums, &stop);
            trainer->stop_requested |= stop;
        }
        sm_comm_set_phase("backward", trainer->step, (*batch)->micro_batch);
        *applied =
            trainer->tasks ? backward_by_task(trainer, *batch, diagnoses) : backward_at_once(trainer, *batch, is_last);
        if (is_last) {
            break;
        }
        SM_TRY(sm_comm_agree(trainer->session->comm, source->next(source->user, batch)));
    }
done:
    return status;
}

/* ---- running statistics ---- */

/* Ranks normalised by statistics of their own: the running values become their mean, weighted by samples. */
static void average_running_statistics(sm_trainer *trainer, int64_t count_local, int64_t count_global)
{
    sm_session *session = trainer->session;
    size_t count = session->parameters->buffers.floats;
    float share = (float)((double)count_local / (double)count_global);
    for (size_t i = 0; i < count; i++) {
        session->buffers[i] *= share;
    }
    sm_comm_sum_float(session->comm, session->buffers, count);
}

/* A decoder that learnt nothing in this step keeps its running statistics too, and frozen ones keep their bits: a mean over ranks of
 * equal numbers is rounded. */
static void keep_inactive_statistics(sm_trainer *trainer)
{
    const sm_slices *buffers = &trainer->session->parameters->buffers;
    for (int i = 0; i < buffers->count; i++) {
        const sm_slice *slice = &buffers->items[i];
        if (slice->frozen || (slice->task >= 0 && !trainer->losses->active[slice->task])) {
            memcpy(trainer->session->buffers + slice->offset, trainer->buffers_before + slice->offset,
                   slice->count * sizeof(float));
        }
    }
}

/* ---- a second forward ---- */

/* Tells a weighting that asks what the update did to the losses of its batch. The plan normalises by the same statistics
 * of the batch and drops the same units; running statistics count it once. */
static void look_again(sm_trainer *trainer, const sm_batch *batch)
{
    sm_session *session = trainer->session;
    sm_engine *engine = trainer->engine;
    size_t buffer_bytes = session->parameters->buffers.floats * sizeof(float);
    if (!trainer->loss_after) {
        return;
    }
    sm_comm_set_phase("second forward", trainer->step, -1);
    memcpy(trainer->buffers_before, session->buffers, buffer_bytes);
    set_run(trainer, batch, batch->count_global);
    sm_plan_prepare(engine->plan, &engine->run);
    sm_plan_forward(engine->plan, &engine->run);
    memcpy(session->buffers, trainer->buffers_before, buffer_bytes);
    sm_step_losses_again(trainer->losses, engine, batch, trainer->sums, trainer->loss_after);
    sm_weighting_step step = describe(trainer, batch);
    step.loss = trainer->loss_after;
    sm_weighting_learn_from_update(session->weighting, &step);
}

/* ---- the step ---- */

static void begin_step(sm_trainer *trainer, const sm_batch *batch)
{
    const sm_session *session = trainer->session;
    trainer->step++;
    sm_step_losses_begin(trainer->losses);
    sm_weighting_begin_step(session->weighting);
    trainer->sums->kind->begin_step(trainer->sums, batch->count_global);
    memcpy(trainer->buffers_before, session->buffers, session->parameters->buffers.floats * sizeof(float));
}

/* \return 0 if the summed gradients are not finite: nothing was updated. */
static int update(sm_trainer *trainer, double learning_rate, int64_t samples, int64_t samples_global, double *norm)
{
    sm_session *session = trainer->session;
    const float *gradients = trainer->sums->gradients;
    if (!sm_update_measure(trainer->update, gradients, trainer->losses->active, norm)) {
        return 0;
    }
    if (session->settings.batch_norm == SM_BATCH_NORM_LOCAL && sm_comm_size(session->comm) > 1) {
        average_running_statistics(trainer, samples, samples_global);
    }
    keep_inactive_statistics(trainer);
    sm_update_apply(trainer->update, gradients, learning_rate, *norm, trainer->step - 1 - trainer->skipped);
    double begin = sm_seconds();
    sm_session_wait_for_node(session);
    sm_trace_add(trainer->trace, SM_TRACE_WAIT, begin, sm_seconds(), "updates of the node");
    return 1;
}

/* ---- steps that are skipped ---- */

/* A streak of skipped steps makes all that follow smaller; many good ones make them larger again. */
static void count_skips(sm_trainer *trainer, int applied)
{
    trainer->skipped_in_a_row = applied ? 0 : trainer->skipped_in_a_row + 1;
    trainer->skipped += !applied;
    if (trainer->update->optimizer->skip_backoff < 1 && trainer->skipped_in_a_row == 1) {
        trainer->backoffs++;
        trainer->since_backoff = 0;
    } else if (trainer->backoffs > 0 && applied && ++trainer->since_backoff == SM_BACKOFF_STEPS) {
        trainer->backoffs--;
        trainer->since_backoff = 0;
    }
}

static double learning_rate_now(const sm_trainer *trainer)
{
    double rate = sm_schedule_at(trainer->schedule, trainer->step);
    for (int64_t i = 0; i < trainer->backoffs && rate > 0; i++) {
        rate *= trainer->update->optimizer->skip_backoff;
    }
    return rate;
}

/* \param summed  1: the losses are finite, and gradients there */
static void skip(sm_trainer *trainer, int summed)
{
    sm_session *session = trainer->session;
    trainer->broken = sm_broken_layer(trainer, summed);
    sm_weighting_undo_step(session->weighting);
    memcpy(session->buffers, trainer->buffers_before, session->parameters->buffers.floats * sizeof(float));
}

static void fill_record(sm_trainer *trainer, const sm_batch *batch, int applied, double learning_rate, double norm,
                        double seconds)
{
    sm_step_record *record = &trainer->record;
    record->step = trainer->step;
    record->epoch = trainer->epoch;
    record->applied = applied;
    record->learning_rate = learning_rate;
    record->gradient_norm = norm;
    record->step_seconds = seconds;
    record->images_per_second = (double)batch->count_global / seconds;
    const double *coefficient = trainer->tasks ? trainer->tasks->coefficient : trainer->weights.weight;
    sm_step_record_tasks(record, trainer->losses, &trainer->weights, coefficient);
    sm_gradient_diagnosis_record(trainer->diagnosis, trainer->losses, coefficient, record);
    sm_step_record_waits(record, trainer->session->comm, batch->wait_seconds);
}

sm_status sm_trainer_step_from(sm_trainer *trainer, sm_batch_next next, void *user, int stop, int *done)
{
    sm_status status = SM_OK;
    sm_session *session = trainer->session;
    const batch_source source = {next, user};
    const sm_batch *batch = NULL;
    double begin = sm_seconds(), norm = NAN;
    double learning_rate = learning_rate_now(trainer);
    int64_t samples;
    int applied, summed;

    sm_comm_take_waited_seconds(); /* what an evaluation or a checkpoint since the last step waited is not this step's */
    if (trainer->trace) {
        sm_trace_begin_step(trainer->trace, session->comm, trainer->step + 1);
    }
    sm_comm_set_phase("data", trainer->step + 1, -1);
    status = next(user, &batch);
    SM_TRY(sm_step_losses_count(trainer->losses, trainer->step + 1, batch, status));
    *done = !batch;
    if (*done) {
        goto done;
    }
    begin_step(trainer, batch);
    SM_TRY(run_micro_batches(trainer, &source, stop, &batch, &samples, &summed));
    applied = summed && update(trainer, learning_rate, samples, batch->count_global, &norm);
    count_skips(trainer, applied);
    if (applied) {
        look_again(trainer, batch);
    } else {
        skip(trainer, summed);
    }
    trainer->epoch = batch->epoch;
    trainer->position = batch->position + batch->count_global;
    trainer->applied = applied ? sm_trainer_where(trainer) : trainer->applied;
    fill_record(trainer, batch, applied, learning_rate, norm, sm_seconds() - begin);
    sm_trace_add(trainer->trace, SM_TRACE_STEP, begin, sm_seconds(), "step %lld", (long long)trainer->step);
    if (session->settings.check_interval > 0 && trainer->step % session->settings.check_interval == 0) {
        SM_TRY(sm_comm_checksum_agrees(session->comm, session->values,
                                       session->parameters->parameters.floats * sizeof(float), "parameters"));
    }
    if (trainer->skipped_in_a_row >= trainer->update->optimizer->skip_limit) {
        SM_TRY(sm_fail(SM_ERR_NUMERIC, "step %lld: %lld %s in a row had non-finite losses or gradients",
                       (long long)trainer->step, (long long)trainer->skipped_in_a_row,
                       sm_plural(trainer->skipped_in_a_row, "step", "steps")));
    }
done:
    return status;
}

static sm_status next_of_loader(void *user, const sm_batch **batch)
{
    return sm_loader_next(user, batch);
}

sm_status sm_trainer_step(sm_trainer *trainer, sm_loader *loader, int stop, int *done)
{
    return sm_trainer_step_from(trainer, next_of_loader, loader, stop, done);
}
