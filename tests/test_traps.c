/* ranks: 1 */
/* Each trap of the table: a run that is in it, and one that is as near to it without being. */
#include "harness.h"

#include <sigmatic/train/traps.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A run of two tasks that is in no trap, at its end: an l1 loss of a Laplace likelihood, an l2 loss of a Gaussian. */
typedef struct fixture {
    sm_trap_task tasks[2];
    sm_trap_run run;
} fixture;

static void make(fixture *f)
{
    const sm_likelihood *laplace = sm_likelihood_find("laplace"), *gaussian = sm_likelihood_find("gaussian");
    f->tasks[0] = (sm_trap_task){"depth", laplace, laplace,      {1, 0},       "px", 4,    0.5, 1,
                                 2,       0,       2 * log(0.5), 2 * log(0.5), 0.4,  NULL, 1};
    f->tasks[1] = (sm_trap_task){"speed", gaussian, gaussian, {1, 0},   "m/s", 9,    4, 0.5,
                                 0.125,   0,        log(4.0), log(4.0), 0.6,   NULL, 1};
    f->run = (sm_trap_run){1000, 1000, 1.5, -20, 20, 10, f->tasks, 2, "uncertainty"};
}

typedef struct found {
    char names[8][16];
    int tasks[8], count;
    char text[1024]; /* of the last */
} found;

static void keep(void *user, const sm_trap *trap, int task, const char *text)
{
    found *all = user;
    CU_ASSERT_FATAL(all->count < 8);
    snprintf(all->names[all->count], sizeof all->names[0], "%s", trap->name);
    all->tasks[all->count++] = task;
    snprintf(all->text, sizeof all->text, "%s", text);
}

static found find(const fixture *f)
{
    found all = {.count = 0};
    sm_traps_find(&f->run, keep, &all);
    return all;
}

/* \param words  that the sentence has, numbers and what to do; NULL: the run is in no trap */
static void expect(const fixture *f, const char *name, int task, const char *const *words)
{
    found all = find(f);
    if (!words) {
        CU_ASSERT_EQUAL(all.count, 0);
        return;
    }
    CU_ASSERT(all.count == 1 && strcmp(all.names[0], name) == 0 && all.tasks[0] == task);
    for (int i = 0; words[i]; i++) {
        CU_ASSERT(strstr(all.text, words[i]) != NULL);
    }
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_run_without_a_trap_is_told_nothing(void)
{
    fixture f;
    make(&f);
    expect(&f, NULL, -1, NULL);
    f.run.step = f.run.steps = 0; /* before the first step nothing is known */
    for (int i = 0; i < 2; i++) {
        sm_trap_task *t = &f.tasks[i];
        t->first_loss = t->loss = t->first_weight = t->weight = t->log_variance = t->share = NAN;
    }
    f.run.loss = NAN;
    expect(&f, NULL, -1, NULL);
}

static void s_at_its_bound(void)
{
    fixture f;
    make(&f);
    f.run.lower = -1.4; /* not a float: s is the nearest */
    f.tasks[0].log_variance = -1.4f;
    expect(&f, "bound", 0, WORDS("'depth'", "weighting.lower = -1.4", "learnt by heart"));
    f.tasks[0].log_variance = nextafterf(-1.4f, 0);
    expect(&f, NULL, -1, NULL);
    f.run.upper = 1.5;
    f.tasks[1].log_variance = 1.5;
    expect(&f, "bound", 1, WORDS("'speed'", "weighting.upper = 1.5", "huge"));
    f.tasks[1].log_variance = 1.49;
    expect(&f, NULL, -1, NULL);
}

static void a_loss_near_zero_with_a_weight_that_runs_away(void)
{
    fixture f;
    make(&f);
    f.tasks[1].loss = 0.0045; /* 0.05 % of 9 */
    f.tasks[1].log_variance = log(0.0045);
    f.tasks[1].weight = 111;
    expect(&f, "runaway", 1, WORDS("'speed'", "0.05 %", "222-fold", "weighting.lower", "-5.4", "validation"));
    f.tasks[1].weight = 49;
    expect(&f, NULL, -1, NULL);
    f.tasks[1].weight = 111;
    f.tasks[1].loss = 0.1; /* 1.1 %: the weight is somebody's wish */
    f.tasks[1].log_variance = log(0.1);
    expect(&f, NULL, -1, NULL);
}

static void log_variances_that_hardly_move(void)
{
    fixture f;
    make(&f);
    f.tasks[1].log_variance = 0.1; /* of log 4 = 1.39 */
    expect(&f, "slow", 1,
           WORDS("'speed'", "from 0 to 0.1", "1000 steps", "1.39", "learning_rate_scale = 140 (now 10)",
                 "task.speed.log_variance = 1.4"));
    f.run.step = 499; /* before half of the run it may still arrive */
    expect(&f, NULL, -1, NULL);
    f.run.step = 500;
    expect(&f, "slow", 1, WORDS("500 steps"));
    f.run.step = f.run.steps = 99; /* a trial */
    expect(&f, NULL, -1, NULL);
    f.run.step = f.run.steps = 1000;
    f.tasks[1].log_variance = 0.3; /* more than a fifth of the way */
    expect(&f, NULL, -1, NULL);
    f.tasks[1].log_variance = 0; /* it has nowhere to go */
    f.tasks[1].best = log(1.5);
    expect(&f, NULL, -1, NULL);
    f.tasks[1].best = NAN; /* nobody knows where */
    expect(&f, NULL, -1, NULL);
}

static void a_share_of_the_gradient_below_a_percent(void)
{
    fixture f;
    make(&f);
    f.tasks[0].share = 0.004;
    f.tasks[1].share = 0.996;
    expect(&f, "share", 0, WORDS("'depth'", "0.4 %", "weight 2", "task.depth.weight"));
    f.tasks[0].share = 0.011;
    expect(&f, NULL, -1, NULL);
    f.tasks[0].share = 0.004;
    f.run.task_count = 1;
    expect(&f, NULL, -1, NULL);
}

static void targets_out_of_the_scale_that_a_head_starts_at(void)
{
    fixture f;
    make(&f);
    f.tasks[0].first_loss = 50;
    expect(&f, "scale", 0, WORDS("'depth'", "50 px", "outweighs", "task.depth.log_variance = 7.8")); /* 2 log 50 */
    f.tasks[0].initial = f.tasks[0].log_variance = 7.8; /* s starts there, so nothing was outweighed */
    f.tasks[0].loss = 50;
    f.tasks[0].best = 7.8;
    expect(&f, NULL, -1, NULL);
    make(&f);
    f.tasks[0].first_loss = 29;
    expect(&f, NULL, -1, NULL);
    f.tasks[1].first_loss = 29 * 29; /* a mean square */
    expect(&f, NULL, -1, NULL);
    f.tasks[1].first_loss = 31 * 31;
    expect(&f, "scale", 1, WORDS("'speed'", "31 m/s"));
    make(&f);
    f.tasks[0].first_loss = 0.01;
    f.tasks[0].loss = 0.005;
    f.tasks[0].log_variance = 2 * log(0.005);
    expect(&f, "scale", 0, WORDS("'depth'", "0.01 px", "counts for little"));
    make(&f);
    f.tasks[0].likelihood = sm_likelihood_find("imtl_l"); /* its s is no log-variance: for a loss of 50 it is -log 50 */
    f.tasks[0].first_loss = f.tasks[0].loss = 50;
    f.tasks[0].initial = f.tasks[0].log_variance = f.tasks[0].best = -log(50);
    expect(&f, NULL, -1, NULL);
    f.tasks[0].initial = f.tasks[0].log_variance = 0;
    f.tasks[0].best = 0.1;
    expect(&f, "scale", 0, WORDS("50 px", "start for 1:", "outweighs", "task.depth.log_variance = -3.9"));
    f.tasks[0].likelihood = NULL; /* weights that do not learn */
    f.tasks[0].initial = f.tasks[0].log_variance = NAN;
    expect(&f, "scale", 0, WORDS("weigh it"));
    f.tasks[0].of_loss = sm_likelihood_of_loss("cosine"); /* an angle has no scale */
    expect(&f, NULL, -1, NULL);
    CU_ASSERT_PTR_NULL(sm_likelihood_of_loss("cross_entropy"));
}

/* Targets far from 0, or near: where s starts at its minimiser nothing outweighs, whatever sigma is of that s. */
static void a_start_at_the_minimiser_is_in_scale(void)
{
    static const char *const names[] = {"laplace", "paper_l1", "revised_uncertainty", "imtl_l", "huber", "gaussian"};
    static const double losses[] = {2000, 0.0002};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t l = 0; l < sizeof losses / sizeof *losses; l++) {
            fixture f;
            make(&f);
            sm_trap_task *t = &f.tasks[0];
            t->likelihood = sm_likelihood_find(names[i]);
            t->of_loss = strcmp(names[i], "huber") == 0 || strcmp(names[i], "gaussian") == 0
                             ? t->likelihood
                             : sm_likelihood_find("laplace");
            t->shape.delta = strcmp(names[i], "huber") == 0 ? 1 : 0;
            t->first_loss = t->loss = losses[l];
            t->initial = t->log_variance = t->best = t->likelihood->minimiser(losses[l], t->shape);
            expect(&f, NULL, -1, NULL);
            CU_ASSERT(sm_trap_is_far(sm_trap_scale(t->of_loss, losses[l], t->shape), 1));
        }
    }
}

static void tasks_that_share_s_are_told_one_start(void)
{
    fixture f;
    make(&f);
    f.tasks[1].likelihood = f.tasks[1].of_loss = f.tasks[0].likelihood; /* both Laplace */
    f.tasks[1].best = f.tasks[1].log_variance = f.tasks[0].log_variance = f.tasks[0].best = 2 * log(2.0);
    f.tasks[0].group = f.tasks[1].group = "geometry";
    f.tasks[0].group_weight = 1;
    f.tasks[1].group_weight = 3;
    f.tasks[1].shape.dimensions = 2;
    expect(&f, NULL, -1, NULL);
    f.tasks[0].first_loss = 100;
    f.tasks[1].first_loss = 400; /* (100 + 3 * 400) / (1 + 3 * 2) = 186 a component */
    expect(&f, "scale", 0,
           WORDS("group 'geometry'", "about 186 px", "task.depth.log_variance and task.speed.log_variance = 10.4"));
    f.tasks[0].initial = f.tasks[1].initial = 10.5;
    f.tasks[0].log_variance = f.tasks[1].log_variance = f.tasks[0].best = f.tasks[1].best = 10.5;
    expect(&f, NULL, -1, NULL);
    f.tasks[0].first_loss = 0.1; /* which no s mends */
    expect(&f, "scale", 0, WORDS("task 'depth'", "0.1 px", "group 'geometry'", "task.depth.group_weight"));
    f.tasks[0].first_loss = 100;
    f.tasks[0].log_variance = f.tasks[1].log_variance = f.run.upper = 10.5;
    expect(&f, "bound", 0, WORDS("group 'geometry'", "weighting.upper"));
    f.run.upper = 20;
    f.tasks[0].best = f.tasks[1].best = 0;
    expect(&f, "slow", 0, WORDS("group 'geometry'", "task.depth.log_variance and task.speed.log_variance = 0.0"));
}

static void a_negative_total_is_said_to_be_normal(void)
{
    fixture f;
    make(&f);
    f.run.loss = -0.25;
    expect(&f, "negative", -1, WORDS("-0.25", "normal", "log sigma"));
    f.tasks[0].log_variance = f.tasks[1].log_variance = NAN;
    f.tasks[0].initial = f.tasks[1].initial = NAN;
    f.run.method = "imtl_l"; /* exp(s) L - s at s = -log L */
    expect(&f, "negative", -1, WORDS("1 + log L", "below 0.37"));
    f.run.method = "uw_o";
    expect(&f, "negative", -1, WORDS("sum of log L"));
    f.run.method = "famo";
    expect(&f, "negative", -1, WORDS("mean of log L"));
    f.run.method = "equal"; /* nobody knows of what */
    expect(&f, NULL, -1, NULL);
    f.tasks[0].loss = -0.5;
    expect(&f, "negative", -1, WORDS("an uncertainty of each pixel"));
    f.run.loss = 0.25;
    expect(&f, NULL, -1, NULL);
    SM_TEST_AT_MOST(fabs(sm_likelihood_find("imtl_l")->term(0.36788, -log(0.36788), (sm_loss_shape){1, 0})), 1e-4);
    int notes = 0;
    for (const sm_trap *trap = sm_traps; trap->name; trap++) {
        CU_ASSERT((trap->find != NULL) != (trap->find_in_run != NULL));
        notes += trap->is_note;
        CU_ASSERT(!trap->is_note || strcmp(trap->name, "negative") == 0);
    }
    CU_ASSERT_EQUAL(notes, 1);
}

static void shares_are_means_of_what_was_measured(void)
{
    CU_ASSERT(isnan(sm_trap_mean_share(NAN, NAN)));
    CU_ASSERT(sm_trap_mean_share(NAN, 0.25) == 0.25 && sm_trap_mean_share(0.25, NAN) == 0.25);
    SM_TEST_AT_MOST(fabs(sm_trap_mean_share(0.5, 0.25) - 0.475), 1e-15);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_run_without_a_trap_is_told_nothing);
    SM_TEST(s_at_its_bound);
    SM_TEST(a_loss_near_zero_with_a_weight_that_runs_away);
    SM_TEST(log_variances_that_hardly_move);
    SM_TEST(a_share_of_the_gradient_below_a_percent);
    SM_TEST(targets_out_of_the_scale_that_a_head_starts_at);
    SM_TEST(a_start_at_the_minimiser_is_in_scale);
    SM_TEST(tasks_that_share_s_are_told_one_start);
    SM_TEST(a_negative_total_is_said_to_be_normal);
    SM_TEST(shares_are_means_of_what_was_measured);
    return sm_test_end();
}
