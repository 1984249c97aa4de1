/** \file
 * Weights that add up to 1. */
#ifndef SIGMATIC_WEIGHTING_SHARES_H
#define SIGMATIC_WEIGHTING_SHARES_H

/** Replaces values by exp(value) / sum of exp(value) over the active ones, and the others by 0.
 * \param active  one a value; NULL: all are */
void sm_weighting_softmax(int count, const int *active, double *values);

#endif
