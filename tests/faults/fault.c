/* Counts operations, and makes one go wrong: what preload.c promises. */
#define _GNU_SOURCE
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *name;
    int is_change, needs_space;
} operations[OPERATIONS] = {
    [OPEN] = {"open", 1, 1},         /* for writing */
    [WRITE] = {"write", 1, 1},       /* write, pwrite, writev, pwritev */
    [TRUNCATE] = {"truncate", 1, 1}, /* truncate, ftruncate */
    [ALLOCATE] = {"allocate", 1, 1}, /* fallocate, posix_fallocate */
    [SYNC] = {"sync", 1, 1},         /* fsync, fdatasync */
    [CLOSE] = {"close", 1, 0},       /* of what was opened for writing */
    [RENAME] = {"rename", 1, 1},     /* rename, renameat, renameat2, link */
    [REMOVE] = {"remove", 1, 0},     /* unlink, unlinkat, remove, rmdir */
    [FOLDER] = {"folder", 1, 1},     /* mkdir, mkdirat */
    [LOCK] = {"lock", 0, 0},         /* flock */
    [LOOK] = {"look", 0, 0},         /* open for reading */
    [READ] = {"read", 0, 0},         /* read, pread */
};

static const struct {
    const char *name;
    int number;
} signals[] = {{"KILL", SIGKILL}, {"SEGV", SIGSEGV}, {"ABRT", SIGABRT}, {"STOP", SIGSTOP},
               {"TERM", SIGTERM}, {"INT", SIGINT},   {"USR1", SIGUSR1}},
  errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}, {"ENOENT", ENOENT}};
enum { SIGNALS = sizeof signals / sizeof *signals, ERRORS = sizeof errors / sizeof *errors };

/* What the environment asks for, read once; a mistake in it ends the process, as no test may pass because of one. */
static struct {
    const char *below, *log, *once, *command;
    int rank, counts[OPERATIONS];
    long at, length; /* the first operation that goes wrong, and how many; 0: none, all */
    int signal, error, to_parent, is_half;
} plan;
static atomic_long counted, failed;

static void mistake(const char *name, const char *value)
{
    fprintf(stderr, "preload.c: %s='%s' means nothing\n", name, value);
    _exit(99);
}

static long whole_number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    char *end = NULL;
    long number = text ? strtol(text, &end, 10) : otherwise;
    if (text && (end == text || *end || number < 0)) {
        mistake(name, text);
    }
    return number;
}

static int own_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (getenv(names[i])) {
            return (int)whole_number(names[i], 0);
        }
    }
    return 0;
}

static int names_operation(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(list, name); at; at = strstr(at + 1, name)) {
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0')) {
            return 1;
        }
    }
    return 0;
}

static void choose_operations(const char *list)
{
    int chosen = 0;
    for (int i = 0; i < OPERATIONS; i++) {
        plan.counts[i] = names_operation(list, "all") || names_operation(list, operations[i].name) ||
                         names_operation(list, operations[i].is_change ? "changes" : "reads");
        chosen += plan.counts[i];
    }
    if (chosen == 0) {
        mistake("FAULT_OPERATIONS", list);
    }
}

static void choose_fault(const char *word)
{
    for (int i = 0; i < SIGNALS; i++) {
        plan.signal = strcmp(word, signals[i].name) == 0 ? signals[i].number : plan.signal;
    }
    for (int i = 0; i < ERRORS; i++) {
        plan.error = strcmp(word, errors[i].name) == 0 ? errors[i].number : plan.error;
    }
    if (strcmp(word, "run") == 0) {
        plan.command = getenv("FAULT_RUN");
    }
    if (!plan.signal && !plan.error && !plan.command) {
        mistake("FAULT_DO", word);
    }
}

__attribute__((constructor)) static void read_plan(void)
{
    const char *rank = getenv("FAULT_RANK"), *list = getenv("FAULT_OPERATIONS"), *half = getenv("FAULT_HALF"),
               *to = getenv("FAULT_TO"), *word = getenv("FAULT_DO");
    plan.rank = own_rank();
    if (rank && whole_number("FAULT_RANK", 0) != plan.rank) {
        return;
    }
    plan.log = getenv("FAULT_LOG");
    plan.once = getenv("FAULT_ONCE");
    plan.at = whole_number("FAULT_AT", 0);
    plan.length = whole_number("FAULT_FOR", 1);
    plan.is_half = half && strcmp(half, "yes") == 0;
    plan.to_parent = to && strcmp(to, "parent") == 0;
    choose_operations(list ? list : "changes");
    if (plan.at > 0) {
        choose_fault(word ? word : "");
    }
    plan.below = getenv("FAULT_BELOW");
}

/* ---- one operation ---- */

static int is_below(const char *path)
{
    for (const char *folder = plan.below; folder && *folder;) {
        size_t length = strcspn(folder, ":");
        if (length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0')) {
            return 1;
        }
        folder += length + (folder[length] == ':');
    }
    return 0;
}

/* \param path  NULL: that of the descriptor; relative ones are below `folder`, a descriptor or AT_FDCWD */
static int find_path(char found[PATH_MAX], int descriptor, const char *path)
{
    char link[64];
    size_t length = 0;
    if (!path || path[0] != '/') {
        snprintf(link, sizeof link, descriptor == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", descriptor);
        ssize_t got = readlink(link, found, PATH_MAX - 1);
        if (got <= 0 || found[0] != '/') {
            return 0;
        }
        length = (size_t)got;
        found[length] = '\0';
    }
    if (path) {
        snprintf(found + length, PATH_MAX - length, "%s%s", length ? "/" : "", path);
    }
    return 1;
}

static void note(operation what, long number, const char *path, size_t bytes, int goes_wrong)
{
    char line[PATH_MAX + 128];
    struct timespec now;
    if (plan.log) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        int length = snprintf(line, sizeof line, "%d %d %ld %.6f %s %s %zu%s\n", plan.rank, (int)getpid(), number,
                              (double)now.tv_sec + 1e-9 * (double)now.tv_nsec, operations[what].name, path, bytes,
                              goes_wrong ? " *" : "");
        int log = (int)syscall(SYS_openat, AT_FDCWD, plan.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        syscall(SYS_write, log, line, (size_t)length);
        syscall(SYS_close, log);
    }
}

static int is_first_time(void)
{
    if (!plan.once) {
        return 1;
    }
    int file = (int)syscall(SYS_openat, AT_FDCWD, plan.once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0) {
        syscall(SYS_close, file);
    }
    return file >= 0;
}

static void run_command(long number)
{
    extern char **environ;
    const char *const arguments[] = {"sh", "-c", plan.command, NULL};
    char told[64];
    size_t count = 0, kept = 0;
    pid_t child;
    while (environ[count]) {
        count++;
    }
    char **clean = calloc(count + 2, sizeof *clean);
    for (size_t i = 0; clean && i < count; i++) {
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0) {
            clean[kept++] = environ[i];
        }
    }
    snprintf(told, sizeof told, "FAULT_NUMBER=%ld", number);
    if (clean) {
        clean[kept] = told;
    }
    if (!clean || posix_spawn(&child, "/bin/sh", NULL, NULL, (char *const *)arguments, clean) != 0 ||
        waitpid(child, NULL, 0) != child) {
        mistake("FAULT_RUN", plan.command);
    }
    free(clean);
}

/* Whether the operation, the `number`-th, goes wrong; an error may wait for one that can fail with it. */
static int is_its_turn(operation what, long number)
{
    if (plan.at == 0 || number < plan.at) {
        return 0;
    }
    if (plan.command) {
        return (plan.length == 0 || number < plan.at + plan.length) && (number > plan.at || is_first_time());
    }
    if (plan.signal) {
        return number == plan.at && is_first_time();
    }
    int needs_space = plan.error == ENOSPC || plan.error == EDQUOT;
    if ((needs_space && !operations[what].needs_space) || (plan.error == EROFS && !operations[what].is_change)) {
        return 0;
    }
    long before = atomic_fetch_add(&failed, 1);
    return (plan.length == 0 || before < plan.length) && (before > 0 || is_first_time());
}

/* \return the error with which the operation fails, 0: it is to be made */
static int go_wrong(long number)
{
    if (plan.command) {
        run_command(number);
    } else if (plan.signal) {
        kill(plan.to_parent ? getppid() : getpid(), plan.signal);
    }
    return plan.error;
}

int fault_before(operation what, int descriptor, const char *path, size_t bytes, int *half)
{
    char found[PATH_MAX];
    int kept = errno, error = 0;
    if (plan.below && plan.counts[what] && find_path(found, descriptor, path) && is_below(found)) {
        long number = atomic_fetch_add(&counted, 1) + 1;
        int goes_wrong = is_its_turn(what, number);
        note(what, number, found, bytes, goes_wrong);
        if (goes_wrong && plan.is_half && half && bytes > 1) {
            *half = 1;
        } else if (goes_wrong) {
            error = go_wrong(number);
        }
    }
    errno = error ? error : kept;
    return error;
}

void fault_after_half(void)
{
    if (plan.error) { /* a short write: the next one fails */
        plan.is_half = 0;
        plan.length += plan.length > 0;
    } else {
        go_wrong(plan.at);
    }
}
