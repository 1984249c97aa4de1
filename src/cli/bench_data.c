#include "cli/bench_data.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/data/loader.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/json.h>

#include "cli/configuration.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SCENES = 64 };
static const double least_seconds = 0.5; /* of a measurement */

/* One way to change images. */
typedef struct data_row {
    const char *name, *label;
    int flip, scales, crops, colours, rotation, erasing;
} data_row;

static const data_row rows[] = {
    {"none", "none", 0, 0, 0, 0, 0, 0},
    {"flip", "flip", 1, 0, 0, 0, 0, 0},
    {"scale_crop", "scale 0.7 to 2, crop", 0, 1, 1, 0, 0, 0},
    {"colours", "brightness, contrast, saturation 0.4, hue 0.1", 0, 0, 0, 1, 0, 0},
    {"rotation", "rotation 10 degrees", 0, 0, 0, 0, 1, 0},
    {"erasing", "erasing 0.5", 0, 0, 0, 0, 0, 1},
    {"all", "all of these", 1, 1, 1, 1, 1, 1},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* What came out. Processor time tells what the work costs where other programs load the cores. */
typedef struct rates {
    double images_per_second; /* of all ranks */
    double milliseconds;      /* of processors, an image, mean of the ranks */
} rates;

/* What is measured. */
typedef struct data_bench {
    bench run;
    sm_task *tasks[SM_TARGETS_MAX];
    sm_target_builder builders[SM_TARGETS_MAX];
    int task_count;
    sm_augmentation augmentation; /* of the config */
    rates configured, uncached, rows[ROWS];
} data_bench;

static int names_files(const bench_options *o)
{
    int found = 0;
    for (int i = 0; i < o->sets.count; i++) {
        found |= strncmp(o->sets.items[i], "data.train=", 11) == 0;
    }
    return found;
}

/* The config has to have a task before it is known which there are. */
static sm_status open_data(data_bench *d)
{
    sm_status status = SM_OK;
    const bench_options *o = d->run.options;
    char *scenes = NULL, *text = NULL;
    if (!names_files(o)) {
        SM_TRY(bench_make_scenes(&d->run, SCENES, &scenes));
    }
    text = sm_format("[run]\nbatch = %lld\nsteps = 1\n[data]\ntrain = %s\n[task.any]\nkind = semantic\n",
                     (long long)d->run.batch_global, scenes ? scenes : "unknown");
    SM_TRY(sm_comm_agree(d->run.comm, command_config("bench", text, &o->sets, &d->run.config)));
    SM_TRY(sm_comm_agree(d->run.comm, sm_data_open_train(d->run.config, &d->run.dataset)));
    SM_TRY(sm_comm_agree(d->run.comm, sm_data_augmentation(d->run.config, d->run.dataset, &d->augmentation)));
done:
    sm_free(text);
    sm_free(scenes);
    return status;
}

/* The kind whose own target it is, else the first that can learn it; NULL: none can. */
static const sm_task_kind *kind_of(const sm_target *target)
{
    const sm_task_kind *found = NULL;
    for (int k = 0; sm_task_kinds[k]; k++) {
        const sm_task_kind *kind = sm_task_kinds[k];
        int fits = kind->learns == target->type && kind->scope == target->scope &&
                   (kind->scaling == SM_SCALINGS || kind->scaling == target->scaling) &&
                   (kind->components == 0 || kind->components == target->components);
        if (fits && kind->target && strcmp(kind->target, target->name) == 0) {
            return kind;
        }
        found = fits && !found ? kind : found;
    }
    return found;
}

/* A task for each target that some kind learns; without any the images alone are measured. */
static sm_status make_tasks(data_bench *d)
{
    sm_status status = SM_OK;
    sm_config *config = NULL;
    char *text = NULL;
    int count;
    const sm_target *const *targets = sm_dataset_targets(d->run.dataset, &count);
    for (int t = 0; t < count; t++) {
        const sm_task_kind *kind = kind_of(targets[t]);
        if (kind) {
            text =
                sm_format("[run]\nbatch = 1\nsteps = 1\n[data]\ntrain = unknown\n[task.any]\nkind = %s\ntarget = %s\n",
                          kind->name, targets[t]->name);
            SM_TRY(command_config("bench", text, &(argument_list){0}, &config));
            SM_TRY(sm_task_new(config, "any", targets, count, &d->tasks[d->task_count]));
            d->builders[d->task_count] = sm_task_builder(d->tasks[d->task_count]);
            d->task_count++;
            sm_config_free(config);
            sm_free(text);
            config = NULL;
            text = NULL;
        }
    }
done:
    sm_config_free(config);
    sm_free(text);
    return status;
}

static sm_augmentation augmentation_of(const data_bench *d, const data_row *row)
{
    sm_augmentation changes = {.height = d->augmentation.height,
                               .width = d->augmentation.width,
                               .crop_height = row->crops ? d->augmentation.crop_height : d->augmentation.height,
                               .crop_width = row->crops ? d->augmentation.crop_width : d->augmentation.width,
                               .flip = row->flip,
                               .scale_min = row->scales ? 0.7 : 1,
                               .scale_max = row->scales ? 2 : 1,
                               .rotation_degrees = row->rotation ? 10 : 0,
                               .erasing = row->erasing ? 0.5 : 0,
                               .erasing_area = 0.33};
    if (row->colours) {
        changes.colour[SM_COLOUR_BRIGHTNESS] = changes.colour[SM_COLOUR_CONTRAST] = 0.4;
        changes.colour[SM_COLOUR_SATURATION] = 0.4;
        changes.colour[SM_COLOUR_HUE] = 0.1;
    }
    return changes;
}

/* \param once  for one epoch: what is not in the system's cache is so only once */
static sm_status measure(data_bench *d, const sm_augmentation *changes, int once, rates *found)
{
    sm_status status = SM_OK;
    const sm_config *config = d->run.config;
    sm_loader *loader = NULL;
    const sm_batch *batch;
    double begin = 0, seconds = 0, sums[2];
    clock_t busy = clock();
    int64_t images = 0, warmup = once ? 0 : d->run.options->warmup;
    sm_loader_options options = {.dataset = d->run.dataset,
                                 .builders = d->builders,
                                 .task_count = d->task_count,
                                 .batch = (int)d->run.batch_global,
                                 .rank = sm_comm_rank(d->run.comm),
                                 .size = sm_comm_size(d->run.comm),
                                 .seed = 1,
                                 .epochs = once ? 1 : 0,
                                 .input = *sm_dataset_input(d->run.dataset),
                                 .augmentation = changes,
                                 .prefetch = (int)sm_config_integer(config, "data", "prefetch"),
                                 .workers = (int)sm_config_integer(config, "data", "workers")};
    options.input.height = changes->crop_height;
    options.input.width = changes->crop_width;
    begin = sm_seconds();
    SM_TRY(sm_loader_new(&options, &loader));
    for (int64_t step = -warmup; step < d->run.options->steps || seconds < least_seconds || once; step++) {
        if (step == 0 && !once) {
            begin = sm_seconds();
            busy = clock();
        }
        SM_TRY(sm_loader_next(loader, &batch));
        if (!batch) {
            break;
        }
        images += step >= 0 ? batch->count_local : 0;
        seconds = step >= 0 ? sm_seconds() - begin : 0;
    }
    sums[0] = (double)images / (sm_seconds() - begin);
    sums[1] = 1e3 * (double)(clock() - busy) / CLOCKS_PER_SEC / (double)(images > 0 ? images : 1);
done:
    sm_loader_free(loader);
    status = sm_comm_agree(d->run.comm, status);
    if (status == SM_OK) {
        sm_comm_sum_double(d->run.comm, sums, 2);
        *found = (rates){sums[0], sums[1] / sm_comm_size(d->run.comm)};
    }
    return status;
}

/* \return how many of the rows are measured: nothing of a table is changed */
static int rows_of(const data_bench *d)
{
    return sm_dataset_input(d->run.dataset)->kind->is_table ? 1 : ROWS;
}

static sm_status measure_all(data_bench *d)
{
    sm_status status = SM_OK;
    size_t files;
    const char *const *paths = sm_config_texts(d->run.config, "data", "train", &files);
    for (size_t f = 0; f < files; f++) {
        SM_TRY(sm_comm_agree(d->run.comm, sm_file_drop_cache(paths[f])));
    }
    sm_augmentation none = augmentation_of(d, &rows[0]);
    SM_TRY(measure(d, &none, 1, &d->uncached));
    for (int r = 0; r < rows_of(d); r++) {
        sm_augmentation changes = augmentation_of(d, &rows[r]);
        SM_TRY(measure(d, &changes, 0, &d->rows[r]));
    }
    SM_TRY(measure(d, &d->augmentation, 0, &d->configured));
done:
    return status;
}

static void set_rates(sm_json *images, sm_json *busy, const char *name, const rates *found)
{
    sm_json_set_real(images, name, found->images_per_second);
    sm_json_set_real(busy, name, found->milliseconds);
}

static sm_status print_json(const data_bench *d)
{
    sm_json *json = sm_json_new();
    sm_json_set_integer(json, "procs", sm_comm_size(d->run.comm));
    sm_json_set_integer(json, "workers", sm_config_integer(d->run.config, "data", "workers"));
    sm_json_set_integer(json, "batch", d->run.options->batch);
    sm_json_set_integer(json, "height_pixels", d->augmentation.height);
    sm_json_set_integer(json, "width_pixels", d->augmentation.width);
    sm_json *images = sm_json_set_object(json, "images_s"), *busy = sm_json_set_object(json, "cpu_ms_image");
    for (int r = 0; r < rows_of(d); r++) {
        set_rates(images, busy, rows[r].name, &d->rows[r]);
    }
    set_rates(images, busy, "configured", &d->configured);
    set_rates(images, busy, "none_uncached", &d->uncached);
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

static void print_row(const char *label, const rates *found)
{
    printf("%-46s %10.1f %13.3f\n", label, found->images_per_second, found->milliseconds);
}

static void print_table(const data_bench *d)
{
    int workers = (int)sm_config_integer(d->run.config, "data", "workers"), procs = sm_comm_size(d->run.comm);
    const sm_input *input = sm_dataset_input(d->run.dataset);
    if (input->kind->is_table) {
        printf("loader of %d %s, ", input->channels, sm_plural(input->channels, "feature", "features"));
    } else {
        printf("loader at %dx%d, ", d->augmentation.height, d->augmentation.width);
    }
    printf("%d %s x %d %s, ", procs, sm_plural(procs, "process", "processes"), workers,
           sm_plural(workers, "worker", "workers"));
    if (d->task_count == 0) {
        printf("%s alone\n\n", input->kind->samples);
    } else {
        printf("%d %s\n\n", d->task_count, sm_plural(d->task_count, "task", "tasks"));
    }
    char *speed = sm_format("%s/s", input->kind->samples),
         *busy = sm_format("CPU ms/%s", input->kind->is_table ? "row" : "image");
    printf("%-46s %10s %13s\n", "", speed, busy);
    sm_free(speed);
    sm_free(busy);
    for (int r = 0; r < rows_of(d); r++) {
        print_row(rows[r].label, &d->rows[r]);
    }
    print_row("as configured", &d->configured);
    print_row("none, first epoch, files not in the cache", &d->uncached);
}

sm_status bench_data(sm_comm *comm, const bench_options *options)
{
    sm_status status = SM_OK;
    data_bench d = {.run = {.comm = comm, .options = options}};
    d.run.batch_global = options->batch * sm_comm_size(comm);
    SM_TRY(open_data(&d));
    SM_TRY(sm_comm_agree(comm, make_tasks(&d)));
    SM_TRY(measure_all(&d));
    if (sm_comm_rank(comm) == 0) {
        if (options->json) {
            SM_TRY(print_json(&d));
        } else {
            print_table(&d);
        }
    }
done:
    for (int k = 0; k < d.task_count; k++) {
        sm_task_free(d.tasks[k]);
    }
    bench_close(&d.run);
    return status;
}
