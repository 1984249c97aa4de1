/** \file
 * How log-variances are learned, as configured. */
#ifndef SIGMATIC_WEIGHTING_LOG_VARIANCES_H
#define SIGMATIC_WEIGHTING_LOG_VARIANCES_H

#include <sigmatic/weighting/weighting.h>

/** Fills in weighting->log_variances, freed with the weighting.
 * \return SM_ERR_CONFIG naming the key and what is allowed */
sm_status sm_log_variances_read(sm_weighting *weighting, const sm_config *config);

#endif
