/* `data folder`: whatever files a user has, as a description (INI) says. Rank 0 reads the description and completes it;
 * every rank works with the completed text. */
#include "data/folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/io/file.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIBE, SPLIT, SEED }; /* the options */

/* ---- splits ------------------------------------------------------------------------------------------------------- */

/* Gives the samples splits: each a share of the samples drawn by their names. */
static sm_status draw_splits(const folder_description *d, folder_samples *samples)
{
    const char **names = sm_alloc(samples->count * sizeof *names);
    int *splits = sm_alloc(samples->count * sizeof *splits);
    for (size_t i = 0; i < samples->count; i++) {
        names[i] = samples->samples[i].name;
    }
    sm_status status = sm_split_draw(d->root, names, samples->count, d->seed, d->fractions, splits);
    for (size_t i = 0; status == SM_OK && i < samples->count; i++) {
        samples->samples[i].split = sm_strdup(sm_usual_split_names[splits[i]]);
    }
    sm_free(names);
    sm_free(splits);
    return status;
}

static sm_status split_samples(const folder_description *d, folder_samples *samples, sm_import_list *list)
{
    int have = 0, are_asked_for = d->fractions[0] > 0;
    for (size_t i = 0; i < samples->count; i++) {
        have = have || samples->samples[i].split;
    }
    if (have && are_asked_for) {
        return sm_fail(SM_ERR_USAGE, "%s: --split is for samples without splits; these have some, '%s' the first",
                       d->root, samples->samples[0].split);
    }
    if (have) {
        return SM_OK;
    }
    if (are_asked_for) {
        sm_import_note(list, sm_format("%s: --split gives train %.4g, val %.4g and test %.4g of %zu %s", d->root,
                                       d->fractions[0], d->fractions[1], d->fractions[2], samples->count,
                                       sm_plural((int64_t)samples->count, "sample", "samples")));
        return draw_splits(d, samples);
    }
    sm_import_note(list, sm_format("%s: no splits: all %zu %s train; --split 0.8,0.2 makes train and val", d->root,
                                   samples->count, sm_plural((int64_t)samples->count, "sample is", "samples are")));
    for (size_t i = 0; i < samples->count; i++) {
        samples->samples[i].split = sm_strdup(sm_usual_split_names[0]);
    }
    return SM_OK;
}

/* ---- listing ------------------------------------------------------------------------------------------------------ */

/* The splits that have samples, in the order of the file: train, val, test, then those of the description.
 * \return how many */
static int list_splits(const folder_description *d, const folder_samples *samples,
                       const char *names[SM_IMPORT_SPLITS_MAX])
{
    int count = 0;
    for (size_t s = 0; s < SM_USUAL_SPLITS + d->split_count; s++) {
        const char *name = s < SM_USUAL_SPLITS ? sm_usual_split_names[s] : d->splits[s - SM_USUAL_SPLITS];
        size_t i = 0;
        while (i < samples->count && strcmp(samples->samples[i].split, name) != 0) {
            i++;
        }
        if (i < samples->count) {
            names[count++] = name;
        }
    }
    return count;
}

static int compare_names(const void *a, const void *b)
{
    const folder_sample *const *x = a, *const *y = b;
    int order = strcmp((*x)->split, (*y)->split);
    return order ? order : strcmp((*x)->name, (*y)->name);
}

/* Predictions and messages call samples by their names. */
static sm_status check_unique(const folder_description *d, const folder_samples *samples)
{
    sm_status status = SM_OK;
    const folder_sample **sorted = sm_alloc(samples->count * sizeof *sorted);
    for (size_t i = 0; i < samples->count; i++) {
        sorted[i] = &samples->samples[i];
    }
    qsort(sorted, samples->count, sizeof *sorted, compare_names);
    for (size_t i = 1; status == SM_OK && i < samples->count; i++) {
        if (compare_names(&sorted[i - 1], &sorted[i]) == 0) {
            status = sm_fail(SM_ERR_INPUT, "%s and %s: '%s' is twice in split %s", folder_place_of(d, sorted[i - 1]),
                             folder_place_of(d, sorted[i]), sorted[i]->name, sorted[i]->split);
        }
    }
    sm_free(sorted);
    return status;
}

/* A message begins with the row that named the file. */
static sm_status name_row(const char *row, sm_status status)
{
    char *message = sm_strdup(sm_error_message());
    status = sm_fail(status, "%s: %s", row, message);
    sm_free(message);
    return status;
}

/* Before any work: if paths begin at another folder, the files of the first row are not there. */
static sm_status check_first_row(const folder_description *d, const folder_sample *first)
{
    sm_status status = folder_check_files(d, (const char *const *)first->sources);
    return status == SM_OK ? SM_OK : name_row(first->sources[d->row_kind], status);
}

static sm_status list_samples(const char *root, sm_import_list *list)
{
    sm_status status = SM_OK;
    const folder_description *d = sm_import_importer(list)->user;
    const char *splits[SM_IMPORT_SPLITS_MAX];
    folder_samples samples = {.kind_count = d->kind_count};
    (void)root;
    SM_TRY(folder_find_samples(d, &samples));
    SM_TRY(split_samples(d, &samples, list));
    SM_TRY(check_unique(d, &samples));
    if (d->has_manifest && !sm_import_list_options(list)->skip_bad) {
        SM_TRY(check_first_row(d, &samples.samples[0]));
    }
    int count = list_splits(d, &samples, splits);
    for (int s = 0; s < count; s++) {
        for (size_t i = 0; i < samples.count; i++) {
            const folder_sample *sample = &samples.samples[i];
            if (strcmp(sample->split, splits[s]) == 0) {
                sm_import_add(list, splits[s], sample->name, (const char *const *)sample->sources);
            }
        }
    }
    if (!d->describe) {
        folder_suggest(d, &samples);
    }
done:
    folder_samples_clear(&samples);
    return status;
}

/* ---- one sample --------------------------------------------------------------------------------------------------- */

static sm_status read_camera(const char *text, sm_sample *sample)
{
    char *end;
    sample->baseline_metres = strtod(text, &end);
    const char *fx = end;
    sample->fx_pixels = strtod(fx, &end);
    if (*end != '\0' || end == fx || !(sample->baseline_metres > 0) || !(sample->fx_pixels > 0)) {
        return sm_fail(SM_ERR_INPUT, "baseline_metres and fx_pixels are '%s': expected two positive numbers", text);
    }
    return SM_OK;
}

static sm_status read_parts(sm_import *import, const folder_description *d, const char *const *paths, sm_sample *sample)
{
    sm_status status = SM_OK;
    SM_TRY(sm_import_image(import, paths[0]));
    for (int t = 0; t < d->target_count; t++) {
        if (paths[1 + t]) {
            SM_TRY(d->targets[t].kind->read(import, 1 + t, &d->targets[t], paths[1 + t]));
        }
    }
    if (d->camera_kind >= 0 && paths[d->camera_kind]) {
        SM_TRY(read_camera(paths[d->camera_kind], sample));
    }
done:
    return status;
}

/* A file that is not there is told of with the key that may say where it is. */
static sm_status read_sample(sm_import *import, const char *const *paths, sm_sample *sample)
{
    const folder_description *d = import->importer->user;
    sm_status status = read_parts(import, d, paths, sample);
    if (status == SM_ERR_IO && d->has_manifest) {
        sm_status missing = folder_check_files(d, paths);
        status = missing == SM_OK ? status : missing;
    }
    return status != SM_OK && d->row_kind >= 0 && paths[d->row_kind] ? name_row(paths[d->row_kind], status) : status;
}

/* ---- the importer ------------------------------------------------------------------------------------------------- */

static void free_importer(sm_importer *importer)
{
    folder_description *d = (folder_description *)importer->user;
    folder_description_clear(d);
    sm_config_free(d->config);
    sm_free(d->text);
    sm_free(d);
    sm_free(importer);
}

static sm_status read_options(const sm_import_options *options, folder_description *d)
{
    static const char command[] = "data folder";
    sm_status status = SM_OK;
    d->root = options->root;
    d->describe = options->values[DESCRIBE];
    if (options->values[SPLIT]) {
        SM_TRY(sm_split_fractions_read(command, options->values[SPLIT], d->fractions));
    }
    SM_TRY(sm_split_seed_read(command, options->values[SEED], &d->seed));
done:
    return status;
}

static sm_status read_description(folder_description *d)
{
    sm_status status = SM_OK;
    SM_TRY(sm_config_read(d->config, d->describe));
    SM_TRY(sm_config_check(d->config));
done:
    return status;
}

/* Rank 0: the description, and all of it as one text, with the names of classes that it leaves to be found. */
static sm_status complete(folder_description *d)
{
    sm_status status = SM_OK;
    int found;
    if (!sm_file_exists(d->root)) {
        SM_TRY(sm_fail(SM_ERR_IO, "%s: no such file or folder", d->root));
    }
    d->has_manifest = !sm_folder_exists(d->root);
    SM_TRY(d->describe ? read_description(d) : SM_OK);
    SM_TRY(folder_describe(d));
    SM_TRY(folder_find_names(d, &found));
    if (found) {
        folder_description_clear(d);
        SM_TRY(folder_describe(d));
    }
    d->text = sm_config_text(d->config);
done:
    return status;
}

/* The others make theirs from that text. */
static sm_status copy_description(folder_description *d)
{
    sm_status status = sm_config_read_text(d->config, d->root, d->text);
    return status == SM_OK ? folder_describe(d) : status;
}

static sm_status share_description(sm_comm *comm, folder_description *d)
{
    int is_root = sm_comm_rank(comm) == 0;
    sm_status status = SM_OK;
    SM_TRY(sm_comm_agree(comm, is_root ? complete(d) : SM_OK));
    int64_t facts[2] = {d->has_manifest, is_root ? (int64_t)strlen(d->text) + 1 : 0};
    sm_comm_broadcast(comm, facts, sizeof facts, 0);
    d->has_manifest = (int)facts[0];
    d->text = is_root ? d->text : sm_alloc((size_t)facts[1]);
    sm_comm_broadcast(comm, d->text, (size_t)facts[1], 0);
    SM_TRY(sm_comm_agree(comm, is_root ? SM_OK : copy_description(d)));
done:
    return status;
}

extern const sm_importer sm_folder_importer;

static sm_status make_importer(sm_comm *comm, const sm_import_options *options, sm_importer **made)
{
    sm_status status = SM_OK;
    folder_description *d = sm_alloc_zeroed(sizeof *d);
    *made = sm_alloc(sizeof **made);
    **made = sm_folder_importer;
    (*made)->user = d;
    (*made)->make = NULL;
    (*made)->free = free_importer;
    d->config = sm_config_new(folder_tables);
    SM_TRY(read_options(options, d));
    SM_TRY(share_description(comm, d));
    (*made)->facts = d->text;
    (*made)->kinds = d->kinds;
    (*made)->kind_count = d->kind_count;
done:
    if (status != SM_OK) {
        free_importer(*made);
        *made = NULL;
    }
    return status;
}

static const sm_import_flag options[] = {
    [DESCRIBE] = {"describe", "what the columns of a manifest or the folders are (INI); --help-describe lists the keys",
                  "FILE"},
    [SPLIT] = {"split",
               "shares of train, val and test of samples without splits, drawn by their names: 0.8,0.1,0.1; what they "
               "leave of 1 is the next one's: 0.8 is 0.8,0.2",
               "SHARES"},
    [SEED] = {"seed", "of that draw (1)", "N"},
    {0},
};

const sm_importer sm_folder_importer = {
    .name = "folder",
    .summary = "import any images, with labels or values",
    .title = "images and what a description says of them",
    .root_help = "folder with images/, labels/, ..., or a manifest (CSV) with a column image and one a target",
    .root_may_be_file = 1,
    .keys = folder_tables,
    .flags = options,
    .list = list_samples,
    .read = read_sample,
    .make = make_importer,
};
