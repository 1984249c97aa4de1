/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/optim/optimizer.h>
#include <sigmatic/weighting/weighting.h>

#include <math.h>
#include <string.h>

/* L of the task at which things are tried; for categorical_scaled L itself depends on s, here as a smooth function. */
static double loss_at(const sm_likelihood *likelihood, double loss, double s)
{
    return likelihood->scales_logits ? loss * exp(-s) + 0.3 * exp(0.5 * s) : loss;
}

static double loss_slope_at(const sm_likelihood *likelihood, double loss, double s)
{
    return likelihood->scales_logits ? -loss * exp(-s) + 0.15 * exp(0.5 * s) : 0;
}

static double term_at(const sm_likelihood *likelihood, double loss, double s, sm_loss_shape shape)
{
    return likelihood->term(loss_at(likelihood, loss, s), s, shape);
}

static const double losses[] = {0.01, 0.7, 3, 40}, variances[] = {-3, -0.4, 0, 1.7, 5};
static const sm_loss_shape shapes[] = {{1, 0.3}, {2, 1}, {3, 5}};

#define FOR_ALL(likelihood, loss, s, d)                                                                                \
    for (const sm_likelihood *likelihood = sm_likelihoods; likelihood->name; likelihood++)                             \
        for (const double *loss = losses; loss < losses + sizeof losses / sizeof *losses; loss++)                      \
            for (const double *s = variances; s < variances + sizeof variances / sizeof *variances; s++)               \
                for (const sm_loss_shape *d = shapes; d < shapes + sizeof shapes / sizeof *shapes; d++)

/* Central differences with step h: truncation h^2 / 6 of the third derivative, 4e-8 relative, and rounding: 1e-16 / h. */
static const double h = 5e-4;

static void slopes_equal_finite_differences(void)
{
    FOR_ALL(likelihood, loss, s, d)
    {
        double slope = likelihood->slope(loss_at(likelihood, *loss, *s), loss_slope_at(likelihood, *loss, *s), *s, *d);
        double difference = term_at(likelihood, *loss, *s + h, *d) - term_at(likelihood, *loss, *s - h, *d);
        SM_TEST_AT_MOST(fabs(difference / (2 * h) - slope),
                        1e-6 * (1 + *loss * fmax(exp(-*s), likelihood->weight(*s))));
    }
}

static void weights_are_the_derivative_in_the_loss(void)
{
    FOR_ALL(likelihood, loss, s, d)
    {
        double difference = likelihood->term(*loss + h, *s, *d) - likelihood->term(*loss - h, *s, *d);
        SM_TEST_AT_MOST(fabs(difference / (2 * h) - likelihood->weight(*s)), 1e-8 * (1 + likelihood->weight(*s)));
    }
}

/* The table of the paper, written once more in sigma. */
static void terms_are_those_of_the_paper(void)
{
    for (const double *s = variances; s < variances + sizeof variances / sizeof *variances; s++) {
        double sigma = exp(*s / 2), loss = 1.7;
        const sm_loss_shape one = {1, 0}, two = {2, 0};
        const struct {
            const char *name;
            double term;
            sm_loss_shape shape;
        } expected[] = {
            {"categorical", loss / (sigma * sigma) + log(sigma), one},
            {"categorical", loss / (sigma * sigma) + 2 * log(sigma), two}, /* two labels: two choices */
            {"categorical_scaled", loss, one},
            {"gaussian", loss / (2 * sigma * sigma) + 2 * log(sigma), two},
            {"laplace", loss / sigma + 2 * log(sigma), two},
            {"paper_l1", loss / (2 * sigma * sigma) + log(sigma), two},
        };
        for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
            const sm_likelihood *likelihood = sm_likelihood_find(expected[i].name);
            CU_ASSERT_PTR_NOT_NULL(likelihood);
            SM_TEST_AT_MOST(fabs(likelihood->term(loss, *s, expected[i].shape) - expected[i].term),
                            1e-12 * fabs(expected[i].term) + 1e-13);
            SM_TEST_AT_MOST(fabs(likelihood->sigma(*s) - sigma), 1e-12 * sigma);
        }
    }
    CU_ASSERT_PTR_NULL(sm_likelihood_find("nothing"));
}

static void the_slope_vanishes_at_the_minimiser(void)
{
    for (const sm_likelihood *likelihood = sm_likelihoods; likelihood->name; likelihood++) {
        const sm_loss_shape shape = {2, 0.9};
        double loss = 0.6, s = likelihood->minimiser(loss, shape);
        int has_none = likelihood->scales_logits || strcmp(likelihood->name, "per_pixel") == 0;
        CU_ASSERT_EQUAL(isnan(s) != 0, has_none);
        if (!isnan(s)) {
            SM_TEST_AT_MOST(fabs(likelihood->slope(loss, 0, s, shape)), 1e-12);
            CU_ASSERT_TRUE(likelihood->term(loss, s + 0.1, shape) > likelihood->term(loss, s, shape));
            CU_ASSERT_TRUE(likelihood->term(loss, s - 0.1, shape) > likelihood->term(loss, s, shape));
        }
    }
}

/* The densities themselves: a Laplace of scale b has the mean absolute deviation b, a normal one the mean square
 * sigma^2. */
static void minimisers_recover_the_scale_of_the_noise(void)
{
    SM_TEST_AT_MOST(fabs(exp(sm_likelihood_find("laplace")->minimiser(2 * 3.5, (sm_loss_shape){2, 0}) / 2) - 3.5),
                    1e-12);
    SM_TEST_AT_MOST(
        fabs(exp(sm_likelihood_find("gaussian")->minimiser(2 * 3.5 * 3.5, (sm_loss_shape){2, 0}) / 2) - 3.5), 1e-12);
}

/* Simpson's rule on 2 * HALVES intervals. */
static double integral(double (*density)(double x, double s, double delta), double s, double delta, double low,
                       double high)
{
    enum { HALVES = 4096 };
    double step = (high - low) / (2 * HALVES), sum = 0;
    for (int i = 0; i <= 2 * HALVES; i++) {
        int weight = i == 0 || i == 2 * HALVES ? 1 : i % 2 ? 4 : 2;
        sum += weight * density(low + i * step, s, delta);
    }
    return sum * step / 3;
}

static double huber_density(double x, double s, double delta)
{
    double residual = fabs(x), loss = residual <= delta ? x * x / 2 : delta * (residual - delta / 2);
    return exp(-exp(-s) * loss);
}

static double fisher_density(double cosine, double s, double delta)
{
    (void)delta;
    return exp(-exp(-s) * (1 - cosine));
}

/* What a term adds to exp(-s) L is the logarithm of the density's integral, found here by summing it up. */
static void terms_are_normalised(void)
{
    static const double losses_tried[] = {0, 0.7}, deltas[] = {0.2, 1, 4}, tried[] = {-2, 0, 1.5};
    const double pi = 3.14159265358979323846;
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        double s = tried[i], sigma = exp(s / 2);
        double sphere = log(integral(fisher_density, s, 0, -1, 1));
        for (size_t k = 0; k < 2; k++) {
            double loss = losses_tried[k], base = exp(-s) * loss;
            double term = sm_likelihood_find("von_mises_fisher")->term(loss, s, (sm_loss_shape){3, 0});
            SM_TEST_AT_MOST(fabs(term - base - sphere), 1e-9);
            for (size_t d = 0; d < sizeof deltas / sizeof *deltas; d++) {
                /* both halves: up to the kink, and on to where the tails are below 1e-17 of it */
                double kink = deltas[d], end = kink + 40 * (sigma + sigma * sigma / kink);
                double whole =
                    2 * (integral(huber_density, s, kink, 0, kink) + integral(huber_density, s, kink, kink, end));
                double expected = 3 * log(whole / sqrt(2 * pi));
                double found = sm_likelihood_find("huber")->term(loss, s, (sm_loss_shape){3, kink});
                SM_TEST_AT_MOST(fabs(found - base - expected), 1e-9);
            }
        }
    }
}

/* The paper's robustness figure in small: SGD with momentum 0.9 at the paper's rate 2.5e-3, scale 10, the gradient
 * limited to 1, at a constant loss. */
static void descent_reaches_the_minimiser_from_every_start(void)
{
    static const double starts[] = {-2, 0, 2, 5};
    static const sm_loss_shape shape = {2, 0.9};
    const sm_slice_update slice = {0, 1, 10, 0, 1};
    const double loss = 0.6;
    for (const sm_likelihood *likelihood = sm_likelihoods; likelihood->name; likelihood++) {
        for (size_t i = 0; i < sizeof starts / sizeof *starts && !likelihood->scales_logits; i++) {
            sm_optimizer optimizer = {.kind = sm_optimizer_kinds, .momentum = 0.9, .nesterov = 1, .weight_decay = 1};
            float s = (float)starts[i], gradient, momentum = 0, *state[] = {&momentum};
            int64_t steps = 0;
            if (fabs(likelihood->slope(loss, 0, s, shape)) < 0.1) {
                continue; /* a density on a sphere does not change any more where it is even */
            }
            for (int step = 0; step < 400; step++) {
                double slope = likelihood->slope(loss, 0, s, shape);
                gradient = (float)fmin(fmax(slope, -1), 1);
                sm_optimizer_step(&optimizer, &slice, 1, 2.5e-3, 1, &s, &gradient, state, &steps, 1);
                sm_project(&s, 1, -20, 20, &momentum);
            }
            SM_TEST_AT_MOST(fabs(s - likelihood->minimiser(loss, shape)), 1e-3);
        }
    }
}

/* ---- weightings -------------------------------------------------------------------------------------------------- */

static const sm_key task_keys[] = {
    {"task.NAME", "kind", SM_KEY_TEXT, "", 0, 0, NULL, NULL, "makes the sections"},
    {0},
};
static const char *const names[] = {"labels", "vectors", "far"};
static const char *const loss_names[] = {"cross_entropy", "l1", "l2"};
static const sm_loss_shape task_shapes[] = {{1, 0}, {2, 0}, {1, 0}};

static sm_status make(const char *text, sm_weighting **out)
{
    const sm_key *tables[64] = {sm_weighting_keys, task_keys, sm_log_variances_keys};
    for (int i = 0, count = 3; sm_weighting_kinds[i]; i++) {
        if (sm_weighting_kinds[i]->keys) {
            tables[count++] = sm_weighting_kinds[i]->keys;
        }
    }
    sm_config *config = sm_config_new(tables);
    SM_TEST_OK(
        sm_config_read_text(config, "test.ini", "[task.labels]\nkind=\n[task.vectors]\nkind=\n[task.far]\nkind=\n"));
    SM_TEST_OK(sm_config_read_text(config, "test.ini", text));
    sm_status status = sm_weighting_new(config, 3, names, loss_names, task_shapes, out);
    sm_config_free(config);
    return status;
}

static void defaults_fit_the_losses(void)
{
    sm_weighting *weighting = NULL;
    SM_TEST_OK(make("", &weighting));
    CU_ASSERT_STRING_EQUAL(weighting->kind->name, "uncertainty");
    const sm_log_variances *s = weighting->log_variances;
    CU_ASSERT_TRUE(s->learning_rate_scale == 10 && s->gradient_limit == 1 && s->lower == -20 && s->upper == 20);
    static const char *const expected[] = {"categorical", "laplace", "gaussian"};
    static const int expected_dimensions[] = {1, 2, 1};
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_STRING_EQUAL(weighting->tasks[i].name, names[i]);
        CU_ASSERT_STRING_EQUAL(weighting->tasks[i].likelihood->name, expected[i]);
        CU_ASSERT_EQUAL(weighting->tasks[i].shape.dimensions, expected_dimensions[i]);
        CU_ASSERT_TRUE(s->initial[i] == 0);
    }
    sm_weighting_free(weighting);
}

/* Nothing is the likelihood of a loss, and no s is there, where none is learned; then the keys do not matter. */
static void log_variances_exist_where_they_are_learned(void)
{
    static const char *const texts[] = {"[weighting]\nmethod = equal\n",
                                        "[weighting]\nmethod = fixed\nlower = 3\nupper = 2\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        sm_weighting *weighting = NULL;
        SM_TEST_OK(make(texts[i], &weighting));
        CU_ASSERT_PTR_NULL(weighting->log_variances);
        for (int task = 0; task < weighting->count; task++) {
            CU_ASSERT_PTR_NULL(weighting->tasks[task].likelihood);
        }
        sm_weighting_free(weighting);
    }
}

/* total, weights and slopes of tasks 0 and 2; task 1 is inactive and its loss is no number. */
static void weigh(const char *text, const double *s, sm_weights *out)
{
    const double loss[] = {1.3, NAN, 0.4}, loss_slope[] = {-0.6, NAN, 0};
    const int active[] = {1, 0, 1};
    sm_weighting *weighting = NULL;
    SM_TEST_OK(make(text, &weighting));
    sm_weighting_weigh(
        weighting, &(sm_weighting_step){.active = active, .loss = loss, .loss_slope = loss_slope, .log_variance = s},
        out);
    sm_weighting_free(weighting);
}

static void compare_weights(const char *text, const double *s, double total, const double *weight, const double *slope)
{
    double got_weight[3], got_slope[3];
    sm_weights got = {NAN, got_weight, got_slope};
    weigh(text, s, &got);
    SM_TEST_AT_MOST(fabs(got.total - total), 1e-12);
    for (int i = 0; i < 3; i++) {
        SM_TEST_AT_MOST(fabs(got_weight[i] - weight[i]), 1e-12);
        SM_TEST_AT_MOST(fabs(got_slope[i] - slope[i]), 1e-12);
    }
}

static void inactive_tasks_add_nothing(void)
{
    const double s[] = {0.5, 0, -1}, none[] = {0, 0, 0};
    double total = exp(-0.5) * 1.3 + 0.25 + exp(1) * 0.2 - 0.5;
    compare_weights("", s, total, (const double[]){exp(-0.5), 0, exp(1) / 2},
                    (const double[]){-exp(-0.5) * 1.3 + 0.5, 0, -exp(1) * 0.2 + 0.5});
    compare_weights("[task.labels]\nlikelihood = categorical_scaled\n", s, 1.3 + exp(1) * 0.2 - 0.5,
                    (const double[]){1, 0, exp(1) / 2}, (const double[]){-0.6, 0, -exp(1) * 0.2 + 0.5});
    compare_weights("[weighting]\nmethod = equal\n", s, (1.3 + 0.4) / 3, (const double[]){1.0 / 3, 0, 1.0 / 3}, none);
    compare_weights("[weighting]\nmethod = fixed\n[task.labels]\nweight = 0.89\n[task.far]\nweight = 0.1\n", s,
                    0.89 * 1.3 + 0.1 * 0.4, (const double[]){0.89, 0, 0.1}, none);
}

static void refuses(const char *text, const char *section, const char *key, const char *allowed)
{
    sm_weighting *weighting = (sm_weighting *)1;
    CU_ASSERT_EQUAL(make(text, &weighting), SM_ERR_CONFIG);
    CU_ASSERT_PTR_NULL(weighting);
    SM_TEST_MESSAGE(section);
    SM_TEST_MESSAGE(key);
    SM_TEST_MESSAGE(allowed);
}

static void mistakes_name_the_key_and_what_is_allowed(void)
{
    refuses("[task.labels]\nlikelihood = laplace\n", "task.labels", "likelihood", "categorical, categorical_scaled");
    refuses("[task.vectors]\nlikelihood = gaussian\n", "task.vectors", "likelihood", "laplace, paper_l1");
    refuses("[task.far]\nlikelihood = paper_l1\n", "task.far", "likelihood", "gaussian");
    refuses("[weighting]\nlower = 3\nupper = 2\n", "weighting", "upper", "3");
    refuses("[weighting]\nlower = -1\n[task.far]\nlog_variance = -2\n", "task.far", "log_variance", "-1");
}

/* The choices of the keys are text; what they name are rows of tables. */
static void choices_are_the_rows_of_the_tables(void)
{
    char methods[64 * 32] = "", likelihoods[256] = "auto";
    for (int i = 0; sm_weighting_kinds[i]; i++) {
        strcat(strcat(methods, *methods ? "|" : ""), sm_weighting_kinds[i]->name);
    }
    for (const sm_likelihood *likelihood = sm_likelihoods; likelihood->name; likelihood++) {
        if (*likelihood->losses) { /* others are the weighting's of their name alone */
            strcat(strcat(likelihoods, "|"), likelihood->name);
        }
    }
    int found = 0;
    for (const sm_key *key = sm_weighting_keys; key->section; key++) {
        if (strcmp(key->name, "method") == 0) {
            CU_ASSERT_STRING_EQUAL(key->choices, methods);
            found++;
        }
    }
    for (const sm_key *key = sm_weighting_kinds[0]->keys; key->section; key++) {
        if (strcmp(key->name, "likelihood") == 0) {
            CU_ASSERT_STRING_EQUAL(key->choices, likelihoods);
            found++;
        }
    }
    CU_ASSERT(found == 2);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(slopes_equal_finite_differences);
    SM_TEST(weights_are_the_derivative_in_the_loss);
    SM_TEST(terms_are_those_of_the_paper);
    SM_TEST(the_slope_vanishes_at_the_minimiser);
    SM_TEST(minimisers_recover_the_scale_of_the_noise);
    SM_TEST(terms_are_normalised);
    SM_TEST(descent_reaches_the_minimiser_from_every_start);
    SM_TEST(defaults_fit_the_losses);
    SM_TEST(log_variances_exist_where_they_are_learned);
    SM_TEST(inactive_tasks_add_nothing);
    SM_TEST(mistakes_name_the_key_and_what_is_allowed);
    SM_TEST(choices_are_the_rows_of_the_tables);
    return sm_test_end();
}
