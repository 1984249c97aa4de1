/** \file
 * Likelihoods with a learned log-variance s = log sigma^2 (Kendall, Gal, Cipolla, CVPR 2018): what a loss is the
 * likelihood of. A table that others extend. */
#ifndef SIGMATIC_WEIGHTING_LIKELIHOOD_H
#define SIGMATIC_WEIGHTING_LIKELIHOOD_H

#ifdef __cplusplus
extern "C" {
#endif

/** One row of the README's table: the objective term of a task as a function of its loss and its s.
 * L: the loss summed over D components, averaged over valid items (pixels or samples). loss_slope: dL/ds at fixed logits (categorical_scaled only, else 0). */
typedef struct sm_likelihood {
    const char *name;    /**< "categorical", "categorical_scaled", "gaussian", "laplace", "paper_l1" */
    const char *losses;  /**< losses it fits: "cross_entropy", "l1", "l2" joined by | */
    const char *meaning; /**< what sigma is: "standard deviation", "Laplace scale b", "softmax temperature", ... */
    double (*term)(double loss, double s, int dimensions);
    double (*weight)(double s);                                                /**< d term / d L */
    double (*slope)(double loss, double loss_slope, double s, int dimensions); /**< d term / d s */
    double (*minimiser)(double loss,
                        int dimensions); /**< s where the slope vanishes at this L; NaN if there is no closed form */
    double (*sigma)(double s);           /**< what is reported: exp(s/2), ... */
    int scales_logits;                   /**< 1: the loss is taken of logits * exp(-s) */
} sm_likelihood;

extern const sm_likelihood sm_likelihoods[]; /**< ends with a NULL name */
/** \return NULL if there is none of that name. */
const sm_likelihood *sm_likelihood_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
