#include "cli/split_statistics.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>

#include <math.h>
#include <string.h>

/* What a rank counts with. */
typedef struct counter {
    sm_comm *comm;
    split_statistics *split;
    double *sum, *squares; /* a channel: of its values as stored */
    uint8_t *seen;         /* an instance id */
} counter;

double fraction_of(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

double mean_of_target(const target_statistics *s)
{
    return s->sum / ((double)s->valid * s->target->components);
}

double deviation_of_target(const target_statistics *s)
{
    int components = s->target->components;
    double variances = 0;
    for (int c = 0; c < components; c++) {
        double mean = s->sums[c] / (double)s->valid;
        variances += fmax(s->squares[c] / (double)s->valid - mean * mean, 0);
    }
    return sqrt(variances / components);
}

/* ---- one sample -------------------------------------------------------------------------------------------------- */

static void count_classes(const uint8_t *ids, const uint16_t *instances, size_t items, target_statistics *s)
{
    for (size_t i = 0; i < items; i++) {
        s->of_class[ids[i]]++;
        s->with_instance[ids[i]] += instances && instances[i] != 0;
        s->valid += ids[i] != SM_CLASS_IGNORED;
    }
}

static void count_instances(const uint16_t *ids, size_t items, uint8_t *seen, target_statistics *s)
{
    memset(seen, 0, UINT16_MAX + 1);
    for (size_t i = 0; i < items; i++) {
        if (ids[i] != 0) {
            s->valid++;
            s->instances += !seen[ids[i]];
            seen[ids[i]] = 1;
        }
    }
}

/* Different numbers among these that are valid; stops at LEVELS_MAX. */
static int64_t count_levels(const float *values, size_t count)
{
    enum { PLACES = 4 * LEVELS_MAX };
    uint32_t kept[PLACES];
    uint8_t is_taken[PLACES] = {0};
    int64_t levels = 0;
    for (size_t i = 0; i < count && levels < LEVELS_MAX; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        if (isnan(values[i]) || (i > 0 && values[i] == values[i - 1])) {
            continue;
        }
        uint32_t place = bits * 2654435761u >> 16 & (PLACES - 1); /* Knuth's multiplicative hash */
        while (is_taken[place] && kept[place] != bits) {
            place = (place + 1) & (PLACES - 1);
        }
        levels += !is_taken[place];
        is_taken[place] = 1;
        kept[place] = bits;
    }
    return levels;
}

static void count_map(const float *values, size_t items, int64_t index, target_statistics *s)
{
    double most = 0;
    for (size_t i = 0; i < items; i++) {
        most = values[i] > most ? values[i] : most;
    }
    s->greatest[index] = most;
    s->levels[index] = count_levels(values, items);
}

static void count_reals(const float *values, size_t items, target_statistics *s)
{
    int components = s->target->components;
    for (size_t i = 0; i < items; i++, values += components) {
        double square = 0;
        for (int c = 0; c < components; c++) {
            square += (double)values[c] * values[c];
        }
        if (isnan(square)) {
            continue;
        }
        for (int c = 0; c < components; c++) {
            s->sum += values[c];
            s->absolutes += fabs((double)values[c]);
            s->sums[c] += values[c];
            s->squares[c] += (double)values[c] * values[c];
            s->least = fmin(s->least, values[c]);
            s->most = fmax(s->most, values[c]);
        }
        s->valid++;
        s->zeros += square == 0;
        s->lengths_not_one += fabs(sqrt(square) - 1) > 0.01;
    }
}

/* An item is valid if one of its labels is known. */
static void count_labels(const uint8_t *labels, size_t items, target_statistics *s)
{
    int components = s->target->components;
    for (size_t i = 0; i < items; i++, labels += components) {
        int known = 0;
        for (int c = 0; c < components; c++) {
            known = known || labels[c] != SM_CLASS_IGNORED;
            s->of_class[c] += labels[c] == 1;
        }
        s->valid += known;
    }
}

/* \return ids of the instances at the same pixels, NULL if there are none */
static const uint16_t *instances_beside(const sm_sample *sample, sm_scope scope)
{
    for (int t = 0; t < sample->target_count && scope == SM_SCOPE_PIXEL; t++) {
        if (sample->target[t].target->type == SM_TARGET_INSTANCE) {
            return sample->target[t].data;
        }
    }
    return NULL;
}

static void count_targets(counter *c, const sm_sample *sample)
{
    for (int t = 0; t < c->split->target_count; t++) {
        target_statistics *s = &c->split->targets[t];
        const sm_target_view *view = sm_sample_find(sample, s->target->name);
        if (!view) {
            continue;
        }
        size_t items = sm_scope_items(view->target->scope, sample->height, sample->width);
        s->items += (int64_t)items;
        if (view->target->type == SM_TARGET_CLASS) {
            count_classes(view->data, instances_beside(sample, view->target->scope), items, s);
        } else if (view->target->type == SM_TARGET_INSTANCE) {
            count_instances(view->data, items, c->seen, s);
        } else if (view->target->type == SM_TARGET_LABELS) {
            count_labels(view->data, items, s);
        } else {
            count_reals(view->data, items, s);
            if (s->levels) {
                count_map(view->data, items, sample->index, s);
            }
        }
    }
}

static void count_features(counter *c, const sm_sample *sample)
{
    const float *stored = sample->input;
    int channels = sm_dataset_input(c->split->dataset)->channels;
    for (int k = 0; k < channels; k++) {
        if (!isnan(stored[k])) {
            c->split->known[k]++;
            c->sum[k] += stored[k];
            c->squares[k] += (double)stored[k] * stored[k];
        }
    }
    c->split->input_crc[sample->index] = sm_crc32c(0, stored, (size_t)channels * sizeof *stored);
}

static void count_image(counter *c, const sm_sample *sample)
{
    const uint8_t *stored = sample->input;
    int channels = sm_dataset_input(c->split->dataset)->channels;
    size_t pixels = (size_t)sample->height * (size_t)sample->width, bytes = pixels * (size_t)channels;
    int blank = 1;
    for (int k = 0; k < channels; k++) {
        int64_t sum = 0, squares = 0;
        uint8_t least = UINT8_MAX, most = 0;
        for (size_t i = (size_t)k; i < bytes; i += (size_t)channels) {
            sum += stored[i];
            squares += stored[i] * stored[i];
            least = stored[i] < least ? stored[i] : least;
            most = stored[i] > most ? stored[i] : most;
        }
        blank = blank && least == most;
        c->sum[k] += (double)sum;
        c->squares[k] += (double)squares;
        c->split->known[k] += (int64_t)pixels;
    }
    c->split->blank += blank;
    c->split->input_crc[sample->index] = sm_crc32c(0, stored, bytes);
}

static void note_damage(split_statistics *split, int64_t index)
{
    if (split->damaged_count++ < DAMAGED_MAX) {
        split->damaged[split->damaged_count - 1] = (damaged_sample){index, sm_strdup(sm_error_message())};
    }
    split->input_crc[index] = -1;
}

static void read_share(counter *c)
{
    split_statistics *split = c->split;
    int64_t count = sm_dataset_count(split->dataset);
    double told = sm_seconds();
    sm_sample_storage *storage = sm_sample_storage_new(split->dataset);
    for (int64_t i = sm_comm_rank(c->comm); i < count; i += sm_comm_size(c->comm)) {
        sm_sample sample;
        sm_comm_set_phase("reading samples of a dataset", 0, (int)i);
        if (sm_dataset_read(split->dataset, i, storage, &sample) == SM_OK) {
            count_targets(c, &sample);
            (sm_dataset_input(split->dataset)->kind->is_table ? count_features : count_image)(c, &sample);
        } else {
            note_damage(split, i);
        }
        if (sm_comm_rank(c->comm) == 0 && sm_seconds() - told > 1) {
            told = sm_seconds();
            sm_log_progress(0, "%s: %lld of %lld %s", split->name, (long long)i, (long long)count,
                            sm_plural(count, "sample", "samples"));
        }
    }
    sm_sample_storage_free(storage);
}

/* ---- over all ranks ---------------------------------------------------------------------------------------------- */

/* Each rank's notes to every rank, then the first of them by index. */
static void join_damage(counter *c)
{
    split_statistics *split = c->split;
    int size = sm_comm_size(c->comm), rank = sm_comm_rank(c->comm), kept = 0;
    damaged_sample *all = sm_alloc_zeroed((size_t)size * DAMAGED_MAX * sizeof *all);
    for (int r = 0; r < size; r++) {
        int64_t count = split->damaged_count < DAMAGED_MAX ? split->damaged_count : DAMAGED_MAX;
        sm_comm_broadcast(c->comm, &count, sizeof count, r);
        for (int64_t i = 0; i < count; i++) {
            int64_t head[2] = {0};
            if (r == rank) {
                head[0] = split->damaged[i].index;
                head[1] = (int64_t)strlen(split->damaged[i].why) + 1;
            }
            sm_comm_broadcast(c->comm, head, sizeof head, r);
            char *why = r == rank ? split->damaged[i].why : sm_alloc((size_t)head[1]);
            sm_comm_broadcast(c->comm, why, (size_t)head[1], r);
            int place = kept++;
            for (; place > 0 && all[place - 1].index > head[0]; place--) {
                all[place] = all[place - 1];
            }
            all[place] = (damaged_sample){head[0], why};
        }
    }
    for (int i = DAMAGED_MAX; i < kept; i++) {
        sm_free(all[i].why);
    }
    memcpy(split->damaged, all, DAMAGED_MAX * sizeof *all);
    sm_free(all);
    sm_comm_sum_int64(c->comm, &split->damaged_count, 1);
}

static void join_targets(counter *c)
{
    for (int t = 0; t < c->split->target_count; t++) {
        target_statistics *s = &c->split->targets[t];
        int64_t *const counts[] = {&s->items, &s->valid, &s->instances, &s->zeros, &s->lengths_not_one};
        double ends[] = {-s->least, s->most};
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            sm_comm_sum_int64(c->comm, counts[i], 1);
        }
        sm_comm_sum_int64(c->comm, s->of_class, SM_CLASS_IGNORED + 1);
        sm_comm_sum_int64(c->comm, s->with_instance, SM_CLASS_IGNORED + 1);
        sm_comm_sum_double(c->comm, &s->sum, 1);
        sm_comm_sum_double(c->comm, &s->absolutes, 1);
        sm_comm_sum_double(c->comm, s->sums, SM_COMPONENTS_MAX);
        sm_comm_sum_double(c->comm, s->squares, SM_COMPONENTS_MAX);
        sm_comm_max_double(c->comm, ends, 2);
        s->least = -ends[0];
        s->most = ends[1];
        if (s->levels) { /* each sample is one rank's */
            size_t samples = (size_t)sm_dataset_count(c->split->dataset);
            sm_comm_sum_double(c->comm, s->greatest, samples);
            sm_comm_sum_int64(c->comm, s->levels, samples);
        }
    }
}

static void join_inputs(counter *c)
{
    split_statistics *split = c->split;
    int channels = sm_dataset_input(split->dataset)->channels;
    double unit = sm_dataset_input(split->dataset)->kind->is_table ? 1 : 255;
    sm_comm_sum_int64(c->comm, split->known, (size_t)channels);
    sm_comm_sum_int64(c->comm, &split->blank, 1);
    sm_comm_sum_double(c->comm, c->sum, (size_t)channels);
    sm_comm_sum_double(c->comm, c->squares, (size_t)channels);
    sm_comm_sum_int64(c->comm, split->input_crc, (size_t)sm_dataset_count(split->dataset));
    for (int k = 0; k < channels; k++) {
        double count = (double)split->known[k], mean = c->sum[k] / count;
        split->mean[k] = mean / unit;
        split->std[k] = sqrt(fmax(c->squares[k] / count - mean * mean, 0)) / unit;
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void give_memory(split_statistics *split)
{
    const sm_target *const *targets = sm_dataset_targets(split->dataset, &split->target_count);
    size_t channels = (size_t)sm_dataset_input(split->dataset)->channels;
    size_t samples = (size_t)sm_dataset_count(split->dataset) + 1;
    split->targets = sm_alloc_zeroed(((size_t)split->target_count + 1) * sizeof *split->targets);
    for (int t = 0; t < split->target_count; t++) {
        target_statistics *s = &split->targets[t];
        *s = (target_statistics){.target = targets[t], .least = INFINITY, .most = -INFINITY};
        if (targets[t]->type == SM_TARGET_REAL && targets[t]->scope == SM_SCOPE_PIXEL && targets[t]->components == 1) {
            s->greatest = sm_alloc_zeroed(samples * sizeof *s->greatest);
            s->levels = sm_alloc_zeroed(samples * sizeof *s->levels);
        }
    }
    split->mean = sm_alloc_zeroed(channels * sizeof *split->mean);
    split->std = sm_alloc_zeroed(channels * sizeof *split->std);
    split->known = sm_alloc_zeroed(channels * sizeof *split->known);
    split->input_crc = sm_alloc_zeroed(samples * sizeof *split->input_crc);
    split->damaged = sm_alloc_zeroed(DAMAGED_MAX * sizeof *split->damaged);
}

sm_status split_statistics_count(sm_comm *comm, const char *path, const char *name, split_statistics *split)
{
    sm_status status = SM_OK;
    *split = (split_statistics){.name = name};
    counter c = {.comm = comm, .split = split};
    SM_TRY(sm_comm_agree(comm, sm_dataset_open(&path, 1, name, &split->dataset)));
    size_t channels = (size_t)sm_dataset_input(split->dataset)->channels;
    give_memory(split);
    c.sum = sm_alloc_zeroed(2 * channels * sizeof *c.sum);
    c.squares = c.sum + channels;
    c.seen = sm_alloc(UINT16_MAX + 1);
    read_share(&c);
    join_damage(&c);
    join_targets(&c);
    join_inputs(&c);
done:
    sm_free(c.sum);
    sm_free(c.seen);
    return status;
}

sm_status split_statistics_verdict(const split_statistics *split, const char *path)
{
    if (split->damaged_count == 0) {
        return SM_OK;
    }
    return sm_fail(SM_ERR_INPUT, "%s: %lld of %lld %s of /%s cannot be read; the first: %s", path,
                   (long long)split->damaged_count, (long long)sm_dataset_count(split->dataset),
                   sm_plural(sm_dataset_count(split->dataset), "sample", "samples"), split->name,
                   split->damaged[0].why);
}

void split_statistics_clear(split_statistics *split)
{
    for (int i = 0; split->damaged && i < DAMAGED_MAX; i++) {
        sm_free(split->damaged[i].why);
    }
    for (int t = 0; split->targets && t < split->target_count; t++) {
        sm_free(split->targets[t].greatest);
        sm_free(split->targets[t].levels);
    }
    sm_free(split->damaged);
    sm_free(split->targets);
    sm_free(split->mean);
    sm_free(split->std);
    sm_free(split->known);
    sm_free(split->input_crc);
    sm_dataset_close(split->dataset);
    *split = (split_statistics){0};
}
