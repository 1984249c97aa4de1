#include "cli/data_info.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>

#include "cli/arguments.h"
#include "cli/configuration.h"
#include "cli/data_warnings.h"
#include "cli/split_statistics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FEATURES_NAMED = 24 };

/* What rank 0 describes. */
typedef struct file_report {
    const char *path;
    sm_h5 *file;
    char **names;
    sm_dataset **splits;
    size_t split_count;
    warning_list warnings;
} file_report;

/* ---- as a text --------------------------------------------------------------------------------------------------- */

static void print_target(const sm_target *target)
{
    printf("  %s: %s, ", target->name, sm_target_type_names[target->type]);
    if (target->components > 1) {
        printf("%d values a %s", target->components, sm_scope_names[target->scope]);
    } else {
        printf("a value a %s", sm_scope_names[target->scope]);
    }
    printf("%s%s", *target->unit ? ", " : "", target->unit);
    for (int c = 0; target->classes && c < target->classes->count; c++) {
        printf("%s%s", c == 0 ? ": " : ", ", target->classes->names[c]);
    }
    printf("\n");
}

static void print_input(const sm_input *input)
{
    if (!input->kind->is_table) {
        printf("%s %dx%d", input->kind->name, input->height, input->width);
        return;
    }
    printf("%d %s", input->channels, sm_plural(input->channels, "feature", "features"));
    for (int c = 0; input->names && c < input->channels && c < FEATURES_NAMED; c++) {
        printf("%s%s", c == 0 ? " (" : ", ", input->names[c]);
    }
    printf("%s", !input->names ? "" : input->channels > FEATURES_NAMED ? ", ...)" : ")");
}

static void print_unprotected(const sm_dataset *split)
{
    const char *names[SM_TARGETS_MAX + 1];
    int count = sm_dataset_without_checksums(split, names);
    for (int i = 0; i < count; i++) {
        printf("%s%s", i == 0 ? "  without checksums: " : ", ", names[i]);
    }
    printf("%s", count > 0 ? "\n" : "");
}

static void print_report(const file_report *report, int verified)
{
    printf("%s: %zu %s%s\n", report->path, report->split_count,
           sm_plural((int64_t)report->split_count, "split", "splits"), verified ? ", all of it read and sound" : "");
    for (size_t i = 0; i < report->split_count; i++) {
        const sm_dataset *split = report->splits[i];
        const sm_input *input = sm_dataset_input(split);
        int count;
        const sm_target *const *targets = sm_dataset_targets(split, &count);
        int64_t samples = sm_dataset_count(split);
        const char *known = sm_dataset_fingerprint(split), *checksum = strrchr(known, ' '); /* its last word */
        printf("\n%s: %lld %s, ", report->names[i], (long long)samples, sm_plural(samples, "sample", "samples"));
        print_input(input);
        printf(", %s%s\n", checksum ? "checksum of the contents" : "no checksums", checksum ? checksum : "");
        for (int t = 0; t < count; t++) {
            print_target(targets[t]);
        }
        print_unprotected(split);
    }
    warnings_print(&report->warnings);
}

/* ---- as JSON ----------------------------------------------------------------------------------------------------- */

static void set_target(sm_json *json, const sm_target *target)
{
    sm_json_set_text(json, "name", target->name);
    sm_json_set_text(json, "type", sm_target_type_names[target->type]);
    sm_json_set_text(json, "scope", sm_scope_names[target->scope]);
    sm_json_set_integer(json, "components", target->components);
    sm_json_set_text(json, "unit", target->unit);
    if (target->classes) {
        sm_json *classes = sm_json_set_array(json, "classes");
        for (int c = 0; c < target->classes->count; c++) {
            sm_json *row = sm_json_set_object(classes, NULL);
            sm_json_set_text(row, "name", target->classes->names[c]);
            sm_json_set_bool(row, "thing", target->classes->thing && target->classes->thing[c]);
        }
    }
}

static void set_split(sm_json *json, const char *name, const sm_dataset *split)
{
    const sm_input *input = sm_dataset_input(split);
    int count;
    const sm_target *const *targets = sm_dataset_targets(split, &count);
    sm_json_set_text(json, "name", name);
    sm_json_set_integer(json, "samples", sm_dataset_count(split));
    sm_json_set_text(json, "input", input->kind->name);
    if (input->kind->is_table) {
        sm_json *names = sm_json_set_array(json, "features");
        for (int c = 0; input->names && c < input->channels; c++) {
            sm_json_set_text(names, NULL, input->names[c]);
        }
    } else {
        sm_json_set_integer(json, "height_pixels", input->height);
        sm_json_set_integer(json, "width_pixels", input->width);
    }
    sm_json_set_reals(json, "mean", input->mean, input->channels);
    sm_json_set_reals(json, "std", input->std, input->channels);
    sm_json_set_bool(json, "has_checksums", sm_dataset_has_checksums(split));
    if (sm_dataset_has_checksums(split)) {
        sm_json_set_text(json, "checksum", sm_dataset_fingerprint(split));
    } else {
        sm_json_set_real(json, "checksum", NAN); /* null */
    }
    const char *names_without[SM_TARGETS_MAX + 1];
    int without = sm_dataset_without_checksums(split, names_without);
    sm_json *unprotected = sm_json_set_array(json, "without_checksums");
    for (int i = 0; i < without; i++) {
        sm_json_set_text(unprotected, NULL, names_without[i]);
    }
    sm_json *array = sm_json_set_array(json, "targets");
    for (int t = 0; t < count; t++) {
        set_target(sm_json_set_object(array, NULL), targets[t]);
    }
}

static sm_status print_json(const file_report *report, int verified)
{
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "file", report->path);
    sm_json_set_bool(json, "verified", verified);
    sm_json *splits = sm_json_set_array(json, "splits");
    for (size_t i = 0; i < report->split_count; i++) {
        set_split(sm_json_set_object(splits, NULL), report->names[i], report->splits[i]);
    }
    warnings_set(&report->warnings, json);
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static sm_status describe(const char *path, int as_json, int verified)
{
    sm_status status = SM_OK;
    file_report report = {.path = path};
    SM_TRY(sm_dataset_splits(path, &report.names, &report.split_count));
    SM_TRY(sm_h5_open(path, &report.file));
    report.splits = sm_alloc_zeroed((report.split_count + 1) * sizeof *report.splits);
    for (size_t i = 0; i < report.split_count; i++) {
        SM_TRY(sm_dataset_open(&path, 1, report.names[i], &report.splits[i]));
        if (sm_dataset_has_checksums(report.splits[i])) { /* else all of it would be read for it */
            SM_TRY(sm_dataset_find_fingerprint(report.splits[i]));
        }
    }
    SM_TRY(warnings_of_file(&report.warnings, report.file, (const char *const *)report.names,
                            (const sm_dataset *const *)report.splits, report.split_count));
    if (as_json) {
        SM_TRY(print_json(&report, verified));
    } else {
        print_report(&report, verified);
    }
done:
    for (size_t i = 0; report.splits && i < report.split_count; i++) {
        sm_dataset_close(report.splits[i]);
    }
    sm_free(report.splits);
    warnings_clear(&report.warnings);
    sm_h5_close(report.file);
    sm_free(report.names);
    return status;
}

/* Collective. */
static sm_status verify(sm_comm *comm, const char *path)
{
    sm_status status = SM_OK;
    char **names = NULL;
    size_t count = 0;
    SM_TRY(sm_comm_agree(comm, sm_dataset_splits(path, &names, &count)));
    for (size_t i = 0; i < count; i++) {
        split_statistics split;
        status = split_statistics_count(comm, path, names[i], &split);
        if (status == SM_OK) {
            status = split_statistics_verdict(&split, path);
        }
        split_statistics_clear(&split);
        SM_TRY(status);
    }
done:
    sm_free(names);
    return status;
}

sm_status data_info(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    const char *path = NULL;
    int help, as_json = 0, verified = 0;
    const argument table[] = {
        {"FILE", ARGUMENT_POSITIONAL, &path, NULL, "dataset file"},
        {"verify", ARGUMENT_FLAG, &verified, NULL, "read all of it, verify checksums and values; ranks share it"},
        {"json", ARGUMENT_FLAG, &as_json, NULL, "print one JSON object instead of a text (include/README.md, JSON)"},
        {0}};
    SM_TRY(command_arguments(
        context, "data info",
        "Describes a dataset file: splits, sizes, targets, classes; warns of what is legal but hardly\n"
        "meant. 'data check' counts what is in it.",
        table, argc, argv, &help));
    if (help) {
        goto done;
    }
    char *ranks = sm_format("%s.ranks", path);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    if (verified) {
        SM_TRY(verify(context->comm, path));
    }
    if (sm_comm_rank(context->comm) == 0) {
        SM_TRY(describe(path, as_json, verified));
    }
done:
    return status;
}
