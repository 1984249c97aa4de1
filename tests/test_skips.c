/* ranks: 1 2 */
#define _POSIX_C_SOURCE 200809L
/* Numbers gone wrong: what is said of them, how many are too many, and what they do to the learning rate. Losses that jump. */
#include "tiny_run.h"

#include "train/loss_spikes.h"
#include "train/skipped_step.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/train/checkpoint.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One step that is skipped. */
static void skip(tiny_run *run)
{
    int done;
    SM_TEST_OK(sm_trainer_step_from(run->trainer, tiny_next_spoiled, run, 0, &done));
    CU_ASSERT(!run->trainer->record.applied);
}

static void expect_said(const tiny_run *run, const char *part)
{
    char *said = sm_skipped_step_describe(run->trainer, run->train, run->trainer->position - 5);
    int is_said = strstr(said, part) != NULL;
    if (!is_said) {
        fprintf(stderr, "'%s' is not in: %s\n", part, said);
    }
    CU_ASSERT(is_said);
    sm_free(said);
}

/* Sets all values of a parameter on all ranks. */
static void fill(tiny_run *run, const char *name, float value)
{
    const sm_slice *slice = sm_slices_find(&run->session->parameters->parameters, name);
    CU_ASSERT_FATAL(slice != NULL);
    sm_session_wait_for_node(run->session);
    for (size_t i = 0; sm_session_writes(run->session) && i < slice->count; i++) {
        run->session->values[slice->offset + i] = value;
    }
    sm_session_wait_for_node(run->session);
}

static void the_layer_that_went_wrong_first_is_named(void)
{
    int done;
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(NULL));
    skip(&run); /* a NaN in an image */
    expect_said(&run, "the loss of task 'semantic' is nan");
    expect_said(&run, ", first in the layer backbone.bn1; its samples");
    fill(&run, "backbone.layer3.0.conv1.weight", FLT_MAX); /* what it yields is infinite, what it is given is not */
    SM_TEST_OK(sm_trainer_step(run.trainer, run.loader, 0, &done));
    CU_ASSERT(!run.trainer->record.applied);
    expect_said(&run, ", first in the layer backbone.layer3.0.bn1; its samples");
    tiny_close(&run);
}

/* Losses are finite, their sum too; the gradient that leaves the last layer is not. */
static void the_layer_whose_gradient_went_wrong_first_is_named(void)
{
    static const char *const sets[] = {"weighting.method=fixed", "task.depth.weight=1e38", "task.depth.loss=l2", NULL};
    int done;
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    SM_TEST_OK(sm_trainer_step(run.trainer, run.loader, 0, &done));
    CU_ASSERT(!run.trainer->record.applied);
    expect_said(&run,
                "the gradient is not finite, though every loss and weight is, first in the layer decoders.depth.3");
    tiny_close(&run);
}

static void too_many_in_a_row_end_a_run(void)
{
    static const char *const sets[] = {"optimizer.skip_limit=3", NULL};
    int done;
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    skip(&run);
    skip(&run);
    tiny_steps(&run, 1);
    skip(&run);
    skip(&run);
    CU_ASSERT(sm_trainer_step_from(run.trainer, tiny_next_spoiled, &run, 0, &done) == SM_ERR_NUMERIC);
    SM_TEST_MESSAGE("step 6: 3 steps in a row had non-finite losses or gradients");
    CU_ASSERT(run.trainer->applied.step == 3 && run.trainer->applied.skipped == 2);
    tiny_close(&run);
}

static double rate_of_next_step(tiny_run *run)
{
    tiny_steps(run, 1);
    return run->trainer->record.learning_rate;
}

/* Twice as much of a streak counts once; a checkpoint knows of it; many good steps take it back. */
static void the_learning_rate_backs_off(void)
{
    static const char *const sets[] = {"optimizer.skip_backoff=0.25", "schedule.kind=constant", NULL};
    char *path = sm_format("%s/backed_off.h5", sm_test_folder());
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    CU_ASSERT_EQUAL(rate_of_next_step(&run), 0.02);
    skip(&run);
    skip(&run);
    CU_ASSERT_EQUAL(rate_of_next_step(&run), 0.005);
    skip(&run);
    CU_ASSERT_EQUAL(rate_of_next_step(&run), 0.00125);
    SM_TEST_OK(sm_checkpoint_save(run.trainer, path, NULL, "", NAN));
    sm_trainer_position start = {0};
    sm_trainer_go_to(run.trainer, &start);
    CU_ASSERT_EQUAL(rate_of_next_step(&run), 0.02);
    SM_TEST_OK(sm_checkpoint_load(run.session, run.trainer, path, 0));
    tiny_start_loader(&run);
    CU_ASSERT(run.trainer->backoffs == 2 && run.trainer->since_backoff == 1);
    CU_ASSERT_EQUAL(rate_of_next_step(&run), 0.00125);
    sm_trainer_position late = sm_trainer_where(run.trainer);
    late.since_backoff = SM_BACKOFF_STEPS - 1;
    sm_trainer_go_to(run.trainer, &late);
    CU_ASSERT_EQUAL(rate_of_next_step(&run), 0.00125);
    CU_ASSERT_EQUAL(rate_of_next_step(&run), 0.005);
    tiny_close(&run);
    sm_free(path);
}

/* Losses of three tasks: the first jumps, the second is noisy, the third jumps in a step that was skipped. */
static void losses_that_jump_are_told(void)
{
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(NULL));
    sm_loss_spikes *spikes = sm_loss_spikes_new(run.session);
    double losses[TINY_TASKS];
    sm_step_record record = {.task_loss = losses};
    for (int step = 1; step <= 300; step++) {
        double sign = step % 2 ? 1 : -1;
        int is_jump = step == 20 || step == 100 || step == 101 || step == 200;
        record.step = step;
        record.applied = step != 150;
        losses[0] = is_jump ? 3 : 1 + 0.05 * sign;
        losses[1] = 1 + 0.9 * sign;
        losses[2] = step == 150 ? 1e3 : step == 160 ? NAN : 1;
        int expected =
            step == 100 || step == 200; /* 20 has too little before it, 101 too little behind what was told */
        CU_ASSERT(sm_loss_spikes_note(spikes, &record) == expected);
    }
    sm_loss_spikes_free(spikes);
    tiny_close(&run);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(the_layer_that_went_wrong_first_is_named);
    SM_TEST(the_layer_whose_gradient_went_wrong_first_is_named);
    SM_TEST(too_many_in_a_row_end_a_run);
    SM_TEST(the_learning_rate_backs_off);
    SM_TEST(losses_that_jump_are_told);
    return sm_test_end();
}
