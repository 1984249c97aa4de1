#include <sigmatic/base/memory.h>
#include <sigmatic/io/shared_folder.h>

#include "train/weights_pickle.h"

#include <stddef.h>
#include <string.h>

/* \return where the script is, by its name in the sources if it is not beside the program; freed with sm_free() */
static char *find_script(void)
{
    static const char name[] = "analysis/pth_to_safetensors.py";
    char *folder = sm_shared_folder(), *path = sm_format("%s%s%s", folder ? folder : "", folder ? "/" : "", name);
    sm_free(folder);
    return path;
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
