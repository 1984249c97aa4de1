/* ranks: 1 2 */
#define _GNU_SOURCE
/* The checkpoints of a run: when, written beside training, and which of them stay. */
#include "perceptron.h"
#include "whole_run.h"

#include "train/saver.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/io/disk_space.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/checkpoint.h>

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void sleep_milliseconds(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

/* ---- a disk that is slow, or broken ---------------------------------------------------------------------------------- */

static atomic_int must_wait, has_waited, is_broken;

static int is_checkpoint(int descriptor)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    return strstr(path, "/checkpoints/step-") != NULL;
}

/* Stands in for the C library's: a disk that is done when the test lets it, or after ten seconds in any case. */
int fsync(int descriptor)
{
    if (is_checkpoint(descriptor)) {
        for (int i = 0; i < 1000 && atomic_load(&must_wait); i++) {
            sleep_milliseconds(10);
        }
        atomic_fetch_add(&has_waited, !atomic_load(&must_wait));
        if (atomic_load(&is_broken)) {
            errno = EIO;
            return -1;
        }
    }
    return (int)syscall(SYS_fsync, descriptor);
}

/* ---- one saver --------------------------------------------------------------------------------------------------------- */

typedef struct fixture {
    tiny_run run;
    char *path;
    sm_run_folder *folder;
    sm_saver *saver; /* rank 0 */
} fixture;

static void open_fixture(fixture *f, const char *folder, const char *const *sets)
{
    f->path = path_in("", folder);
    f->folder = sm_run_folder_new(f->path);
    tiny_open(&f->run, test_comm, perceptron_config(sets));
    if (is_root()) {
        SM_TEST_OK(sm_run_folder_claim(f->folder, 0));
    }
    f->saver = is_root() ? sm_saver_new(f->run.trainer, f->folder, "fingerprint", -1) : NULL;
}

static void close_fixture(fixture *f)
{
    sm_saver_free(f->saver);
    tiny_close(&f->run);
    sm_run_folder_free(f->folder);
    sm_free(f->path);
}

static void begin(fixture *f, int is_best)
{
    const sm_trainer_position here = sm_trainer_where(f->run.trainer);
    SM_TEST_OK(sm_saver_begin(f->saver, &here, 0.5, is_best));
}

/* The disk is not done before four more steps are. */
static void training_goes_on_while_a_checkpoint_is_written(void)
{
    fixture f;
    tiny_run other;
    open_fixture(&f, "beside", NULL);
    size_t floats = tiny_parameter_floats(&f.run);
    tiny_steps(&f.run, 2);
    float *values = tiny_copy(f.run.session->values, floats);
    float *state = tiny_copy(f.run.trainer->update->state[0], floats);
    atomic_store(&must_wait, 1);
    atomic_store(&has_waited, 0);
    sm_comm_barrier(test_comm);
    if (is_root()) {
        begin(&f, 1);
        CU_ASSERT(sm_saver_step(f.saver) == 2);
    }
    tiny_steps(&f.run, 4);
    CU_ASSERT(!tiny_same_bits(values, f.run.session->values, floats));
    if (is_root()) {
        for (int i = 0; i < 1000 && !exists_in("beside", "checkpoints/best.h5"); i++) {
            sleep_milliseconds(10);
        }
        SM_TEST_OK(sm_saver_look(f.saver));
        CU_ASSERT(atomic_load(&has_waited) == 0 && !exists_in("beside", "checkpoints/step-00000002.h5"));
        CU_ASSERT(exists_in("beside", "checkpoints/best.h5")); /* the best comes first */
        atomic_store(&must_wait, 0);
        SM_TEST_OK(sm_saver_finish(f.saver));
        CU_ASSERT(atomic_load(&has_waited) == 1 && sm_saver_seconds(f.saver) > 0);
        sm_saver_cost cost = sm_saver_cost_of(f.saver);
        CU_ASSERT(cost.count == 1 && cost.bytes > 2 * floats * sizeof(float));
        CU_ASSERT(cost.seconds > 0 && cost.seconds < sm_saver_seconds(f.saver)); /* the disk is not waited for */
    }
    sm_comm_barrier(test_comm);
    char *path = path_in("beside", "checkpoints/step-00000002.h5");
    tiny_open(&other, test_comm, perceptron_config(NULL));
    SM_TEST_OK(sm_checkpoint_load(other.session, other.trainer, path, 0));
    CU_ASSERT(other.trainer->step == 2 && tiny_same_bits(values, other.session->values, floats));
    CU_ASSERT(tiny_same_bits(state, other.trainer->update->state[0], floats));
    tiny_close(&other);
    sm_free(path);
    sm_free(values);
    sm_free(state);
    close_fixture(&f);
}

static void a_look_takes_up_what_is_written(void)
{
    fixture f;
    open_fixture(&f, "looked at", NULL);
    tiny_steps(&f.run, 1);
    if (is_root()) {
        begin(&f, 0);
        CU_ASSERT(sm_saver_is_writing(f.saver));
        for (int i = 0; i < 10000 && sm_saver_is_writing(f.saver); i++) {
            SM_TEST_OK(sm_saver_look(f.saver));
            sleep_milliseconds(1);
        }
        CU_ASSERT(!sm_saver_is_writing(f.saver) && sm_saver_seconds(f.saver) > 0);
        CU_ASSERT(exists_in("looked at", "checkpoints/step-00000001.h5"));
    }
    close_fixture(&f);
}

static void a_checkpoint_is_due_by_steps(void)
{
    static const char *const sets[] = {"checkpoint.interval=2", NULL};
    fixture f;
    open_fixture(&f, "steps", sets);
    for (int step = 1; step <= 5; step++) {
        tiny_steps(&f.run, 1);
        if (is_root()) {
            f.run.trainer->skipped_in_a_row = step == 2 || step == 3; /* as if these were skipped */
            int is_due = sm_saver_is_due(f.saver);
            CU_ASSERT(is_due == (step == 4)); /* since 2, but not while steps are skipped */
            if (is_due) {
                begin(&f, 0);
            }
        }
    }
    close_fixture(&f);
}

static void a_checkpoint_is_due_by_time(void)
{
    static const char *const sets[] = {"checkpoint.minutes=0.005", NULL}, *const never[] = {"checkpoint.minutes=0",
                                                                                            NULL};
    fixture f;
    open_fixture(&f, "time", sets);
    tiny_steps(&f.run, 1);
    if (is_root()) {
        CU_ASSERT(f.run.session->settings.checkpoint_interval == 0);
        sleep_milliseconds(310);
        CU_ASSERT(sm_saver_is_due(f.saver));
        double before = sm_seconds();
        begin(&f, 0);
        CU_ASSERT(!sm_saver_is_due(f.saver) || sm_seconds() - before >= 0.3);
    }
    close_fixture(&f);
    open_fixture(&f, "never", never);
    sleep_milliseconds(5);
    CU_ASSERT(!is_root() || !sm_saver_is_due(f.saver));
    close_fixture(&f);
    open_fixture(&f, "default", NULL);
    CU_ASSERT(f.run.session->settings.checkpoint_minutes == 30);
    CU_ASSERT(!is_root() || !sm_saver_is_due(f.saver));
    close_fixture(&f);
}

static void a_state_that_is_not_finite_stays_away(void)
{
    fixture f;
    open_fixture(&f, "finite", NULL);
    tiny_steps(&f.run, 1);
    if (is_root()) {
        const sm_trainer_position one = sm_trainer_where(f.run.trainer);
        begin(&f, 0);
        SM_TEST_OK(sm_saver_finish(f.saver));
        sm_trainer_position two = one;
        two.step = 2;
        f.run.session->values[f.run.session->parameters->parameters.items[0].offset] = NAN;
        for (int i = 0; i < 2; i++) { /* every failure is the first one again */
            CU_ASSERT(sm_saver_begin(f.saver, i ? &one : &two, 0.5, 1) == SM_ERR_NUMERIC);
            SM_TEST_MESSAGE("step 2: /");
            SM_TEST_MESSAGE("not finite");
            SM_TEST_MESSAGE("that of step 1 is the last good one");
        }
        CU_ASSERT(sm_saver_finish(f.saver) == SM_ERR_NUMERIC && !exists_in("finite", "checkpoints/best.h5"));
        CU_ASSERT(!exists_in("finite", "checkpoints/step-00000002.h5"));
    }
    close_fixture(&f);
}

static void what_does_not_fit_is_not_begun(void)
{
    char *path = path_in("", "large.h5");
    CU_ASSERT(sm_disk_check_space(path, (uint64_t)1 << 60) == SM_ERR_WRITE);
    SM_TEST_MESSAGE("large.h5: not written: No space left on device: 1099511627776.00 MiB needed");
    SM_TEST_OK(sm_disk_check_space(path, 1));
    sm_free(path);
}

/* ---- whole runs -------------------------------------------------------------------------------------------------------- */

static void expect_checkpoints(const char *folder, const char *expected)
{
    if (is_root()) {
        char *path = path_in(folder, "checkpoints"), **names = NULL, *all = sm_strdup("");
        size_t count = 0;
        SM_TEST_OK(sm_folder_list(path, &names, &count));
        for (size_t i = 0; i < count; i++) {
            sm_append_text(&all, " ", "%s", names[i]);
        }
        CU_ASSERT_STRING_EQUAL(all, expected);
        sm_free(all);
        sm_free(names);
        sm_free(path);
    }
    sm_comm_barrier(test_comm);
}

static void some_stay_for_ever(void)
{
    static const char *const sets[] = {"run.steps=8",
                                       "checkpoint.interval=2",
                                       "checkpoint.keep_last=1",
                                       "checkpoint.keep_every=3",
                                       "data.validation_split=",
                                       NULL};
    static const char *const longer[] = {"run.steps=9",
                                         "checkpoint.interval=1",
                                         "checkpoint.keep_last=1",
                                         "checkpoint.keep_every=3",
                                         "data.validation_split=",
                                         NULL};
    SM_TEST_OK(train("for-ever", NULL, sets));
    expect_checkpoints("for-ever", "step-00000004.h5 step-00000006.h5 step-00000008.h5");
    SM_TEST_OK(train("for-ever", "auto", longer));
    expect_checkpoints("for-ever", "step-00000004.h5 step-00000006.h5 step-00000009.h5");
}

/* The run stops where all agree on it, and what was there before stays. */
static void a_broken_disk_ends_a_run(void)
{
    static const char *const one[] = {"run.steps=1", "data.validation_split=", NULL};
    static const char *const more[] = {"run.steps=40", "checkpoint.interval=2", "data.validation_split=", NULL};
    SM_TEST_OK(train("broken", NULL, one));
    atomic_store(&is_broken, 1);
    sm_status status = train("broken", "auto", more);
    atomic_store(&is_broken, 0);
    CU_ASSERT(status == SM_ERR_WRITE);
    SM_TEST_MESSAGE("step-00000002.h5");
    SM_TEST_MESSAGE("Input/output error");
    expect_checkpoints("broken", "step-00000001.h5");
    expect_status_file("broken", "failed: ");
    SM_TEST_OK(train("broken", "auto", (const char *const[]){"run.steps=3", "data.validation_split=", NULL}));
}

static void ruin(const char *folder, const char *name)
{
    char *path = path_in(folder, name);
    if (is_root()) {
        SM_TEST_OK(sm_file_write_atomic(path, "ruin", 4));
    }
    sm_comm_barrier(test_comm);
    sm_free(path);
}

static void the_best_is_gone_on_from_where_it_is_the_newest(void)
{
    static const char *const two[] = {"run.steps=2", NULL}, *const three[] = {"run.steps=3", NULL};
    static const char *const said[] = {"passing over", "step-00000002.h5", "taking the best, ", "best.h5 at step 2",
                                       NULL};
    static const char *const alone[] = {"taking the best, ", "best.h5 at step ", NULL};
    SM_TEST_OK(train("ruined", NULL, two));
    ruin("ruined", "checkpoints/step-00000002.h5");
    SM_TEST_OK(train_saying("ruined", "auto", three, said));
    expect_counts("ruined", "/steps/step", 1, 1, 3);
    remove_in("ruined", "checkpoints/step-00000002.h5");
    remove_in("ruined", "checkpoints/step-00000003.h5");
    SM_TEST_OK(train_saying("ruined", "auto", three, alone));
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(training_goes_on_while_a_checkpoint_is_written);
    SM_TEST(a_look_takes_up_what_is_written);
    SM_TEST(a_checkpoint_is_due_by_steps);
    SM_TEST(a_checkpoint_is_due_by_time);
    SM_TEST(a_state_that_is_not_finite_stays_away);
    SM_TEST(what_does_not_fit_is_not_begun);
    SM_TEST(some_stay_for_ever);
    SM_TEST(a_broken_disk_ends_a_run);
    SM_TEST(the_best_is_gone_on_from_where_it_is_the_newest);
    return sm_test_end();
}
