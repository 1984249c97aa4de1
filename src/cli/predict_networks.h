/** \file
 * The networks of one or several checkpoints, ready to predict. */
#ifndef SIGMATIC_CLI_PREDICT_NETWORKS_H
#define SIGMATIC_CLI_PREDICT_NETWORKS_H

#include <sigmatic/train/session.h>

#include "cli/arguments.h"

typedef struct predict_networks {
    int count;
    sm_config **configs;
    sm_session **sessions;
} predict_networks;

/** Opens and loads them. What a checkpoint of an earlier version does not say of its data is taken from a dataset: `data`, or
 * the training files of its config. Collective.
 *
 * \param sets             keys of all their configs to override
 * \param use_average      1: averaged parameters, where a checkpoint has them
 * \param [out] networks   freed with predict_networks_free(), also after a failure
 * \return the same on every rank: what reading a checkpoint meets; SM_ERR_INPUT naming the checkpoint whose tasks differ from
 * the first one's; SM_ERR_USAGE if `data` is given and no checkpoint needs it, or if two
 * words name one checkpoint */
sm_status predict_networks_open(sm_comm *comm, const char *const *checkpoints, int count, const argument_list *sets,
                                const char *data, int use_average, predict_networks *networks);
void predict_networks_free(predict_networks *networks);

#endif
