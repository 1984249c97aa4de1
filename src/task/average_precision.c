/* A record is a prediction: its confidence, and a whole number that says of which class it is and at which thresholds it is right or wrong. Records of all samples
 * and counts are all that precision and recall need, so that ranks exchange a few numbers a prediction, and the result does not depend on their order. */
#include "task/average_precision.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/task/task.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double sm_precision_least_pixels = 100;

enum { RECORD_NUMBERS = 2, ALL_OVERLAPS = 1 << SM_PRECISION_OVERLAPS };

/* 0.5, 0.55, ... with the rounding of numpy.arange(0.5, 1, 0.05): an overlap may be just one of them. */
static double threshold(int overlap)
{
    const double first = 0.5, step = (first + 0.05) - first;
    return first + overlap * step;
}

/* Of each class: instances that were looked for. */
size_t sm_precision_counts(const sm_class_list *classes)
{
    return (size_t)classes->count;
}

/* ---- one sample ---- */

/* What a prediction shares with the sample's instances and regions. */
typedef struct shared {
    size_t *with; /* pixels shared with each instance, 0 where it is of another class */
    size_t with_void, with_group;
    unsigned right, wrong; /* bits: thresholds */
} shared;

typedef struct comparison {
    const sm_joint_sample *sample;
    const sm_instance_guess *guesses;
    shared *shared;
    sm_truth_instances truth;
    size_t *group_pixels; /* a class */
    double least_pixels;
    int guess_count;
} comparison;

static int is_asked_for(const comparison *c, const sm_instance_guess *guess)
{
    const sm_class_list *classes = c->sample->classes;
    return guess->pixel_count > 0 && guess->class >= 0 && guess->class < classes->count && classes->thing &&
           classes->thing[guess->class];
}

static void share_pixels(const comparison *c, const sm_instance_guess *guess, shared *s)
{
    const sm_joint_sample *sample = c->sample;
    for (size_t p = 0; p < guess->pixel_count; p++) {
        uint32_t i = guess->pixels[p];
        uint16_t id = sample->instance_truth[i];
        int instance = id ? c->truth.of_id[id] : -1;
        s->with_void += id == 0 && sample->class_truth[i] == SM_CLASS_IGNORED;
        s->with_group += id == 0 && sample->class_truth[i] == guess->class;
        if (instance >= 0 && c->truth.items[instance].class == guess->class) {
            s->with[instance]++;
        }
    }
}

/* \return bits of the thresholds below intersection over union. */
static unsigned thresholds_below(size_t intersection, size_t pixels, size_t other_pixels)
{
    double overlap = (double)intersection / (double)(pixels + other_pixels - intersection);
    unsigned bits = 0;
    for (int o = 0; o < SM_PRECISION_OVERLAPS; o++) {
        bits |= (unsigned)(overlap > threshold(o)) << o;
    }
    return bits;
}

/* The benchmark counts a group smaller than an instance has to be twice. */
static size_t ignored_pixels(const comparison *c, const sm_instance_guess *guess, const shared *s)
{
    int is_small_group = (double)c->group_pixels[guess->class] < c->least_pixels;
    size_t ignored = s->with_void + s->with_group * (is_small_group ? 2 : 1);
    for (int i = 0; i < c->truth.count; i++) {
        ignored += (double)c->truth.items[i].pixels < c->least_pixels ? s->with[i] : 0;
    }
    return ignored;
}

/* Wrong, where it finds nothing, instances that nobody looks for included, and enough of it lies where something is asked. */
static void judge_alone(const comparison *c, const sm_instance_guess *guess, shared *s)
{
    unsigned found = 0;
    double ignored = (double)ignored_pixels(c, guess, s) / (double)guess->pixel_count;
    for (int i = 0; i < c->truth.count; i++) {
        found |= s->with[i] ? thresholds_below(s->with[i], c->truth.items[i].pixels, guess->pixel_count) : 0;
    }
    if (s->with_group) {
        found |= thresholds_below(s->with_group, c->group_pixels[guess->class], guess->pixel_count);
    }
    for (int o = 0; o < SM_PRECISION_OVERLAPS; o++) {
        s->wrong |= (unsigned)(!(found >> o & 1) && ignored <= threshold(o)) << o;
    }
}

/* At each threshold the most confident finder is right and the others are wrong. */
static void judge_finders(const comparison *c, int instance)
{
    const sm_truth_instance *truth = &c->truth.items[instance];
    int best[SM_PRECISION_OVERLAPS];
    memset(best, -1, sizeof best);
    for (int g = 0; g < c->guess_count; g++) {
        shared *s = &c->shared[g];
        unsigned found = s->with && s->with[instance]
                             ? thresholds_below(s->with[instance], truth->pixels, c->guesses[g].pixel_count)
                             : 0;
        for (int o = 0; o < SM_PRECISION_OVERLAPS; o++) {
            if (found >> o & 1) {
                int is_better = best[o] < 0 || c->guesses[g].confidence > c->guesses[best[o]].confidence;
                if (best[o] >= 0) {
                    c->shared[is_better ? best[o] : g].wrong |= 1u << o;
                }
                best[o] = is_better ? g : best[o];
            }
        }
    }
    for (int o = 0; o < SM_PRECISION_OVERLAPS; o++) {
        if (best[o] >= 0) {
            c->shared[best[o]].right |= 1u << o;
        }
    }
}

static void add_record(const sm_instance_guess *guess, const shared *s, sm_records *records)
{
    if (s->right || s->wrong) {
        double code = (double)(((uint64_t)guess->class * ALL_OVERLAPS + s->right) * ALL_OVERLAPS + s->wrong);
        sm_records_add(records, (const double[RECORD_NUMBERS]){guess->confidence, code}, RECORD_NUMBERS);
    }
}

static comparison begin_comparison(const sm_joint_sample *sample, double least_pixels, const sm_instance_guess *guesses,
                                   int guess_count)
{
    comparison c = {.sample = sample, .guesses = guesses, .guess_count = guess_count, .least_pixels = least_pixels};
    c.truth = sm_truth_instances_find(sample);
    c.shared = sm_alloc_zeroed(((size_t)guess_count + 1) * sizeof *c.shared);
    c.group_pixels = sm_alloc_zeroed((SM_CLASS_IGNORED + 1) * sizeof *c.group_pixels);
    for (size_t i = 0; i < (size_t)sample->height * (size_t)sample->width; i++) {
        c.group_pixels[sample->class_truth[i]] += sample->instance_truth[i] == 0;
    }
    return c;
}

void sm_precision_add(const sm_joint_sample *sample, double least_pixels, const sm_instance_guess *guesses,
                      int guess_count, sm_metric_numbers *numbers)
{
    comparison c = begin_comparison(sample, least_pixels, guesses, guess_count);
    for (int g = 0; g < guess_count; g++) {
        if (is_asked_for(&c, &guesses[g])) {
            c.shared[g].with = sm_alloc_zeroed(((size_t)c.truth.count + 1) * sizeof *c.shared[g].with);
            share_pixels(&c, &guesses[g], &c.shared[g]);
            judge_alone(&c, &guesses[g], &c.shared[g]);
        }
    }
    for (int i = 0; i < c.truth.count; i++) {
        if ((double)c.truth.items[i].pixels >= least_pixels) {
            numbers->counts[c.truth.items[i].class]++;
            judge_finders(&c, i);
        }
    }
    for (int g = 0; g < guess_count; g++) {
        add_record(&guesses[g], &c.shared[g], &numbers->records);
        sm_free(c.shared[g].with);
    }
    sm_free(c.shared);
    sm_free(c.group_pixels);
    sm_truth_instances_free(&c.truth);
}

/* ---- all samples ---- */

typedef struct record {
    double confidence;
    int class;
    unsigned right, wrong;
} record;

static int by_confidence(const void *a, const void *b)
{
    double x = ((const record *)a)->confidence, y = ((const record *)b)->confidence;
    return (x > y) - (x < y);
}

static record *read_records(const sm_records *records, size_t *count)
{
    *count = records->count / RECORD_NUMBERS;
    record *read = sm_alloc((*count + 1) * sizeof *read);
    for (size_t i = 0; i < *count; i++) {
        uint64_t code = (uint64_t)records->numbers[RECORD_NUMBERS * i + 1];
        read[i] = (record){records->numbers[RECORD_NUMBERS * i], (int)(code / ALL_OVERLAPS / ALL_OVERLAPS),
                           (unsigned)(code / ALL_OVERLAPS % ALL_OVERLAPS), (unsigned)(code % ALL_OVERLAPS)};
    }
    qsort(read, *count, sizeof *read, by_confidence);
    return read;
}

/* Right and wrong ones of the predictions from one confidence upwards. */
typedef struct tally {
    double confidence;
    int64_t right, wrong;
} tally;

/* \return how many different confidences there are. \param [out] tallies  the greatest confidence first */
static size_t tally_records(const record *records, size_t count, int class, int overlap, tally *tallies)
{
    size_t found = 0;
    int64_t right = 0, wrong = 0;
    for (size_t i = count; i-- > 0;) {
        int is_right = records[i].right >> overlap & 1, is_wrong = records[i].wrong >> overlap & 1;
        if (records[i].class != class || !(is_right || is_wrong)) {
            continue;
        }
        if (found == 0 || tallies[found - 1].confidence != records[i].confidence) {
            found++;
        }
        right += is_right;
        wrong += is_wrong;
        tallies[found - 1] = (tally){records[i].confidence, right, wrong};
    }
    return found;
}

/* Every point stands for half of the recall between its neighbours. */
static double area_of(const tally *tallies, size_t count, int64_t instances)
{
    double area = 0;
    for (size_t i = count; i-- > 0;) {
        double higher = i + 1 < count ? (double)tallies[i + 1].right : (double)tallies[i].right;
        double lower = i > 0 ? (double)tallies[i - 1].right : 0;
        double precision = (double)tallies[i].right / (double)(tallies[i].right + tallies[i].wrong);
        area += precision * 0.5 * (higher - lower) / (double)instances;
    }
    return count > 0 ? area + 0.5 * (double)tallies[0].right / (double)instances : 0;
}

void sm_precision_find(const sm_class_list *classes, const sm_metric_numbers *numbers, double *precision)
{
    size_t count;
    record *records = read_records(&numbers->records, &count);
    tally *tallies = sm_alloc((count + 1) * sizeof *tallies);
    for (int c = 0; c < classes->count; c++) {
        int64_t sought = numbers->counts[c];
        for (int o = 0; o < SM_PRECISION_OVERLAPS; o++) {
            size_t found = tally_records(records, count, c, o, tallies);
            precision[c * SM_PRECISION_OVERLAPS + o] = sought > 0 ? area_of(tallies, found, sought) : NAN;
        }
    }
    sm_free(tallies);
    sm_free(records);
}

void sm_precision_average(const sm_class_list *classes, const double *precision, double *values, double *class_values)
{
    double sum = 0, sum50 = 0;
    int present = 0;
    for (int c = 0; c < classes->count; c++) {
        double mean = 0, mean50 = precision[c * SM_PRECISION_OVERLAPS];
        for (int o = 0; o < SM_PRECISION_OVERLAPS; o++) {
            mean += precision[c * SM_PRECISION_OVERLAPS + o] / SM_PRECISION_OVERLAPS;
        }
        if (!isnan(mean)) {
            sum += mean;
            sum50 += mean50;
            present++;
        }
        if (class_values) {
            class_values[c] = mean;
            class_values[classes->count + c] = mean50;
        }
    }
    values[0] = present > 0 ? sum / present : NAN;
    values[1] = present > 0 ? sum50 / present : NAN;
}

/* ---- of an instance task ---- */

static const sm_metric metrics[] = {
    {"ap", "%", 1, "average precision of instances, mean of overlaps 0.5 to 0.95 and of the classes", NULL},
    {"ap50", "%", 1, "the same at overlap 0.5", NULL},
    {0},
};
enum { METRICS = 2 };

static size_t no_sums(const sm_class_list *classes)
{
    (void)classes;
    return 0;
}

/* The pixels of each instance, one instance after the other. \param [out] pixels  (H,W) */
static void collect_pixels(const sm_instance_list *list, uint32_t *pixels, sm_instance_guess *guesses)
{
    size_t *next = sm_alloc(((size_t)list->count + 1) * sizeof *next), first = 0;
    for (int k = 0; k < list->count; k++) {
        const sm_instance *instance = &list->instances[k];
        guesses[k] =
            (sm_instance_guess){instance->class_id, instance->confidence, (size_t)instance->pixels, pixels + first};
        next[k] = first;
        first += (size_t)instance->pixels;
    }
    for (size_t i = 0; i < (size_t)list->height * (size_t)list->width; i++) {
        if (list->labels[i] >= 0) {
            pixels[next[list->labels[i]]++] = (uint32_t)i;
        }
    }
    sm_free(next);
}

static void add_sample(const struct sm_task *task, const sm_joint_sample *sample, sm_metric_numbers *numbers)
{
    const sm_instance_input input = {.height = sample->height,
                                     .width = sample->width,
                                     .vectors = sample->vectors,
                                     .classes = sample->classes,
                                     .class_logits = sample->class_logits};
    sm_instance_list *list = sm_instances_decode(&task->instances, &input);
    uint32_t *pixels = sm_alloc((size_t)sample->height * (size_t)sample->width * sizeof *pixels);
    sm_instance_guess *guesses = sm_alloc(((size_t)list->count + 1) * sizeof *guesses);
    collect_pixels(list, pixels, guesses);
    sm_precision_add(sample, sm_precision_least_pixels * sample->area_scale, guesses, list->count, numbers);
    sm_free(guesses);
    sm_free(pixels);
    sm_instance_list_free(list);
}

static void find_values(const sm_class_list *classes, const sm_metric_numbers *numbers, double *values,
                        double *class_values)
{
    double *precision = sm_alloc((size_t)classes->count * SM_PRECISION_OVERLAPS * sizeof *precision);
    sm_precision_find(classes, numbers, precision);
    sm_precision_average(classes, precision, values, class_values);
    for (int i = 0; i < METRICS; i++) {
        values[i] *= 100;
    }
    for (int i = 0; class_values && i < METRICS * classes->count; i++) {
        class_values[i] *= 100;
    }
    sm_free(precision);
}

const sm_joint_metric sm_joint_average_precision = {
    .metrics = metrics,
    .needs_vectors = 1,
    .counts = sm_precision_counts,
    .sums = no_sums,
    .add = add_sample,
    .values = find_values,
};
