/* ranks: 1 2 4 */
/* Batches of 5 are uneven on 2 and on 4 ranks. */
#include "tiny_run.h"

#include <sigmatic/base/memory.h>

#include "train/gradient_diagnosis.h"
#include "train/task_gradients.h"

#include <math.h>
#include <string.h>

enum { STEPS = 4, PAIRS = TINY_TASKS * TINY_TASKS };

/* Sums over samples in another order; of floats that a network computed in another order. */
static const double ROUNDING = 2e-4;

/* ---- what a training computes stays the same ---- */

typedef struct outcome {
    float *values, *statistics;
} outcome;

static outcome train(const char *const *sets, const char *interval)
{
    tiny_run run;
    sm_config *config = tiny_config(sets);
    char *key = sm_format("weighting.diagnose_interval=%s", interval);
    SM_TEST_OK(sm_config_set(config, key));
    sm_free(key);
    tiny_open(&run, test_comm, config);
    tiny_steps(&run, STEPS);
    CU_ASSERT((run.trainer->diagnosis != NULL) == (*interval != '0'));
    outcome found = {tiny_copy(run.session->values, tiny_parameter_floats(&run)),
                     tiny_copy(run.session->buffers, tiny_buffer_floats(&run))};
    tiny_close(&run);
    return found;
}

static void compare(const char *const *sets)
{
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    size_t values = tiny_parameter_floats(&run), statistics = tiny_buffer_floats(&run);
    tiny_close(&run);
    outcome without = train(sets, "0"), with = train(sets, "2");
    CU_ASSERT(tiny_same_bits(with.values, without.values, values));
    CU_ASSERT(tiny_same_bits(with.statistics, without.statistics, statistics));
    sm_free(with.values);
    sm_free(with.statistics);
    sm_free(without.values);
    sm_free(without.statistics);
}

static void a_diagnosed_training_has_the_bits_of_any(void)
{
    static const char *const pieces[] = {"distributed.micro_batches=2", "model.dropout=0.2",
                                         "task.depth.uncertainty=per_pixel", NULL};
    static const char *const reproducible[] = {"distributed.reproducible=true", "model.freeze=stem", NULL};
    static const char *const second_forward[] = {"weighting.method=famo", "distributed.batch_norm=local", NULL};
    static const char *const by_parameters[] = {"weighting.method=upgrad", NULL};
    compare(pieces);
    compare(reproducible);
    compare(second_forward);
    compare(by_parameters);
}

/* ---- what is measured ---- */

typedef struct measured {
    double gram[PAIRS], norm[TINY_TASKS], share[TINY_TASKS], weight[TINY_TASKS], cosine[PAIRS];
} measured;

static measured measure(sm_comm *comm, const char *const *sets)
{
    tiny_run run;
    measured found;
    sm_config *config = tiny_config(sets);
    SM_TEST_OK(sm_config_set(config, "weighting.diagnose_interval=1"));
    tiny_open(&run, comm, config);
    tiny_steps(&run, 1);
    const sm_step_record *record = &run.trainer->record;
    memcpy(found.gram, run.trainer->diagnosis->gram, sizeof found.gram);
    memcpy(found.norm, record->task_gradient_norm, sizeof found.norm);
    memcpy(found.share, record->gradient_share, sizeof found.share);
    memcpy(found.weight, record->weight, sizeof found.weight);
    memcpy(found.cosine, record->gradient_cosine, sizeof found.cosine);
    sm_comm_barrier(comm);
    tiny_close(&run);
    return found;
}

static void expect_same_gram(const measured *found, const double *expected)
{
    for (int i = 0; i < TINY_TASKS; i++) {
        CU_ASSERT(expected[i * TINY_TASKS + i] > 0);
        for (int j = 0; j < TINY_TASKS; j++) {
            double scale = sqrt(expected[i * TINY_TASKS + i] * expected[j * TINY_TASKS + j]);
            SM_TEST_AT_MOST(fabs(found->gram[i * TINY_TASKS + j] - expected[i * TINY_TASKS + j]), ROUNDING * scale);
        }
    }
}

/* The matrix that a weighting from gradients of single tasks sees of the same parameters and samples: at the first step,
 * where all weights stand for nothing yet. Its own diagnosis is that matrix, to the bit. */
static void the_gradients_are_those_that_weightings_see(void)
{
    static const char *const uncertainty[] = {"model.dropout=0.2", NULL};
    static const char *const mgda[] = {"weighting.method=mgda", "model.dropout=0.2", "weighting.diagnose_interval=1",
                                       NULL};
    static const char *const upgrad[] = {"weighting.method=upgrad", "model.dropout=0.2", NULL};
    tiny_run run;
    double expected[PAIRS];
    tiny_open(&run, test_comm, tiny_config(mgda));
    tiny_steps(&run, 1);
    memcpy(expected, run.trainer->tasks->gram, sizeof expected);
    CU_ASSERT(memcmp(run.trainer->diagnosis->gram, expected, sizeof expected) == 0);
    tiny_close(&run);
    measured by_losses = measure(test_comm, uncertainty), by_parameters = measure(test_comm, upgrad);
    expect_same_gram(&by_losses, expected);
    expect_same_gram(&by_parameters, expected); /* not those of parameters, by which it weighs */
}

/* Micro-batches of running statistics: samples do not know of each other. */
static void any_ranks_and_pieces_measure_alike(void)
{
    static const char *const plain[] = {NULL};
    static const char *const whole[] = {"distributed.batch_norm=frozen", NULL};
    static const char *const pieces[] = {"distributed.batch_norm=frozen", "distributed.micro_batches=2", NULL};
    measured one = measure(sm_comm_self(), plain), all = measure(test_comm, plain);
    expect_same_gram(&all, one.gram);
    measured at_once = measure(test_comm, whole), in_parts = measure(test_comm, pieces);
    expect_same_gram(&in_parts, at_once.gram);
}

static void reproducible_measures_the_same_bits(void)
{
    static const char *const sets[] = {"distributed.reproducible=true", NULL};
    measured one = measure(sm_comm_self(), sets), all = measure(test_comm, sets);
    CU_ASSERT(memcmp(one.gram, all.gram, sizeof one.gram) == 0);
    CU_ASSERT(memcmp(one.share, all.share, sizeof one.share) == 0);
}

static void shares_and_cosines_are_by_definition(void)
{
    static const char *const sets[] = {"weighting.method=fixed", "task.instance.weight=3", "task.depth.weight=0.1",
                                       NULL};
    measured m = measure(test_comm, sets);
    double sum = 0, weighted[TINY_TASKS], all = 0;
    for (int i = 0; i < TINY_TASKS; i++) {
        SM_TEST_AT_MOST(fabs(m.norm[i] * m.norm[i] / m.gram[i * TINY_TASKS + i] - 1), 1e-12);
        weighted[i] = m.weight[i] * m.norm[i];
        all += weighted[i];
        sum += m.share[i];
    }
    SM_TEST_AT_MOST(fabs(sum - 1), 1e-12);
    CU_ASSERT(m.weight[0] == 1 && m.weight[1] == 3 && m.weight[2] == 0.1);
    for (int i = 0; i < TINY_TASKS; i++) {
        SM_TEST_AT_MOST(fabs(m.share[i] - weighted[i] / all), 1e-12);
        for (int j = 0; j < TINY_TASKS; j++) {
            double cosine = m.cosine[i * TINY_TASKS + j];
            CU_ASSERT(cosine == m.cosine[j * TINY_TASKS + i]);
            SM_TEST_AT_MOST(fabs(cosine * m.norm[i] * m.norm[j] - m.gram[i * TINY_TASKS + j]),
                            1e-12 * m.norm[i] * m.norm[j]);
            CU_ASSERT(i == j ? fabs(cosine - 1) < 1e-12 : fabs(cosine) < 1);
        }
    }
}

/* \return how many numbers of the last step's record are there */
static int count_numbers(const tiny_run *run)
{
    const sm_step_record *record = &run->trainer->record;
    int count = 0;
    for (int i = 0; i < TINY_TASKS; i++) {
        count += !isnan(record->task_gradient_norm[i]) + !isnan(record->gradient_share[i]);
        for (int j = 0; j < TINY_TASKS; j++) {
            count += !isnan(record->gradient_cosine[i * TINY_TASKS + j]);
        }
    }
    return count;
}

/* Steps between are not measured; a task that does not train has no gradient, and no share in the others'. */
static void what_is_not_measured_is_not_a_number(void)
{
    static const char *const sets[] = {"weighting.diagnose_interval=2", "task.depth.last_step=1", NULL};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    tiny_steps(&run, 1);
    CU_ASSERT_EQUAL(count_numbers(&run), 0);
    tiny_steps(&run, 1);
    CU_ASSERT_EQUAL(count_numbers(&run), 2 + 2 + 4);
    SM_TEST_AT_MOST(fabs(run.trainer->record.gradient_share[0] + run.trainer->record.gradient_share[1] - 1), 1e-12);
    tiny_steps(&run, 1);
    CU_ASSERT_EQUAL(count_numbers(&run), 0);
    tiny_close(&run);
    tiny_open(&run, test_comm, tiny_config(NULL));
    tiny_steps(&run, 1);
    CU_ASSERT_EQUAL(count_numbers(&run), 0);
    tiny_close(&run);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_diagnosed_training_has_the_bits_of_any);
    SM_TEST(the_gradients_are_those_that_weightings_see);
    SM_TEST(any_ranks_and_pieces_measure_alike);
    SM_TEST(reproducible_measures_the_same_bits);
    SM_TEST(shares_and_cosines_are_by_definition);
    SM_TEST(what_is_not_measured_is_not_a_number);
    return sm_test_end();
}
