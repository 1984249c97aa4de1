/* ranks: 4 */
/* Groups of tasks: against published numbers, in closed form, and in training. Batches of 5 are uneven on 4 ranks. */
#include "golden.h"
#include "tiny_run.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/report.h>
#include <sigmatic/train/run_log.h>

#include "train/resume_changes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 12 };

/* ---- single weightings ---- */

/* Tasks "a", "b", ... with keys, "section.key=value" separated by ';'. \return what sm_weighting_new() says */
static sm_status try_weighting(int tasks, const char *const *losses, const sm_loss_shape *shapes, const char *keys,
                               sm_weighting **out)
{
    static const char *const names[MOST] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    static const char *const all_l1[MOST] = {"l1", "l1", "l1", "l1", "l1", "l1", "l1", "l1", "l1", "l1", "l1", "l1"};
    static const sm_loss_shape ones[MOST] = {{1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0},
                                             {1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}};
    sm_config *config = sm_config_new(sm_all_keys());
    char *rest = sm_strdup(keys);
    for (int i = 0; i < tasks; i++) {
        char *kind = sm_format("task.%s.kind=regression", names[i]);
        SM_TEST_OK(sm_config_set(config, kind));
        sm_free(kind);
    }
    for (char *key = strtok(rest, ";"); key; key = strtok(NULL, ";")) {
        SM_TEST_OK(sm_config_set(config, key));
    }
    sm_status status = sm_weighting_new(config, tasks, names, losses ? losses : all_l1, shapes ? shapes : ones, out);
    sm_free(rest);
    sm_config_free(config);
    return status;
}

static sm_weighting *make(int tasks, const char *method, const char *keys)
{
    sm_weighting *weighting = NULL;
    char *all = sm_format("weighting.method=%s;%s", method, keys);
    SM_TEST_OK(try_weighting(tasks, NULL, NULL, all, &weighting));
    CU_ASSERT_FATAL(weighting != NULL);
    sm_free(all);
    return weighting;
}

/* What a weighting says of a step. */
typedef struct answer {
    double total, weight[MOST], slope[MOST], coefficient[MOST];
} answer;

static answer ask(sm_weighting *weighting, const sm_weighting_step *step)
{
    answer a = {0};
    sm_weights out = {0, a.weight, a.slope};
    sm_weighting_weigh(weighting, step, &out);
    a.total = out.total;
    if (step->gram) {
        sm_weighting_combine(weighting, step, &out, a.coefficient);
    }
    return a;
}

static const int all_active[MOST] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const double none[MOST];

static void find_gram(int tasks, int size, const double *gradients, double *gram)
{
    for (int i = 0; i < tasks * tasks; i++) {
        gram[i] = 0;
        for (int d = 0; d < size; d++) {
            gram[i] += gradients[i / tasks * size + d] * gradients[i % tasks * size + d];
        }
    }
}

static int same_states(const sm_weighting *a, const sm_weighting *b)
{
    int same = a->state_count == b->state_count;
    for (int i = 0; same && i < a->state_count; i++) {
        same = a->states[i].count == b->states[i].count &&
               memcmp(a->states[i].values, b->states[i].values, a->states[i].count * sizeof(double)) == 0;
    }
    return same;
}

/* A name alone changes no bit, with any method. */
static void a_group_of_one_is_no_group(void)
{
    enum { TASKS = 3, STEPS = 12, SIZE = 8 };
    for (int m = 0; sm_weighting_kinds[m]; m++) {
        sm_weighting *plain = make(TASKS, sm_weighting_kinds[m]->name, ""),
                     *named = make(TASKS, sm_weighting_kinds[m]->name, "task.a.group=x;task.c.group=z");
        CU_ASSERT(!plain->sums && named->sums && named->count == TASKS);
        sm_random random = sm_random_new(3, 0, 0);
        for (int t = 0; t < STEPS; t++) {
            double gradients[TASKS * SIZE], gram[TASKS * TASKS], loss[TASKS], after[TASKS], s[TASKS];
            for (int i = 0; i < TASKS * SIZE; i++) {
                gradients[i] = sm_random_normal(&random);
            }
            find_gram(TASKS, SIZE, gradients, gram);
            for (int i = 0; i < TASKS; i++) {
                loss[i] = exp(sm_random_normal(&random));
                after[i] = 0.9 * loss[i];
                s[i] = sm_random_normal(&random);
            }
            const int active[TASKS] = {1, t % 4 != 3, 1};
            int by_gradients = plain->needs >= SM_WEIGHTING_NEEDS_SHARED_GRADIENTS;
            sm_weighting_step step = {.active = active,
                                      .loss = loss,
                                      .loss_slope = none,
                                      .log_variance = s,
                                      .gram = by_gradients ? gram : NULL,
                                      .step = t + 1,
                                      .epoch = t / 3,
                                      .seed = 7};
            answer x = ask(plain, &step), y = ask(named, &step);
            CU_ASSERT(memcmp(&x, &y, sizeof x) == 0);
            step.loss = after;
            for (int w = 0; plain->kind->learn_from_update && w < 2; w++) {
                sm_weighting_learn_from_update(w ? named : plain, &step);
            }
            CU_ASSERT(same_states(plain, named));
        }
        sm_weighting_free(plain);
        sm_weighting_free(named);
    }
}

/* ---- against published programs: what they say of a task holds of a group whose loss is the task's ---- */

/* The first task is a group of two, and a third that is inactive. */
static const double SHARES[] = {2, 0.5, 3};
static const char SPLIT[] = "task.a.group=first;task.b.group=first;task.c.group=first;task.a.group_weight=2;"
                            "task.b.group_weight=0.5;task.c.group_weight=3;";
enum { PARTS = 3, MORE = PARTS - 1 };
static const int split_active[MOST] = {1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* \param [out] split  losses of one task more than two: w_a L_a + w_b L_b is the first's */
static void split_losses(int tasks, const double *loss, double *split)
{
    split[0] = 0.3 * loss[0] / SHARES[0];
    split[1] = 0.7 * loss[0] / SHARES[1];
    split[2] = NAN;
    memcpy(split + PARTS, loss + 1, (size_t)(tasks - 1) * sizeof *loss);
}

/* \param part  0: the factors of the group's tasks are in what was found; 1: they are not */
static void compare_split(int tasks, const double *found, const double *expected, int alike, double bound)
{
    for (int i = 0; i < tasks + MORE; i++) {
        double by = i < PARTS && !alike ? SHARES[i] * split_active[i] : 1;
        double value = by * expected[i < PARTS ? 0 : i - MORE];
        SM_TEST_AT_MOST(fabs(found[i] - value), bound * (fabs(value) + 1e-3));
    }
}

static void a_group_learns_as_published_programs_from_losses(void)
{
    static const char *const methods[] = {
        "revised_uncertainty", "imtl_l", "uw_o", "uw_so", "gls", "dwa", "rlw", "famo"};
    enum { TASKS = 3, STEPS = 40, SEED = 11 };
    const double rate = 0.1;
    sm_h5 *file = golden_open("weightings_losses.h5");
    for (int m = 0; m < (int)(sizeof methods / sizeof *methods); m++) {
        char *group = sm_format("/%s_3", methods[m]);
        char *after_name = sm_format("%s/loss_after", group), *epoch_name = sm_format("%s/epoch", group);
        char *slope_name = sm_format("%s/slope", group);
        double *loss = golden_read(file, group, "loss", SM_H5_DOUBLE, NULL),
               *total = golden_read(file, group, "total", SM_H5_DOUBLE, NULL),
               *weight = golden_read(file, group, "weight", SM_H5_DOUBLE, NULL);
        double *after =
            sm_h5_has_dataset(file, after_name) ? golden_read(file, group, "loss_after", SM_H5_DOUBLE, NULL) : NULL;
        double *epoch =
            sm_h5_has_dataset(file, epoch_name) ? golden_read(file, group, "epoch", SM_H5_DOUBLE, NULL) : NULL;
        double *slope =
            sm_h5_has_dataset(file, slope_name) ? golden_read(file, group, "slope", SM_H5_DOUBLE, NULL) : NULL;
        double learned[TASKS + MORE] = {0};
        double bound = strcmp(methods[m], "rlw") == 0 ? 2e-6 : 1e-11; /* the project's normal numbers are float */
        sm_weighting *weighting = make(TASKS + MORE, methods[m], SPLIT);
        CU_ASSERT(weighting->count == TASKS && (after != NULL) == (weighting->kind->learn_from_update != NULL) &&
                  (slope != NULL) == weighting->kind->learns_log_variances);
        for (int t = 0; t < STEPS; t++) {
            double split[TASKS + MORE], split_after[TASKS + MORE];
            split_losses(TASKS, loss + (ptrdiff_t)t * TASKS, split);
            sm_weighting_step step = {.active = split_active,
                                      .loss = split,
                                      .loss_slope = none,
                                      .log_variance = learned,
                                      .step = t + 1,
                                      .epoch = epoch ? (int64_t)epoch[t] : 0,
                                      .seed = SEED};
            answer found = ask(weighting, &step);
            SM_TEST_AT_MOST(fabs(found.total - total[t]), bound * (1 + fabs(total[t])));
            compare_split(TASKS, found.weight, weight + (ptrdiff_t)t * TASKS, 0, bound);
            if (slope) { /* the s of a group is one: of the inactive task too */
                compare_split(TASKS, found.slope, slope + (ptrdiff_t)t * TASKS, 1, bound);
            }
            for (int i = 0; i < TASKS + MORE; i++) {
                learned[i] -= rate * found.slope[i];
            }
            if (after) {
                split_losses(TASKS, after + (ptrdiff_t)t * TASKS, split_after);
                step.loss = split_after;
                sm_weighting_learn_from_update(weighting, &step);
            }
        }
        sm_weighting_free(weighting);
        double *const arrays[] = {loss, total, weight, after, epoch, slope};
        for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
            sm_free(arrays[i]);
        }
        char *const names[] = {group, after_name, epoch_name, slope_name};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            sm_free(names[i]);
        }
    }
    sm_h5_close(file);
}

/* w_a g_a + w_b g_b is the first's, and g_a is that of the first from its end. */
static void split_gradients(int tasks, int size, const double *gradients, double *split)
{
    for (int d = 0; d < size; d++) {
        split[d] = gradients[size - 1 - d];
        split[size + d] = (gradients[d] - SHARES[0] * split[d]) / SHARES[1];
        split[2 * size + d] = 0;
    }
    memcpy(split + PARTS * size, gradients + size, (size_t)(tasks - 1) * (size_t)size * sizeof *split);
}

static int cases_seen;

static void compare_gradients(golden_case *from)
{
    char *method = NULL, *keys = NULL;
    sm_h5_info info;
    SM_TEST_OK(sm_h5_read_attribute_text(from->file, from->group, "method", &method));
    SM_TEST_OK(sm_h5_read_attribute_text(from->file, from->group, "keys", &keys));
    double *gradients = golden_read(from->file, from->group, "gradients", SM_H5_DOUBLE, &info);
    double *losses = golden_read(from->file, from->group, "losses", SM_H5_DOUBLE, NULL);
    double *expected = golden_read(from->file, from->group, "coefficients", SM_H5_DOUBLE, NULL);
    double bound = golden_attribute_double(from, "tolerance");
    int steps = (int)info.shape[0], tasks = (int)info.shape[1], size = (int)info.shape[2], more = tasks + MORE;
    double *split = sm_alloc((size_t)more * (size_t)size * sizeof *split), gram[MOST * MOST], loss[MOST];
    char *all = sm_format("%s%s", SPLIT, keys);
    sm_weighting *weighting = make(more, method, all);
    for (int t = 0; t < steps; t++) {
        split_gradients(tasks, size, gradients + (ptrdiff_t)t * tasks * size, split);
        split_losses(tasks, losses + (ptrdiff_t)t * tasks, loss);
        find_gram(more, size, split, gram);
        const sm_weighting_step step = {.active = split_active,
                                        .loss = loss,
                                        .loss_slope = none,
                                        .log_variance = none,
                                        .gram = gram,
                                        .step = t + 1,
                                        .seed = 7};
        answer found = ask(weighting, &step);
        /* the sum over pairs of tasks cancels where a combination is near 0: more roundings than in the golden's own dot products */
        compare_split(tasks, found.coefficient, expected + (ptrdiff_t)t * tasks, 0, fmax(bound, 1e-7));
    }
    cases_seen++;
    sm_weighting_free(weighting);
    sm_free(gradients);
    sm_free(losses);
    sm_free(expected);
    sm_free(split);
    sm_free(all);
    sm_free(method);
    sm_free(keys);
}

static void a_group_is_combined_as_published_programs_combine_its_gradient(void)
{
    sm_h5 *file = golden_open("weightings_gradients.h5");
    golden_for_each(file, "/cases", compare_gradients);
    CU_ASSERT(cases_seen == 30);
    sm_h5_close(file);
}

/* ---- one log-variance of several tasks ---- */

/* A group of two tasks of one likelihood, and the term that the paper has for each. */
static const struct {
    const char *loss, *likelihood;
    double dimensions[2], delta;
} shared[] = {
    {"l2", "gaussian", {1, 3}, 0},
    {"l1", "laplace", {2, 1}, 0},
    {"l1", "paper_l1", {2, 1}, 0},
    {"huber", "huber", {1, 2}, 0.7},
    {"cosine", "von_mises_fisher", {3, 3}, 0},
    {"cross_entropy", "categorical", {1, 1}, 0},
    {"binary_cross_entropy", "categorical", {4, 7}, 0},
    {"cross_entropy", "categorical_scaled", {1, 1}, 0},
};

static const double WEIGHTS[] = {2, 0.25}, LOSSES[] = {0.9, 0.35}, SLOPES[] = {0.2, -0.4};

/* The sum of the tasks' terms, each counted w times; at the group's minimiser it has no slope. */
static void a_group_has_the_joint_likelihood_of_its_tasks(void)
{
    const double s[] = {0.3, 0.3};
    for (size_t r = 0; r < sizeof shared / sizeof *shared; r++) {
        const char *const losses[] = {shared[r].loss, shared[r].loss};
        const sm_loss_shape shapes[] = {{shared[r].dimensions[0], shared[r].delta},
                                        {shared[r].dimensions[1], shared[r].delta}};
        char *keys = sm_format("task.a.group=g;task.b.group=g;task.a.group_weight=%g;task.b.group_weight=%g;"
                               "task.a.likelihood=%s;task.b.likelihood=%s",
                               WEIGHTS[0], WEIGHTS[1], shared[r].likelihood, shared[r].likelihood);
        sm_weighting *weighting = NULL;
        SM_TEST_OK(try_weighting(2, losses, shapes, keys, &weighting));
        CU_ASSERT_FATAL(weighting != NULL && weighting->count == 1);
        const sm_likelihood *likelihood = sm_likelihood_find(shared[r].likelihood);
        sm_weighting_step step = {.active = all_active, .loss = LOSSES, .loss_slope = SLOPES, .log_variance = s};
        answer found = ask(weighting, &step);
        double total = 0, slope = 0, loss = 0, dimensions = 0, weights = WEIGHTS[0] + WEIGHTS[1];
        for (int i = 0; i < 2; i++) {
            total += WEIGHTS[i] * likelihood->term(LOSSES[i], s[i], shapes[i]);
            slope += WEIGHTS[i] * likelihood->slope(LOSSES[i], SLOPES[i], s[i], shapes[i]);
            loss += WEIGHTS[i] * LOSSES[i];
            dimensions += WEIGHTS[i] * shapes[i].dimensions / weights;
            SM_TEST_AT_MOST(fabs(found.weight[i] - WEIGHTS[i] * likelihood->weight(s[i])), 1e-15);
        }
        SM_TEST_AT_MOST(fabs(found.total - total), 1e-14);
        SM_TEST_AT_MOST(fabs(found.slope[0] - slope), 1e-14);
        CU_ASSERT(found.slope[1] == found.slope[0]);
        double best =
            sm_likelihood_minimiser_of_group(likelihood, loss, weights, (sm_loss_shape){dimensions, shared[r].delta});
        const double there[] = {best, best};
        step.log_variance = there;
        if (!likelihood->scales_logits) {
            SM_TEST_AT_MOST(fabs(ask(weighting, &step).slope[0]), 1e-12);
        }
        sm_weighting_free(weighting);
        sm_free(keys);
    }
}

/* \return a number of a task in what sm_report_set_losses() makes */
static double reported(const sm_json *json, const char *task, const char *key)
{
    char *text = sm_json_text(json), *name = sm_format("\"%s\":{", task), *number = sm_format("\"%s\":", key);
    const char *at = strstr(text, name);
    at = at ? strstr(at, number) : NULL;
    double value = at ? strtod(at + strlen(number), NULL) : NAN;
    sm_free(text);
    sm_free(name);
    sm_free(number);
    return value;
}

/* Residuals of 100 and of 300 numbers whose variances are 4 and 16: that of all is their mean, by how many there are. In the
 * minimiser of a Gaussian the sum of the weights cancels; in that of paper_l1, which knows no dimensions, it does not. */
static void the_sigma_at_minimum_is_that_of_all_residuals_of_the_group(void)
{
    static const char *const names[] = {"gaussian", "paper_l1"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        const sm_likelihood *likelihood = sm_likelihood_find(names[n]);
        const sm_loss_row rows[] = {{"few", likelihood, {1, 0}, "m", 4, 1, 0, 1, "together", 1},
                                    {"other", likelihood, {1, 0}, "m", 9, 1, 0, 1, "other", 1},
                                    {"many", likelihood, {1, 0}, "m", 16, 1, 0, 1, "together", 3}};
        sm_json *json = sm_json_new();
        sm_report_set_losses(json, rows, 3);
        SM_TEST_AT_MOST(fabs(reported(json, "few", "sigma_at_minimum") - sqrt(13)), 1e-12);
        SM_TEST_AT_MOST(fabs(reported(json, "many", "sigma_at_minimum") - sqrt(13)), 1e-12);
        SM_TEST_AT_MOST(fabs(reported(json, "other", "sigma_at_minimum") - 3), 1e-12);
        SM_TEST_AT_MOST(fabs(reported(json, "many", "group_weight") - 3), 0);
        sm_json_free(json);
    }
}

/* A task without a valid pixel leaves its group to the others; a group without an active task is as an inactive task. */
static void inactive_tasks_add_nothing(void)
{
    static const char pair[] = "task.a.group=g;task.b.group=g;task.b.group_weight=0.5";
    const int one[] = {0, 1, 1}, no[] = {0, 0, 1};
    const double loss[] = {NAN, 0.4, 0.7}, s[] = {0.1, 0.1, -0.2};
    sm_weighting *weighting = make(3, "uncertainty", pair), *gls = make(3, "gls", pair);
    sm_weighting_step step = {.active = one, .loss = loss, .loss_slope = none, .log_variance = s};
    answer found = ask(weighting, &step);
    double term_b = exp(-0.05) * 0.4 + 0.05, term_c = exp(0.1) * 0.7 - 0.1; /* exp(-s/2) L + s/2 */
    SM_TEST_AT_MOST(fabs(found.total - (0.5 * term_b + term_c)), 1e-15);
    CU_ASSERT(found.weight[0] == 0 && found.slope[0] == found.slope[1] && found.slope[1] != 0);
    CU_ASSERT(sm_weighting_group_is_active(weighting, one, 0) && sm_weighting_group_is_active(weighting, one, 1));
    found = ask(gls, &step);
    SM_TEST_AT_MOST(fabs(found.total - sqrt(0.5 * 0.4 * 0.7)), 1e-15);
    step.active = no;
    found = ask(weighting, &step);
    SM_TEST_AT_MOST(fabs(found.total - term_c), 1e-15);
    CU_ASSERT(found.weight[0] == 0 && found.weight[1] == 0 && found.slope[0] == 0 && found.slope[1] == 0);
    CU_ASSERT(!sm_weighting_group_is_active(weighting, no, 0) && sm_weighting_group_is_active(weighting, no, 2));
    found = ask(gls, &step);
    SM_TEST_AT_MOST(fabs(found.total - 0.7), 1e-15);
    sm_weighting_free(weighting);
    sm_weighting_free(gls);
}

static void groups_are_named_by_their_tasks(void)
{
    sm_weighting *weighting = make(4, "equal", "task.a.group=d;task.c.group=y;task.b.group=y;task.b.group_weight=0.25");
    char *words = sm_weighting_describe_groups(weighting);
    CU_ASSERT_STRING_EQUAL(words, "d (a, d), y (0.25 b, c)");
    sm_free(words);
    sm_weighting_free(weighting);
    weighting = make(2, "equal", "");
    CU_ASSERT_PTR_NULL(sm_weighting_describe_groups(weighting));
    sm_weighting_free(weighting);
}

static void refuses(const char *const *losses, const char *keys, const char *key, const char *part)
{
    static const sm_loss_shape shapes[] = {{1, 1}, {1, 2}};
    sm_weighting *weighting = NULL;
    CU_ASSERT_EQUAL(try_weighting(2, losses, shapes, keys, &weighting), SM_ERR_CONFIG);
    CU_ASSERT_PTR_NULL(weighting);
    SM_TEST_MESSAGE(key);
    SM_TEST_MESSAGE(part);
}

#define BOTH "task.a.group=g;task.b.group=g;"

static void what_cannot_be_shared_is_refused(void)
{
    static const char *const different[] = {"l1", "l2"}, *const alike[] = {"l1", "l1"},
                             *const huber[] = {"huber", "huber"}, *const pixels[] = {"per_pixel", "l1"};
    refuses(alike, "task.b.group=two words", "[task.b] group", "letters, digits and _");
    refuses(alike, "task.b.group=2nd", "[task.b] group", "letters, digits and _");
    refuses(different, BOTH, "[task.b] group",
            "'b' has the likelihood gaussian, task 'a' of the same group 'g' laplace");
    refuses(alike, BOTH "task.a.likelihood=paper_l1", "[task.b] group", "paper_l1");
    refuses(pixels, BOTH, "[task.b] group", "per_pixel");
    refuses(huber, BOTH, "[task.b] huber_delta", "expected 1, as task 'a'");
    refuses(alike, BOTH "task.b.log_variance=1", "[task.b] log_variance", "expected 0, as task 'a'");
    refuses(different, BOTH "weighting.method=fixed;task.a.weight=3", "[task.b] weight", "expected 3, as task 'a'");
    refuses(pixels, BOTH "weighting.method=gls", "[task.a] uncertainty", "per_task");
    sm_weighting *fine = NULL; /* no sigma is shared */
    SM_TEST_OK(try_weighting(2, different, NULL, BOTH "weighting.method=revised_uncertainty", &fine));
    sm_weighting_free(fine);
    SM_TEST_OK(try_weighting(2, pixels, NULL, BOTH "weighting.method=equal", &fine));
    sm_weighting_free(fine);
}

/* ---- in training ---- */

#define GEOMETRY "task.instance.group=geometry", "task.depth.group=geometry", "task.instance.group_weight=0.5"
enum { INSTANCE = 1, DEPTH = 2 };

static int same_runs(const tiny_run *a, const tiny_run *b)
{
    return tiny_same_bits(a->session->values, b->session->values, tiny_parameter_floats(a)) &&
           tiny_same_bits(a->session->buffers, b->session->buffers, tiny_buffer_floats(a)) &&
           same_states(a->session->weighting, b->session->weighting);
}

static void close_both(tiny_run *a, tiny_run *b)
{
    sm_comm_barrier(test_comm);
    tiny_close(a);
    tiny_close(b);
}

static void a_group_of_fixed_weight_is_its_tasks_weighed_by_hand(void)
{
    static const char *const grouped[] = {"weighting.method=fixed", GEOMETRY, "task.instance.weight=2",
                                          "task.depth.weight=2", NULL};
    static const char *const by_hand[] = {"weighting.method=fixed", "task.instance.weight=1", "task.depth.weight=2",
                                          NULL};
    tiny_run a, b;
    tiny_open(&a, test_comm, tiny_config(grouped));
    tiny_open(&b, test_comm, tiny_config(by_hand));
    tiny_steps(&a, 2);
    tiny_steps(&b, 2);
    CU_ASSERT(a.trainer->record.weight[INSTANCE] == 1 && a.trainer->record.weight[DEPTH] == 2);
    CU_ASSERT(a.trainer->record.applied && same_runs(&a, &b));
    close_both(&a, &b);
}

/* Roundings in float, as in test_weighting_gradients. */
static void n_ranks_weigh_groups_as_one(void)
{
    static const char *const methods[] = {"uncertainty", "famo", "mgda", "upgrad"};
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        char *method = sm_format("weighting.method=%s", methods[m]);
        const char *const sets[] = {method, GEOMETRY, NULL};
        tiny_run many, one;
        tiny_open(&many, test_comm, tiny_config(sets));
        tiny_open(&one, sm_comm_self(), tiny_config(sets));
        tiny_steps(&many, 1);
        tiny_steps(&one, 1);
        const double *weight = many.trainer->record.weight, *of_one = one.trainer->record.weight;
        for (int i = 0; i < TINY_TASKS; i++) {
            SM_TEST_AT_MOST(fabs(weight[i] / of_one[i] - 1), 1e-4);
        }
        CU_ASSERT(many.trainer->record.applied && weight[INSTANCE] == 0.5 * weight[DEPTH]);
        SM_TEST_AT_MOST(tiny_parameters_differ(&many, &one), 1e-7);
        tiny_same_on_all_ranks(many.session->values, tiny_parameter_floats(&many));
        close_both(&many, &one);
        sm_free(method);
    }
}

/* A task that begins later has its group's log-variance from the start, with the same count of Adam's updates. */
static void the_log_variance_of_a_group_is_one(void)
{
    static const char *const sets[] = {GEOMETRY, "optimizer.kind=adamw", "optimizer.ema_decay=0.9",
                                       "task.depth.first_step=3", NULL};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(sets));
    for (int step = 1; step <= 4; step++) {
        const float *s = sm_session_log_variance(run.session, DEPTH);
        float before = *s;
        sm_comm_barrier(test_comm); /* all have read it */
        tiny_steps(&run, 1);
        CU_ASSERT(*s != before && *s == *sm_session_log_variance(run.session, INSTANCE));
        CU_ASSERT(isnan(run.trainer->record.weight[DEPTH]) == (step < 3));
        CU_ASSERT(run.trainer->record.log_variance[DEPTH] == before);
    }
    CU_ASSERT(*sm_session_log_variance(run.session, 0) != *sm_session_log_variance(run.session, DEPTH));
    sm_comm_barrier(test_comm);
    tiny_close(&run);
}

static void a_resumed_run_ends_with_the_same_bits(void)
{
    static const char *const methods[] = {"uncertainty", "famo"};
    for (int m = 0; m < 2; m++) {
        char *method = sm_format("weighting.method=%s", methods[m]);
        char *path = sm_format("%s/%s.h5", sm_test_folder(), methods[m]);
        const char *const sets[] = {method, GEOMETRY, "optimizer.kind=adamw", NULL};
        tiny_run whole, resumed;
        tiny_open(&whole, test_comm, tiny_config(sets));
        tiny_open(&resumed, test_comm, tiny_config(sets));
        tiny_steps(&whole, 2);
        SM_TEST_OK(sm_checkpoint_save(whole.trainer, path, NULL, "", NAN));
        SM_TEST_OK(sm_checkpoint_load(resumed.session, resumed.trainer, path, 0));
        tiny_start_loader(&resumed);
        tiny_steps(&whole, 2);
        tiny_steps(&resumed, 2);
        CU_ASSERT(same_runs(&whole, &resumed));
        close_both(&whole, &resumed);
        sm_free(method);
        sm_free(path);
    }
}

/* States by group, all else by task, with what makes groups of them. */
static void the_log_has_rows_of_groups(void)
{
    static const char *const sets[] = {"weighting.method=famo", GEOMETRY, NULL};
    char *path = sm_format("%s/run.h5", sm_test_folder());
    tiny_run run;
    sm_run_log *log = NULL;
    sm_run_log_kept kept;
    tiny_open(&run, test_comm, tiny_config(sets));
    int writes = sm_comm_rank(test_comm) == 0;
    SM_TEST_OK(writes ? sm_run_log_open(path, run.session, "", NULL, 0, &kept, &log) : SM_OK);
    tiny_steps(&run, 1);
    SM_TEST_OK(writes ? sm_run_log_step(log, &run.trainer->record) : SM_OK);
    SM_TEST_OK(sm_run_log_close(log));
    sm_h5 *file = NULL;
    if (writes && sm_h5_open(path, &file) == SM_OK) {
        double row[1], group_weight = 0;
        char *group = NULL;
        SM_TEST_OK(sm_h5_read_rows(file, "/weighting/logit/geometry", SM_H5_DOUBLE, 0, 1, 1, row));
        CU_ASSERT(row[0] == run.session->weighting->states[0].values[1] && row[0] != 0);
        CU_ASSERT(!sm_h5_has_dataset(file, "/weighting/logit/depth"));
        SM_TEST_OK(sm_h5_read_rows(file, "/tasks/instance/weight", SM_H5_DOUBLE, 0, 1, 1, row));
        CU_ASSERT(row[0] == run.trainer->record.weight[INSTANCE]);
        SM_TEST_OK(sm_h5_read_attribute_text(file, "/tasks/instance", "group", &group));
        CU_ASSERT_STRING_EQUAL(group, "geometry");
        SM_TEST_OK(sm_h5_read_attribute_double(file, "/tasks/instance", "group_weight", &group_weight));
        CU_ASSERT(group_weight == 0.5);
        sm_free(group);
    }
    sm_h5_close(file);
    tiny_close(&run);
    sm_free(path);
}

/* Also where the checkpoint is of a version that had no groups. */
static void groups_do_not_change_within_a_run(void)
{
    static const char *const with[] = {GEOMETRY, NULL};
    sm_config *grouped = tiny_config(with), *plain = tiny_config(NULL);
    char *text = sm_config_text(grouped), *plain_text = sm_config_text(plain);
    SM_TEST_OK(sm_resume_refuse_changes("step.h5", text, grouped));
    SM_TEST_OK(sm_resume_refuse_changes("step.h5", plain_text, plain));
    CU_ASSERT_EQUAL(sm_resume_refuse_changes("step.h5", text, plain), SM_ERR_INPUT);
    SM_TEST_MESSAGE("step.h5 was trained with task.instance.group = geometry, the config says empty");
    CU_ASSERT_EQUAL(sm_resume_refuse_changes("step.h5", plain_text, grouped), SM_ERR_INPUT);
    SM_TEST_MESSAGE("task.instance.group = empty, the config says geometry");
    for (char *at = plain_text; (at = strstr(at, "\ngroup = ")); at++) {
        memcpy(at, "\nother", strlen("\nother"));
    }
    CU_ASSERT_EQUAL(sm_resume_refuse_changes("step.h5", plain_text, grouped), SM_ERR_INPUT);
    SM_TEST_MESSAGE("task.instance.group = empty, the config says geometry");
    SM_TEST_OK(sm_resume_refuse_changes("step.h5", plain_text, plain));
    sm_free(text);
    sm_free(plain_text);
    sm_config_free(grouped);
    sm_config_free(plain);
}

static void refuses_patterns(const char *pattern, const char *key)
{
    const char *const sets[] = {GEOMETRY, pattern, NULL};
    sm_config *config = tiny_config(sets);
    sm_dataset *train = NULL;
    sm_session *session = NULL;
    SM_TEST_OK(sm_data_open_train(config, &train));
    CU_ASSERT_EQUAL(sm_session_new(config, test_comm, train, &session), SM_ERR_CONFIG);
    SM_TEST_MESSAGE(key);
    SM_TEST_MESSAGE("log_variance.instance and log_variance.depth");
    sm_dataset_close(train);
    sm_config_free(config);
}

/* Of two tasks that are a group, one that run.tasks leaves out is not missed; its log-variance cannot be frozen alone. */
static void a_group_keeps_together(void)
{
    static const char *const subset[] = {GEOMETRY, "run.tasks=semantic,instance", NULL};
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(subset));
    tiny_steps(&run, 1);
    CU_ASSERT(run.trainer->record.applied && run.session->weighting->count == 2);
    CU_ASSERT_STRING_EQUAL(run.session->weighting->tasks[1].name, "geometry");
    tiny_close(&run);
    refuses_patterns("model.freeze=log_variance.depth", "[model] freeze");
    refuses_patterns("model.learning_rate_scales=log_variance.depth:2", "[model] learning_rate_scales");
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(a_group_of_one_is_no_group);
    SM_TEST(a_group_learns_as_published_programs_from_losses);
    SM_TEST(a_group_is_combined_as_published_programs_combine_its_gradient);
    SM_TEST(a_group_has_the_joint_likelihood_of_its_tasks);
    SM_TEST(the_sigma_at_minimum_is_that_of_all_residuals_of_the_group);
    SM_TEST(inactive_tasks_add_nothing);
    SM_TEST(groups_are_named_by_their_tasks);
    SM_TEST(what_cannot_be_shared_is_refused);
    SM_TEST(a_group_of_fixed_weight_is_its_tasks_weighed_by_hand);
    SM_TEST(n_ranks_weigh_groups_as_one);
    SM_TEST(the_log_variance_of_a_group_is_one);
    SM_TEST(a_resumed_run_ends_with_the_same_bits);
    SM_TEST(the_log_has_rows_of_groups);
    SM_TEST(groups_do_not_change_within_a_run);
    SM_TEST(a_group_keeps_together);
    return sm_test_end();
}
