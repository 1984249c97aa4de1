/* Samples of folders by kind: images/, labels/, ..., each perhaps with a subfolder a split, or the other way round. */
#include "data/folder.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <stdio.h>
#include <string.h>

static const char place_of_split[] = "{split}";

/* \return `pattern` with the split in its place; freed by the caller */
static char *filled(const char *pattern, const char *split)
{
    const char *place = strstr(pattern, place_of_split);
    return place ? sm_format("%.*s%s%s", (int)(place - pattern), pattern, split, place + strlen(place_of_split))
                 : sm_strdup(pattern);
}

/* The forms that `folder` stands for, each tried in turn; the last has no split. */
enum { FORMS = 3 };

static char *form(const char *folder, int f)
{
    if (strstr(folder, place_of_split)) {
        return f == 0 ? sm_strdup(folder) : NULL;
    }
    return f == 0   ? sm_format("%s/%s", folder, place_of_split)
           : f == 1 ? sm_format("%s/%s", place_of_split, folder)
                    : sm_strdup(folder);
}

/* The folder of a kind for one split, or for none (NULL); "" if there is none. Freed by the caller. */
static char *find_folder(const char *root, const char *folder, const char *split)
{
    for (int f = 0; f < FORMS; f++) {
        char *pattern = form(folder, f);
        int fits = pattern && (strstr(pattern, place_of_split) != NULL) == (split != NULL);
        char *inner = fits ? filled(pattern, split ? split : "") : NULL;
        char *path = inner ? sm_format("%s/%s", root, inner) : NULL;
        sm_free(pattern);
        sm_free(inner);
        if (path && sm_folder_exists(path)) {
            return path;
        }
        sm_free(path);
    }
    return sm_strdup("");
}

/* Class of an image by the folder in which it lies, "cats" of cats/1.jpg. */
static char *folder_class(const char *stem)
{
    const char *slash = strchr(stem, '/');
    return slash ? sm_format("%.*s", (int)(slash - stem), stem) : sm_strdup("");
}

/* What one kind has in the folders of one split; `folder` "" without any. */
typedef struct kind_files {
    char *folder;
    folder_files files;
} kind_files;

static int is_folder_class(const folder_target *t, const kind_files *files)
{
    return t->target.scope == SM_SCOPE_SAMPLE && t->target.type == SM_TARGET_CLASS && *files->folder == '\0';
}

/* The path where it is, or for messages where it might be; or the class. */
static char *source_of(const folder_target *t, const kind_files *files, const char *stem)
{
    if (is_folder_class(t, files)) {
        return folder_class(stem);
    }
    const char *path = folder_files_path(&files->files, stem);
    if (path || t->target.scope == SM_SCOPE_SAMPLE) {
        return sm_strdup(path ? path : "");
    }
    return *files->folder ? sm_format("%s/%s%s.png", files->folder, stem, t->suffix) : sm_format("%s/", t->folder);
}

static sm_status check_stem(const folder_files *images, size_t i)
{
    if (i > 0 && strcmp(images->files[i].stem, images->files[i - 1].stem) == 0) {
        return sm_fail(SM_ERR_INPUT, "%s and %s are two images of one name", images->files[i - 1].path,
                       images->files[i].path);
    }
    return SM_OK;
}

static sm_status add_samples(const folder_description *d, const char *split, const folder_files *images,
                             const kind_files *kinds, folder_samples *samples)
{
    sm_status status = SM_OK;
    const folder_camera *camera = &d->camera;
    for (size_t i = 0; i < images->count; i++) {
        const char *stem = images->files[i].stem;
        SM_TRY(check_stem(images, i));
        char **sources = sm_alloc_zeroed((size_t)d->kind_count * sizeof *sources);
        sources[0] = sm_strdup(images->files[i].path);
        for (int t = 0; t < d->target_count; t++) {
            sources[1 + t] = source_of(&d->targets[t], &kinds[t], stem);
        }
        if (d->camera_kind >= 0) {
            sources[d->camera_kind] = sm_format("%s %s", camera->baseline_metres, camera->fx_pixels);
        }
        folder_samples_add(samples, sm_strdup(stem), split ? sm_strdup(split) : NULL, sources);
    }
done:
    return status;
}

/* Files of a target that no image goes with are a sign of names that do not fit. */
static void warn_of_strangers(const folder_target *t, const kind_files *files, const folder_files *images)
{
    size_t strangers = 0;
    const char *first = NULL;
    for (size_t i = 0; i < files->files.count; i++) {
        if (!folder_files_path(images, files->files.files[i].stem)) {
            first = first ? first : files->files.files[i].path;
            strangers++;
        }
    }
    if (strangers > 0) {
        sm_log_warning("%s: no image of that name, nor for %zu more files of [%s]; a key suffix says how names differ",
                       first, strangers - 1, t->section);
    }
}

/* \param split  folder of a split; NULL: what lies in none */
static sm_status find_split(const folder_description *d, const char *folder, const char *split, folder_samples *samples)
{
    sm_status status = SM_OK;
    folder_files images = {0};
    kind_files *kinds = sm_alloc_zeroed((size_t)(d->target_count + 1) * sizeof *kinds);
    char *place = find_folder(d->root, d->image_folder, folder);
    SM_TRY(*place ? folder_files_find(place, FOLDER_DEEP, folder_image_extensions, d->image_suffix, &images) : SM_OK);
    for (int t = 0; t < d->target_count && images.count > 0; t++) {
        const folder_target *target = &d->targets[t];
        kinds[t].folder = find_folder(d->root, target->folder, folder);
        if (*kinds[t].folder) {
            int is_map = target->target.scope == SM_SCOPE_PIXEL;
            SM_TRY(folder_files_find(kinds[t].folder, FOLDER_DEEP,
                                     is_map ? folder_map_extensions : folder_value_extensions, target->suffix,
                                     &kinds[t].files));
            warn_of_strangers(target, &kinds[t], &images);
        }
    }
    SM_TRY(add_samples(d, split, &images, kinds, samples));
done:
    for (int t = 0; t < d->target_count; t++) {
        folder_files_clear(&kinds[t].files);
        sm_free(kinds[t].folder);
    }
    folder_files_clear(&images);
    sm_free(kinds);
    sm_free(place);
    return status;
}

/* Images that lie in the folder of a split, or in ROOT itself. \param levels  of subfolders: 0 or FOLDER_DEEP */
static sm_status find_below(const folder_description *d, const char *folder, const char *split, int levels,
                            folder_samples *samples)
{
    sm_status status = SM_OK;
    folder_files images = {0};
    kind_files *kinds = sm_alloc_zeroed((size_t)(d->target_count + 1) * sizeof *kinds);
    char *place = folder ? sm_format("%s/%s", d->root, folder) : sm_strdup(d->root);
    for (int t = 0; t < d->target_count; t++) {
        kinds[t].folder = sm_strdup("");
    }
    SM_TRY(folder_files_find(place, levels, folder_image_extensions, d->image_suffix, &images));
    SM_TRY(add_samples(d, split, &images, kinds, samples));
done:
    for (int t = 0; t < d->target_count; t++) {
        sm_free(kinds[t].folder);
    }
    sm_free(kinds);
    sm_free(place);
    folder_files_clear(&images);
    return status;
}

/* If no folder by kind is there; in subfolders if these are classes. */
static sm_status find_bare(const folder_description *d, const char *folder, const char *split, folder_samples *samples)
{
    static const kind_files none = {.folder = ""};
    int levels = 0;
    for (int t = 0; t < d->target_count; t++) {
        levels = is_folder_class(&d->targets[t], &none) ? FOLDER_DEEP : levels;
    }
    return find_below(d, folder, split, levels, samples);
}

static sm_status find_deep(const folder_description *d, const char *folder, const char *split, folder_samples *samples)
{
    return find_below(d, folder, split, FOLDER_DEEP, samples);
}

static sm_status fail_no_images(const folder_description *d)
{
    char *folders = folder_list_folders(d->root);
    sm_status status =
        sm_fail(SM_ERR_INPUT,
                "%s: no images (.png, .jpg, .jpeg); looked in %s/, %s/<split>/, <split>/%s/ with train, "
                "val and test as <split>, and in the folder itself, which holds %s; a manifest (CSV), or "
                "the key folder of [image], says where they are",
                d->root, d->image_folder, d->image_folder, d->image_folder, folders);
    sm_free(folders);
    return status;
}

typedef sm_status (*finder)(const folder_description *d, const char *folder, const char *split,
                            folder_samples *samples);

/* In the folders of all splits, else of none. */
static sm_status find_splits(const folder_description *d, finder find, folder_samples *samples)
{
    sm_status status = SM_OK;
    sm_split_word split;
    for (size_t s = 0; (split = folder_split_at(d, s)).word; s++) {
        SM_TRY(find(d, split.word, split.split, samples));
    }
    if (samples->count == 0) {
        SM_TRY(find(d, NULL, NULL, samples));
    }
done:
    return status;
}

/* Without a description nobody said that folders are classes; where they look so, a description is printed. */
static sm_status fail_folders(const folder_description *d)
{
    folder_samples samples = {.kind_count = d->kind_count};
    sm_status status = d->describe ? SM_OK : find_splits(d, find_deep, &samples);
    char *description = samples.count > 0 ? folder_class_description(&samples) : NULL;
    if (status == SM_OK && description) {
        sm_log_result("%s", description);
        status = sm_fail(SM_ERR_INPUT,
                         "%s: no folder %s/, but images in other folders, as %s: if these are the classes of the "
                         "images, the description above, given as --describe FILE, takes them",
                         d->root, d->image_folder, samples.samples[0].sources[0]);
    } else if (status == SM_OK) {
        status = fail_no_images(d);
    }
    sm_free(description);
    folder_samples_clear(&samples);
    return status;
}

/* Of any split, or of none. */
static int is_there(const folder_description *d, const char *folder)
{
    sm_split_word split = {0};
    for (size_t s = 0; s == 0 || split.word; s++) {
        split = folder_split_at(d, s);
        char *path = find_folder(d->root, folder, split.word);
        int found = *path != '\0';
        sm_free(path);
        if (found) {
            return 1;
        }
    }
    return 0;
}

/* Whether the target's folder is missing; of a class the folders of the images are as good. */
static int is_missing(const folder_description *d, int t, const folder_samples *samples)
{
    for (size_t i = 0; i < samples->count && d->targets[t].target.scope == SM_SCOPE_SAMPLE; i++) {
        if (*samples->samples[i].sources[1 + t] != '\0') {
            return 0;
        }
    }
    return !is_there(d, d->targets[t].folder);
}

sm_status folder_find_in_folders(const folder_description *d, folder_samples *samples)
{
    sm_status status = SM_OK;
    SM_TRY(find_splits(d, find_split, samples));
    if (samples->count == 0 && d->has_image_folder && !is_there(d, d->image_folder)) {
        SM_TRY(folder_fail_missing(d, NULL));
    }
    SM_TRY(samples->count == 0 ? find_splits(d, find_bare, samples) : SM_OK);
    SM_TRY(samples->count == 0 ? fail_folders(d) : SM_OK);
    for (int t = 0; t < d->target_count; t++) {
        SM_TRY(is_missing(d, t, samples) ? folder_fail_missing(d, &d->targets[t]) : SM_OK);
    }
done:
    return status;
}
