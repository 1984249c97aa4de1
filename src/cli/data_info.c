#include "cli/data_info.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/dataset.h>

#include "cli/arguments.h"
#include "cli/configuration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the samples of a split hold of one target. */
typedef struct target_statistics {
    const sm_target *target;
    int64_t items, valid;
    int64_t of_class[SM_CLASS_IGNORED + 1]; /* items of each class, of the ignored one too */
    int64_t instances;                      /* over all samples */
    double sum, least, most;                /* of all components of valid items */
} target_statistics;

static void count_classes(const void *data, size_t items, target_statistics *s)
{
    const uint8_t *ids = data;
    for (size_t i = 0; i < items; i++) {
        s->of_class[ids[i]]++;
        s->valid += ids[i] != SM_CLASS_IGNORED;
    }
}

static void count_instances(const void *data, size_t items, target_statistics *s)
{
    const uint16_t *ids = data;
    uint8_t *seen = sm_alloc_zeroed(UINT16_MAX + 1);
    for (size_t i = 0; i < items; i++) {
        if (ids[i] != 0) {
            s->valid++;
            s->instances += !seen[ids[i]];
            seen[ids[i]] = 1;
        }
    }
    sm_free(seen);
}

static void count_reals(const void *data, size_t items, target_statistics *s)
{
    const float *values = data;
    int components = s->target->components;
    for (size_t i = 0; i < items; i++, values += components) {
        int valid = 1;
        for (int c = 0; c < components; c++) {
            valid = valid && !isnan(values[c]);
        }
        for (int c = 0; valid && c < components; c++) {
            s->sum += values[c];
            s->least = fmin(s->least, values[c]);
            s->most = fmax(s->most, values[c]);
        }
        s->valid += valid;
    }
}

static void (*const count_items[SM_TARGET_TYPES])(const void *data, size_t items, target_statistics *s) = {
    [SM_TARGET_CLASS] = count_classes, [SM_TARGET_INSTANCE] = count_instances, [SM_TARGET_REAL] = count_reals};

static void count_sample(const sm_sample *sample, target_statistics *all, int count)
{
    for (int t = 0; t < count; t++) {
        const sm_target_view *view = sm_sample_find(sample, all[t].target->name);
        if (view) {
            size_t items = sm_scope_items(view->target->scope, sample->height, sample->width);
            all[t].items += (int64_t)items;
            count_items[view->target->type](view->data, items, &all[t]);
        }
    }
}

static double percent(int64_t part, int64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_classes(const target_statistics *s)
{
    const sm_class_list *classes = s->target->classes;
    for (int c = 0; c < classes->count; c++) {
        printf("    class %3d %-16s %s %7.3f %%\n", c, classes->names[c],
               classes->thing && classes->thing[c] ? "thing" : "     ", percent(s->of_class[c], s->items));
    }
}

static void print_target(const target_statistics *s, int64_t samples)
{
    const sm_target *target = s->target;
    printf("  %s: %s, %s a %s, %.2f %% valid", target->name, sm_target_type_names[target->type],
           target->components > 1 ? "several values" : "a value", sm_scope_names[target->scope],
           percent(s->valid, s->items));
    if (target->type == SM_TARGET_INSTANCE) {
        printf(", %.1f instances a sample", (double)s->instances / (double)samples);
    } else if (target->type == SM_TARGET_REAL && s->valid > 0) {
        printf(", mean %.4g, from %.4g to %.4g %s", s->sum / ((double)s->valid * target->components), s->least,
               s->most, target->unit);
    }
    printf("\n");
    if (target->type == SM_TARGET_CLASS) {
        print_classes(s);
    }
}

static sm_status describe_split(const char *path, const char *split)
{
    sm_status status = SM_OK;
    sm_dataset *dataset = NULL;
    sm_sample_storage *storage = NULL;
    target_statistics *all = NULL;
    int count;
    SM_TRY(sm_dataset_open(&path, 1, split, &dataset));
    const sm_target *const *targets = sm_dataset_targets(dataset, &count);
    all = sm_alloc_zeroed((size_t)count * sizeof *all);
    for (int t = 0; t < count; t++) {
        all[t] = (target_statistics){.target = targets[t], .least = INFINITY, .most = -INFINITY};
    }
    storage = sm_sample_storage_new(dataset);
    for (int64_t i = 0; i < sm_dataset_count(dataset); i++) {
        sm_sample sample;
        sm_comm_set_phase("data info, sample", 0, (int)i);
        SM_TRY(sm_dataset_read(dataset, i, storage, &sample));
        count_sample(&sample, all, count);
    }
    const sm_input *input = sm_dataset_input(dataset);
    printf("\n%s: %lld samples, %s %dx%d, %s%s\n", split, (long long)sm_dataset_count(dataset), input->kind->name,
           input->height, input->width, sm_dataset_fingerprint(dataset),
           sm_dataset_has_checksums(dataset) ? "" : " (no checksums)");
    for (int t = 0; t < count; t++) {
        print_target(&all[t], sm_dataset_count(dataset));
    }
done:
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(all);
    return status;
}

sm_status data_info(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    const char *path = NULL;
    char **splits = NULL;
    size_t count = 0;
    int help;
    const argument table[] = {
        {"FILE", ARGUMENT_POSITIONAL, &path, NULL, "dataset file; every sample is read and its checksums verified"},
        {0}};
    SM_TRY(command_arguments(context, "data info",
                             "Describes a dataset file: splits, sizes, class frequencies, valid pixels.", table, argc,
                             argv, &help));
    if (help) {
        goto done;
    }
    char *ranks = sm_format("%s.ranks", path);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    if (sm_comm_rank(context->comm) != 0) {
        goto done;
    }
    SM_TRY(sm_dataset_splits(path, &splits, &count));
    printf("%s: %zu split%s\n", path, count, count == 1 ? "" : "s");
    for (size_t i = 0; i < count; i++) {
        SM_TRY(describe_split(path, splits[i]));
    }
done:
    sm_free(splits);
    return status;
}
