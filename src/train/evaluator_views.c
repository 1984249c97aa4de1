#include <sigmatic/base/memory.h>
#include <sigmatic/ops/resize.h>

#include "train/evaluator_views.h"

#include <math.h>
#include <string.h>

/* ---- making ---- */

static int scaled(int size, double scale)
{
    int pixels = (int)lrint(size * scale);
    return pixels > 1 ? pixels : 1;
}

static sm_status make_view(sm_evaluator_views *v, sm_session *session, const sm_loader_options *loader, double scale)
{
    sm_scaled_view *view = &v->items[v->count];
    view->options = *loader;
    view->options.task_count = 0; /* images only */
    view->options.keep_pixels = 0;
    view->options.input.height = scaled(v->height, scale);
    view->options.input.width = scaled(v->width, scale);
    sm_status status =
        sm_engine_new(session, view->options.input.height, view->options.input.width, v->capacity, 0, &view->engine);
    v->count += status == SM_OK;
    return status;
}

static size_t items_of(const sm_evaluator_views *v, const sm_task *task)
{
    return sm_scope_items(task->target->scope, v->height, v->width);
}

static sm_resize_shape resizing(const sm_evaluator_views *v, const sm_scaled_view *view, const sm_task *task)
{
    return (sm_resize_shape){view->engine->height, view->engine->width, v->height, v->width, task->channels, 0};
}

static int is_size_measured_at(const sm_evaluator_views *v, const sm_scaled_view *view)
{
    return view->engine->height == v->height && view->engine->width == v->width;
}

/* What putting views together needs. */
static void make_buffers(sm_evaluator_views *v)
{
    size_t input = 0, sample = 0, workspace = 0;
    v->means = sm_alloc_zeroed((size_t)v->session->task_count * sizeof *v->means);
    for (int t = 0; t < v->session->task_count; t++) {
        const sm_task *task = v->session->tasks[t];
        size_t floats = items_of(v, task) * (size_t)task->channels;
        sample = floats > sample ? floats : sample;
        for (int i = 0; i < v->count; i++) {
            sm_resize_shape shape = resizing(v, &v->items[i], task);
            size_t bytes = sm_resize_forward_workspace_bytes(&shape, v->session->settings.threads);
            workspace = bytes > workspace ? bytes : workspace;
        }
    }
    for (int i = 0; i < v->count; i++) {
        const sm_input *own = &v->items[i].options.input;
        size_t floats = (size_t)v->capacity * (size_t)own->height * (size_t)own->width * (size_t)own->channels;
        input = floats > input ? floats : input;
    }
    v->mirrored = v->flip ? sm_alloc(input * sizeof(float)) : NULL;
    v->resized = sm_alloc(sample * sizeof(float));
    v->values = sm_alloc(sample * sizeof(float));
    v->workspace = sm_alloc(workspace);
}

sm_status sm_evaluator_views_init(sm_evaluator_views *v, sm_session *session, const sm_loader_options *loader,
                                  const double *scales, int scale_count, int flip)
{
    static const double whole[1] = {1};
    sm_status status = SM_OK;
    const double *all = scale_count > 0 ? scales : whole;
    int count = scale_count > 0 ? scale_count : 1;
    *v = (sm_evaluator_views){.session = session,
                              .flip = flip,
                              .height = loader->input.height,
                              .width = loader->input.width,
                              .capacity = sm_loader_capacity(loader)};
    v->items = sm_alloc_zeroed((size_t)count * sizeof *v->items);
    v->logits = sm_alloc_zeroed((size_t)session->task_count * sizeof *v->logits);
    for (int i = 0; i < count; i++) {
        SM_TRY(make_view(v, session, loader, all[i]));
    }
    v->is_plain = count == 1 && !flip && is_size_measured_at(v, &v->items[0]);
    if (!v->is_plain) {
        make_buffers(v);
    }
done:
    return status;
}

void sm_evaluator_views_free(sm_evaluator_views *v)
{
    for (int i = 0; i < v->count; i++) {
        sm_engine_free(v->items[i].engine);
    }
    for (int t = 0; v->means && t < v->session->task_count; t++) {
        sm_prediction_mean_free(&v->means[t]);
    }
    sm_free(v->items);
    sm_free(v->means);
    sm_free(v->mirrored);
    sm_free(v->resized);
    sm_free(v->values);
    sm_free(v->workspace);
    sm_free(v->logits);
}

size_t sm_evaluator_views_memory_bytes(const sm_evaluator_views *v)
{
    size_t most = 0;
    for (int i = 0; i < v->count; i++) {
        size_t bytes = sm_engine_memory_bytes(v->items[i].engine);
        most = bytes > most ? bytes : most;
    }
    return most;
}

sm_status sm_evaluator_views_begin(sm_evaluator_views *v)
{
    sm_status status = SM_OK;
    for (int i = 0; i < v->count; i++) {
        if (!is_size_measured_at(v, &v->items[i])) {
            SM_TRY(sm_loader_new(&v->items[i].options, &v->items[i].loader));
        }
    }
    if (v->count == 1) {
        sm_plan_prepare(v->items[0].engine->plan, &v->items[0].engine->run);
    }
done:
    return status;
}

void sm_evaluator_views_end(sm_evaluator_views *v)
{
    for (int i = 0; i < v->count; i++) {
        sm_loader_free(v->items[i].loader);
        v->items[i].loader = NULL;
    }
}

/* ---- putting together ---- */

/* Predictions of a task of a batch, without how sure it is of them. */
static const float *take_output(const sm_evaluator_views *v, const sm_scaled_view *view, int t, int samples)
{
    const sm_task *task = v->session->tasks[t];
    float *output = sm_plan_output(view->engine->plan, &view->engine->run, t);
    size_t items = sm_scope_items(task->target->scope, view->engine->height, view->engine->width);
    sm_session_take_logits(v->session, v->parameters, t, (size_t)samples * items, output);
    return output;
}

/* How one number of the view becomes one of the image measured at. */
static void scale_values(const sm_evaluator_views *v, const sm_scaled_view *view, const sm_task *task, int is_mirrored,
                         float *values)
{
    size_t channels = (size_t)task->channels, count = items_of(v, task) * channels;
    float factors[SM_COMPONENTS_MAX];
    if (!sm_task_is_regression(task)) {
        return;
    }
    sm_task_factors(task, (double)v->width / view->engine->width, (double)v->height / view->engine->height, is_mirrored,
                    factors);
    for (size_t i = 0; i < count; i++) {
        values[i] *= factors[i % channels];
    }
}

static void mirror_rows(size_t rows, size_t width, size_t channels, const float *from, float *to)
{
    for (size_t row = 0; row < rows; row++, from += width * channels, to += width * channels) {
        for (size_t x = 0; x < width; x++) {
            memcpy(to + (width - 1 - x) * channels, from + x * channels, channels * sizeof *to);
        }
    }
}

/* \param logits  of one sample, from a view \return its values at the size measured at */
static const float *take_back(sm_evaluator_views *v, const sm_scaled_view *view, const sm_task *task, int is_mirrored,
                              const float *logits)
{
    sm_resize_shape shape = resizing(v, view, task);
    int has_pixels = task->target->scope == SM_SCOPE_PIXEL;
    if (has_pixels && !is_size_measured_at(v, view)) {
        sm_resize_forward(&shape, 1, logits, v->resized, v->workspace, v->session->settings.threads);
        logits = v->resized;
    }
    sm_task_values(task, items_of(v, task), logits, v->values);
    scale_values(v, view, task, is_mirrored, v->values);
    if (has_pixels && is_mirrored) {
        mirror_rows((size_t)v->height, (size_t)v->width, (size_t)task->channels, v->values, v->resized);
        return v->resized;
    }
    return v->values;
}

/* \param run  counts the views from 0 */
static void add_view(sm_evaluator_views *v, sm_scaled_view *view, int samples, int run, int is_mirrored)
{
    for (int t = 0; t < v->session->task_count; t++) {
        const sm_task *task = v->session->tasks[t];
        const float *output = take_output(v, view, t, samples);
        size_t items = items_of(v, task),
               from = (size_t)task->channels *
                      sm_scope_items(task->target->scope, view->engine->height, view->engine->width);
        for (int n = 0; n < samples; n++) {
            const float *values = take_back(v, view, task, is_mirrored, output + (size_t)n * from);
            sm_prediction_mean_add(&v->means[t], run, (size_t)n * items, items, values);
        }
    }
}

/* Logits whose values are the mean. */
static void end_means(sm_evaluator_views *v)
{
    for (int t = 0; t < v->session->task_count; t++) {
        sm_prediction_mean *m = &v->means[t];
        sm_task_logits(m->task, m->items, m->mean, m->mean);
        v->logits[t] = m->mean;
    }
}

/* ---- running ---- */

/* \param scale  place of the view */
static void run_view(sm_evaluator_views *v, int scale, const sm_batch *batch)
{
    sm_scaled_view *view = &v->items[scale];
    sm_engine *engine = view->engine;
    int mirrors = v->flip ? 2 : 1;
    sm_engine_set_batch(engine, batch, batch->count_global);
    sm_plan_forward(engine->plan, &engine->run);
    if (v->is_plain) {
        for (int t = 0; t < v->session->task_count; t++) {
            v->logits[t] = take_output(v, view, t, batch->count_local);
        }
        return;
    }
    add_view(v, view, batch->count_local, scale * mirrors, 0);
    if (v->flip) {
        sm_batch mirrored = *batch;
        mirror_rows((size_t)batch->count_local * (size_t)batch->height, (size_t)batch->width,
                    (size_t)view->options.input.channels, batch->input, v->mirrored);
        mirrored.input = v->mirrored;
        sm_engine_set_batch(engine, &mirrored, batch->count_global);
        sm_plan_forward(engine->plan, &engine->run);
        add_view(v, view, batch->count_local, scale * mirrors + 1, 1);
    }
}

void sm_evaluator_views_bind(sm_evaluator_views *v, sm_session *session, float *parameters)
{
    v->parameters = parameters;
    for (int i = 0; i < v->count; i++) {
        sm_engine_bind(session, v->items[i].engine);
        if (parameters) {
            v->items[i].engine->run.base[SM_REGION_PARAMETERS] = (char *)parameters;
        }
    }
}

/* Engines share their memory: where there are several, each prepares its weights anew. */
sm_status sm_evaluator_views_run(sm_evaluator_views *v, const sm_batch *batch, const float *const **logits)
{
    sm_status status = SM_OK;
    for (int t = 0; !v->is_plain && t < v->session->task_count; t++) {
        const sm_task *task = v->session->tasks[t];
        sm_prediction_mean_begin(&v->means[t], task, (size_t)batch->count_local * items_of(v, task), 0);
    }
    for (int i = 0; i < v->count; i++) {
        sm_scaled_view *view = &v->items[i];
        const sm_batch *own = batch;
        if (view->loader) {
            SM_TRY(sm_loader_next(view->loader, &own));
        }
        if (v->count > 1) {
            sm_plan_prepare(view->engine->plan, &view->engine->run);
        }
        run_view(v, i, own);
    }
    if (!v->is_plain) {
        end_means(v);
    }
    *logits = v->logits;
done:
    return status;
}
