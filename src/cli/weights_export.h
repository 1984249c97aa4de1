/** \file
 * 'sigmatic weights export' and 'sigmatic weights import'. */
#ifndef SIGMATIC_CLI_WEIGHTS_EXPORT_H
#define SIGMATIC_CLI_WEIGHTS_EXPORT_H

#include "cli/command.h"

/** Command functions. */
sm_status weights_export(command_context *context, int argc, char **argv);
sm_status weights_import(command_context *context, int argc, char **argv);

#endif
