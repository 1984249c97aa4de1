/* To be preloaded (LD_PRELOAD): counts a process's file operations below chosen folders and makes the N-th go wrong.
 *
 *   FAULT_BELOW       paths, joined by ':', absolute: operations on them and on what lies below them count; without it none do
 *   FAULT_RANK        the only rank that counts (a program without a launcher is rank 0); without it, every process does
 *   FAULT_OPERATIONS  which count, joined by ',': names of the table below, "changes" (the default), "reads" or "all"
 *   FAULT_AT          at which of them, from 1, it goes wrong; without it they are only counted
 *   FAULT_DO          what then happens: a signal (KILL, SEGV, ABRT, STOP, TERM, INT, USR1), which the process gets before the
 *                     operation, or an error that the operation fails with (EIO, ENOSPC, EDQUOT, EROFS, ENOENT), or "run"
 *   FAULT_TO          "parent": the signal goes to the process that started this one, which is the launcher on one host
 *   FAULT_FOR         how many operations fail so or are run for, from the N-th on (1; 0: all). Those that cannot fail with this
 *                     error are left out: a full disk lets a file be removed
 *   FAULT_HALF        "yes": a write is half made before it goes wrong
 *   FAULT_RUN         a command for the shell: it is waited for, then the operation is made; $FAULT_NUMBER is the operation's
 *   FAULT_ONCE        a file: the fault comes about only if it is not there yet, and makes it (for runs that are started again)
 *   FAULT_LOG         a file to which each operation that counts adds a line:
 *                     rank, process, number, seconds of the monotonic clock, operation, path, bytes; and "*" if it goes wrong
 *
 * What stdio writes when it empties a buffer is not seen, only that it opens the file. */
#define _GNU_SOURCE
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The next library's function of the same name, as `next`. */
#define NEXT(result, ...)                                                                                              \
    typedef result function(__VA_ARGS__);                                                                              \
    static function *next;                                                                                             \
    if (!next) {                                                                                                       \
        *(void **)&next = dlsym(RTLD_NEXT, __func__);                                                                  \
    }

static operation opening(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) ? OPEN : LOOK;
}

#define MODE(flags)                                                                                                    \
    mode_t mode = 0;                                                                                                   \
    if (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE) {                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

#define DEFINE_OPEN(name)                                                                                              \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        NEXT(int, const char *, int, ...)                                                                              \
        MODE(flags)                                                                                                    \
        return fault_before(opening(flags), AT_FDCWD, path, 0, NULL) ? -1 : next(path, flags, mode);                   \
    }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPENAT(name)                                                                                            \
    int name(int folder, const char *path, int flags, ...)                                                             \
    {                                                                                                                  \
        NEXT(int, int, const char *, int, ...)                                                                         \
        MODE(flags)                                                                                                    \
        return fault_before(opening(flags), folder, path, 0, NULL) ? -1 : next(folder, path, flags, mode);             \
    }
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

#define DEFINE_OPEN_2(name)                                                                                            \
    int name(const char *path, int flags);                                                                             \
    int name(const char *path, int flags)                                                                              \
    {                                                                                                                  \
        NEXT(int, const char *, int)                                                                                   \
        return fault_before(opening(flags), AT_FDCWD, path, 0, NULL) ? -1 : next(path, flags);                         \
    }
DEFINE_OPEN_2(__open_2)
DEFINE_OPEN_2(__open64_2)

#define DEFINE_CREAT(name)                                                                                             \
    int name(const char *path, mode_t mode)                                                                            \
    {                                                                                                                  \
        NEXT(int, const char *, mode_t)                                                                                \
        return fault_before(OPEN, AT_FDCWD, path, 0, NULL) ? -1 : next(path, mode);                                    \
    }
DEFINE_CREAT(creat)
DEFINE_CREAT(creat64)

#define DEFINE_FOPEN(name)                                                                                             \
    FILE *name(const char *restrict path, const char *restrict mode)                                                   \
    {                                                                                                                  \
        NEXT(FILE *, const char *, const char *)                                                                       \
        operation what = strpbrk(mode, "wa+") ? OPEN : LOOK;                                                           \
        return fault_before(what, AT_FDCWD, path, 0, NULL) ? NULL : next(path, mode);                                  \
    }
DEFINE_FOPEN(fopen)
DEFINE_FOPEN(fopen64)

/* Half of a write is made, and then it goes wrong. */
#define HALF(call)                                                                                                     \
    ssize_t made = (call);                                                                                             \
    fault_after_half();                                                                                                \
    return made;

ssize_t write(int file, const void *data, size_t bytes)
{
    NEXT(ssize_t, int, const void *, size_t)
    int half = 0;
    if (fault_before(WRITE, file, NULL, bytes, &half)) {
        return -1;
    }
    if (half) {
        HALF(next(file, data, bytes / 2))
    }
    return next(file, data, bytes);
}

#define DEFINE_PWRITE(name, offset_type)                                                                               \
    ssize_t name(int file, const void *data, size_t bytes, offset_type offset)                                         \
    {                                                                                                                  \
        NEXT(ssize_t, int, const void *, size_t, offset_type)                                                          \
        int half = 0;                                                                                                  \
        if (fault_before(WRITE, file, NULL, bytes, &half)) {                                                           \
            return -1;                                                                                                 \
        }                                                                                                              \
        if (half) {                                                                                                    \
            HALF(next(file, data, bytes / 2, offset))                                                                  \
        }                                                                                                              \
        return next(file, data, bytes, offset);                                                                        \
    }
DEFINE_PWRITE(pwrite, off_t)
DEFINE_PWRITE(pwrite64, off64_t)

static size_t sum_of(const struct iovec *parts, int count)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        sum += parts[i].iov_len;
    }
    return sum;
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    NEXT(ssize_t, int, const struct iovec *, int)
    return fault_before(WRITE, file, NULL, sum_of(parts, count), NULL) ? -1 : next(file, parts, count);
}

#define DEFINE_PWRITEV(name, offset_type)                                                                              \
    ssize_t name(int file, const struct iovec *parts, int count, offset_type offset)                                   \
    {                                                                                                                  \
        NEXT(ssize_t, int, const struct iovec *, int, offset_type)                                                     \
        return fault_before(WRITE, file, NULL, sum_of(parts, count), NULL) ? -1 : next(file, parts, count, offset);    \
    }
DEFINE_PWRITEV(pwritev, off_t)
DEFINE_PWRITEV(pwritev64, off64_t)

ssize_t read(int file, void *data, size_t bytes)
{
    NEXT(ssize_t, int, void *, size_t)
    return fault_before(READ, file, NULL, bytes, NULL) ? -1 : next(file, data, bytes);
}

#define DEFINE_PREAD(name, offset_type)                                                                                \
    ssize_t name(int file, void *data, size_t bytes, offset_type offset)                                               \
    {                                                                                                                  \
        NEXT(ssize_t, int, void *, size_t, offset_type)                                                                \
        return fault_before(READ, file, NULL, bytes, NULL) ? -1 : next(file, data, bytes, offset);                     \
    }
DEFINE_PREAD(pread, off_t)
DEFINE_PREAD(pread64, off64_t)

/* Functions of a descriptor, or of a path, that say how it went by 0 or -1. */
#define DEFINE_ON_FILE(name, what)                                                                                     \
    int name(int file)                                                                                                 \
    {                                                                                                                  \
        NEXT(int, int)                                                                                                 \
        return fault_before(what, file, NULL, 0, NULL) ? -1 : next(file);                                              \
    }
DEFINE_ON_FILE(fsync, SYNC)
DEFINE_ON_FILE(fdatasync, SYNC)

/* A failing close() closes all the same. */
int close(int file)
{
    NEXT(int, int)
    int is_written = (fcntl(file, F_GETFL) & O_ACCMODE) != O_RDONLY;
    int error = is_written ? fault_before(CLOSE, file, NULL, 0, NULL) : 0, closed = next(file);
    errno = error ? error : errno;
    return error ? -1 : closed;
}

int flock(int file, int how)
{
    NEXT(int, int, int)
    return fault_before(LOCK, file, NULL, 0, NULL) ? -1 : next(file, how);
}

#define DEFINE_FTRUNCATE(name, offset_type)                                                                            \
    int name(int file, offset_type bytes)                                                                              \
    {                                                                                                                  \
        NEXT(int, int, offset_type)                                                                                    \
        return fault_before(TRUNCATE, file, NULL, (size_t)bytes, NULL) ? -1 : next(file, bytes);                       \
    }
DEFINE_FTRUNCATE(ftruncate, off_t)
DEFINE_FTRUNCATE(ftruncate64, off64_t)

#define DEFINE_TRUNCATE(name, offset_type)                                                                             \
    int name(const char *path, offset_type bytes)                                                                      \
    {                                                                                                                  \
        NEXT(int, const char *, offset_type)                                                                           \
        return fault_before(TRUNCATE, AT_FDCWD, path, (size_t)bytes, NULL) ? -1 : next(path, bytes);                   \
    }
DEFINE_TRUNCATE(truncate, off_t)
DEFINE_TRUNCATE(truncate64, off64_t)

#define DEFINE_FALLOCATE(name, offset_type)                                                                            \
    int name(int file, int mode, offset_type offset, offset_type bytes)                                                \
    {                                                                                                                  \
        NEXT(int, int, int, offset_type, offset_type)                                                                  \
        return fault_before(ALLOCATE, file, NULL, (size_t)bytes, NULL) ? -1 : next(file, mode, offset, bytes);         \
    }
DEFINE_FALLOCATE(fallocate, off_t)
DEFINE_FALLOCATE(fallocate64, off64_t)

/* They return the error. */
#define DEFINE_POSIX_FALLOCATE(name, offset_type)                                                                      \
    int name(int file, offset_type offset, offset_type bytes)                                                          \
    {                                                                                                                  \
        NEXT(int, int, offset_type, offset_type)                                                                       \
        int error = fault_before(ALLOCATE, file, NULL, (size_t)bytes, NULL);                                           \
        return error ? error : next(file, offset, bytes);                                                              \
    }
DEFINE_POSIX_FALLOCATE(posix_fallocate, off_t)
DEFINE_POSIX_FALLOCATE(posix_fallocate64, off64_t)

#define DEFINE_ON_PATH(name, what)                                                                                     \
    int name(const char *path)                                                                                         \
    {                                                                                                                  \
        NEXT(int, const char *)                                                                                        \
        return fault_before(what, AT_FDCWD, path, 0, NULL) ? -1 : next(path);                                          \
    }
DEFINE_ON_PATH(unlink, REMOVE)
DEFINE_ON_PATH(remove, REMOVE)
DEFINE_ON_PATH(rmdir, REMOVE)

int unlinkat(int folder, const char *path, int flags)
{
    NEXT(int, int, const char *, int)
    return fault_before(REMOVE, folder, path, 0, NULL) ? -1 : next(folder, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(int, const char *, mode_t)
    return fault_before(FOLDER, AT_FDCWD, path, 0, NULL) ? -1 : next(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    NEXT(int, int, const char *, mode_t)
    return fault_before(FOLDER, folder, path, 0, NULL) ? -1 : next(folder, path, mode);
}

/* A rename is one of the name that is to be. */
#define DEFINE_RENAME(name)                                                                                            \
    int name(const char *from, const char *to)                                                                         \
    {                                                                                                                  \
        NEXT(int, const char *, const char *)                                                                          \
        return fault_before(RENAME, AT_FDCWD, to, 0, NULL) ? -1 : next(from, to);                                      \
    }
DEFINE_RENAME(rename)
DEFINE_RENAME(link)

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    NEXT(int, int, const char *, int, const char *)
    return fault_before(RENAME, to_folder, to, 0, NULL) ? -1 : next(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    NEXT(int, int, const char *, int, const char *, unsigned)
    return fault_before(RENAME, to_folder, to, 0, NULL) ? -1 : next(from_folder, from, to_folder, to, flags);
}
