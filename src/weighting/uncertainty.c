/* total = sum of the tasks' negative log-likelihoods, each a term in its loss L_k and its learned log-variance s_k, as
 * exp(-s) L / 2 + s/2: Kendall, Gal, Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses" (CVPR 2018),
 * equations 5 to 10. The terms are a table of their own (likelihood.c). The s are parameters of the network. */
#include <sigmatic/base/memory.h>

#include <sigmatic/weighting/weighting.h>

#include <assert.h>
#include <math.h>
#include <string.h>

static const char section[] = "weighting";

static const sm_key keys[] = {
    {section, "learning_rate_scale", SM_KEY_REAL, "10", 0, INFINITY, NULL, NULL,
     "uncertainty: learning rate of the log-variances relative to the network's"},
    {section, "gradient_limit", SM_KEY_REAL, "1", 0, INFINITY, NULL, NULL,
     "uncertainty: limit of the gradient of each log-variance; 0 = none"},
    {section, "lower", SM_KEY_REAL, "-20", -80, 80, NULL, NULL, "uncertainty: least log-variance"},
    {section, "upper", SM_KEY_REAL, "20", -80, 80, NULL, NULL, "uncertainty: greatest log-variance"},
    {"task.NAME", "log_variance", SM_KEY_REAL, "0", -80, 80, NULL, NULL,
     "uncertainty: initial log sigma^2 of the task"},
    {"task.NAME", "likelihood", SM_KEY_CHOICE, "auto", 0, 0,
     "auto|categorical|categorical_scaled|gaussian|laplace|paper_l1|huber|von_mises_fisher|per_pixel", NULL,
     "uncertainty: what the loss is the likelihood of; auto = by the loss and the key uncertainty"},
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

/* \return the first row of the table that fits: the maximum-likelihood reading of the loss; NULL if none does. */
static const sm_likelihood *default_likelihood(const char *loss)
{
    const sm_likelihood *likelihood = sm_likelihoods;
    while (likelihood->name && !is_one_of(loss, likelihood->losses)) {
        likelihood++;
    }
    return likelihood->name ? likelihood : NULL;
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

static sm_status read_likelihood(const sm_config *config, const char *task, const char *loss,
                                 const sm_likelihood **likelihood)
{
    sm_status status = SM_OK;
    const char *name = sm_config_text_of(config, task, "likelihood");
    *likelihood = strcmp(name, "auto") == 0 ? default_likelihood(loss) : sm_likelihood_find(name);
    if (!*likelihood || !is_one_of(loss, (*likelihood)->losses)) {
        char *allowed = fitting_likelihoods(loss);
        status =
            sm_config_fail(config, task, "likelihood", "does not fit the loss %s; expected one of %s", loss, allowed);
        sm_free(allowed);
    }
    return status;
}

static sm_status read_likelihoods(sm_weighting *weighting, const sm_config *config)
{
    sm_status status = SM_OK;
    char *task = NULL;
    for (int i = 0; i < weighting->count; i++) {
        sm_weighted_task *weighted = &weighting->tasks[i];
        sm_free(task);
        task = sm_format("task.%s", weighted->name);
        SM_TRY(read_likelihood(config, task, weighted->loss, &weighted->likelihood));
    }
done:
    sm_free(task);
    return status;
}

static sm_status check_bounds(const sm_weighting *weighting, const sm_config *config)
{
    const sm_log_variances *s = weighting->log_variances;
    if (s->lower >= s->upper) {
        return sm_config_fail(config, section, "upper", "expected more than lower = %g", s->lower);
    }
    for (int i = 0; i < weighting->count; i++) {
        if (s->initial[i] < s->lower || s->initial[i] > s->upper) {
            char *task = sm_format("task.%s", weighting->tasks[i].name);
            sm_status status =
                sm_config_fail(config, task, "log_variance", "expected a number in [%g, %g] (weighting.lower, upper)",
                               s->lower, s->upper);
            sm_free(task);
            return status;
        }
    }
    return SM_OK;
}

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    sm_status status = SM_OK;
    sm_log_variances *s = weighting->log_variances = sm_alloc_zeroed(sizeof *s);
    s->initial = sm_weighting_task_reals(weighting, config, "log_variance");
    s->learning_rate_scale = sm_config_real(config, section, "learning_rate_scale");
    s->gradient_limit = sm_config_real(config, section, "gradient_limit");
    s->lower = sm_config_real(config, section, "lower");
    s->upper = sm_config_real(config, section, "upper");
    SM_TRY(check_bounds(weighting, config));
    SM_TRY(read_likelihoods(weighting, config));
done:
    return status;
}

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    for (int i = 0; i < weighting->count; i++) {
        if (step->active[i]) {
            const sm_likelihood *likelihood = weighting->tasks[i].likelihood;
            double loss = step->loss[i], s = step->log_variance[i];
            sm_loss_shape shape = weighting->tasks[i].shape;
            out->total += likelihood->term(loss, s, shape);
            out->weight[i] = likelihood->weight(s);
            out->slope[i] = likelihood->slope(loss, step->loss_slope[i], s, shape);
        }
    }
}

const sm_weighting_kind sm_weighting_uncertainty = {
    .name = "uncertainty",
    .help = "by learned log-variances (Kendall, Gal, Cipolla 2018)",
    .keys = keys,
    .make = make,
    .weigh = weigh,
};
