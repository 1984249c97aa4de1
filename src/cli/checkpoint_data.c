#define _XOPEN_SOURCE 700
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include "cli/checkpoint_data.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* \return the file in the nearest folder above the checkpoint that has it, freed with sm_free(); NULL: none has */
static char *find_above(const char *checkpoint, const char *path)
{
    char folder[PATH_MAX], *slash;
    if (!realpath(checkpoint, folder)) {
        return NULL;
    }
    while ((slash = strrchr(folder, '/'))) {
        *slash = 0;
        char *candidate = sm_format("%s/%s", folder, path);
        if (sm_file_exists(candidate)) {
            return candidate;
        }
        sm_free(candidate);
    }
    return NULL;
}

static sm_status find(const char *checkpoint, const char *path, const char *option, char **out)
{
    if (sm_file_exists(path)) {
        *out = sm_strdup(path);
        return SM_OK;
    }
    *out = *path == '/' ? NULL : find_above(checkpoint, path);
    if (!*out) {
        return sm_fail(SM_ERR_IO,
                       "%s, which %s was trained with, is neither here nor in a folder above the checkpoint: "
                       "name a file with %s",
                       path, checkpoint, option);
    }
    return SM_OK;
}

sm_status checkpoint_data_open(const sm_config *config, const char *checkpoint, const char *key, const char *split,
                               const char *option, sm_dataset **out)
{
    sm_status status = SM_OK;
    size_t count;
    const char *const *paths = sm_config_texts(config, "data", key, &count);
    char **found = sm_alloc_zeroed((count + 1) * sizeof *found);
    for (size_t i = 0; i < count; i++) {
        SM_TRY(find(checkpoint, paths[i], option, &found[i]));
    }
    SM_TRY(sm_dataset_open((const char *const *)found, (int)count, split, out));
done:
    for (size_t i = 0; i < count; i++) {
        sm_free(found[i]);
    }
    sm_free(found);
    return status;
}

void checkpoint_data_announce(const sm_config *config, const char *checkpoint, const char *key)
{
    size_t count;
    const char *const *paths = sm_config_texts(config, "data", key, &count);
    for (size_t i = 0; i < count; i++) {
        char *found = *paths[i] == '/' || sm_file_exists(paths[i]) ? NULL : find_above(checkpoint, paths[i]);
        if (found) {
            sm_log_info("using %s for %s", found, paths[i]);
        }
        sm_free(found);
    }
}
