/** \file
 * The rows of the table of weightings, a file each. */
#ifndef SIGMATIC_WEIGHTING_ROWS_H
#define SIGMATIC_WEIGHTING_ROWS_H

#include <sigmatic/weighting/weighting.h>

extern const sm_weighting_kind sm_weighting_uncertainty, sm_weighting_equal, sm_weighting_fixed;

#endif
