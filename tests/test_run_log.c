/* ranks: 1 */
#define _GNU_SOURCE
/* The run log when a disk or a process ends at any of its file operations: what can be read is always whole, and each row stands there
 * once. A start is a child process that makes steps with a clock of its own; the file operations of the C library are made here. */
#include "tiny_run.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/train/run_log.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- file operations that can go wrong ---- */

typedef enum fault { NO_FAULT, DIES, DIES_HALFWAY, ONE_ERROR, DISK_IS_FULL_FOR_A_WHILE, FAULTS, DISK_IS_FULL } fault;

/* What a start tells the test, also when it is killed. */
static struct {
    int operations;
    int64_t promised; /* the last step that a checkpoint may know of */
} * shared;

static fault fault_kind;
static int fault_at;
static double clock_seconds; /* above 0: the monotonic clock of the log */

enum { DEATH = 9, A_WHILE = 6 /* operations */ };

static int is_counted; /* only while the log works */

/* \return an errno for the operation, 0: it goes on */
static int meet_fault(void)
{
    if (!is_counted) {
        return 0;
    }
    int n = ++shared->operations, is_at = n == fault_at;
    if (is_at && fault_kind == DIES) {
        _exit(DEATH);
    }
    int is_full = n >= fault_at &&
                  (fault_kind == DISK_IS_FULL || (fault_kind == DISK_IS_FULL_FOR_A_WHILE && n < fault_at + A_WHILE));
    return is_at && fault_kind == ONE_ERROR ? EIO : is_full ? ENOSPC : 0;
}

#define OR_FAULT(call)                                                                                                 \
    do {                                                                                                               \
        int met = meet_fault();                                                                                        \
        if (met) {                                                                                                     \
            errno = met;                                                                                               \
            return -1;                                                                                                 \
        }                                                                                                              \
        return (call);                                                                                                 \
    } while (0)

static ssize_t counted_pwrite(int descriptor, const void *data, size_t bytes, off64_t offset)
{
    int met = meet_fault();
    int is_torn = is_counted && fault_kind == DIES_HALFWAY && shared->operations == fault_at;
    if (met) {
        errno = met;
        return -1;
    }
    ssize_t written = syscall(SYS_pwrite64, descriptor, data, is_torn ? bytes / 2 : bytes, offset);
    if (is_torn) {
        _exit(DEATH);
    }
    return written;
}

static int counted_open(const char *path, int flags, va_list rest)
{
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    if (!(flags & O_CREAT)) {
        return openat(AT_FDCWD, path, flags, mode);
    }
    OR_FAULT(openat(AT_FDCWD, path, flags, mode));
}

/* Ours are those of large files, HDF5's the others. */
ssize_t pwrite64(int descriptor, const void *data, size_t bytes, off64_t offset)
{
    return counted_pwrite(descriptor, data, bytes, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t bytes, off_t offset)
{
    return counted_pwrite(descriptor, data, bytes, offset);
}

#define OPEN                                                                                                           \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        int descriptor = counted_open(path, flags, rest);                                                              \
        va_end(rest);                                                                                                  \
        return descriptor;                                                                                             \
    }
int open64(const char *path, int flags, ...) OPEN int open(const char *path, int flags, ...) OPEN

    int ftruncate64(int descriptor, off64_t bytes)
{
    OR_FAULT((int)syscall(SYS_ftruncate, descriptor, bytes));
}

int ftruncate(int descriptor, off_t bytes)
{
    OR_FAULT((int)syscall(SYS_ftruncate, descriptor, bytes));
}

ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t bytes, unsigned flags)
{
    OR_FAULT(syscall(SYS_copy_file_range, in, in_offset, out, out_offset, bytes, flags));
}

int fsync(int descriptor)
{
    OR_FAULT((int)syscall(SYS_fsync, descriptor));
}

int rename(const char *from, const char *to)
{
    OR_FAULT(renameat(AT_FDCWD, from, AT_FDCWD, to));
}

int remove(const char *path)
{
    OR_FAULT(unlinkat(AT_FDCWD, path, 0));
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_MONOTONIC || clock_seconds == 0) {
        return (int)syscall(SYS_clock_gettime, clock, now);
    }
    now->tv_sec = (time_t)clock_seconds;
    now->tv_nsec = (long)(1e9 * (clock_seconds - (double)now->tv_sec));
    return 0;
}

/* ---- a start of a run ---- */

/* Another thread of MPI may hold a lock of AddressSanitizer's allocator when a start is forked, and then holds it in the child for ever. */
#ifdef __SANITIZE_ADDRESS__
enum { CAN_FORK = 0 };
#else
enum { CAN_FORK = 1 };
#endif

enum { EVALUATED_EVERY = 7, SAVED_EVERY = 5, STEPS = 24, RESUMED_STEPS = 8 };
static const double STEP_SECONDS = 0.3; /* the file is replaced, and the journal written, every 2 */
static tiny_run run;
static char *log_path, *journal_path;

/* Tells by which start a row was made, and in which step. */
static double mark(int start, int64_t step)
{
    return 1000.0 * start + (double)step;
}

static sm_status log_step(sm_run_log *log, int start, int64_t step)
{
    double tasks[TINY_TASKS];
    for (int i = 0; i < TINY_TASKS; i++) {
        tasks[i] = mark(start, step) + 0.25 * i;
    }
    const sm_step_record record = {.step = step,
                                   .epoch = 1 + step / 10,
                                   .applied = 1,
                                   .seconds = (double)step,
                                   .loss = mark(start, step),
                                   .task_loss = tasks,
                                   .weight = tasks,
                                   .log_variance = tasks,
                                   .sigma = tasks};
    return sm_run_log_step(log, &record);
}

static sm_status make_step(sm_run_log *log, int start, int64_t step)
{
    sm_status status = SM_OK;
    double values[TINY_VALUES];
    const sm_calibration calibrations[TINY_TASKS] = {0};
    clock_seconds += STEP_SECONDS;
    SM_TRY(log_step(log, start, step));
    if (step % EVALUATED_EVERY == 0) {
        for (int i = 0; i < TINY_VALUES; i++) {
            values[i] = mark(start, step);
        }
        SM_TRY(sm_run_log_evaluation(log, step, values, calibrations));
    }
    if (step % SAVED_EVERY == 0) {
        sm_run_log_sync(log);
        shared->promised = step;
    }
done:
    return status;
}

/* \return what kept it from ending well; `kept` is of its beginning */
static sm_status make_steps(int start, int64_t resume_step, int64_t last_step, sm_run_log_kept *kept)
{
    sm_status status = SM_OK;
    sm_run_log *log = NULL;
    SM_TRY(sm_run_log_open(log_path, run.session, "", "val", resume_step, kept, &log));
    SM_TRY(sm_run_log_begin(log));
    for (int64_t step = resume_step + 1; step <= last_step; step++) {
        SM_TRY(make_step(log, start, step));
    }
done:;
    sm_status closed = sm_run_log_close(log);
    return status != SM_OK ? status : closed;
}

/* The same in a process of its own. \return its exit code: DEATH, else that of the status */
static int start_run(int start, int64_t resume_step, int64_t last_step, fault kind, int at)
{
    int how = 0;
    pid_t child = fork();
    if (child == 0) {
        sm_run_log_kept kept;
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        fault_kind = kind;
        fault_at = at;
        is_counted = 1;
        clock_seconds = 1000;
        shared->operations = 0;
        _exit(make_steps(start, resume_step, last_step, &kept));
    }
    waitpid(child, &how, 0);
    CU_ASSERT(WIFEXITED(how));
    return WEXITSTATUS(how);
}

/* ---- what must hold ---- */

static size_t count_rows(const sm_h5 *file, const char *object)
{
    sm_h5_info info = {0};
    SM_TEST_OK(sm_h5_query(file, object, &info));
    return info.count;
}

enum { STARTS = 3, MOST_ROWS = STEPS + STARTS * RESUMED_STEPS, UNKNOWN = -1 };
static int64_t
    last_steps[STARTS]; /* of each start, behind which rows are of the next one; UNKNOWN: any that comes no earlier */

static int is_of_its_start(int64_t step, double value, double before)
{
    int start = 0;
    if (last_steps[0] == UNKNOWN) {
        start = (int)(value / 1000);
        return value == mark(start, step) && start >= (int)(before / 1000) && start < STARTS;
    }
    while (start < STARTS - 1 && step > last_steps[start]) {
        start++;
    }
    return value == mark(start, step);
}

/* Rows of steps 1, 2, ... (times `every`), each once and of the start that it should be of. \return their number */
static size_t expect_rows(const sm_h5 *file, const char *step, const char *value, int64_t every)
{
    size_t rows = count_rows(file, step);
    int64_t steps[MOST_ROWS] = {0};
    double values[MOST_ROWS] = {0};
    int wrong = rows > MOST_ROWS || count_rows(file, value) != rows;
    if (!wrong) {
        SM_TEST_OK(sm_h5_read_rows(file, step, SM_H5_INT64, 0, rows, 1, steps));
        SM_TEST_OK(sm_h5_read_rows(file, value, SM_H5_DOUBLE, 0, rows, 1, values));
    }
    for (size_t i = 0; i < rows && !wrong; i++) {
        int64_t expected = every * (int64_t)(i + 1);
        wrong = steps[i] != expected || !is_of_its_start(expected, values[i], i > 0 ? values[i - 1] : 0);
    }
    CU_ASSERT(!wrong);
    return rows;
}

/* \return rows of steps */
static size_t expect_whole_log(void)
{
    static const char *const columns[] = {"/steps/epoch", "/timing/communication_wait_seconds_max",
                                          "/tasks/semantic/loss", "/tasks/depth/sigma"};
    sm_h5 *file = NULL;
    SM_TEST_OK(sm_h5_open(log_path, &file));
    if (!file) {
        return 0;
    }
    size_t rows = expect_rows(file, "/steps/step", "/steps/loss", 1);
    size_t evaluations = expect_rows(file, "/evaluations/val/step", "/evaluations/val/semantic/miou", EVALUATED_EVERY);
    CU_ASSERT(evaluations <= rows / EVALUATED_EVERY);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        CU_ASSERT(count_rows(file, columns[i]) == rows);
    }
    sm_h5_close(file);
    return rows;
}

static void expect_no_litter(const char *but)
{
    char **names = NULL;
    size_t count = 0;
    SM_TEST_OK(sm_folder_list(sm_test_folder(), &names, &count));
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT(!strstr(names[i], ".partial") && (!strstr(names[i], "damaged") || strcmp(names[i], but) == 0));
    }
    sm_free(names);
}

/* The next start goes on behind the last checkpoint: of what that knows nothing is lost, and nothing stands there twice. */
static void expect_resumable(int start)
{
    int64_t promised = shared->promised, first = last_steps[0];
    sm_run_log_kept kept = {0};
    last_steps[0] = UNKNOWN;
    if (sm_file_exists(log_path)) {
        expect_whole_log();
    }
    last_steps[0] = first;
    last_steps[start - 1] = promised;
    clock_seconds = 5000;
    SM_TEST_OK(make_steps(start, promised, promised + RESUMED_STEPS, &kept));
    clock_seconds = 0;
    CU_ASSERT(kept.step == promised && (promised == 0 || kept.seconds == (double)promised));
    CU_ASSERT(expect_whole_log() == (size_t)(promised + RESUMED_STEPS));
    CU_ASSERT(!sm_file_exists(journal_path));
    expect_no_litter("");
}

static void clear(void)
{
    SM_TEST_OK(sm_remove_tree(log_path));
    SM_TEST_OK(sm_remove_tree(journal_path));
    shared->promised = 0;
    for (int start = 0; start < STARTS; start++) {
        last_steps[start] = MOST_ROWS;
    }
}

/* ---- faults ---- */

static void a_run_opens(void)
{
    tiny_open(&run, test_comm, tiny_config(NULL));
}

static int is_expected(int code, fault kind)
{
    return code == SM_OK || (kind <= DIES_HALFWAY ? code == DEATH : code == SM_ERR_WRITE || code == SM_ERR_IO);
}

/* Operations all along a start, each of them met by one kind of fault. */
static void a_fault_at_any_operation_costs_no_row(void)
{
    int rounds = sm_test_rounds(28), journals = 0;
    clear();
    CU_ASSERT(start_run(0, 0, STEPS, NO_FAULT, 0) == SM_OK);
    CU_ASSERT(expect_whole_log() == STEPS && !sm_file_exists(journal_path));
    int operations = shared->operations;
    CU_ASSERT(operations > 100);
    for (int round = 0; round < rounds; round++) {
        fault kind = DIES + round % (FAULTS - DIES);
        clear();
        int code = start_run(0, 0, STEPS, kind, 1 + round * operations / rounds);
        CU_ASSERT(is_expected(code, kind));
        journals += sm_file_exists(journal_path);
        if (code == DEATH || code == SM_OK) {
            expect_resumable(1);
        }
    }
    CU_ASSERT(journals > 0 || rounds < 10);
}

/* What a start leaves that dies in its last replacement: rows in the journal that the file does not have. */
static void *left[2];
static size_t left_bytes[2];
static int64_t left_promised;

static void put_back(void)
{
    clear();
    shared->promised = left_promised;
    SM_TEST_OK(sm_file_write_atomic(log_path, left[0], left_bytes[0]));
    SM_TEST_OK(sm_file_write_atomic(journal_path, left[1], left_bytes[1]));
}

static size_t rows_in_file(void)
{
    sm_h5 *file = NULL;
    SM_TEST_OK(sm_h5_open(log_path, &file));
    size_t rows = count_rows(file, "/steps/step");
    sm_h5_close(file);
    return rows;
}

static void a_start_dies_with_rows_in_its_journal(void)
{
    clear();
    CU_ASSERT(start_run(0, 0, STEPS - 1, NO_FAULT, 0) == SM_OK);
    for (int at = shared->operations; at > 0 && (int64_t)rows_in_file() >= shared->promised; at -= 10) {
        clear();
        CU_ASSERT(start_run(0, 0, STEPS - 1, DIES, at) == DEATH);
    }
    left_promised = shared->promised;
    CU_ASSERT(left_promised == STEPS - STEPS % SAVED_EVERY && (int64_t)rows_in_file() < left_promised);
    SM_TEST_OK(sm_file_read(log_path, &left[0], &left_bytes[0]));
    SM_TEST_OK(sm_file_read(journal_path, &left[1], &left_bytes[1]));
}

static void expect_unchanged(const char *path, const void *wanted, size_t wanted_bytes)
{
    void *found = NULL;
    size_t bytes = 0;
    SM_TEST_OK(sm_file_read(path, &found, &bytes));
    CU_ASSERT(bytes == wanted_bytes && memcmp(found, wanted, bytes) == 0);
    sm_free(found);
}

/* \return rows of steps that a reader of both files has */
static size_t rows_to_read(void)
{
    sm_h5 *file = NULL;
    SM_TEST_OK(sm_run_log_read(log_path, &file));
    size_t rows = expect_rows(file, "/steps/step", "/steps/loss", 1);
    size_t evaluations = expect_rows(file, "/evaluations/val/step", "/evaluations/val/semantic/miou", EVALUATED_EVERY);
    CU_ASSERT(evaluations == rows / EVALUATED_EVERY);
    CU_ASSERT(count_rows(file, "/tasks/depth/sigma") == rows);
    sm_h5_close(file);
    return rows;
}

static void a_reader_has_the_rows_of_the_journal_too(void)
{
    put_back();
    CU_ASSERT(rows_to_read() >= (size_t)left_promised && (int64_t)rows_in_file() < left_promised);
    expect_unchanged(log_path, left[0], left_bytes[0]);
    expect_unchanged(journal_path, left[1], left_bytes[1]);
}

static void a_reader_has_no_rows_of_another_start_s_journal(void)
{
    enum { KEPT = 3 };
    sm_run_log_kept kept;
    put_back();
    last_steps[0] = KEPT;
    clock_seconds = 5000;
    SM_TEST_OK(make_steps(1, KEPT, KEPT + 1, &kept));
    clock_seconds = 0;
    SM_TEST_OK(sm_file_write_atomic(journal_path, left[1], left_bytes[1]));
    CU_ASSERT(rows_to_read() == KEPT + 1);
}

static void a_fault_at_any_operation_of_the_next_start_costs_no_row(void)
{
    int rounds = sm_test_rounds(16);
    put_back();
    CU_ASSERT(start_run(1, left_promised, left_promised + RESUMED_STEPS, NO_FAULT, 0) == SM_OK);
    int operations = shared->operations;
    for (int round = 0; round < rounds; round++) {
        fault kind = DIES + round % (FAULTS - DIES);
        put_back();
        last_steps[0] = left_promised;
        int code = start_run(1, left_promised, left_promised + RESUMED_STEPS, kind, 1 + round * operations / rounds);
        CU_ASSERT(is_expected(code, kind));
        if (code == DEATH || code == SM_OK) {
            expect_resumable(2);
        }
    }
}

/* The rows that a disk refuses for good are lost, nothing else is. */
static void a_disk_that_stays_full_ends_with_a_whole_log(void)
{
    clear();
    int code = start_run(0, 0, STEPS, DISK_IS_FULL, 100);
    CU_ASSERT(code != SM_OK && is_expected(code, DISK_IS_FULL));
    CU_ASSERT(expect_whole_log() < STEPS);
    CU_ASSERT(start_run(1, STEPS, STEPS + 1, NO_FAULT, 0) == SM_OK);
}

/* Until memory would not do; then they are in the journal or, as here, on the disk as soon as it has room again. */
static void rows_wait_for_room_up_to_a_bound(void)
{
    enum { MOST_WAITING = 1 << 16 };
    sm_status status = SM_OK;
    int64_t step = 0;
    sm_run_log *log = NULL;
    sm_run_log_kept kept;
    clear();
    SM_TEST_OK(sm_run_log_open(log_path, run.session, "", "val", 0, &kept, &log));
    SM_TEST_OK(sm_run_log_begin(log));
    clock_seconds = 1000;
    fault_kind = DISK_IS_FULL;
    fault_at = shared->operations = 0;
    is_counted = 1;
    while (status == SM_OK && step < 2 * MOST_WAITING) {
        status = log_step(log, 0, ++step);
    }
    CU_ASSERT((status == SM_ERR_WRITE || status == SM_ERR_IO) && step == MOST_WAITING);
    SM_TEST_MESSAGE("the log is given up, 65536 rows of it wait that cannot be written: ");
    is_counted = 0;
    clock_seconds = 0;
    SM_TEST_OK(sm_run_log_close(log));
    CU_ASSERT(rows_in_file() == MOST_WAITING);
}

/* ---- damage ---- */

static int wrong_losses;

static size_t rows_of_start_0(void)
{
    int64_t steps[MOST_ROWS];
    double losses[MOST_ROWS];
    size_t kept = 0;
    sm_h5 *file = NULL;
    SM_TEST_OK(sm_h5_open(log_path, &file));
    size_t rows = count_rows(file, "/steps/step");
    CU_ASSERT(rows <= MOST_ROWS);
    SM_TEST_OK(sm_h5_read_rows(file, "/steps/step", SM_H5_INT64, 0, rows, 1, steps));
    SM_TEST_OK(sm_h5_read_rows(file, "/steps/loss", SM_H5_DOUBLE, 0, rows, 1, losses));
    for (size_t i = 0; i < rows; i++) {
        CU_ASSERT(i == 0 || steps[i] > steps[i - 1]);
        wrong_losses += losses[i] != mark(steps[i] > left_promised, steps[i]);
        kept += steps[i] <= left_promised;
    }
    CU_ASSERT(rows == kept + RESUMED_STEPS);
    sm_h5_close(file);
    return kept;
}

static void go_on(void)
{
    sm_run_log_kept kept;
    clock_seconds = 5000;
    SM_TEST_OK(make_steps(1, left_promised, left_promised + RESUMED_STEPS, &kept));
    clock_seconds = 0;
}

/* A flipped bit costs one row, or, in the head, those of the journal; a cut those behind it. */
static void a_damaged_journal_costs_no_other_row(void)
{
    uint32_t text_bytes;
    memcpy(&text_bytes, (const char *)left[1] + 8, sizeof text_bytes);
    size_t head_bytes = 16 + text_bytes;
    put_back();
    size_t in_file = rows_in_file();
    for (int round = 0; round < sm_test_rounds(10); round++) {
        size_t at = round < 5 ? (size_t)round * left_bytes[1] / 5 : head_bytes + 8 + 8 * 5; /* the loss of a row */
        unsigned char *wrong = memcpy(sm_alloc(left_bytes[1]), left[1], left_bytes[1]);
        wrong[at] ^= (unsigned char)(1 << round % 8);
        put_back();
        SM_TEST_OK(sm_file_write_atomic(journal_path, wrong, round % 3 ? left_bytes[1] : at));
        go_on();
        size_t kept = rows_of_start_0();
        CU_ASSERT(kept >= in_file);
        int is_flipped = round % 3 != 0, is_in_head = at < head_bytes;
        CU_ASSERT(!is_flipped || is_in_head || kept >= (size_t)left_promised - 1);
        sm_free(wrong);
    }
    CU_ASSERT(wrong_losses == 0);
    expect_no_litter("");
}

static void damage_of_the_file_never_keeps_a_run_from_going_on(void)
{
    srand(7);
    for (int round = 0; round < sm_test_rounds(10); round++) {
        size_t at = round < 5 ? (size_t)round * 9 : (size_t)rand() % left_bytes[0];
        unsigned char *wrong = memcpy(sm_alloc(left_bytes[0]), left[0], left_bytes[0]);
        wrong[at] ^= (unsigned char)(1 << round % 8);
        put_back();
        SM_TEST_OK(sm_file_write_atomic(log_path, wrong, round % 4 ? left_bytes[0] : at));
        go_on();
        CU_ASSERT(rows_of_start_0() > 0);
        sm_free(wrong);
    }
}

static void the_run_closes(void)
{
    tiny_close(&run);
    sm_free(left[0]);
    sm_free(left[1]);
}

static void starts_cannot_be_forked(void)
{
    sm_test_skip("fork", "AddressSanitizer's allocator may be locked in a fork of a process of several threads");
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    if (!CAN_FORK) {
        SM_TEST(starts_cannot_be_forked);
        return sm_test_end();
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    log_path = sm_format("%s/run.h5", sm_test_folder());
    journal_path = sm_format("%s/run.journal", sm_test_folder());
    SM_TEST(a_run_opens);
    SM_TEST(a_fault_at_any_operation_costs_no_row);
    SM_TEST(a_start_dies_with_rows_in_its_journal);
    SM_TEST(a_reader_has_the_rows_of_the_journal_too);
    SM_TEST(a_reader_has_no_rows_of_another_start_s_journal);
    SM_TEST(a_fault_at_any_operation_of_the_next_start_costs_no_row);
    SM_TEST(a_disk_that_stays_full_ends_with_a_whole_log);
    SM_TEST(rows_wait_for_room_up_to_a_bound);
    SM_TEST(a_damaged_journal_costs_no_other_row);
    SM_TEST(damage_of_the_file_never_keeps_a_run_from_going_on);
    SM_TEST(the_run_closes);
    return sm_test_end();
}
