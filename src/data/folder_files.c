#define _XOPEN_SOURCE 700
#include "data/folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/file.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const folder_image_extensions[] = {".png", ".jpg", ".jpeg", NULL},
                  *const folder_map_extensions[] = {".png", ".npy", NULL},
                  *const folder_value_extensions[] = {".txt", ".npy", NULL};

/* \return bytes of the extension that the text ends with; 0: none of these */
static size_t extension_of(const char *text, const char *const *extensions)
{
    size_t length = strlen(text);
    for (; *extensions; extensions++) {
        size_t bytes = strlen(*extensions);
        if (length > bytes && strcasecmp(text + length - bytes, *extensions) == 0) {
            return bytes;
        }
    }
    return 0;
}

int folder_has_extension(const char *text, const char *const *extensions)
{
    return extension_of(text, extensions) > 0;
}

static void add_file(folder_files *files, char *stem, char *path)
{
    if (files->count == files->room) {
        files->room = 2 * files->room + 64;
        files->files = sm_realloc(files->files, files->room * sizeof *files->files);
    }
    files->files[files->count++] = (folder_file){stem, path};
}

/* \param below  path from the first folder to this one, "" or ending in a slash */
static sm_status find_below(const char *folder, const char *below, int levels, const char *const *extensions,
                            const char *suffix, folder_files *files)
{
    sm_status status = SM_OK;
    char **names = NULL, *path = NULL, *inner = NULL;
    size_t count = 0, suffix_bytes = strlen(suffix);
    sm_comm_set_phase("list of samples", 0, (int)files->count);
    SM_TRY(sm_import_folder(folder, &names, &count));
    for (size_t i = 0; i < count; i++) {
        size_t extension = extension_of(names[i], extensions), stem = strlen(names[i]) - extension;
        path = sm_format("%s/%s", folder, names[i]);
        if (extension > 0 && stem > suffix_bytes &&
            strncmp(names[i] + stem - suffix_bytes, suffix, suffix_bytes) == 0) {
            add_file(files, sm_format("%s%.*s", below, (int)(stem - suffix_bytes), names[i]), path);
            path = NULL;
        } else if (extension == 0 && levels > 0 && sm_folder_exists(path)) {
            inner = sm_format("%s%s/", below, names[i]);
            SM_TRY(find_below(path, inner, levels - 1, extensions, suffix, files));
            sm_free(inner);
            inner = NULL;
        }
        sm_free(path);
        path = NULL;
    }
done:
    sm_free(path);
    sm_free(inner);
    sm_free(names);
    return status;
}

static int compare_files(const void *a, const void *b)
{
    const folder_file *x = a, *y = b;
    int order = strcmp(x->stem, y->stem);
    return order ? order : strcmp(x->path, y->path);
}

sm_status folder_files_find(const char *folder, int levels, const char *const *extensions, const char *suffix,
                            folder_files *files)
{
    *files = (folder_files){0};
    sm_status status = find_below(folder, "", levels, extensions, suffix, files);
    if (files->count > 0) {
        qsort(files->files, files->count, sizeof *files->files, compare_files);
    }
    return status;
}

void folder_files_clear(folder_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        sm_free(files->files[i].stem);
        sm_free(files->files[i].path);
    }
    sm_free(files->files);
    *files = (folder_files){0};
}

static int compare_stem(const void *stem, const void *file)
{
    return strcmp(stem, ((const folder_file *)file)->stem);
}

const char *folder_files_path(const folder_files *files, const char *stem)
{
    const folder_file *file =
        files->count > 0 ? bsearch(stem, files->files, files->count, sizeof *files->files, compare_stem) : NULL;
    return file ? file->path : NULL;
}
