#include <sigmatic/weighting/weighting.h>

#include <sigmatic/base/memory.h>

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

const sm_key sm_weighting_keys[] = {
    {"weighting", "method", SM_KEY_CHOICE, "uncertainty", 0, 0, "uncertainty|equal|fixed", NULL,
     "how the losses of the tasks become one"},
    {"weighting", "learning_rate_scale", SM_KEY_REAL, "10", 0, INFINITY, NULL, NULL,
     "uncertainty: learning rate of the log-variances relative to the network's"},
    {"weighting", "gradient_limit", SM_KEY_REAL, "1", 0, INFINITY, NULL, NULL,
     "uncertainty: limit of the gradient of each log-variance; 0 = none"},
    {"weighting", "lower", SM_KEY_REAL, "-20", -80, 80, NULL, NULL, "uncertainty: least log-variance"},
    {"weighting", "upper", SM_KEY_REAL, "20", -80, 80, NULL, NULL, "uncertainty: greatest log-variance"},
    {"task.NAME", "likelihood", SM_KEY_CHOICE, "auto", 0, 0,
     "auto|categorical|categorical_scaled|gaussian|laplace|paper_l1", NULL,
     "uncertainty: what the loss is the likelihood of; auto = by the loss"},
    {"task.NAME", "weight", SM_KEY_REAL, "1", 0, INFINITY, NULL, NULL, "fixed: factor of the loss"},
    {"task.NAME", "log_variance", SM_KEY_REAL, "0", -80, 80, NULL, NULL,
     "uncertainty: initial log sigma^2 of the task"},
    {0},
};

static void weigh_uncertainty(const sm_weighting *weighting, const double *loss, const double *loss_slope,
                              const double *s, const int *active, sm_weights *out)
{
    for (int i = 0; i < weighting->count; i++) {
        if (active[i]) {
            const sm_likelihood *likelihood = weighting->tasks[i].likelihood;
            int dimensions = weighting->tasks[i].dimensions;
            out->total += likelihood->term(loss[i], s[i], dimensions);
            out->weight[i] = likelihood->weight(s[i]);
            out->slope[i] = likelihood->slope(loss[i], loss_slope[i], s[i], dimensions);
        }
    }
}

static void weigh_equal(const sm_weighting *weighting, const double *loss, const double *loss_slope, const double *s,
                        const int *active, sm_weights *out)
{
    (void)loss_slope;
    (void)s;
    for (int i = 0; i < weighting->count; i++) {
        if (active[i]) {
            out->weight[i] = 1.0 / weighting->count;
            out->total += out->weight[i] * loss[i];
        }
    }
}

static void weigh_fixed(const sm_weighting *weighting, const double *loss, const double *loss_slope, const double *s,
                        const int *active, sm_weights *out)
{
    (void)loss_slope;
    (void)s;
    for (int i = 0; i < weighting->count; i++) {
        if (active[i]) {
            out->weight[i] = weighting->tasks[i].fixed_weight;
            out->total += out->weight[i] * loss[i];
        }
    }
}

const sm_weighting_kind sm_weighting_kinds[] = {
    {"uncertainty", "by learned log-variances (Kendall, Gal, Cipolla 2018)", 1, 0, weigh_uncertainty},
    {"equal", "1/K each for K tasks", 0, 0, weigh_equal},
    {"fixed", "by the key `weight` of each task", 0, 0, weigh_fixed},
    {0},
};

/* \return whether `word` is one of `words`, which are joined by '|'. */
static int is_one_of(const char *word, const char *words)
{
    size_t length = strlen(word);
    for (const char *at = words; at; at = strchr(at, '|'), at = at ? at + 1 : NULL) {
        if (strncmp(at, word, length) == 0 && (at[length] == '|' || at[length] == '\0')) {
            return 1;
        }
    }
    return 0;
}

/* The maximum-likelihood reading of each loss. */
static const char *const default_likelihoods[][2] = {
    {"cross_entropy", "categorical"},
    {"l1", "laplace"},
    {"l2", "gaussian"},
};

static const sm_likelihood *default_likelihood(const char *loss)
{
    for (size_t i = 0; i < sizeof default_likelihoods / sizeof *default_likelihoods; i++) {
        if (strcmp(default_likelihoods[i][0], loss) == 0) {
            return sm_likelihood_find(default_likelihoods[i][1]);
        }
    }
    assert(!"a loss without a likelihood");
    return NULL;
}

/* \return the names of the likelihoods that fit a loss, "laplace, paper_l1"; freed with sm_free(). */
static char *fitting_likelihoods(const char *loss)
{
    char *names = sm_strdup("auto");
    for (const sm_likelihood *likelihood = sm_likelihoods; likelihood->name; likelihood++) {
        if (is_one_of(loss, likelihood->losses)) {
            char *longer = sm_format("%s, %s", names, likelihood->name);
            sm_free(names);
            names = longer;
        }
    }
    return names;
}

static sm_status read_likelihood(const sm_config *config, const char *section, const char *loss,
                                 const sm_likelihood **likelihood)
{
    sm_status status = SM_OK;
    const char *name = sm_config_text_of(config, section, "likelihood");
    *likelihood = strcmp(name, "auto") == 0 ? default_likelihood(loss) : sm_likelihood_find(name);
    if (!is_one_of(loss, (*likelihood)->losses)) {
        char *allowed = fitting_likelihoods(loss);
        status = sm_config_fail(config, section, "likelihood", "does not fit the loss %s; expected one of %s", loss,
                                allowed);
        sm_free(allowed);
    }
    return status;
}

static sm_status read_task(const sm_config *config, const sm_weighting *weighting, const char *name, const char *loss,
                           int dimensions, sm_weighted_task *task)
{
    sm_status status = SM_OK;
    char *section = sm_format("task.%s", name);

    task->name = sm_strdup(name);
    SM_TRY(read_likelihood(config, section, loss, &task->likelihood));
    task->dimensions = strcmp(loss, "cross_entropy") == 0 ? 1 : dimensions;
    task->fixed_weight = sm_config_real(config, section, "weight");
    task->initial_log_variance = sm_config_real(config, section, "log_variance");
    if (task->initial_log_variance < weighting->lower || task->initial_log_variance > weighting->upper) {
        SM_TRY(sm_config_fail(config, section, "log_variance", "expected a number in [%g, %g] (weighting.lower, upper)",
                              weighting->lower, weighting->upper));
    }
done:
    sm_free(section);
    return status;
}

sm_status sm_weighting_new(const sm_config *config, int count, const char *const *names, const char *const *loss_names,
                           const int *dimensions, sm_weighting **out)
{
    static const char section[] = "weighting";
    sm_status status = SM_OK;
    sm_weighting *weighting = sm_alloc_zeroed(sizeof *weighting);

    *out = NULL;
    *weighting = (sm_weighting){
        .kind = &sm_weighting_kinds[sm_config_choice(config, section, "method")],
        .count = count,
        .tasks = sm_alloc_zeroed((size_t)count * sizeof *weighting->tasks),
        .learning_rate_scale = sm_config_real(config, section, "learning_rate_scale"),
        .gradient_limit = sm_config_real(config, section, "gradient_limit"),
        .lower = sm_config_real(config, section, "lower"),
        .upper = sm_config_real(config, section, "upper"),
    };
    if (weighting->lower >= weighting->upper) {
        SM_TRY(sm_config_fail(config, section, "upper", "expected more than lower = %g", weighting->lower));
    }
    for (int i = 0; i < count; i++) {
        SM_TRY(read_task(config, weighting, names[i], loss_names[i], dimensions[i], &weighting->tasks[i]));
    }
    *out = weighting;
    weighting = NULL;
done:
    sm_weighting_free(weighting);
    return status;
}

void sm_weighting_free(sm_weighting *weighting)
{
    if (weighting) {
        for (int i = 0; i < weighting->count; i++) {
            sm_free(weighting->tasks[i].name);
        }
        sm_free(weighting->tasks);
        sm_free(weighting);
    }
}

void sm_weighting_weigh(const sm_weighting *weighting, const double *loss, const double *loss_slope, const double *s,
                        const int *active, sm_weights *out)
{
    out->total = 0;
    for (int i = 0; i < weighting->count; i++) {
        out->weight[i] = 0;
        out->slope[i] = 0;
    }
    weighting->kind->weigh(weighting, loss, loss_slope, s, active, out);
}
