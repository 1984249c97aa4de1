#include "cli/data_check.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>

#include "cli/arguments.h"
#include "cli/configuration.h"
#include "cli/data_duplicates.h"
#include "cli/data_sheet.h"
#include "cli/data_warnings.h"
#include "cli/split_statistics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DUPLICATES_NAMED = 10, BAR = 40, SHEET_SAMPLES = 6 };

typedef struct file_check {
    const char *path;
    char **names;
    split_statistics *splits;
    size_t split_count;
    duplicate *duplicates; /* of rank 0 alone, as the warnings */
    size_t duplicate_count;
    warning_list warnings;
} file_check;

/* ---- duplicates -------------------------------------------------------------------------------------------------- */

static const char *name_of(const file_check *check, sample_place place)
{
    return sm_dataset_name(check->splits[place.split].dataset, place.index);
}

static int has_table(const file_check *check)
{
    for (size_t i = 0; i < check->split_count; i++) {
        if (sm_dataset_input(check->splits[i].dataset)->kind->is_table) {
            return 1;
        }
    }
    return 0;
}

/* Rows of equal features are usual, as of measurements that were repeated; only those in another split give something away. */
static void warn_of_equal_rows(file_check *check)
{
    size_t across = 0;
    const duplicate *first = NULL;
    for (size_t i = 0; i < check->duplicate_count; i++) {
        const duplicate *d = &check->duplicates[i];
        across += d->first.split != d->again.split;
        first = first || d->first.split == d->again.split ? first : d;
    }
    if (first) {
        warnings_add(&check->warnings,
                     sm_format("%zu %s the same features as one in another split: /%s '%s' and /%s '%s'%s", across,
                               across == 1 ? "sample has" : "samples have", check->names[first->first.split],
                               name_of(check, first->first), check->names[first->again.split],
                               name_of(check, first->again), across > 1 ? ", ... (--json lists all)" : ""));
    }
}

/* Those that a split shares with another matter most: what is evaluated was trained on. */
static void warn_of_duplicates(file_check *check)
{
    size_t across = 0;
    if (has_table(check)) {
        warn_of_equal_rows(check);
        return;
    }
    for (size_t i = 0; i < check->duplicate_count; i++) {
        const duplicate *d = &check->duplicates[i];
        across += d->first.split != d->again.split;
        if (i < DUPLICATES_NAMED) {
            warnings_add(&check->warnings,
                         sm_format("/%s '%s' is the same image as /%s '%s'", check->names[d->again.split],
                                   name_of(check, d->again), check->names[d->first.split], name_of(check, d->first)));
        }
    }
    if (check->duplicate_count > DUPLICATES_NAMED) {
        warnings_add(
            &check->warnings,
            sm_format("%zu %s the same as an earlier one in all, %zu of them in another split (--json lists all)",
                      check->duplicate_count, sm_plural((int64_t)check->duplicate_count, "image is", "images are"),
                      across));
    }
}

/* ---- as a text --------------------------------------------------------------------------------------------------- */

static void print_classes(const target_statistics *s)
{
    static const char bar[BAR + 1] = "########################################";
    const sm_class_list *classes = s->target->classes;
    int64_t most = 1;
    for (int c = 0; c < classes->count; c++) {
        most = s->of_class[c] > most ? s->of_class[c] : most;
    }
    for (int c = 0; c < classes->count; c++) {
        printf("    class %3d %-16s %s %8.3f %% %.*s\n", c, classes->names[c],
               classes->thing && classes->thing[c] ? "thing" : "     ", 100 * fraction_of(s->of_class[c], s->items),
               (int)ceil(BAR * fraction_of(s->of_class[c], most)), bar);
    }
}

static void print_target(const target_statistics *s, int64_t samples)
{
    const sm_target *target = s->target;
    printf("  %s: %s, %.2f %% valid", target->name, sm_target_type_names[target->type],
           100 * fraction_of(s->valid, s->items));
    if (target->type == SM_TARGET_INSTANCE) {
        printf(", %.1f instances a sample", fraction_of(s->instances, samples));
    } else if (target->type == SM_TARGET_REAL && s->valid > 0) {
        printf(", mean %.4g, from %.4g to %.4g%s%s, %.2f %% are 0", mean_of_target(s), s->least, s->most,
               *target->unit ? " " : "", target->unit, 100 * fraction_of(s->zeros, s->items));
    }
    printf("\n");
    if (target->classes) {
        print_classes(s);
    }
}

static void print_numbers(const char *name, const double *values, int count)
{
    printf("%s", name);
    for (int i = 0; i < count; i++) {
        printf(" %.3f", values[i]);
    }
}

static void print_features(const split_statistics *split, const sm_input *input, int64_t samples)
{
    for (int c = 0; c < input->channels; c++) {
        printf("  feature %3d %-16s %8.3f %% known", c, input->names ? input->names[c] : "",
               100 * fraction_of(split->known[c], samples));
        if (split->known[c] > 0) {
            printf(", mean %.4g, std %.4g", split->mean[c], split->std[c]);
        }
        printf("\n");
    }
}

static void print_check(const file_check *check)
{
    for (size_t i = 0; i < check->split_count; i++) {
        const split_statistics *split = &check->splits[i];
        const sm_input *input = sm_dataset_input(split->dataset);
        int64_t samples = sm_dataset_count(split->dataset);
        printf("%s%s: %lld %s\n", i == 0 ? "" : "\n", split->name, (long long)samples,
               sm_plural(samples, "sample", "samples"));
        if (input->kind->is_table) {
            print_features(split, input, samples);
        } else {
            printf("  %s: %dx%d, ", input->kind->name, input->height, input->width);
            print_numbers("mean", split->mean, input->channels);
            print_numbers(", std", split->std, input->channels);
            printf("\n");
        }
        for (int t = 0; t < split->target_count; t++) {
            print_target(&split->targets[t], samples);
        }
    }
    warnings_print(&check->warnings);
}

/* ---- as JSON ----------------------------------------------------------------------------------------------------- */

static void set_target(sm_json *json, const target_statistics *s, int64_t samples)
{
    const sm_target *target = s->target;
    sm_json_set_text(json, "name", target->name);
    sm_json_set_text(json, "type", sm_target_type_names[target->type]);
    sm_json_set_text(json, "unit", target->unit);
    sm_json_set_real(json, "valid_fraction", fraction_of(s->valid, s->items));
    if (target->type == SM_TARGET_INSTANCE) {
        sm_json_set_real(json, "instances_per_sample", fraction_of(s->instances, samples));
    } else if (target->type == SM_TARGET_REAL) {
        sm_json_set_real(json, "mean", mean_of_target(s)); /* null where nothing is valid, as the next two */
        sm_json_set_real(json, "least", s->least);
        sm_json_set_real(json, "most", s->most);
        sm_json_set_real(json, "zero_fraction", fraction_of(s->zeros, s->items));
    }
    if (target->classes) {
        sm_json *classes = sm_json_set_array(json, "classes");
        for (int c = 0; c < target->classes->count; c++) {
            sm_json *row = sm_json_set_object(classes, NULL);
            sm_json_set_text(row, "name", target->classes->names[c]);
            sm_json_set_real(row, "fraction", fraction_of(s->of_class[c], s->items));
        }
    }
}

static void set_split(sm_json *json, const split_statistics *split)
{
    int64_t samples = sm_dataset_count(split->dataset);
    int channels = sm_dataset_input(split->dataset)->channels;
    sm_json_set_text(json, "name", split->name);
    sm_json_set_integer(json, "samples", samples);
    sm_json_set_reals(json, "mean", split->mean, channels);
    sm_json_set_reals(json, "std", split->std, channels);
    sm_json_set_integer(json, "damaged", split->damaged_count);
    sm_json *targets = sm_json_set_array(json, "targets");
    for (int t = 0; t < split->target_count; t++) {
        set_target(sm_json_set_object(targets, NULL), &split->targets[t], samples);
    }
}

static void set_place(sm_json *json, const char *key, const file_check *check, sample_place place)
{
    sm_json *object = sm_json_set_object(json, key);
    sm_json_set_text(object, "split", check->names[place.split]);
    sm_json_set_integer(object, "index", place.index);
    sm_json_set_text(object, "name", name_of(check, place));
}

static sm_status print_json(const file_check *check, const char *sheet)
{
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "file", check->path);
    sm_json *splits = sm_json_set_array(json, "splits");
    for (size_t i = 0; i < check->split_count; i++) {
        set_split(sm_json_set_object(splits, NULL), &check->splits[i]);
    }
    sm_json *duplicates = sm_json_set_array(json, "duplicates");
    for (size_t i = 0; i < check->duplicate_count; i++) {
        sm_json *pair = sm_json_set_object(duplicates, NULL);
        set_place(pair, "first", check, check->duplicates[i].first);
        set_place(pair, "again", check, check->duplicates[i].again);
    }
    if (sheet) {
        sm_json_set_text(json, "sheet", sheet);
    }
    warnings_set(&check->warnings, json);
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* What only reads attributes and names: rank 0. */
static sm_status check_file(file_check *check)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    const sm_dataset **datasets = sm_alloc((check->split_count + 1) * sizeof *datasets);
    for (size_t i = 0; i < check->split_count; i++) {
        datasets[i] = check->splits[i].dataset;
    }
    SM_TRY(sm_h5_open(check->path, &file));
    SM_TRY(warnings_of_file(&check->warnings, file, (const char *const *)check->names, datasets, check->split_count));
done:
    sm_h5_close(file);
    sm_free(datasets);
    return status;
}

/* Of rank 0, which prints. */
static sm_status report(file_check *check, const char *sheet, int as_json)
{
    sm_status status = SM_OK;
    SM_TRY(check_file(check));
    warnings_of_values(&check->warnings, check->splits, check->split_count);
    SM_TRY(duplicates_find(check->splits, check->split_count, &check->duplicates, &check->duplicate_count));
    warn_of_duplicates(check);
    for (size_t i = 0; i < check->split_count; i++) {
        const split_statistics *split = &check->splits[i];
        for (int d = 0; d < DAMAGED_MAX && split->damaged[d].why; d++) {
            warnings_add(&check->warnings, sm_strdup(split->damaged[d].why));
        }
    }
    sm_status drawn = SM_OK; /* what was found is printed even so */
    if (sheet) {
        drawn = data_sheet_write(check->splits, check->split_count, SHEET_SAMPLES, sheet);
        sheet = drawn == SM_OK ? sheet : NULL;
    }
    if (as_json) {
        SM_TRY(print_json(check, sheet));
    } else {
        print_check(check);
        if (sheet) {
            printf("\n");
            data_sheet_describe(check->splits, check->split_count, SHEET_SAMPLES, sheet);
        }
    }
    status = drawn;
done:
    return status;
}

static void clear_check(file_check *check)
{
    for (size_t i = 0; check->splits && i < check->split_count; i++) {
        split_statistics_clear(&check->splits[i]);
    }
    sm_free(check->splits);
    sm_free(check->duplicates);
    sm_free(check->names);
    warnings_clear(&check->warnings);
}

/* \param sheet        on rank 0; NULL: none
 * \param asks_sheet  it was named by the user */
static sm_status check_dataset(sm_comm *comm, const char *path, const char *sheet, int asks_sheet, int as_json)
{
    sm_status status = SM_OK;
    file_check check = {.path = path};
    SM_TRY(sm_comm_agree(comm, sm_dataset_splits(path, &check.names, &check.split_count)));
    check.splits = sm_alloc_zeroed((check.split_count + 1) * sizeof *check.splits);
    for (size_t i = 0; i < check.split_count; i++) {
        SM_TRY(split_statistics_count(comm, path, check.names[i], &check.splits[i]));
    }
    if (asks_sheet && has_table(&check)) { /* the same on every rank */
        SM_TRY(sm_fail(SM_ERR_USAGE, "data check: --sheet draws images, and %s has a table", path));
    }
    if (sm_comm_rank(comm) == 0) {
        status = report(&check, has_table(&check) ? NULL : sheet, as_json);
    }
    SM_TRY(sm_comm_agree(comm, status));
    for (size_t i = 0; i < check.split_count; i++) {
        SM_TRY(split_statistics_verdict(&check.splits[i], path));
    }
done:
    clear_check(&check);
    return status;
}

/* Whether the sheet can be made is known before the work. Where nobody asked for it, the check goes on without.
 * Of rank 0; another rank that takes it for missing only passes it on.
 * \param beside  the path where it lies by default */
static sm_status choose_sheet(const char *wanted, const char *beside, const char **sheet)
{
    sm_status status = data_sheet_check(wanted ? wanted : beside);
    *sheet = wanted ? wanted : beside;
    if (status != SM_OK && !wanted) {
        sm_log_warning("no contact sheet: %s; --sheet names another file", sm_error_message());
        *sheet = NULL;
        status = SM_OK;
    }
    return status;
}

sm_status data_check(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    const char *path = NULL, *sheet = NULL;
    char *beside = NULL;
    int help, as_json = 0, no_sheet = 0, asks_sheet = 0;
    const argument table[] = {
        {"FILE", ARGUMENT_POSITIONAL, &path, NULL, "dataset file; every sample is read and its checksums verified"},
        {"sheet", ARGUMENT_TEXT, &sheet, "FILE", "the contact sheet (FILE.sheet.png in place of FILE.h5)"},
        {"no-sheet", ARGUMENT_FLAG, &no_sheet, NULL, "make none"},
        {"json", ARGUMENT_FLAG, &as_json, NULL, "print one JSON object instead of a text (include/README.md, JSON)"},
        {0}};
    SM_TRY(command_arguments(
        context, "data check",
        "Reads all of a dataset file: histograms of classes, valid shares, ranges of values, images that\n"
        "occur twice, and whatever is hardly meant; draws some samples on a contact sheet (PNG). Ranks\n"
        "share the work. Of a table it has no sheet. Damaged samples are named, and make the exit code 2.",
        table, argc, argv, &help));
    if (help) {
        goto done;
    }
    char *ranks = sm_format("%s.ranks", path);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    size_t length = strlen(path);
    int stem = (int)(length > 3 && strcmp(path + length - 3, ".h5") == 0 ? length - 3 : length);
    beside = sm_format("%.*s.sheet.png", stem, path);
    asks_sheet = sheet && !no_sheet;
    if (no_sheet) {
        sheet = NULL;
    } else if (sm_comm_rank(context->comm) == 0) {
        status = choose_sheet(sheet, beside, &sheet);
    }
    SM_TRY(sm_comm_agree(context->comm, status));
    SM_TRY(check_dataset(context->comm, path, sheet, asks_sheet, as_json));
done:
    sm_free(beside);
    return status;
}
