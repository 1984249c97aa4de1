#include <sigmatic/weighting/likelihood.h>

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Terms of Kendall, Gal, Cipolla (CVPR 2018), equations 5 to 10, written in s = log sigma^2; with L and D:
 *   categorical         exp(-s) L + s/2         equation 10, an approximation of the next
 *   categorical_scaled  L(s)                    equation 8: the loss is taken of logits * exp(-s)
 *   gaussian            exp(-s) L / 2 + D s/2   equations 5 and 7
 *   laplace             exp(-s/2) L + D s/2     -log of prod exp(-|x|/b)/(2b) with b = exp(s/2), up to D log 2
 *   paper_l1            exp(-s) L / 2 + s/2     the Gaussian's weight on an absolute error */

static double exponential(double s)
{
    return exp(-s);
}

static double half_exponential(double s)
{
    return exp(-s) / 2;
}

static double root_exponential(double s)
{
    return exp(-s / 2);
}

static double one(double s)
{
    (void)s;
    return 1;
}

static double root(double s)
{
    return exp(s / 2);
}

static double categorical_term(double loss, double s, int dimensions)
{
    (void)dimensions;
    return exp(-s) * loss + s / 2;
}

static double categorical_slope(double loss, double loss_slope, double s, int dimensions)
{
    (void)loss_slope;
    (void)dimensions;
    return -exp(-s) * loss + 0.5;
}

static double categorical_minimiser(double loss, int dimensions)
{
    (void)dimensions;
    return log(2 * loss);
}

static double scaled_term(double loss, double s, int dimensions)
{
    (void)s;
    (void)dimensions;
    return loss;
}

static double scaled_slope(double loss, double loss_slope, double s, int dimensions)
{
    (void)loss;
    (void)s;
    (void)dimensions;
    return loss_slope;
}

static double no_minimiser(double loss, int dimensions)
{
    (void)loss;
    (void)dimensions;
    return NAN;
}

static double gaussian_term(double loss, double s, int dimensions)
{
    return exp(-s) * loss / 2 + dimensions * s / 2;
}

static double gaussian_slope(double loss, double loss_slope, double s, int dimensions)
{
    (void)loss_slope;
    return (-exp(-s) * loss + dimensions) / 2;
}

static double gaussian_minimiser(double loss, int dimensions)
{
    return log(loss / dimensions);
}

static double laplace_term(double loss, double s, int dimensions)
{
    return exp(-s / 2) * loss + dimensions * s / 2;
}

static double laplace_slope(double loss, double loss_slope, double s, int dimensions)
{
    (void)loss_slope;
    return (-exp(-s / 2) * loss + dimensions) / 2;
}

static double laplace_minimiser(double loss, int dimensions)
{
    return 2 * log(loss / dimensions);
}

static double paper_l1_term(double loss, double s, int dimensions)
{
    (void)dimensions;
    return gaussian_term(loss, s, 1);
}

static double paper_l1_slope(double loss, double loss_slope, double s, int dimensions)
{
    (void)dimensions;
    return gaussian_slope(loss, loss_slope, s, 1);
}

static double paper_l1_minimiser(double loss, int dimensions)
{
    (void)dimensions;
    return gaussian_minimiser(loss, 1);
}

const sm_likelihood sm_likelihoods[] = {
    {"categorical", "cross_entropy", "root of the temperature", categorical_term, exponential, categorical_slope,
     categorical_minimiser, root, 0},
    {"categorical_scaled", "cross_entropy", "root of the softmax temperature", scaled_term, one, scaled_slope,
     no_minimiser, root, 1},
    {"gaussian", "l2", "standard deviation", gaussian_term, half_exponential, gaussian_slope, gaussian_minimiser, root,
     0},
    {"laplace", "l1", "Laplace scale b", laplace_term, root_exponential, laplace_slope, laplace_minimiser, root, 0},
    {"paper_l1", "l1", "root of the mean absolute error", paper_l1_term, half_exponential, paper_l1_slope,
     paper_l1_minimiser, root, 0},
    {0},
};

const sm_likelihood *sm_likelihood_find(const char *name)
{
    for (const sm_likelihood *likelihood = sm_likelihoods; likelihood->name; likelihood++) {
        if (strcmp(likelihood->name, name) == 0) {
            return likelihood;
        }
    }
    return NULL;
}
