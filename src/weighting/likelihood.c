#include <sigmatic/weighting/likelihood.h>

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Terms of Kendall, Gal, Cipolla (CVPR 2018), equations 5 to 10, written in s = log sigma^2; with L and D:
 *   categorical         exp(-s) L + D s/2       equation 10, an approximation of the next (of labels: of each of D)
 *   categorical_scaled  L(s)                    equation 8: the loss is taken of logits * exp(-s)
 *   gaussian            exp(-s) L / 2 + D s/2   equations 5 and 7
 *   laplace             exp(-s/2) L + D s/2     -log of prod exp(-|x|/b)/(2b) with b = exp(s/2), up to D log 2
 *   paper_l1            exp(-s) L / 2 + s/2     the Gaussian's weight on an absolute error
 * and, in the same manner, -log of a density that is exp(-L / sigma^2) over its integral:
 *   huber               exp(-s) L + D log Z(s)  Z the integral over a residual, by the standard normal's
 *   von_mises_fisher    exp(-s) L + log C(s)    C the integral over the unit sphere, over 2 pi */

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

static double categorical_term(double loss, double s, sm_loss_shape shape)
{
    return exp(-s) * loss + shape.dimensions * s / 2;
}

static double categorical_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)loss_slope;
    return -exp(-s) * loss + 0.5 * shape.dimensions;
}

static double categorical_minimiser(double loss, sm_loss_shape shape)
{
    return log(2 * loss / shape.dimensions);
}

static double scaled_term(double loss, double s, sm_loss_shape shape)
{
    (void)s;
    (void)shape;
    return loss;
}

static double scaled_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)loss;
    (void)s;
    (void)shape;
    return loss_slope;
}

/* The loss is a negative log-likelihood already, of log-variances of its own. */
static double no_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)loss;
    (void)loss_slope;
    (void)s;
    (void)shape;
    return 0;
}

static double no_minimiser(double loss, sm_loss_shape shape)
{
    (void)loss;
    (void)shape;
    return NAN;
}

static double gaussian_term(double loss, double s, sm_loss_shape shape)
{
    return exp(-s) * loss / 2 + shape.dimensions * s / 2;
}

static double gaussian_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)loss_slope;
    return (-exp(-s) * loss + shape.dimensions) / 2;
}

static double gaussian_minimiser(double loss, sm_loss_shape shape)
{
    return log(loss / shape.dimensions);
}

static double laplace_term(double loss, double s, sm_loss_shape shape)
{
    return exp(-s / 2) * loss + shape.dimensions * s / 2;
}

static double laplace_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)loss_slope;
    return (-exp(-s / 2) * loss + shape.dimensions) / 2;
}

static double laplace_minimiser(double loss, sm_loss_shape shape)
{
    return 2 * log(loss / shape.dimensions);
}

static const sm_loss_shape one_dimension = {.dimensions = 1};

static double paper_l1_term(double loss, double s, sm_loss_shape shape)
{
    (void)shape;
    return gaussian_term(loss, s, one_dimension);
}

static double paper_l1_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)shape;
    return gaussian_slope(loss, loss_slope, s, one_dimension);
}

static double paper_l1_minimiser(double loss, sm_loss_shape shape)
{
    (void)shape;
    return gaussian_minimiser(loss, one_dimension);
}

/* Not densities, but learned in the same way:
 *   revised_uncertainty exp(-s) L / 2 + log(1 + exp(s))
 *   imtl_l              exp(s) L - s */
static double revised_term(double loss, double s, sm_loss_shape shape)
{
    (void)shape;
    return exp(-s) * loss / 2 + log1p(exp(s));
}

static double revised_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)loss_slope;
    (void)shape;
    return -exp(-s) * loss / 2 + 1 / (1 + exp(-s));
}

/* The positive root of 2 x^2 = L (1 + x), x = exp(s). */
static double revised_minimiser(double loss, sm_loss_shape shape)
{
    (void)shape;
    return log((loss + sqrt(loss * (loss + 8))) / 4);
}

static double scale(double s)
{
    return exp(s);
}

static double imtl_term(double loss, double s, sm_loss_shape shape)
{
    (void)shape;
    return exp(s) * loss - s;
}

static double imtl_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)loss_slope;
    (void)shape;
    return exp(s) * loss - 1;
}

static double imtl_minimiser(double loss, sm_loss_shape shape)
{
    (void)shape;
    return -log(loss);
}

static double no_sigma(double s)
{
    (void)s;
    return NAN;
}

/* \return where a slope that rises from at most 0 at `low` to at least 0 at `high` vanishes. */
static double find_root(double (*slope)(double loss, double loss_slope, double s, sm_loss_shape shape), double loss,
                        sm_loss_shape shape, double low, double high)
{
    double middle = (low + high) / 2;
    while (middle > low && middle < high) { /* until there is no number between */
        if (slope(loss, 0, middle, shape) < 0) {
            low = middle;
        } else {
            high = middle;
        }
        middle = (low + high) / 2;
    }
    return middle;
}

/* The density exp(-rho(x) / sigma^2) / Z with Huber's rho(x) = x^2 / 2 up to delta, delta (|x| - delta / 2) beyond: a
 * normal core and exponential tails. With a = delta / sigma, the core's part of Z / sigma is sqrt(2 pi) erf(a / sqrt 2)
 * and the tails' 2/a exp(-a^2 / 2). */
static const double root_2pi = 2.50662827463100050242;

static double huber_core(double a)
{
    return root_2pi * erf(a * 0.70710678118654752440);
}

static double huber_tails(double a)
{
    return 2 / a * exp(-a * a / 2);
}

static double huber_term(double loss, double s, sm_loss_shape shape)
{
    double a = shape.delta * exp(-s / 2);
    return exp(-s) * loss + shape.dimensions * (s / 2 + log((huber_core(a) + huber_tails(a)) / root_2pi));
}

/* d log Z / d s goes from 1/2, the normal distribution's, to 1, that of a Laplace of scale sigma^2 / delta. */
static double huber_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)loss_slope;
    double a = shape.delta * exp(-s / 2), core = huber_core(a), tails = huber_tails(a);
    return -exp(-s) * loss + shape.dimensions * (core + 2 * tails) / (core + tails) / 2;
}

static double huber_minimiser(double loss, sm_loss_shape shape)
{
    double low = log(loss / shape.dimensions);
    return find_root(huber_slope, loss, shape, low, low + log(2));
}

/* The density kappa exp(kappa cos) / (4 pi sinh kappa) on the unit sphere, kappa = 1 / sigma^2; with L = 1 - cos,
 * -log is kappa L + log((1 - exp(-2 kappa)) / kappa) + log 2 pi. */
static double fisher_term(double loss, double s, sm_loss_shape shape)
{
    (void)shape;
    double kappa = exp(-s);
    return kappa * loss + s + log(-expm1(-2 * kappa));
}

static double fisher_slope(double loss, double loss_slope, double s, sm_loss_shape shape)
{
    (void)loss_slope;
    (void)shape;
    double kappa = exp(-s);
    return -kappa * loss + 1 - 2 * kappa / expm1(2 * kappa);
}

/* Directions that are no better than any (L = 1 on average) have no concentration. Bounds: coth k - 1/k lies between
 * 1 - 1/k and k/3. */
static double fisher_minimiser(double loss, sm_loss_shape shape)
{
    return loss < 1 ? find_root(fisher_slope, loss, shape, log(loss), -log(3 * (1 - loss))) : NAN;
}

/* Of `categorical`, `paper_l1` and `revised_uncertainty` no distribution has the sigma: it is a weight. */
const sm_likelihood sm_likelihoods[] = {
    {"categorical", "cross_entropy|binary_cross_entropy", "", "", categorical_term, exponential, categorical_slope,
     categorical_minimiser, root, 0},
    {"categorical_scaled", "cross_entropy|binary_cross_entropy", "root of the softmax temperature", "", scaled_term,
     one, scaled_slope, no_minimiser, root, 1},
    {"gaussian", "l2", "standard deviation", NULL, gaussian_term, half_exponential, gaussian_slope, gaussian_minimiser,
     root, 0},
    {"laplace", "l1", "Laplace scale b", NULL, laplace_term, root_exponential, laplace_slope, laplace_minimiser, root,
     0},
    {"paper_l1", "l1", "", "", paper_l1_term, half_exponential, paper_l1_slope, paper_l1_minimiser, root, 0},
    {"huber", "huber", "standard deviation within delta", NULL, huber_term, exponential, huber_slope, huber_minimiser,
     root, 0},
    {"von_mises_fisher", "cosine", "angle along each of two axes", "rad", fisher_term, exponential, fisher_slope,
     fisher_minimiser, root, 0},
    {"per_pixel", "per_pixel", "geometric mean of the pixels' sigma", NULL, scaled_term, one, no_slope, no_minimiser,
     root, 0},
    {"revised_uncertainty", "", "", "", revised_term, half_exponential, revised_slope, revised_minimiser, root, 0},
    {"imtl_l", "", "", "", imtl_term, scale, imtl_slope, imtl_minimiser, no_sigma, 0},
    {0},
};

const char *sm_likelihood_unit(const sm_likelihood *likelihood, const char *loss_unit)
{
    return likelihood->unit ? likelihood->unit : loss_unit;
}

const sm_likelihood *sm_likelihood_find(const char *name)
{
    for (const sm_likelihood *likelihood = sm_likelihoods; likelihood->name; likelihood++) {
        if (strcmp(likelihood->name, name) == 0) {
            return likelihood;
        }
    }
    return NULL;
}

double sm_likelihood_minimiser_of_group(const sm_likelihood *likelihood, double loss, double weight,
                                        sm_loss_shape shape)
{
    return likelihood->minimiser(*likelihood->losses ? loss / weight : loss, shape);
}

const sm_likelihood *sm_likelihood_of_loss(const char *loss)
{
    const sm_likelihood *likelihood = sm_likelihoods;
    while (likelihood->name && strcmp(likelihood->losses, loss) != 0) {
        likelihood++;
    }
    return likelihood->name ? likelihood : NULL;
}
