/** \file
 * For weightings that take logarithms or inverses of losses. */
#ifndef SIGMATIC_WEIGHTING_POSITIVE_LOSSES_H
#define SIGMATIC_WEIGHTING_POSITIVE_LOSSES_H

#include <sigmatic/weighting/weighting.h>

#include <math.h>

/** What a loss counts as at least: where one vanishes, its logarithm and its inverse stay finite. */
static const double sm_least_loss = 1e-8;

#endif
