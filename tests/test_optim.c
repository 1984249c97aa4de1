/* ranks: 1 */
#include "golden.h"
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/optim/ema.h>
#include <sigmatic/optim/optimizer.h>
#include <sigmatic/optim/schedule.h>

#include <math.h>
#include <string.h>

enum { STEPS = 10, DECAYED = 131, PLAIN = 37, COUNT = DECAYED + PLAIN };

static const sm_optimizer_kind *kind_named(const char *name)
{
    const sm_optimizer_kind *kind = sm_optimizer_kinds;
    while (strcmp(kind->name, name) != 0) {
        kind++;
    }
    return kind;
}

/* ---- updates ----------------------------------------------------------------------------------------------------- */

static const sm_slice_update slices[2] = {{0, DECAYED, 1, 1, 1}, {DECAYED, PLAIN, 10, 0, 1}};

/* A run's whole state. */
typedef struct run {
    float parameters[COUNT], state[2][COUNT];
    int64_t steps[2];
} run;

static void step(const sm_optimizer *optimizer, const sm_slice_update *parts, double rate, double scale,
                 const float *gradients, run *one, int threads)
{
    float *state[2] = {one->state[0], one->state[1]};
    sm_optimizer_step(optimizer, parts, 2, rate, scale, one->parameters, gradients, state, one->steps, threads);
}

/* Updates p_after - p_before of every step and the state at the end. A parameter near 1 keeps an update of 0.02 to
 * 3e-6. */
static void compare_optimizer(const char *group, const sm_optimizer *optimizer, const char *const *state_names)
{
    sm_h5 *file = golden_open("optim.h5");
    float *start = golden_read(file, "", "start", SM_H5_FLOAT, NULL);
    float *gradients = golden_read(file, "", "gradients", SM_H5_FLOAT, NULL);
    double *rates = golden_read(file, "", "rates", SM_H5_DOUBLE, NULL);
    double *expected = golden_read(file, group, "parameters", SM_H5_DOUBLE, NULL);
    run one = {0};

    memcpy(one.parameters, start, sizeof one.parameters);
    for (int i = 0; i < STEPS; i++) {
        float before[COUNT];
        double error = 0, norm = 0;
        memcpy(before, one.parameters, sizeof before);
        step(optimizer, slices, rates[i], 1, gradients + i * COUNT, &one, 1 + i % 3);
        for (int k = 0; k < COUNT; k++) {
            double true_update = expected[i * COUNT + k] - (i > 0 ? expected[(i - 1) * COUNT + k] : start[k]);
            error += pow((double)one.parameters[k] - before[k] - true_update, 2);
            norm += pow(true_update, 2);
        }
        CU_ASSERT_TRUE(norm > 1e-4);
        SM_TEST_AT_MOST(sqrt(error), 1e-5 * sqrt(norm));
    }
    for (int k = 0; state_names && k < optimizer->kind->state_count; k++) {
        float *state = golden_read(file, group, state_names[k], SM_H5_FLOAT, NULL);
        SM_TEST_AT_MOST(sm_test_relative_error(one.state[k], state, COUNT), 1e-6);
        sm_free(state);
    }
    CU_ASSERT_TRUE(one.steps[0] == STEPS && one.steps[1] == STEPS);
    sm_free(expected);
    sm_free(rates);
    sm_free(gradients);
    sm_free(start);
    sm_h5_close(file);
}

static sm_optimizer adamw(void)
{
    return (sm_optimizer){
        .kind = kind_named("adamw"), .beta1 = 0.8, .beta2 = 0.99, .epsilon = 1e-6, .weight_decay = 0.1};
}

static sm_optimizer sgd(double momentum, int nesterov)
{
    return (sm_optimizer){.kind = kind_named("sgd"), .momentum = momentum, .nesterov = nesterov, .weight_decay = 0.1};
}

static void updates_equal_pytorch(void)
{
    static const char *const momentum_buffer[] = {"momentum_buffer"};
    sm_optimizer plain = sgd(0, 0), momentum = sgd(0.8, 0), nesterov = sgd(0.9, 1), adam = adamw();
    compare_optimizer("sgd_plain", &plain, NULL);
    compare_optimizer("sgd_momentum", &momentum, momentum_buffer);
    compare_optimizer("sgd_nesterov", &nesterov, momentum_buffer);
    compare_optimizer("adamw", &adam, adam.kind->state_names);
}

static void inactive_slices_are_not_touched(void)
{
    const sm_slice_update first_only[2] = {slices[0], {DECAYED, PLAIN, 10, 0, 0}};
    sm_optimizer kinds[2] = {sgd(0.9, 1), adamw()};
    for (int k = 0; k < 2; k++) {
        run one = {0}, skipping = {0};
        float gradients[COUNT], noise[COUNT];
        sm_test_fill(one.parameters, COUNT, 1);
        memcpy(skipping.parameters, one.parameters, sizeof one.parameters);
        for (int i = 0; i < 4; i++) {
            sm_test_fill(gradients, COUNT, 2 + (unsigned)i);
            for (int n = 0; n < COUNT; n++) {
                noise[n] = NAN; /* gradients of an inactive slice were never computed */
            }
            memcpy(noise, gradients, DECAYED * sizeof *noise);
            int is_skipped = i == 0 || i == 2;
            step(&kinds[k], slices, 0.01, 1, gradients, &one, 1);
            step(&kinds[k], is_skipped ? first_only : slices, 0.01, 1, is_skipped ? noise : gradients, &skipping, 2);
            if (i == 0) {
                CU_ASSERT_EQUAL(memcmp(skipping.state[0] + DECAYED, (float[PLAIN]){0}, PLAIN * sizeof(float)), 0);
            }
        }
        CU_ASSERT_TRUE(skipping.steps[0] == 4 && skipping.steps[1] == 2);
        CU_ASSERT_EQUAL(memcmp(one.parameters, skipping.parameters, DECAYED * sizeof(float)), 0);

        /* the second slice did exactly the two steps it took part in */
        run two = {0};
        const sm_slice_update second_only[2] = {{0, DECAYED, 1, 1, 0}, slices[1]};
        sm_test_fill(two.parameters, COUNT, 1);
        for (int i = 1; i < 4; i += 2) {
            sm_test_fill(gradients, COUNT, 2 + (unsigned)i);
            step(&kinds[k], second_only, 0.01, 1, gradients, &two, 1);
        }
        CU_ASSERT_EQUAL(memcmp(two.parameters + DECAYED, skipping.parameters + DECAYED, PLAIN * sizeof(float)), 0);
    }
}

/* Stopping and going on from (parameters, state, steps) gives the same bits, and so does any number of threads. */
static void a_run_continues_bit_for_bit(void)
{
    sm_optimizer kinds[2] = {sgd(0.9, 1), adamw()};
    for (int k = 0; k < 2; k++) {
        run whole = {0}, saved, resumed;
        float gradients[COUNT];
        sm_test_fill(whole.parameters, COUNT, 5);
        for (int i = 0; i < 6; i++) {
            if (i == 3) {
                saved = whole;
            }
            sm_test_fill(gradients, COUNT, 6 + (unsigned)i);
            step(&kinds[k], slices, 0.01, 0.7, gradients, &whole, 1);
        }
        resumed = saved;
        for (int i = 3; i < 6; i++) {
            sm_test_fill(gradients, COUNT, 6 + (unsigned)i);
            step(&kinds[k], slices, 0.01, 0.7, gradients, &resumed, i);
        }
        CU_ASSERT_EQUAL(memcmp(&whole, &resumed, sizeof whole), 0);
    }
}

static void the_gradient_scale_multiplies_gradients(void)
{
    sm_optimizer kinds[2] = {sgd(0.9, 1), adamw()};
    for (int k = 0; k < 2; k++) {
        run one = {0}, two = {0};
        float gradients[COUNT], halves[COUNT];
        for (int i = 0; i < 3; i++) {
            sm_test_fill(gradients, COUNT, 20 + (unsigned)i);
            for (int n = 0; n < COUNT; n++) {
                halves[n] = gradients[n] / 2;
            }
            step(&kinds[k], slices, 0.01, 0.5, gradients, &one, 1);
            step(&kinds[k], slices, 0.01, 1, halves, &two, 1);
        }
        CU_ASSERT_EQUAL(memcmp(&one, &two, sizeof one), 0);
    }
}

static void a_nan_stays_where_it_is(void)
{
    sm_optimizer kinds[2] = {sgd(0.9, 1), adamw()};
    for (int k = 0; k < 2; k++) {
        run one = {0};
        float gradients[COUNT] = {0};
        gradients[7] = NAN;
        step(&kinds[k], slices, 0.01, 1, gradients, &one, 1);
        for (int n = 0; n < COUNT; n++) {
            CU_ASSERT_EQUAL(isnan(one.parameters[n]) != 0, n == 7);
        }
    }
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

/* By one rank that has all blocks. */
static double norm_of(const sm_slice_update *parts, int count, const float *gradients, size_t floats, int threads)
{
    double squares[SM_FLAT_BLOCKS];
    sm_gradient_squares(parts, count, gradients, floats, 0, SM_FLAT_BLOCKS, threads, squares);
    return sm_gradient_norm_of(squares);
}

static void clipping_equals_pytorch(void)
{
    sm_h5 *file = golden_open("optim.h5");
    float *gradients = golden_read(file, "", "gradients", SM_H5_FLOAT, NULL);
    double *clipped = golden_read(file, "clip", "clipped", SM_H5_DOUBLE, NULL);
    double norm = norm_of(slices, 2, gradients, COUNT, 2);
    SM_TEST_AT_MOST(fabs(norm / golden_number(file, "clip", "norm") - 1), 1e-12);
    double scale = sm_gradient_clip_scale(norm, 2.5);
    for (int i = 0; i < COUNT; i++) {
        SM_TEST_AT_MOST(fabs(gradients[i] * scale - clipped[i]), 1e-12);
    }
    CU_ASSERT_TRUE(sm_gradient_clip_scale(norm, 0) == 1 && sm_gradient_clip_scale(2.4, 2.5) == 1);
    CU_ASSERT_TRUE(isnan(sm_gradient_clip_scale(NAN, 2.5)));
    sm_free(clipped);
    sm_free(gradients);
    sm_h5_close(file);
}

static void the_norm_counts_active_slices_and_no_threads(void)
{
    enum { MANY = 100003 };
    static float gradients[MANY];
    const sm_slice_update parts[] = {
        {0, 70001, 1, 1, 1}, {70001, 5, 1, 1, 0}, {70006, 29000, 1, 1, 1}, {99006, 997, 1, 1, 1}};
    double sum = 0;
    sm_test_fill(gradients, MANY, 9);
    for (int i = 0; i < MANY; i++) {
        gradients[i] *= powf(10, (float)(i * 7 % 11 - 6)); /* sums of such numbers round: their order shows */
    }
    for (int i = 0; i < MANY; i++) {
        sum += i >= 70001 && i < 70006 ? 0 : (double)gradients[i] * gradients[i];
    }
    double norm = norm_of(parts, 4, gradients, MANY, 1);
    SM_TEST_AT_MOST(fabs(norm - sqrt(sum)), 1e-12 * norm);
    for (int threads = 2; threads < 6; threads++) {
        CU_ASSERT_TRUE(norm_of(parts, 4, gradients, MANY, threads) == norm);
    }
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const int places[] = {0, 70000, 99005, MANY - 1};
    gradients[70003] = NAN;
    CU_ASSERT_TRUE(isfinite(norm_of(parts, 4, gradients, MANY, 2)));
    for (int b = 0; b < 3; b++) {
        for (int p = 0; p < 4; p++) {
            float kept = gradients[places[p]];
            gradients[places[p]] = bad[b];
            CU_ASSERT_FALSE(isfinite(norm_of(parts, 4, gradients, MANY, 2)));
            gradients[places[p]] = kept;
        }
    }
    gradients[0] = gradients[70000] = 3e38f; /* squares beyond float */
    CU_ASSERT_TRUE(isfinite(norm_of(parts, 4, gradients, MANY, 2)));
}

static void projection_stops_at_the_bounds(void)
{
    float values[] = {-21, -20, 3, 20, 20.5f, NAN}, momentum[] = {1, 2, 3, 4, 5, 6};
    sm_project(values, 6, -20, 20, momentum);
    const float expected[] = {-20, -20, 3, 20, 20}, kept[] = {0, 2, 3, 4, 0, 6};
    CU_ASSERT_EQUAL(memcmp(values, expected, sizeof expected), 0);
    CU_ASSERT_EQUAL(memcmp(momentum, kept, sizeof kept), 0);
    CU_ASSERT_TRUE(isnan(values[5]));
    values[0] = 99;
    sm_project(values, 1, -20, 20, NULL);
    CU_ASSERT_TRUE(values[0] == 20);
}

/* ---- schedules --------------------------------------------------------------------------------------------------- */

static void schedules_equal_pytorch(void)
{
    static int64_t milestones[] = {5, 11, 30};
    const sm_schedule base = {
        .learning_rate = 0.01, .steps = 40, .power = 0.9, .milestones = milestones, .milestone_count = 3, .gamma = 0.3};
    static const struct {
        const char *name, *kind;
        double power, minimum;
        int64_t warmup;
    } cases[] = {{"poly", "poly", 0.9, 0, 0},    {"cosine", "cosine", 0.9, 0.001, 0},
                 {"step", "step", 0.9, 0, 0},    {"constant", "constant", 0.9, 0, 0},
                 {"poly_warm", "poly", 2, 0, 7}, {"step_warm", "step", 0.9, 0, 7}};
    sm_h5 *file = golden_open("optim.h5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sm_schedule schedule = base;
        for (schedule.kind = sm_schedule_kinds; strcmp(schedule.kind->name, cases[i].kind) != 0;) {
            schedule.kind++;
        }
        schedule.power = cases[i].power;
        schedule.minimum = cases[i].minimum;
        schedule.warmup_steps = cases[i].warmup;
        schedule.warmup_factor = 0.1;
        double *expected = golden_read(file, "schedule", cases[i].name, SM_H5_DOUBLE, NULL);
        for (int k = 0; k <= 40; k++) { /* PyTorch multiplies step by step: rounding adds up */
            SM_TEST_AT_MOST(fabs(sm_schedule_at(&schedule, k) - expected[k]), 1e-15);
        }
        CU_ASSERT_TRUE(sm_schedule_at(&schedule, 1000) == sm_schedule_at(&schedule, 40));
        sm_free(expected);
    }
    sm_h5_close(file);
}

/* ---- average ----------------------------------------------------------------------------------------------------- */

/* From a towards constant b: b + (a - b) d^n. */
static void the_average_forgets_geometrically(void)
{
    enum { MANY = 70001 };
    static float average[MANY], parameters[MANY], start[MANY];
    sm_test_fill(start, MANY, 1);
    sm_test_fill(parameters, MANY, 2);
    memcpy(average, start, sizeof start);
    for (int i = 0; i < 12; i++) {
        sm_ema_update(average, parameters, MANY, 0.9, 2);
    }
    for (int i = 0; i < MANY; i += 7) { /* twelve roundings of numbers below 5 */
        SM_TEST_AT_MOST(fabs(average[i] - (parameters[i] + (start[i] - parameters[i]) * pow(0.9, 12))), 4e-6);
    }
    SM_TEST_AT_MOST(fabs(sm_ema_decay_at(0.999, 0) - 0.1), 1e-15);
    SM_TEST_AT_MOST(fabs(sm_ema_decay_at(0.999, 90) - 0.91), 1e-15);
    CU_ASSERT_TRUE(sm_ema_decay_at(0.999, 1000000) == 0.999);
}

/* ---- configuration ----------------------------------------------------------------------------------------------- */

static const sm_key *const tables[] = {sm_optimizer_keys, sm_schedule_keys, NULL};

static sm_config *config_of(const char *text)
{
    sm_config *config = sm_config_new(tables);
    SM_TEST_OK(sm_config_read_text(config, "test.ini", text));
    return config;
}

static void defaults_are_the_settings_of_the_paper(void)
{
    sm_optimizer *optimizer = NULL;
    sm_schedule *schedule = NULL;
    sm_config *config = config_of("");
    SM_TEST_OK(sm_optimizer_new(config, &optimizer));
    CU_ASSERT_STRING_EQUAL(optimizer->kind->name, "sgd");
    CU_ASSERT_TRUE(optimizer->learning_rate == 2.5e-3 && optimizer->momentum == 0.9 && optimizer->nesterov);
    CU_ASSERT_TRUE(optimizer->weight_decay == 1e-4 && optimizer->clip_norm == 0 && optimizer->ema_decay == 0);
    SM_TEST_OK(sm_schedule_new(config, optimizer->learning_rate, 50000, &schedule));
    SM_TEST_AT_MOST(fabs(sm_schedule_at(schedule, 25000) - 2.5e-3 * pow(0.5, 0.9)), 1e-15);
    sm_schedule_free(schedule);
    sm_optimizer_free(optimizer);
    sm_config_free(config);
}

static void keys_reach_the_optimizer_and_the_schedule(void)
{
    sm_optimizer *optimizer = NULL;
    sm_schedule *schedule = NULL;
    sm_config *config = config_of("[optimizer]\nkind = adamw\nbeta1 = 0.7\nbeta2 = 0.8\nepsilon = 1e-5\nclip_norm = 4\n"
                                  "ema_decay = 0.99\n[schedule]\nkind = step\nmilestones = 3, 9\ngamma = 0.5\n"
                                  "minimum = 0.001\nwarmup_steps = 2\nwarmup_factor = 0.25\n");
    SM_TEST_OK(sm_optimizer_new(config, &optimizer));
    CU_ASSERT_STRING_EQUAL(optimizer->kind->name, "adamw");
    CU_ASSERT_TRUE(optimizer->beta1 == 0.7 && optimizer->beta2 == 0.8 && optimizer->epsilon == 1e-5);
    CU_ASSERT_TRUE(optimizer->clip_norm == 4 && optimizer->ema_decay == 0.99);
    SM_TEST_OK(sm_schedule_new(config, 0.009, 20, &schedule));
    SM_TEST_AT_MOST(fabs(sm_schedule_at(schedule, 0) - 0.25 * 0.009), 1e-15);
    SM_TEST_AT_MOST(fabs(sm_schedule_at(schedule, 3) - 0.005), 1e-15);
    SM_TEST_AT_MOST(fabs(sm_schedule_at(schedule, 9) - 0.003), 1e-15);
    sm_schedule_free(schedule);
    sm_optimizer_free(optimizer);
    sm_config_free(config);
}

static void mistakes_name_the_key_and_what_is_allowed(void)
{
    static const struct {
        const char *text, *key, *allowed;
    } cases[] = {
        {"[optimizer]\nmomentum = 1\n", "momentum", "[0, 1)"},
        {"[optimizer]\nkind = adamw\nbeta2 = 1\n", "beta2", "[0, 1)"},
        {"[schedule]\nmilestones = 5, 5\n", "milestones", "ascending"},
        {"[schedule]\nminimum = 0.02\n", "minimum", "0.01"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sm_optimizer *optimizer = NULL;
        sm_schedule *schedule = NULL;
        sm_config *config = config_of(cases[i].text);
        sm_status status = sm_optimizer_new(config, &optimizer);
        if (status == SM_OK) {
            status = sm_schedule_new(config, 0.01, 10, &schedule);
        }
        CU_ASSERT_EQUAL(status, SM_ERR_CONFIG);
        SM_TEST_MESSAGE(cases[i].key);
        SM_TEST_MESSAGE(cases[i].allowed);
        sm_schedule_free(schedule);
        sm_optimizer_free(optimizer);
        sm_config_free(config);
    }
}

/* The choices of the keys are text; what they name are rows of tables. */
static void choices_are_the_rows_of_the_tables(void)
{
    char optimizers[128] = "", schedules[128] = "";
    for (const sm_optimizer_kind *kind = sm_optimizer_kinds; kind->name; kind++) {
        strcat(strcat(optimizers, *optimizers ? "|" : ""), kind->name);
        for (int i = 0; i < SM_OPTIMIZER_STATES_MAX; i++) {
            CU_ASSERT_EQUAL(kind->state_names[i] != NULL, i < kind->state_count);
        }
    }
    for (const sm_schedule_kind *kind = sm_schedule_kinds; kind->name; kind++) {
        strcat(strcat(schedules, *schedules ? "|" : ""), kind->name);
    }
    CU_ASSERT_STRING_EQUAL(sm_optimizer_keys[0].choices, optimizers);
    CU_ASSERT_STRING_EQUAL(sm_schedule_keys[0].choices, schedules);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST_BY_SETS(updates_equal_pytorch);
    SM_TEST(inactive_slices_are_not_touched);
    SM_TEST(a_run_continues_bit_for_bit);
    SM_TEST(the_gradient_scale_multiplies_gradients);
    SM_TEST_BY_SETS(a_nan_stays_where_it_is);
    SM_TEST_BY_SETS(clipping_equals_pytorch);
    SM_TEST_BY_SETS(the_norm_counts_active_slices_and_no_threads);
    SM_TEST(projection_stops_at_the_bounds);
    SM_TEST(schedules_equal_pytorch);
    SM_TEST_BY_SETS(the_average_forgets_geometrically);
    SM_TEST(defaults_are_the_settings_of_the_paper);
    SM_TEST(keys_reach_the_optimizer_and_the_schedule);
    SM_TEST(mistakes_name_the_key_and_what_is_allowed);
    SM_TEST(choices_are_the_rows_of_the_tables);
    return sm_test_end();
}
