#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/ops/resize.h>
#include <sigmatic/train/predictor.h>

#include "train/prediction_mean.h"
#include "train/windows.h"

#include <math.h>
#include <string.h>

const char *const sm_predict_mode_names[SM_PREDICT_MODES] = {"scale", "whole", "windows"};

enum { ENGINES = 8, MANY_WINDOWS = 500 };

/* One network, with the engines of the sizes that were met last. */
typedef struct member {
    sm_session *session;
    sm_engine *engines[ENGINES], *ready; /* NULL: none has its weights packed */
    int count;
} member;

typedef struct floats {
    float *values;
    size_t room;
} floats;

/* What is kept of a task from one image to the next. */
typedef struct task_buffers {
    floats logits, values,
        squares; /* of a run: of the image; with squares of the sigmas of items that have their own */
    floats part_values, part_squares; /* of a window */
    floats entropy, spread, decoded, sigmas;
    sm_prediction_mean mean;
    sm_instance_list *instances;
} task_buffers;

struct sm_predictor {
    sm_predictor_options options;
    const sm_data_description *data;
    member *members;
    int member_count, task_count, warned_of_windows;
    task_buffers *buffers;
    sm_task_prediction *results;
    floats input, workspace, weights, resize_workspace;
};

static float *room_for(floats *f, size_t count)
{
    if (count > f->room) {
        sm_free(f->values);
        f->values = sm_alloc(count * sizeof *f->values);
        f->room = count;
    }
    return f->values;
}

sm_predictor *sm_predictor_new(sm_session *const *sessions, int session_count, const sm_predictor_options *options)
{
    sm_predictor *p = sm_alloc_zeroed(sizeof *p);
    size_t tasks = (size_t)sessions[0]->task_count;
    p->options = *options;
    p->data = sessions[0]->data;
    p->member_count = session_count;
    p->task_count = (int)tasks;
    p->members = sm_alloc_zeroed((size_t)session_count * sizeof *p->members);
    p->buffers = sm_alloc_zeroed(tasks * sizeof *p->buffers);
    p->results = sm_alloc_zeroed(tasks * sizeof *p->results);
    for (int m = 0; m < session_count; m++) {
        p->members[m].session = sessions[m];
        sessions[m]->keep_dropout = options->samples > 0;
    }
    return p;
}

void sm_predictor_free(sm_predictor *p)
{
    if (!p) {
        return;
    }
    for (int m = 0; m < p->member_count; m++) {
        for (int e = 0; e < p->members[m].count; e++) {
            sm_engine_free(p->members[m].engines[e]);
        }
    }
    for (int t = 0; t < p->task_count; t++) {
        task_buffers *b = &p->buffers[t];
        sm_free(b->logits.values);
        sm_free(b->values.values);
        sm_free(b->squares.values);
        sm_free(b->part_values.values);
        sm_free(b->part_squares.values);
        sm_free(b->entropy.values);
        sm_free(b->spread.values);
        sm_free(b->decoded.values);
        sm_free(b->sigmas.values);
        sm_prediction_mean_free(&b->mean);
        sm_instance_list_free(b->instances);
    }
    sm_free(p->input.values);
    sm_free(p->workspace.values);
    sm_free(p->weights.values);
    sm_free(p->resize_workspace.values);
    sm_free(p->members);
    sm_free(p->buffers);
    sm_free(p->results);
    sm_free(p);
}

/* \return 1 if predictions are averages of several runs */
static int averages(const sm_predictor *p)
{
    return p->member_count > 1 || p->options.samples > 1;
}

/* \return 1 if logits alone do not do: for a mean, or an entropy. */
static int needs_values(const sm_predictor *p, int t)
{
    return averages(p) || (p->options.uncertainty && !sm_task_is_regression(p->results[t].task));
}

/* ---- one run of one network --------------------------------------------------------------------------------------- */

static sm_engine *find_engine(const member *m, int height, int width)
{
    for (int e = 0; e < m->count; e++) {
        if (m->engines[e]->height == height && m->engines[e]->width == width) {
            return m->engines[e];
        }
    }
    return NULL;
}

/* The oldest makes room. */
static sm_status add_engine(member *m, int height, int width)
{
    sm_session_release_memory(m->session);
    m->ready = NULL;
    if (m->count == ENGINES) {
        sm_engine_free(m->engines[0]);
        memmove(m->engines, m->engines + 1, (ENGINES - 1) * sizeof *m->engines);
        m->count--;
    }
    sm_status status = sm_engine_new(m->session, height, width, 1, 0, &m->engines[m->count]);
    m->count += status == SM_OK;
    return status;
}

static sm_status prepare_engine(member *m, int height, int width, sm_engine **out)
{
    sm_status status = SM_OK;
    if (!find_engine(m, height, width)) {
        SM_TRY(add_engine(m, height, width));
    }
    *out = find_engine(m, height, width);
    if (m->ready != *out) {
        sm_engine_bind(m->session, *out);
        sm_plan_prepare((*out)->plan, &(*out)->run);
        m->ready = *out;
    }
done:
    return status;
}

/* The image, or the part of it that the geometry says, as the network's input. */
static void prepare_input(sm_predictor *p, const void *image, int height, int width, const sm_geometry *geometry)
{
    sm_input input = p->data->input;
    input.height = geometry->out_height;
    input.width = geometry->out_width;
    size_t workspace = input.kind->workspace_floats(height, width, geometry->out_height, geometry->out_width,
                                                    fmin(geometry->scale_x, geometry->scale_y));
    input.kind->prepare(&input, image, height, width, geometry, room_for(&p->input, sm_input_elements(&input)),
                        room_for(&p->workspace, workspace));
}

static void run_engine(const sm_predictor *p, sm_engine *engine, int64_t index, int run)
{
    const sm_batch batch = {.count_local = 1, .count_global = 1, .first_local = index, .input = p->input.values};
    sm_engine_set_batch(engine, &batch, 1);
    engine->run.seed = p->options.seed;
    engine->run.step = (uint64_t)run;
    sm_plan_forward(engine->plan, &engine->run);
}

/* ---- one network on the whole image -------------------------------------------------------------------------------- */

static size_t items_of(const sm_task *task, int height, int width)
{
    return sm_scope_items(task->target->scope, height, width);
}

/* Tells logits from the log-variances beside them, whose sigmas' squares are kept: they are what has a mean. */
static void take_output(const sm_session *session, int t, size_t items, float *output, floats *squares)
{
    const sm_task *task = session->tasks[t];
    if (task->is_heteroscedastic) {
        float *own = room_for(squares, items);
        sm_task_sigma(task, items, output, own);
        for (size_t i = 0; i < items; i++) {
            own[i] *= own[i];
        }
    }
    sm_session_take_logits(session, NULL, t, items, output);
}

static void scale_output(sm_predictor *p, const sm_engine *engine, int t, int height, int width)
{
    const sm_task *task = p->results[t].task;
    const float *from = sm_plan_output(engine->plan, &engine->run, t);
    float *to = p->buffers[t].logits.values;
    const sm_resize_shape shape = {engine->height, engine->width, height, width, sm_task_outputs(task), 0};
    if (task->target->scope == SM_SCOPE_SAMPLE || (engine->height == height && engine->width == width)) {
        memcpy(to, from, items_of(task, height, width) * (size_t)sm_task_outputs(task) * sizeof *to);
        return;
    }
    int threads = engine->run.threads;
    size_t bytes = sm_resize_forward_workspace_bytes(&shape, threads);
    sm_resize_forward(&shape, 1, from, to, room_for(&p->resize_workspace, bytes / sizeof(float) + 1), threads);
}

/* Leaves logits, and values where they are needed. */
static sm_status run_scaled(sm_predictor *p, member *m, const void *image, const sm_geometry *geometry, int height,
                            int width, int64_t index, int run)
{
    sm_status status = SM_OK;
    sm_engine *engine;
    SM_TRY(prepare_engine(m, geometry->out_height, geometry->out_width, &engine));
    prepare_input(p, image, height, width, geometry);
    run_engine(p, engine, index, run);
    for (int t = 0; t < p->task_count; t++) {
        task_buffers *b = &p->buffers[t];
        size_t items = p->results[t].items;
        scale_output(p, engine, t, height, width);
        take_output(m->session, t, items, b->logits.values, &b->squares);
        if (needs_values(p, t)) {
            sm_task_values(p->results[t].task, items, b->logits.values, b->values.values);
        }
    }
done:
    return status;
}

/* Of each task its values', and its variances' where every pixel has its own. */
static size_t planes_of_weights(const sm_predictor *p)
{
    size_t planes = (size_t)p->task_count;
    for (int t = 0; t < p->task_count; t++) {
        planes += p->results[t].task->is_heteroscedastic ? 1 : 0;
    }
    return planes;
}

/* \param window  counts from 0 */
static void blend_window(sm_predictor *p, const member *m, const sm_engine *engine, const sm_window_axis *y,
                         const sm_window_axis *x, int window)
{
    static const sm_window_axis one = {1, 1, 1};
    size_t pixels = (size_t)y->extent * (size_t)x->extent;
    float *weights = p->weights.values;
    for (int t = 0; t < p->task_count; t++, weights += pixels) {
        const sm_task *task = p->results[t].task;
        task_buffers *b = &p->buffers[t];
        int has_pixels = task->target->scope == SM_SCOPE_PIXEL;
        const sm_window_axis *rows = has_pixels ? y : &one, *columns = has_pixels ? x : &one;
        int row = has_pixels ? window / x->count : 0, column = has_pixels ? window % x->count : 0;
        size_t items = items_of(task, engine->height, engine->width);
        float *output = sm_plan_output(engine->plan, &engine->run, t);
        float *values = room_for(&b->part_values, items * (size_t)task->channels);
        take_output(m->session, t, items, output, &b->part_squares);
        sm_task_values(task, items, output, values);
        sm_window_blend(rows, columns, row, column, task->channels, values, weights, b->values.values);
        if (task->is_heteroscedastic) {
            weights += pixels;
            sm_window_blend(rows, columns, row, column, 1, b->part_squares.values, weights, b->squares.values);
        }
    }
}

/* Leaves values, the mean of those of the windows, and their logits. */
static sm_status run_windows(sm_predictor *p, member *m, const void *image, const sm_geometry *geometry, int height,
                             int width, int64_t index, int run)
{
    sm_status status = SM_OK;
    sm_engine *engine;
    sm_window_axis y = sm_window_axis_of(height, geometry->out_height, p->options.overlap);
    sm_window_axis x = sm_window_axis_of(width, geometry->out_width, p->options.overlap);
    size_t weights = planes_of_weights(p) * (size_t)height * (size_t)width;
    if (y.count * x.count > MANY_WINDOWS && !p->warned_of_windows) {
        p->warned_of_windows = 1;
        sm_log_warning(
            "an image of %d x %d takes %d windows of %d x %d: larger ones (--size) or --mode scale are quicker", height,
            width, y.count * x.count, geometry->out_height, geometry->out_width);
    }
    memset(room_for(&p->weights, weights), 0, weights * sizeof(float));
    SM_TRY(prepare_engine(m, geometry->out_height, geometry->out_width, &engine));
    for (int w = 0; w < y.count * x.count; w++) {
        sm_geometry part = *geometry;
        part.offset_y = sm_window_begin(&y, w / x.count);
        part.offset_x = sm_window_begin(&x, w % x.count);
        prepare_input(p, image, height, width, &part);
        run_engine(p, engine, index, run);
        blend_window(p, m, engine, &y, &x, w);
    }
    for (int t = 0; t < p->task_count; t++) {
        sm_task_logits(p->results[t].task, p->results[t].items, p->buffers[t].values.values,
                       p->buffers[t].logits.values);
    }
done:
    return status;
}

/* ---- the image through all networks -------------------------------------------------------------------------------- */

/* What the network reads of the image: its size, and the scale from the image to it. */
static sm_geometry geometry_of(const sm_predictor *p, int height, int width)
{
    const sm_predictor_options *o = &p->options;
    const sm_data_description *data = p->data;
    if (data->input.kind->is_table) {
        return sm_geometry_whole(1, 1, 1, 1);
    }
    if (o->mode == SM_PREDICT_WINDOWS) {
        int window_height = o->height > 0 ? o->height : data->crop_height;
        int window_width = o->width > 0 ? o->width : data->crop_width;
        return sm_geometry_whole(window_height, window_width, window_height, window_width);
    }
    if (o->mode == SM_PREDICT_WHOLE) {
        return sm_geometry_whole(height, width, height, width);
    }
    if (o->height > 0) {
        return sm_geometry_whole(height, width, o->height, o->width);
    }
    double pixels = (double)data->input.height * data->input.width;
    double scale = sqrt(pixels / ((double)height * width));
    return sm_geometry_whole(height, width, (int)fmax(1, round(height * scale)), (int)fmax(1, round(width * scale)));
}

/* How values grow from the network's pixels to the image's. \param [out] factors  one a component */
static void find_growth(const sm_task *task, const sm_geometry *geometry, float factors[SM_COMPONENTS_MAX])
{
    sm_task_factors(task, 1 / geometry->scale_x, 1 / geometry->scale_y, 0, factors);
}

static void grow(const sm_task_prediction *result, const sm_geometry *geometry, float *values, float *variance)
{
    float factors[SM_COMPONENTS_MAX];
    size_t components = (size_t)result->components;
    find_growth(result->task, geometry, factors);
    for (size_t i = 0; i < result->items * components; i++) {
        float factor = factors[i % components];
        values[i] *= factor;
        if (variance) {
            variance[i] *= factor * factor;
        }
    }
}

/* A sigma is one number of all components: so is its growth, the root of the mean of their squares. */
static double sigma_growth(const sm_task *task, const sm_geometry *geometry)
{
    float factors[SM_COMPONENTS_MAX];
    double squares = 0;
    if (!sm_task_is_regression(task)) {
        return 1;
    }
    find_growth(task, geometry, factors);
    for (int c = 0; c < task->channels; c++) {
        squares += (double)factors[c] * factors[c];
    }
    return sqrt(squares / task->channels);
}

/* Mean over the networks of what they learned, in the image's pixels. */
static double mean_sigma(const sm_predictor *p, int t, const sm_geometry *geometry)
{
    double sum = 0;
    for (int m = 0; m < p->member_count; m++) {
        const sm_session *session = p->members[m].session;
        const sm_likelihood *likelihood = session->weighting->members[t].task.likelihood;
        const float *s = sm_session_log_variance(session, t);
        sum += likelihood && s ? likelihood->sigma(*s) : NAN;
    }
    const sm_task *task = p->results[t].task;
    return task->is_heteroscedastic ? NAN : sum / p->member_count * sigma_growth(task, geometry);
}

/* Room for an image's results. */
static void begin(sm_predictor *p, int height, int width)
{
    for (int t = 0; t < p->task_count; t++) {
        const sm_task *task = p->members[0].session->tasks[t];
        task_buffers *b = &p->buffers[t];
        size_t items = items_of(task, height, width);
        p->results[t] = (sm_task_prediction){.task = task, .items = items};
        room_for(&b->logits, items * (size_t)sm_task_outputs(task));
        room_for(&b->values, items * (size_t)task->channels);
        room_for(&b->squares, task->is_heteroscedastic ? items : 0);
        if (averages(p)) {
            sm_prediction_mean_begin(&b->mean, task, items, p->options.uncertainty);
        }
    }
}

/* \param run  counts from 0 */
static void add_run(sm_predictor *p, int t, int run)
{
    const sm_task_prediction *r = &p->results[t];
    task_buffers *b = &p->buffers[t];
    if (averages(p)) {
        sm_prediction_mean_add(&b->mean, run, 0, r->items, b->values.values);
    }
    if (r->task->is_heteroscedastic) {
        float *mean = room_for(&b->sigmas, r->items);
        for (size_t i = 0; i < r->items; i++) {
            float square = b->squares.values[i];
            mean[i] = run == 0 ? square : mean[i] + (square - mean[i]) / (float)(run + 1);
        }
    }
}

static const float *finish_sigmas(sm_predictor *p, int t, const sm_geometry *geometry)
{
    const sm_task_prediction *r = &p->results[t];
    float *sigmas = p->buffers[t].sigmas.values;
    float factor = (float)sigma_growth(r->task, geometry);
    for (size_t i = 0; i < r->items; i++) {
        sigmas[i] = factor * sqrtf(sigmas[i]);
    }
    return sigmas;
}

static float *find_spread(sm_predictor *p, int t)
{
    const sm_task_prediction *r = &p->results[t];
    task_buffers *b = &p->buffers[t];
    if (!p->options.uncertainty || !averages(p)) {
        return NULL;
    }
    float *spread = room_for(&b->spread, r->items * (size_t)r->task->channels);
    sm_prediction_mean_spread(&b->mean, spread);
    return spread;
}

/* From the mean of the runs, or the one run. */
static void finish_task(sm_predictor *p, int t, const sm_geometry *geometry)
{
    sm_task_prediction *r = &p->results[t];
    task_buffers *b = &p->buffers[t];
    int uncertainty = p->options.uncertainty, real = sm_task_is_regression(r->task);
    float *spread = find_spread(p, t);
    const float *values = averages(p) ? b->mean.mean : b->values.values;
    r->components = sm_task_is_classification(r->task) ? 1 : r->task->channels;
    float *decoded = room_for(&b->decoded, r->items * (size_t)r->components);
    if (averages(p)) {
        sm_task_logits(r->task, r->items, values, b->logits.values);
    }
    sm_task_decode(r->task, r->items, b->logits.values, decoded);
    if (real) {
        grow(r, geometry, decoded, spread);
    } else if (uncertainty) {
        r->entropy = room_for(&b->entropy, r->items);
        sm_prediction_entropy(r->task, r->items, values, b->entropy.values);
    }
    r->logits = real ? NULL : b->logits.values;
    r->values = decoded;
    r->information = real ? NULL : spread;
    r->variance = real ? spread : NULL;
    r->sigma = mean_sigma(p, t, geometry);
    r->sigmas = uncertainty && r->task->is_heteroscedastic ? finish_sigmas(p, t, geometry) : NULL;
    if (uncertainty && real && p->data->input.kind->is_table && !isnan(r->sigma)) { /* a column of its own */
        float *sigma = room_for(&b->sigmas, 1);
        *sigma = (float)r->sigma;
        r->sigmas = sigma;
    }
}

static void find_instances(sm_predictor *p, int t, const sm_geometry *geometry, int height, int width)
{
    sm_task_prediction *r = &p->results[t];
    sm_instance_input input = {.height = height, .width = width, .vectors = r->values};
    for (int c = p->task_count - 1; c >= 0; c--) {
        if (sm_task_finds_things(p->results[c].task)) {
            r->instance_classes = p->results[c].task;
            input.classes = r->instance_classes->target->classes;
            input.class_logits = p->results[c].logits;
        }
    }
    sm_instance_list_free(p->buffers[t].instances);
    /* What is set is said of the size of training. */
    sm_instance_options options = sm_instance_options_grown(&r->task->instances, p->data->input.width, height, width,
                                                            1 / geometry->scale_x, 1 / geometry->scale_y);
    r->instances = p->buffers[t].instances = sm_instances_decode(&options, &input);
}

sm_status sm_predictor_run(sm_predictor *p, const void *image, int height, int width, int64_t index,
                           const sm_task_prediction **tasks)
{
    sm_status status = SM_OK;
    sm_geometry geometry = geometry_of(p, height, width);
    int samples = p->options.samples > 0 ? p->options.samples : 1;
    begin(p, height, width);
    int in_windows = p->options.mode == SM_PREDICT_WINDOWS && !p->data->input.kind->is_table;
    for (int run = 0; run < p->member_count * samples; run++) {
        member *m = &p->members[run / samples];
        SM_TRY((in_windows ? run_windows : run_scaled)(p, m, image, &geometry, height, width, index, run));
        for (int t = 0; t < p->task_count; t++) {
            add_run(p, t, run);
        }
    }
    for (int t = 0; t < p->task_count; t++) {
        finish_task(p, t, &geometry);
    }
    for (int t = 0; p->options.instances && t < p->task_count; t++) {
        if (p->results[t].task->kind->learns == SM_TARGET_INSTANCE) {
            find_instances(p, t, &geometry, height, width);
        }
    }
    *tasks = p->results;
done:
    return status;
}
