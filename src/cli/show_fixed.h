/** \file
 * The weights that a run came to, as the configuration of a run that keeps them. */
#ifndef SIGMATIC_CLI_SHOW_FIXED_H
#define SIGMATIC_CLI_SHOW_FIXED_H

#include "cli/show_view.h"

/** Prints the run's configuration with weighting.method = fixed, each task's weight the mean of its last 50, and another
 * folder. A comment says where the weights are from. Of a run whose weighting is fixed they stay as they are written.
 * \return SM_ERR_INPUT: no step yet, or a task whose likelihood no factor of its loss stands for */
sm_status show_as_fixed(const show_view *view);

#endif
