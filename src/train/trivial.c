/* The trivial predictor. Every rank reads the samples and keeps its positions of all targets, so that medians are exact; the maps are then put together by a sum.
 * Many large samples are more than memory holds: they are then read again for each band of positions. */
#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/comm/vote.h>
#include <sigmatic/data/sampler.h>

#include "train/evaluator_private.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SAMPLES = 2048 };

/* Kept targets of one task: (position, component, sample), of the rank's positions. A position is an item of a sample. */
typedef struct kept {
    const sm_task *task;
    int64_t items;
    size_t components; /* kept of an item: 1 of a task of classes */
    uint8_t *classes;  /* of a task of classes, or of labels */
    float *values;     /* of real values; valid ones first */
    int *valid;        /* a position: an item is valid as a whole */
} kept;

typedef struct position_range {
    int64_t first, count; /* positions of this rank */
    size_t samples;
} position_range;

static int keeps_ids(const sm_task *task)
{
    return sm_task_is_classification(task) || sm_task_is_labelling(task);
}

/* What is known of vectors to centroids is that they cancel out: they are predicted as 0. */
static int keeps_values(const sm_task *task)
{
    return !keeps_ids(task) && task->kind->learns != SM_TARGET_INSTANCE;
}

static size_t components_of(const sm_task *task)
{
    return sm_task_is_classification(task) ? 1 : (size_t)task->channels;
}

static kept make_kept(const sm_task *task, int64_t items, const position_range *range)
{
    size_t numbers = (size_t)range->count * range->samples * components_of(task);
    kept k = {.task = task, .items = items, .components = components_of(task)};
    if (keeps_ids(task)) {
        k.classes = sm_alloc(numbers + 1);
    } else if (keeps_values(task)) {
        k.values = sm_alloc((numbers + 1) * sizeof *k.values);
        k.valid = sm_alloc_zeroed(((size_t)range->count + 1) * sizeof *k.valid);
    }
    return k;
}

static void free_kept(kept *k)
{
    sm_free(k->classes);
    sm_free(k->values);
    sm_free(k->valid);
}

/* A task of values a sample has but the first position. */
static int64_t positions_of(const kept *k, const position_range *range)
{
    int64_t left = k->items - range->first;
    return left < 0 ? 0 : left < range->count ? left : range->count;
}

static void keep_sample(kept *k, const position_range *range, size_t sample, const void *target)
{
    for (int64_t i = 0; i < positions_of(k, range); i++) {
        const float *item = (const float *)target + (size_t)(range->first + i) * k->components;
        const uint8_t *ids = (const uint8_t *)target + (size_t)(range->first + i) * k->components;
        size_t row = (size_t)i * k->components;
        for (size_t c = 0; c < k->components && k->classes; c++) {
            k->classes[(row + c) * range->samples + sample] = ids[c];
        }
        if (k->values && !isnan(item[0])) {
            for (size_t c = 0; c < k->components; c++) {
                k->values[(row + c) * range->samples + (size_t)k->valid[i]] = item[c];
            }
            k->valid[i]++;
        }
    }
}

static int most_frequent(const uint8_t *classes, size_t samples, int class_count)
{
    int counts[SM_CLASS_IGNORED + 1] = {0}, best = 0;
    for (size_t i = 0; i < samples; i++) {
        counts[classes[i]]++;
    }
    for (int c = 1; c < class_count; c++) {
        best = counts[c] > counts[best] ? c : best;
    }
    return best;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float median(float *values, int count)
{
    if (count == 0) {
        return 0;
    }
    qsort(values, (size_t)count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void predict(const kept *k, const position_range *range, float *map)
{
    for (int64_t i = 0; i < positions_of(k, range); i++) {
        float *out = map + (size_t)(range->first + i) * (size_t)k->task->channels;
        for (size_t c = 0; c < k->components; c++) {
            size_t row = ((size_t)i * k->components + c) * range->samples;
            if (k->classes && sm_task_is_labelling(k->task)) {
                out[c] = (float)most_frequent(k->classes + row, range->samples, 2) - 0.5f;
            } else if (k->classes) {
                out[most_frequent(k->classes + row, range->samples, k->task->channels)] = 1;
            } else if (k->values) {
                out[c] = median(k->values + row, k->valid[i]);
            }
        }
    }
}

static int64_t items_of(const sm_task *task, const sm_loader_options *options)
{
    return (int64_t)sm_scope_items(task->target->scope, options->input.height, options->input.width);
}

/* Of one position: the targets of all samples, of all tasks. */
static size_t bytes_of_position(const sm_session *session, size_t samples)
{
    size_t bytes = 0;
    for (int t = 0; t < session->task_count; t++) {
        const sm_task *task = session->tasks[t];
        bytes += keeps_ids(task)      ? samples * components_of(task)
                 : keeps_values(task) ? samples * components_of(task) * sizeof(float) + sizeof(int)
                                      : 0;
    }
    return bytes;
}

/* Reads all samples and predicts the positions of `band`, the same few of every sample. Ranks read as many samples, and
 * vote meanwhile. \param earlier  what this rank met in earlier bands \param [in,out] rounds  samples read before this band */
static sm_status learn_band(const sm_session *session, const sm_loader_options *options, const position_range *band,
                            sm_status earlier, int64_t *rounds, sm_vote *vote, float *const *maps)
{
    sm_status status = earlier;
    size_t tasks = (size_t)session->task_count;
    sm_loader *loader = NULL;
    kept *all = sm_alloc_zeroed(tasks * sizeof *all);
    for (size_t t = 0; t < tasks; t++) {
        all[t] = make_kept(session->tasks[t], items_of(session->tasks[t], options), band);
    }
    if (status == SM_OK) {
        status = sm_loader_new(options, &loader);
    }
    for (size_t seen = 0; seen < band->samples; seen++) {
        const sm_batch *batch;
        sm_vote_between(session->comm, vote, (*rounds)++, status, 0);
        if (vote->failed) {
            break;
        }
        sm_comm_set_phase("trivial predictor", 0, (int)seen);
        if (status == SM_OK) { /* a rank that failed goes on voting */
            status = sm_loader_next(loader, &batch);
        }
        for (size_t t = 0; t < tasks && status == SM_OK; t++) {
            assert(batch && "the loader walks through the whole set");
            keep_sample(&all[t], band, seen, batch->target[t]);
        }
    }
    for (size_t t = 0; t < tasks && status == SM_OK && !vote->failed; t++) {
        predict(&all[t], band, maps[t]);
    }
    for (size_t t = 0; t < tasks; t++) {
        free_kept(&all[t]);
    }
    sm_free(all);
    sm_loader_free(loader);
    return status;
}

sm_status sm_evaluator_learn_trivial(const sm_evaluator *e, sm_dataset *train, size_t most_bytes, float **maps)
{
    sm_status status = SM_OK;
    const sm_session *session = e->session;
    sm_comm *comm = session->comm;
    int64_t positions = 0, most_positions, begin, rounds = 0;
    sm_vote vote = {0};
    position_range own,
        band = {.samples = (size_t)(sm_dataset_count(train) < MOST_SAMPLES ? sm_dataset_count(train) : MOST_SAMPLES)};
    sm_loader_options options = e->loader;
    options.dataset = train;
    options.rank = 0; /* every rank reads everything */
    options.size = 1;
    options.batch = 1;
    options.task_count = session->task_count;
    options.keep_pixels = 0;
    for (int t = 0; t < session->task_count; t++) {
        int64_t items = items_of(session->tasks[t], &options);
        maps[t] = sm_alloc_zeroed((size_t)items * (size_t)session->tasks[t]->channels * sizeof(float));
        positions = items > positions ? items : positions;
    }
    sm_sampler_share(positions, sm_comm_rank(comm), sm_comm_size(comm), &own.first, &own.count);
    sm_sampler_share(positions, 0, sm_comm_size(comm), &begin, &most_positions); /* as many bands on every rank */
    int64_t most = 1 + (int64_t)(most_bytes / (bytes_of_position(session, band.samples) + 1));
    for (int64_t done = 0; done < most_positions && !vote.failed; done += most) {
        int64_t left = own.count - done;
        band.first = own.first + done;
        band.count = left < 0 ? 0 : left < most ? left : most;
        status = learn_band(session, &options, &band, status, &rounds, &vote, maps);
    }
    SM_TRY(sm_comm_agree(comm, status));
    for (int t = 0; t < session->task_count; t++) {
        size_t items = (size_t)items_of(session->tasks[t], &options);
        sm_comm_sum_float(comm, maps[t], items * (size_t)session->tasks[t]->channels);
    }
done:
    return status;
}
