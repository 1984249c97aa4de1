/** \file
 * `sigmatic data check`: counts what a dataset file holds, warns, draws. */
#ifndef SIGMATIC_CLI_DATA_CHECK_H
#define SIGMATIC_CLI_DATA_CHECK_H

#include "cli/command.h"

sm_status data_check(command_context *context, int argc, char **argv);

#endif
