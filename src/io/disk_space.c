#define _XOPEN_SOURCE 700
#include <sigmatic/io/disk_space.h>

#include <sigmatic/base/memory.h>

#include <string.h>
#include <sys/statvfs.h>

sm_status sm_disk_check_space(const char *path, uint64_t bytes)
{
    static const double MIB = 1 << 20;
    struct statvfs found;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? sm_format("%.*s", (int)(slash - path) + (slash == path), path) : sm_strdup(".");
    int is_known = statvfs(folder, &found) == 0 && found.f_blocks > 0;
    uint64_t free_bytes = is_known ? (uint64_t)found.f_bavail * found.f_frsize : 0;
    sm_free(folder);
    return !is_known || free_bytes >= bytes
               ? SM_OK
               : sm_fail(SM_ERR_WRITE,
                         "%s: not written: No space left on device: %.2f MiB needed beside what is there, %.2f free",
                         path, (double)bytes / MIB, (double)free_bytes / MIB);
}
