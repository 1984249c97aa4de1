/* Sums of each rank's samples, added over ranks: gradients in buckets that travel during backward (comm/reduction.h). */
#include <sigmatic/base/memory.h>

#include "train/batch_sums.h"

#include <string.h>

static void free_buckets(sm_batch_sums *sums)
{
    if (sums) {
        sm_reduction_free(sums->reduction);
        sm_reduction_free_values(sums->gradients);
        sm_free(sums);
    }
}

/* \return how many floats have to travel: what a network begins with, which is what is frozen of it, is last in memory */
static size_t trained_floats(const sm_slices *slices)
{
    size_t end = 0;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        end = !slice->frozen && slice->offset + slice->count > end ? slice->offset + slice->count : end;
    }
    return end > 0 ? end : slices->floats;
}

static sm_batch_sums *make_buckets(sm_session *session, const size_t *parts)
{
    size_t floats = session->parameters->parameters.floats, trained = trained_floats(&session->parameters->parameters);
    int ranks = sm_node_memory_size(session->shared);
    sm_reduction_options options = session->settings.reduction;
    size_t *shares = parts ? sm_alloc(((size_t)ranks + 1) * sizeof *shares) : NULL;
    sm_batch_sums *sums = sm_alloc_zeroed(sizeof *sums);
    for (int r = 0; shares && r <= ranks; r++) {
        shares[r] = parts[r] < trained ? parts[r] : trained;
    }
    *sums = (sm_batch_sums){.kind = &sm_batch_sums_buckets,
                            .trained = trained,
                            .session = session,
                            .gradients = sm_reduction_alloc(session->comm, floats),
                            .writes_known = sm_comm_rank(session->comm) == 0};
    memset(sums->gradients, 0, floats * sizeof(float)); /* frozen ones are never written */
    options.shares = shares;
    sums->reduction = sm_reduction_new(session->comm, sums->gradients, trained, &options);
    sm_free(shares);
    return sums;
}

static void bind_buckets(sm_batch_sums *sums, sm_engine *engine)
{
    engine->run.base[SM_REGION_GRADIENTS] = (char *)sums->gradients;
}

static void begin_step(sm_batch_sums *sums, int64_t samples)
{
    (void)sums;
    (void)samples;
}

/* One message for both. */
static void sum_rows(sm_batch_sums *sums, double *rows, size_t count, int *stop)
{
    rows[count] = *stop;
    sm_comm_sum_double(sums->session->comm, rows, count + 1);
    *stop = rows[count] > 0;
}

static void begin(sm_batch_sums *sums)
{
    sm_reduction_begin(sums->reduction);
}

static void progress(sm_batch_sums *sums, size_t complete)
{
    sm_reduction_progress(sums->reduction, complete < sums->trained ? complete : sums->trained);
}

static void finish(sm_batch_sums *sums)
{
    sm_reduction_finish(sums->reduction);
}

const sm_batch_sums_kind sm_batch_sums_buckets = {
    .name = "buckets",
    .make = make_buckets,
    .free = free_buckets,
    .bind = bind_buckets,
    .begin_step = begin_step,
    .rows = sum_rows,
    .begin = begin,
    .progress = progress,
    .finish = finish,
};
