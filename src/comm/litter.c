#define _POSIX_C_SOURCE 200809L
#include "comm/litter.h"

#include <sigmatic/base/memory.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char folder[] = "/dev/shm";

/* ---- of Sigmatic ---- */

/* Numbers of processes mean something within it; 0 where there are none. */
static unsigned long long process_namespace(void)
{
    struct stat info;
    return stat("/proc/self/ns/pid", &info) == 0 ? (unsigned long long)info.st_ino : 0;
}

char *sm_litter_name(int number)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return sm_format("/sigmatic-%llu-%ld-%d-%ld", process_namespace(), (long)getpid(), number, now.tv_nsec);
}

/* \return 1 if a segment's name is that of a process which is no more */
static int is_left(const char *name)
{
    unsigned long long space;
    long process;
    return sscanf(name, "sigmatic-%llu-%ld-", &space, &process) == 2 && space == process_namespace() && process > 0 &&
           kill((pid_t)process, 0) != 0 && errno == ESRCH;
}

static void remove_left(void)
{
    DIR *segments = opendir(folder);
    for (const struct dirent *item; segments && (item = readdir(segments));) {
        if (is_left(item->d_name)) {
            shm_unlink(item->d_name); /* of another user: refused */
        }
    }
    if (segments) {
        closedir(segments);
    }
}

/* ---- of Open MPI ---- */

enum { NAME_BYTES = 256 };

static struct {
    char (*names)[NAME_BYTES]; /* paths that this rank has removed */
    int count;
} removed;

/* \param names  of the segments that this process maps; room for `most` \return how many */
static int list_mapped(char (*names)[NAME_BYTES], int most)
{
    char line[1024];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        char *path = strstr(line, "/dev/shm/vader_segment.");
        if (path && count < most) {
            path[strcspn(path, "\n")] = '\0';
            int is_new = strlen(path) < NAME_BYTES;
            for (int i = 0; i < count && is_new; i++) {
                is_new = strcmp(names[i], path) != 0;
            }
            if (is_new) {
                memcpy(names[count++], path, strlen(path) + 1);
            }
        }
    }
    if (maps) {
        fclose(maps);
    }
    return count;
}

static void remove_names(const sm_node *node)
{
    int one_more = node->size + 1;
    removed.names = sm_alloc_zeroed((size_t)one_more * sizeof *removed.names);
    removed.count = list_mapped(removed.names, one_more);
    int has_all = removed.count == node->size;
    sm_check_mpi(MPI_Allreduce(MPI_IN_PLACE, &has_all, 1, MPI_INT, MPI_MIN, node->comm), "MPI_Allreduce");
    for (int i = 0; i < removed.count && has_all && node->rank == 0; i++) {
        unlink(removed.names[i]);
    }
    if (!has_all || node->rank != 0) {
        removed.count = 0;
        sm_free(removed.names);
        removed.names = NULL;
    }
}

void sm_litter_begin(const sm_node *node)
{
    sm_blocking_begin("the node to tidy up");
    if (node->rank == 0) {
        remove_left();
    }
    remove_names(node);
    sm_blocking_end();
}

void sm_litter_end(void)
{
    for (int i = 0; i < removed.count; i++) {
        int file = open(removed.names[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file >= 0) {
            close(file);
        }
    }
    sm_free(removed.names);
    removed.names = NULL;
    removed.count = 0;
}
