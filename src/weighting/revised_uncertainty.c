/* total = sum of L_k / (2 sigma_k^2) + log(1 + sigma_k^2) with learned s_k = log sigma_k^2: Liebel and Koerner, "Auxiliary
 * Tasks in Multi-task Learning" (2018), equation 4. Its regulariser is never negative, so neither is the total, where that of
 * `uncertainty` falls without bound as losses vanish. The term is a row of the table of likelihoods (likelihood.c), for
 * any loss, though no density has it; so a group of tasks is one loss, the sum of theirs, with one regulariser. */
#include <sigmatic/weighting/weighting.h>

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    for (int i = 0; i < weighting->count; i++) {
        weighting->tasks[i].likelihood = sm_likelihood_find("revised_uncertainty");
    }
    return sm_weighting_refuse_negative_losses(weighting, config);
}

const sm_weighting_kind sm_weighting_revised_uncertainty = {
    .name = "revised_uncertainty",
    .help = "by learned log-variances, with log(1 + sigma^2) (Liebel, Koerner 2018)",
    .make = make,
    .weigh = sm_weighting_by_likelihoods,
    .learns_log_variances = 1,
};
