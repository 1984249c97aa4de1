/** \file
 * A command: parses, wires, and leaves the exit code to main(). */
#ifndef SIGMATIC_CLI_COMMAND_H
#define SIGMATIC_CLI_COMMAND_H

#include <sigmatic/base/status.h>
#include <sigmatic/comm/comm.h>

typedef struct command_context {
    sm_comm *comm;
    int started; /* out: the first step was reached, so a failure is exit 1, not 2 */
} command_context;

/** \param argv  argv[0] is the command's own name
 * \return the same on every rank */
typedef sm_status (*command_function)(command_context *context, int argc, char **argv);

/** The one place where a command's name stands: help and messages are made from these rows. */
typedef struct command_row {
    const char *name; /* NULL ends a table */
    command_function run;
    const char *summary;
} command_row;

/** Runs the command that argv[1] names; without one, or with --help, rank 0 lists them.
 * \param family   what stands before the name: "sigmatic", "sigmatic data"
 * \param summary  first line of --help
 * \return SM_ERR_USAGE naming the nearest command if there is none of that name */
sm_status command_dispatch(command_context *context, const char *family, const char *summary, const command_row *table,
                           int argc, char **argv);

sm_status command_train(command_context *context, int argc, char **argv);
sm_status command_eval(command_context *context, int argc, char **argv);
sm_status command_predict(command_context *context, int argc, char **argv);
sm_status command_data(command_context *context, int argc, char **argv);
sm_status command_weights(command_context *context, int argc, char **argv);
sm_status command_show(command_context *context, int argc, char **argv);
sm_status command_bench(command_context *context, int argc, char **argv);

#endif
