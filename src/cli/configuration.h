/** \file
 * What the commands share: arguments parsed on every rank and printed by one, a config from file or text with --set. */
#ifndef SIGMATIC_CLI_CONFIGURATION_H
#define SIGMATIC_CLI_CONFIGURATION_H

#include <sigmatic/io/config.h>

#include "cli/arguments.h"
#include "cli/command.h"

/** arguments_parse(), with --help printed by rank 0 only. */
sm_status command_arguments(const command_context *context, const char *command, const char *summary,
                            const argument *table, int argc, char **argv, int *help);

/** Reads a config from `path`, or from `text` (of a checkpoint, `path` its name) if that is not NULL, and applies `sets`. */
sm_status command_config(const char *path, const char *text, const argument_list *sets, sm_config **out);

#endif
