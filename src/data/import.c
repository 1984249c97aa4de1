/* Rank 0 looks for the samples and tells the others; then every rank converts its share. */
#include "data/importer.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/version.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/data/input.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/image.h>

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was found, but for the texts. */
typedef struct found {
    char split[SM_IMPORT_SPLITS_MAX][SM_IMPORT_SPLIT_BYTES];
    int64_t count[SM_IMPORT_SPLITS_MAX]; /* samples lie split after split */
    int split_count;
    int height, width; /* of the first image */
    size_t total, bytes;
} found;

enum { NOTES = 4 };

struct sm_import_list {
    const sm_importer *importer;
    const sm_import_options *options;
    const char *root;
    found found;
    char *
        text; /* of each sample its name, and a path of each kind behind '+' (there is a file) or '-'; each ends in a zero */
    size_t room;
    const char **texts; /* where they begin; once the list is complete */
    char *notes[NOTES]; /* of rank 0; NULL: none */
};

/* ---- listing ------------------------------------------------------------------------------------------------------ */

sm_status sm_import_folder(const char *path, char ***names, size_t *count)
{
    *names = NULL;
    *count = 0;
    if (!sm_folder_exists(path)) {
        return SM_OK;
    }
    sm_status status = sm_folder_list(path, names, count);
    size_t kept = 0;
    for (size_t i = 0; status == SM_OK && i < *count; i++) {
        if (*(*names)[i] != '.') {
            (*names)[kept++] = (*names)[i];
        }
    }
    *count = kept;
    return status;
}

static void append(sm_import_list *list, const char *mark, const char *text)
{
    size_t bytes = strlen(mark) + strlen(text) + 1, used = list->found.bytes;
    if (used + bytes > list->room) {
        list->room = 2 * (used + bytes);
        list->text = sm_realloc(list->text, list->room);
    }
    snprintf(list->text + used, bytes, "%s%s", mark, text);
    list->found.bytes += bytes;
}

void sm_import_add(sm_import_list *list, const char *split, const char *name, const char *const *paths)
{
    found *f = &list->found;
    sm_comm_set_phase("list of samples", 0, (int)f->total);
    if (f->split_count == 0 || strcmp(f->split[f->split_count - 1], split) != 0) {
        assert(f->split_count < SM_IMPORT_SPLITS_MAX && strlen(split) < SM_IMPORT_SPLIT_BYTES);
        snprintf(f->split[f->split_count++], SM_IMPORT_SPLIT_BYTES, "%s", split);
    }
    f->count[f->split_count - 1]++;
    f->total++;
    append(list, "", name);
    for (int k = 0; k < list->importer->kind_count; k++) {
        const sm_import_kind *kind = &list->importer->kinds[k];
        int is_there = kind->is_text || kind->is_named ? *paths[k] != '\0' : sm_file_exists(paths[k]);
        append(list, is_there ? "+" : "-", paths[k]);
    }
}

void sm_import_note(sm_import_list *list, char *text)
{
    int n = 0;
    while (list->notes[n]) {
        n++;
        assert(n < NOTES && "one of each thing that an importer decides");
    }
    list->notes[n] = text;
}

size_t sm_import_count(const sm_import_list *list)
{
    return list->found.total;
}

const sm_importer *sm_import_importer(const sm_import_list *list)
{
    return list->importer;
}

const sm_import_options *sm_import_list_options(const sm_import_list *list)
{
    return list->options;
}

sm_status sm_import_count_option(const sm_importer *importer, const sm_import_options *options, int flag,
                                 int64_t fallback, int64_t most, int64_t *count)
{
    char *end;
    const char *value = options->values[flag];
    *count = value ? strtoll(value, &end, 10) : fallback;
    if (value && (end == value || *end || *count < 0 || *count > most)) {
        return sm_fail(SM_ERR_USAGE, "--%s '%s': expected a number from 0 to %lld", importer->flags[flag].name, value,
                       (long long)most);
    }
    return SM_OK;
}

/* Which of the texts is a sample's name; behind it come its paths. */
static size_t name_place(const sm_import_list *list, size_t sample)
{
    return sample * (1 + (size_t)list->importer->kind_count);
}

/* The path of a kind of file, whether or not it is there. */
static const char *path_of(const sm_import_list *list, size_t sample, int kind, int *is_there)
{
    const char *text = list->texts[name_place(list, sample) + 1 + (size_t)kind];
    *is_there = *text == '+';
    return text + 1;
}

const char *sm_import_find(const sm_import *import, int kind, size_t *sample)
{
    for (; *sample < import->list->found.total; ++*sample) {
        int is_there;
        const char *path = path_of(import->list, *sample, kind, &is_there);
        if (is_there) {
            return path;
        }
    }
    return NULL;
}

static int64_t count_kind(const sm_import_list *list, int kind)
{
    int64_t count = 0;
    for (size_t i = 0; i < list->found.total; i++) {
        int is_there;
        path_of(list, i, kind, &is_there);
        count += is_there;
    }
    return count;
}

static void find_texts(sm_import_list *list)
{
    size_t count = list->found.total * (1 + (size_t)list->importer->kind_count);
    const char *text = list->text;
    list->texts = sm_alloc(count * sizeof *list->texts);
    for (size_t i = 0; i < count; i++) {
        list->texts[i] = text;
        text += strlen(text) + 1;
    }
}

static sm_status read_size(const sm_import_list *list, const char *path, int *height, int *width)
{
    if (list->importer->size) {
        return list->importer->size(list->options, path, height, width);
    }
    sm_image image;
    sm_status status = sm_image_read(path, SM_IMAGE_AS_RGB | SM_IMAGE_AS_8_BIT, &image);
    *height = image.height;
    *width = image.width;
    sm_image_free(&image);
    return status;
}

/* Bad ones are reported when they are imported. */
static sm_status read_first_size(sm_import_list *list)
{
    sm_status status = SM_ERR_INPUT;
    for (size_t i = 0; i < list->found.total && status != SM_OK; i++) {
        int is_there;
        status = read_size(list, path_of(list, i, 0, &is_there), &list->found.height, &list->found.width);
        if (!list->options->skip_bad) {
            break;
        }
    }
    return status;
}

static int is_given_size(const sm_import_options *options)
{
    return options->height > 0 && options->width > 0;
}

static sm_status look_for_samples(sm_import_list *list)
{
    sm_status status = SM_OK;
    if (list->importer->root_may_be_file ? !sm_file_exists(list->root) : !sm_folder_exists(list->root)) {
        return sm_fail(SM_ERR_IO, "%s: no such %s", list->root,
                       list->importer->root_may_be_file ? "file or folder" : "folder");
    }
    SM_TRY(list->importer->list(list->root, list));
    assert(list->found.total > 0);
    find_texts(list);
    if (!is_given_size(list->options)) {
        SM_TRY(read_first_size(list));
    }
done:
    return status;
}

static sm_status share_list(sm_comm *comm, sm_import_list *list)
{
    int is_root = sm_comm_rank(comm) == 0;
    sm_status status = sm_comm_agree(comm, is_root ? look_for_samples(list) : SM_OK);
    if (status != SM_OK) {
        return status;
    }
    sm_comm_broadcast(comm, &list->found, sizeof list->found, 0);
    list->text = is_root ? list->text : sm_alloc(list->found.bytes);
    sm_comm_broadcast(comm, list->text, list->found.bytes, 0);
    if (!is_root) {
        find_texts(list);
    }
    return SM_OK;
}

/* Samples of a split without a file of this kind. */
static size_t count_missing(const sm_import_list *list, size_t first, size_t count, int kind)
{
    size_t missing = 0;
    for (size_t i = first; i < first + count; i++) {
        int is_there;
        path_of(list, i, kind, &is_there);
        missing += !is_there;
    }
    return missing;
}

/* Of one split: a kind of file that it has nowhere is said once. */
static void report_missing(const sm_import_list *list, int split, size_t first, int kind)
{
    const char *what = list->importer->kinds[kind].what;
    size_t count = (size_t)list->found.count[split], missing = count_missing(list, first, count, kind);
    int is_there;
    if (missing == count) {
        const char *path = path_of(list, first, kind, &is_there);
        sm_log_warning("%s: no %s in '%s'%s%s", list->root, what, list->found.split[split], *path ? ", as " : "", path);
        return;
    }
    for (size_t i = first; i < first + count && missing > 0; i++) {
        const char *path = path_of(list, i, kind, &is_there), *name = list->texts[name_place(list, i)];
        if (!is_there) {
            sm_log_warning("%s: no %s of this sample", *path ? path : name, what);
        }
    }
}

static void report(const sm_import_list *list)
{
    size_t first = 0;
    int is_there;
    for (int k = 1; k < list->importer->kind_count; k++) {
        if (count_missing(list, 0, list->found.total, k) == list->found.total) {
            const char *path = path_of(list, 0, k, &is_there);
            sm_log_warning("%s: no sample has %s%s%s: the dataset is made without", list->root,
                           list->importer->kinds[k].what, *path ? ", as " : "", path);
        }
    }
    for (int s = 0; s < list->found.split_count; s++) {
        sm_log_info("%s: %s, %lld %s", list->root, list->found.split[s], (long long)list->found.count[s],
                    sm_plural(list->found.count[s], "sample", "samples"));
        for (int k = 1; k < list->importer->kind_count; k++) {
            if (count_missing(list, 0, list->found.total, k) < list->found.total) {
                report_missing(list, s, first, k);
            }
        }
        first += (size_t)list->found.count[s];
    }
}

/* ---- converting --------------------------------------------------------------------------------------------------- */

/* The target of a kind; its classes are those of the kind. \return 0: it has none */
static int find_target(const sm_import_kind *kind, sm_target *target)
{
    if (kind->described) {
        *target = *kind->described;
    } else if (kind->target) {
        *target = *sm_standard_target(kind->target);
        target->classes = kind->classes;
    }
    return kind->described || kind->target;
}

static void invalidate(const sm_target *target, int height, int width, void *data)
{
    size_t items = sm_scope_items(target->scope, height, width);
    if (target->type == SM_TARGET_REAL) {
        for (size_t i = 0; i < items * (size_t)target->components; i++) {
            ((float *)data)[i] = NAN;
        }
    } else {
        memset(data, target->type == SM_TARGET_INSTANCE ? 0 : SM_CLASS_IGNORED, items * sm_target_item_bytes(target));
    }
}

static size_t place_of(const sm_import_list *list, int split, int64_t index)
{
    size_t at = (size_t)index;
    for (int s = 0; s < split; s++) {
        at += (size_t)list->found.count[s];
    }
    return at;
}

static sm_status read_sample(sm_import *import, const char *const *paths, sm_sample *sample)
{
    const sm_importer *importer = import->importer;
    for (int k = 0; k < importer->kind_count; k++) {
        if (import->target[k]) {
            invalidate(&import->target_of[k], import->height, import->width, import->target[k]);
        }
    }
    return importer->read(import, paths, sample);
}

/* Of a sample that will be left out: also what is wrong with the files behind the first bad one, each read beside the image
 * alone. Fails as before, with all of it. */
static sm_status name_all_bad(sm_import *import, const char *const *paths, sm_status status)
{
    char *all = sm_strdup(sm_error_message());
    for (int k = 1; k < import->importer->kind_count; k++) {
        const char *alone[SM_IMPORT_KINDS_MAX] = {paths[0]};
        sm_sample sample = {0};
        alone[k] = paths[k];
        if (paths[k] && read_sample(import, alone, &sample) != SM_OK && !strstr(all, sm_error_message())) {
            char *more = sm_format("%s; %s", all, sm_error_message());
            sm_free(all);
            all = more;
        }
    }
    status = sm_fail(status, "%s", all);
    sm_free(all);
    return status;
}

static int whole_pixels(double pixels)
{
    return (int)fmin(fmax(rint(pixels), 1), INT_MAX);
}

/* Of the part of the original that is shown, or of the original with its borders: stored over original size is then the
 * scale, by which others find metres of disparities and areas in originals. Where that part is no whole number of pixels
 * the focal length makes up for the rounding. */
static void set_original_size(const sm_import *import, sm_sample *sample)
{
    if (import->options->fit == SM_FIT_STRETCH) {
        sample->original_height = import->stored_height;
        sample->original_width = import->stored_width;
        return;
    }
    double width = import->width / import->geometry.scale_x;
    sample->original_height = whole_pixels(import->height / import->geometry.scale_y);
    sample->original_width = whole_pixels(width);
    sample->fx_pixels *= sample->original_width / width;
}

static sm_status produce(void *user, int split, int64_t index, sm_sample *sample)
{
    sm_import *import = user;
    const char *paths[SM_IMPORT_KINDS_MAX] = {NULL};
    size_t at = place_of(import->list, split, index);
    for (int k = 0; k < import->importer->kind_count; k++) {
        int is_there;
        const char *path = path_of(import->list, at, k, &is_there);
        paths[k] = is_there ? path : NULL;
    }
    sm_status status = read_sample(import, paths, sample);
    if (status != SM_OK && import->options->skip_bad) {
        status = name_all_bad(import, paths, status);
    }
    if (import->options->skip_bad) {
        import->begins_anew = 0; /* a bad sample is left out; the others stay as they are */
    }
    if (status != SM_OK) {
        return status;
    }
    sample->input = import->image;
    for (int t = 0; t < import->described_count; t++) {
        sm_sample_add(sample, &import->described[t], import->target[import->kind_of[t]]);
    }
    set_original_size(import, sample);
    return SM_OK;
}

static sm_status read_image(sm_import *import, int split, int64_t index)
{
    int is_there;
    sm_sample sample = {0};
    const char *paths[SM_IMPORT_KINDS_MAX] = {
        path_of(import->list, place_of(import->list, split, index), 0, &is_there)};
    return read_sample(import, paths, &sample);
}

/* Of all files of a sample. */
static uint64_t stamp_of(void *user, int split, int64_t index)
{
    const sm_import *import = user;
    uint64_t stamp = 0;
    if (!sm_folder_exists(import->options->root)) {
        stamp = sm_file_stamp(stamp, import->options->root); /* one file for all samples */
    }
    for (int k = 0; k < import->importer->kind_count; k++) {
        int is_there;
        stamp = sm_file_stamp(stamp, path_of(import->list, place_of(import->list, split, index), k, &is_there));
    }
    return stamp;
}

static int begins_anew(void *user)
{
    return ((const sm_import *)user)->begins_anew;
}

/* What a file is made of, but for the contents of the samples' files. */
static char *origin_of(const sm_import *import, const double mean[3], const double std[3])
{
    const found *f = &import->list->found;
    const sm_import_options *options = import->options;
    const char *facts = import->importer->facts ? import->importer->facts : "";
    uint32_t list = sm_crc32c(sm_crc32c(0, f, sizeof *f), import->list->text, f->bytes);
    char *values = sm_strdup("");
    for (int i = 0; i < SM_IMPORT_FLAGS_MAX; i++) {
        if (options->values[i]) {
            char *more = sm_format("%s %d=%s", values, i, options->values[i]);
            sm_free(values);
            values = more;
        }
    }
    char *origin = sm_format(
        "Sigmatic " SM_VERSION "\nthe importer %s\n%d x %d pixels (height x width)\nfit %s\n"
        "flags 0x%x\noptions%s\n%zu samples\na list of files of CRC-32C %08x\na description of CRC-32C %08x\n"
        "mean %.17g %.17g %.17g std %.17g %.17g %.17g\n",
        import->importer->name, import->height, import->width, sm_fit_names[options->fit], options->flags, values,
        f->total, list, sm_crc32c(0, facts, strlen(facts)), mean[0], mean[1], mean[2], std[0], std[1], std[2]);
    sm_free(values);
    return origin;
}

/* Memory for the targets of all kinds; described are those of which any sample has a file. */
static void make_targets(sm_import *import)
{
    for (int k = 0; k < import->importer->kind_count; k++) {
        sm_target *target = &import->target_of[k];
        if (!find_target(&import->importer->kinds[k], target)) {
            continue;
        }
        size_t items = sm_scope_items(target->scope, import->height, import->width);
        import->target[k] = sm_alloc(items * sm_target_item_bytes(target));
        if (count_kind(import->list, k) > 0) {
            assert(import->described_count < SM_TARGETS_MAX);
            import->kind_of[import->described_count] = k;
            import->described[import->described_count++] = *target;
        }
    }
}

static void make_import(const sm_importer *importer, const sm_import_options *options, const sm_import_list *list,
                        sm_import *import)
{
    int given = is_given_size(options);
    *import = (sm_import){.importer = importer, .options = options, .list = list};
    import->height = given ? options->height : list->found.height;
    import->width = given ? options->width : list->found.width;
    size_t area = (size_t)import->height * (size_t)import->width;
    import->image = sm_alloc(area * 3);
    import->sampled = sm_alloc(area * 3 * sizeof *import->sampled);
    make_targets(import);
}

static void clear_import(sm_import *import)
{
    for (int k = 0; k < SM_IMPORT_KINDS_MAX; k++) {
        sm_free(import->target[k]);
        sm_free(import->cache[k]);
    }
    sm_free(import->image);
    sm_free(import->sampled);
    sm_free(import->workspace);
    sm_free(import->covered);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

/* Of the images of train, or of the first split. */
static sm_status measure(sm_comm *comm, sm_import *import, double mean[3], double std[3])
{
    const found *f = &import->list->found;
    int split = 0;
    for (int s = 0; s < f->split_count; s++) {
        split = strcmp(f->split[s], "train") == 0 ? s : split;
    }
    memcpy(mean, sm_imagenet_mean, sizeof sm_imagenet_mean);
    memcpy(std, sm_imagenet_std, sizeof sm_imagenet_std);
    return import->options->measures ? sm_import_measure(comm, import, split, f->count[split], read_image, mean, std)
                                     : SM_OK;
}

static sm_status write_dataset(sm_comm *comm, sm_import *import)
{
    const sm_import_list *list = import->list;
    const char **names = sm_alloc(list->found.total * sizeof *names);
    int has_camera = 0;
    for (size_t i = 0; i < list->found.total; i++) {
        names[i] = list->texts[name_place(list, i)];
    }
    for (int k = 0; k < import->importer->kind_count; k++) {
        has_camera = has_camera || (import->importer->kinds[k].is_camera && count_kind(list, k) > 0);
    }
    sm_dataset_split_spec splits[SM_IMPORT_SPLITS_MAX];
    size_t first = 0;
    for (int s = 0; s < list->found.split_count; s++) {
        splits[s] = (sm_dataset_split_spec){list->found.split[s], list->found.count[s], names + first};
        first += (size_t)list->found.count[s];
    }
    double mean[3], std[3];
    sm_dataset_spec spec = {.source = import->importer->title,
                            .fit = sm_fit_names[import->options->fit],
                            .mean = mean,
                            .std = std,
                            .height = import->height,
                            .width = import->width,
                            .targets = import->described,
                            .target_count = import->described_count,
                            .has_camera = has_camera,
                            .splits = splits,
                            .split_count = list->found.split_count};
    sm_status status = SM_OK;
    char *origin = NULL;
    SM_TRY(measure(comm, import, mean, std));
    origin = origin_of(import, mean, std);
    sm_dataset_job job = {.overwrite = import->options->overwrite,
                          .produce = produce,
                          .user = import,
                          .origin = origin,
                          .stamp = stamp_of,
                          .begins_anew = begins_anew,
                          .skip_bad = import->options->skip_bad,
                          .stop = import->options->stop};
    SM_TRY(sm_dataset_write_job(comm, import->options->output, &spec, &job));
done:
    sm_free(origin);
    sm_free(names);
    return status;
}

sm_status sm_import_dataset(sm_comm *comm, const sm_importer *importer, const sm_import_options *options)
{
    sm_status status = SM_OK;
    sm_importer *made = NULL;
    sm_import_list list = {.root = options->root, .options = options};
    sm_import import = {0};
    if (importer->make) {
        SM_TRY(importer->make(comm, options, &made));
        importer = made;
    }
    list.importer = importer;
    SM_TRY(share_list(comm, &list));
    if (sm_comm_rank(comm) == 0) {
        report(&list);
    }
    make_import(importer, options, &list, &import);
    SM_TRY(write_dataset(comm, &import));
    for (int n = 0; n < NOTES && list.notes[n]; n++) {
        sm_log_info("%s", list.notes[n]);
    }
done:
    clear_import(&import);
    for (int n = 0; n < NOTES; n++) {
        sm_free(list.notes[n]);
    }
    sm_free(list.text);
    sm_free(list.texts);
    if (made) {
        made->free(made);
    }
    return status;
}
