#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/data/import.h>
#include <sigmatic/data/scenes_dataset.h>
#include <sigmatic/io/config_help.h>
#include <sigmatic/train/stop_signal.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/data_check.h"
#include "cli/data_info.h"
#include "cli/data_table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { MOST_PIXELS = 16384 }; /* a side: the largest image still has its pixels counted by an int */

static sm_status check_size(const char *command, long long height, long long width)
{
    if (height < 0 || width < 0 || height > MOST_PIXELS || width > MOST_PIXELS) {
        return sm_fail(SM_ERR_USAGE, "%s: --height %lld --width %lld: 0 to %d expected", command, height, width,
                       MOST_PIXELS);
    }
    if ((height == 0) != (width == 0)) {
        return sm_fail(SM_ERR_USAGE, "%s: --height %lld --width %lld: both or none expected", command, height, width);
    }
    return SM_OK;
}

static sm_status make_scenes(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    sm_scenes_dataset_options options = {.scene = sm_scene_options_default()};
    long long train = 512, validation = 128, test = 0, height = options.scene.height, width = options.scene.width,
              seed = 1;
    int help;
    const argument table[] = {
        {"OUTPUT", ARGUMENT_POSITIONAL, &options.output, NULL, "dataset file to write (HDF5)"},
        {"train", ARGUMENT_INTEGER, &train, "N", "scenes in the split train (512)"},
        {"validation", ARGUMENT_INTEGER, &validation, "N", "scenes in the split val (128)"},
        {"test", ARGUMENT_INTEGER, &test, "N", "scenes in the split test (0)"},
        {"height", ARGUMENT_INTEGER, &height, "PIXELS", "of the images (128)"},
        {"width", ARGUMENT_INTEGER, &width, "PIXELS", "of the images (256)"},
        {"seed", ARGUMENT_INTEGER, &seed, "N", "names the set of scenes (1)"},
        {"difficulty", ARGUMENT_REAL, &options.scene.difficulty, "X", "0 easy to 2 (1)"},
        {"semantic-noise", ARGUMENT_REAL, &options.scene.semantic_noise, "RATE", "of wrong class labels, 0 to 1 (0)"},
        {"disparity-noise", ARGUMENT_REAL, &options.scene.disparity_noise, "PIXELS",
         "standard deviation added to the disparity (0)"},
        {"vector-noise", ARGUMENT_REAL, &options.scene.vector_noise, "PIXELS",
         "standard deviation added to the centroid vectors (0)"},
        {"clean-evaluation", ARGUMENT_FLAG, &options.clean_evaluation, NULL, "label noise in the split train only"},
        {"overwrite", ARGUMENT_FLAG, &options.overwrite, NULL,
         "replace OUTPUT if it is a dataset file (no link to one)"},
        {0},
    };
    SM_TRY(command_arguments(context, "data scenes",
                             "Generates synthetic street scenes with exact labels; ranks share the work.", table, argc,
                             argv, &help));
    if (help) {
        goto done;
    }
    SM_TRY(check_size("data scenes", height, width));
    options.scene.height = (int)height;
    options.scene.width = (int)width;
    options.scene.seed = (uint64_t)seed;
    options.train = train;
    options.validation = validation;
    options.test = test;
    double begin = sm_seconds();
    SM_TRY(sm_scenes_dataset_write(context->comm, &options));
    double seconds = sm_seconds() - begin;
    sm_log_info("%s: %lld + %lld + %lld scenes of %lldx%lld in %.1f s (%.0f a second)", options.output, train,
                validation, test, height, width, seconds, (double)(train + validation + test) / seconds);
done:
    return status;
}

static const sm_importer *importer_of(const char *name)
{
    const sm_importer *const *row = sm_importers;
    while (*row && strcmp((*row)->name, name) != 0) {
        row++;
    }
    return *row;
}

/* NULL: as the images. */
static sm_status parse_size(const char *command, const char *text, sm_import_options *options)
{
    if (text && !arguments_read_size(text, 1, MOST_PIXELS, &options->height, &options->width)) {
        return sm_fail(SM_ERR_USAGE, "%s: --size '%s': expected HEIGHTxWIDTH in pixels, 1 to %d each, as 128x256",
                       command, text, MOST_PIXELS);
    }
    return SM_OK;
}

static sm_status parse_fit(const char *command, const char *text, sm_import_options *options)
{
    sm_nearest nearest = {.wanted = text};
    for (int fit = 0; fit < SM_FITS; fit++) {
        if (strcmp(text, sm_fit_names[fit]) == 0) {
            options->fit = (sm_fit)fit;
            return SM_OK;
        }
        sm_nearest_consider(&nearest, sm_fit_names[fit]);
    }
    return sm_fail(SM_ERR_USAGE, "%s: --fit '%s': expected %s, %s or %s%s%s%s", command, text, sm_fit_names[0],
                   sm_fit_names[1], sm_fit_names[2], nearest.best ? ", did you mean " : "",
                   nearest.best ? nearest.best : "", nearest.best ? "?" : "");
}

static int has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], word) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The command is the importer that argv[0] names. */
static sm_status import_dataset(command_context *context, int argc, char **argv)
{
    enum { OWN = 7 };
    const sm_importer *importer = importer_of(argv[0]);
    if (importer->keys && has_word(argc, argv, "--help-describe")) {
        if (sm_comm_rank(context->comm) == 0) {
            sm_config_help(importer->keys, stdout);
        }
        return SM_OK;
    }
    sm_status status = SM_OK;
    sm_import_options options = {0};
    const char *size = NULL, *fit = sm_fit_names[SM_FIT_STRETCH];
    int help, flags[SM_IMPORT_FLAGS_MAX] = {0};
    argument table[OWN + SM_IMPORT_FLAGS_MAX + 1] = {
        {importer->root_may_be_file ? "ROOT|FILE" : "ROOT", ARGUMENT_POSITIONAL, &options.root, NULL,
         importer->root_help},
        {"OUTPUT", ARGUMENT_POSITIONAL, &options.output, NULL, "dataset file to write (HDF5)"},
        {"size", ARGUMENT_TEXT, &size, "HxW", "height and width of what is stored, as 128x256 (as the images)"},
        {"fit", ARGUMENT_TEXT, &fit, "stretch|letterbox|crop", "what becomes of images of other proportions (stretch)"},
        {"overwrite", ARGUMENT_FLAG, &options.overwrite, NULL,
         "replace OUTPUT if it is a dataset file (no link to one)"},
        {"mean-std", ARGUMENT_FLAG, &options.measures, NULL,
         "write the mean and deviation of the images of train, which training normalises by, instead of ImageNet's"},
        {"skip-bad", ARGUMENT_FLAG, &options.skip_bad, NULL,
         "name every bad file and leave its sample out, half of the samples at most and of no split all; without it "
         "the "
         "first one ends the import"},
    };
    for (int f = 0; importer->flags[f].name; f++) {
        const sm_import_flag *flag = &importer->flags[f];
        table[OWN + f] =
            (argument){flag->name, flag->metavar ? ARGUMENT_TEXT : ARGUMENT_FLAG,
                       flag->metavar ? (void *)&options.values[f] : (void *)&flags[f], flag->metavar, flag->help};
    }
    char *command = sm_format("data %s", importer->name);
    char *summary =
        sm_format("Imports %s at any size; ranks share the work.\n"
                  "An interrupted import is gone on with by the same command.%s\n\n%s",
                  importer->title, importer->keys ? "\n--help-describe lists the keys of a description." : "",
                  sm_import_resizing);
    SM_TRY(command_arguments(context, command, summary, table, argc, argv, &help));
    if (help) {
        goto done;
    }
    SM_TRY(parse_size(command, size, &options));
    SM_TRY(parse_fit(command, fit, &options));
    for (int f = 0; f < SM_IMPORT_FLAGS_MAX; f++) {
        options.flags |= flags[f] ? 1u << f : 0;
    }
    sm_stop_signal_install();
    options.stop = sm_stop_signal_seen;
    SM_TRY(sm_import_dataset(context->comm, importer, &options));
done:
    sm_free(command);
    sm_free(summary);
    return status;
}

enum { COMMANDS_MAX = 32 };

/* A command of each importer stands among those of our own. */
static void list_commands(command_row commands[COMMANDS_MAX])
{
    int count = 0;
    commands[count++] = (command_row){"info", data_info, "describe a dataset file"};
    commands[count++] = (command_row){"check", data_check, "count what a dataset file holds, warn, draw some of it"};
    commands[count++] = (command_row){"scenes", make_scenes, "generate synthetic street scenes"};
    commands[count++] = (command_row){"toy", data_toy, "draw the toy regression of the paper's authors"};
    commands[count++] = (command_row){"table", data_table, "import a table (CSV): features and targets of rows"};
    for (const sm_importer *const *row = sm_importers; *row; row++) {
        assert(count + 1 < COMMANDS_MAX);
        commands[count++] = (command_row){(*row)->name, import_dataset, (*row)->summary};
    }
    commands[count] = (command_row){0};
}

sm_status command_data(command_context *context, int argc, char **argv)
{
    command_row commands[COMMANDS_MAX];
    list_commands(commands);
    return command_dispatch(context, "sigmatic data", "Makes, imports or describes a dataset file (HDF5).", commands,
                            argc, argv);
}
