/* total = sum of the tasks' negative log-likelihoods, each a term in its loss L_k and its learned log-variance s_k, as
 * exp(-s) L / 2 + s/2: Kendall, Gal, Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses" (CVPR 2018),
 * equations 5 to 10. The terms are a table of their own (likelihood.c). The s are parameters of the network.
 *
 * Tasks of one group have one s, and the total its joint -log likelihood: the sum of their terms, each counted
 * group_weight times. So sigma is the scale of the residuals of all of them, and they need the same likelihood: a
 * standard deviation and a scale b, or a temperature, are not one number. */
#include <sigmatic/base/memory.h>
#include <sigmatic/io/choices.h>
#include <sigmatic/weighting/weighting.h>

#include <string.h>

static const sm_key keys[] = {
    {"task.NAME", "likelihood", SM_KEY_CHOICE, "auto", 0, 0,
     "auto|categorical|categorical_scaled|gaussian|laplace|paper_l1|huber|von_mises_fisher|per_pixel", NULL,
     "uncertainty: what the loss is the likelihood of; auto = by the loss and the key uncertainty"},
    {0},
};

/* \return the first row of the table that fits: the maximum-likelihood reading of the loss; NULL if none does. */
static const sm_likelihood *default_likelihood(const char *loss)
{
    const sm_likelihood *likelihood = sm_likelihoods;
    while (likelihood->name && !sm_choices_has(likelihood->losses, loss)) {
        likelihood++;
    }
    return likelihood->name ? likelihood : NULL;
}

/* \return the names of the likelihoods that fit a loss, "laplace, paper_l1"; freed with sm_free(). */
static char *fitting_likelihoods(const char *loss)
{
    char *names = sm_strdup("auto");
    for (const sm_likelihood *likelihood = sm_likelihoods; likelihood->name; likelihood++) {
        if (sm_choices_has(likelihood->losses, loss)) {
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
    if (!*likelihood || !sm_choices_has((*likelihood)->losses, loss)) {
        char *allowed = fitting_likelihoods(loss);
        status =
            sm_config_fail(config, task, "likelihood", "does not fit the loss %s; expected one of %s", loss, allowed);
        sm_free(allowed);
    }
    return status;
}

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    sm_status status = SM_OK;
    char *task = NULL;
    for (int i = 0; i < weighting->member_count; i++) {
        sm_weighted_task *weighted = &weighting->members[i].task;
        sm_free(task);
        task = sm_format("task.%s", weighted->name);
        SM_TRY(read_likelihood(config, task, weighted->loss, &weighted->likelihood));
    }
done:
    sm_free(task);
    return status;
}

const sm_weighting_kind sm_weighting_uncertainty = {
    .name = "uncertainty",
    .help = "by learned log-variances (Kendall, Gal, Cipolla 2018)",
    .keys = keys,
    .make = make,
    .weigh = sm_weighting_by_likelihoods,
    .learns_log_variances = 1,
};
