#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/train/evaluator.h>

#include "train/predictions.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct sm_evaluator {
    sm_session *session;
    sm_dataset *dataset;
    sm_engine *engine;
    sm_loader_options loader;
    sm_target_builder *builders;
    size_t *first_count, *first_sum; /* one a task, and the end */
    int64_t *counts;
    double *sums;
    const float **logits; /* one a task, of the batch at hand */
    int value_count;
};

static int metric_count(const sm_task *task)
{
    int count = 0;
    while (task->kind->metrics[count].name) {
        count++;
    }
    return count;
}

sm_status sm_evaluator_new(sm_session *session, sm_dataset *dataset, int height, int width, const double mean[3], const double std[3], sm_evaluator **out)
{
    sm_status status = SM_OK;
    size_t tasks = (size_t)session->task_count;
    sm_evaluator *e = sm_alloc_zeroed(sizeof *e);
    e->session = session;
    e->dataset = dataset;
    e->builders = sm_alloc(tasks * sizeof *e->builders);
    e->logits = sm_alloc_zeroed(tasks * sizeof *e->logits);
    e->first_count = sm_alloc_zeroed((tasks + 1) * sizeof *e->first_count);
    e->first_sum = sm_alloc_zeroed((tasks + 1) * sizeof *e->first_sum);
    for (size_t i = 0; i < tasks; i++) {
        const sm_task *task = session->tasks[i];
        e->builders[i] = (sm_target_builder){task->kind->build_target, task, task->kind->target_bytes_per_pixel};
        e->first_count[i + 1] = e->first_count[i] + task->kind->metric_counts(task);
        e->first_sum[i + 1] = e->first_sum[i] + task->kind->metric_sums(task);
        e->value_count += metric_count(task);
    }
    e->counts = sm_alloc((e->first_count[tasks] + 1) * sizeof *e->counts);
    e->sums = sm_alloc((e->first_sum[tasks] + 1) * sizeof *e->sums);
    e->loader = (sm_loader_options){.dataset = dataset, .builders = e->builders, .task_count = session->task_count,
                                    .batch = session->settings.evaluate_batch, .rank = sm_comm_rank(session->comm),
                                    .size = sm_comm_size(session->comm), .order = SM_LOADER_BLOCKS, .epochs = 1,
                                    .out_height = height, .out_width = width};
    memcpy(e->loader.mean, mean, sizeof e->loader.mean);
    memcpy(e->loader.std, std, sizeof e->loader.std);
    SM_TRY(sm_engine_new(session, height, width, sm_loader_capacity(&e->loader), 0, &e->engine));
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
        sm_free(e);
    }
}

int sm_evaluator_value_count(const sm_evaluator *evaluator)
{
    return evaluator->value_count;
}

static void add_metrics(sm_evaluator *e, const sm_batch *batch, const float *const *logits)
{
    size_t pixels = (size_t)batch->height * (size_t)batch->width;
    for (int n = 0; n < batch->count_local; n++) {
        for (int i = 0; i < e->session->task_count; i++) {
            const sm_task *task = e->session->tasks[i];
            const char *target = (const char *)batch->target[i] + (size_t)n * pixels * (size_t)task->kind->target_bytes_per_pixel;
            task->kind->metric_add(task, batch->height, batch->width, logits[i] + (size_t)n * pixels * (size_t)task->channels, target,
                                   batch->metres_pixels[n], e->counts + e->first_count[i], e->sums + e->first_sum[i]);
        }
    }
}

static sm_status run_batch(sm_evaluator *e, const sm_batch *batch, sm_predictions *predictions)
{
    sm_status status = SM_OK;
    sm_run *run = &e->engine->run;
    const float **logits = e->logits;
    union {
        const float *read;
        char *base;
    } image = {.read = batch->image};
    run->base[SM_REGION_INPUT] = image.base;
    run->batch = batch->count_local;
    run->batch_global = batch->count_global;
    sm_plan_forward(e->engine->plan, run);
    for (int i = 0; i < e->session->task_count; i++) {
        logits[i] = sm_plan_output(e->engine->plan, run, i);
    }
    add_metrics(e, batch, logits);
    for (int n = 0; predictions && n < batch->count_local; n++) {
        SM_TRY(sm_predictions_put(predictions, batch, n, logits));
    }
done:
    return status;
}

static void find_values(sm_evaluator *e, double *values)
{
    size_t tasks = (size_t)e->session->task_count;
    sm_comm_sum_int64(e->session->comm, e->counts, e->first_count[tasks]);
    sm_comm_sum_double(e->session->comm, e->sums, e->first_sum[tasks]);
    for (size_t i = 0; i < tasks; i++) {
        const sm_task *task = e->session->tasks[i];
        task->kind->metric_values(task, e->counts + e->first_count[i], e->sums + e->first_sum[i], values);
        values += metric_count(task);
    }
}

sm_status sm_evaluator_run(sm_evaluator *e, float *parameters, const char *path, int64_t prediction_count, double *values)
{
    sm_status status = SM_OK;
    sm_loader *loader = NULL;
    sm_predictions *predictions = NULL;
    const sm_batch *batch = NULL;
    size_t tasks = (size_t)e->session->task_count;
    int64_t total = sm_dataset_count(e->dataset);
    if (path) {
        int64_t count = prediction_count < total ? prediction_count : total;
        SM_TRY(sm_predictions_create(e->session, e->dataset, path, count, e->engine->height, e->engine->width, &predictions));
    }
    sm_engine_bind(e->session, e->engine);
    if (parameters) {
        e->engine->run.base[SM_REGION_PARAMETERS] = (char *)parameters;
    }
    memset(e->counts, 0, e->first_count[tasks] * sizeof *e->counts);
    memset(e->sums, 0, e->first_sum[tasks] * sizeof *e->sums);
    e->loader.keep_pixels = path != NULL;
    status = sm_loader_new(&e->loader, &loader);
    if (status == SM_OK) {
        sm_plan_prepare(e->engine->plan, &e->engine->run);
    }
    while (status == SM_OK && (status = sm_loader_next(loader, &batch)) == SM_OK && batch) {
        status = run_batch(e, batch, predictions); /* no messages between ranks in here */
    }
    SM_TRY(sm_comm_agree(e->session->comm, status));
    find_values(e, values);
done:
    sm_loader_free(loader);
    sm_predictions_close(predictions);
    return status;
}

void sm_evaluator_report(const sm_evaluator *e, const double *values)
{
    for (int i = 0; i < e->session->task_count; i++) {
        const sm_task *task = e->session->tasks[i];
        char line[512];
        int used = snprintf(line, sizeof line, "  %-12s", task->name);
        for (const sm_metric *m = task->kind->metrics; m->name; m++, values++) {
            used += snprintf(line + used, sizeof line - (size_t)used, "  %s %.4g %s", m->name, *values, m->unit);
        }
        sm_log_info("%s", line);
    }
}
