/** \file
 * `sigmatic data info`: what a dataset file holds. */
#ifndef SIGMATIC_CLI_DATA_INFO_H
#define SIGMATIC_CLI_DATA_INFO_H

#include "cli/command.h"

sm_status data_info(command_context *context, int argc, char **argv);

#endif
