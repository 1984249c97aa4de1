#include <sigmatic/base/log.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/tensor/gemm.h>

#include "cli/command.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    command_function run;
    const char *summary;
} commands[] = {
    {"train", command_train, "train a network as a config file says"},
    {"eval", command_eval, "evaluate a checkpoint on a dataset"},
    {"data", command_data, "make or describe a dataset file: scenes, cityscapes, info"},
    {"show", command_show, "show the losses and sigmas of a run log"},
    {"bench", command_bench, "measure a training step"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(void)
{
    printf("Sigmatic %s: multi-task training that weighs its own losses, data-parallel over MPI\n\n"
           "usage: [mpirun -n N] sigmatic COMMAND ...\n\n",
           SM_VERSION);
    for (int i = 0; i < COMMANDS; i++) {
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    }
    printf(
        "\n'sigmatic COMMAND --help' explains a command; 'sigmatic train --help-config' lists every key of a config.\n"
        "exit codes: 0 done; 1 failed while running; 2 wrong usage, config or input; 3 stalled or lost rank; 75 "
        "pre-empted\n");
}

static void print_version(void)
{
    printf("sigmatic %s\nMPI: %s\nHDF5: %s\nBLIS: %s\n", SM_VERSION, sm_comm_library_version(), sm_h5_library_version(),
           sm_blis_version());
}

static sm_status dispatch(command_context *context, int argc, char **argv)
{
    int is_root = sm_comm_rank(context->comm) == 0;
    const char *name = argc > 1 ? argv[1] : "";
    if (argc < 2) {
        return sm_fail(SM_ERR_USAGE, "no command given; see 'sigmatic --help'");
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        if (is_root) {
            print_help();
        }
        return SM_OK;
    }
    if (strcmp(name, "--version") == 0) {
        if (is_root) {
            print_version();
        }
        return SM_OK;
    }
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(context, argc - 1, argv + 1);
        }
    }
    return sm_fail(SM_ERR_USAGE, "unknown command '%s'; see 'sigmatic --help'", name);
}

/* By itself the C library raises the size from which freed memory goes back to the system, after the first that does. */
static void return_freed_memory(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
}

int main(int argc, char **argv)
{
    return_freed_memory();
    sm_h5_begin();
    sm_comm_begin(&argc, &argv);
    command_context context = {.comm = sm_comm_world()};
    sm_status status = dispatch(&context, argc, argv);
    if (status == SM_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        status = sm_fail(SM_ERR_WRITE, "results cannot be written to standard output");
    }
    status = sm_comm_agree(context.comm, status);
    if (status == SM_PREEMPTED) {
        sm_log_info("%s", sm_error_message());
    } else if (status != SM_OK) {
        sm_log_outcome("%s", sm_error_message());
    }
    sm_comm_end();
    return sm_status_exit_code(status, context.started);
}
