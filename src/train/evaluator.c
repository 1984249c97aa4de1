#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/train/evaluator.h>

#include "train/evaluator_private.h"
#include "train/predictions.h"

#include <math.h>
#include <string.h>

static int metric_count(const sm_task *task)
{
    int count = 0;
    while (task->kind->metrics[count].name) {
        count++;
    }
    return count;
}

/* Class ids are compared as numbers: they have to mean the same. */
static sm_status check_classes(const sm_task *task, const sm_dataset *dataset)
{
    const sm_target *target = sm_dataset_target(dataset, task->target->name);
    const sm_class_list *found = target ? target->classes : NULL, *learnt = task->target->classes;
    if (!found || !learnt) {
        return SM_OK;
    }
    if (found->count != learnt->count) {
        return sm_fail(SM_ERR_INPUT, "the evaluated dataset has %d classes of '%s', the training set %d", found->count,
                       target->name, learnt->count);
    }
    for (int c = 0; c < found->count; c++) {
        if (strcmp(found->names[c], learnt->names[c]) != 0) {
            return sm_fail(SM_ERR_INPUT,
                           "class %d of '%s' is '%s' in the evaluated dataset, but '%s' in the training set", c,
                           target->name, found->names[c], learnt->names[c]);
        }
    }
    return SM_OK;
}

/* Sums over samples are made in one order, whatever the number of ranks. */
static void make_sums(sm_evaluator *e)
{
    sm_comm *comm = e->session->comm;
    int size = sm_comm_size(comm), most_subtrees = 1;
    size_t sums = e->first_sum[e->session->task_count];
    int64_t total = sm_dataset_count(e->dataset);
    sm_subtree subtrees[SM_SUM_TREE_DEPTH];
    e->sums = sm_alloc((SM_SUM_TREE_DEPTH * sums + 1) * sizeof *e->sums);
    e->blocks = sm_alloc(((size_t)size + 1) * sizeof *e->blocks);
    for (int r = 0; r < size; r++) {
        int64_t share;
        sm_sampler_share(total, r, size, &e->blocks[r], &share);
        e->blocks[r + 1] = e->blocks[r] + share;
        int count = sm_sum_tree_subtrees(total, e->blocks[r], e->blocks[r + 1], subtrees);
        most_subtrees = count > most_subtrees ? count : most_subtrees;
    }
    e->ranks = sm_tree_sum_new(comm, most_subtrees);
    e->workspace = sm_alloc(sm_tree_sum_workspace_bytes(comm, most_subtrees, sums, 0));
    sm_tree_sum_set_blocks(e->ranks, e->blocks, e->workspace);
}

sm_status sm_evaluator_new(sm_session *session, sm_dataset *dataset, const sm_input *input, sm_evaluator **out)
{
    sm_status status = SM_OK;
    size_t tasks = (size_t)session->task_count;
    sm_evaluator *e = sm_alloc_zeroed(sizeof *e);
    e->session = session;
    e->dataset = dataset;
    e->builders = sm_session_target_builders(session);
    e->logits = sm_alloc_zeroed(tasks * sizeof *e->logits);
    e->first_count = sm_alloc_zeroed((tasks + 1) * sizeof *e->first_count);
    e->first_sum = sm_alloc_zeroed((tasks + 1) * sizeof *e->first_sum);
    for (size_t i = 0; i < tasks; i++) {
        const sm_task *task = session->tasks[i];
        e->first_count[i + 1] = e->first_count[i] + task->kind->metric_counts(task);
        e->first_sum[i + 1] = e->first_sum[i] + task->kind->metric_sums(task);
        e->value_count += metric_count(task);
    }
    e->counts = sm_alloc((e->first_count[tasks] + 1) * sizeof *e->counts);
    make_sums(e);
    e->loader = (sm_loader_options){.dataset = dataset,
                                    .builders = e->builders,
                                    .task_count = session->task_count,
                                    .batch = session->settings.evaluate_batch,
                                    .rank = sm_comm_rank(session->comm),
                                    .size = sm_comm_size(session->comm),
                                    .order = SM_LOADER_BLOCKS,
                                    .epochs = 1,
                                    .input = *input};
    int64_t share = e->blocks[1] - e->blocks[0], capacity = sm_loader_capacity(&e->loader);
    e->batches = (share + capacity - 1) / capacity;
    for (size_t i = 0; i < tasks; i++) {
        SM_TRY(check_classes(session->tasks[i], dataset));
    }
    SM_TRY(sm_engine_new(session, input->height, input->width, sm_loader_capacity(&e->loader), 0, &e->engine));
    *out = e;
    e = NULL;
done:
    sm_evaluator_free(e);
    return status;
}

void sm_evaluator_free(sm_evaluator *e)
{
    if (e) {
        sm_engine_free(e->engine);
        sm_free(e->builders);
        sm_free(e->logits);
        sm_free(e->first_count);
        sm_free(e->first_sum);
        sm_free(e->counts);
        sm_free(e->sums);
        sm_free(e->blocks);
        sm_free(e->workspace);
        sm_tree_sum_free(e->ranks);
        sm_free(e);
    }
}

int sm_evaluator_value_count(const sm_evaluator *evaluator)
{
    return evaluator->value_count;
}

static void add_sums_of_sample(sm_evaluator *e)
{
    size_t count = e->first_sum[e->session->task_count];
    double *top = e->sums + (size_t)e->tree.count * count;
    for (int additions = sm_sum_tree_push(&e->tree, (sm_subtree){0, e->position++}); additions > 0; additions--) {
        double *below = top - count;
        for (size_t i = 0; i < count; i++) {
            below[i] += top[i];
        }
        top = below;
    }
}

static void add_metrics(sm_evaluator *e, const sm_batch *batch, const float *const *fixed)
{
    size_t row = e->first_sum[e->session->task_count];
    for (int n = 0; n < batch->count_local; n++) {
        double *sums = e->sums + (size_t)e->tree.count * row;
        memset(sums, 0, row * sizeof *sums);
        for (int i = 0; i < e->session->task_count; i++) {
            const sm_task *task = e->session->tasks[i];
            size_t items = sm_batch_items(batch, task->target->scope, 1), before = (size_t)n * items;
            const char *target = (const char *)batch->target[i] + before * sm_task_item_bytes(task);
            const float *prediction = fixed ? fixed[i] : e->logits[i] + before * (size_t)task->channels;
            task->kind->metric_add(task, items, prediction, target, batch->metres_pixels[n],
                                   e->counts + e->first_count[i], sums + e->first_sum[i]);
        }
        add_sums_of_sample(e);
    }
}

/* Metrics read what is predicted, not how sure it is. */
static void run_network(sm_evaluator *e, const sm_batch *batch)
{
    sm_engine_set_batch(e->engine, batch, batch->count_global);
    sm_plan_forward(e->engine->plan, &e->engine->run);
    for (int i = 0; i < e->session->task_count; i++) {
        const sm_task *task = e->session->tasks[i];
        float *output = sm_plan_output(e->engine->plan, &e->engine->run, i);
        sm_task_take_logits(task, sm_batch_items(batch, task->target->scope, batch->count_local), output);
        e->logits[i] = output;
    }
}

static sm_status run_batch(sm_evaluator *e, const sm_batch *batch, const sm_evaluation *evaluation,
                           sm_predictions *predictions)
{
    sm_status status = SM_OK;
    if (!evaluation->fixed) {
        run_network(e, batch);
    }
    add_metrics(e, batch, evaluation->fixed);
    for (int n = 0; predictions && n < batch->count_local; n++) {
        SM_TRY(sm_predictions_put(predictions, batch, n, e->logits));
    }
done:
    return status;
}

static void find_values(sm_evaluator *e, double *values)
{
    size_t tasks = (size_t)e->session->task_count;
    sm_comm_sum_int64(e->session->comm, e->counts, e->first_count[tasks]);
    sm_tree_sum_double(e->ranks, e->sums, e->first_sum[tasks]);
    for (size_t i = 0; i < tasks; i++) {
        const sm_task *task = e->session->tasks[i];
        task->kind->metric_values(task, e->counts + e->first_count[i], e->sums + e->first_sum[i], values);
        values += metric_count(task);
    }
}

/* ---- asking whether to go on ---- */

/* Batches need no messages between ranks. So that all ranks end an evaluation after the same batch, they vote on it, about once
 * a second: often enough to answer a signal, too seldom to cost time. */
static const double VOTE_SECONDS = 1;

typedef struct vote {
    int64_t due, last;   /* batches before the next one, before the last one */
    double last_seconds; /* when the last one was */
    int failed, stop;    /* some rank met an error; some rank was asked to stop */
} vote;

/* How many batches pass until the next vote is decided by the slowest rank, so all count the same. Collective. */
static void take_vote(sm_comm *comm, vote *v, int64_t batches, sm_status own, int stop)
{
    double now = sm_seconds();
    double worst[3] = {own != SM_OK, stop,
                       batches > v->last ? (now - v->last_seconds) / (double)(batches - v->last) : VOTE_SECONDS};
    sm_comm_max_double(comm, worst, 3);
    v->failed = worst[0] > 0;
    v->stop = worst[1] > 0;
    v->last = batches;
    v->last_seconds = now;
    v->due = batches + (int64_t)fmax(1, VOTE_SECONDS / fmax(worst[2], 1e-6));
}

/* \return the same on every rank only if it is SM_OK or SM_PREEMPTED */
static sm_status run_batches(sm_evaluator *e, const sm_evaluation *evaluation, sm_loader *loader,
                             sm_predictions *predictions, sm_status status)
{
    vote v = {0};
    for (int64_t batches = 0; batches < e->batches; batches++) {
        if (evaluation->stop && batches == v.due) {
            take_vote(e->session->comm, &v, batches, status, evaluation->stop());
        }
        if (v.failed || (status != SM_OK && !evaluation->stop)) {
            break;
        }
        if (v.stop) {
            return sm_fail(SM_PREEMPTED, "asked to stop after %lld of %lld batches of the evaluation",
                           (long long)batches, (long long)e->batches);
        }
        const sm_batch *batch = NULL;
        if (status == SM_OK) { /* a rank that failed goes on voting */
            status = sm_loader_next(loader, &batch);
        }
        sm_comm_set_phase("evaluation", 0, (int)batches);
        if (status == SM_OK) {
            status = run_batch(e, batch, evaluation, predictions);
        }
    }
    return status;
}

sm_status sm_evaluator_check_predictions(const char *path)
{
    return sm_predictions_check(path);
}

sm_status sm_evaluator_run(sm_evaluator *e, const sm_evaluation *evaluation, double *values)
{
    sm_status status = SM_OK;
    sm_loader *loader = NULL;
    sm_predictions *predictions = NULL;
    size_t tasks = (size_t)e->session->task_count;
    int64_t total = sm_dataset_count(e->dataset);
    if (evaluation->predictions) {
        int64_t count = evaluation->prediction_count < total ? evaluation->prediction_count : total;
        SM_TRY(sm_predictions_create(e->session, e->dataset, evaluation->predictions, count, e->engine->height,
                                     e->engine->width, &predictions));
    }
    sm_engine_bind(e->session, e->engine);
    if (evaluation->parameters) {
        e->engine->run.base[SM_REGION_PARAMETERS] = (char *)evaluation->parameters;
    }
    memset(e->counts, 0, e->first_count[tasks] * sizeof *e->counts);
    memset(e->sums, 0, e->first_sum[tasks] * sizeof *e->sums); /* of a rank without samples */
    sm_sum_tree_begin(&e->tree, total);
    e->position = e->blocks[sm_comm_rank(e->session->comm)];
    e->loader.keep_pixels = evaluation->predictions != NULL;
    status = sm_loader_new(&e->loader, &loader);
    if (status == SM_OK && !evaluation->fixed) {
        sm_plan_prepare(e->engine->plan, &e->engine->run);
    }
    status = run_batches(e, evaluation, loader, predictions, status);
    SM_TRY(sm_comm_agree(e->session->comm, status));
    find_values(e, values);
done:
    sm_loader_free(loader);
    return sm_predictions_finish(predictions, status);
}

/* \return a row a value, freed with sm_free(). \param trivial  NULL = none */
static sm_metric_row *metric_rows(const sm_evaluator *e, const double *values, const double *trivial)
{
    sm_metric_row *rows = sm_alloc((size_t)e->value_count * sizeof *rows);
    for (int i = 0, v = 0; i < e->session->task_count; i++) {
        const sm_task *task = e->session->tasks[i];
        for (const sm_metric *m = task->kind->metrics; m->name; m++, v++) {
            rows[v] = (sm_metric_row){task->name, *m, values[v], trivial ? trivial[v] : NAN};
            rows[v].metric.unit = m->unit ? m->unit : task->target->unit;
        }
    }
    return rows;
}

void sm_evaluator_report(const sm_evaluator *e, const double *values, const double *trivial)
{
    sm_metric_row *rows = metric_rows(e, values, trivial);
    sm_report_metrics(rows, e->value_count, trivial != NULL);
    sm_free(rows);
}

void sm_evaluator_set_json(const sm_evaluator *e, const double *values, const double *trivial, sm_json *tasks)
{
    sm_metric_row *rows = metric_rows(e, values, trivial);
    sm_report_set_metrics(tasks, rows, e->value_count, trivial != NULL);
    sm_free(rows);
}
