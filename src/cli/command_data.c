#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/data/scenes_dataset.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The largest image still has its pixels counted by an int. */
static sm_status check_size(const char *command, long long height, long long width)
{
    enum { MOST_PIXELS = 16384 };
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
        {"overwrite", ARGUMENT_FLAG, &options.overwrite, NULL, "replace OUTPUT"},
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

static sm_status import_cityscapes(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    sm_cityscapes_options options = {.sky_is_far = 1};
    long long height = 0, width = 0;
    int help, no_sky = 0;
    const argument table[] = {
        {"ROOT", ARGUMENT_POSITIONAL, &options.root, NULL, "folder with leftImg8bit/, gtFine/, ..., or a flat copy"},
        {"OUTPUT", ARGUMENT_POSITIONAL, &options.output, NULL, "dataset file to write (HDF5)"},
        {"height", ARGUMENT_INTEGER, &height, "PIXELS", "of the stored maps; 0 = as the images (0)"},
        {"width", ARGUMENT_INTEGER, &width, "PIXELS", "of the stored maps; 0 = as the images (0)"},
        {"no-sky", ARGUMENT_FLAG, &no_sky, NULL,
         "keep the disparity map's values at sky instead of 0 (infinitely far)"},
        {"overwrite", ARGUMENT_FLAG, &options.overwrite, NULL, "replace OUTPUT"},
        {0},
    };
    SM_TRY(command_arguments(context, "data cityscapes", "Imports Cityscapes at any size; ranks share the work.", table,
                             argc, argv, &help));
    if (help) {
        goto done;
    }
    SM_TRY(check_size("data cityscapes", height, width));
    options.height = (int)height;
    options.width = (int)width;
    options.sky_is_far = !no_sky;
    SM_TRY(sm_cityscapes_import(context->comm, &options));
done:
    return status;
}

/* ---- info ---- */

typedef struct split_statistics {
    int64_t pixels, class_pixels[256], instances, instance_pixels, disparity_pixels;
    double disparity_sum;
    uint8_t seen[65536]; /* instance ids of one sample */
} split_statistics;

static void count_sample(const sm_sample *sample, split_statistics *s)
{
    int64_t pixels = (int64_t)sample->height * sample->width;
    memset(s->seen, 0, sizeof s->seen);
    s->pixels += pixels;
    for (int64_t i = 0; i < pixels; i++) {
        if (sample->semantic) {
            s->class_pixels[sample->semantic[i]]++;
        }
        if (sample->instance && sample->instance[i]) {
            s->instance_pixels++;
            s->instances += !s->seen[sample->instance[i]];
            s->seen[sample->instance[i]] = 1;
        }
        if (sample->disparity && !isnan(sample->disparity[i])) {
            s->disparity_pixels++;
            s->disparity_sum += sample->disparity[i];
        }
    }
}

static double percent(int64_t part, int64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_split(const char *split, const sm_dataset *dataset, const split_statistics *s)
{
    int height, width;
    sm_dataset_max_size(dataset, &height, &width);
    printf("\n%s: %lld samples, %dx%d, %s%s\n", split, (long long)sm_dataset_count(dataset), height, width,
           sm_dataset_fingerprint(dataset), sm_dataset_has_checksums(dataset) ? "" : " (no checksums)");
    if (sm_dataset_has(dataset, "instance")) {
        printf("  instances: %.1f an image, %.2f %% of the pixels\n",
               (double)s->instances / (double)sm_dataset_count(dataset), percent(s->instance_pixels, s->pixels));
    }
    if (sm_dataset_has(dataset, "disparity")) {
        printf("  disparity: %.2f %% of the pixels valid, mean %.3f px\n", percent(s->disparity_pixels, s->pixels),
               s->disparity_pixels ? s->disparity_sum / (double)s->disparity_pixels : NAN);
    }
    const sm_dataset_classes *classes = sm_dataset_class_info(dataset);
    for (int c = 0; classes && c < classes->count; c++) {
        printf("  class %3d %-16s %s %7.3f %%\n", c, classes->names[c], classes->thing[c] ? "thing" : "     ",
               percent(s->class_pixels[c], s->pixels));
    }
    if (classes) {
        printf("  ignored                          %7.3f %%\n", percent(s->class_pixels[classes->ignore], s->pixels));
    }
}

static sm_status describe_split(const char *path, const char *split)
{
    sm_status status = SM_OK;
    sm_dataset *dataset = NULL;
    sm_sample_storage *storage = NULL;
    split_statistics *statistics = sm_alloc_zeroed(sizeof *statistics);
    SM_TRY(sm_dataset_open(&path, 1, split, &dataset));
    storage = sm_sample_storage_new(dataset);
    for (int64_t i = 0; i < sm_dataset_count(dataset); i++) {
        sm_sample sample;
        sm_comm_set_phase("data info, sample", 0, (int)i);
        SM_TRY(sm_dataset_read(dataset, i, storage, &sample));
        count_sample(&sample, statistics);
    }
    print_split(split, dataset, statistics);
done:
    sm_sample_storage_free(storage);
    sm_dataset_close(dataset);
    sm_free(statistics);
    return status;
}

static sm_status describe(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    const char *path = NULL;
    char **splits = NULL;
    size_t count = 0;
    int help;
    const argument table[] = {
        {"FILE", ARGUMENT_POSITIONAL, &path, NULL, "dataset file; every sample is read and its checksums verified"},
        {0}};
    SM_TRY(command_arguments(context, "data info",
                             "Describes a dataset file: splits, sizes, class frequencies, valid pixels.", table, argc,
                             argv, &help));
    if (help) {
        goto done;
    }
    char *ranks = sm_format("%s.ranks", path);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    if (sm_comm_rank(context->comm) != 0) {
        goto done;
    }
    SM_TRY(sm_dataset_splits(path, &splits, &count));
    printf("%s: %zu split%s\n", path, count, count == 1 ? "" : "s");
    for (size_t i = 0; i < count; i++) {
        SM_TRY(describe_split(path, splits[i]));
    }
done:
    sm_free(splits);
    return status;
}

static const command_row data_commands[] = {
    {"scenes", make_scenes, "generate synthetic street scenes"},
    {"cityscapes", import_cityscapes, "import Cityscapes"},
    {"info", describe, "describe and verify a dataset file"},
    {0},
};

sm_status command_data(command_context *context, int argc, char **argv)
{
    return command_dispatch(context, "sigmatic data", "Makes, imports or describes a dataset file (HDF5).",
                            data_commands, argc, argv);
}
