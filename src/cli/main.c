#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/version.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/shared_folder.h>
#include <sigmatic/ops/isa.h>
#include <sigmatic/tensor/gemm.h>
#include <sigmatic/train/init.h>
#include <sigmatic/train/stop_signal.h>

#include "cli/command.h"
#include "cli/help_form.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const command_row commands[] = {
    {"train", command_train, "train a network as a config file says"},
    {"eval", command_eval, "evaluate a checkpoint on a dataset"},
    {"predict", command_predict, "what a checkpoint sees in images: pictures to look at, files for others"},
    {"data", command_data, "generate, import or describe a dataset file"},
    {"weights", command_weights, "weights in and out: look at them, export to PyTorch, import"},
    {"show", command_show, "show the losses, sigmas and evaluations of a run"},
    {"bench", command_bench, "measure training steps and the sums between ranks"},
    {0},
};

static const char summary[] =
    "Sigmatic " SM_VERSION ": multi-task training that weighs its own losses, data-parallel over MPI.\n"
    "Under mpirun all ranks work together: mpirun -n N sigmatic COMMAND ...\n"
    "'sigmatic train --help-config' lists every key of a config; 'sigmatic --version' the libraries' versions;\n"
    "'sigmatic --help-man' writes a manual page, '--help-bash' a completion; make install puts both in place.\n"
    "Pages and scripts that help texts name (configs/..., analysis/..., include/README.md) lie below share/sigmatic\n"
    "of an installation or in the sources; '--version' says where.\n"
    "SIGMATIC_ISA=avx2 in the environment computes by that instruction set; '--version' says which there are.\n"
    "Exit codes: 0 done; 1 failed while running; 2 wrong usage, config or input;\n"
    "3 stalled or lost rank; 75 "
    "pre-empted.";

static void print_version(void)
{
    char *folder = sm_shared_folder(), *sets = sm_isa_supported();
    printf("sigmatic %s\nMPI: %s\nHDF5: %s\nBLIS: %s\n", SM_VERSION, sm_comm_library_version(), sm_h5_library_version(),
           sm_blis_version());
    printf("instruction set: %s%s%s (this CPU has %s)\n", sm_isa_name(), sm_isa_wanted() ? ", as says " : "",
           sm_isa_wanted() ? sm_isa_variable : "", sets);
    printf("configs/, jobs/, analysis/, include/: %s\n", folder ? folder : "not beside this program");
    sm_free(folder);
    sm_free(sets);
}

/* The help of the program and all its commands. */
static sm_status print_all_help(const help_form *form, command_context *context)
{
    char family[] = "sigmatic", help[] = "--help", *words[] = {family, help, NULL};
    int is_root = sm_comm_rank(context->comm) == 0;
    if (is_root) {
        form->begin(summary);
    }
    help_form_choose(form);
    sm_status status = command_dispatch(context, family, summary, commands, 2, words);
    help_form_choose(NULL);
    if (is_root && status == SM_OK) {
        form->end();
    }
    return status;
}

static sm_status dispatch(command_context *context, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        sm_status status = sm_comm_agree(context->comm, sm_isa_begin());
        if (status == SM_OK && sm_comm_rank(context->comm) == 0) {
            print_version();
        }
        return status;
    }
    for (int i = 0; argc > 1 && i < 2; i++) {
        static const help_form *const forms[] = {&help_man, &help_bash};
        if (strcmp(argv[1], forms[i]->option) == 0) {
            return print_all_help(forms[i], context);
        }
    }
    sm_comm_set_phase(argc > 1 ? argv[1] : "start", 0, -1);
    return command_dispatch(context, "sigmatic", summary, commands, argc, argv);
}

/* By itself the C library raises the size from which freed memory goes back to the system, after the first that does. */
static void return_freed_memory(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
}

static int trains(int argc, char **argv)
{
    int is_training = argc > 1 && strcmp(argv[1], "train") == 0;
    for (int i = 2; i < argc; i++) {
        is_training = is_training && strcmp(argv[i], "--dry-run") != 0;
    }
    return is_training;
}

int main(int argc, char **argv)
{
    if (trains(argc, argv)) {
        sm_stop_signal_install(); /* before all else: a signal that comes while MPI starts is a wish, too */
    }
    return_freed_memory();
    command_context context = {.comm = sm_init(&argc, &argv)};
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
    sm_finalize();
    return sm_status_exit_code(status, context.started);
}
