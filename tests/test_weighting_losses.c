/* ranks: 4 */
/* Weightings from losses: golden sequences, what they make of losses that are missing or 0, and whole steps. Batches of 5
 * are uneven on 4 ranks; the 13 samples of an epoch are 3 steps. */
#include "golden.h"
#include "tiny_run.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/run_log.h>

#include <math.h>
#include <string.h>

static const char *const methods[] = {"revised_uncertainty", "imtl_l", "uw_o", "uw_so", "gls", "dwa", "rlw", "famo"};
enum { METHODS = sizeof methods / sizeof *methods, MOST_TASKS = 3 };

static int is_among(const char *method, const char *words)
{
    return strstr(words, method) != NULL;
}

/* ---- single weightings ---- */

static sm_weighting *weighting_new(const char *method, int tasks)
{
    static const char *const names[] = {"a", "b", "c"}, *const losses[] = {"l1", "l2", "huber"};
    static const sm_loss_shape shapes[] = {{1, 0}, {2, 0}, {1, 1}};
    static const char sections[] = "[task.a]\nkind = regression\n[task.b]\nkind = regression\n[task.c]\nkind = "
                                   "regression\n";
    sm_weighting *weighting = NULL;
    sm_config *config = sm_config_new(sm_all_keys());
    char *text = sm_format("[weighting]\nmethod = %s\n%s", method, sections);
    SM_TEST_OK(sm_config_read_text(config, "test.ini", text));
    SM_TEST_OK(sm_weighting_new(config, tasks, names, losses, shapes, &weighting));
    CU_ASSERT_FATAL(weighting != NULL);
    sm_free(text);
    sm_config_free(config);
    return weighting;
}

static const double *state_named(const sm_weighting *weighting, const char *name)
{
    for (int i = 0; i < weighting->state_count; i++) {
        if (strcmp(weighting->states[i].name, name) == 0) {
            return weighting->states[i].values;
        }
    }
    return NULL;
}

/* ---- golden sequences ---- */

enum { GOLDEN_STEPS = 40, GOLDEN_SEED = 11 };
static const double GOLDEN_RATE = 0.1;

typedef struct sequence {
    sm_h5 *file;
    char *group;
    int tasks;
    double bound; /* relative */
} sequence;

/* \return (steps, tasks) numbers, or one a step; NULL if the sequence has none of that name; freed with sm_free() */
static double *numbers(const sequence *s, const char *name)
{
    char *object = sm_format("%s/%s", s->group, name);
    int has = sm_h5_has_dataset(s->file, object);
    sm_free(object);
    return has ? golden_read(s->file, s->group, name, SM_H5_DOUBLE, NULL) : NULL;
}

/* A row of a sequence; NULL expected: it has none. */
static void compare_row(const sequence *s, const double *found, const double *expected, int step)
{
    for (int i = 0; expected && i < s->tasks; i++) {
        double value = expected[step * s->tasks + i];
        SM_TEST_AT_MOST(fabs(found[i] - value), s->bound * (1 + fabs(value)));
    }
}

static void compare_sequence(const sequence *s, sm_weighting *weighting)
{
    double *loss = numbers(s, "loss"), *after = numbers(s, "loss_after"), *epoch = numbers(s, "epoch"),
           *total = numbers(s, "total"), *weight = numbers(s, "weight"), *variance = numbers(s, "s"),
           *slope = numbers(s, "slope"), *logit = numbers(s, "logit");
    const double *own_logit = state_named(weighting, "logit");
    const int active[MOST_TASKS] = {1, 1, 1};
    double learned[MOST_TASKS] = {0}, none[MOST_TASKS] = {0}, found_weight[MOST_TASKS], found_slope[MOST_TASKS];
    sm_weights found = {NAN, found_weight, found_slope};
    CU_ASSERT_FATAL(loss && total && weight);
    CU_ASSERT((variance != NULL) == (weighting->log_variances != NULL));
    CU_ASSERT((after != NULL) == (weighting->kind->learn_from_update != NULL) &&
              (logit != NULL) == (own_logit != NULL));
    for (int i = 0; i < GOLDEN_STEPS; i++) {
        sm_weighting_step step = {.active = active,
                                  .loss = loss + i * s->tasks,
                                  .loss_slope = none,
                                  .log_variance = learned,
                                  .step = i + 1,
                                  .epoch = epoch ? (int64_t)epoch[i] : 0,
                                  .seed = GOLDEN_SEED};
        compare_row(s, own_logit, logit, i);
        compare_row(s, learned, variance, i);
        sm_weighting_weigh(weighting, &step, &found);
        SM_TEST_AT_MOST(fabs(found.total - total[i]), s->bound * (1 + fabs(total[i])));
        compare_row(s, found_weight, weight, i);
        compare_row(s, found_slope, slope ? slope : NULL, i);
        for (int k = 0; k < s->tasks; k++) {
            learned[k] -= GOLDEN_RATE * found_slope[k];
        }
        if (after) {
            step.loss = after + i * s->tasks;
            weighting->kind->learn_from_update(weighting, &step);
        }
    }
    double *const all[] = {loss, after, epoch, total, weight, variance, slope, logit};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        sm_free(all[i]);
    }
}

/* Both in double, up to 40 steps that build on each other; but the project's normal numbers are float. */
static void sequences_are_those_of_published_implementations(void)
{
    sequence s = {.file = golden_open("weightings_losses.h5")};
    for (int m = 0; m < METHODS; m++) {
        for (s.tasks = 2; s.tasks <= MOST_TASKS; s.tasks++) {
            sm_weighting *weighting = weighting_new(methods[m], s.tasks);
            s.bound = is_among(methods[m], "rlw") ? 2e-6 : 1e-12;
            s.group = sm_format("/%s_%d", methods[m], s.tasks);
            compare_sequence(&s, weighting);
            sm_free(s.group);
            sm_weighting_free(weighting);
        }
    }
    sm_h5_close(s.file);
}

/* ---- losses that are missing or 0 ---- */

/* Some steps of tasks a and c, of two epochs; b is inactive and its loss is no number. */
static void weigh_without_b(sm_weighting *weighting, int steps, double a, double c, sm_weights *out)
{
    const int active[] = {1, 0, 1};
    const double loss[] = {a, NAN, c}, after[] = {a / 2, NAN, c}, none[] = {0, 0, 0};
    for (int i = 0; i < steps; i++) {
        sm_weighting_step step = {.active = active,
                                  .loss = loss,
                                  .loss_slope = none,
                                  .log_variance = none,
                                  .step = i + 1,
                                  .epoch = i / 2,
                                  .seed = 5};
        sm_weighting_weigh(weighting, &step, out);
        if (weighting->kind->learn_from_update) {
            step.loss = after;
            weighting->kind->learn_from_update(weighting, &step);
        }
    }
}

static void an_inactive_task_weighs_nothing_and_keeps_its_state(void)
{
    for (int m = 0; m < METHODS; m++) {
        double weight[MOST_TASKS], slope[MOST_TASKS];
        sm_weights found = {NAN, weight, slope};
        sm_weighting *weighting = weighting_new(methods[m], 3), *untouched = weighting_new(methods[m], 3);
        weigh_without_b(weighting, 7, 0.5, 2, &found);
        CU_ASSERT(weight[1] == 0 && slope[1] == 0 && isfinite(found.total));
        CU_ASSERT(weight[0] > 0 && isfinite(weight[0]) && weight[2] > 0 && isfinite(weight[2]));
        for (int i = 0; i < weighting->state_count; i++) {
            const sm_weighting_state *state = &weighting->states[i];
            for (size_t at = 1; at < state->count; at += MOST_TASKS) { /* b's numbers */
                CU_ASSERT(state->values[at] == untouched->states[i].values[at]);
            }
        }
        sm_weighting_free(weighting);
        sm_weighting_free(untouched);
    }
}

static double weight_of(const char *method, int task, double *total)
{
    double weight[MOST_TASKS], slope[MOST_TASKS];
    sm_weights found = {NAN, weight, slope};
    sm_weighting *weighting = weighting_new(method, 3);
    weigh_without_b(weighting, 1, 0.5, 2, &found);
    sm_weighting_free(weighting);
    *total = found.total;
    return weight[task];
}

/* What is shared out is among the active tasks where it follows from losses: two tasks' formulas. */
static void active_tasks_are_weighed_as_if_alone(void)
{
    double total, power = exp(-1.5);
    SM_TEST_AT_MOST(fabs(weight_of("gls", 0, &total) - 1), 1e-15); /* sqrt(0.5 * 2) / (2 * 0.5) */
    SM_TEST_AT_MOST(fabs(total - 1), 1e-15);
    SM_TEST_AT_MOST(fabs(weight_of("uw_so", 2, &total) - power / (1 + power)), 1e-15);
    SM_TEST_AT_MOST(fabs(weight_of("famo", 0, &total) - 0.8), 1e-7); /* 1/2 / 0.5 over 1/2 / 0.5 + 1/2 / 2 */
    SM_TEST_AT_MOST(fabs(weight_of("uw_o", 2, &total) - 0.5), 1e-15);
}

static void losses_that_vanish_give_finite_weights(void)
{
    for (int m = 0; m < METHODS; m++) {
        for (int both = 0; both < 2; both++) {
            double weight[MOST_TASKS], slope[MOST_TASKS];
            sm_weights found = {NAN, weight, slope};
            sm_weighting *weighting = weighting_new(methods[m], 3);
            weigh_without_b(weighting, 7, 0, both ? 0 : 3, &found);
            CU_ASSERT(isfinite(found.total));
            for (int i = 0; i < MOST_TASKS; i++) {
                CU_ASSERT(isfinite(weight[i]) && isfinite(slope[i]));
            }
            for (int i = 0; i < weighting->state_count; i++) {
                for (size_t at = 0; at < weighting->states[i].count; at++) {
                    CU_ASSERT(isfinite(weighting->states[i].values[at]));
                }
            }
            sm_weighting_free(weighting);
        }
    }
}

/* The update may have broken the network: the next step finds out, the logits stay numbers. */
static void logits_do_not_learn_from_losses_that_are_not_finite(void)
{
    const int active[] = {1, 1, 1};
    const double loss[] = {1, 2, 3}, after[][3] = {{0.5, NAN, 3}, {0.5, INFINITY, 3}, {0.5, 2, 3}};
    double weight[MOST_TASKS], slope[MOST_TASKS];
    sm_weights found = {NAN, weight, slope};
    sm_weighting *weighting = weighting_new("famo", 3);
    const double *logit = state_named(weighting, "logit"), *updates = state_named(weighting, "updates");
    sm_weighting_step step = {.active = active, .loss = loss, .step = 1};
    sm_weighting_weigh(weighting, &step, &found);
    for (int i = 0; i < 3; i++) {
        step.loss = after[i];
        weighting->kind->learn_from_update(weighting, &step);
        CU_ASSERT((logit[0] == 0 && updates[0] == 0) == (i < 2));
    }
    CU_ASSERT(logit[0] < 0 && logit[1] > 0); /* the one that fell loses weight */
    sm_weighting_free(weighting);
}

/* ---- whole steps ---- */

/* \return "weighting.method=..." of a method; freed with sm_free() */
static char *set_of(int method)
{
    return sm_format("weighting.method=%s", methods[method]);
}

static void open_method(tiny_run *run, sm_comm *comm, int method, const char *other)
{
    char *set = set_of(method);
    const char *const sets[] = {set, other, NULL};
    tiny_open(run, comm, tiny_config(sets));
    sm_free(set);
}

static int same_state(const tiny_run *a, const tiny_run *b)
{
    const sm_weighting *x = a->session->weighting, *y = b->session->weighting;
    int same = x->state_count == y->state_count;
    for (int i = 0; same && i < x->state_count; i++) {
        same = memcmp(x->states[i].values, y->states[i].values, x->states[i].count * sizeof(double)) == 0;
    }
    return same && memcmp(a->trainer->record.weight, b->trainer->record.weight, TINY_TASKS * sizeof(double)) == 0;
}

static int same_parameters(const tiny_run *a, const tiny_run *b)
{
    return tiny_same_bits(a->session->values, b->session->values, tiny_parameter_floats(a)) &&
           tiny_same_bits(a->session->buffers, b->session->buffers, tiny_buffer_floats(a));
}

/* Seven steps are two epochs and the first of the third, which dwa weighs by their means. */
static void reproducible_gives_the_same_bits_on_any_ranks(void)
{
    for (int m = 0; m < METHODS; m++) {
        if (!is_among(methods[m], "revised_uncertainty gls dwa rlw famo")) {
            continue; /* one each of a way to find weights */
        }
        tiny_run many, one;
        open_method(&many, test_comm, m, "distributed.reproducible=true");
        open_method(&one, sm_comm_self(), m, "distributed.reproducible=true");
        int steps = is_among(methods[m], "dwa") ? 7 : 2;
        tiny_steps(&many, steps);
        tiny_steps(&one, steps);
        CU_ASSERT(many.trainer->record.applied && same_state(&many, &one) && same_parameters(&many, &one));
        sm_comm_barrier(test_comm);
        tiny_close(&many);
        tiny_close(&one);
    }
}

/* Losses are added in another order: they differ by roundings of double, their gradients by those of float. */
static void n_ranks_weigh_as_one(void)
{
    for (int m = 0; m < METHODS; m++) {
        if (!is_among(methods[m], "famo")) {
            continue; /* the test above has others */
        }
        tiny_run many, one;
        open_method(&many, test_comm, m, NULL);
        open_method(&one, sm_comm_self(), m, NULL);
        tiny_steps(&many, 2);
        tiny_steps(&one, 2);
        for (int i = 0; i < TINY_TASKS; i++) {
            double expected = one.trainer->record.weight[i];
            SM_TEST_AT_MOST(fabs(many.trainer->record.weight[i] / expected - 1), 2e-5);
        }
        tiny_same_on_all_ranks(many.session->values, tiny_parameter_floats(&many));
        sm_comm_barrier(test_comm);
        tiny_close(&many);
        tiny_close(&one);
    }
}

/* After the fourth step, in the middle of an epoch; three more begin the third. */
static void a_resumed_run_ends_with_the_same_bits(void)
{
    for (int m = 0; m < METHODS; m++) {
        if (!is_among(methods[m], "revised_uncertainty imtl_l dwa rlw famo")) {
            continue; /* nothing is kept */
        }
        char *path = sm_format("%s/%s.h5", sm_test_folder(), methods[m]);
        tiny_run whole, resumed;
        open_method(&whole, test_comm, m, NULL);
        open_method(&resumed, test_comm, m, NULL);
        tiny_steps(&whole, 4);
        SM_TEST_OK(sm_checkpoint_save(whole.trainer, path, NULL, "", NAN));
        SM_TEST_OK(sm_checkpoint_load(resumed.session, resumed.trainer, path, 0));
        tiny_start_loader(&resumed);
        tiny_steps(&whole, 3);
        tiny_steps(&resumed, 3);
        CU_ASSERT(same_state(&whole, &resumed) && same_parameters(&whole, &resumed));
        sm_comm_barrier(test_comm);
        tiny_close(&whole);
        tiny_close(&resumed);
        sm_free(path);
    }
}

static void a_skipped_step_changes_no_state(void)
{
    for (int m = 0; m < METHODS; m++) {
        if (!is_among(methods[m], "dwa famo")) {
            continue; /* there is none */
        }
        tiny_run run;
        int done;
        double before[SM_WEIGHTING_STATES_MAX][2 * TINY_TASKS];
        open_method(&run, test_comm, m, NULL);
        const sm_weighting *weighting = run.session->weighting;
        tiny_steps(&run, 3);
        for (int i = 0; i < weighting->state_count; i++) {
            memcpy(before[i], weighting->states[i].values, weighting->states[i].count * sizeof(double));
        }
        SM_TEST_OK(
            sm_trainer_step_from(run.trainer, tiny_next_spoiled, &run, 0, &done)); /* would end dwa's first epoch */
        CU_ASSERT(run.trainer->skipped == 1);
        for (int i = 0; i < weighting->state_count; i++) {
            CU_ASSERT(memcmp(before[i], weighting->states[i].values, weighting->states[i].count * sizeof(double)) == 0);
        }
        tiny_steps(&run, 1);
        CU_ASSERT(run.trainer->record.applied);
        tiny_close(&run);
    }
}

static void expect_logged(const char *path, const char *object, double value)
{
    sm_h5 *file = NULL;
    double rows[2];
    SM_TEST_OK(sm_h5_open(path, &file));
    SM_TEST_OK(sm_h5_read_rows(file, object, SM_H5_DOUBLE, 0, 2, 1, rows));
    CU_ASSERT(rows[0] != rows[1] && rows[1] == value);
    sm_h5_close(file);
}

/* A row a step, as they are after it. */
static void what_is_kept_of_each_task_is_logged(void)
{
    char *path = sm_format("%s/run.h5", sm_test_folder());
    int famo = METHODS - 1;
    tiny_run run;
    sm_run_log *log = NULL;
    sm_run_log_kept kept;
    open_method(&run, test_comm, famo, NULL);
    int writes = sm_comm_rank(test_comm) == 0;
    SM_TEST_OK(writes ? sm_run_log_open(path, run.session, "", NULL, 0, &kept, &log) : SM_OK);
    for (int step = 0; step < 2; step++) {
        tiny_steps(&run, 1);
        SM_TEST_OK(writes ? sm_run_log_step(log, &run.trainer->record) : SM_OK);
    }
    SM_TEST_OK(sm_run_log_close(log));
    if (writes) {
        expect_logged(path, "/weighting/logit/depth", state_named(run.session->weighting, "logit")[2]);
        expect_logged(path, "/weighting/updates/semantic", 2);
    }
    sm_comm_barrier(test_comm);
    tiny_close(&run);
    sm_free(path);
}

/* ---- the second forward ---- */

static double seen_after[TINY_TASKS];

static void weigh_equally(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    for (int i = 0; i < weighting->count; i++) {
        out->weight[i] = 1.0 / weighting->count;
        out->total += out->weight[i] * step->loss[i];
    }
}

static void see_losses(sm_weighting *weighting, const sm_weighting_step *step)
{
    memcpy(seen_after, step->loss, (size_t)weighting->count * sizeof *seen_after);
}

static const sm_weighting_kind watching = {
    .name = "watching", .needs = SM_WEIGHTING_NEEDS_LOSSES, .weigh = weigh_equally, .learn_from_update = see_losses};

static void open_watching(tiny_run *run, const char *dropout, const char *other)
{
    const char *const sets[] = {"weighting.method=equal", dropout, other, NULL};
    SM_TEST_OK(tiny_open_weighted(run, test_comm, tiny_config(sets), &watching));
}

/* The same batch again and again. */
static sm_status next_same(void *user, const sm_batch **batch)
{
    tiny_run *run = user;
    static sm_batch kept;
    if (run->trainer->step == 0) {
        SM_TEST_OK(sm_loader_next(run->loader, batch));
        kept = **batch;
    }
    *batch = &kept;
    return SM_OK;
}

/* Without dropout, a step's losses do not depend on its number: the next step on the same batch begins with them. */
static void the_losses_after_the_update_are_those_of_the_next_step(void)
{
    tiny_run run;
    int done;
    double after[TINY_TASKS];
    open_watching(&run, "model.dropout=0", NULL);
    SM_TEST_OK(sm_trainer_step_from(run.trainer, next_same, &run, 0, &done));
    memcpy(after, seen_after, sizeof after);
    double before = run.trainer->record.task_loss[0];
    SM_TEST_OK(sm_trainer_step_from(run.trainer, next_same, &run, 0, &done));
    CU_ASSERT(memcmp(after, run.trainer->record.task_loss, sizeof after) == 0);
    CU_ASSERT(after[0] != before);
    tiny_close(&run);
}

static void watch_two_steps(const char *rate, int same_losses)
{
    static const char dropout[] = "model.dropout=0.4";
    const char *const sets[] = {"weighting.method=equal", dropout, rate, NULL};
    tiny_run twice, once;
    open_watching(&twice, dropout, rate);
    tiny_open(&once, test_comm, tiny_config(sets));
    tiny_steps(&twice, 2);
    tiny_steps(&once, 2);
    CU_ASSERT((memcmp(seen_after, twice.trainer->record.task_loss, sizeof seen_after) == 0) == same_losses);
    CU_ASSERT(same_parameters(&twice, &once));
    sm_comm_barrier(test_comm);
    tiny_close(&twice);
    tiny_close(&once);
}

/* Where the update changes nothing, neither do the losses, to the bit: the same units are dropped, the same statistics
 * normalise; and the batch is counted once in the running ones, whatever the update. */
static void the_second_forward_is_the_first_again(void)
{
    watch_two_steps("optimizer.learning_rate=0", 1);
    watch_two_steps("optimizer.learning_rate=0.02", 0);
}

/* ---- what cannot be ---- */

static void weightings_of_the_batch_refuse_parts_of_it_by_name(void)
{
    for (int m = 0; m < METHODS; m++) {
        char *set = set_of(m);
        const char *const sets[] = {set, "distributed.micro_batches=2", NULL};
        tiny_run run;
        sm_status status = tiny_open_weighted(&run, test_comm, tiny_config(sets), NULL);
        int allowed = is_among(methods[m], "rlw revised_uncertainty imtl_l");
        CU_ASSERT(status == (allowed ? SM_OK : SM_ERR_CONFIG));
        if (status == SM_OK) {
            tiny_steps(&run, 1);
            CU_ASSERT(run.trainer->record.applied);
        } else {
            SM_TEST_MESSAGE("micro_batches");
            SM_TEST_MESSAGE(methods[m]);
        }
        tiny_close(&run);
        sm_free(set);
    }
}

static void losses_that_may_be_negative_are_refused_by_name(void)
{
    for (int m = 0; m < METHODS; m++) {
        char *set = set_of(m);
        const char *const sets[] = {set, "task.depth.uncertainty=per_pixel", NULL};
        sm_config *config = tiny_config(sets);
        int allowed = is_among(methods[m], "rlw");
        CU_ASSERT(sm_session_check_config(config) == (allowed ? SM_OK : SM_ERR_CONFIG));
        if (!allowed) {
            SM_TEST_MESSAGE("task.depth");
            SM_TEST_MESSAGE("uncertainty");
            SM_TEST_MESSAGE(methods[m]);
        }
        sm_config_free(config);
        sm_free(set);
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(sequences_are_those_of_published_implementations);
    SM_TEST(an_inactive_task_weighs_nothing_and_keeps_its_state);
    SM_TEST(active_tasks_are_weighed_as_if_alone);
    SM_TEST(losses_that_vanish_give_finite_weights);
    SM_TEST(logits_do_not_learn_from_losses_that_are_not_finite);
    SM_TEST(reproducible_gives_the_same_bits_on_any_ranks);
    SM_TEST(n_ranks_weigh_as_one);
    SM_TEST(a_resumed_run_ends_with_the_same_bits);
    SM_TEST(a_skipped_step_changes_no_state);
    SM_TEST(what_is_kept_of_each_task_is_logged);
    SM_TEST(the_losses_after_the_update_are_those_of_the_next_step);
    SM_TEST(the_second_forward_is_the_first_again);
    SM_TEST(weightings_of_the_batch_refuse_parts_of_it_by_name);
    SM_TEST(losses_that_may_be_negative_are_refused_by_name);
    return sm_test_end();
}
