#define _XOPEN_SOURCE 700
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include "train/weights_pickle.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* \return the folder of the running program, freed with sm_free(); NULL where the system does not say */
static char *program_folder(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) {
        return NULL;
    }
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    return sm_strdup(path);
}

/* \return where the script is: beside an installed program, or in the tree that the program was built in; else its name in the
 * sources. Freed with sm_free() */
static char *find_script(void)
{
    static const char *const places[] = {"../share/sigmatic/analysis", "../../analysis"};
    static const char name[] = "pth_to_safetensors.py";
    char *folder = program_folder(), *found = NULL;
    for (size_t i = 0; folder && !found && i < sizeof places / sizeof *places; i++) {
        char resolved[PATH_MAX], *path = sm_format("%s/%s/%s", folder, places[i], name);
        found = realpath(path, resolved) ? sm_strdup(resolved) : NULL;
        sm_free(path);
    }
    sm_free(folder);
    return found ? found : sm_format("analysis/%s", name);
}

/* \return the length of a path without the ending of its name */
static size_t stem_length(const char *path)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return dot && (!slash || dot > slash) ? (size_t)(dot - path) : strlen(path);
}

sm_status sm_weights_refuse_pickle(const char *path, const char *start)
{
    static const char *const pickles[] = {"PK\x03\x04", "\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"};
    sm_status status = SM_OK;
    for (size_t i = 0; status == SM_OK && i < sizeof pickles / sizeof *pickles; i++) {
        if (memcmp(start, pickles[i], strlen(pickles[i])) == 0) {
            char *script = find_script();
            status = sm_fail(SM_ERR_INPUT,
                             "%s: looks like a pickle of PyTorch, which only PyTorch reads. Convert it, where that is "
                             "installed: python3 '%s' '%s' '%.*s.safetensors'",
                             path, script, path, (int)stem_length(path), path);
            sm_free(script);
        }
    }
    return status;
}
