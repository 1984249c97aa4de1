/** \file
 * 'sigmatic weights info'. */
#ifndef SIGMATIC_CLI_WEIGHTS_INFO_H
#define SIGMATIC_CLI_WEIGHTS_INFO_H

#include "cli/command.h"

/** A command_function. */
sm_status weights_info(command_context *context, int argc, char **argv);

#endif
