#include "cli/data_table.h"

#include <sigmatic/data/table.h>
#include <sigmatic/train/stop_signal.h>

#include "cli/arguments.h"
#include "cli/configuration.h"

sm_status data_table(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    sm_table_import_options options = {.split_column = "split"};
    int help;
    const argument table[] = {
        {"FILE", ARGUMENT_POSITIONAL, &options.path, NULL, "CSV with a row of names above the others"},
        {"OUTPUT", ARGUMENT_POSITIONAL, &options.output, NULL, "dataset file to write (HDF5)"},
        {"features", ARGUMENT_TEXT, &options.features, "A,B,...",
         "columns that the network reads; without it all that are nothing else"},
        {"targets", ARGUMENT_TEXT, &options.targets, "A,B,...",
         "columns of numbers to learn; NAME=A gives another name, NAME=A+B makes one target of two numbers"},
        {"units", ARGUMENT_TEXT, &options.units, "U,V,...", "of the targets, in their order"},
        {"classes", ARGUMENT_TEXT, &options.classes, "A,B,...", "columns of classes to learn: each text is one"},
        {"name", ARGUMENT_TEXT, &options.name, "COLUMN", "what rows are called; without it by their number, from 1"},
        {"split", ARGUMENT_TEXT, &options.fractions, "SHARES",
         "shares of train, val and test of rows without splits, drawn by their names: 0.8,0.1,0.1; what they leave of "
         "1 is the next one's"},
        {"split-column", ARGUMENT_TEXT, &options.split_column, "COLUMN",
         "says train, val or test where the file has it (split)"},
        {"group", ARGUMENT_TEXT, &options.group, "COLUMN",
         "--split keeps rows of one text in it together: measurements of one patient, say"},
        {"seed", ARGUMENT_TEXT, &options.seed, "N", "of that draw (1)"},
        {"overwrite", ARGUMENT_FLAG, &options.overwrite, NULL,
         "replace OUTPUT if it is a dataset file (no link to one)"},
        {0},
    };
    SM_TRY(command_arguments(
        context, "data table",
        "Imports a table for model.backbone = mlp: a row a sample, columns as features and targets. Features are\n"
        "standardised by mean and deviation of train. Cells that are empty, NA, N/A, NaN, null or ? are unknown: of a\n"
        "feature its mean is taken, a target is not learnt there. A name with a comma stands in quotes: '\"a, b\",c'.",
        table, argc, argv, &help));
    if (!help) {
        sm_stop_signal_install();
        options.stop = sm_stop_signal_seen;
        SM_TRY(sm_table_import(context->comm, &options));
    }
done:
    return status;
}

sm_status data_toy(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    const char *output = NULL;
    long long samples = 100, validation = 1000, seed = 1;
    int help, overwrite = 0;
    const argument table[] = {
        {"OUTPUT", ARGUMENT_POSITIONAL, &output, NULL, "dataset file to write (HDF5)"},
        {"samples", ARGUMENT_INTEGER, &samples, "N", "draws in the split train (100)"},
        {"validation", ARGUMENT_INTEGER, &validation, "N", "draws in the split val (1000)"},
        {"seed", ARGUMENT_INTEGER, &seed, "N", "names the draws (1)"},
        {"overwrite", ARGUMENT_FLAG, &overwrite, NULL, "replace OUTPUT if it is a dataset file (no link to one)"},
        {0},
    };
    SM_TRY(command_arguments(
        context, "data toy",
        "Draws the toy regression of the paper's authors: x of N(0,1), y1 = 2 x + 8 + 10 e, y2 = 3 x + 3 + e, each e "
        "of\n"
        "N(0,1) by itself. Training should find the two sigmas, 10 and 1 (configs/toy_regression.ini).",
        table, argc, argv, &help));
    if (!help) {
        SM_TRY(sm_table_write_toy(context->comm, output, samples, validation, (uint64_t)seed, overwrite));
    }
done:
    return status;
}
