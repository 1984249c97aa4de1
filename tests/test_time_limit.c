/* ranks: 1 2 */
#define _POSIX_C_SOURCE 200809L
/* A start that has only so much time stops with a checkpoint: run.time_limit, and what Slurm leaves to the job. */
#include "whole_run.h"

#include "train/time_limit.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/train/stop_signal.h>

#include <math.h>
#include <stdlib.h>
#include <time.h>

/* The forms of sbatch's manual, in seconds. */
static void a_span_is_read_as_slurm_reads_it(void)
{
    static const struct {
        const char *text;
        double seconds;
    } spans[] = {
        {"90", 5400},      {"1:30", 90},         {"2:00:01", 7201}, {"1-2", 93600},
        {"1-2:03", 93780}, {"1-2:03:04", 93784}, {"0:0:1", 1},      {"0-0:0:1", 1},
    };
    static const char *const bad[] = {"",    "0",   "0:0:0",   "-1",   "1-",    "-",         ":",
                                      "1:",  ":1",  "1:2:3:4", "1--2", "1-2-3", "1:2-3",     "1-2:3:4:5",
                                      "12h", "1.5", " 1",      "1 ",   "+1",    "1234567890"};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        double seconds = -1;
        CU_ASSERT(sm_time_limit_parse(spans[i].text, &seconds) && seconds == spans[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double seconds;
        CU_ASSERT(!sm_time_limit_parse(bad[i], &seconds));
    }
}

static void a_wrong_span_is_refused_by_its_key(void)
{
    static const char *const sets[] = {"run.time_limit=2h", NULL};
    CU_ASSERT(train("wrong", NULL, sets) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE("time_limit");
    SM_TEST_MESSAGE("hours:minutes:seconds");
}

/* More steps than there is time for, which end with a checkpoint before the time is over. */
static void expect_a_stop_in_time(const char *folder, const char *const *sets, double seconds)
{
    double begin = sm_seconds();
    CU_ASSERT(train(folder, NULL, sets) == SM_PREEMPTED);
    CU_ASSERT(sm_seconds() - begin < seconds);
    SM_TEST_MESSAGE("the time limit is reached");
    expect_status_file(folder, "pre-empted: the time limit is reached");
    sm_stop_signal_set_deadline(INFINITY);
}

static void a_run_ends_within_its_time(void)
{
    static const char *const sets[] = {"run.time_limit=0:04", "run.steps=10000000", "data.validation_split=", NULL};
    static const char *const more[] = {"run.steps=1", "data.validation_split=", NULL};
    expect_a_stop_in_time("limited", sets, 60);
    SM_TEST_MESSAGE("checkpoint of step");
    SM_TEST_OK(train("limited", "auto", more)); /* it has made a step, and its checkpoint is whole */
}

static void a_run_ends_before_its_slurm_job(void)
{
    static const char *const sets[] = {"run.steps=10000000", "data.validation_split=", NULL};
    char *end = sm_format("%lld", (long long)time(NULL) + 2); /* less than a start keeps for its end */
    setenv("SLURM_JOB_ID", "1", 1);
    setenv("SLURM_JOB_END_TIME", end, 1);
    expect_a_stop_in_time("job", sets, 60);
    sm_free(end);
}

/* Left in the environment of a shell, by a job that has ended. */
static void an_end_that_is_past_does_not_count(void)
{
    static const char *const sets[] = {"run.steps=2", "data.validation_split=", NULL};
    setenv("SLURM_JOB_ID", "1", 1);
    setenv("SLURM_JOB_END_TIME", "1700000000", 1);
    SM_TEST_OK(train("past", NULL, sets));
    unsetenv("SLURM_JOB_END_TIME");
    unsetenv("SLURM_JOB_ID");
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_span_is_read_as_slurm_reads_it);
    SM_TEST(a_wrong_span_is_refused_by_its_key);
    SM_TEST(a_run_ends_within_its_time);
    SM_TEST(a_run_ends_before_its_slurm_job);
    SM_TEST(an_end_that_is_past_does_not_count);
    return sm_test_end();
}
