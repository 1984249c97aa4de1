/* ranks: 1 2 */
/* Tasks that train in some steps only, and which evaluation is the best. */
#include "whole_run.h"

#include <sigmatic/base/memory.h>

#include "train/best.h"
#include "train/task_steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 2 };

/* ---- steps ---- */

/* \return 1 if the depth task's own numbers, its head's and its log-variance, are what they were */
static int depth_is_unchanged(const tiny_run *run, const float *before)
{
    const sm_slices *slices = &run->session->parameters->parameters;
    int unchanged = 1, own = 0;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        if (slice->task == DEPTH) {
            own++;
            unchanged =
                unchanged && tiny_same_bits(run->session->values + slice->offset, before + slice->offset, slice->count);
        }
    }
    CU_ASSERT(own > 2);
    return unchanged;
}

static void a_task_trains_from_its_first_step_to_its_last(void)
{
    static const char *const sets[] = {"task.depth.first_step=3", "task.depth.last_step=4", NULL};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    for (int step = 1; step <= 6; step++) {
        const sm_step_record *record = &run.trainer->record;
        float *before = tiny_copy(run.session->values, tiny_parameter_floats(&run));
        int trains = step == 3 || step == 4;
        sm_comm_barrier(test_comm);
        tiny_steps(&run, 1);
        CU_ASSERT(depth_is_unchanged(&run, before) == !trains);
        CU_ASSERT(isnan(record->task_loss[DEPTH]) == !trains && isnan(record->weight[DEPTH]) == !trains);
        CU_ASSERT(record->applied && isfinite(record->loss) && isfinite(record->task_loss[0]));
        sm_comm_barrier(test_comm);
        sm_free(before);
    }
    tiny_same_on_all_ranks(run.session->values, tiny_parameter_floats(&run));
    tiny_close(&run);
}

/* The shared parameters learn as from a loss of weight 0. */
static void before_its_first_step_a_task_moves_nothing_shared(void)
{
    static const char *const late[] = {"weighting.method=fixed", "task.depth.first_step=3", NULL};
    static const char *const weightless[] = {"weighting.method=fixed", "task.depth.weight=0", NULL};
    tiny_run a, b;
    tiny_open(&a, test_comm, tiny_config(late));
    tiny_open(&b, test_comm, tiny_config(weightless));
    tiny_steps(&a, 2);
    tiny_steps(&b, 2);
    const sm_slices *slices = &a.session->parameters->parameters;
    int shared = 0;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        if (slice->task < 0) {
            shared++;
            CU_ASSERT(
                tiny_same_bits(a.session->values + slice->offset, b.session->values + slice->offset, slice->count));
        }
    }
    CU_ASSERT(shared > 20);
    sm_comm_barrier(test_comm);
    tiny_close(&a);
    tiny_close(&b);
}

static void expect_refused(const char *const *sets, const char *const *parts)
{
    CU_ASSERT(train("refused", NULL, sets) == SM_ERR_CONFIG);
    for (; *parts; parts++) {
        SM_TEST_MESSAGE(*parts);
    }
    CU_ASSERT(!exists_in("refused", "run.h5"));
}

static void steps_without_any_task_are_refused(void)
{
    static const char *const reversed[] = {"task.depth.first_step=5", "task.depth.last_step=4", NULL};
    static const char *const late[] = {"task.semantic.first_step=2", "task.instance.first_step=3",
                                       "task.depth.first_step=4", NULL};
    static const char *const gap[] = {"run.steps=50", "task.semantic.last_step=9", "task.instance.last_step=4",
                                      "task.depth.first_step=11", NULL};
    static const char *const no_gap[] = {"run.steps=2", "task.semantic.last_step=1", "task.instance.last_step=1",
                                         "task.depth.first_step=2", NULL};
    expect_refused(reversed, (const char *const[]){"task.depth", "last_step", "first_step = 5", NULL});
    expect_refused(late, (const char *const[]){"step 1 of 100", NULL});
    expect_refused(gap, (const char *const[]){"step 10 of 50", NULL});
    SM_TEST_OK(train("relay", NULL, no_gap));
}

/* ---- the best evaluation ---- */

/* \return the two metrics' mean of an evaluation by the definition of the key */
static double mean_of(double rises, double falls)
{
    return sqrt(rises / falls);
}

static void several_metrics_decide_by_their_geometric_mean(void)
{
    static const char *const sets[] = {"run.steps=6", "run.evaluate_interval=1",
                                       "checkpoint.best=semantic.pixel_accuracy, depth.error_pixels", NULL};
    SM_TEST_OK(train("best", NULL, sets));
    if (is_root()) {
        sm_h5 *log = open_in("best", "run.h5"), *best = open_in("best", "checkpoints/best.h5");
        size_t bytes;
        double *accuracy = read_numbers(log, "/evaluations/val/semantic/pixel_accuracy", &bytes),
               *error = read_numbers(log, "/evaluations/val/depth/error_pixels", &bytes), kept;
        int64_t step;
        size_t winner = 0, rows = bytes / sizeof *error;
        CU_ASSERT(rows == 6);
        for (size_t i = 1; i < rows; i++) {
            winner = mean_of(accuracy[i], error[i]) > mean_of(accuracy[winner], error[winner]) ? i : winner;
        }
        SM_TEST_OK(sm_h5_read_attribute_double(best, "/", "best_metric", &kept));
        SM_TEST_OK(sm_h5_read_attribute_int64(best, "/", "step", &step));
        CU_ASSERT(step == (int64_t)winner + 1);
        SM_TEST_AT_MOST(fabs(kept / mean_of(accuracy[winner], error[winner]) - 1), 1e-12);
        sm_h5_close(log);
        sm_h5_close(best);
        sm_free(accuracy);
        sm_free(error);
    }
    sm_comm_barrier(test_comm);
}

/* Scores of different metrics are not compared: a percentage is far above any reciprocal of an error. */
static void another_choice_of_metrics_begins_anew(void)
{
    static const char *const before[] = {"run.steps=2", "checkpoint.best=semantic.pixel_accuracy", NULL};
    static const char *const after[] = {"run.steps=3", "checkpoint.best=depth.error_pixels, instance.error_pixels",
                                        NULL};
    static const char *const said[] = {"checkpoint.best = depth.error_pixels, instance.error_pixels", "is forgotten",
                                       NULL};
    SM_TEST_OK(train("choice", NULL, before));
    SM_TEST_OK(train_saying("choice", "auto", after, said));
    if (is_root()) {
        sm_h5 *best = open_in("choice", "checkpoints/best.h5");
        int64_t step;
        SM_TEST_OK(sm_h5_read_attribute_int64(best, "/", "step", &step));
        CU_ASSERT(step == 3);
        sm_h5_close(best);
    }
    sm_comm_barrier(test_comm);
}

static void one_metric_is_compared_as_it_is(void)
{
    const double values[] = {40, 8};
    sm_best_term rises[] = {{0, 1}}, falls[] = {{1, 0}}, both[] = {{0, 1}, {1, 0}};
    const sm_best higher = {rises, 1}, lower = {falls, 1}, mean = {both, 2};
    CU_ASSERT(sm_best_score(&higher, values) == 40 && sm_best_score(&lower, values) == 8);
    CU_ASSERT(sm_best_is_better(&higher, 41, 40) && !sm_best_is_better(&higher, 40, 40) &&
              !sm_best_is_better(&higher, 39, 40));
    CU_ASSERT(sm_best_is_better(&lower, 7, 8) && !sm_best_is_better(&lower, 9, 8));
    CU_ASSERT(sm_best_is_better(&lower, 7, NAN) && !sm_best_is_better(&lower, NAN, 8) &&
              !sm_best_is_better(&lower, NAN, NAN));
    SM_TEST_AT_MOST(fabs(sm_best_score(&mean, values) - sqrt(5)), 1e-15);
    CU_ASSERT(isnan(sm_best_score(&mean, (const double[]){NAN, 8})));
    CU_ASSERT(sm_best_is_better(&mean, sm_best_score(&mean, (const double[]){40, 0}), 1e9)); /* no error at all */
}

static void a_metric_that_is_not_there_is_named(void)
{
    static const char *const unknown[] = {"checkpoint.best=semantic.mIoU", NULL};
    static const char *const other_task[] = {"checkpoint.best=semantic.miou, normals.mean_degrees", NULL};
    expect_refused(unknown,
                   (const char *const[]){"checkpoint", "best", "semantic.mIoU", "did you mean semantic.miou", NULL});
    expect_refused(other_task, (const char *const[]){"normals.mean_degrees", "depth.error_pixels", NULL});
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_task_trains_from_its_first_step_to_its_last);
    SM_TEST(before_its_first_step_a_task_moves_nothing_shared);
    SM_TEST(steps_without_any_task_are_refused);
    SM_TEST(several_metrics_decide_by_their_geometric_mean);
    SM_TEST(another_choice_of_metrics_begins_anew);
    SM_TEST(one_metric_is_compared_as_it_is);
    SM_TEST(a_metric_that_is_not_there_is_named);
    return sm_test_end();
}
