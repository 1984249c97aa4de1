/* ranks: 1 */
#define _GNU_SOURCE
/* One run a folder: on one host, on a file system without locks, and against hosts that are gone or at work. */
#include "harness.h"

#include "train/folder_lock.h"
#include "train/run_folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const double beat = 0.1;

/* In place of the C library's: what the file system says to flock(), 0: what it says itself. */
static int answer;
int flock(int descriptor, int operation)
{
    if (answer) {
        errno = answer;
        return -1;
    }
    return (int)syscall(SYS_flock, descriptor, operation);
}

static char *path_of(const char *name)
{
    return sm_format("%s/%s", sm_test_folder(), name);
}

/* Takes a lock and gives it back. */
static sm_status wait_for_lock(const char *path, double patience)
{
    sm_folder_lock *lock = NULL;
    sm_status status = sm_folder_lock_take(path, beat, patience, &lock);
    sm_folder_lock_free(lock);
    return status;
}

static sm_status try_lock(const char *path)
{
    return wait_for_lock(path, 0);
}

/* \return a process that has taken the lock and lives until it is killed */
static pid_t other_process(const char *path)
{
    int ready[2];
    char word = 0;
    CU_ASSERT_FATAL(pipe(ready) == 0);
    pid_t process = fork();
    if (process == 0) {
        sm_folder_lock *lock = NULL;
        word = sm_folder_lock_take(path, beat, 0, &lock) == SM_OK ? 'y' : 'n';
        word = write(ready[1], &word, 1) == 1 ? word : 'n';
        for (;;) {
            pause();
        }
    }
    CU_ASSERT(read(ready[0], &word, 1) == 1 && word == 'y');
    close(ready[0]);
    close(ready[1]);
    return process;
}

static void kill_it(pid_t process)
{
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
}

static void expect_one_at_a_time(const char *path)
{
    pid_t other = other_process(path);
    char *named = sm_format("process %ld on ", (long)other);
    CU_ASSERT(try_lock(path) == SM_ERR_USAGE);
    SM_TEST_MESSAGE(named);
    kill_it(other);
    SM_TEST_OK(try_lock(path));
    SM_TEST_OK(try_lock(path));
    sm_free(named);
}

static void one_process_has_it_until_it_dies(void)
{
    char *path = path_of("one");
    expect_one_at_a_time(path);
    sm_free(path);
}

static void so_it_is_on_a_file_system_without_locks(void)
{
    static const int answers[] = {ENOLCK, ENOSYS, EOPNOTSUPP};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        char *path = path_of("without");
        answer = answers[i];
        expect_one_at_a_time(path);
        answer = 0;
        sm_free(path);
    }
}

static void sleep_for(double seconds)
{
    const struct timespec span = {.tv_nsec = (long)(1e9 * seconds)};
    nanosleep(&span, NULL);
}

/* \return a process that kills another one after some time */
static pid_t killer_of(pid_t process, double seconds)
{
    pid_t killer = fork();
    if (killer == 0) {
        sleep_for(seconds);
        kill(process, SIGKILL);
        _exit(0);
    }
    return killer;
}

/* As a rank does whose launcher was killed. */
static void one_that_is_ending_is_waited_for(void)
{
    static const int answers[] = {0, ENOLCK};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        char *path = path_of("ending");
        answer = answers[i];
        pid_t other = other_process(path), killer = killer_of(other, 2 * beat);
        SM_TEST_OK(wait_for_lock(path, 60));
        CU_ASSERT(waitpid(killer, NULL, 0) == killer); /* it was not taken before */
        CU_ASSERT(waitpid(other, NULL, 0) == other);
        answer = 0;
        sm_free(path);
    }
}

static void but_not_for_ever(void)
{
    char *path = path_of("goes-on");
    pid_t other = other_process(path);
    char *named = sm_format("process %ld on ", (long)other);
    CU_ASSERT(wait_for_lock(path, 2 * beat) == SM_ERR_USAGE);
    SM_TEST_MESSAGE(named);
    kill_it(other);
    sm_free(named);
    sm_free(path);
}

/* The line of a process of another host, whose number is `count`. */
static void write_elsewhere(const char *path, int count)
{
    struct stat info = {0};
    FILE *file = fopen(path, "r+");
    file = file ? file : fopen(path, "w");
    CU_ASSERT_FATAL(file != NULL && stat(path, &info) == 0);
    fprintf(file, "elsewhere 17 4711 %llu %020d\n", (unsigned long long)info.st_ino, count);
    fclose(file);
}

static void a_host_that_is_gone_is_found_so(void)
{
    char *path = path_of("gone");
    write_elsewhere(path, 3);
    SM_TEST_OK(try_lock(path));
    sm_free(path);
}

/* A server that never heard of the end of its client. */
static void the_lock_that_it_left_is_replaced(void)
{
    char *path = path_of("kept");
    struct stat before, after;
    write_elsewhere(path, 3);
    CU_ASSERT(stat(path, &before) == 0);
    answer = EWOULDBLOCK;
    SM_TEST_OK(try_lock(path));
    answer = 0;
    CU_ASSERT(stat(path, &after) == 0 && after.st_ino != before.st_ino);
    sm_free(path);
}

/* \return a process that raises the number of another host's line */
static pid_t host_at_work(const char *path)
{
    write_elsewhere(path, 0);
    pid_t other = fork();
    for (int i = 1; other == 0; i++) {
        write_elsewhere(path, i);
        sleep_for(0.5 * beat);
    }
    return other;
}

static void a_host_at_work_is_refused_to(void)
{
    char *path = path_of("works");
    pid_t other = host_at_work(path);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT(wait_for_lock(path, i * 2 * beat) == SM_ERR_USAGE);
        SM_TEST_MESSAGE("process 17 on elsewhere has it");
    }
    kill_it(other);
    sm_free(path);
}

/* It is killed at work, and nobody gives the lock back. */
static void one_that_is_ending_there_is_waited_for(void)
{
    char *path = path_of("ending-there");
    pid_t other = host_at_work(path), killer = killer_of(other, 3 * beat);
    SM_TEST_OK(wait_for_lock(path, 60));
    CU_ASSERT(waitpid(killer, NULL, WNOHANG) == killer);
    waitpid(other, NULL, 0);
    sm_free(path);
}

/* As the folder of a run that goes on, copied with its .lock. */
static void a_copy_is_nobodys(void)
{
    char *path = path_of("original"), *copy = path_of("copy"), *text = NULL;
    pid_t other = other_process(path);
    SM_TEST_OK(sm_file_read_text(path, &text));
    CU_ASSERT(strlen(text) > 0);
    SM_TEST_OK(sm_file_write_atomic(copy, text, strlen(text)));
    SM_TEST_OK(try_lock(copy));
    kill_it(other);
    sm_free(text);
    sm_free(copy);
    sm_free(path);
}

static void what_a_killed_run_was_writing_goes(void)
{
    static const char *const left[] = {"status.123.tmp", ".lock.4.tmp"}, *const others[] = {
                                                                             "status.tmp", "status.1a.tmp",
                                                                             "notes.12.tmp", "status.12.tmp.txt"};
    char *path = path_of("run");
    sm_run_folder *folder = sm_run_folder_new(path);
    SM_TEST_OK(sm_make_folders(path));
    for (int i = 0; i < 2 + 4; i++) {
        char *file = sm_run_folder_file(folder, i < 2 ? left[i] : others[i - 2]);
        SM_TEST_OK(sm_file_write_atomic(file, "x", 1));
        sm_free(file);
    }
    SM_TEST_OK(sm_run_folder_lock(folder, 0));
    for (int i = 0; i < 2 + 4; i++) {
        char *file = sm_run_folder_file(folder, i < 2 ? left[i] : others[i - 2]);
        CU_ASSERT(sm_file_exists(file) == (i >= 2));
        sm_free(file);
    }
    sm_run_folder_free(folder);
    sm_free(path);
}

static void what_cannot_be_made_is_an_error(void)
{
    char *path = path_of("nowhere/lock");
    CU_ASSERT(try_lock(path) == SM_ERR_IO);
    SM_TEST_MESSAGE("nowhere/lock");
    sm_free(path);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(one_process_has_it_until_it_dies);
    SM_TEST(so_it_is_on_a_file_system_without_locks);
    SM_TEST(one_that_is_ending_is_waited_for);
    SM_TEST(but_not_for_ever);
    SM_TEST(a_host_that_is_gone_is_found_so);
    SM_TEST(the_lock_that_it_left_is_replaced);
    SM_TEST(a_host_at_work_is_refused_to);
    SM_TEST(one_that_is_ending_there_is_waited_for);
    SM_TEST(a_copy_is_nobodys);
    SM_TEST(what_a_killed_run_was_writing_goes);
    SM_TEST(what_cannot_be_made_is_an_error);
    return sm_test_end();
}
