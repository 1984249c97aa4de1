#include "cli/command.h"

sm_status command_bench(command_context *context, int argc, char **argv)
{
    (void)context;
    (void)argc;
    (void)argv;
    return sm_fail(SM_ERR_USAGE, "bench: not there yet");
}
