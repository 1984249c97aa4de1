/* ranks: 4 */
/* Weightings from gradients of single tasks: against published programs, in closed form, and in training. Batches of 5
 * are uneven on 4 ranks. */
#include "golden.h"
#include "tiny_run.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/settings.h>

#include <math.h>
#include <string.h>

enum { MOST_TASKS = 8, SIZE = 12 };

/* The methods, with keys by which no update is shortened. */
static const struct {
    const char *name, *keys;
} methods[] = {
    {"gradnorm", ""}, {"mgda", ""},   {"mgda", "weighting.mgda_normalisation=l2"}, {"pcgrad", ""},
    {"cagrad", ""},   {"imtl_g", ""}, {"nash_mtl", "weighting.nash_max_norm=0"},   {"aligned_mtl", ""},
    {"upgrad", ""},
};
enum { METHODS = sizeof methods / sizeof *methods };

/* \param keys  "section.key=value", separated by ';' \return freed with sm_weighting_free() */
static sm_weighting *make(const char *method, int tasks, const char *keys)
{
    static const char *const names[MOST_TASKS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    static const char *const loss_names[MOST_TASKS] = {"l1", "l1", "l1", "l1", "l1", "l1", "l1", "l1"};
    sm_loss_shape shapes[MOST_TASKS] = {{0}};
    sm_config *config = sm_config_new(sm_all_keys());
    sm_weighting *weighting = NULL;
    char *set = sm_format("weighting.method=%s", method), *rest = sm_strdup(keys);
    SM_TEST_OK(sm_config_set(config, set));
    for (int i = 0; i < tasks; i++) {
        char *section = sm_format("task.%s.kind=regression", names[i]);
        SM_TEST_OK(sm_config_set(config, section));
        sm_free(section);
    }
    for (char *key = strtok(rest, ";"); key; key = strtok(NULL, ";")) {
        SM_TEST_OK(sm_config_set(config, key));
    }
    SM_TEST_OK(sm_weighting_new(config, tasks, names, loss_names, shapes, &weighting));
    sm_free(rest);
    sm_free(set);
    sm_config_free(config);
    return weighting;
}

/* One step. \param [out] coefficient  of the gradients in the shared one */
static void choose(sm_weighting *weighting, const int *active, const double *loss, const double *gram, int64_t step,
                   double *coefficient)
{
    double weight[MOST_TASKS], slope[MOST_TASKS];
    const double none[MOST_TASKS] = {0};
    const sm_weighting_step given = {.active = active,
                                     .loss = loss,
                                     .loss_slope = none,
                                     .log_variance = none,
                                     .gram = gram,
                                     .step = step,
                                     .seed = 7};
    sm_weights out = {0, weight, slope};
    sm_weighting_weigh(weighting, &given, &out);
    sm_weighting_combine(weighting, &given, &out, coefficient);
}

static const int all_active[MOST_TASKS] = {1, 1, 1, 1, 1, 1, 1, 1};
static const double alike[MOST_TASKS] = {1, 1, 1, 1, 1, 1, 1, 1};

static void find_gram(int tasks, int size, const double *gradients, double *gram)
{
    for (int i = 0; i < tasks * tasks; i++) {
        gram[i] = 0;
        for (int d = 0; d < size; d++) {
            gram[i] += gradients[i / tasks * size + d] * gradients[i % tasks * size + d];
        }
    }
}

static void draw(uint64_t number, int tasks, double *gradients)
{
    sm_random random = sm_random_new(5, number, 0);
    for (int i = 0; i < tasks * SIZE; i++) {
        gradients[i] = sm_random_normal(&random) * pow(10, i / SIZE % 3 - 1);
    }
}

/* ---- against others ---- */

static int cases_seen, compared_with_torchjd;

static void compare(const double *found, const double *expected, size_t count, double bound)
{
    for (size_t i = 0; i < count; i++) {
        SM_TEST_AT_MOST(fabs(found[i] - expected[i]), bound * (fabs(expected[i]) + 1e-3));
    }
}

/* With what stops early on the way to the same minimum: Frank-Wolfe in 5000 steps does within two
 * thousandths of the greatest coefficient. */
static void compare_stopped(const double *found, const double *expected, size_t count)
{
    double greatest = 0;
    for (size_t i = 0; i < count; i++) {
        greatest = fmax(greatest, fabs(expected[i]));
    }
    for (size_t i = 0; i < count; i++) {
        SM_TEST_AT_MOST(fabs(found[i] - expected[i]), 2e-3 * greatest);
    }
}

static void golden_case_of(golden_case *from)
{
    char *method = NULL, *keys = NULL;
    sm_h5_info info, ignored;
    SM_TEST_OK(sm_h5_read_attribute_text(from->file, from->group, "method", &method));
    SM_TEST_OK(sm_h5_read_attribute_text(from->file, from->group, "keys", &keys));
    double bound = golden_attribute_double(from, "tolerance");
    double *gradients = golden_read(from->file, from->group, "gradients", SM_H5_DOUBLE, &info);
    double *losses = golden_read(from->file, from->group, "losses", SM_H5_DOUBLE, &ignored);
    double *expected = golden_read(from->file, from->group, "coefficients", SM_H5_DOUBLE, &ignored);
    int steps = (int)info.shape[0], tasks = (int)info.shape[1], size = (int)info.shape[2];
    double *found = sm_alloc_zeroed(info.shape[0] * info.shape[1] * sizeof *found), gram[MOST_TASKS * MOST_TASKS];
    sm_weighting *weighting = make(method, tasks, keys);
    for (int t = 0; t < steps; t++) {
        find_gram(tasks, size, gradients + t * tasks * size, gram);
        choose(weighting, all_active, losses + t * tasks, gram, t + 1, found + t * tasks);
    }
    compare(found, expected, info.shape[0] * info.shape[1], bound);
    if (golden_has(from, "by_torchjd")) {
        double *other = golden_read(from->file, from->group, "by_torchjd", SM_H5_DOUBLE, &ignored);
        compare_stopped(found, other, info.shape[0] * info.shape[1]);
        sm_free(other);
        compared_with_torchjd++;
    }
    cases_seen++;
    sm_weighting_free(weighting);
    sm_free(gradients);
    sm_free(losses);
    sm_free(expected);
    sm_free(found);
    sm_free(method);
    sm_free(keys);
}

static void coefficients_are_those_of_published_programs(void)
{
    sm_h5 *file = golden_open("weightings_gradients.h5");
    if (file) {
        golden_for_each(file, "/cases", golden_case_of);
        CU_ASSERT(cases_seen == 30 && compared_with_torchjd == 16);
    }
    sm_h5_close(file);
}

/* \return which of the rows the coefficients are; -1: none */
static int row_of(const double *found, const double *rows, int count, int tasks)
{
    for (int r = 0; r < count; r++) {
        double error = 0;
        for (int i = 0; i < tasks; i++) {
            error = fmax(error, fabs(found[i] - rows[r * tasks + i]) / (fabs(rows[r * tasks + i]) + 1e-3));
        }
        if (error < 1e-8) {
            return r;
        }
    }
    return -1;
}

/* Each order of the projections gives one row; each is drawn, and drawn again by the same seed and step. */
static void pcgrad_draws_all_orders(void)
{
    enum { DRAWS = 64, MOST_ROWS = 8 };
    sm_h5 *file = golden_open("weightings_gradients.h5");
    int most_rows = 0;
    for (int tasks = 2; file && tasks <= 3; tasks++) {
        sm_h5_info info;
        char group[32], name[32];
        snprintf(group, sizeof group, "/pcgrad/%d", tasks);
        double *gradients = golden_read(file, group, "gradients", SM_H5_DOUBLE, &info);
        sm_weighting *weighting = make("pcgrad", tasks, "");
        for (int t = 0; t < (int)info.shape[0]; t++) {
            sm_h5_info rows;
            int seen[MOST_ROWS] = {0};
            double gram[9];
            snprintf(name, sizeof name, "coefficients_%d", t);
            double *expected = golden_read(file, group, name, SM_H5_DOUBLE, &rows);
            find_gram(tasks, (int)info.shape[2], gradients + t * tasks * (int)info.shape[2], gram);
            CU_ASSERT_FATAL(rows.shape[0] <= MOST_ROWS);
            for (int step = 1; step <= DRAWS; step++) {
                double found[3], again[3];
                choose(weighting, all_active, alike, gram, step, found);
                choose(weighting, all_active, alike, gram, step, again);
                CU_ASSERT(memcmp(found, again, (size_t)tasks * sizeof *found) == 0);
                int row = row_of(found, expected, (int)rows.shape[0], tasks);
                CU_ASSERT(row >= 0);
                seen[row < 0 ? 0 : row]++;
            }
            for (size_t r = 0; r < rows.shape[0]; r++) {
                CU_ASSERT(seen[r] > 0);
            }
            most_rows = (int)rows.shape[0] > most_rows ? (int)rows.shape[0] : most_rows;
            sm_free(expected);
        }
        sm_weighting_free(weighting);
        sm_free(gradients);
    }
    CU_ASSERT(most_rows >= 4);
    sm_h5_close(file);
}

/* ---- what the equations say ---- */

/* Two gradients g and e g, and one alone: what the head comments of the files say. */
static void special_gradients_have_the_stated_coefficients(void)
{
    const struct {
        const char *name, *keys;
        double same[2], opposite[2], single;
    } rows[] = {
        {"gradnorm", "", {1, 1}, {1, 1}, 1},
        {"mgda", "", {NAN, NAN}, {0.5, 0.5}, 1}, /* any that add to 1 */
        {"mgda", "weighting.mgda_normalisation=loss+", {NAN, NAN}, {0.5, 0.5}, 1},
        {"pcgrad", "", {1, 1}, {2, 2}, 1},
        {"cagrad", "weighting.cagrad_c=0.3", {NAN, NAN}, {0.5, 0.5}, 1.3}, /* any that add to 1.3 */
        {"imtl_g", "", {0.5, 0.5}, {0, 0}, 1},
        {"nash_mtl", "", {sqrt(0.5) / 2, sqrt(0.5) / 2}, {1, 1}, sqrt(0.5)}, /* of g with |g|^2 = 2, to the norm 1 */
        {"aligned_mtl", "", {0.5, 0.5}, {0, 0}, 1},
        {"upgrad", "", {0.5, 0.5}, {1, 1}, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double found[2];
        const double same[] = {2, 2, 2, 2}, opposite[] = {2, -2, -2, 2}, zero[] = {0, 0, 0, 0};
        sm_weighting *two = make(rows[i].name, 2, rows[i].keys), *one = make(rows[i].name, 1, rows[i].keys);
        choose(two, all_active, alike, opposite, 1, found); /* Nash-MTL's last coefficients are the first here */
        compare(found, rows[i].opposite, 2, 1e-8);
        choose(two, all_active, alike, same, 2, found);
        if (isnan(rows[i].same[0])) {
            CU_ASSERT(found[0] >= 0 && found[1] >= 0);
            SM_TEST_AT_MOST(fabs(found[0] + found[1] - rows[i].single), 1e-8);
        } else {
            compare(found, rows[i].same, 2, 1e-8);
        }
        choose(two, all_active, alike, zero, 3, found);
        CU_ASSERT(isfinite(found[0]) && isfinite(found[1]));
        choose(one, all_active, alike, same, 1, found);
        compare(found, &rows[i].single, 1, 1e-8);
        sm_weighting_free(two);
        sm_weighting_free(one);
    }
}

/* An inactive task, or one without a gradient, is as none: GradNorm alone, which shares K among all, keeps its weight. */
static void a_task_without_gradient_is_as_none(void)
{
    for (int m = 1; m < METHODS; m++) {
        for (uint64_t number = 0; number < 8; number++) {
            double gradients[3 * SIZE], gram[9], two[4], found[3], expected[2], zero[9];
            const int active[] = {1, 0, 1};
            const double loss[] = {1, NAN, 2}, loss_of_two[] = {1, 2};
            draw(number, 3, gradients);
            find_gram(3, SIZE, gradients, gram);
            for (int i = 0; i < 9; i++) {
                zero[i] = i / 3 == 1 || i % 3 == 1 ? 0 : gram[i];
            }
            for (int i = 0; i < 4; i++) {
                two[i] = gram[i / 2 * 6 + i % 2 * 2];
            }
            sm_weighting *of_three = make(methods[m].name, 3, methods[m].keys);
            sm_weighting *of_two = make(methods[m].name, 2, methods[m].keys);
            choose(of_two, all_active, loss_of_two, two, 1, expected);
            choose(of_three, active, loss, zero, 1, found);
            CU_ASSERT(found[0] == expected[0] && found[1] == 0 && found[2] == expected[1]);
            choose(of_three, all_active, (const double[]){1, 5, 2}, zero, 1, found);
            CU_ASSERT(found[0] == expected[0] && found[1] == 0 && found[2] == expected[1]);
            sm_weighting_free(of_three);
            sm_weighting_free(of_two);
        }
    }
}

static void the_scale_of_gradients_does_not_matter(void)
{
    static const double scales[] = {1e-12, 1e12};
    for (int m = 0; m < METHODS; m++) {
        for (int s = 0; s < 2; s++) {
            sm_weighting *plain = make(methods[m].name, 5, methods[m].keys);
            sm_weighting *scaled = make(methods[m].name, 5, methods[m].keys);
            for (uint64_t number = 0; number < 4; number++) {
                double gradients[5 * SIZE], gram[25], expected[5], found[5];
                draw(number, 5, gradients);
                find_gram(5, SIZE, gradients, gram);
                choose(plain, all_active, alike, gram, (int64_t)number, expected);
                for (int i = 0; i < 25; i++) {
                    gram[i] *= scales[s];
                }
                choose(scaled, all_active, alike, gram, (int64_t)number, found);
                for (int i = 0; i < 5 && strcmp(methods[m].name, "nash_mtl") == 0; i++) {
                    found[i] *= sqrt(scales[s]); /* its update has the same length */
                }
                compare(found, expected, 5, 1e-9);
            }
            sm_weighting_free(plain);
            sm_weighting_free(scaled);
        }
    }
}

static void what_is_not_finite_is_said(void)
{
    for (int m = 0; m < METHODS; m++) {
        double gram[] = {1, 0, 0, 0, 1, NAN, 0, NAN, 1}, found[3];
        sm_weighting *weighting = make(methods[m].name, 3, methods[m].keys);
        choose(weighting, all_active, alike, gram, 1, found);
        CU_ASSERT(isnan(found[0]) && isnan(found[1]) && isnan(found[2]));
        sm_weighting_free(weighting);
    }
}

static double product(int n, const double *x, const double *gram, int row)
{
    double sum = 0;
    for (int j = 0; j < n; j++) {
        sum += gram[row * n + j] * x[j];
    }
    return sum;
}

static double squared_length(int n, const double *x, const double *gram)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i] * product(n, x, gram, i);
    }
    return sum;
}

/* What each update is for, on draws of two to eight gradients; in every third the last is the sum of the first two, so
 * that the matrix is singular. Bounds: rounding, and the addition of 1e-10 to the diagonal. */
static void updates_do_what_they_are_for(void)
{
    uint64_t draws = (uint64_t)sm_test_rounds(60);
    for (uint64_t number = 0; number < draws; number++) {
        int n = 2 + (int)number % 7;
        double gradients[MOST_TASKS * SIZE], gram[MOST_TASKS * MOST_TASKS], x[MOST_TASKS], scale = 0;
        draw(number, n, gradients);
        int is_singular = number % 3 == 0 && n > 2;
        for (int d = 0; is_singular && d < SIZE; d++) {
            gradients[(n - 1) * SIZE + d] = gradients[d] + gradients[SIZE + d];
        }
        find_gram(n, SIZE, gradients, gram);
        for (int i = 0; i < n; i++) {
            scale = fmax(scale, gram[i * n + i]);
        }

        sm_weighting *upgrad = make("upgrad", n, "");
        choose(upgrad, all_active, alike, gram, 1, x);
        for (int i = 0; i < n; i++) { /* harms nobody */
            CU_ASSERT(product(n, x, gram, i) >= -1e-7 * scale && x[i] >= 1.0 / n);
        }
        sm_weighting_free(upgrad);

        sm_weighting *mgda = make("mgda", n, "");
        choose(mgda, all_active, alike, gram, 1, x);
        double sum = 0, length = squared_length(n, x, gram);
        for (int i = 0; i < n; i++) { /* no vertex of the simplex is a way to something shorter */
            CU_ASSERT(product(n, x, gram, i) >= length - 1e-8 * (length + sqrt(length * gram[i * n + i])) && x[i] >= 0);
            sum += x[i];
        }
        SM_TEST_AT_MOST(fabs(sum - 1), 1e-12);
        sm_weighting_free(mgda);

        sm_weighting *cagrad = make("cagrad", n, "weighting.cagrad_c=0.5");
        double mean[MOST_TASKS], best = INFINITY;
        choose(cagrad, all_active, alike, gram, 1, x);
        for (int i = 0; i < n; i++) {
            mean[i] = 1.0 / n;
            best = fmin(best, product(n, x, gram, i));
        }
        for (int i = 0; i < n; i++) {
            x[i] -= mean[i];
        }
        double radius = 0.5 * sqrt(squared_length(n, mean, gram));
        SM_TEST_AT_MOST(sqrt(squared_length(n, x, gram)) / radius, 1 + 1e-6);
        sm_random random = sm_random_new(1, number, 0);
        for (int trial = 0; trial < 50; trial++) { /* nothing else in the ball is better for the worst */
            double other[MOST_TASKS], worst = INFINITY;
            for (int i = 0; i < n; i++) {
                other[i] =
                    x[i] + (double)sm_random_normal(&random) * pow(10, -trial % 5) * radius / sqrt(gram[i * n + i]);
            }
            double far = sqrt(squared_length(n, other, gram)) / radius;
            for (int i = 0; i < n; i++) {
                other[i] = mean[i] + other[i] / fmax(far, 1);
            }
            for (int i = 0; i < n; i++) {
                worst = fmin(worst, product(n, other, gram, i));
            }
            CU_ASSERT(worst <= best + 1e-6 * scale);
        }
        sm_weighting_free(cagrad);

        sm_weighting *imtl = make("imtl_g", n, "");
        choose(imtl, all_active, alike, gram, 1, x);
        for (int i = 0; i < n; i++) { /* the same projection */
            double a = product(n, x, gram, i) / sqrt(gram[i * n + i]), b = product(n, x, gram, 0) / sqrt(gram[0]);
            SM_TEST_AT_MOST(fabs(a - b), 1e-7 * (fabs(b) + sqrt(squared_length(n, x, gram))));
        }
        sm_weighting_free(imtl);

        sm_weighting *nash = make("nash_mtl", n, "weighting.nash_max_norm=0");
        choose(nash, all_active, alike, gram, 1, x);
        for (int i = 0; i < n; i++) { /* (G x)_i x_i is the same for all */
            SM_TEST_AT_MOST(fabs(x[i] * product(n, x, gram, i) / (x[0] * product(n, x, gram, 0)) - 1), 1e-8);
        }
        sm_weighting_free(nash);
    }
}

/* ---- in training ---- */

/* Roundings in float, of which a step of the network adds some hundred: eps = 6e-8, more in coefficients, which depend on
 * differences of gradients. The second step begins with them, and is compared over the ranks. */
static void expect_same_as_one_rank(const char *const *sets)
{
    tiny_run many, one;
    tiny_open(&many, test_comm, tiny_config(sets));
    tiny_open(&one, sm_comm_self(), tiny_config(sets));
    tiny_steps(&many, 1);
    tiny_steps(&one, 1);
    CU_ASSERT(many.trainer->record.applied && one.trainer->record.applied);
    for (int i = 0; i < TINY_TASKS; i++) {
        double a = many.trainer->record.weight[i], b = one.trainer->record.weight[i];
        SM_TEST_AT_MOST(fabs(a - b), 1e-4 * (fabs(b) + 1e-3));
    }
    SM_TEST_AT_MOST(tiny_parameters_differ(&many, &one), 1e-7);
    sm_comm_barrier(test_comm);
    tiny_steps(&many, 1);
    tiny_same_on_all_ranks(many.session->values, tiny_parameter_floats(&many));
    sm_comm_barrier(test_comm);
    tiny_close(&many);
    tiny_close(&one);
}

static void n_ranks_are_one_wherever_gradients_are_taken(void)
{
    static const char *const places[] = {"weighting.gradients=representation", "weighting.gradients=parameters"};
    static const char *const names[] = {"gradnorm", "mgda",     "pcgrad",      "cagrad",
                                        "imtl_g",   "nash_mtl", "aligned_mtl", "upgrad"};
    int count = sm_test_rounds((int)(sizeof names / sizeof *names));
    for (int m = 0; m < count; m++) {
        for (int p = 0; p < (m < 1 ? 2 : 1); p++) { /* the place is the trainer's, not the method's */
            char *method = sm_format("weighting.method=%s", names[m]);
            const char *const sets[] = {method, places[(m + p) % 2], NULL};
            expect_same_as_one_rank(sets);
            sm_free(method);
        }
    }
}

/* Where gradients are taken by default, and that the choice holds. */
static void gradients_are_taken_where_it_is_said(void)
{
    static const char *const at_representation[] = {"gradnorm", "mgda", "imtl_g"};
    for (int m = 0; m < METHODS; m++) {
        sm_weighting_needs expected = SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS;
        for (int i = 0; i < 3; i++) {
            if (strcmp(methods[m].name, at_representation[i]) == 0) {
                expected = SM_WEIGHTING_NEEDS_SHARED_GRADIENTS;
            }
        }
        sm_weighting *by_default = make(methods[m].name, 2, ""),
                     *near = make(methods[m].name, 2, "weighting.gradients=representation"),
                     *far = make(methods[m].name, 2, "weighting.gradients=parameters");
        CU_ASSERT(by_default->needs == expected);
        CU_ASSERT(near->needs == SM_WEIGHTING_NEEDS_SHARED_GRADIENTS);
        CU_ASSERT(far->needs == SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS);
        sm_weighting_free(by_default);
        sm_weighting_free(near);
        sm_weighting_free(far);
    }
    sm_weighting *equal = make("equal", 2, "weighting.gradients=parameters");
    CU_ASSERT(equal->needs == SM_WEIGHTING_NEEDS_NOTHING);
    sm_weighting_free(equal);
}

/* Stored in bfloat16, recomputed: the steps are made, and recomputing changes no bit. */
static void precision_and_recomputation_do_not_matter(void)
{
    static const char *const kept[] = {"weighting.method=upgrad", "run.precision=bf16", NULL};
    static const char *const again[] = {"weighting.method=upgrad", "run.precision=bf16", "distributed.recompute=blocks",
                                        NULL};
    tiny_run a, b;
    tiny_open(&a, test_comm, tiny_config(kept));
    tiny_open(&b, test_comm, tiny_config(again));
    tiny_steps(&a, 2);
    tiny_steps(&b, 2);
    CU_ASSERT(a.trainer->record.applied && b.trainer->record.applied);
    CU_ASSERT(tiny_same_bits(a.session->values, b.session->values, tiny_parameter_floats(&a)));
    sm_comm_barrier(test_comm);
    tiny_close(&a);
    tiny_close(&b);
}

/* PCGrad's draws as well, and on other threads. */
static void reproducible_gives_the_same_bits_on_any_ranks(void)
{
    static const char *const sets[] = {"weighting.method=pcgrad", "distributed.reproducible=true", NULL};
    static const char *const threads[] = {"weighting.method=pcgrad", "distributed.reproducible=true",
                                          "distributed.threads=3", NULL};
    tiny_run many, one;
    tiny_open(&many, test_comm, tiny_config(sets));
    tiny_open(&one, sm_comm_self(), tiny_config(threads));
    tiny_steps(&many, 2);
    tiny_steps(&one, 2);
    CU_ASSERT(tiny_same_bits(many.session->values, one.session->values, tiny_parameter_floats(&one)));
    sm_comm_barrier(test_comm);
    tiny_close(&many);
    tiny_close(&one);
}

static void expect_same_states(const sm_weighting *a, const sm_weighting *b, int count)
{
    CU_ASSERT_FATAL(a->state_count == count && b->state_count == count);
    for (int i = 0; i < count; i++) {
        CU_ASSERT(memcmp(a->states[i].values, b->states[i].values, a->states[i].count * sizeof(double)) == 0);
        CU_ASSERT(a->states[i].values[0] != 0);
    }
}

/* GradNorm's weights, PCGrad's draws, Nash-MTL's last coefficients, which hold over two steps of three. */
static void a_resumed_run_goes_on_to_the_bit(void)
{
    static const char *const stateful[][3] = {
        {"weighting.method=gradnorm", "weighting.gradnorm_learning_rate=0.3", "states"},
        {"weighting.method=pcgrad", NULL, NULL},
        {"weighting.method=nash_mtl", "weighting.nash_interval=3", "states"}};
    int count = sm_test_rounds((int)(sizeof stateful / sizeof *stateful));
    for (int i = 0; i < count; i++) {
        const char *const sets[] = {stateful[i][0], stateful[i][1], NULL};
        char *path = sm_format("%s/gradients-%d.h5", sm_test_folder(), i);
        tiny_run whole, resumed;
        tiny_open(&whole, test_comm, tiny_config(sets));
        tiny_open(&resumed, test_comm, tiny_config(sets));
        tiny_steps(&whole, 2);
        SM_TEST_OK(sm_checkpoint_save(whole.trainer, path, NULL, "", NAN));
        SM_TEST_OK(sm_checkpoint_load(resumed.session, resumed.trainer, path, 0));
        expect_same_states(whole.session->weighting, resumed.session->weighting, stateful[i][2] != NULL ? 2 : 0);
        tiny_start_loader(&resumed);
        for (int step = 0; step < 2; step++) {
            tiny_steps(&whole, 1);
            tiny_steps(&resumed, 1);
            for (int task = 0; task < TINY_TASKS; task++) {
                CU_ASSERT(whole.trainer->record.weight[task] == resumed.trainer->record.weight[task]);
            }
            CU_ASSERT(tiny_same_bits(whole.session->values, resumed.session->values, tiny_parameter_floats(&whole)));
            sm_comm_barrier(test_comm);
        }
        tiny_close(&whole);
        tiny_close(&resumed);
        sm_free(path);
    }
}

static void refuses(const char *method, const char *set, const char *more, const char *key)
{
    const char *const sets[] = {method, set, more, NULL};
    sm_config *config = tiny_config(sets);
    sm_dataset *train;
    sm_session *session;
    sm_trainer *trainer = NULL;
    SM_TEST_OK(sm_data_open_train(config, &train));
    sm_status status = sm_session_new(config, test_comm, train, &session);
    if (status == SM_OK) {
        status = sm_trainer_new(session, 32, 32, 5, 10, &trainer);
        sm_session_free(session);
    }
    CU_ASSERT(status == SM_ERR_CONFIG && !trainer);
    SM_TEST_MESSAGE(key);
    SM_TEST_MESSAGE(strchr(method, '=') + 1);
    sm_dataset_close(train);
    sm_config_free(config);
}

static void what_a_method_cannot_do_is_refused_by_name(void)
{
    for (int m = 0; m < METHODS; m += METHODS - 1) { /* the check is of all alike */
        char *method = sm_format("weighting.method=%s", methods[m].name);
        refuses(method, "distributed.micro_batches=2", NULL, "micro_batches");
        sm_free(method);
    }
    refuses("weighting.method=gradnorm", "task.depth.uncertainty=per_pixel", NULL, "uncertainty");
    refuses("weighting.method=mgda", "task.depth.uncertainty=per_pixel", "weighting.mgda_normalisation=loss+",
            "uncertainty");
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(coefficients_are_those_of_published_programs);
    SM_TEST(pcgrad_draws_all_orders);
    SM_TEST(special_gradients_have_the_stated_coefficients);
    SM_TEST(a_task_without_gradient_is_as_none);
    SM_TEST(the_scale_of_gradients_does_not_matter);
    SM_TEST(what_is_not_finite_is_said);
    SM_TEST(updates_do_what_they_are_for);
    SM_TEST(n_ranks_are_one_wherever_gradients_are_taken);
    SM_TEST(gradients_are_taken_where_it_is_said);
    SM_TEST(precision_and_recomputation_do_not_matter);
    SM_TEST(reproducible_gives_the_same_bits_on_any_ranks);
    SM_TEST(a_resumed_run_goes_on_to_the_bit);
    SM_TEST(what_a_method_cannot_do_is_refused_by_name);
    return sm_test_end();
}
