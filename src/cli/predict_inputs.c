#define _XOPEN_SOURCE 700
#include "cli/predict_inputs.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/data/table.h>
#include <sigmatic/io/csv.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/image.h>

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- a list of texts that ranks can share: each ends with a zero byte ------------------------------------------------ */

typedef struct text_list {
    char *bytes;
    size_t used, room;
    int64_t count;
} text_list;

static void add_text(text_list *list, const char *text)
{
    size_t bytes = strlen(text) + 1;
    if (list->used + bytes > list->room) {
        list->room = 2 * (list->used + bytes);
        list->bytes = sm_realloc(list->bytes, list->room);
    }
    memcpy(list->bytes + list->used, text, bytes);
    list->used += bytes;
    list->count++;
}

/* Everyone's list becomes rank 0's. Collective. */
static void share_texts(sm_comm *comm, text_list *list)
{
    uint64_t sizes[2] = {list->used, (uint64_t)list->count};
    sm_comm_broadcast(comm, sizes, sizeof sizes, 0);
    if (sm_comm_rank(comm) != 0) {
        list->used = sizes[0];
        list->count = (int64_t)sizes[1];
        list->bytes = sm_realloc(list->bytes, list->used + 1);
    }
    sm_comm_broadcast(comm, list->bytes, list->used, 0);
}

/* \return pointers into the list, freed with sm_free() */
static char **texts_of(const text_list *list)
{
    char **texts = sm_alloc(((size_t)list->count + 1) * sizeof *texts), *at = list->bytes;
    for (int64_t i = 0; i < list->count; i++) {
        texts[i] = at;
        at += strlen(at) + 1;
    }
    return texts;
}

/* ---- files and folders ---------------------------------------------------------------------------------------------- */

static const char *const endings[] = {".png", ".jpg", ".jpeg"};

static int is_image_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) {
        if (strcasecmp(dot, endings[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static void add_file(text_list *paths, text_list *names, const char *path, const char *name)
{
    const char *dot = strrchr(name, '.'), *slash = strrchr(name, '/');
    int has_ending = dot && dot > (slash ? slash + 1 : name);
    char *stem = sm_format("%.*s", has_ending ? (int)(dot - name) : (int)strlen(name), name);
    add_text(paths, path);
    add_text(names, stem);
    sm_free(stem);
}

static int is_same_folder(const char *a, const char *b)
{
    char left[PATH_MAX], right[PATH_MAX];
    return realpath(a, left) && realpath(b, right) && strcmp(left, right) == 0;
}

/* A link to a folder above would be followed for ever. */
static int leads_back(const char *path, const char *folder)
{
    char up[PATH_MAX], here[PATH_MAX];
    if (!realpath(path, up) || !realpath(folder, here)) {
        return 0;
    }
    size_t length = strlen(up);
    return strncmp(here, up, length) == 0 && (here[length] == '/' || here[length] == '\0' || length == 1);
}

/* All images below a folder, hidden ones and results left out. \param below  path of the folder in the one that was named, "" or "a/b/" */
static sm_status add_folder(const char *folder, const char *below, const char *output, text_list *paths,
                            text_list *names)
{
    sm_status status = SM_OK;
    char **entries = NULL, *path = NULL, *name = NULL;
    size_t count = 0;
    SM_TRY(sm_folder_list(folder, &entries, &count));
    for (size_t i = 0; i < count; i++) {
        sm_free(path);
        sm_free(name);
        path = sm_format("%s/%s", folder, entries[i]);
        name = sm_format("%s%s", below, entries[i]);
        if (*entries[i] == '.') {
            continue;
        }
        if (sm_folder_exists(path)) {
            char *deeper = sm_format("%s/", name);
            status = is_same_folder(path, output) || leads_back(path, folder)
                         ? SM_OK
                         : add_folder(path, deeper, output, paths, names);
            sm_free(deeper);
            SM_TRY(status);
        } else if (is_image_name(entries[i])) {
            add_file(paths, names, path, name);
        }
    }
done:
    sm_free(entries);
    sm_free(path);
    sm_free(name);
    return status;
}

/* An HDF5 file is no image, whatever else it is: read as one, it would only be called "neither PNG nor JPEG". */
static int is_hdf5(const char *path)
{
    static const char *const hdf5_endings[] = {".h5", ".hdf5", ".hdf"};
    const char *dot = strrchr(path, '.');
    int is = sm_h5_is_file(path);
    for (size_t i = 0; dot && i < sizeof hdf5_endings / sizeof *hdf5_endings; i++) {
        is |= strcasecmp(dot, hdf5_endings[i]) == 0;
    }
    return is;
}

/* \return why an HDF5 file is not what is expected: damaged, or of another kind */
static sm_status refuse_hdf5(const char *path)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    char *format = NULL;
    SM_TRY(sm_h5_open(path, &file));
    if (sm_h5_has_attribute(file, "/", "format")) {
        SM_TRY(sm_h5_read_attribute_text(file, "/", "format", &format));
    }
    SM_TRY(sm_fail(SM_ERR_INPUT, "%s: an HDF5 file with %s%s%s: PNG, JPEG, a folder or a dataset expected", path,
                   format ? "the format '" : "no attribute 'format'", format ? format : "", format ? "'" : ""));
done:
    sm_free(format);
    sm_h5_close(file);
    return status;
}

static sm_status list_files(const argument_words *words, const char *output, text_list *paths, text_list *names)
{
    sm_status status = SM_OK;
    for (int i = 0; i < words->count; i++) {
        const char *word = words->items[i], *slash = strrchr(word, '/');
        int64_t before = paths->count;
        if (is_same_folder(word, output)) {
            SM_TRY(sm_fail(SM_ERR_USAGE,
                           "predict: %s is the folder of the results too, which would be images the next time: name "
                           "another by --output",
                           word));
        } else if (sm_folder_exists(word)) {
            SM_TRY(add_folder(word, "", output, paths, names));
            if (paths->count == before) {
                SM_TRY(sm_fail(SM_ERR_USAGE, "predict: %s: no image below this folder (.png, .jpg, .jpeg)", word));
            }
        } else if (!sm_file_exists(word)) {
            SM_TRY(sm_fail(SM_ERR_IO, "%s: no such file or folder", word));
        } else if (sm_is_dataset_file(word)) {
            SM_TRY(sm_fail(SM_ERR_USAGE, "predict: %s: a dataset comes alone, without other images", word));
        } else if (is_hdf5(word)) {
            SM_TRY(refuse_hdf5(word));
        } else {
            add_file(paths, names, word, slash ? slash + 1 : word);
        }
    }
done:
    return status;
}

/* ---- a dataset ------------------------------------------------------------------------------------------------------ */

static sm_status choose_split(const char *path, const char *usual, char **out)
{
    sm_status status = SM_OK;
    char **splits = NULL, *found = NULL;
    size_t count = 0;
    SM_TRY(sm_dataset_splits(path, &splits, &count));
    for (size_t i = 0; i < count; i++) {
        char *longer = sm_format("%s%s%s", found ? found : "", found ? ", " : "", splits[i]);
        sm_free(found);
        found = longer;
        if (count == 1 || strcmp(splits[i], usual) == 0) {
            *out = sm_strdup(splits[i]);
            goto done;
        }
    }
    status =
        sm_fail(SM_ERR_USAGE, "predict: %s has the splits %s: name one with --split", path, found ? found : "none");
done:
    sm_free(splits);
    sm_free(found);
    return status;
}

static sm_status open_dataset(const char *path, const char *split, const char *usual, predict_inputs *inputs)
{
    sm_status status = SM_OK;
    char *chosen = split ? sm_strdup(split) : NULL;
    if (!chosen) {
        SM_TRY(choose_split(path, usual, &chosen));
    }
    SM_TRY(sm_dataset_open(&path, 1, chosen, &inputs->dataset));
    inputs->storage = sm_sample_storage_new_of(inputs->dataset, 0); /* no labels */
done:
    sm_free(chosen);
    return status;
}

/* A name may be anything; what is written stays in its folder. */
static void list_samples(const sm_dataset *dataset, text_list *names)
{
    for (int64_t i = 0; i < sm_dataset_count(dataset); i++) {
        const char *given = sm_dataset_name(dataset, i);
        char *name = *given && *given != '.' ? sm_strdup(given) : sm_format("sample-%lld%s", (long long)i, given);
        for (char *at = name; *at; at++) {
            *at = *at == '/' ? '_' : *at;
        }
        add_text(names, name);
        sm_free(name);
    }
}

/* A network reads images or a table, and of a table the features that it learnt with, by their names and in their order. */
static sm_status check_dataset(const char *path, const sm_input *learnt, const sm_dataset *dataset)
{
    const sm_input *found = sm_dataset_input(dataset);
    if (found->kind != learnt->kind || found->channels != learnt->channels) {
        return sm_fail(SM_ERR_INPUT, "predict: %s has the input '%s' of %d numbers, but the network reads '%s' of %d",
                       path, found->kind->name, found->channels, learnt->kind->name, learnt->channels);
    }
    for (int c = 0; found->names && learnt->names && c < found->channels; c++) {
        if (strcmp(found->names[c], learnt->names[c]) != 0) {
            return sm_fail(SM_ERR_INPUT, "predict: %s: feature %d is '%s', but the network has learnt from '%s'", path,
                           c, found->names[c], learnt->names[c]);
        }
    }
    return SM_OK;
}

/* ---- a CSV file ------------------------------------------------------------------------------------------------------ */

static int is_csv_name(const char *word)
{
    size_t length = strlen(word);
    return length > 4 && strcasecmp(word + length - 4, ".csv") == 0;
}

/* Without names all columns are features, in their order. \param [out] columns  one a feature */
static sm_status find_feature_columns(const sm_csv *csv, const sm_input *learnt, size_t *columns)
{
    sm_status status = SM_OK;
    if (!learnt->names && csv->columns != (size_t)learnt->channels) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: %zu %s, but the network reads %d features without names: as many columns expected, in "
                       "their order",
                       csv->path, csv->columns, sm_plural((int64_t)csv->columns, "column", "columns"),
                       learnt->channels);
    }
    for (int c = 0; c < learnt->channels; c++) {
        columns[c] = (size_t)c;
        if (learnt->names) {
            SM_TRY(sm_csv_column(csv, learnt->names[c], &columns[c]));
        }
    }
done:
    return status;
}

/* A row is called as its cell in the column `name` says, if that is no feature, else by its number, from 1. */
static void name_rows(const sm_csv *csv, const size_t *columns, int features, text_list *names)
{
    size_t column = 0;
    int has_names = sm_csv_find(csv, "name", &column);
    for (int c = 0; c < features; c++) {
        has_names = has_names && columns[c] != column;
    }
    for (size_t r = 0; r < csv->rows; r++) {
        const char *cell = has_names ? sm_csv_cell(csv, r, column) : "";
        char *number = sm_format("%zu", r + 1);
        add_text(names, *cell ? cell : number);
        sm_free(number);
    }
}

/* Every rank reads the same text. Collective. */
static sm_status read_csv(sm_comm *comm, const char *path, const sm_input *learnt, predict_inputs *inputs)
{
    sm_status status = SM_OK;
    sm_csv csv = {0};
    text_list names = {0};
    size_t features = (size_t)learnt->channels, *columns = sm_alloc(features * sizeof *columns);
    SM_TRY(sm_table_read_csv(comm, path, &csv));
    if (csv.rows == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: no rows below the names of the columns", path));
    }
    SM_TRY(find_feature_columns(&csv, learnt, columns));
    inputs->features = learnt->channels;
    inputs->rows = sm_alloc(csv.rows * features * sizeof *inputs->rows);
    for (size_t i = 0; i < csv.rows * features; i++) {
        double value;
        SM_TRY(sm_csv_real(&csv, i / features, columns[i % features], SM_GREATEST_REAL, &value));
        inputs->rows[i] = (float)value;
    }
    name_rows(&csv, columns, learnt->channels, &names);
    inputs->count = names.count;
    inputs->names = texts_of(&names);
done:
    sm_free(columns);
    sm_csv_free(&csv);
    return status;
}

/* \return SM_OK of what may be read; of images that is found out file by file */
static sm_status check_kind(const argument_words *words, const sm_input *learnt, int is_dataset, const char *split)
{
    int is_csv = words->count == 1 && is_csv_name(words->items[0]);
    if (learnt->kind->is_table && !is_dataset && !is_csv) {
        return sm_fail(SM_ERR_USAGE,
                       "predict: the network reads %d features of a table: one CSV file (.csv) with columns of their "
                       "names expected, or one dataset; found %s",
                       learnt->channels, words->items[0]);
    }
    if (!learnt->kind->is_table && is_csv) {
        return sm_fail(SM_ERR_USAGE, "predict: %s is a table, and the network reads images", words->items[0]);
    }
    return is_csv && split ? sm_fail(SM_ERR_USAGE, "predict: --split goes with a dataset") : SM_OK;
}

/* ---- all together --------------------------------------------------------------------------------------------------- */

typedef struct named_file {
    const char *name, *path;
} named_file;

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const named_file *)a)->name, ((const named_file *)b)->name);
}

static sm_status check_names(const text_list *paths, const text_list *names)
{
    sm_status status = SM_OK;
    char **name = texts_of(names), **path = paths->count > 0 ? texts_of(paths) : NULL;
    named_file *sorted = sm_alloc(((size_t)names->count + 1) * sizeof *sorted);
    for (int64_t i = 0; i < names->count; i++) {
        sorted[i] = (named_file){name[i], path ? path[i] : "dataset"};
    }
    qsort(sorted, (size_t)names->count, sizeof *sorted, compare_names);
    for (int64_t i = 1; i < names->count; i++) {
        if (strcmp(sorted[i - 1].name, sorted[i].name) == 0) {
            if (strcmp(sorted[i - 1].path, sorted[i].path) == 0 && path) {
                SM_TRY(sm_fail(SM_ERR_USAGE, "predict: %s is named twice, by itself or by its folder", sorted[i].path));
            }
            SM_TRY(sm_fail(SM_ERR_USAGE,
                           "predict: %s and %s: both results would be called '%s'; name them in two commands with "
                           "different --output",
                           sorted[i - 1].path, sorted[i].path, sorted[i].name));
        }
    }
done:
    sm_free(name);
    sm_free(path);
    sm_free(sorted);
    return status;
}

sm_status predict_inputs_find(sm_comm *comm, const argument_words *words, const sm_input *learnt, const char *split,
                              const char *usual, const char *output, predict_inputs *inputs)
{
    sm_status status = SM_OK;
    text_list paths = {0}, names = {0};
    *inputs = (predict_inputs){0};
    int64_t is_dataset = words->count == 1 && sm_is_dataset_file(words->items[0]);
    sm_comm_max_int64(comm, &is_dataset, 1);
    SM_TRY(check_kind(words, learnt, (int)is_dataset, split)); /* the same on every rank */
    if (learnt->kind->is_table && !is_dataset) {
        return read_csv(comm, words->items[0], learnt, inputs);
    }
    if (is_dataset) {
        SM_TRY(sm_comm_agree(comm, open_dataset(words->items[0], split, usual, inputs)));
        SM_TRY(check_dataset(words->items[0], learnt, inputs->dataset));
    }
    if (sm_comm_rank(comm) == 0 && is_dataset) {
        list_samples(inputs->dataset, &names);
    } else if (sm_comm_rank(comm) == 0) {
        status = split ? sm_fail(SM_ERR_USAGE, "predict: --split goes with a dataset")
                       : list_files(words, output, &paths, &names);
    }
    if (status == SM_OK && sm_comm_rank(comm) == 0 && !learnt->kind->is_table) {
        status = check_names(&paths, &names);
    }
    SM_TRY(sm_comm_agree(comm, status));
    share_texts(comm, &names);
    inputs->count = names.count;
    inputs->names = texts_of(&names);
    names.bytes = NULL; /* the first name's */
    if (!is_dataset) {
        share_texts(comm, &paths);
        inputs->paths = texts_of(&paths);
        paths.bytes = NULL;
    }
done:
    sm_free(paths.bytes);
    sm_free(names.bytes);
    return status;
}

void predict_inputs_free(predict_inputs *inputs)
{
    if (inputs->count > 0) {
        sm_free(inputs->names[0]); /* all are in one block */
        sm_free(inputs->paths ? inputs->paths[0] : NULL);
    }
    sm_free(inputs->names);
    sm_free(inputs->paths);
    sm_free(inputs->rows);
    sm_sample_storage_free(inputs->storage);
    sm_dataset_close(inputs->dataset);
    *inputs = (predict_inputs){0};
}

/* ---- one image ------------------------------------------------------------------------------------------------------ */

static sm_status read_file(const char *path, predict_image *image)
{
    sm_image read;
    sm_status status = sm_image_read(path, SM_IMAGE_AS_RGB | SM_IMAGE_AS_8_BIT, &read);
    if (status == SM_OK) {
        *image = (predict_image){read.height, read.width, read.pixels, NAN, NAN, read.pixels};
    }
    return status;
}

static sm_status read_sample(predict_inputs *inputs, int64_t index, predict_image *image)
{
    sm_sample sample;
    sm_status status = sm_dataset_read(inputs->dataset, index, inputs->storage, &sample);
    if (status == SM_OK) {
        double scale = sample.original_width > 0 ? (double)sample.width / sample.original_width : 1;
        *image = (predict_image){
            sample.height, sample.width, sample.input, sample.baseline_metres, sample.fx_pixels * scale, NULL};
    }
    return status;
}

sm_status predict_inputs_read(predict_inputs *inputs, int64_t index, predict_image *image)
{
    if (inputs->rows) {
        *image = (predict_image){1, 1, inputs->rows + index * inputs->features, NAN, NAN, NULL};
        return SM_OK;
    }
    return inputs->dataset ? read_sample(inputs, index, image) : read_file(inputs->paths[index], image);
}

void predict_image_free(predict_image *image)
{
    sm_image read = {.pixels = image->owned};
    sm_image_free(&read);
    *image = (predict_image){0};
}
