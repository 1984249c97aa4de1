#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/comm/vote.h>
#include <sigmatic/train/evaluator.h>

#include "train/evaluator_private.h"
#include "train/predictions.h"

#include <string.h>

/* Class ids are compared as numbers: they have to mean the same. */
static sm_status check_classes(const sm_task *task, const sm_dataset *dataset)
{
    const sm_target *target = sm_dataset_target(dataset, task->target->name);
    const sm_class_list *found = target ? target->classes : NULL, *learnt = task->target->classes;
    if (!found || !learnt) {
        return SM_OK;
    }
    if (found->count != learnt->count) {
        return sm_fail(SM_ERR_INPUT, "the evaluated dataset has %d %s of '%s', the training set %d", found->count,
                       sm_plural(found->count, "class", "classes"), target->name, learnt->count);
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

/* A network reads images or a table, and of a table the features that it learnt with. */
static sm_status check_input(const sm_input *learnt, const sm_dataset *dataset)
{
    const sm_input *found = sm_dataset_input(dataset);
    if (found->kind != learnt->kind) {
        return sm_fail(SM_ERR_INPUT, "the evaluated dataset has the input '%s', but the network has learnt from '%s'",
                       found->kind->name, learnt->kind->name);
    }
    if (found->channels != learnt->channels) {
        return sm_fail(SM_ERR_INPUT, "the evaluated dataset has %d %s, but the network has learnt from %d",
                       found->channels, sm_plural(found->channels, "feature", "features"), learnt->channels);
    }
    for (int c = 0; found->names && learnt->names && c < found->channels; c++) {
        if (strcmp(found->names[c], learnt->names[c]) != 0) {
            return sm_fail(SM_ERR_INPUT,
                           "feature %d of the evaluated dataset is '%s', but the network has learnt from '%s'", c,
                           found->names[c], learnt->names[c]);
        }
    }
    return SM_OK;
}

sm_status sm_evaluator_new(sm_session *session, sm_dataset *dataset, const sm_input *input,
                           const sm_evaluator_options *options, sm_evaluator **out)
{
    static const sm_evaluator_options plain = {0};
    sm_status status = SM_OK;
    sm_evaluator *e = sm_alloc_zeroed(sizeof *e);
    options = options ? options : &plain;
    e->session = session;
    e->dataset = dataset;
    SM_TRY(check_input(input, dataset));
    e->predictions_of_sample = sm_alloc_zeroed((size_t)session->task_count * sizeof *e->predictions_of_sample);
    sm_evaluator_metrics_init(&e->metrics, session, dataset, input->height, input->width, options->instances);
    e->loader = (sm_loader_options){.dataset = dataset,
                                    .builders = e->metrics.builders,
                                    .task_count = e->metrics.builder_count,
                                    .batch = session->settings.evaluate_batch,
                                    .rank = sm_comm_rank(session->comm),
                                    .size = sm_comm_size(session->comm),
                                    .order = SM_LOADER_BLOCKS,
                                    .epochs = 1,
                                    .input = *input};
    int64_t share = e->metrics.blocks[1] - e->metrics.blocks[0], capacity = sm_loader_capacity(&e->loader);
    e->batches = (share + capacity - 1) / capacity;
    for (int t = 0; t < session->task_count; t++) {
        SM_TRY(check_classes(session->tasks[t], dataset));
    }
    SM_TRY(
        sm_evaluator_views_init(&e->views, session, &e->loader, options->scales, options->scale_count, options->flip));
    *out = e;
    e = NULL;
done:
    sm_evaluator_free(e);
    return status;
}

void sm_evaluator_free(sm_evaluator *e)
{
    if (e) {
        sm_evaluator_views_free(&e->views);
        sm_evaluator_metrics_free(&e->metrics);
        sm_free(e->predictions_of_sample);
        sm_free(e);
    }
}

int sm_evaluator_value_count(const sm_evaluator *e)
{
    return e->metrics.value_count;
}

int sm_evaluator_class_value_count(const sm_evaluator *e)
{
    return e->metrics.class_value_count;
}

/* ---- batches ---- */

static void add_metrics(sm_evaluator *e, const sm_batch *batch, const float *const *logits, const float *const *fixed)
{
    sm_evaluator_metrics_count_valid(&e->metrics, batch);
    for (int n = 0; n < batch->count_local; n++) {
        for (int t = 0; t < e->session->task_count; t++) {
            const sm_task *task = e->session->tasks[t];
            size_t floats = sm_batch_items(batch, task->target->scope, 1) * (size_t)task->channels;
            e->predictions_of_sample[t] = fixed ? fixed[t] : logits[t] + (size_t)n * floats;
        }
        if (!fixed) {
            sm_evaluator_metrics_count_nans(&e->metrics, batch, e->predictions_of_sample);
        }
        sm_evaluator_metrics_add(&e->metrics, batch, n, e->predictions_of_sample);
    }
}

static sm_status run_batch(sm_evaluator *e, const sm_batch *batch, const sm_evaluation *evaluation,
                           sm_predictions *predictions)
{
    sm_status status = SM_OK;
    const float *const *logits = NULL;
    if (!evaluation->fixed) {
        SM_TRY(sm_evaluator_views_run(&e->views, batch, &logits));
    }
    add_metrics(e, batch, logits, evaluation->fixed);
    for (int n = 0; predictions && n < batch->count_local; n++) {
        SM_TRY(sm_predictions_put(predictions, batch, n, logits));
    }
done:
    return status;
}

/* \return the same on every rank only if it is SM_OK or SM_PREEMPTED */
static sm_status run_batches(sm_evaluator *e, const sm_evaluation *evaluation, sm_loader *loader,
                             sm_predictions *predictions, sm_status status)
{
    sm_vote vote = {0};
    for (int64_t batches = 0; batches < e->batches; batches++) {
        sm_vote_between(e->session->comm, &vote, batches, status, evaluation->stop ? evaluation->stop() : 0);
        if (vote.failed) {
            break;
        }
        if (vote.stop) {
            return sm_fail(SM_PREEMPTED, "asked to stop after %lld of %lld %s of the evaluation", (long long)batches,
                           (long long)e->batches, sm_plural(e->batches, "batch", "batches"));
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

/* Of a network that diverged, say. */
static void warn_of_nans(const sm_evaluator *e)
{
    for (int t = 0; t < e->session->task_count && sm_comm_rank(e->session->comm) == 0; t++) {
        if (e->metrics.nan_samples[t] > 0) {
            sm_log_warning("task '%s': predictions of %lld of %lld samples are no numbers (NaN): it is not measured",
                           e->session->tasks[t]->name, (long long)e->metrics.nan_samples[t],
                           (long long)sm_dataset_count(e->dataset));
        }
    }
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
    int64_t total = sm_dataset_count(e->dataset);
    if (evaluation->predictions) {
        int64_t count = evaluation->prediction_count < total ? evaluation->prediction_count : total;
        SM_TRY(sm_predictions_create(e->session, e->dataset, evaluation->predictions, count, e->loader.input.height,
                                     e->loader.input.width, &predictions));
    }
    sm_evaluator_views_bind(&e->views, e->session, evaluation->parameters);
    sm_evaluator_metrics_begin(&e->metrics, evaluation->losses != NULL);
    e->loader.keep_pixels = evaluation->predictions != NULL && !e->loader.input.kind->is_table;
    status = sm_loader_new(&e->loader, &loader);
    if (status == SM_OK && !evaluation->fixed) {
        status = sm_evaluator_views_begin(&e->views);
    }
    status = run_batches(e, evaluation, loader, predictions, status);
    SM_TRY(sm_comm_agree(e->session->comm, status));
    sm_evaluator_metrics_find(&e->metrics, values, evaluation->class_values);
    if (evaluation->losses) {
        sm_evaluator_metrics_find_losses(&e->metrics, evaluation->losses);
    }
    warn_of_nans(e);
done:
    sm_evaluator_views_end(&e->views);
    sm_loader_free(loader);
    return sm_predictions_finish(predictions, status);
}
