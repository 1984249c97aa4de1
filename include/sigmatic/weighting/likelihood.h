/** \file
 * Likelihoods with a learned log-variance s = log sigma^2 (Kendall, Gal, Cipolla, CVPR 2018): what a loss is the
 * likelihood of. A table that others extend. */
#ifndef SIGMATIC_WEIGHTING_LIKELIHOOD_H
#define SIGMATIC_WEIGHTING_LIKELIHOOD_H

#ifdef __cplusplus
extern "C" {
#endif

/** What a likelihood has to know of its loss. */
typedef struct sm_loss_shape {
    double dimensions; /**< D: components of a regression, labels of a binary cross-entropy; 1 for a cross-entropy. Of a
                          group of tasks their mean */
    double delta;      /**< of a Huber loss; else 0 */
} sm_loss_shape;

/** One row of the table in configs/tasks.md: the objective term of a task as a function of its loss and its s.
 * L: the loss summed over D components, averaged over valid items (pixels or samples). loss_slope: dL/ds at fixed logits (categorical_scaled only, else 0). */
typedef struct sm_likelihood {
    const char *
        name; /**< "categorical", "categorical_scaled", "gaussian", "laplace", "paper_l1", "huber", "von_mises_fisher"; "per_pixel" of tasks whose loss knows a log-variance of each item */
    const char *losses;  /**< losses it fits, joined by |: "cross_entropy|binary_cross_entropy" */
    const char *meaning; /**< what sigma is: "standard deviation", "Laplace scale b", ...; "": a weight, no more */
    const char *unit;    /**< of sigma: NULL = the loss's own, "px"; "rad"; "": none */
    double (*term)(double loss, double s, sm_loss_shape shape);
    double (*weight)(double s);                                                     /**< d term / d L */
    double (*slope)(double loss, double loss_slope, double s, sm_loss_shape shape); /**< d term / d s */
    double (*minimiser)(
        double loss,
        sm_loss_shape
            shape); /**< s where the slope vanishes at this L; NaN if there is no closed form, or no minimum */
    double (*sigma)(double s); /**< what is reported: exp(s/2), ... */
    int scales_logits;         /**< 1: the loss is taken of logits * exp(-s) */
} sm_likelihood;

extern const sm_likelihood sm_likelihoods[]; /**< ends with a NULL name */
/** \return the unit of sigma, "" without one. \param loss_unit  of the task's loss */
const char *sm_likelihood_unit(const sm_likelihood *likelihood, const char *loss_unit);
/** \return NULL if there is none of that name. */
const sm_likelihood *sm_likelihood_find(const char *name);
/** \return s where the slope of a group vanishes at its loss L = sum w_i L_i, W = sum w_i (sm_weighting_by_likelihoods());
 * NaN as `minimiser` */
double sm_likelihood_minimiser_of_group(const sm_likelihood *likelihood, double loss, double weight,
                                        sm_loss_shape shape);
/** \return the first that fits one loss of real values alone, which is its exact negative log-likelihood; NULL if there is none. */
const sm_likelihood *sm_likelihood_of_loss(const char *loss);

#ifdef __cplusplus
}
#endif
#endif
