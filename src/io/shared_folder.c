#define _XOPEN_SOURCE 700
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/shared_folder.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *sm_shared_folder(void)
{
    static const char *const places[] = {"../share/sigmatic", "../.."};
    char program[PATH_MAX], resolved[PATH_MAX], *found = NULL;
    ssize_t bytes = readlink("/proc/self/exe", program, sizeof program - 1);
    program[bytes > 0 ? bytes : 0] = '\0';
    char *slash = strrchr(program, '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof *places && !found; i++) {
        char *folder = sm_format("%.*s/%s", (int)(slash - program), program, places[i]);
        char *page = sm_format("%s/configs/README.md", folder);
        found = sm_file_exists(page) && realpath(folder, resolved) ? sm_strdup(resolved) : NULL;
        sm_free(page);
        sm_free(folder);
    }
    return found;
}
