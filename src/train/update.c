#include <sigmatic/base/memory.h>
#include <sigmatic/optim/ema.h>
#include <sigmatic/train/update.h>

#include <math.h>
#include <string.h>

static size_t parameter_floats(const sm_update *update)
{
    return update->session->parameters->parameters.floats;
}

static size_t count_products(const sm_session *session)
{
    size_t tasks = (size_t)session->task_count;
    int wanted = session->settings.reproducible && session->weighting->needs == SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS;
    return wanted ? SM_FLAT_BLOCKS * tasks * tasks : 0;
}

/* One allocation, so that all of it can be shared or nothing is; then the parameters are not either, for the own part of
 * the one has to be that of the other. */
static void make_state(sm_update *update)
{
    sm_session *session = update->session;
    int has_average = update->optimizer->ema_decay > 0, states = update->optimizer->kind->state_count;
    size_t floats = parameter_floats(update), flats = (size_t)(states + has_average);
    size_t products = count_products(session);
    int shares = sm_node_memory_is_shared(session->shared);
    update->shared = sm_node_memory_new(shares ? session->comm : sm_comm_self(),
                                        flats * floats * sizeof(float) + (SM_FLAT_BLOCKS + products) * sizeof(double));
    if (shares && !sm_node_memory_is_shared(update->shared)) {
        sm_session_stop_sharing(session);
    }
    update->squares = sm_node_memory_base(update->shared);
    update->products = products > 0 ? update->squares + SM_FLAT_BLOCKS : NULL;
    float *flat = (float *)(void *)(update->squares + SM_FLAT_BLOCKS + products);
    for (int i = 0; i < states; i++) {
        update->state[i] = flat + (size_t)i * floats;
    }
    if (has_average) {
        update->average = flat + (size_t)states * floats;
        sm_update_start_average(update);
    }
}

void sm_update_start_average(sm_update *update)
{
    if (update->average && sm_session_writes(update->session)) {
        memcpy(update->average, update->session->values, parameter_floats(update) * sizeof(float));
    }
    sm_session_wait_for_node(update->session);
}

/* \return the first block of the own part of a rank of the node */
static int first_block_of(const sm_update *update, int rank)
{
    return (int)((int64_t)SM_FLAT_BLOCKS * rank / sm_node_memory_size(update->shared));
}

static void find_own_part(sm_update *update)
{
    int rank = sm_node_memory_rank(update->shared);
    update->own_first_block = first_block_of(update, rank);
    update->own_last_block = first_block_of(update, rank + 1);
    update->own_begin = sm_flat_block_begin(parameter_floats(update), update->own_first_block);
    update->own_end = sm_flat_block_begin(parameter_floats(update), update->own_last_block);
}

size_t *sm_update_parts(const sm_update *update)
{
    int ranks = sm_node_memory_size(update->shared);
    if (!sm_node_memory_is_shared(update->shared)) {
        return NULL;
    }
    size_t *parts = sm_alloc(((size_t)ranks + 1) * sizeof *parts);
    for (int r = 0; r <= ranks; r++) {
        parts[r] = sm_flat_block_begin(parameter_floats(update), first_block_of(update, r));
    }
    return parts;
}

sm_status sm_update_new(sm_session *session, sm_update **out)
{
    sm_status status = SM_OK;
    size_t slices = (size_t)session->parameters->parameters.count;
    sm_update *update = sm_alloc_zeroed(sizeof *update);
    update->session = session;
    SM_TRY(sm_optimizer_new(session->config, &update->optimizer));
    make_state(update);
    find_own_part(update);
    update->slices = sm_alloc_zeroed(slices * sizeof *update->slices);
    update->updates = sm_alloc_zeroed(slices * sizeof *update->updates);
    *out = update;
    update = NULL;
done:
    sm_update_free(update);
    return status;
}

void sm_update_free(sm_update *update)
{
    if (update) {
        sm_node_memory_free(update->shared);
        sm_optimizer_free(update->optimizer);
        sm_free(update->slices);
        sm_free(update->updates);
        sm_free(update);
    }
}

static void find_slices(sm_update *update, const int *active)
{
    const sm_session *session = update->session;
    const sm_slices *slices = &session->parameters->parameters;
    const sm_log_variances *learned = session->weighting->log_variances;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        int trains = slice->log_variance ? sm_weighting_group_is_active(session->weighting, active, slice->task)
                                         : slice->task < 0 || active[slice->task];
        double scale = slice->log_variance ? learned->learning_rate_scale : 1;
        size_t begin = slice->offset > update->own_begin ? slice->offset : update->own_begin;
        size_t end = slice->offset + slice->count < update->own_end ? slice->offset + slice->count : update->own_end;
        update->slices[i] =
            (sm_slice_update){begin, begin < end ? end - begin : 0, (float)scale * slice->learning_rate_scale,
                              slice->decay, trains && !slice->frozen};
    }
}

int sm_update_measure(sm_update *update, const float *gradients, const int *active, double *norm)
{
    const sm_session *session = update->session;
    find_slices(update, active);
    double own = sm_gradient_squares(update->slices, sm_session_network_slices(session), gradients,
                                     parameter_floats(update), update->own_first_block, update->own_last_block,
                                     session->settings.threads, update->squares);
    int64_t broken = !isfinite(own);
    sm_comm_max_int64(session->comm, &broken, 1);
    *norm = sm_gradient_norm_of(update->squares);
    return !broken;
}

/* Log-variances take no part in clipping, and stay between their bounds. */
static void update_log_variances(sm_update *update, const float *gradients, double learning_rate)
{
    const sm_session *session = update->session;
    const sm_log_variances *learned = session->weighting->log_variances;
    int first = sm_session_network_slices(session), count = session->parameters->parameters.count - first;
    sm_optimizer_step(update->optimizer, update->slices + first, count, learning_rate, 1, session->values, gradients,
                      update->state, update->updates + first, session->settings.threads);
    for (int i = first; i < first + count; i++) {
        const sm_slice_update *own = &update->slices[i];
        sm_project(session->values + own->offset, own->count, learned->lower, learned->upper,
                   update->state[0] ? update->state[0] + own->offset : NULL);
    }
}

void sm_update_apply(sm_update *update, const float *gradients, double learning_rate, double norm, int64_t earlier)
{
    sm_session *session = update->session;
    int network = sm_session_network_slices(session), threads = session->settings.threads;
    double clip = sm_gradient_clip_scale(norm, update->optimizer->clip_norm);
    sm_optimizer_step(update->optimizer, update->slices, network, learning_rate, clip, session->values, gradients,
                      update->state, update->updates, threads);
    update_log_variances(update, gradients, learning_rate);
    if (update->average) {
        double decay = sm_ema_decay_at(update->optimizer->ema_decay, earlier);
        size_t begin = update->own_begin;
        sm_ema_update(update->average + begin, session->values + begin, update->own_end - begin, decay, threads);
    }
}
