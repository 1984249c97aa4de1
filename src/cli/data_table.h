/** \file
 * 'sigmatic data table' and 'sigmatic data toy'. */
#ifndef SIGMATIC_CLI_DATA_TABLE_H
#define SIGMATIC_CLI_DATA_TABLE_H

#include "cli/command.h"

/** Command functions. */
sm_status data_table(command_context *context, int argc, char **argv);
sm_status data_toy(command_context *context, int argc, char **argv);

#endif
