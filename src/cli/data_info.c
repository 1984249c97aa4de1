#include "cli/data_info.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>

#include "cli/arguments.h"
#include "cli/configuration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the samples of a split hold of one target. */
typedef struct target_statistics {
    const sm_target *target;
    int64_t items, valid;
    int64_t of_class[SM_CLASS_IGNORED + 1]; /* items of each class, of the ignored one too; of each label */
    int64_t instances;                      /* over all samples */
    int64_t zeros;                          /* valid items of which all components are 0 */
    double sum, least, most;                /* of all components of valid items */
} target_statistics;

typedef struct split_report {
    const char *name;
    sm_dataset *dataset;
    target_statistics *targets;
    int target_count;
} split_report;

/* What is legal but what hardly anyone can want. */
typedef struct warning_list {
    char **texts;
    size_t count;
} warning_list;

typedef struct file_report {
    const char *path;
    sm_h5 *file;
    split_report *splits;
    size_t split_count;
    warning_list warnings;
} file_report;

static void warn(warning_list *list, char *text)
{
    list->texts = sm_realloc(list->texts, (list->count + 1) * sizeof *list->texts);
    list->texts[list->count++] = text;
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

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
        int valid = 1, zero = 1;
        for (int c = 0; c < components; c++) {
            valid = valid && !isnan(values[c]);
            zero = zero && values[c] == 0;
        }
        for (int c = 0; valid && c < components; c++) {
            s->sum += values[c];
            s->least = fmin(s->least, values[c]);
            s->most = fmax(s->most, values[c]);
        }
        s->valid += valid;
        s->zeros += zero;
    }
}

/* An item is valid if one of its labels is known. */
static void count_labels(const void *data, size_t items, target_statistics *s)
{
    const uint8_t *labels = data;
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

static void (*const count_items[SM_TARGET_TYPES])(const void *data, size_t items,
                                                  target_statistics *s) = {[SM_TARGET_CLASS] = count_classes,
                                                                           [SM_TARGET_INSTANCE] = count_instances,
                                                                           [SM_TARGET_REAL] = count_reals,
                                                                           [SM_TARGET_LABELS] = count_labels};

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

static sm_status read_split(const char *path, split_report *split)
{
    sm_status status = SM_OK;
    sm_sample_storage *storage = NULL;
    SM_TRY(sm_dataset_open(&path, 1, split->name, &split->dataset));
    SM_TRY(sm_dataset_find_fingerprint(split->dataset));
    const sm_target *const *targets = sm_dataset_targets(split->dataset, &split->target_count);
    split->targets = sm_alloc_zeroed((size_t)split->target_count * sizeof *split->targets);
    for (int t = 0; t < split->target_count; t++) {
        split->targets[t] = (target_statistics){.target = targets[t], .least = INFINITY, .most = -INFINITY};
    }
    storage = sm_sample_storage_new(split->dataset);
    for (int64_t i = 0; i < sm_dataset_count(split->dataset); i++) {
        sm_sample sample;
        sm_comm_set_phase("data info, sample", 0, (int)i);
        SM_TRY(sm_dataset_read(split->dataset, i, storage, &sample));
        count_sample(&sample, split->targets, split->target_count);
    }
done:
    sm_sample_storage_free(storage);
    return status;
}

/* ---- warnings ---------------------------------------------------------------------------------------------------- */

static void check_statistics(file_report *report)
{
    static const char *const names[] = {"mean", "std"};
    if (report->split_count == 0) {
        return;
    }
    const sm_input *input = sm_dataset_input(report->splits[0].dataset);
    const double *const values[] = {input->mean, input->std};
    for (int i = 0; i < 2; i++) {
        if (!sm_h5_has_attribute(report->file, "/", names[i])) {
            warn(&report->warnings, sm_format("there is no attribute '%s': ImageNet's is taken", names[i]));
        } else if (values[i][0] > 1) {
            warn(&report->warnings,
                 sm_format("attribute '%s' begins with %g, as of numbers 0 .. 255: those of 0 .. 1 are "
                           "expected (divide by 255)",
                           names[i], values[i][0]));
        }
    }
}

/* \param [out] nearest  the name that was probably meant, if the split reads no array of this one */
static int is_known(const split_report *split, const char *array, sm_nearest *nearest)
{
    static const char *const facts[] = {"name", "original_size", "baseline_metres", "fx_pixels"};
    int known = strcmp(array, sm_dataset_input(split->dataset)->kind->name) == 0 ||
                sm_dataset_target(split->dataset, array) != NULL;
    *nearest = (sm_nearest){.wanted = array};
    for (const sm_target *target = sm_standard_targets; target->name; target++) {
        sm_nearest_consider(nearest, target->name);
    }
    for (size_t i = 0; i < sizeof facts / sizeof *facts && !known; i++) {
        known = strcmp(array, facts[i]) == 0;
        sm_nearest_consider(nearest, facts[i]);
    }
    return known;
}

static sm_status check_names(file_report *report, const split_report *split)
{
    static const char ending[] = "_crc32c";
    char **arrays = NULL;
    size_t count = 0;
    sm_status status = sm_h5_list(report->file, split->name, &arrays, &count);
    for (size_t i = 0; status == SM_OK && i < count; i++) {
        size_t length = strlen(arrays[i]), end = strlen(ending);
        if (length > end && strcmp(arrays[i] + length - end, ending) == 0) {
            arrays[i][length - end] = '\0';
        }
        sm_nearest nearest;
        if (!is_known(split, arrays[i], &nearest)) {
            warn(&report->warnings,
                 sm_format("/%s/%s is not read: no known name, and no attribute 'type' describes it%s%s%s", split->name,
                           arrays[i], nearest.best ? "; did you mean '" : "", nearest.best ? nearest.best : "",
                           nearest.best ? "'?" : ""));
        }
    }
    sm_free(arrays);
    return status;
}

static void check_values(file_report *report, const split_report *split)
{
    for (int t = 0; t < split->target_count; t++) {
        if (split->targets[t].valid == 0) {
            warn(&report->warnings,
                 sm_format("/%s/%s has not one valid item", split->name, split->targets[t].target->name));
        }
    }
}

/* Training refuses to be evaluated on classes with other names. */
static void check_classes(file_report *report, const split_report *split, const split_report *first)
{
    for (int t = 0; t < split->target_count; t++) {
        const sm_target *target = split->targets[t].target, *other = sm_dataset_target(first->dataset, target->name);
        if (!target->classes || !other || !other->classes) {
            continue;
        }
        const sm_class_list *a = other->classes, *b = target->classes;
        int c = 0;
        while (c < a->count && c < b->count && strcmp(a->names[c], b->names[c]) == 0) {
            c++;
        }
        if (c < a->count || c < b->count) {
            warn(&report->warnings, sm_format("class %d of %s is '%s' in /%s, but '%s' in /%s", c, target->name,
                                              c < a->count ? a->names[c] : "none", first->name,
                                              c < b->count ? b->names[c] : "none", split->name));
        }
    }
}

static sm_status check(file_report *report)
{
    sm_status status = SM_OK;
    check_statistics(report);
    for (size_t s = 0; s < report->split_count; s++) {
        SM_TRY(check_names(report, &report->splits[s]));
        check_values(report, &report->splits[s]);
        check_classes(report, &report->splits[s], &report->splits[0]);
    }
done:
    return status;
}

/* ---- as a text --------------------------------------------------------------------------------------------------- */

static double fraction(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static double percent(int64_t part, int64_t whole)
{
    return 100 * fraction(part, whole);
}

static double mean_of(const target_statistics *s)
{
    return s->sum / ((double)s->valid * s->target->components);
}

static void print_classes(const target_statistics *s)
{
    const sm_class_list *classes = s->target->classes;
    for (int c = 0; c < classes->count; c++) {
        printf("    class %3d %-16s %s %7.3f %%\n", c, classes->names[c],
               classes->thing && classes->thing[c] ? "thing" : "     ", percent(s->of_class[c], s->items));
    }
}

/* A disparity of 0 is not "unknown", as in many files, but a distance. */
static int is_disparity(const sm_target *target)
{
    return strcmp(target->name, "disparity") == 0;
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
        printf(", mean %.4g, from %.4g to %.4g %s, %.2f %% are 0%s", mean_of(s), s->least, s->most, target->unit,
               percent(s->zeros, s->items), is_disparity(target) ? ": infinitely far here" : "");
    }
    printf("\n");
    if (target->classes) {
        print_classes(s);
    }
}

static void print_report(const file_report *report)
{
    printf("%s: %zu split%s\n", report->path, report->split_count, report->split_count == 1 ? "" : "s");
    for (size_t i = 0; i < report->split_count; i++) {
        const split_report *split = &report->splits[i];
        const sm_input *input = sm_dataset_input(split->dataset);
        printf("\n%s: %lld samples, %s %dx%d, %s%s\n", split->name, (long long)sm_dataset_count(split->dataset),
               input->kind->name, input->height, input->width, sm_dataset_fingerprint(split->dataset),
               sm_dataset_has_checksums(split->dataset) ? "" : " (no checksums)");
        for (int t = 0; t < split->target_count; t++) {
            print_target(&split->targets[t], sm_dataset_count(split->dataset));
        }
    }
    for (size_t i = 0; i < report->warnings.count; i++) {
        printf("%swarning: %s\n", i == 0 ? "\n" : "", report->warnings.texts[i]);
    }
}

/* ---- as JSON ----------------------------------------------------------------------------------------------------- */

static void set_numbers(sm_json *json, const char *key, const double *values, int count)
{
    sm_json *array = sm_json_set_array(json, key);
    for (int i = 0; i < count; i++) {
        sm_json_set_real(array, NULL, values[i]);
    }
}

static void set_target(sm_json *json, const target_statistics *s, int64_t samples)
{
    const sm_target *target = s->target;
    sm_json_set_text(json, "name", target->name);
    sm_json_set_text(json, "type", sm_target_type_names[target->type]);
    sm_json_set_text(json, "scope", sm_scope_names[target->scope]);
    sm_json_set_integer(json, "components", target->components);
    sm_json_set_text(json, "unit", target->unit);
    sm_json_set_real(json, "valid_fraction", fraction(s->valid, s->items));
    if (target->type == SM_TARGET_INSTANCE) {
        sm_json_set_real(json, "instances_per_sample", (double)s->instances / (double)samples);
    } else if (target->type == SM_TARGET_REAL) {
        sm_json_set_real(json, "mean", mean_of(s)); /* null where nothing is valid, as the next two */
        sm_json_set_real(json, "least", s->least);
        sm_json_set_real(json, "most", s->most);
        sm_json_set_real(json, "zero_fraction", fraction(s->zeros, s->items));
    } else {
        sm_json *classes = sm_json_set_array(json, "classes");
        for (int c = 0; c < target->classes->count; c++) {
            sm_json *row = sm_json_set_object(classes, NULL);
            sm_json_set_text(row, "name", target->classes->names[c]);
            sm_json_set_bool(row, "thing", target->classes->thing && target->classes->thing[c]);
            sm_json_set_real(row, "fraction", fraction(s->of_class[c], s->items));
        }
    }
}

static void set_split(sm_json *json, const split_report *split)
{
    const sm_input *input = sm_dataset_input(split->dataset);
    sm_json_set_text(json, "name", split->name);
    sm_json_set_integer(json, "samples", sm_dataset_count(split->dataset));
    sm_json_set_text(json, "input", input->kind->name);
    sm_json_set_integer(json, "height_pixels", input->height);
    sm_json_set_integer(json, "width_pixels", input->width);
    set_numbers(json, "mean", input->mean, input->channels);
    set_numbers(json, "std", input->std, input->channels);
    sm_json_set_text(json, "fingerprint", sm_dataset_fingerprint(split->dataset));
    sm_json_set_bool(json, "has_checksums", sm_dataset_has_checksums(split->dataset));
    sm_json *targets = sm_json_set_array(json, "targets");
    for (int t = 0; t < split->target_count; t++) {
        set_target(sm_json_set_object(targets, NULL), &split->targets[t], sm_dataset_count(split->dataset));
    }
}

static sm_status print_json(const file_report *report)
{
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "file", report->path);
    sm_json *splits = sm_json_set_array(json, "splits"), *warnings;
    for (size_t i = 0; i < report->split_count; i++) {
        set_split(sm_json_set_object(splits, NULL), &report->splits[i]);
    }
    warnings = sm_json_set_array(json, "warnings");
    for (size_t i = 0; i < report->warnings.count; i++) {
        sm_json_set_text(warnings, NULL, report->warnings.texts[i]);
    }
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void clear_report(file_report *report)
{
    for (size_t i = 0; i < report->split_count; i++) {
        sm_dataset_close(report->splits[i].dataset);
        sm_free(report->splits[i].targets);
    }
    for (size_t i = 0; i < report->warnings.count; i++) {
        sm_free(report->warnings.texts[i]);
    }
    sm_free(report->splits);
    sm_free(report->warnings.texts);
    sm_h5_close(report->file);
}

static sm_status describe(const char *path, int as_json)
{
    sm_status status = SM_OK;
    file_report report = {.path = path};
    char **names = NULL;
    size_t count = 0;
    SM_TRY(sm_dataset_splits(path, &names, &count));
    SM_TRY(sm_h5_open(path, &report.file));
    report.splits = sm_alloc_zeroed(count * sizeof *report.splits);
    report.split_count = count;
    for (size_t i = 0; i < count; i++) {
        report.splits[i].name = names[i];
        SM_TRY(read_split(path, &report.splits[i]));
    }
    SM_TRY(check(&report));
    if (as_json) {
        SM_TRY(print_json(&report));
    } else {
        print_report(&report);
    }
done:
    clear_report(&report);
    sm_free(names);
    return status;
}

sm_status data_info(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    const char *path = NULL;
    int help, as_json = 0;
    const argument table[] = {
        {"FILE", ARGUMENT_POSITIONAL, &path, NULL, "dataset file; every sample is read and its checksums verified"},
        {"json", ARGUMENT_FLAG, &as_json, NULL, "print one JSON object instead of a text (README, Files)"},
        {0}};
    SM_TRY(command_arguments(
        context, "data info",
        "Describes a dataset file: splits, sizes, targets, class frequencies, valid pixels; warns of\n"
        "what is legal but hardly meant.",
        table, argc, argv, &help));
    if (help) {
        goto done;
    }
    char *ranks = sm_format("%s.ranks", path);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    if (sm_comm_rank(context->comm) == 0) {
        SM_TRY(describe(path, as_json));
    }
done:
    return status;
}
