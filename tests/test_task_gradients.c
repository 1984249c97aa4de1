/* ranks: 1 2 4 */
/* Losses and gradients of single tasks before a weighting sees them, through rows of their own, that ask for nothing else.
 * Batches of 5 are uneven on 2 and on 4 ranks. */
#include "tiny_run.h"

#include <sigmatic/io/h5.h>
#include <sigmatic/train/checkpoint.h>

#include "train/batch_sums.h"
#include "train/skipped_step.h"
#include "train/task_gradients.h"

#include <math.h>
#include <string.h>

#define EQUAL "weighting.method=equal"

/* ---- rows ---- */

static const tiny_run *observed; /* whose representation the next weigh() looks at; NULL = none */
static double gram_seen[TINY_TASKS * TINY_TASKS], gram_expected[TINY_TASKS * TINY_TASKS];

/* The definition, one number after the other. */
static double plain_dot(const sm_engine *engine, int i, int j)
{
    double sum = 0;
    for (int v = 0; v < sm_plan_shared_values(engine->plan); v++) {
        sm_task_gradient a = sm_plan_task_gradient(engine->plan, &engine->run, i, v);
        sm_task_gradient b = sm_plan_task_gradient(engine->plan, &engine->run, j, v);
        CU_ASSERT_FATAL(a.values && b.values && a.type == SM_F32);
        for (size_t n = 0; n < (size_t)engine->run.batch * a.elements; n++) {
            sum += (double)((const float *)a.values)[n] * ((const float *)b.values)[n];
        }
    }
    return sum;
}

static void weigh_alike(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    size_t pairs = (size_t)weighting->count * (size_t)weighting->count;
    for (int i = 0; i < weighting->count; i++) {
        out->weight[i] = step->active[i] ? 1.0 / weighting->count : 0;
        out->total += step->active[i] ? out->weight[i] * step->loss[i] : 0;
    }
    memcpy(gram_seen, step->gram, pairs * sizeof(double));
    for (size_t p = 0; observed && p < pairs; p++) {
        gram_expected[p] = plain_dot(observed->trainer->engine, (int)p / TINY_TASKS, (int)p % TINY_TASKS);
    }
}

static const double HEADS[] = {0.2, 0.3, 0.5}, SHARED[] = {0.5, 0.1, 0.4};

static void weigh_heads(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    memcpy(out->weight, HEADS, (size_t)weighting->count * sizeof(double));
    out->total = step->loss[0];
}

static void combine_shared(sm_weighting *weighting, const sm_weighting_step *step, const sm_weights *weights,
                           double *coefficient)
{
    CU_ASSERT(step->gram != NULL && weights->weight[1] == HEADS[1] && coefficient[0] == 0);
    memcpy(coefficient, SHARED, (size_t)weighting->count * sizeof(double));
}

/* Weights in inverse proportion to means of the losses, the state. */
static sm_status make_means(sm_weighting *weighting, const sm_config *config)
{
    (void)config;
    sm_weighting_add_state(weighting, "mean", (size_t)weighting->count);
    sm_weighting_add_state(weighting, "steps", 1);
    return SM_OK;
}

static void weigh_means(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    double *mean = weighting->states[0].values, *steps = weighting->states[1].values;
    CU_ASSERT(step->gram == NULL);
    ++*steps;
    for (int i = 0; i < weighting->count; i++) {
        mean[i] += (step->loss[i] - mean[i]) / *steps;
        out->weight[i] = 1 / mean[i];
        out->total += step->loss[i] / mean[i];
    }
}

/* Learned log-variances, whose slopes are known when the gradients of single tasks are. */
static void weigh_by_uncertainty(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    CU_ASSERT(step->gram != NULL && weighting->log_variances != NULL);
    sm_weighting_kinds[0]->weigh(weighting, step, out);
}

/* Numbers that are not finite though all losses are. */
static const char *broken;

static void weigh_broken(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    memcpy(out->weight, HEADS, (size_t)weighting->count * sizeof(double));
    out->weight[2] = strcmp(broken, "weight") == 0 ? NAN : out->weight[2];
    out->weight[0] = strcmp(broken, "gradient") == 0 ? 1e300 : out->weight[0];
    out->slope[1] = strcmp(broken, "slope") == 0 ? INFINITY : 0;
    out->total = strcmp(broken, "total") == 0 ? NAN : step->loss[0];
}

static void combine_broken(sm_weighting *weighting, const sm_weighting_step *step, const sm_weights *weights,
                           double *coefficient)
{
    (void)step;
    memcpy(coefficient, weights->weight, (size_t)weighting->count * sizeof(double));
    coefficient[1] = strcmp(broken, "coefficient") == 0 ? NAN : coefficient[1];
}

static const sm_weighting_kind kinds[] = {
    {.name = "alike_shared", .needs = SM_WEIGHTING_NEEDS_SHARED_GRADIENTS, .weigh = weigh_alike},
    {.name = "alike_parameters", .needs = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS, .weigh = weigh_alike},
};
static const sm_weighting_kind split[] = {
    {.name = "split_shared",
     .needs = SM_WEIGHTING_NEEDS_SHARED_GRADIENTS,
     .weigh = weigh_heads,
     .combine = combine_shared},
    {.name = "split_parameters",
     .needs = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS,
     .weigh = weigh_heads,
     .combine = combine_shared},
};
static const sm_weighting_kind uncertain[] = {
    {.name = "uncertain_shared", .needs = SM_WEIGHTING_NEEDS_SHARED_GRADIENTS, .weigh = weigh_by_uncertainty},
    {.name = "uncertain_parameters", .needs = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS, .weigh = weigh_by_uncertainty},
};
static const sm_weighting_kind breaking[] = {
    {.name = "breaking_shared",
     .needs = SM_WEIGHTING_NEEDS_SHARED_GRADIENTS,
     .weigh = weigh_broken,
     .combine = combine_broken},
    {.name = "breaking_parameters",
     .needs = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS,
     .weigh = weigh_broken,
     .combine = combine_broken},
};
static const sm_weighting_kind means = {
    .name = "means", .needs = SM_WEIGHTING_NEEDS_LOSSES, .make = make_means, .weigh = weigh_means};

/* ---- steps ---- */

/* \return the momentum after a step more: sums of gradients, without the cancellation of differences of parameters; every
 * rank's own copy, freed with sm_free() */
static float *momentum_after_step(tiny_run *run)
{
    tiny_steps(run, 1);
    float *momentum = tiny_copy(run->trainer->update->state[0], tiny_parameter_floats(run));
    sm_comm_barrier(run->session->comm); /* all have read what the next step writes */
    return momentum;
}

/* ||a - b|| / ||b|| over the slices of a task (-1: of none). */
static double difference(const tiny_run *run, int task, const float *a, const float *b)
{
    const sm_slices *slices = &run->session->parameters->parameters;
    double error = 0, norm = 0;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        for (size_t n = slice->offset; slice->task == task && n < slice->offset + slice->count; n++) {
            error += ((double)a[n] - b[n]) * ((double)a[n] - b[n]);
            norm += (double)b[n] * b[n];
        }
    }
    return sqrt(error / norm);
}

/* Roundings of gradients in float, of which a step of the network adds some hundred: eps = 6e-8. */
static const double ROUNDING = 1e-5;

static void expect_equal(sm_comm *comm, const sm_weighting_kind *kind, const char *const *sets)
{
    tiny_run by_tasks, plain;
    SM_TEST_OK(tiny_open_weighted(&by_tasks, comm, tiny_config(sets), kind));
    tiny_open(&plain, comm, tiny_config(sets));
    for (int step = 0; step < 2; step++) { /* the second from parameters that differ by the first one's rounding */
        float *found = momentum_after_step(&by_tasks), *expected = momentum_after_step(&plain);
        const sm_step_record *a = &by_tasks.trainer->record, *b = &plain.trainer->record;
        CU_ASSERT(a->applied && b->applied);
        SM_TEST_AT_MOST(fabs(a->gradient_norm / b->gradient_norm - 1), (step + 1) * ROUNDING);
        SM_TEST_AT_MOST(fabs(a->loss / b->loss - 1), (step + 1) * ROUNDING);
        for (int task = -1; task < TINY_TASKS; task++) {
            SM_TEST_AT_MOST(difference(&plain, task, found, expected), (step + 1) * ROUNDING);
        }
        sm_free(found);
        sm_free(expected);
    }
    tiny_same_on_all_ranks(by_tasks.session->values, tiny_parameter_floats(&by_tasks));
    sm_comm_barrier(comm);
    tiny_close(&by_tasks);
    tiny_close(&plain);
}

static void one_over_k_of_task_gradients_is_equal(void)
{
    static const char *const plain[] = {EQUAL, NULL};
    static const char *const buckets[] = {EQUAL, "distributed.bucket_mib=0.01", "distributed.recompute=blocks", NULL};
    static const char *const blocking[] = {EQUAL, "distributed.reduction=blocking", NULL};
    static const char *const frozen[] = {EQUAL, "model.freeze=backbone.layer1.*", "distributed.batch_norm=frozen",
                                         NULL};
    const char *const *const all[] = {plain, buckets, blocking, frozen};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            expect_equal(test_comm, &kinds[k], all[i]);
        }
        sm_comm *pairs = sm_test_nodes(2);
        expect_equal(pairs, &kinds[k], plain);
        sm_comm_part_free(pairs);
    }
}

/* Heads learn by the weights, what they share by the coefficients: as if each had been trained with these fixed weights. */
static void heads_learn_by_weights_and_the_rest_by_coefficients(void)
{
    static const char *const sets[] = {EQUAL, NULL};
    static const char *const as_heads[] = {"weighting.method=fixed", "task.semantic.weight=0.2",
                                           "task.instance.weight=0.3", "task.depth.weight=0.5", NULL};
    static const char *const as_shared[] = {"weighting.method=fixed", "task.semantic.weight=0.5",
                                            "task.instance.weight=0.1", "task.depth.weight=0.4", NULL};
    tiny_run heads, shared;
    tiny_open(&heads, test_comm, tiny_config(as_heads));
    tiny_open(&shared, test_comm, tiny_config(as_shared));
    float *of_heads = momentum_after_step(&heads), *of_shared = momentum_after_step(&shared);
    for (size_t k = 0; k < sizeof split / sizeof *split; k++) {
        tiny_run run;
        SM_TEST_OK(tiny_open_weighted(&run, test_comm, tiny_config(sets), &split[k]));
        float *found = momentum_after_step(&run);
        SM_TEST_AT_MOST(difference(&run, -1, found, of_shared), ROUNDING);
        for (int task = 0; task < TINY_TASKS; task++) {
            SM_TEST_AT_MOST(difference(&run, task, found, of_heads), ROUNDING);
        }
        sm_free(found);
        sm_comm_barrier(test_comm);
        tiny_close(&run);
    }
    sm_free(of_heads);
    sm_free(of_shared);
    tiny_close(&heads);
    tiny_close(&shared);
}

/* The first step's losses, and so the slopes, are the same to the bit; the limit stays between the slopes. */
static void expect_learned(sm_comm *comm, const sm_weighting_kind *kind, const char *const *sets)
{
    tiny_run by_tasks, plain;
    SM_TEST_OK(tiny_open_weighted(&by_tasks, comm, tiny_config(sets), kind));
    tiny_open(&plain, comm, tiny_config(sets));
    for (int step = 0; step < 2; step++) {
        float *found = momentum_after_step(&by_tasks), *expected = momentum_after_step(&plain);
        for (int i = 0; i < TINY_TASKS; i++) {
            size_t at = plain.session->parameters->parameters.items[plain.session->log_variances[i]].offset;
            CU_ASSERT(expected[at] != 0 && isfinite(expected[at]));
            SM_TEST_AT_MOST(fabs((double)found[at] / expected[at] - 1), step * ROUNDING);
        }
        sm_free(found);
        sm_free(expected);
    }
    tiny_same_on_all_ranks(by_tasks.session->values, tiny_parameter_floats(&by_tasks));
    sm_comm_barrier(comm);
    tiny_close(&by_tasks);
    tiny_close(&plain);
}

static void log_variances_are_learned_beside_gradients_of_tasks(void)
{
    static const char *const free_slopes[] = {"weighting.gradient_limit=0", "task.depth.log_variance=0.5", NULL};
    static const char *const limited[] = {"weighting.gradient_limit=0.3", "distributed.reduction=blocking", NULL};
    static const char *const same_bits[] = {"distributed.reproducible=true", NULL};
    for (size_t k = 0; k < sizeof uncertain / sizeof *uncertain; k++) {
        expect_equal(test_comm, &uncertain[k], free_slopes);
        expect_learned(test_comm, &uncertain[k], free_slopes);
        expect_learned(test_comm, &uncertain[k], limited);
        sm_comm *pairs = sm_test_nodes(2);
        expect_learned(pairs, &uncertain[k], free_slopes);
        sm_comm_part_free(pairs);
    }
    expect_learned(test_comm, &uncertain[0], same_bits);
}

/* ---- the matrix of dot products ---- */

static void compare_grams(const double *found, const double *expected, double bound)
{
    for (int i = 0; i < TINY_TASKS; i++) {
        CU_ASSERT(expected[i * TINY_TASKS + i] > 0);
        for (int j = 0; j < TINY_TASKS; j++) {
            double scale = sqrt(expected[i * TINY_TASKS + i] * expected[j * TINY_TASKS + j]);
            SM_TEST_AT_MOST(fabs(found[i * TINY_TASKS + j] - expected[i * TINY_TASKS + j]) / scale, bound);
        }
    }
}

/* \param [out] gram  of the first step, as the weighting sees it on this rank */
static void find_gram(sm_comm *comm, const char *const *sets, const sm_weighting_kind *kind, int looks, double *gram)
{
    tiny_run run;
    SM_TEST_OK(tiny_open_weighted(&run, comm, tiny_config(sets), kind));
    observed = looks ? &run : NULL;
    tiny_steps(&run, 1);
    observed = NULL;
    memcpy(gram, gram_seen, sizeof gram_seen);
    sm_comm_barrier(comm);
    tiny_close(&run);
}

/* Also where parameters stand once a node, and each node has all sums. */
static void the_matrix_of_n_ranks_is_that_of_one(void)
{
    static const char *const sets[] = {EQUAL, NULL};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        double one[TINY_TASKS * TINY_TASKS], all[TINY_TASKS * TINY_TASKS];
        find_gram(sm_comm_self(), sets, &kinds[k], 0, one);
        for (int per_node = 0; per_node <= 2; per_node++) {
            sm_comm *comm = sm_test_nodes(per_node);
            find_gram(comm, sets, &kinds[k], 0, all);
            compare_grams(all, one, ROUNDING);
            sm_comm_part_free(comm);
        }
        memcpy(gram_seen, all, sizeof all);
        sm_comm_broadcast(test_comm, gram_seen, sizeof gram_seen, 0);
        CU_ASSERT(memcmp(gram_seen, all, sizeof all) == 0);
    }
}

static void the_matrix_at_the_representation_is_what_the_plan_left(void)
{
    static const char *const sets[] = {EQUAL, "distributed.threads=2", NULL};
    double gram[TINY_TASKS * TINY_TASKS];
    find_gram(sm_comm_self(), sets, &kinds[0], 1, gram);
    compare_grams(gram, gram_expected, 1e-12); /* both in double */
}

/* The gradients of parameters are those of runs with one task's weight 1 and the others' 0. */
static void the_matrix_of_parameters_is_that_of_single_tasks(void)
{
    static const char *const sets[] = {EQUAL, NULL}, *const same_bits[] = {EQUAL, "distributed.reproducible=true",
                                                                           NULL};
    static const char *const single[TINY_TASKS][5] = {
        {"weighting.method=fixed", "task.semantic.weight=1", "task.instance.weight=0", "task.depth.weight=0", NULL},
        {"weighting.method=fixed", "task.semantic.weight=0", "task.instance.weight=1", "task.depth.weight=0", NULL},
        {"weighting.method=fixed", "task.semantic.weight=0", "task.instance.weight=0", "task.depth.weight=1", NULL}};
    double gram[TINY_TASKS * TINY_TASKS], expected[TINY_TASKS * TINY_TASKS] = {0};
    tiny_run runs[TINY_TASKS];
    for (int i = 0; i < TINY_TASKS; i++) {
        tiny_open(&runs[i], sm_comm_self(), tiny_config(single[i]));
        tiny_steps(&runs[i], 1);
    }
    const sm_slices *slices = &runs[0].session->parameters->parameters;
    for (int p = 0; p < TINY_TASKS * TINY_TASKS; p++) {
        const float *a = runs[p / TINY_TASKS].trainer->sums->gradients,
                    *b = runs[p % TINY_TASKS].trainer->sums->gradients;
        for (int s = 0; s < slices->count; s++) {
            const sm_slice *slice = &slices->items[s];
            for (size_t n = slice->offset; slice->task < 0 && n < slice->offset + slice->count; n++) {
                expected[p] += (double)a[n] * b[n];
            }
        }
    }
    find_gram(sm_comm_self(), sets, &kinds[1], 0, gram);
    compare_grams(gram, expected, ROUNDING);
    find_gram(sm_comm_self(), same_bits, &kinds[1], 0, gram); /* by another order of additions */
    compare_grams(gram, expected, ROUNDING);
    for (int i = 0; i < TINY_TASKS; i++) {
        tiny_close(&runs[i]);
    }
}

static void expect_same_bits(const sm_weighting_kind *kind)
{
    static const char *const sets[] = {EQUAL, "distributed.reproducible=true", NULL};
    tiny_run many, one;
    double gram[TINY_TASKS * TINY_TASKS];
    SM_TEST_OK(tiny_open_weighted(&many, test_comm, tiny_config(sets), kind));
    SM_TEST_OK(tiny_open_weighted(&one, sm_comm_self(), tiny_config(sets), kind));
    for (int step = 0; step < 3; step++) { /* the third batch of an epoch is short */
        tiny_steps(&many, 1);
        memcpy(gram, gram_seen, sizeof gram);
        tiny_steps(&one, 1);
        CU_ASSERT(memcmp(gram, gram_seen, sizeof gram) == 0);
        CU_ASSERT(tiny_same_bits(many.session->values, one.session->values, tiny_parameter_floats(&one)));
        sm_comm_barrier(test_comm);
    }
    tiny_close(&many);
    tiny_close(&one);
}

static void reproducible_gives_the_same_bits_on_any_ranks(void)
{
    for (int k = 0; k < 2; k++) {
        expect_same_bits(&kinds[k]);
    }
}

/* ---- state ---- */

static void expect_same_state(const tiny_run *a, const tiny_run *b)
{
    const sm_weighting *x = a->session->weighting, *y = b->session->weighting;
    CU_ASSERT(x->state_count == 2 && x->states[0].count == TINY_TASKS);
    for (int i = 0; i < x->state_count; i++) {
        CU_ASSERT(memcmp(x->states[i].values, y->states[i].values, x->states[i].count * sizeof(double)) == 0);
    }
}

static void the_state_survives_a_checkpoint_to_the_bit(void)
{
    static const char *const sets[] = {EQUAL, NULL};
    char *path = sm_format("%s/means.h5", sm_test_folder());
    tiny_run whole, resumed;
    SM_TEST_OK(tiny_open_weighted(&whole, test_comm, tiny_config(sets), &means));
    SM_TEST_OK(tiny_open_weighted(&resumed, test_comm, tiny_config(sets), &means));
    tiny_steps(&whole, 2);
    SM_TEST_OK(sm_checkpoint_save(whole.trainer, path, NULL, "", NAN));
    SM_TEST_OK(sm_checkpoint_load(resumed.session, resumed.trainer, path, 0));
    CU_ASSERT(*resumed.session->weighting->states[1].values == 2);
    expect_same_state(&whole, &resumed);
    tiny_start_loader(&resumed);
    tiny_steps(&whole, 2);
    tiny_steps(&resumed, 2);
    expect_same_state(&whole, &resumed);
    CU_ASSERT(*resumed.session->weighting->states[1].values == 4);
    CU_ASSERT(tiny_same_bits(whole.session->values, resumed.session->values, tiny_parameter_floats(&whole)));
    tiny_close(&resumed);

    tiny_open(&resumed, test_comm, tiny_config(sets)); /* what another weighting kept is passed over */
    SM_TEST_OK(sm_checkpoint_load(resumed.session, resumed.trainer, path, 0));
    SM_TEST_OK(sm_checkpoint_save(resumed.trainer, path, NULL, "", NAN));
    CU_ASSERT(sm_checkpoint_load(whole.session, whole.trainer, path, 0) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("/weighting/mean");
    tiny_close(&resumed);
    tiny_close(&whole);
    sm_free(path);
}

/* Nothing of the step before is said of it. */
static void expect_no_weights(const tiny_run *run)
{
    const sm_step_record *record = &run->trainer->record;
    CU_ASSERT(!record->applied && isnan(record->loss));
    for (int i = 0; i < TINY_TASKS; i++) {
        CU_ASSERT(isnan(record->task_loss[i]) && isnan(record->weight[i]));
    }
}

static void a_skipped_step_changes_no_state(void)
{
    static const char *const sets[] = {EQUAL, NULL};
    tiny_run run;
    int done;
    SM_TEST_OK(tiny_open_weighted(&run, test_comm, tiny_config(sets), &means));
    tiny_steps(&run, 1);
    double before = run.session->weighting->states[0].values[0];
    SM_TEST_OK(sm_trainer_step_from(run.trainer, tiny_next_spoiled, &run, 0, &done));
    expect_no_weights(&run);
    CU_ASSERT(run.trainer->skipped == 1);
    CU_ASSERT(isfinite(before) && run.session->weighting->states[0].values[0] == before);
    CU_ASSERT(*run.session->weighting->states[1].values == 1);
    tiny_steps(&run, 1);
    CU_ASSERT(run.trainer->record.applied && *run.session->weighting->states[1].values == 2);
    tiny_close(&run);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        SM_TEST_OK(tiny_open_weighted(&run, test_comm, tiny_config(sets), &kinds[k]));
        tiny_steps(&run, 1);
        SM_TEST_OK(sm_trainer_step_from(run.trainer, tiny_next_spoiled, &run, 0, &done));
        expect_no_weights(&run);
        for (int i = 0; i < TINY_TASKS; i++) {
            CU_ASSERT(isnan(run.trainer->weights.slope[i]));
        }
        tiny_steps(&run, 1);
        CU_ASSERT(run.trainer->record.applied);
        tiny_close(&run);
    }
}

static void expect_described(const tiny_run *run, int64_t position, const char *expected)
{
    char *text = sm_skipped_step_describe(run->trainer, run->train, position), *why = strstr(text, "the ");
    char *end = strstr(text, "; its samples");
    CU_ASSERT_FATAL(why && end);
    *end = 0;
    CU_ASSERT(!run->trainer->record.applied);
    CU_ASSERT_STRING_EQUAL(why, expected);
    sm_free(text);
}

/* What came first, and that alone: weights follow from losses, the gradient from both. */
static void a_skipped_step_is_blamed_on_what_was_not_finite(void)
{
    static const char *const sets[] = {EQUAL, NULL};
    static const char *const cases[][2] = {
        {"weight", "the weight of task 'depth' is nan"},
        {"slope", "the slope of the log-variance of task 'instance' is inf"},
        {"coefficient", "the coefficient of task 'instance' is nan"},
        {"total", "the weighted total is nan, though every loss and weight is finite"},
        {"gradient", "the gradient is not finite, though every loss and weight is, first in the layer "
                     "decoders.semantic.3"},
    };
    for (size_t k = 0; k < sizeof breaking / sizeof *breaking; k++) {
        tiny_run run;
        int done;
        broken = "";
        SM_TEST_OK(tiny_open_weighted(&run, test_comm, tiny_config(sets), &breaking[k]));
        tiny_steps(&run, 1);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            int64_t position = run.trainer->position;
            broken = cases[i][0];
            tiny_steps(&run, 1);
            expect_described(&run, position, cases[i][1]);
        }
        int64_t position = run.trainer->position;
        broken = "";
        SM_TEST_OK(sm_trainer_step_from(run.trainer, tiny_next_spoiled, &run, 0, &done));
        expect_described(&run, position,
                         "the loss of task 'semantic' is nan, the loss of task 'instance' is nan, the loss of task "
                         "'depth' is nan, first in the layer backbone.bn1");
        tiny_close(&run);
    }
}

/* ---- what cannot be ---- */

static void refuses(const sm_weighting_kind *kind, const char *set, const char *key)
{
    const char *const sets[] = {EQUAL, set, NULL};
    tiny_run run;
    CU_ASSERT(tiny_open_weighted(&run, test_comm, tiny_config(sets), kind) == SM_ERR_CONFIG);
    SM_TEST_MESSAGE(key);
    SM_TEST_MESSAGE(kind->name);
    tiny_close(&run);
}

static void what_a_weighting_cannot_have_is_refused_by_name(void)
{
    refuses(&means, "distributed.micro_batches=2", "micro_batches");
    refuses(&kinds[0], "distributed.micro_batches=2", "micro_batches");
    refuses(&kinds[1], "distributed.micro_batches=2", "micro_batches");
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(one_over_k_of_task_gradients_is_equal);
    SM_TEST(heads_learn_by_weights_and_the_rest_by_coefficients);
    SM_TEST(log_variances_are_learned_beside_gradients_of_tasks);
    SM_TEST(the_matrix_of_n_ranks_is_that_of_one);
    SM_TEST(the_matrix_at_the_representation_is_what_the_plan_left);
    SM_TEST(the_matrix_of_parameters_is_that_of_single_tasks);
    SM_TEST(reproducible_gives_the_same_bits_on_any_ranks);
    SM_TEST(the_state_survives_a_checkpoint_to_the_bit);
    SM_TEST(a_skipped_step_changes_no_state);
    SM_TEST(a_skipped_step_is_blamed_on_what_was_not_finite);
    SM_TEST(what_a_weighting_cannot_have_is_refused_by_name);
    return sm_test_end();
}
