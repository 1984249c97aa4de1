#include <sigmatic/base/memory.h>
#include <sigmatic/ops/resize.h>

#include "train/evaluator_views.h"

#include <float.h>
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
    v->merged = sm_alloc_zeroed((size_t)v->session->task_count * sizeof *v->merged);
    for (int t = 0; t < v->session->task_count; t++) {
        const sm_task *task = v->session->tasks[t];
        size_t floats = items_of(v, task) * (size_t)task->channels;
        v->merged[t] = sm_alloc((size_t)v->capacity * floats * sizeof(float));
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
    for (int t = 0; v->merged && t < v->session->task_count; t++) {
        sm_free(v->merged[t]);
    }
    sm_free(v->items);
    sm_free(v->merged);
    sm_free(v->mirrored);
    sm_free(v->resized);
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

/* How one number of the view becomes one of the image measured at. */
typedef struct back {
    const sm_task *task;
    int height, width, is_mirrored;
    float share;                      /* of the view in the mean */
    float factors[SM_COMPONENTS_MAX]; /* of real values */
} back;

static back way_back(const sm_evaluator_views *v, const sm_scaled_view *view, const sm_task *task, int is_mirrored)
{
    int has_pixels = task->target->scope == SM_SCOPE_PIXEL;
    back b = {.task = task,
              .height = has_pixels ? v->height : 1,
              .width = has_pixels ? v->width : 1,
              .is_mirrored = is_mirrored,
              .share = 1.0f / (float)(v->count * (v->flip ? 2 : 1))};
    if (sm_task_is_regression(task)) {
        sm_task_factors(task, (double)v->width / view->engine->width, (double)v->height / view->engine->height,
                        is_mirrored, b.factors);
    }
    return b;
}

static void add_probabilities(int classes, const float *logits, float share, float *mean)
{
    float greatest = logits[0];
    double sum = 0;
    for (int c = 1; c < classes; c++) {
        greatest = logits[c] > greatest ? logits[c] : greatest;
    }
    for (int c = 0; c < classes; c++) {
        sum += exp((double)logits[c] - greatest);
    }
    for (int c = 0; c < classes; c++) {
        mean[c] += (float)(share * exp((double)logits[c] - greatest) / sum);
    }
}

static void add_item(const back *b, const float *from, float *to)
{
    int channels = b->task->channels;
    if (sm_task_is_classification(b->task)) {
        add_probabilities(channels, from, b->share, to);
        return;
    }
    for (int c = 0; c < channels; c++) {
        to[c] += b->share *
                 (sm_task_is_labelling(b->task) ? (float)(1 / (1 + exp(-(double)from[c]))) : b->factors[c] * from[c]);
    }
}

static void add_sample(const back *b, const float *from, float *to)
{
    size_t channels = (size_t)b->task->channels, width = (size_t)b->width;
    for (size_t y = 0; y < (size_t)b->height; y++) {
        for (size_t x = 0; x < width; x++) {
            size_t place = b->is_mirrored ? width - 1 - x : x;
            add_item(b, from + (y * width + x) * channels, to + (y * width + place) * channels);
        }
    }
}

/* Predictions of a task of a batch, without how sure it is of them. */
static const float *take_output(const sm_evaluator_views *v, const sm_scaled_view *view, int t, int samples)
{
    const sm_task *task = v->session->tasks[t];
    float *output = sm_plan_output(view->engine->plan, &view->engine->run, t);
    size_t items = sm_scope_items(task->target->scope, view->engine->height, view->engine->width);
    sm_task_take_logits(task, (size_t)samples * items, output);
    return output;
}

static void add_view(sm_evaluator_views *v, sm_scaled_view *view, int samples, int is_mirrored)
{
    for (int t = 0; t < v->session->task_count; t++) {
        const sm_task *task = v->session->tasks[t];
        const float *output = take_output(v, view, t, samples);
        back b = way_back(v, view, task, is_mirrored);
        size_t from =
            (size_t)task->channels * sm_scope_items(task->target->scope, view->engine->height, view->engine->width);
        size_t to = (size_t)task->channels * items_of(v, task);
        sm_resize_shape shape = resizing(v, view, task);
        int resizes = task->target->scope == SM_SCOPE_PIXEL && !is_size_measured_at(v, view);
        for (int n = 0; n < samples; n++) {
            const float *own = output + (size_t)n * from;
            if (resizes) {
                sm_resize_forward(&shape, 1, own, v->resized, v->workspace, v->session->settings.threads);
            }
            add_sample(&b, resizes ? v->resized : own, v->merged[t] + (size_t)n * to);
        }
    }
}

/* Logits whose softmax, or sigmoid, is the mean probability. */
static void end_sums(sm_evaluator_views *v, int samples)
{
    for (int t = 0; t < v->session->task_count; t++) {
        const sm_task *task = v->session->tasks[t];
        float *p = v->merged[t];
        size_t count = (size_t)samples * items_of(v, task) * (size_t)task->channels;
        if (sm_task_is_classification(task)) {
            for (size_t i = 0; i < count; i++) {
                p[i] = logf(p[i] < FLT_MIN ? FLT_MIN : p[i]);
            }
        } else if (sm_task_is_labelling(task)) {
            for (size_t i = 0; i < count; i++) {
                p[i] = logf(p[i] < FLT_MIN ? FLT_MIN : p[i]) - logf(1 - p[i] < FLT_EPSILON ? FLT_EPSILON : 1 - p[i]);
            }
        }
        v->logits[t] = p;
    }
}

/* ---- running ---- */

static void mirror(const sm_batch *batch, size_t channels, float *out)
{
    size_t width = (size_t)batch->width, rows = (size_t)batch->count_local * (size_t)batch->height;
    for (size_t row = 0; row < rows; row++) {
        for (size_t x = 0; x < width; x++) {
            memcpy(out + (row * width + width - 1 - x) * channels, batch->input + (row * width + x) * channels,
                   channels * sizeof *out);
        }
    }
}

static void run_view(sm_evaluator_views *v, sm_scaled_view *view, const sm_batch *batch)
{
    sm_engine *engine = view->engine;
    sm_engine_set_batch(engine, batch, batch->count_global);
    sm_plan_forward(engine->plan, &engine->run);
    if (v->is_plain) {
        for (int t = 0; t < v->session->task_count; t++) {
            v->logits[t] = take_output(v, view, t, batch->count_local);
        }
        return;
    }
    add_view(v, view, batch->count_local, 0);
    if (v->flip) {
        sm_batch mirrored = *batch;
        mirror(batch, (size_t)view->options.input.channels, v->mirrored);
        mirrored.input = v->mirrored;
        sm_engine_set_batch(engine, &mirrored, batch->count_global);
        sm_plan_forward(engine->plan, &engine->run);
        add_view(v, view, batch->count_local, 1);
    }
}

void sm_evaluator_views_bind(sm_evaluator_views *v, sm_session *session, float *parameters)
{
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
        memset(v->merged[t], 0,
               (size_t)batch->count_local * items_of(v, task) * (size_t)task->channels * sizeof(float));
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
        run_view(v, view, own);
    }
    if (!v->is_plain) {
        end_sums(v, batch->count_local);
    }
    *logits = v->logits;
done:
    return status;
}
