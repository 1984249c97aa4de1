#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/graph/lowering.h>
#include <sigmatic/optim/ema.h>
#include <sigmatic/train/trainer.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SKIPPED_IN_A_ROW = 100 };

static size_t parameter_floats(const sm_trainer *trainer)
{
    return trainer->session->parameters->parameters.floats;
}

static int is_reproducible(const sm_trainer *trainer)
{
    return trainer->session->settings.reproducible;
}

/* One allocation, so that all of it can be shared or nothing is; then the parameters are not either, for a share of the
 * one would need a share of the other. */
static void make_states(sm_trainer *trainer)
{
    sm_session *session = trainer->session;
    int has_average = trainer->optimizer->ema_decay > 0, states = trainer->optimizer->kind->state_count;
    size_t floats = parameter_floats(trainer), flats = (size_t)(states + has_average);
    int shares = sm_node_memory_is_shared(session->shared);
    trainer->shared = sm_node_memory_new(shares ? session->comm : sm_comm_self(),
                                         flats * floats * sizeof(float) + SM_FLAT_BLOCKS * sizeof(double));
    if (shares && !sm_node_memory_is_shared(trainer->shared)) {
        sm_session_stop_sharing(session);
    }
    trainer->squares = sm_node_memory_base(trainer->shared);
    float *flat = (float *)(void *)(trainer->squares + SM_FLAT_BLOCKS);
    for (int i = 0; i < states; i++) {
        trainer->state[i] = flat + (size_t)i * floats;
    }
    if (has_average) {
        trainer->average = flat + (size_t)states * floats;
        sm_trainer_start_average(trainer);
    }
}

void sm_trainer_start_average(sm_trainer *trainer)
{
    if (trainer->average && sm_session_writes(trainer->session)) {
        memcpy(trainer->average, trainer->session->values, parameter_floats(trainer) * sizeof(float));
    }
    sm_session_settle(trainer->session);
}

/* \return the first block of the share of a rank of the node */
static int first_block_of(const sm_trainer *trainer, int rank)
{
    return (int)((int64_t)SM_FLAT_BLOCKS * rank / sm_node_memory_size(trainer->shared));
}

/* \return shares in floats, ranks of the node + 1, freed with sm_free() */
static size_t *cut_shares(sm_trainer *trainer)
{
    int ranks = sm_node_memory_size(trainer->shared), rank = sm_node_memory_rank(trainer->shared);
    size_t *shares = sm_alloc(((size_t)ranks + 1) * sizeof *shares);
    for (int r = 0; r <= ranks; r++) {
        shares[r] = sm_flat_block_begin(parameter_floats(trainer), first_block_of(trainer, r));
    }
    trainer->first_block = first_block_of(trainer, rank);
    trainer->last_block = first_block_of(trainer, rank + 1);
    trainer->share_begin = shares[rank];
    trainer->share_end = shares[rank + 1];
    return shares;
}

/* What adds gradients over ranks: buckets on their way while backward goes on, or a tree after it. */
static sm_status make_sums(sm_trainer *trainer)
{
    sm_session *session = trainer->session;
    size_t floats = parameter_floats(trainer), nodes = (size_t)session->sum_nodes;
    sm_comm *sharing = is_reproducible(trainer) ? sm_comm_self() : session->comm;
    trainer->gradients = sm_reduction_alloc(sharing, floats);
    memset(trainer->gradients, 0, floats * sizeof(float)); /* frozen ones are never written, but travel */
    size_t *shares = cut_shares(trainer);
    if (!is_reproducible(trainer)) {
        sm_reduction_options options = session->settings.reduction;
        options.shares = sm_node_memory_is_shared(trainer->shared) ? shares : NULL;
        sm_status status = sm_reduction_new(session->comm, trainer->gradients, floats, &options, &trainer->reduction);
        sm_free(shares);
        return status;
    }
    sm_free(shares);
    trainer->tree = sm_tree_sum_new(session->comm, session->sum_nodes);
    trainer->blocks = sm_alloc_zeroed(((size_t)sm_comm_size(session->comm) + 1) * sizeof *trainer->blocks);
    trainer->node_gradients = sm_alloc_zeroed(nodes * sizeof *trainer->node_gradients);
    return SM_OK;
}

sm_status sm_trainer_new(sm_session *session, int out_height, int out_width, int capacity, int64_t steps,
                         sm_trainer **out)
{
    sm_status status = SM_OK;
    sm_trainer *trainer = sm_alloc_zeroed(sizeof *trainer);
    size_t tasks = (size_t)session->task_count, slices = (size_t)session->parameters->parameters.count;
    trainer->session = session;
    SM_TRY(sm_optimizer_new(session->config, &trainer->optimizer));
    SM_TRY(sm_schedule_new(session->config, trainer->optimizer->learning_rate, steps, &trainer->schedule));
    if (session->settings.micro_batches > 1 && session->weighting->kind->needs_losses) {
        SM_TRY(sm_config_fail(
            session->config, "distributed", "micro_batches",
            "the weighting '%s' needs the losses of the whole batch before backward: micro_batches = 1 expected",
            session->weighting->kind->name));
    }
    SM_TRY(sm_engine_new(session, out_height, out_width, capacity, 1, &trainer->engine));
    if (session->settings.batch == 1) {
        sm_log_info("a global batch of 1 has no variance over images: the ASPP's pooled branch is normalised by its "
                    "running statistics");
    }
    make_states(trainer);
    trainer->segments = sm_alloc_zeroed(slices * sizeof *trainer->segments);
    trainer->segment_steps = sm_alloc_zeroed(slices * sizeof *trainer->segment_steps);
    SM_TRY(make_sums(trainer));
    trainer->waits = sm_alloc_zeroed(4 * (size_t)sm_comm_size(session->comm) * sizeof *trainer->waits);
    trainer->buffers_before = sm_alloc(session->parameters->buffers.floats * sizeof(float));
    trainer->valid = sm_alloc_zeroed((tasks + 1) * sizeof *trainer->valid);
    trainer->sums_count = 2 * tasks * (size_t)(is_reproducible(trainer) ? capacity : 1) + 1;
    trainer->sums = sm_alloc_zeroed(trainer->sums_count * sizeof *trainer->sums);
    trainer->active = sm_alloc_zeroed(tasks * sizeof *trainer->active);
    double **arrays[] = {&trainer->loss,           &trainer->loss_slope,          &trainer->log_variance,
                         &trainer->weights.weight, &trainer->weights.slope,       &trainer->record.task_loss,
                         &trainer->record.weight,  &trainer->record.log_variance, &trainer->record.sigma};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = sm_alloc_zeroed(tasks * sizeof(double));
    }
    *out = trainer;
    trainer = NULL;
done:
    sm_trainer_free(trainer);
    return status;
}

void sm_trainer_free(sm_trainer *trainer)
{
    if (!trainer) {
        return;
    }
    void *const memory[] = {trainer->segments,       trainer->segment_steps,
                            trainer->buffers_before, trainer->valid,
                            trainer->sums,           trainer->active,
                            trainer->loss,           trainer->loss_slope,
                            trainer->log_variance,   trainer->weights.weight,
                            trainer->weights.slope,  trainer->record.task_loss,
                            trainer->record.weight,  trainer->record.log_variance,
                            trainer->record.sigma,   trainer->waits,
                            trainer->blocks,         trainer->node_gradients};
    sm_reduction_free(trainer->reduction);
    sm_tree_sum_free(trainer->tree);
    sm_reduction_free_values(trainer->gradients);
    sm_node_memory_free(trainer->shared);
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        sm_free(memory[i]);
    }
    sm_optimizer_free(trainer->optimizer);
    sm_schedule_free(trainer->schedule);
    sm_engine_free(trainer->engine);
    sm_free(trainer);
}

/* Slices are in the order of adding: the network's first, then one log-variance a task. */
static int network_segments(const sm_trainer *trainer)
{
    return trainer->session->parameters->parameters.count - trainer->session->task_count;
}

/* In memory it is the other way round. */
static size_t first_network_float(const sm_trainer *trainer)
{
    return trainer->session->parameters->parameters.items[network_segments(trainer) - 1].offset;
}

void sm_trainer_bind(sm_trainer *trainer)
{
    sm_engine_bind(trainer->session, trainer->engine);
    trainer->engine->run.base[SM_REGION_GRADIENTS] = (char *)trainer->gradients;
    for (int i = 0; is_reproducible(trainer) && i < trainer->session->sum_nodes; i++) {
        float *node = sm_plan_node_gradient(trainer->engine->plan, &trainer->engine->run, i);
        memset(node, 0, parameter_floats(trainer) * sizeof *node);
        trainer->node_gradients[i] = node + first_network_float(trainer);
    }
}

/* ---- reductions of the step ---- */

static void reduce_statistics(void *user, double *values, size_t count)
{
    sm_comm_sum_double(((sm_trainer *)user)->session->comm, values, count);
}

static void reduce_nodes(void *user, double *rows, size_t count)
{
    sm_tree_sum_double(((sm_trainer *)user)->tree, rows, count);
}

/* Which samples of the batch every rank has, for the sums of this step. */
static void set_blocks(sm_trainer *trainer, int64_t count_global)
{
    int size = sm_comm_size(trainer->session->comm);
    size_t others = (size_t)trainer->session->sum_nodes - 1;
    char *partials = trainer->engine->run.base[SM_REGION_PARTIALS];
    for (int r = 0; r < size; r++) {
        int64_t share;
        sm_sampler_share(count_global, r, size, &trainer->blocks[r], &share);
        trainer->blocks[r + 1] = trainer->blocks[r] + share;
    }
    sm_tree_sum_set_blocks(trainer->tree, trainer->blocks,
                           partials + others * parameter_floats(trainer) * sizeof(float));
}

static void send_gradients(void *user, size_t complete)
{
    sm_reduction_progress(((sm_trainer *)user)->reduction, complete);
}

static void trace_op(void *user, const sm_call *call, double begin, double end)
{
    const sm_trainer *trainer = user;
    sm_trace_add(trainer->trace, SM_TRACE_OP, begin, end, "%s %s", trainer->engine->graph->ops[call->op].name,
                 call->label);
}

/* Counts of valid pixels of the whole step; a rank whose loader failed says so in the same message. */
static sm_status share_counts(sm_trainer *trainer, const sm_batch *const *batch, sm_status loaded)
{
    const sm_session *session = trainer->session;
    size_t tasks = (size_t)session->task_count;
    for (size_t i = 0; i < tasks; i++) {
        trainer->valid[i] = loaded == SM_OK && *batch ? (*batch)->valid_step[i] : 0;
    }
    trainer->valid[tasks] = loaded != SM_OK;
    sm_comm_sum_int64(session->comm, trainer->valid, tasks + 1);
    if (trainer->valid[tasks] > 0) {
        return sm_comm_agree(session->comm, loaded);
    }
    for (size_t i = 0; i < tasks; i++) {
        trainer->active[i] = trainer->valid[i] > 0;
    }
    return SM_OK;
}

static double inverse_temperature(const sm_trainer *trainer, int task)
{
    int scaled = trainer->session->weighting->tasks[task].likelihood->scales_logits &&
                 trainer->session->weighting->kind->learns_log_variances;
    return scaled ? exp(-trainer->log_variance[task]) : 1;
}

/* Samples whose losses and their gradients are computed together. */
static int samples_at_once(const sm_trainer *trainer, const sm_batch *batch)
{
    return is_reproducible(trainer) ? 1 : batch->count_local;
}

static const void *target_of(const sm_batch *batch, const sm_task *task, int task_index, size_t first_pixel)
{
    return (const char *)batch->target[task_index] + first_pixel * (size_t)task->kind->target_bytes_per_pixel;
}

/* \param [in,out] sums  2 a task */
static void add_losses_of(const sm_trainer *trainer, const sm_batch *batch, int first, int count, double *sums)
{
    const sm_session *session = trainer->session;
    size_t area = (size_t)batch->height * (size_t)batch->width, begin = (size_t)first * area;
    for (int i = 0; i < session->task_count; i++) {
        const sm_task *task = session->tasks[i];
        const float *logits = sm_plan_output(trainer->engine->plan, &trainer->engine->run, i);
        sm_loss_sums task_sums = task->kind->loss_forward(
            task, (size_t)count * area, logits + begin * (size_t)task->channels, target_of(batch, task, i, begin),
            inverse_temperature(trainer, i), session->settings.threads);
        sums[2 * i] += task_sums.loss;
        sums[2 * i + 1] += task_sums.slope;
    }
}

/* Reproducible: a row of sums a sample. */
static void add_losses(sm_trainer *trainer, const sm_batch *batch)
{
    int at_once = samples_at_once(trainer, batch);
    size_t row = is_reproducible(trainer) ? 2 * (size_t)trainer->session->task_count : 0;
    for (int first = 0; first < batch->count_local; first += at_once) {
        add_losses_of(trainer, batch, first, at_once, trainer->sums + (size_t)first * row);
    }
}

/* Every rank learns the same losses, and whether someone was asked to stop. */
static void share_losses(sm_trainer *trainer, int stop)
{
    size_t tasks = (size_t)trainer->session->task_count;
    if (is_reproducible(trainer)) {
        int64_t stops = stop;
        sm_sum_sample_rows(&trainer->engine->run, trainer->sums, 2 * tasks);
        sm_comm_max_int64(trainer->session->comm, &stops, 1);
        trainer->stop_requested |= stops > 0;
    } else {
        trainer->sums[2 * tasks] = stop;
        sm_comm_sum_double(trainer->session->comm, trainer->sums, 2 * tasks + 1);
        trainer->stop_requested |= trainer->sums[2 * tasks] > 0;
    }
    for (size_t i = 0; i < tasks; i++) {
        trainer->loss[i] = trainer->active[i] ? trainer->sums[2 * i] / (double)trainer->valid[i] : 0;
        trainer->loss_slope[i] = trainer->active[i] ? trainer->sums[2 * i + 1] / (double)trainer->valid[i] : 0;
    }
}

static void weigh(sm_trainer *trainer)
{
    sm_weighting_weigh(trainer->session->weighting, trainer->loss, trainer->loss_slope, trainer->log_variance,
                       trainer->active, &trainer->weights);
}

static void seed_gradients_of(const sm_trainer *trainer, const sm_batch *batch, int first, int count)
{
    const sm_session *session = trainer->session;
    size_t area = (size_t)batch->height * (size_t)batch->width, begin = (size_t)first * area;
    for (int i = 0; i < session->task_count; i++) {
        const sm_task *task = session->tasks[i];
        double scale = trainer->active[i] ? trainer->weights.weight[i] / (double)trainer->valid[i] : 0;
        float *gradient = sm_plan_output_gradient(trainer->engine->plan, &trainer->engine->run, i);
        const float *logits = sm_plan_output(trainer->engine->plan, &trainer->engine->run, i);
        size_t offset = begin * (size_t)task->channels;
        if (gradient) {
            task->kind->loss_backward(task, (size_t)count * area, logits + offset, target_of(batch, task, i, begin),
                                      inverse_temperature(trainer, i), scale, gradient + offset,
                                      session->settings.threads);
        }
    }
}

static void seed_gradients(const sm_trainer *trainer, const sm_batch *batch)
{
    int at_once = samples_at_once(trainer, batch);
    for (int first = 0; first < batch->count_local; first += at_once) {
        seed_gradients_of(trainer, batch, first, at_once);
    }
}

/* d total/d s is the same number on every rank: rank 0 contributes it to the sum, the others zero. The tree leaves it
 * out. */
static void write_log_variance_gradients(sm_trainer *trainer)
{
    const sm_session *session = trainer->session;
    float *gradients = trainer->gradients;
    double limit = session->weighting->gradient_limit;
    for (int i = 0; i < session->task_count; i++) {
        double slope = trainer->weights.slope[i];
        if (limit > 0) {
            slope = fmax(-limit, fmin(limit, slope));
        }
        size_t offset = session->parameters->parameters.items[session->log_variances[i]].offset;
        gradients[offset] = sm_comm_rank(session->comm) == 0 || is_reproducible(trainer) ? (float)slope : 0;
    }
}

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

/* A decoder that learnt nothing in this step keeps its running statistics too. */
static void keep_inactive_statistics(sm_trainer *trainer)
{
    const sm_slices *buffers = &trainer->session->parameters->buffers;
    for (int i = 0; i < buffers->count; i++) {
        const sm_slice *slice = &buffers->items[i];
        if (slice->task >= 0 && !trainer->active[slice->task]) {
            memcpy(trainer->session->buffers + slice->offset, trainer->buffers_before + slice->offset,
                   slice->count * sizeof(float));
        }
    }
}

/* ---- update ---- */

static void set_segments(sm_trainer *trainer)
{
    const sm_session *session = trainer->session;
    const sm_slices *slices = &session->parameters->parameters;
    double scale = session->weighting->learning_rate_scale;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        int active = !slice->frozen && (slice->task < 0 || trainer->active[slice->task]);
        if (slice->log_variance) {
            active = active && session->weighting->kind->learns_log_variances;
        }
        size_t begin = slice->offset > trainer->share_begin ? slice->offset : trainer->share_begin;
        size_t end =
            slice->offset + slice->count < trainer->share_end ? slice->offset + slice->count : trainer->share_end;
        trainer->segments[i] =
            (sm_segment){begin, begin < end ? end - begin : 0,
                         slice->log_variance ? (float)scale * slice->learning_rate_scale : slice->learning_rate_scale,
                         slice->decay, active};
    }
}

/* This rank's share. */
static void update(sm_trainer *trainer, double learning_rate, double norm)
{
    sm_session *session = trainer->session;
    const float *gradients = trainer->gradients;
    int network = network_segments(trainer), threads = session->settings.threads;
    double clip = sm_gradient_clip_scale(norm, trainer->optimizer->clip_norm);
    sm_optimizer_step(trainer->optimizer, trainer->segments, network, learning_rate, clip, session->values, gradients,
                      trainer->state, trainer->segment_steps, threads);
    sm_optimizer_step(trainer->optimizer, trainer->segments + network, session->task_count, learning_rate, 1,
                      session->values, gradients, trainer->state, trainer->segment_steps + network, threads);
    for (int i = 0; i < session->task_count; i++) {
        const sm_segment *own = &trainer->segments[session->log_variances[i]];
        sm_project(session->values + own->offset, own->count, session->weighting->lower, session->weighting->upper,
                   trainer->state[0] ? trainer->state[0] + own->offset : NULL);
    }
    if (trainer->average) {
        int64_t earlier_updates = trainer->step - 1 - trainer->skipped;
        double decay = sm_ema_decay_at(trainer->optimizer->ema_decay, earlier_updates);
        size_t begin = trainer->share_begin;
        sm_ema_update(trainer->average + begin, session->values + begin, trainer->share_end - begin, decay, threads);
    }
}

static int all_finite(const sm_trainer *trainer)
{
    int finite = isfinite(trainer->weights.total);
    for (int i = 0; i < trainer->session->task_count; i++) {
        finite = finite && isfinite(trainer->loss[i]) && isfinite(trainer->weights.weight[i]) &&
                 isfinite(trainer->weights.slope[i]);
    }
    return finite;
}

/* ---- the step ---- */

static void set_run(sm_trainer *trainer, const sm_batch *batch, int64_t samples_of_statistics)
{
    sm_run *run = &trainer->engine->run;
    sm_engine_set_batch(trainer->engine, batch, samples_of_statistics);
    run->step = (uint64_t)trainer->step;
    run->accumulate = batch->micro_batch > 0;
    run->reduce = sm_comm_size(trainer->session->comm) > 1 ? reduce_statistics : NULL;
    run->reduce_nodes = run->reduce ? reduce_nodes : NULL;
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

static void fill_record(sm_trainer *trainer, const sm_batch *batch, double learning_rate, double norm, int applied,
                        double begin)
{
    const sm_weighting *weighting = trainer->session->weighting;
    sm_step_record *record = &trainer->record;
    double seconds = sm_seconds() - begin;
    record->step_seconds = seconds;
    record->step = trainer->step;
    record->epoch = batch->epoch;
    record->applied = applied;
    record->learning_rate = learning_rate;
    record->loss = trainer->weights.total;
    record->gradient_norm = norm;
    record->images_per_second = (double)batch->count_global / seconds;
    for (int i = 0; i < weighting->count; i++) {
        int active = trainer->active[i];
        record->task_loss[i] = active ? trainer->loss[i] : NAN;
        record->weight[i] = active ? trainer->weights.weight[i] : NAN;
        int learned = weighting->kind->learns_log_variances;
        record->log_variance[i] = learned ? trainer->log_variance[i] : NAN;
        record->sigma[i] = learned ? weighting->tasks[i].likelihood->sigma(trainer->log_variance[i]) : NAN;
    }
}

/* Where micro-batches come from. */
typedef struct batch_source {
    sm_batch_next next;
    void *user;
} batch_source;

static void begin_step(sm_trainer *trainer)
{
    const sm_session *session = trainer->session;
    size_t tasks = (size_t)session->task_count;
    for (size_t i = 0; i < tasks; i++) {
        trainer->log_variance[i] = *sm_session_log_variance(session, (int)i);
        trainer->loss[i] = trainer->loss_slope[i] = 0;
    }
    memset(trainer->sums, 0, trainer->sums_count * sizeof *trainer->sums);
    memcpy(trainer->buffers_before, session->buffers, session->parameters->buffers.floats * sizeof(float));
    trainer->step++;
}

/* Forward and backward of all micro-batches. The losses of the whole step are known after the last forward: the weights of
 * earlier micro-batches do not depend on them (sm_trainer_new() refuses weightings that would).
 * \param [in,out] batch  the first micro-batch; then the last
 * \param [out] applied  0 if a loss is not finite */
static sm_status run_micro_batches(sm_trainer *trainer, const batch_source *source, int stop, const sm_batch **batch,
                                   int64_t *rows, int *applied)
{
    sm_status status = SM_OK;
    sm_engine *engine = trainer->engine;
    *rows = 0;
    *applied = 1;
    sm_plan_prepare(engine->plan, &engine->run);
    for (;;) {
        int last = (*batch)->micro_batch + 1 == (*batch)->micro_batches;
        set_run(trainer, *batch, micro_batch_samples(trainer, *batch));
        *rows += (*batch)->count_local;
        sm_comm_set_phase("forward", trainer->step, (*batch)->micro_batch);
        sm_plan_forward(engine->plan, &engine->run);
        add_losses(trainer, *batch);
        if (last) {
            share_losses(trainer, stop);
        }
        weigh(trainer);
        if (last && !all_finite(trainer)) {
            *applied = 0;
            break;
        }
        if (last) {
            write_log_variance_gradients(trainer);
        }
        seed_gradients(trainer, *batch);
        if (last && trainer->reduction) { /* what later micro-batches add to is not final */
            sm_reduction_begin(trainer->reduction);
            engine->run.progress = send_gradients;
        }
        sm_comm_set_phase("backward", trainer->step, (*batch)->micro_batch);
        sm_plan_backward(engine->plan, &engine->run);
        if (last) {
            break;
        }
        SM_TRY(sm_comm_agree(trainer->session->comm, source->next(source->user, batch)));
    }
done:
    return status;
}

static void trace_buckets(const sm_trainer *trainer)
{
    size_t count = 0;
    const sm_reduction_bucket_times *buckets =
        trainer->trace && trainer->reduction ? sm_reduction_trace(trainer->reduction, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        sm_trace_add(trainer->trace, SM_TRACE_BUCKET, buckets[i].started_seconds, buckets[i].finished_seconds,
                     "bucket %zu: %.2f MB", i, (double)buckets[i].count * sizeof(float) * 1e-6);
    }
}

/* \return 0 if the summed gradients are not finite: nothing was updated. */
static int reduce_and_update(sm_trainer *trainer, double learning_rate, int64_t rows, int64_t count_global,
                             double *norm)
{
    sm_session *session = trainer->session;
    double begin = sm_seconds();
    sm_comm_set_phase("reduction", trainer->step, -1);
    if (trainer->reduction) {
        sm_reduction_finish(trainer->reduction);
    } else {
        sm_tree_sum_float(trainer->tree, trainer->node_gradients,
                          parameter_floats(trainer) - first_network_float(trainer));
    }
    sm_trace_add(trainer->trace, SM_TRACE_WAIT, begin, sm_seconds(), "end of the reduction");
    trace_buckets(trainer);
    set_segments(trainer);
    double own =
        sm_gradient_squares(trainer->segments, network_segments(trainer), trainer->gradients, parameter_floats(trainer),
                            trainer->first_block, trainer->last_block, session->settings.threads, trainer->squares);
    int64_t broken = !isfinite(own);
    sm_comm_max_int64(session->comm, &broken, 1); /* from here on nobody needs the parameters as they are */
    *norm = sm_gradient_norm_of(trainer->squares);
    if (broken) {
        return 0;
    }
    if (session->settings.batch_norm == SM_BATCH_NORM_LOCAL && sm_comm_size(session->comm) > 1) {
        average_running_statistics(trainer, rows, count_global);
    }
    keep_inactive_statistics(trainer);
    update(trainer, learning_rate, *norm);
    begin = sm_seconds();
    sm_session_settle(session);
    sm_trace_add(trainer->trace, SM_TRACE_WAIT, begin, sm_seconds(), "updates of the node");
    return 1;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(double *values, int count, double summary[3])
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    summary[0] = values[0];
    summary[1] = values[count / 2];
    summary[2] = values[count - 1];
}

/* Who waits for whom: one small message a step. */
static void gather_waits(sm_trainer *trainer, double data_wait)
{
    int size = sm_comm_size(trainer->session->comm);
    const double own[2] = {data_wait, sm_comm_take_waited_seconds()};
    double *all = trainer->waits + 2 * size;
    sm_comm_gather_double(trainer->session->comm, own, 2, all);
    for (int r = 0; r < size; r++) {
        trainer->waits[r] = all[2 * r];
        trainer->waits[size + r] = all[2 * r + 1];
    }
    summarise(trainer->waits, size, trainer->record.data_wait);
    summarise(trainer->waits + size, size, trainer->record.communication_wait);
}

sm_status sm_trainer_step_from(sm_trainer *trainer, sm_batch_next next, void *user, int stop, int *done)
{
    sm_status status = SM_OK;
    sm_session *session = trainer->session;
    const batch_source source = {next, user};
    const sm_batch *batch = NULL;
    double begin = sm_seconds(), norm = NAN;
    double learning_rate = sm_schedule_at(trainer->schedule, trainer->step);
    int64_t rows;
    int applied;

    if (trainer->trace) {
        sm_trace_begin_step(trainer->trace, session->comm, trainer->step + 1);
    }
    sm_comm_set_phase("data", trainer->step + 1, -1);
    SM_TRY(share_counts(trainer, &batch, next(user, &batch)));
    *done = !batch;
    if (*done) {
        goto done;
    }
    begin_step(trainer);
    if (trainer->tree) {
        set_blocks(trainer, batch->count_global);
    }
    SM_TRY(run_micro_batches(trainer, &source, stop, &batch, &rows, &applied));
    applied = applied && reduce_and_update(trainer, learning_rate, rows, batch->count_global, &norm);
    trainer->skipped_in_a_row = applied ? 0 : trainer->skipped_in_a_row + 1;
    trainer->skipped += !applied;
    if (!applied) {
        memcpy(session->buffers, trainer->buffers_before, session->parameters->buffers.floats * sizeof(float));
    }
    trainer->position = batch->position + batch->count_global;
    fill_record(trainer, batch, learning_rate, norm, applied, begin);
    gather_waits(trainer, batch->wait_seconds);
    sm_trace_add(trainer->trace, SM_TRACE_STEP, begin, sm_seconds(), "step %lld", (long long)trainer->step);
    if (session->settings.check_interval > 0 && trainer->step % session->settings.check_interval == 0) {
        SM_TRY(sm_comm_checksum_agrees(session->comm, session->values, parameter_floats(trainer) * sizeof(float),
                                       "parameters"));
    }
    if (trainer->skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW) {
        SM_TRY(sm_fail(SM_ERR_NUMERIC, "step %lld: %d steps in a row had non-finite losses or gradients",
                       (long long)trainer->step, MOST_SKIPPED_IN_A_ROW));
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
