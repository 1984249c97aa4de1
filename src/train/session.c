#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/sum_tree.h>
#include <sigmatic/comm/cores.h>
#include <sigmatic/comm/tree_sum.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/train/session.h>

#include "train/best.h"
#include "train/freezing.h"
#include "train/isa_agreement.h"
#include "train/task_steps.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A config of which nobody has left out what run.tasks does not name would train all. */
static sm_status check_tasks(const sm_config *config, const char *const *sections, int count)
{
    size_t wanted;
    const char *const *names = sm_config_texts(config, "run", "tasks", &wanted);
    for (int i = 0; i < count && wanted > 0; i++) {
        size_t k = 0;
        while (k < wanted && strcmp(names[k], sm_config_instance(sections[i])) != 0) {
            k++;
        }
        if (k == wanted) {
            return sm_config_fail(config, "run", "tasks",
                                  "[%s] is there all the same: a program calls sm_settings_check() first", sections[i]);
        }
    }
    return SM_OK;
}

/* Of a table all is a value a sample, also before its file says so. */
static sm_head head_of(const sm_session *session, const sm_task *task)
{
    static const sm_head_kind kinds[SM_SCOPES] = {[SM_SCOPE_PIXEL] = SM_HEAD_MAP, [SM_SCOPE_SAMPLE] = SM_HEAD_VECTOR};
    sm_head_kind kind = session->network.backbone->reads_tables ? SM_HEAD_VECTOR : kinds[task->target->scope];
    return (sm_head){task->name, kind, sm_task_outputs(task)};
}

/* A cross-entropy is of one choice among its classes. */
static sm_loss_shape shape_of(const sm_task *task)
{
    return (sm_loss_shape){sm_task_is_classification(task) ? 1 : task->channels, task->huber_delta};
}

static sm_status make_tasks(sm_session *session)
{
    sm_status status = SM_OK;
    const char *const *sections;
    int count = (int)sm_config_sections(session->config, "task", &sections);
    const sm_data_description *data = session->data;
    const sm_target *const *targets = data ? (const sm_target *const *)data->targets : NULL;
    size_t n = (size_t)count;
    const char **names = sm_alloc_zeroed(n * sizeof *names), **losses = sm_alloc_zeroed(n * sizeof *losses);
    sm_loss_shape *shapes = sm_alloc_zeroed(n * sizeof *shapes);
    if (count == 0) {
        SM_TRY(sm_fail(SM_ERR_CONFIG, "the config has no [task.NAME] section: nothing to learn"));
    }
    SM_TRY(check_tasks(session->config, sections, count));
    session->tasks = sm_alloc_zeroed(n * sizeof *session->tasks);
    session->heads = sm_alloc_zeroed(n * sizeof *session->heads);
    session->task_count = count;
    for (int i = 0; i < count; i++) {
        names[i] = sm_config_instance(sections[i]);
        SM_TRY(sm_task_new(session->config, names[i], targets, data ? data->target_count : 0, &session->tasks[i]));
        losses[i] = session->tasks[i]->is_heteroscedastic ? "per_pixel" : session->tasks[i]->loss;
        shapes[i] = shape_of(session->tasks[i]);
        session->heads[i] = head_of(session, session->tasks[i]);
    }
    SM_TRY(sm_weighting_new(session->config, count, names, losses, shapes, &session->weighting));
done:
    sm_free(names);
    sm_free(losses);
    sm_free(shapes);
    return status;
}

static void add_log_variances(sm_session *session)
{
    const sm_weighting *weighting = session->weighting;
    session->log_variances = sm_alloc((size_t)session->task_count * sizeof *session->log_variances);
    for (int i = 0; i < session->task_count; i++) {
        sm_slice slice = {.dimensions = 1,
                          .shape = {1},
                          .task = i,
                          .log_variance = 1,
                          .initial_mean = (float)weighting->log_variances->initial[weighting->members[i].group]};
        snprintf(slice.name, sizeof slice.name, "log_variance.%s", session->tasks[i]->name);
        session->log_variances[i] = sm_parameters_add(session->parameters, &slice);
    }
}

/* The log-variances of a group stay equal only if they learn alike. */
static sm_status check_groups(const sm_session *session)
{
    const sm_weighted_member *members = session->weighting->members;
    const sm_slice *slices = session->parameters->parameters.items;
    for (int i = 0; session->log_variances && i < session->task_count; i++) {
        for (int j = 0; j < i; j++) {
            const sm_slice *a = &slices[session->log_variances[j]], *b = &slices[session->log_variances[i]];
            int frozen = a->frozen != b->frozen, scaled = a->learning_rate_scale != b->learning_rate_scale;
            if (members[i].group == members[j].group && (frozen || scaled)) {
                return sm_config_fail(session->config, "model", frozen ? "freeze" : "learning_rate_scales",
                                      "of %s and %s, which tasks of one group share, it meets one: expected both or "
                                      "neither",
                                      a->name, b->name);
            }
        }
    }
    return SM_OK;
}

/* Adds the slices: first those of the network (a throw-away graph), then the log-variances, which so come first in backward order. */
static sm_status make_parameters(sm_session *session)
{
    sm_status status = SM_OK;
    sm_graph *graph = NULL;
    session->parameters = sm_parameters_new();
    int side = session->network.backbone->reads_tables
                   ? 1
                   : 16 * session->network.output_stride; /* any size gives the same parameters */
    const sm_value_shape input = {side, side, session->input_channels};
    SM_TRY(
        sm_network_build(&session->network, input, session->task_count, session->heads, session->parameters, &graph));
    if (session->weighting->log_variances) {
        add_log_variances(session);
    }
    SM_TRY(sm_network_apply_patterns(session->config, session->parameters));
    SM_TRY(check_groups(session));
    sm_parameters_finish(session->parameters);
done:
    sm_graph_free(graph);
    return status;
}

/* ---- parameters of all ranks of a node ---- */

static size_t parameter_bytes(const sm_session *session)
{
    return session->parameters->parameters.floats * sizeof(float);
}

int sm_session_writes(const sm_session *session)
{
    return sm_node_memory_rank(session->shared) == 0;
}

void sm_session_wait_for_node(sm_session *session)
{
    if (sm_node_memory_is_shared(session->shared)) {
        sm_comm_node_barrier(session->comm);
    }
}

void sm_session_broadcast(sm_session *session, float *numbers)
{
    if (sm_node_memory_is_shared(session->shared)) {
        sm_comm_broadcast_to_nodes(session->comm, numbers, parameter_bytes(session));
    } else {
        sm_comm_broadcast(session->comm, numbers, parameter_bytes(session), 0);
    }
}

void sm_session_broadcast_network(sm_session *session)
{
    sm_session_broadcast(session, session->values);
    sm_comm_broadcast(session->comm, session->buffers, session->parameters->buffers.floats * sizeof(float), 0);
}

void sm_session_stop_sharing(sm_session *session)
{
    sm_node_memory *own = sm_node_memory_new(sm_comm_self(), parameter_bytes(session));
    session->values = memcpy(sm_node_memory_base(own), session->values, parameter_bytes(session));
    sm_node_memory_free(session->shared);
    session->shared = own;
}

static void initialise_parameters(sm_session *session)
{
    size_t buffer_bytes = session->parameters->buffers.floats * sizeof(float);
    session->shared = sm_node_memory_new(session->comm, parameter_bytes(session));
    session->values = sm_node_memory_base(session->shared);
    session->buffers = sm_alloc(buffer_bytes);
    if (sm_session_writes(session)) {
        sm_slices_initialise(&session->parameters->parameters, session->settings.seed, session->values);
    }
    sm_slices_initialise(&session->parameters->buffers, session->settings.seed, session->buffers);
    sm_session_broadcast_network(session);
}

static void choose_threads(sm_session *session)
{
    int *threads = &session->settings.threads;
    if (*threads == 0) {
        const char *wanted = getenv("OMP_NUM_THREADS");
        *threads = wanted && atoi(wanted) > 0 ? atoi(wanted) : 1;
    }
    omp_set_num_threads(*threads);
}

/* Over all batches up to the configured one: the last of an epoch is short. */
static int most_sum_subtrees(int batch, int ranks)
{
    enum { MOST_TRIED = 1024 }; /* larger batches by the bound */
    sm_subtree subtrees[SM_SUM_TREE_DEPTH];
    int most = 1, bound = 1;
    for (int64_t share = (batch + ranks - 1) / ranks; share > 1; share /= 2) {
        bound += 2;
    }
    for (int total = 1; ranks > 1 && batch <= MOST_TRIED && total <= batch; total++) {
        for (int r = 0; r < ranks; r++) {
            int64_t first, share;
            sm_sampler_share(total, r, ranks, &first, &share);
            int count = sm_sum_tree_subtrees(total, first, first + share, subtrees);
            most = count > most ? count : most;
        }
    }
    return ranks > 1 && batch > MOST_TRIED ? bound : most;
}

/* A backbone of images has no use for a table, and one of tables none for images. */
static sm_status check_input(const sm_session *session)
{
    const sm_backbone *backbone = session->network.backbone;
    const sm_input_kind *kind = session->data ? session->data->input.kind : NULL;
    if (!kind || backbone->reads_tables == kind->is_table) {
        return SM_OK;
    }
    char *fitting = sm_strdup("");
    for (int i = 0; sm_backbones[i]; i++) {
        if (sm_backbones[i]->reads_tables == kind->is_table) {
            sm_append_text(&fitting, ", ", "%s", sm_backbones[i]->name);
        }
    }
    sm_status status = sm_config_fail(session->config, "model", "backbone",
                                      "%s reads %s, but the files of data.train have %s ('%s'): expected %s",
                                      backbone->name, backbone->reads_tables ? "tables" : "images",
                                      kind->is_table ? "a table" : "images", kind->name, fitting);
    sm_free(fitting);
    return status;
}

/* Of a config without data that does not matter; a table has at least one feature. */
static int channels_without_data(const sm_session *session)
{
    return session->network.backbone->reads_tables ? 1 : sm_input_kinds[0].channels;
}

/* Without session->data what follows from the config alone is checked. */
static sm_status configure(sm_session *session)
{
    sm_status status = SM_OK;
    SM_TRY(sm_settings_read(session->config, &session->settings));
    SM_TRY(sm_network_configure(session->config, &session->network));
    SM_TRY(check_input(session));
    session->input_channels = session->data ? session->data->input.channels : channels_without_data(session);
    SM_TRY(make_tasks(session));
    SM_TRY(make_parameters(session));
done:
    return status;
}

sm_status sm_session_check_config(const sm_config *config)
{
    sm_status status = SM_OK;
    sm_best best = {0};
    sm_session *session = sm_alloc_zeroed(sizeof *session);
    session->config = config;
    SM_TRY(configure(session));
    SM_TRY(sm_freezing_check(session));
    SM_TRY(sm_task_steps_check(session, session->settings.steps));
    SM_TRY(sm_best_read(session, &best));
done:
    sm_best_clear(&best);
    sm_session_free(session);
    return status;
}

sm_status sm_session_new(const sm_config *config, sm_comm *comm, const sm_dataset *dataset, sm_session **out)
{
    sm_augmentation augmentation;
    sm_data_description *data = NULL;
    sm_status status = sm_comm_agree(comm, sm_data_augmentation(config, dataset, &augmentation));
    if (status == SM_OK) {
        data = sm_data_description_new(dataset, &augmentation);
        status = sm_session_new_described(config, comm, data, out);
    }
    sm_data_description_free(data);
    return status;
}

sm_status sm_session_new_described(const sm_config *config, sm_comm *comm, const sm_data_description *data,
                                   sm_session **out)
{
    sm_status status = SM_OK;
    sm_session *session = sm_alloc_zeroed(sizeof *session);
    session->config = config;
    session->comm = comm;
    session->data = sm_data_description_copy(data);
    SM_TRY(sm_isa_agree(comm));
    SM_TRY(configure(session));
    session->sum_subtrees = most_sum_subtrees(session->settings.batch, sm_comm_size(comm));
    choose_threads(session);
done:
    status = sm_comm_agree(comm, status);
    if (status != SM_OK) {
        sm_session_free(session);
        return status;
    }
    sm_cores_check(comm, session->settings.threads);
    initialise_parameters(session);
    *out = session;
    return SM_OK;
}

void sm_session_free(sm_session *session)
{
    if (!session) {
        return;
    }
    for (int i = 0; i < session->task_count; i++) {
        sm_task_free(session->tasks[i]);
    }
    sm_data_description_free(session->data);
    sm_free(session->memory);
    sm_free(session->tasks);
    sm_free(session->heads);
    sm_weighting_free(session->weighting);
    sm_parameters_free(session->parameters);
    sm_free(session->log_variances);
    sm_node_memory_free(session->shared);
    sm_free(session->buffers);
    sm_free(session);
}

/* Regions of the session's memory, in their order there; the last one is at its end, where all engines that make sums make
 * them in one place. */
static const sm_region session_regions[] = {SM_REGION_PREPARED, SM_REGION_ACTIVATIONS, SM_REGION_WORKSPACE,
                                            SM_REGION_PARTIALS};
enum { SESSION_REGIONS = sizeof session_regions / sizeof *session_regions, REGION_ALIGNMENT = 4096 };

static size_t session_bytes(const sm_plan *plan)
{
    size_t bytes = 0;
    for (int i = 0; i < SESSION_REGIONS; i++) {
        bytes += sm_round_up(sm_plan_region_bytes(plan, session_regions[i]), REGION_ALIGNMENT);
    }
    return bytes;
}

size_t sm_engine_memory_bytes(const sm_engine *engine)
{
    return session_bytes(engine->plan);
}

size_t sm_engine_image_bytes(const sm_engine *engine)
{
    sm_plan *larger = NULL;
    sm_plan_options options = engine->options;
    options.capacity++;
    if (sm_plan_new(engine->graph, &options, &larger) != SM_OK) {
        return 0;
    }
    size_t bytes = session_bytes(larger) - session_bytes(engine->plan);
    sm_plan_free(larger);
    return bytes;
}

/* \return samples of a rank to choose algorithms for: the choice may depend on the global batch, not on the ranks. */
static int typical_batch(int batch_global)
{
    enum { USUAL = 4 };
    return batch_global < USUAL ? batch_global : USUAL;
}

sm_status sm_engine_new(sm_session *session, int height, int width, int capacity, int training, sm_engine **out)
{
    sm_status status = SM_OK;
    sm_engine *engine = sm_alloc_zeroed(sizeof *engine);
    const sm_settings *settings = &session->settings;
    sm_weighting_needs needs =
        training == SM_ENGINE_TASK_GRADIENTS ? SM_WEIGHTING_NEEDS_SHARED_GRADIENTS : session->weighting->needs;
    engine->height = height;
    engine->width = width;
    engine->options =
        (sm_plan_options){.capacity = capacity,
                          .training = training != SM_ENGINE_INFERENCE,
                          .threads = settings->threads,
                          .batch_norm = settings->batch_norm,
                          .precision = settings->precision,
                          .recompute = settings->recompute,
                          .keep_dropout = session->keep_dropout,
                          .task_gradients = training && needs >= SM_WEIGHTING_NEEDS_SHARED_GRADIENTS,
                          .repeat_backward = training && needs == SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS,
                          .batch_typical = settings->reproducible ? typical_batch(settings->batch) : 0,
                          .reproducible = settings->reproducible,
                          .sum_subtrees = session->sum_subtrees,
                          .sum_bytes = sm_tree_sum_workspace_bytes(session->comm, session->sum_subtrees, SIZE_MAX,
                                                                   session->parameters->parameters.floats),
                          .conv2d_algorithm = settings->conv2d_algorithm};
    assert(!session->memory && "an engine is made before the first is bound");
    const sm_value_shape input = {height, width, session->input_channels};
    SM_TRY(sm_network_build(&session->network, input, session->task_count, session->heads, session->parameters,
                            &engine->graph));
    SM_TRY(sm_plan_new(engine->graph, &engine->options, &engine->plan));
    size_t bytes = session_bytes(engine->plan);
    session->memory_bytes = bytes > session->memory_bytes ? bytes : session->memory_bytes;
    *out = engine;
    engine = NULL;
done:
    sm_engine_free(engine);
    return status;
}

void sm_engine_free(sm_engine *engine)
{
    if (engine) {
        sm_plan_free(engine->plan);
        sm_graph_free(engine->graph);
        sm_free(engine);
    }
}

void sm_engine_bind(sm_session *session, sm_engine *engine)
{
    if (!session->memory) {
        session->memory = sm_alloc(session->memory_bytes);
    }
    char *next = session->memory, *end = session->memory + session->memory_bytes;
    for (int i = 0; i < SESSION_REGIONS; i++) {
        size_t bytes = sm_round_up(sm_plan_region_bytes(engine->plan, session_regions[i]), REGION_ALIGNMENT);
        engine->run.base[session_regions[i]] = i + 1 < SESSION_REGIONS ? next : end - bytes;
        next += bytes;
    }
    engine->run.base[SM_REGION_PARAMETERS] = (char *)session->values;
    engine->run.base[SM_REGION_BUFFERS] = (char *)session->buffers;
    engine->run.threads = session->settings.threads;
    engine->run.seed = session->settings.seed;
}

void sm_session_release_memory(sm_session *session)
{
    sm_free(session->memory);
    session->memory = NULL;
}

int sm_session_network_slices(const sm_session *session)
{
    return session->parameters->parameters.count - (session->log_variances ? session->task_count : 0);
}

size_t sm_session_network_begin(const sm_session *session)
{
    return session->parameters->parameters.items[sm_session_network_slices(session) - 1].offset;
}

float *sm_session_log_variance(const sm_session *session, int task)
{
    return session->log_variances
               ? session->values + session->parameters->parameters.items[session->log_variances[task]].offset
               : NULL;
}

double sm_session_logit_scale(const sm_session *session, const float *parameters, int task)
{
    const sm_likelihood *likelihood = session->weighting->members[task].task.likelihood;
    if (!session->log_variances || !likelihood->scales_logits) {
        return 1;
    }
    const float *values = parameters ? parameters : session->values;
    return exp(-(double)values[session->parameters->parameters.items[session->log_variances[task]].offset]);
}

void sm_session_take_logits(const sm_session *session, const float *parameters, int task, size_t items, float *output)
{
    const sm_task *own = session->tasks[task];
    double factor = sm_session_logit_scale(session, parameters, task);
    sm_task_take_logits(own, items, output);
    for (size_t i = 0; factor != 1 && i < items * (size_t)own->channels; i++) {
        output[i] = (float)(output[i] * factor);
    }
}

void sm_engine_set_batch(sm_engine *engine, const sm_batch *batch, int64_t batch_global)
{
    union {
        const float *read;
        char *base;
    } input = {.read = batch->input}; /* steps only read the input region */
    engine->run.base[SM_REGION_INPUT] = input.base;
    engine->run.batch = batch->count_local;
    engine->run.batch_global = batch_global;
    engine->run.first_sample = batch->first_local;
}

sm_target_builder *sm_session_target_builders(const sm_session *session)
{
    sm_target_builder *builders = sm_alloc((size_t)session->task_count * sizeof *builders);
    for (int i = 0; i < session->task_count; i++) {
        builders[i] = sm_task_builder(session->tasks[i]);
    }
    return builders;
}
