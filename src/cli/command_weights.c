#include "cli/command.h"
#include "cli/weights_export.h"
#include "cli/weights_info.h"

static const command_row commands[] = {
    {"info", weights_info, "list the tensors of a file of weights, and what a network would take of them"},
    {"export", weights_export, "write a checkpoint's network for PyTorch: safetensors or HDF5"},
    {"import", weights_import, "turn weights of others into ours: a checkpoint that predicts, or a file by our names"},
    {0},
};

sm_status command_weights(command_context *context, int argc, char **argv)
{
    return command_dispatch(context, "sigmatic weights",
                            "Weights of networks, in checkpoints, other HDF5 files and safetensors.", commands, argc,
                            argv);
}
