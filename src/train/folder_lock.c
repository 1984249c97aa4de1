#define _XOPEN_SOURCE 700
#include "train/folder_lock.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/nap.h>
#include <sigmatic/base/process.h>
#include <sigmatic/base/thread.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HOST_BYTES = 65, LINE_BYTES = 256 };

/* What the line says. */
typedef struct holder {
    char host[HOST_BYTES];
    sm_process process;
    unsigned long long inode, beat;
} holder;

struct sm_folder_lock {
    char *path;
    int descriptor;
    holder own;
    double beat_seconds, patience_seconds;
    sm_nap nap;
    pthread_t thread;
    int beats; /* the thread runs */
};

/* ---- the line ---- */

#define LINE_FORMAT "%64s %lld %llu %llu %llu"

static unsigned long long inode_of(int descriptor)
{
    struct stat info;
    return fstat(descriptor, &info) == 0 ? (unsigned long long)info.st_ino : 0;
}

/* \return 0 if the system refused */
static int put_line(const sm_folder_lock *lock)
{
    char line[LINE_BYTES];
    const holder *own = &lock->own;
    int length = snprintf(line, sizeof line, "%s %lld %llu %llu %020llu\n", own->host, (long long)own->process.id,
                          (unsigned long long)own->process.start, own->inode, own->beat);
    return pwrite(lock->descriptor, line, (size_t)length, 0) == length && ftruncate(lock->descriptor, length) == 0 &&
           fdatasync(lock->descriptor) == 0; /* for other hosts */
}

static sm_status write_line(const sm_folder_lock *lock)
{
    return put_line(lock) ? SM_OK : sm_fail(SM_ERR_IO, "%s: cannot be written: %s", lock->path, strerror(errno));
}

/* Opens the file anew, which makes a network file system ask its server. \return 0 if nobody has it, as far as it says */
static int read_line(const char *path, holder *found)
{
    char line[LINE_BYTES] = "";
    long long process = 0;
    unsigned long long start = 0;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return 0;
    }
    ssize_t length = pread(descriptor, line, sizeof line - 1, 0);
    int is_one = length > 0 &&
                 sscanf(line, LINE_FORMAT, found->host, &process, &start, &found->inode, &found->beat) == 5 &&
                 found->inode == inode_of(descriptor);
    close(descriptor);
    found->process = (sm_process){process, start};
    return is_one;
}

static int is_same(const holder *a, const holder *b)
{
    return strcmp(a->host, b->host) == 0 && a->process.id == b->process.id && a->process.start == b->process.start &&
           a->inode == b->inode;
}

static void pause_for(double seconds)
{
    struct timespec span = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&span, NULL);
}

static sm_status refuse(const sm_folder_lock *lock, const holder *by)
{
    return by ? sm_fail(SM_ERR_USAGE, "%s: process %lld on %s has it", lock->path, (long long)by->process.id, by->host)
              : sm_fail(SM_ERR_USAGE, "%s: another process has it", lock->path);
}

/* ---- taking it ---- */

/* What looks in a row have found. */
typedef struct look {
    holder now;
    int failed, is_known, is_here;       /* what keeps flock(), 0: nothing; `now` is one; of this host */
    double waited, silent, most_silence; /* seconds: so far; since the number last rose; after which it is dead */
} look;

static sm_status open_lock(sm_folder_lock *lock, const char *path)
{
    lock->descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock->descriptor < 0) {
        return sm_fail(SM_ERR_IO, "%s: cannot be made: %s", path, strerror(errno));
    }
    lock->own.inode = inode_of(lock->descriptor);
    return SM_OK;
}

/* Some milliseconds: one who only looks (sm_file_is_locked) has it for an instant. \return what keeps it; 0: nothing */
static int lock_file(int descriptor)
{
    enum { TRIES = 10 };
    int failed = 0;
    for (int i = 0; i < TRIES; i++) {
        failed = flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (failed != EWOULDBLOCK) {
            break;
        }
        pause_for(0.005);
    }
    return failed;
}

/* The lock of a host that is gone stays with its file: another one takes its name. */
static sm_status replace_file(sm_folder_lock *lock)
{
    sm_status status = SM_OK;
    char *other = sm_format("%s.%ld.tmp", lock->path, (long)getpid());
    sm_log_warning("%s: its process does not work any more, though the file system keeps its lock: taken over",
                   lock->path);
    close(lock->descriptor);
    SM_TRY(open_lock(lock, other));
    lock_file(lock->descriptor);
    SM_TRY(write_line(lock));
    if (rename(other, lock->path) != 0) {
        status = sm_fail(SM_ERR_IO, "%s: cannot be replaced: %s", lock->path, strerror(errno));
    }
done:
    sm_free(other);
    return status;
}

/* Of two that came at the same time the later one has written last. */
static sm_status check_own(const sm_folder_lock *lock)
{
    holder now;
    pause_for(0.02 * lock->beat_seconds);
    return read_line(lock->path, &now) && !is_same(&now, &lock->own) ? refuse(lock, &now) : SM_OK;
}

/* Another one may have replaced the file since it was opened. */
static sm_status look_again(sm_folder_lock *lock, look *l)
{
    sm_status status = SM_OK;
    const holder before = l->now;
    struct stat info;
    int is_gone = stat(lock->path, &info) != 0 || (unsigned long long)info.st_ino != lock->own.inode;
    if (lock->descriptor < 0 || l->failed || is_gone) {
        if (lock->descriptor >= 0) {
            close(lock->descriptor);
        }
        SM_TRY(open_lock(lock, lock->path));
        l->failed = lock_file(lock->descriptor);
    }
    l->is_known = read_line(lock->path, &l->now);
    l->is_here = l->is_known && strcmp(l->now.host, lock->own.host) == 0;
    if (!l->is_known || l->now.beat != before.beat || !is_same(&l->now, &before)) {
        l->silent = 0;
    }
done:
    return status;
}

/* On one host the system is right; of another one, and without locks, the line. */
static int is_free(const look *l)
{
    if (!l->is_known || l->is_here) {
        return l->failed != EWOULDBLOCK && !(l->is_known && sm_process_is_alive(&l->now.process));
    }
    return l->silent >= l->most_silence;
}

static void tell_wait(const sm_folder_lock *lock, const look *l)
{
    if (l->is_known && !l->is_here) {
        sm_log_info(
            "%s: process %lld on %s had it: looking for %.0f s whether it still works, for up to %.0f s whether "
            "it ends",
            lock->path, (long long)l->now.process.id, l->now.host, l->most_silence,
            lock->patience_seconds + l->most_silence);
    } else if (lock->patience_seconds > 0) {
        sm_log_info("%s: another process has it: waiting up to %.0f s for its end", lock->path, lock->patience_seconds);
    }
}

/* Until nobody works with it, or patience ends: of another host with a sign of life. */
static sm_status wait_for_it(sm_folder_lock *lock, look *l)
{
    sm_status status = SM_OK;
    const double pause = 0.1 * lock->beat_seconds;
    l->most_silence = 2.5 * lock->beat_seconds;
    for (int looks = 0;; looks++) {
        SM_TRY(look_again(lock, l));
        if (is_free(l)) {
            break;
        }
        if (looks == 0) {
            tell_wait(lock, l);
        }
        int is_elsewhere = l->is_known && !l->is_here, has_pulse = looks > 0 && l->silent == 0;
        if (l->waited >= lock->patience_seconds && (!is_elsewhere || has_pulse)) {
            SM_TRY(refuse(lock, l->is_known ? &l->now : NULL));
        }
        pause_for(pause);
        l->waited += pause;
        l->silent += pause;
    }
done:
    return status;
}

static sm_status take(sm_folder_lock *lock)
{
    sm_status status = SM_OK;
    look l = {0};
    SM_TRY(wait_for_it(lock, &l));
    SM_TRY(l.failed == EWOULDBLOCK ? replace_file(lock) : write_line(lock));
    if (l.failed) {
        SM_TRY(check_own(lock));
    }
done:
    return status;
}

/* ---- keeping it ---- */

static void *beat(void *user)
{
    sm_folder_lock *lock = user;
    while (!sm_nap_for(&lock->nap, lock->beat_seconds)) {
        holder now;
        if (read_line(lock->path, &now) && !is_same(&now, &lock->own)) {
            sm_abort("%s: process %lld on %s has taken it while this run stood still", lock->path,
                     (long long)now.process.id, now.host);
        }
        lock->own.beat++;
        put_line(lock); /* a disk that is full now has room later */
    }
    return NULL;
}

static void start_beating(sm_folder_lock *lock)
{
    if (!sm_nap_begin(&lock->nap)) {
        return;
    }
    lock->beats = sm_thread_start(&lock->thread, beat, lock) == 0;
    if (!lock->beats) {
        sm_nap_end(&lock->nap);
    }
}

sm_status sm_folder_lock_take(const char *path, double beat_seconds, double patience_seconds, sm_folder_lock **out)
{
    sm_folder_lock *lock = sm_alloc_zeroed(sizeof *lock);
    *lock = (sm_folder_lock){.path = sm_strdup(path),
                             .descriptor = -1,
                             .beat_seconds = beat_seconds,
                             .patience_seconds = patience_seconds,
                             .own.process = sm_process_own()};
    if (gethostname(lock->own.host, sizeof lock->own.host - 1) != 0 || !*lock->own.host) {
        strcpy(lock->own.host, "-");
    }
    sm_status status = take(lock);
    if (status == SM_OK) {
        start_beating(lock);
        *out = lock;
    } else {
        if (lock->descriptor >= 0) {
            close(lock->descriptor);
        }
        sm_free(lock->path);
        sm_free(lock);
    }
    return status;
}

void sm_folder_lock_free(sm_folder_lock *lock)
{
    if (!lock) {
        return;
    }
    if (lock->beats) {
        sm_nap_wake(&lock->nap);
        pthread_join(lock->thread, NULL);
        sm_nap_end(&lock->nap);
    }
    holder now;
    if (read_line(lock->path, &now) && is_same(&now, &lock->own) && ftruncate(lock->descriptor, 0) != 0) {
        sm_log_warning("%s: cannot be emptied: %s", lock->path, strerror(errno));
    }
    close(lock->descriptor);
    sm_free(lock->path);
    sm_free(lock);
}
