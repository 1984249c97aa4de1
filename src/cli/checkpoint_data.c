#define _XOPEN_SOURCE 700
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/checkpoint.h>

#include "cli/checkpoint_data.h"
#include "cli/configuration.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

sm_status checkpoint_config(sm_comm *comm, const char *checkpoint, const argument_list *sets, sm_config **out)
{
    sm_status status = SM_OK;
    sm_checkpoint_info info = {0};
    char *text = NULL;
    size_t bytes = 0;
    if (sm_comm_rank(comm) == 0) {
        status = sm_checkpoint_read_info(checkpoint, &info);
        bytes = status == SM_OK ? strlen(info.config) + 1 : 0;
    }
    SM_TRY(sm_comm_agree(comm, status));
    sm_comm_broadcast(comm, &bytes, sizeof bytes, 0);
    text = sm_alloc_zeroed(bytes);
    if (info.config) {
        memcpy(text, info.config, bytes);
    }
    sm_comm_broadcast(comm, text, bytes, 0);
    SM_TRY(sm_comm_agree(comm, command_config(checkpoint, text, sets, out)));
done:
    sm_checkpoint_info_free(&info);
    sm_free(text);
    return status;
}

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
