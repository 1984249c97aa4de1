/* total = sum of exp(s_k) L_k - s_k with learned s_k: the loss balance of Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang,
 * "Towards Impartial Multi-task Learning" (ICLR 2021), section 3.2, without its gradient balance. At the minimum over s_k,
 * -log L_k, every scaled loss is 1. s_k is learned as a log-variance is, but is the logarithm of a scale: there is no
 * sigma. The term is a row of the table of likelihoods (likelihood.c), for any loss, also for
 * the sum of the losses of a group of tasks, which gets one scale. */
#include <sigmatic/weighting/weighting.h>

static sm_status make(sm_weighting *weighting, const sm_config *config)
{
    for (int i = 0; i < weighting->count; i++) {
        weighting->tasks[i].likelihood = sm_likelihood_find("imtl_l");
    }
    return sm_weighting_refuse_negative_losses(weighting, config);
}

const sm_weighting_kind sm_weighting_imtl_l = {
    .name = "imtl_l",
    .help = "by learned scales that make all losses 1 (Liu et al. 2021)",
    .make = make,
    .weigh = sm_weighting_by_likelihoods,
    .learns_log_variances = 1,
};
