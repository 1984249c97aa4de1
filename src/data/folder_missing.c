/* Folders that a description names, but that are not there. */
#include "data/folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/io/file.h>

#include <string.h>

enum { LEVELS = 2, LISTED_BYTES = 512 };

static const char place_of_split[] = "{split}";

/* What may have been meant: paths from ROOT on, and what stands for them in a description. */
typedef struct candidates {
    char **names;
    size_t count;
} candidates;

static void add(candidates *all, char *name)
{
    all->names = sm_realloc(all->names, (all->count + 1) * sizeof *all->names);
    all->names[all->count++] = name;
}

/* "train/range" may be written "range" or "{split}/range", "trainannot" "{split}annot". */
static void add_forms(const folder_description *d, const char *path, candidates *all)
{
    sm_split_word split;
    add(all, sm_strdup(path));
    for (size_t i = 0; (split = folder_split_at(d, i)).word; i++) {
        const char *at = strstr(path, split.word), *rest = at ? at + strlen(split.word) : NULL;
        if (at == path && *rest == '/') {
            add(all, sm_strdup(rest + 1));
        }
        if (at) {
            add(all, sm_format("%.*s%s%s", (int)(at - path), path, place_of_split, rest));
        }
    }
}

/* Not only of the names: 1.png is none. */
static int is_folder(const char *path)
{
    return !folder_has_extension(path, folder_image_extensions) &&
           !folder_has_extension(path, folder_value_extensions) && sm_folder_exists(path);
}

/* \param below  path from ROOT to the folder, "" or ending in a slash */
static void look_below(const folder_description *d, const char *below, int levels, candidates *all)
{
    char *folder = sm_format("%s/%s", d->root, below), **names = NULL;
    size_t count = 0;
    if (sm_import_folder(folder, &names, &count) != SM_OK) {
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        char *path = sm_format("%s/%s%s", d->root, below, names[i]), *inner = sm_format("%s%s", below, names[i]);
        if (is_folder(path)) {
            add_forms(d, inner, all);
            char *deeper = sm_format("%s/", inner);
            if (levels > 1) {
                look_below(d, deeper, levels - 1, all);
            }
            sm_free(deeper);
        }
        sm_free(path);
        sm_free(inner);
    }
    sm_free(names);
    sm_free(folder);
}

char *folder_list_folders(const char *root)
{
    char **names = NULL, *folders = sm_strdup("");
    size_t count = 0;
    if (sm_import_folder(root, &names, &count) != SM_OK) {
        count = 0;
    }
    for (size_t i = 0; i < count && strlen(folders) < LISTED_BYTES; i++) {
        char *path = sm_format("%s/%s", root, names[i]);
        if (is_folder(path)) {
            char *longer = sm_format("%s%s%s/", folders, *folders ? ", " : "", names[i]);
            sm_free(folders);
            folders = longer;
        }
        sm_free(path);
    }
    sm_free(names);
    if (*folders == '\0') {
        sm_free(folders);
        folders = sm_strdup("no folders");
    }
    return folders;
}

/* \return "; did you mean 'range'?", or what there is; freed by the caller */
static char *advice_of(const folder_description *d, const char *wanted)
{
    candidates all = {0};
    sm_nearest nearest = {.wanted = wanted};
    look_below(d, "", LEVELS, &all);
    for (size_t i = 0; i < all.count; i++) {
        sm_nearest_consider(&nearest, all.names[i]);
    }
    char *folders = folder_list_folders(d->root);
    char *advice =
        nearest.best ? sm_format(", did you mean '%s'?", nearest.best) : sm_format(", which holds %s", folders);
    for (size_t i = 0; i < all.count; i++) {
        sm_free(all.names[i]);
    }
    sm_free(all.names);
    sm_free(folders);
    return advice;
}

/* \return where what a target says of an image as a whole may come from; of a map "" */
static const char *sources_of(const folder_target *t)
{
    return t->target.scope == SM_SCOPE_PIXEL   ? ""
           : t->target.type == SM_TARGET_CLASS ? "the class of an image comes from a column of a manifest (CSV) in the "
                                                 "place of ROOT, from the folder in "
                                                 "which the image lies, or from a .txt of its name: "
                                               : "values of an image come from a column of a manifest (CSV) in the "
                                                 "place of ROOT, or from a .txt of the "
                                                 "image's name: ";
}

sm_status folder_fail_missing(const folder_description *d, const folder_target *t)
{
    const char *section = t ? t->section : "image", *folder = t ? t->folder : d->image_folder;
    int is_given = *sm_config_text_of(d->config, section, "folder") != '\0';
    char *advice = advice_of(d, folder);
    sm_status status = sm_config_fail(
        d->config, section, is_given ? "folder" : "kind", "%sthere is no folder '%s'%s in %s%s", t ? sources_of(t) : "",
        folder, is_given ? "" : " (as the section; the key folder names another)", d->root, advice);
    sm_free(advice);
    return status;
}
