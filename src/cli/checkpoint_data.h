/** \file
 * A checkpoint's config, and the datasets that it names, from wherever a command is started. */
#ifndef SIGMATIC_CLI_CHECKPOINT_DATA_H
#define SIGMATIC_CLI_CHECKPOINT_DATA_H

#include <sigmatic/comm/comm.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/io/config.h>

#include "cli/arguments.h"

/** Every rank learns a checkpoint's config from rank 0. Collective.
 * \param sets        keys to override, "section.key=value"
 * \param [out] out  freed with sm_config_free()
 * \return what sm_checkpoint_read_info() meets; SM_ERR_CONFIG */
sm_status checkpoint_config(sm_comm *comm, const char *checkpoint, const argument_list *sets, sm_config **out);

/** Opens a split of the files of [data] `key`. Relative paths are those of the folder that training was started in: what is not below
 * the working directory is looked for in the folders above the checkpoint, the nearest first. Not collective.
 * \param option      what names another file, for the message
 * \param [out] out  closed with sm_dataset_close(); untouched on failure
 * \return SM_ERR_IO naming a file that is nowhere, and `option`; what sm_dataset_open() meets */
sm_status checkpoint_data_open(const sm_config *config, const char *checkpoint, const char *key, const char *split,
                               const char *option, sm_dataset **out);

/** Says which files of [data] `key` were found elsewhere than their paths say. */
void checkpoint_data_announce(const sm_config *config, const char *checkpoint, const char *key);

#endif
