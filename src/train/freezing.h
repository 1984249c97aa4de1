/** \file
 * What of a configured network is trained, and what [model] freeze keeps as it is. Not collective; the same on every rank. */
#ifndef SIGMATIC_TRAIN_FREEZING_H
#define SIGMATIC_TRAIN_FREEZING_H

#include <sigmatic/train/session.h>

/** \return SM_ERR_CONFIG if nothing is left to train: neither a parameter of the network nor a log-variance */
sm_status sm_freezing_check(const sm_session *session);

/** Says in the log which parts are frozen and how many parameters are trained; warns if those are log-variances only, and of factors
 * in [model] learning_rate_scales that frozen parts alone have. Says nothing where nothing is frozen. */
void sm_freezing_report(const sm_session *session);

#endif
