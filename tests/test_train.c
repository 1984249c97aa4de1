/* ranks: 1 2 3 4 */
/* Training steps over ranks. The oracle is mostly the run of one rank on the same global batches (rank 0 alone,
 * sm_comm_self). */
#include "tiny_run.h"

#include "train/batch_sums.h"
#include "train/step_losses.h"

#include <sigmatic/io/h5.h>
#include <sigmatic/optim/ema.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what a run of some steps leaves ---- */

typedef struct outcome {
    int steps;
    size_t floats, buffer_floats;
    float *before, *values, *buffers, *momentum;
    double loss[8][TINY_TASKS], norm[8];
} outcome;

static void outcome_free(outcome *o)
{
    sm_free(o->before);
    sm_free(o->values);
    sm_free(o->buffers);
    sm_free(o->momentum);
}

static void record_steps(tiny_run *run, int steps, outcome *o)
{
    *o = (outcome){.steps = steps, .floats = tiny_parameter_floats(run), .buffer_floats = tiny_buffer_floats(run)};
    o->before = tiny_copy(run->session->values, o->floats);
    for (int i = 0; i < steps; i++) {
        tiny_steps(run, 1);
        memcpy(o->loss[i], run->trainer->record.task_loss, sizeof o->loss[i]);
        o->norm[i] = run->trainer->record.gradient_norm;
        CU_ASSERT(run->trainer->record.applied);
    }
    o->values = tiny_copy(run->session->values, o->floats);
    o->buffers = tiny_copy(run->session->buffers, o->buffer_floats);
    o->momentum = tiny_copy(run->trainer->update->state[0], o->floats);
}

/* What rank 0 did alone, told to everybody. */
static void share_outcome(outcome *o)
{
    int is_root = sm_comm_rank(test_comm) == 0;
    outcome root = *o;
    sm_comm_broadcast(test_comm, &root, sizeof root, 0);
    float **const from[] = {&o->before, &o->values, &o->momentum, &o->buffers};
    float **const to[] = {&root.before, &root.values, &root.momentum, &root.buffers};
    for (int i = 0; i < 4; i++) {
        size_t bytes = (i < 3 ? root.floats : root.buffer_floats) * sizeof(float);
        *to[i] = is_root ? *from[i] : sm_alloc(bytes);
        sm_comm_broadcast(test_comm, *to[i], bytes, 0);
    }
    *o = root;
}

/* One way to make some steps. */
typedef struct way {
    const char *const *sets;
    int alone;                      /* rank 0 works on the whole batch; else all ranks together */
    void (*prepare)(tiny_run *run); /* before the first step; or NULL */
} way;

static outcome record(const way *w, int steps, const char *seed)
{
    tiny_run run;
    outcome o = {0};
    sm_config *config = tiny_config(w->sets);
    SM_TEST_OK(sm_config_set(config, seed));
    if (!w->alone || sm_comm_rank(test_comm) == 0) {
        tiny_open(&run, w->alone ? sm_comm_self() : test_comm, config);
        if (w->prepare) {
            w->prepare(&run);
        }
        record_steps(&run, steps, &o);
        tiny_close(&run);
    } else {
        sm_config_free(config);
    }
    if (w->alone) {
        share_outcome(&o);
    }
    return o;
}

/* ---- comparing two of them ---- */

/* ||a - b|| relative to the update of b, beyond what rounding the parameters (float, once a step) explains. */
static double update_error(const outcome *a, const outcome *b, const sm_slice *slice)
{
    double difference = 0, update = 0, size = 0;
    for (size_t i = slice->offset; i < slice->offset + slice->count; i++) {
        difference += pow((double)a->values[i] - b->values[i], 2);
        update += pow((double)b->values[i] - b->before[i], 2);
        size += pow(b->values[i], 2);
    }
    double beyond = sqrt(difference) - 6e-8 * a->steps * sqrt(size);
    return (beyond < 0 ? 0 : beyond) / sqrt(update); /* fmax() would make 0 of a NaN */
}

typedef struct worst {
    double error;
    const char *where;
} worst;

static void note(worst *w, double error, const char *where)
{
    if (sm_test_worse(&w->error, error)) {
        w->where = where;
    }
}

/* The largest relative difference of a running statistic or a loss: no kink makes them jump. */
static worst forward_difference(const sm_parameters *parameters, const outcome *a, const outcome *b)
{
    worst w = {0, "nothing"};
    for (int i = 0; i < parameters->buffers.count; i++) {
        const sm_slice *slice = &parameters->buffers.items[i];
        note(&w, sm_test_relative_error(a->buffers + slice->offset, b->buffers + slice->offset, slice->count),
             slice->name);
    }
    for (int i = 0; i < a->steps; i++) {
        for (int task = 0; task < TINY_TASKS; task++) {
            note(&w, fabs(a->loss[i][task] / b->loss[i][task] - 1), "a loss");
        }
    }
    return w;
}

/* The same, or of the updates p_after - p_before of any tensor, its momentum or a gradient norm. */
static worst difference(const sm_parameters *parameters, const outcome *a, const outcome *b)
{
    worst w = forward_difference(parameters, a, b);
    for (int i = 0; i < parameters->parameters.count; i++) {
        const sm_slice *slice = &parameters->parameters.items[i];
        if (!slice->frozen) {
            note(&w, update_error(a, b, slice), slice->name);
            note(&w, sm_test_relative_error(a->momentum + slice->offset, b->momentum + slice->offset, slice->count),
                 slice->name);
        }
    }
    for (int i = 0; i < a->steps; i++) {
        note(&w, fabs(a->norm[i] / b->norm[i] - 1), "the gradient norm");
    }
    return w;
}

/* Expects the same steps from both ways, for most of three seeds: once in a while an activation lies within rounding of
 * 0 and a ReLU's gradient is there for one of them and not for the other. A mistake is there for every seed. */
static void expect_same_steps(const way *one, const way *other, int steps, double bound)
{
    static const char *const seeds[] = {"run.seed=1", "run.seed=2", "run.seed=3"};
    int good = 0;
    worst found[3];
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(one->sets));
    for (int i = 0; i < 3; i++) {
        outcome a = record(one, steps, seeds[i]), b = record(other, steps, seeds[i]);
        CU_ASSERT(a.floats == b.floats && tiny_same_bits(a.before, b.before, a.floats));
        found[i] = difference(run.session->parameters, &a, &b);
        good += found[i].error <= bound;
        tiny_same_on_all_ranks(a.values, a.floats);
        tiny_same_on_all_ranks(a.buffers, a.buffer_floats);
        tiny_same_on_all_ranks(a.momentum, a.floats);
        outcome_free(&a);
        outcome_free(&b);
    }
    CU_ASSERT(good >= 2);
    for (int i = 0; i < 3 && good < 2 && sm_comm_rank(test_comm) == 0; i++) {
        fprintf(stderr, "%s: %s differs by %g, at most %g expected\n", seeds[i], found[i].where, found[i].error, bound);
    }
    tiny_close(&run);
}

/* ---- ranks ---- */

/* Small images, so that few activations can lie near 0, and small steps, so that rounding (1e-6 after the first) does
 * not grow. */
#define QUIET "data.height=32", "data.width=48", "optimizer.learning_rate=0.0005"

/* Puts the run where the other one was after its steps. Collective over the run's ranks. */
static void continue_from(tiny_run *run, const outcome *o)
{
    memcpy(run->session->buffers, o->buffers, o->buffer_floats * sizeof(float));
    sm_session_wait_for_node(run->session);
    if (sm_session_writes(run->session)) {
        memcpy(run->session->values, o->values, o->floats * sizeof(float));
        memcpy(run->trainer->update->state[0], o->momentum, o->floats * sizeof(float));
    }
    sm_session_wait_for_node(run->session);
}

/* Five steps of rank 0 alone, and each again on all ranks from where it began: rounding does not add up, so what one step
 * allows, 1e-5 (8e-6 measured: sums of 1e4 floats, through twenty layers and back), holds for each. Losses and running
 * statistics always keep to 1e-6 (1.2e-7 measured). \return how many steps' gradients do */
static int same_step_by_step(const char *const *sets, int seed)
{
    tiny_run alone, all;
    int is_root = sm_comm_rank(test_comm) == 0, good = 0;
    char *set = sm_format("run.seed=%d", seed);
    for (int i = 0; i < 2; i++) {
        sm_config *config = tiny_config(sets);
        SM_TEST_OK(sm_config_set(config, set));
        if (i == 1) {
            tiny_open(&all, test_comm, config);
        } else if (is_root) {
            tiny_open(&alone, sm_comm_self(), config);
        } else {
            sm_config_free(config);
        }
    }
    for (int i = 0; i < 5; i++) {
        outcome one = {0}, many;
        if (is_root) {
            record_steps(&alone, 1, &one);
        }
        share_outcome(&one);
        record_steps(&all, 1, &many);
        CU_ASSERT(tiny_same_bits(one.before, many.before, one.floats));
        worst found = difference(all.session->parameters, &many, &one);
        if (!(found.error <= 1e-5) && is_root) {
            fprintf(stderr, "%s, step %d: %s differs by %g\n", set, i + 1, found.where, found.error);
        }
        good += found.error <= 1e-5;
        SM_TEST_AT_MOST(forward_difference(all.session->parameters, &many, &one).error, 1e-6);
        tiny_same_on_all_ranks(many.values, many.floats);
        tiny_same_on_all_ranks(many.buffers, many.buffer_floats);
        tiny_same_on_all_ranks(many.momentum, many.floats);
        continue_from(&all, &one);
        outcome_free(&one);
        outcome_free(&many);
    }
    if (is_root) {
        tiny_close(&alone);
    }
    tiny_close(&all);
    sm_free(set);
    return good;
}

/* 13 samples: batches of 5, 5, 3, 5, 5 (the third leaves rank 3 of 4 without samples), or of 7, 6, 7, 6, 7, split
 * unevenly over 2 and more ranks; and each sample has other numbers of valid pixels. */
static void any_number_of_ranks_makes_the_same_updates(void)
{
    static const char *const fives[] = {QUIET, "run.batch=5", NULL}, *const sevens[] = {QUIET, "run.batch=7",
                                                                                        "optimizer.clip_norm=2",
                                                                                        "model.dropout=0.3", NULL};
    int good = 0;
    for (int seed = 1; seed <= 3; seed++) {
        good += same_step_by_step(fives, seed) + same_step_by_step(sevens, seed);
    }
    CU_ASSERT(good >= 28); /* of 30: see expect_same_steps() of ReLUs near 0 */
}

static void one_step_differs_by_rounding_alone(void)
{
    static const char *const fives[] = {QUIET, "run.batch=5", NULL};
    expect_same_steps(&(way){.sets = fives}, &(way){.sets = fives, .alone = 1}, 1, 1e-5);
}

/* The pooled branch does not say anything any more: for two images its normalisation gives +-1, and its gradient is
 * rounding. */
static void silence_pooled_branch(tiny_run *run)
{
    const sm_slice *scale = sm_slices_find(&run->session->parameters->parameters, "aspp.convs.4.2.weight");
    memset(run->session->values + scale->offset, 0, scale->count * sizeof(float));
}

static void ranks_without_samples_change_nothing(void)
{
    static const char *const sets[] = {QUIET, "run.batch=2", "model.freeze=aspp.convs.4.*", NULL};
    expect_same_steps(&(way){.sets = sets, .prepare = silence_pooled_branch},
                      &(way){.sets = sets, .alone = 1, .prepare = silence_pooled_branch}, 3, 1e-4);
}

/* However gradients travel: all at once after backward, or in buckets while it runs, by messages or through shared
 * memory; also with micro-batches, of which only the last one's gradients are final. Messages of any bucket size add in
 * one order. */
static void ways_of_summing_gradients_agree(void)
{
#define BUCKETS "distributed.bucket_mib=0.01", "distributed.micro_batches=2"
    static const char *const blocking[] = {QUIET, BUCKETS, "distributed.reduction=blocking", NULL};
    static const char *const overlapped[] = {QUIET, BUCKETS, "distributed.reduction=overlapped", NULL};
    static const char *const large[] = {QUIET, "distributed.micro_batches=2", "distributed.reduction=overlapped", NULL};
    static const char *const shared[] = {QUIET, BUCKETS, "distributed.reduction=hierarchical", NULL};
    const char *const *const same[] = {overlapped, large};
    outcome a = record(&(way){.sets = blocking}, 4, "run.seed=1");
    for (int i = 0; i < 2; i++) {
        outcome b = record(&(way){.sets = same[i]}, 4, "run.seed=1");
        CU_ASSERT(tiny_same_bits(a.values, b.values, a.floats) && tiny_same_bits(a.momentum, b.momentum, a.floats));
        outcome_free(&b);
    }
    outcome_free(&a);
    expect_same_steps(&(way){.sets = shared}, &(way){.sets = blocking}, 1, 1e-5);
}

/* Of two nodes; within one they are the same memory. */
static void parameters_that_drift_apart_are_noticed(void)
{
    static const char *const sets[] = {"distributed.check_interval=2", NULL};
    int last = sm_comm_size(test_comm) - 1, done;
    sm_comm *comm = sm_test_nodes((last + 2) / 2);
    tiny_run run;
    tiny_open(&run, comm, tiny_config(sets));
    tiny_steps(&run, 2);
    if (sm_comm_rank(test_comm) == last && last > 0) {
        run.session->values[tiny_parameter_floats(&run) - 64] *= 1.000001f; /* a weight of the first layer */
    }
    tiny_steps(&run, 1);
    sm_status status = sm_trainer_step(run.trainer, run.loader, 0, &done);
    CU_ASSERT(last == 0 ? status == SM_OK : status != SM_OK);
    if (last > 0) {
        SM_TEST_MESSAGE("parameters");
    }
    tiny_close(&run);
    sm_comm_part_free(comm);
}

static void a_repeat_has_the_same_bits(void)
{
    static const char *const plain[] = {NULL};
    static const char *const other[] = {"optimizer.kind=adamw",         "model.dropout=0.3",  "optimizer.ema_decay=0.9",
                                        "distributed.batch_norm=local", "run.precision=high", NULL};
    const char *const *const cases[] = {plain, other};
    for (int i = 0; i < 2; i++) {
        way w = {.sets = cases[i]};
        outcome a = record(&w, 5, "run.seed=1"), b = record(&w, 5, "run.seed=1");
        CU_ASSERT(tiny_same_bits(a.values, b.values, a.floats));
        CU_ASSERT(tiny_same_bits(a.momentum, b.momentum, a.floats));
        CU_ASSERT(tiny_same_bits(a.buffers, b.buffers, a.buffer_floats));
        CU_ASSERT(memcmp(a.loss, b.loss, sizeof a.loss) == 0);
        outcome_free(&a);
        outcome_free(&b);
    }
}

/* ---- batches that somebody changed ---- */

typedef struct changed_source {
    tiny_run *run;
    void (*change)(sm_batch *batch, float *image, void *const *target);
    float *image;
    void *target[TINY_TASKS];
    int64_t valid[TINY_TASKS];
    sm_batch batch;
} changed_source;

static sm_status next_changed(void *user, const sm_batch **batch)
{
    changed_source *s = user;
    sm_status status = sm_loader_next(s->run->loader, batch);
    if (status != SM_OK || !*batch) {
        return status;
    }
    s->batch = **batch;
    size_t pixels = (size_t)s->batch.count_local * (size_t)s->batch.height * (size_t)s->batch.width;
    sm_free(s->image);
    s->image = tiny_copy(s->batch.input, 3 * pixels);
    for (int i = 0; i < TINY_TASKS; i++) {
        size_t bytes = pixels * s->run->builders[i].item_bytes;
        sm_free(s->target[i]);
        s->target[i] = memcpy(sm_alloc(bytes), s->batch.target[i], bytes);
        s->valid[i] = s->batch.valid[i];
    }
    s->batch.input = s->image;
    s->batch.target = (const void *const *)s->target;
    s->batch.valid = s->batch.valid_step = s->valid;
    s->change(&s->batch, s->image, s->target);
    *batch = &s->batch;
    return SM_OK;
}

static void changed_step(tiny_run *run, void (*change)(sm_batch *, float *, void *const *))
{
    changed_source source = {.run = run, .change = change};
    int done;
    SM_TEST_OK(sm_trainer_step_from(run->trainer, next_changed, &source, 0, &done));
    sm_free(source.image);
    for (int i = 0; i < TINY_TASKS; i++) {
        sm_free(source.target[i]);
    }
}

static void hide_instances(sm_batch *batch, float *image, void *const *target)
{
    (void)image;
    size_t floats = 2 * (size_t)batch->count_local * (size_t)batch->height * (size_t)batch->width;
    for (size_t i = 0; i < floats; i++) {
        ((float *)target[1])[i] = NAN;
    }
    ((int64_t *)batch->valid)[1] = 0;
}

static int belongs_to_instance(const sm_slice *slice)
{
    return strstr(slice->name, ".instance") != NULL;
}

/* Momentum from earlier steps must not move what the step does not train. */
static void a_task_without_targets_adds_nothing(void)
{
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(NULL));
    tiny_steps(&run, 2);
    outcome before, after;
    record_steps(&run, 0, &before);
    int64_t *updates = memcpy(sm_alloc(93 * sizeof *updates), run.trainer->update->updates, 93 * sizeof *updates);
    changed_step(&run, hide_instances);
    record_steps(&run, 0, &after);
    const sm_slices *slices = &run.session->parameters->parameters;
    CU_ASSERT(slices->count == 93);
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        int same_value = tiny_same_bits(before.values + slice->offset, after.values + slice->offset, slice->count);
        int same_momentum =
            tiny_same_bits(before.momentum + slice->offset, after.momentum + slice->offset, slice->count);
        CU_ASSERT(same_value == belongs_to_instance(slice) && same_momentum == belongs_to_instance(slice));
        CU_ASSERT(run.trainer->update->updates[i] - updates[i] == !belongs_to_instance(slice));
    }
    const sm_step_record *record = &run.trainer->record;
    CU_ASSERT(record->applied && isnan(record->task_loss[1]) && isnan(record->weight[1]) &&
              isfinite(record->task_loss[0]));
    /* the total has no term of it, not even s/2 */
    double s0 = record->log_variance[0], s2 = record->log_variance[2];
    double total = exp(-s0) * record->task_loss[0] + s0 / 2 + exp(-s2 / 2) * record->task_loss[2] + s2 / 2;
    SM_TEST_AT_MOST(fabs(record->loss - total), 1e-12);
    sm_free(updates);
    outcome_free(&before);
    outcome_free(&after);
    tiny_close(&run);
}

static void hide_instances_of_rank_0(sm_batch *batch, float *image, void *const *target)
{
    if (batch->first_local == 0) {
        hide_instances(batch, image, target);
    }
}

static void keep_all(sm_batch *batch, float *image, void *const *target)
{
    (void)batch;
    (void)image;
    (void)target;
}

/* One rank's pixels may be enough: the task is trained everywhere. */
static void a_task_with_targets_on_one_rank_is_trained(void)
{
    if (sm_comm_size(test_comm) == 1) {
        return;
    }
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(NULL));
    int64_t all, some;
    changed_step(&run, keep_all);
    all = run.trainer->losses->valid[1];
    tiny_close(&run);
    tiny_open(&run, test_comm, tiny_config(NULL));
    changed_step(&run, hide_instances_of_rank_0);
    some = run.trainer->losses->valid[1];
    CU_ASSERT(some > 0 && some < all && run.trainer->losses->active[1] && run.trainer->record.applied);
    CU_ASSERT(*sm_session_log_variance(run.session, 1) != 0);
    tiny_same_on_all_ranks(run.session->values, tiny_parameter_floats(&run));
    tiny_close(&run);
}

/* ---- numbers that are none ---- */

static void spoil_last_rank(sm_batch *batch, float *image, void *const *target)
{
    (void)target;
    if (sm_comm_rank(test_comm) == sm_comm_size(test_comm) - 1 && batch->count_local > 0) {
        image[7] = NAN;
    }
}

static void spoil_first_rank(sm_batch *batch, float *image, void *const *target)
{
    (void)target;
    if (batch->first_local == 0 && batch->count_local > 0) {
        image[7] = NAN;
    }
}

static void expect_skipped(tiny_run *run, void (*change)(sm_batch *, float *, void *const *))
{
    outcome before, after;
    int64_t step = run->trainer->step, position = run->trainer->position, skipped = run->trainer->skipped;
    record_steps(run, 0, &before);
    changed_step(run, change);
    record_steps(run, 0, &after);
    CU_ASSERT(!run->trainer->record.applied && run->trainer->skipped == skipped + 1 && run->trainer->step == step + 1);
    CU_ASSERT(run->trainer->position > position);
    CU_ASSERT(tiny_same_bits(before.values, after.values, before.floats));
    CU_ASSERT(tiny_same_bits(before.momentum, after.momentum, before.floats));
    CU_ASSERT(tiny_same_bits(before.buffers, after.buffers, before.buffer_floats));
    outcome_free(&before);
    outcome_free(&after);
}

static void a_nan_on_one_rank_skips_the_step_on_all(void)
{
    static const char *const modes[] = {"distributed.batch_norm=sync", "distributed.batch_norm=local",
                                        "distributed.batch_norm=frozen"};
    for (int i = 0; i < 3; i++) {
        const char *const sets[] = {modes[i], "optimizer.ema_decay=0.9", NULL};
        tiny_run run;
        tiny_open(&run, test_comm, tiny_config(sets));
        tiny_steps(&run, 1);
        expect_skipped(&run, spoil_last_rank);
        CU_ASSERT(run.trainer->skipped_in_a_row == 1);
        tiny_steps(&run, 1);
        CU_ASSERT(run.trainer->record.applied && run.trainer->skipped == 1 && run.trainer->skipped_in_a_row == 0);
        tiny_same_on_all_ranks(run.session->values, tiny_parameter_floats(&run));
        tiny_close(&run);
    }
}

/* The losses are finite, their gradients overflow: found by the vote on the gradients. */
static void gradients_that_overflow_skip_the_step(void)
{
    static const char *const sets[] = {"weighting.method=fixed", "task.semantic.weight=1e200", NULL};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    expect_skipped(&run, keep_all);
    CU_ASSERT(isfinite(run.trainer->record.loss) && !isfinite(run.trainer->record.gradient_norm));
    run.trainer->skipped_in_a_row = 99;
    int done;
    CU_ASSERT(sm_trainer_step(run.trainer, run.loader, 0, &done) == SM_ERR_NUMERIC);
    SM_TEST_MESSAGE("100 steps in a row");
    tiny_close(&run);
}

/* ---- log-variances ---- */

/* Nothing but s learns, from all 13 samples at once: the losses are constant, and s must settle where the closed form
 * says, on every number of ranks (a term added once a rank would move it). */
static void log_variances_settle_at_their_minimisers(void)
{
#define CONSTANT                                                                                                       \
    "model.freeze=backbone.*, aspp.*, decoders.*", "distributed.batch_norm=frozen", "data.flip=false",                 \
        "data.height=32", "data.width=48", "run.batch=13", "schedule.kind=constant", "optimizer.learning_rate=0.0025"
    static const char *const one[] = {CONSTANT,
                                      "task.semantic.log_variance=-2",
                                      "task.instance.log_variance=2",
                                      "task.depth.log_variance=5",
                                      "task.depth.loss=l2",
                                      NULL};
    static const char *const two[] = {CONSTANT,
                                      "task.semantic.log_variance=5",
                                      "task.instance.log_variance=-2",
                                      "task.depth.log_variance=0",
                                      "task.instance.likelihood=paper_l1",
                                      "task.depth.likelihood=paper_l1",
                                      NULL};
    const char *const *const cases[] = {one, two};
    for (int i = 0; i < 2; i++) {
        tiny_run run;
        tiny_open(&run, test_comm, tiny_config(cases[i]));
        tiny_steps(&run, 1);
        double first[TINY_TASKS];
        memcpy(first, run.trainer->record.task_loss, sizeof first);
        tiny_steps(&run, 119);
        for (int task = 0; task < TINY_TASKS; task++) {
            const sm_weighted_task *weighted = &run.session->weighting->tasks[task];
            SM_TEST_AT_MOST(fabs(run.trainer->record.task_loss[task] / first[task] - 1),
                            1e-6); /* another order of samples */
            double expected = weighted->likelihood->minimiser(first[task], weighted->shape);
            SM_TEST_AT_MOST(fabs(*sm_session_log_variance(run.session, task) - expected), 1e-2);
        }
        tiny_close(&run);
    }
}

/* ---- micro-batches, averages, running statistics ---- */

/* With frozen statistics nothing sees more than its own sample. */
static void micro_batches_add_up_to_the_batch(void)
{
#define FROZEN QUIET, "distributed.batch_norm=frozen", "run.batch=7"
    static const char *const whole[] = {FROZEN, NULL};
    static const char *const halves[] = {FROZEN, "distributed.micro_batches=2", NULL};
    static const char *const thirds[] = {FROZEN, "distributed.micro_batches=3", NULL};
    way all = {.sets = whole, .alone = 1};
    expect_same_steps(&(way){.sets = halves}, &all, 3, 1e-5);
    expect_same_steps(&(way){.sets = thirds}, &all, 3, 1e-5);
}

/* ---- parameters once a node ---- */

static int same_runs(const tiny_run *a, const tiny_run *b)
{
    size_t floats = tiny_parameter_floats(a), steps = (size_t)a->session->parameters->parameters.count;
    const sm_trainer *x = a->trainer, *y = b->trainer;
    const sm_update *u = x->update, *v = y->update;
    int same = tiny_same_bits(a->session->values, b->session->values, floats) &&
               tiny_same_bits(a->session->buffers, b->session->buffers, tiny_buffer_floats(a)) &&
               memcmp(u->updates, v->updates, steps * sizeof *u->updates) == 0 &&
               memcmp(&x->record.gradient_norm, &y->record.gradient_norm, sizeof(double)) == 0 && x->step == y->step &&
               x->skipped == y->skipped && !u->average == !v->average &&
               (!u->average || tiny_same_bits(u->average, v->average, floats));
    for (int i = 0; i < u->optimizer->kind->state_count; i++) {
        same = same && tiny_same_bits(u->state[i], v->state[i], floats);
    }
    return same;
}

/* Every rank for itself, or each a share for all of its node: the same bits. */
static void expect_same_bits_if_shared(sm_comm *comm, const char *const *sets)
{
    tiny_run shared, own;
    tiny_open(&shared, comm, tiny_config(sets));
    tiny_open_as(&own, comm, tiny_config(sets), 0);
    const sm_update *update = shared.trainer->update;
    int ranks = sm_node_memory_size(update->shared);
    CU_ASSERT(ranks > 1 || sm_comm_nodes(comm) > 1 || sm_comm_size(comm) == 1);
    CU_ASSERT(sm_node_memory_size(own.trainer->update->shared) == 1 &&
              sm_node_memory_size(shared.session->shared) == ranks);
    CU_ASSERT(ranks == 1 || update->own_end - update->own_begin < tiny_parameter_floats(&shared));
    for (int i = 0; i < 3; i++) {
        tiny_steps(&shared, 1);
        tiny_steps(&own, 1);
        CU_ASSERT(same_runs(&shared, &own));
        expect_skipped(&shared, spoil_first_rank);
        expect_skipped(&own, spoil_first_rank);
        CU_ASSERT(same_runs(&shared, &own));
    }
    sm_comm_barrier(comm); /* nobody reads any more what the next run may free */
    tiny_close(&shared);
    tiny_close(&own);
}

static void sharing_parameters_changes_no_bit(void)
{
    static const char *const plain[] = {NULL};
    static const char *const average[] = {"optimizer.ema_decay=0.9", "optimizer.clip_norm=0.1",
                                          "distributed.batch_norm=local", NULL};
    static const char *const adamw[] = {"optimizer.kind=adamw", "optimizer.ema_decay=0.9",
                                        "distributed.micro_batches=2", "distributed.bucket_mib=0.01", NULL};
    static const char *const blocking[] = {"distributed.reduction=blocking", NULL};
    static const char *const reproducible[] = {"distributed.reproducible=true", "optimizer.ema_decay=0.9", NULL};
    const char *const *const all[] = {plain, average, adamw, blocking, reproducible};
    for (int per_node = 0; per_node <= 2; per_node += 2) {
        sm_comm *comm = sm_test_nodes(per_node);
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            expect_same_bits_if_shared(comm, all[i]);
        }
        sm_comm_part_free(comm);
    }
}

/* average += (1 - d) (parameters - average) after every applied update, d = min(decay, (1 + t) / (10 + t)), t updates
 * before it. */
static void the_average_follows_the_applied_updates(void)
{
    static const char *const sets[] = {"optimizer.ema_decay=0.3", NULL};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    size_t floats = tiny_parameter_floats(&run);
    double *expected = sm_alloc(floats * sizeof *expected);
    for (size_t i = 0; i < floats; i++) {
        expected[i] = run.session->values[i];
    }
    for (int t = 0; t < 4; t++) {
        tiny_steps(&run, 1);
        double decay = sm_ema_decay_at(0.3, t);
        for (size_t i = 0; i < floats; i++) {
            expected[i] += (1 - decay) * (run.session->values[i] - expected[i]);
        }
        if (t == 0) {
            expect_skipped(&run, spoil_last_rank);
        }
    }
    double largest = 0;
    for (size_t i = 0; i < floats; i++) {
        sm_test_worse(&largest, fabs(run.trainer->update->average[i] - expected[i]) / (1 + fabs(expected[i])));
    }
    SM_TEST_AT_MOST(largest, 1e-6); /* four roundings of a float */
    sm_free(expected);
    tiny_close(&run);
}

/* The mean of means is the mean of all: the first layer sees the same images in both modes. */
static void local_statistics_are_averaged_over_ranks(void)
{
    static const char *const sets[] = {"distributed.batch_norm=local", NULL};
    outcome local = record(&(way){.sets = sets}, 1, "run.seed=1"), global = record(&(way){.alone = 1}, 1, "run.seed=1");
    tiny_same_on_all_ranks(local.buffers, local.buffer_floats);
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    const sm_slices *buffers = &run.session->parameters->buffers;
    const sm_slice *mean = sm_slices_find(buffers, "backbone.bn1.running_mean"),
                   *variance = sm_slices_find(buffers, "backbone.bn1.running_var");
    SM_TEST_AT_MOST(sm_test_relative_error(local.buffers + mean->offset, global.buffers + mean->offset, mean->count),
                    1e-5);
    /* the variance between ranks is missing */
    double error =
        sm_test_relative_error(local.buffers + variance->offset, global.buffers + variance->offset, variance->count);
    CU_ASSERT(sm_comm_size(test_comm) == 1 ? error == 0 : error > 1e-6);
    tiny_steps(&run, 3);
    tiny_same_on_all_ranks(run.session->buffers, tiny_buffer_floats(&run));
    tiny_same_on_all_ranks(run.session->values, tiny_parameter_floats(&run));
    outcome_free(&local);
    outcome_free(&global);
    tiny_close(&run);
}

static void frozen_statistics_stay(void)
{
    static const char *const sets[] = {"distributed.batch_norm=frozen", NULL};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    const sm_slices *buffers = &run.session->parameters->buffers;
    float *before = tiny_copy(run.session->buffers, tiny_buffer_floats(&run));
    tiny_steps(&run, 2);
    for (int i = 0; i < buffers->count; i++) {
        const sm_slice *slice = &buffers->items[i];
        CU_ASSERT(tiny_same_bits(before + slice->offset, run.session->buffers + slice->offset, slice->count));
    }
    sm_free(before);
    tiny_close(&run);
}

/* A decoder that is not trained needs no gradient of its output. */
static void a_frozen_decoder_is_no_obstacle(void)
{
    static const char *const sets[] = {"model.freeze=backbone.*, aspp.*, decoders.depth.*", NULL};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    outcome o;
    record_steps(&run, 2, &o);
    const sm_slices *slices = &run.session->parameters->parameters;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        CU_ASSERT(tiny_same_bits(o.before + slice->offset, o.values + slice->offset, slice->count) == slice->frozen);
    }
    outcome_free(&o);
    tiny_close(&run);
}

/* ---- fine-tuning ---- */

static int begins_with(const char *name, const char *beginning)
{
    return strncmp(name, beginning, strlen(beginning)) == 0;
}

static int is_early(const char *name)
{
    return begins_with(name, "backbone.conv1.") || begins_with(name, "backbone.bn1.") ||
           begins_with(name, "backbone.layer1.") || begins_with(name, "backbone.layer2.");
}

/* \return how many normalisations, early or late ones, take statistics of the batch */
static int batch_statistics(const tiny_run *run, int early)
{
    int count, found = 0;
    const sm_call *calls = sm_plan_calls(run->trainer->engine->plan, 1, &count);
    for (int i = 0; i < count; i++) {
        char *name = sm_format("%s.", run->trainer->engine->graph->ops[calls[i].op].name);
        found += strcmp(calls[i].label, "statistics") == 0 && is_early(name) == early;
        sm_free(name);
    }
    return found;
}

/* Parameters and running statistics of frozen stages keep their bits, on every way that statistics are made; all others move. */
static void frozen_stages_stay(void)
{
    static const char *const modes[] = {"distributed.batch_norm=sync", "distributed.batch_norm=local"};
    for (int m = 0; m < 2; m++) {
        const char *const sets[] = {"model.freeze=stem, layer1, layer2", modes[m], NULL};
        tiny_run run;
        tiny_open(&run, test_comm, tiny_config(sets));
        const sm_slices *slices = &run.session->parameters->parameters, *buffers = &run.session->parameters->buffers;
        float *statistics = tiny_copy(run.session->buffers, tiny_buffer_floats(&run));
        CU_ASSERT(batch_statistics(&run, 1) == 0 && batch_statistics(&run, 0) > 10);
        outcome o;
        record_steps(&run, 2, &o);
        for (int i = 0; i < slices->count; i++) {
            const sm_slice *slice = &slices->items[i];
            CU_ASSERT(tiny_same_bits(o.before + slice->offset, o.values + slice->offset, slice->count) ==
                      is_early(slice->name));
        }
        for (int i = 0; i < buffers->count; i++) {
            const sm_slice *slice = &buffers->items[i];
            CU_ASSERT(tiny_same_bits(statistics + slice->offset, o.buffers + slice->offset, slice->count) ==
                      is_early(slice->name));
        }
        sm_free(statistics);
        outcome_free(&o);
        tiny_close(&run);
    }
}

static int backward_calls(const tiny_run *run, const char *beginning)
{
    int count, found = 0;
    const sm_call *calls = sm_plan_calls(run->trainer->engine->plan, 2, &count);
    for (int i = 0; i < count; i++) {
        found += begins_with(run->trainer->engine->graph->ops[calls[i].op].name, beginning);
    }
    return found;
}

/* What is frozen changes nothing for the others where statistics are frozen anyhow, and costs no backward. */
static void frozen_stages_save_their_backward(void)
{
#define STILL "distributed.batch_norm=frozen", "optimizer.clip_norm=0"
    static const char *const all[] = {STILL, NULL}, *const late[] = {STILL, "model.freeze=stem, layer1, layer2", NULL};
    tiny_run a, b;
    outcome of_all, of_late;
    tiny_open(&a, test_comm, tiny_config(all));
    record_steps(&a, 1, &of_all);
    tiny_open(&b, test_comm, tiny_config(late));
    record_steps(&b, 1, &of_late);
    const sm_slices *slices = &b.session->parameters->parameters;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        if (!is_early(slice->name)) {
            CU_ASSERT(tiny_same_bits(of_all.values + slice->offset, of_late.values + slice->offset, slice->count));
        }
    }
    CU_ASSERT(backward_calls(&a, "backbone.conv1") > 0 && backward_calls(&a, "backbone.layer2.1") > 0);
    CU_ASSERT(backward_calls(&b, "backbone.conv1") == 0 && backward_calls(&b, "backbone.bn1") == 0);
    CU_ASSERT(backward_calls(&b, "backbone.layer1") == 0 && backward_calls(&b, "backbone.layer2") == 0);
    CU_ASSERT(backward_calls(&b, "backbone.layer3") > 0);
    if (sm_comm_size(test_comm) > 1) {
        CU_ASSERT(b.trainer->sums->trained < a.trainer->sums->trained);
    }
    outcome_free(&of_all);
    outcome_free(&of_late);
    tiny_close(&a);
    tiny_close(&b);
}

/* One step of plain descent is proportional to the rate. */
static void scales_of_stages_scale_their_steps(void)
{
    static const char *const plain[] = {"optimizer.clip_norm=0", "optimizer.weight_decay=0", NULL};
    static const char *const scaled[] = {"optimizer.clip_norm=0", "optimizer.weight_decay=0",
                                         "model.learning_rate_scales=backbone:0.25, decoders.depth.*:2", NULL};
    tiny_run a, b;
    outcome of_plain, of_scaled;
    tiny_open(&a, test_comm, tiny_config(plain));
    record_steps(&a, 1, &of_plain);
    tiny_open(&b, test_comm, tiny_config(scaled));
    record_steps(&b, 1, &of_scaled);
    const sm_slices *slices = &a.session->parameters->parameters;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        double scale = begins_with(slice->name, "backbone.")         ? 0.25
                       : begins_with(slice->name, "decoders.depth.") ? 2
                                                                     : 1;
        for (size_t j = slice->offset; j < slice->offset + slice->count; j++) {
            double one = (double)of_plain.values[j] - of_plain.before[j];
            double other = (double)of_scaled.values[j] - of_scaled.before[j];
            double rounding = 2.4e-7 * (fabs(of_plain.before[j]) + fabs(one) * (1 + scale)); /* of both sums */
            CU_ASSERT(fabs(other - scale * one) <= rounding * (1 + scale));
        }
    }
    outcome_free(&of_plain);
    outcome_free(&of_scaled);
    tiny_close(&a);
    tiny_close(&b);
}

/* Decay would pull sigma towards 1. */
static void log_variances_do_not_decay(void)
{
    static const char *const kinds[] = {"optimizer.kind=sgd", "optimizer.kind=adamw"};
    for (int k = 0; k < 2; k++) {
        const char *const plain[] = {kinds[k], "task.depth.log_variance=3", "optimizer.weight_decay=0", NULL};
        const char *const decayed[] = {kinds[k], "task.depth.log_variance=3", "optimizer.weight_decay=5", NULL};
        tiny_run a, b;
        tiny_open(&a, test_comm, tiny_config(plain));
        tiny_open(&b, test_comm, tiny_config(decayed));
        tiny_steps(&a, 1);
        tiny_steps(&b, 1);
        CU_ASSERT(!tiny_same_bits(a.session->values, b.session->values, tiny_parameter_floats(&a)));
        for (int task = 0; task < TINY_TASKS; task++) {
            CU_ASSERT(*sm_session_log_variance(a.session, task) == *sm_session_log_variance(b.session, task));
        }
        CU_ASSERT(fabs(*sm_session_log_variance(a.session, 2) - 3) > 1e-3); /* it does learn */
        sm_comm_barrier(test_comm);
        tiny_close(&a);
        tiny_close(&b);
    }
}

/* ---- memory ---- */

static float *values_after_steps(const char *const *sets, int evaluates)
{
    tiny_run run;
    double measured[TINY_VALUES];
    tiny_open(&run, test_comm, tiny_config(sets));
    tiny_steps(&run, 2);
    if (evaluates) {
        SM_TEST_OK(sm_evaluator_run(run.evaluator, &(sm_evaluation){0}, measured));
    }
    tiny_steps(&run, 2);
    float *values = tiny_copy(run.session->values, tiny_parameter_floats(&run));
    tiny_close(&run);
    return values;
}

/* Statistics are kept, so even their sums over ranks are the same. */
static void recomputing_blocks_makes_the_same_updates(void)
{
    static const char *const keeps[] = {"distributed.recompute=none", "model.dropout=0.2", NULL};
    static const char *const recomputes[] = {"distributed.recompute=blocks", "model.dropout=0.2", NULL};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(keeps));
    size_t count = tiny_parameter_floats(&run), kept = sm_engine_image_bytes(run.trainer->engine);
    tiny_close(&run);
    tiny_open(&run, test_comm, tiny_config(recomputes));
    size_t recomputed = sm_engine_image_bytes(run.trainer->engine);
    CU_ASSERT(recomputed > 0 && recomputed < kept);
    tiny_close(&run);
    float *a = values_after_steps(keeps, 0), *b = values_after_steps(recomputes, 0);
    CU_ASSERT(tiny_same_bits(a, b, count));
    sm_free(a);
    sm_free(b);
}

/* Both work in the same memory. */
static void an_evaluation_between_steps_changes_nothing(void)
{
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(NULL));
    size_t count = tiny_parameter_floats(&run);
    CU_ASSERT(run.trainer->engine->run.base[SM_REGION_PREPARED] == run.session->memory);
    tiny_close(&run);
    float *a = values_after_steps(NULL, 0), *b = values_after_steps(NULL, 1);
    CU_ASSERT(tiny_same_bits(a, b, count));
    sm_free(a);
    sm_free(b);
}

/* ---- evaluation ---- */

/* Read in one go, and in bands of few positions: 13 samples of 1 and 4 bytes a position, and a count. */
static void the_trivial_predictor_is_the_same_in_bands(void)
{
    tiny_run run;
    float *whole[TINY_TASKS], *bands[TINY_TASKS];
    tiny_open(&run, test_comm, tiny_config(NULL));
    SM_TEST_OK(sm_evaluator_learn_trivial(run.evaluator, run.train, 1 << 30, whole));
    SM_TEST_OK(sm_evaluator_learn_trivial(run.evaluator, run.train, 1000 * 69, bands));
    for (int t = 0; t < TINY_TASKS; t++) {
        size_t count = 64 * 96 * (size_t)run.session->tasks[t]->channels, set = 0;
        CU_ASSERT(tiny_same_bits(whole[t], bands[t], count));
        tiny_same_on_all_ranks(whole[t], count);
        for (size_t i = 0; i < count; i++) {
            set += whole[t][i] != 0;
        }
        CU_ASSERT(t == 1 ? set == 0 : set >= 64 * 96 / 2); /* the zero vector; a class everywhere, disparities */
        sm_free(whole[t]);
        sm_free(bands[t]);
    }
    tiny_close(&run);
}

static void evaluate_after_steps(sm_comm *comm, const char *const *sets, double *values)
{
    tiny_run run;
    tiny_open(&run, comm, tiny_config(sets));
    CU_ASSERT_FATAL(sm_evaluator_value_count(run.evaluator) <= TINY_VALUES);
    SM_TEST_OK(sm_evaluator_run(run.evaluator, &(sm_evaluation){0}, values));
    double again[TINY_VALUES] = {0};
    SM_TEST_OK(sm_evaluator_run(run.evaluator, &(sm_evaluation){0}, again));
    CU_ASSERT(memcmp(values, again, sizeof again) == 0); /* a NaN, too, is one of the same bits */
    tiny_close(&run);
}

/* Seven samples over 1 to 4 ranks, in batches of 5 over all. Shares of pixels are quotients of integers: the same bits;
 * sums of errors are added in another order. */
static void any_number_of_ranks_measures_the_same(void)
{
    static const char *const sets[] = {"distributed.batch_norm=sync", NULL};
    enum { IOU_AND_ACCURACY = 2 };
    double alone[TINY_VALUES] = {0}, together[TINY_VALUES] = {0};
    sm_free(tiny_dataset());
    if (sm_comm_rank(test_comm) == 0) {
        evaluate_after_steps(sm_comm_self(), sets, alone);
    }
    sm_comm_broadcast(test_comm, alone, sizeof alone, 0);
    evaluate_after_steps(test_comm, sets, together);
    for (int i = 0; i < TINY_VALUES; i++) {
        CU_ASSERT(isnan(alone[i]) == isnan(together[i]));
        CU_ASSERT(isnan(alone[i]) || fabs(together[i] - alone[i]) <= 1e-6 * fabs(alone[i]));
        if (i < IOU_AND_ACCURACY) {
            CU_ASSERT(alone[i] == together[i] && isfinite(alone[i]));
        }
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(any_number_of_ranks_makes_the_same_updates);
    SM_TEST(one_step_differs_by_rounding_alone);
    SM_TEST(ranks_without_samples_change_nothing);
    SM_TEST(ways_of_summing_gradients_agree);
    SM_TEST(parameters_that_drift_apart_are_noticed);
    SM_TEST(a_repeat_has_the_same_bits);
    SM_TEST(a_task_without_targets_adds_nothing);
    SM_TEST(a_task_with_targets_on_one_rank_is_trained);
    SM_TEST(a_nan_on_one_rank_skips_the_step_on_all);
    SM_TEST(gradients_that_overflow_skip_the_step);
    SM_TEST(log_variances_settle_at_their_minimisers);
    SM_TEST(micro_batches_add_up_to_the_batch);
    SM_TEST(sharing_parameters_changes_no_bit);
    SM_TEST(the_average_follows_the_applied_updates);
    SM_TEST(local_statistics_are_averaged_over_ranks);
    SM_TEST(frozen_statistics_stay);
    SM_TEST(a_frozen_decoder_is_no_obstacle);
    SM_TEST(frozen_stages_stay);
    SM_TEST(frozen_stages_save_their_backward);
    SM_TEST(scales_of_stages_scale_their_steps);
    SM_TEST(recomputing_blocks_makes_the_same_updates);
    SM_TEST(log_variances_do_not_decay);
    SM_TEST(an_evaluation_between_steps_changes_nothing);
    SM_TEST(the_trivial_predictor_is_the_same_in_bands);
    SM_TEST(any_number_of_ranks_measures_the_same);
    return sm_test_end();
}
