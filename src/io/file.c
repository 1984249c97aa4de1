#define _GNU_SOURCE /* copy_file_range() */
#define _FILE_OFFSET_BITS 64
#include <sigmatic/io/file.h>

#include "io/string_list.h"

#include <sigmatic/base/memory.h>

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct sm_file {
    char *path;
    int descriptor;
    struct stat opened; /* what it was when it was opened */
};

/* The one form of "the system refused". */
static sm_status refused(const char *path, const char *what)
{
    return sm_fail(SM_ERR_IO, "%s: %s: %s", path, what, strerror(errno));
}

int sm_file_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

int sm_file_is_same(const char *path, const char *other)
{
    struct stat a, b;
    return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int sm_folder_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

sm_status sm_file_size(const char *path, uint64_t *bytes)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return refused(path, "cannot be opened");
    }
    if (!S_ISREG(info.st_mode)) {
        return sm_fail(SM_ERR_IO, "%s: %s, expected a file", path, S_ISDIR(info.st_mode) ? "a folder" : "not a file");
    }
    *bytes = (uint64_t)info.st_size;
    return SM_OK;
}

/* The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint64_t sm_file_stamp(uint64_t stamp, const char *path)
{
    struct stat info = {0};
    uint64_t is_there = path && stat(path, &info) == 0;
    const uint64_t parts[] = {is_there, (uint64_t)info.st_size, (uint64_t)info.st_mtim.tv_sec,
                              (uint64_t)info.st_mtim.tv_nsec};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        stamp = mixed(stamp + 0x9e3779b97f4a7c15u + (is_there ? parts[i] : 0));
    }
    return stamp;
}

sm_status sm_make_folders(const char *path)
{
    sm_status status = SM_OK;
    char *prefix = sm_strdup(path);
    size_t length = strlen(prefix);
    for (size_t end = 1; end <= length && status == SM_OK; end++) {
        if (prefix[end] != '/' && prefix[end] != '\0') {
            continue;
        }
        prefix[end] = '\0';
        if (mkdir(prefix, 0777) != 0 && !(errno == EEXIST && sm_folder_exists(prefix))) {
            status = errno == EEXIST ? sm_fail(SM_ERR_IO, "%s: cannot make the folder: a file has that name", prefix)
                                     : refused(prefix, "cannot make the folder");
        }
        prefix[end] = path[end];
    }
    sm_free(prefix);
    return status;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

sm_status sm_remove_tree(const char *path)
{
    enum { OPEN_FOLDERS = 16 };
    if (!sm_file_exists(path)) {
        return SM_OK;
    }
    int failed = nftw(path, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    return failed ? refused(path, "cannot be removed") : SM_OK;
}

sm_status sm_folder_list(const char *path, char ***names, size_t *count)
{
    DIR *folder = opendir(path);
    if (!folder) {
        return refused(path, "cannot be listed");
    }
    char **found = NULL;
    size_t used = 0, capacity = 0;
    struct dirent *entry;
    for (errno = 0; (entry = readdir(folder)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (used == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            found = sm_realloc(found, capacity * sizeof *found);
        }
        found[used++] = sm_strdup(entry->d_name);
    }
    sm_status status = errno ? refused(path, "cannot be listed") : SM_OK;
    closedir(folder);
    if (status == SM_OK) {
        sm_strings_sort(found, used);
        *names = sm_strings_pack((const char *const *)found, used);
        *count = used;
    }
    for (size_t i = 0; i < used; i++) {
        sm_free(found[i]);
    }
    sm_free(found);
    return status;
}

static sm_status open_regular(const char *path, int flags, int *descriptor)
{
    uint64_t bytes;
    sm_status status = sm_file_size(path, &bytes);
    if (status != SM_OK) {
        return status;
    }
    *descriptor = open(path, flags | O_CLOEXEC);
    return *descriptor >= 0 ? SM_OK : refused(path, "cannot be opened");
}

sm_status sm_file_read(const char *path, void **data, size_t *bytes)
{
    sm_status status = SM_OK;
    sm_file *file = NULL;
    char *contents = NULL;
    uint64_t size = 0;

    SM_TRY(sm_file_size(path, &size));
    SM_TRY(sm_file_open_read(path, &file));
    contents = sm_alloc(size + 1);
    SM_TRY(sm_file_pread(file, contents, size, 0));
    contents[size] = '\0';
    *data = contents;
    *bytes = size;
    contents = NULL;
done:
    sm_free(contents);
    sm_file_close(file);
    return status;
}

sm_status sm_file_read_text(const char *path, char **text)
{
    void *data = NULL;
    size_t bytes = 0;
    sm_status status = sm_file_read(path, &data, &bytes);
    if (status != SM_OK) {
        return status;
    }
    if (memchr(data, '\0', bytes)) {
        sm_free(data);
        return sm_fail(SM_ERR_INPUT, "%s: not a text file (it holds a zero byte)", path);
    }
    *text = data;
    return SM_OK;
}

sm_status sm_make_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) {
        return SM_OK;
    }
    char *folder = sm_format("%.*s", (int)(slash - path), path);
    sm_status status = sm_make_folders(folder);
    sm_free(folder);
    return status;
}

/* A rename is on the disk only when the folder is. Some file systems cannot sync a folder: EINVAL is no failure. */
static sm_status sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? sm_format("%.*s", (int)(slash - path) + (slash == path), path) : sm_strdup(".");
    sm_status status = SM_OK;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        status = refused(folder, "cannot be opened");
    } else {
        if (fsync(descriptor) != 0 && errno != EINVAL) {
            status = refused(folder, "cannot be synchronised");
        }
        close(descriptor);
    }
    sm_free(folder);
    return status;
}

sm_status sm_file_rename(const char *from, const char *to)
{
    if (rename(from, to) != 0) {
        return sm_fail(SM_ERR_IO, "%s: cannot be renamed to %s: %s", from, to, strerror(errno));
    }
    return sync_folder_of(to);
}

/* What sm_file_is_unfinished() knows. */
static char *temporary_name(const char *path)
{
    return sm_format("%s.%ld.tmp", path, (long)getpid());
}

int sm_file_is_unfinished(const char *name, size_t length)
{
    const char *end = name + length;
    size_t digits = *end == '.' ? strspn(end + 1, "0123456789") : 0;
    return digits > 0 && strcmp(end + 1 + digits, ".tmp") == 0;
}

sm_status sm_file_write_atomic(const char *path, const void *data, size_t bytes)
{
    sm_status status = SM_OK;
    /* The process number keeps two writers of one path out of each other's temporary file. */
    char *temporary = temporary_name(path);
    sm_file file = {.path = temporary, .descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};

    if (file.descriptor < 0) {
        status = refused(path, "cannot be written");
        goto done;
    }
    SM_TRY(sm_file_pwrite(&file, data, bytes, 0));
    SM_TRY(sm_file_sync(&file));
    SM_TRY(sm_file_rename(temporary, path));
done:
    if (file.descriptor >= 0) {
        close(file.descriptor); /* says nothing new after fsync */
        if (status != SM_OK) {
            unlink(temporary);
        }
    }
    sm_free(temporary);
    return status;
}

sm_status sm_file_check_writable(const char *path)
{
    sm_status status = SM_OK;
    char *probe = temporary_name(path);
    SM_TRY(sm_make_folder_of(path));
    if (sm_folder_exists(path)) {
        SM_TRY(sm_fail(SM_ERR_IO, "%s: a folder, expected a file", path));
    }
    int descriptor = open(probe, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        SM_TRY(refused(path, "cannot be written"));
    }
    close(descriptor);
    unlink(probe);
done:
    sm_free(probe);
    return status;
}

sm_status sm_file_check_replaceable(const char *path, int (*is_own)(const char *path), const char *kind)
{
    struct stat info;
    const char *found = NULL;
    if (lstat(path, &info) != 0) {
        return SM_OK; /* what hinders a look hinders writing too, and that tells it */
    }
    if (S_ISDIR(info.st_mode)) {
        found = "is a folder, and";
    } else if (S_ISLNK(info.st_mode)) {
        found = "is a link, and";
    } else if (!S_ISREG(info.st_mode)) {
        found = "is a device or the like, and";
    } else if (!is_own(path)) {
        found = "exists and is";
    }
    return found ? sm_fail(SM_ERR_USAGE, "%s: %s no %s; choose another name", path, found, kind) : SM_OK;
}

static sm_status open_file(const char *path, int flags, sm_file **out)
{
    int descriptor;
    sm_status status = open_regular(path, flags, &descriptor);
    if (status == SM_OK) {
        sm_file *file = sm_alloc(sizeof *file);
        *file = (sm_file){.path = sm_strdup(path), .descriptor = descriptor};
        fstat(descriptor, &file->opened);
        *out = file;
    }
    return status;
}

sm_status sm_file_open_read(const char *path, sm_file **out)
{
    return open_file(path, O_RDONLY, out);
}

sm_status sm_file_open_write(const char *path, sm_file **out)
{
    return open_file(path, O_RDWR, out);
}

sm_status sm_file_create(const char *path, sm_file **out)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        return refused(path, "cannot be made");
    }
    close(descriptor);
    return open_file(path, O_RDWR, out);
}

/* Without bytes passing through here, and without taking room where two files may share their blocks.
 * \param [out] done  bytes copied: less than all where the system knows no such thing
 * \return SM_ERR_WRITE of a disk that fails; whatever else it meets, writing plainly works or says what it is */
static sm_status copy_inside_the_system(const sm_file *from, sm_file *to, uint64_t bytes, uint64_t *done)
{
    off64_t in = 0, out = 0;
    ssize_t now = 1;
    while (now > 0 && (uint64_t)out < bytes) {
        now = copy_file_range(from->descriptor, &in, to->descriptor, &out, bytes - (uint64_t)out, 0);
    }
    *done = (uint64_t)out;
    return now < 0 && errno == EIO ? sm_fail(SM_ERR_WRITE, "%s: cannot be written: %s", to->path, strerror(errno))
                                   : SM_OK;
}

static sm_status copy_through_memory(const sm_file *from, sm_file *to, uint64_t begin, uint64_t end)
{
    enum { BLOCK_BYTES = 1 << 20 };
    sm_status status = SM_OK;
    char *block = begin < end ? sm_alloc(BLOCK_BYTES) : NULL;
    while (begin < end) {
        size_t now = end - begin < BLOCK_BYTES ? (size_t)(end - begin) : BLOCK_BYTES;
        SM_TRY(sm_file_pread(from, block, now, begin));
        SM_TRY(sm_file_pwrite(to, block, now, begin));
        begin += now;
    }
done:
    sm_free(block);
    return status;
}

sm_status sm_file_copy(const char *from, const char *to)
{
    sm_status status = SM_OK;
    sm_file *in = NULL, *out = NULL;
    SM_TRY(sm_file_open_read(from, &in));
    SM_TRY(sm_file_create(to, &out));
    uint64_t bytes = (uint64_t)in->opened.st_size, done_bytes = 0;
    SM_TRY(copy_inside_the_system(in, out, bytes, &done_bytes));
    SM_TRY(copy_through_memory(in, out, done_bytes, bytes));
done:
    sm_file_close(in);
    sm_file_close(out);
    return status;
}

/* A few milliseconds: one who only looks (sm_file_is_locked()) has it for an instant. \return 0 if it is taken, else -1, errno */
static int take_lock(int descriptor)
{
    enum { TRIES = 10 };
    const struct timespec pause = {.tv_nsec = 5000000};
    int taken = flock(descriptor, LOCK_EX | LOCK_NB);
    for (int tries = 1; tries < TRIES && taken != 0 && errno == EWOULDBLOCK; tries++) {
        nanosleep(&pause, NULL);
        taken = flock(descriptor, LOCK_EX | LOCK_NB);
    }
    return taken;
}

int sm_file_is_locked(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return -1;
    }
    int is_free = flock(descriptor, LOCK_SH | LOCK_NB) == 0;
    int is_known = is_free || errno == EWOULDBLOCK;
    close(descriptor);
    return is_known ? !is_free : -1;
}

sm_status sm_file_lock(const char *path, sm_file **out)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        return refused(path, "cannot be made");
    }
    close(descriptor);
    sm_status status = open_file(path, O_RDWR, out);
    if (status == SM_OK && take_lock((*out)->descriptor) != 0 && errno == EWOULDBLOCK) {
        sm_file_close(*out);
        *out = NULL;
        status = sm_fail(SM_ERR_USAGE, "%s: another process holds this lock", path);
    }
    return status;
}

sm_status sm_file_pread(const sm_file *file, void *data, size_t bytes, uint64_t offset)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t now = pread(file->descriptor, (char *)data + done, bytes - done, (off_t)(offset + done));
        if (now < 0 && errno == EINTR) {
            continue;
        }
        if (now < 0) {
            return refused(file->path, "cannot be read");
        }
        if (now == 0) {
            return sm_fail(SM_ERR_INPUT, "%s: truncated: %zu bytes expected at position %llu, found %zu", file->path,
                           bytes, (unsigned long long)offset, done);
        }
        done += (size_t)now;
    }
    return SM_OK;
}

int sm_file_has_changed(const sm_file *file)
{
    struct stat now;
    return fstat(file->descriptor, &now) == 0 &&
           (now.st_size != file->opened.st_size || now.st_mtim.tv_sec != file->opened.st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != file->opened.st_mtim.tv_nsec);
}

sm_status sm_file_drop_cache(const char *path)
{
    sm_file *file = NULL;
    sm_status status = sm_file_open_read(path, &file);
    if (status == SM_OK) {
        fdatasync(file->descriptor); /* only what is on the disk can be dropped */
        posix_fadvise(file->descriptor, 0, 0, POSIX_FADV_DONTNEED);
        sm_file_close(file);
    }
    return status;
}

sm_status sm_file_pwrite(sm_file *file, const void *data, size_t bytes, uint64_t offset)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t now = pwrite(file->descriptor, (const char *)data + done, bytes - done, (off_t)(offset + done));
        if (now < 0 && errno == EINTR) {
            continue;
        }
        if (now <= 0) {
            return sm_fail(SM_ERR_WRITE, "%s: cannot be written: %s (%zu of %zu bytes at position %llu)", file->path,
                           now < 0 ? strerror(errno) : "nothing more fits", done, bytes, (unsigned long long)offset);
        }
        done += (size_t)now;
    }
    return SM_OK;
}

int sm_file_begins_with(const char *path, const char *text)
{
    char found[64];
    size_t bytes = strlen(text);
    sm_file *file = NULL;
    assert(bytes <= sizeof found);
    int begins = sm_file_open_read(path, &file) == SM_OK && sm_file_pread(file, found, bytes, 0) == SM_OK &&
                 memcmp(found, text, bytes) == 0;
    sm_file_close(file);
    return begins;
}

sm_status sm_file_cut(sm_file *file, uint64_t bytes)
{
    return ftruncate(file->descriptor, (off_t)bytes) == 0
               ? SM_OK
               : sm_fail(SM_ERR_WRITE, "%s: cannot be cut: %s", file->path, strerror(errno));
}

sm_status sm_file_sync(sm_file *file)
{
    return fsync(file->descriptor) == 0
               ? SM_OK
               : sm_fail(SM_ERR_WRITE, "%s: cannot be written: %s", file->path, strerror(errno));
}

void sm_file_close(sm_file *file)
{
    if (file) {
        close(file->descriptor);
        sm_free(file->path);
        sm_free(file);
    }
}
