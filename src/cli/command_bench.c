/* Measures a step that really trains: scenes through the loader, forward, losses, backward, reduction, update, run log. */
#define _XOPEN_SOURCE 700
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/data/scenes_dataset.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/json.h>
#include <sigmatic/train/trainer.h>

#include "cli/arguments.h"
#include "cli/bench_allreduce.h"
#include "cli/bench_layers.h"
#include "cli/command.h"
#include "cli/configuration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_options {
    const char *backbone, *batch_norm, *rates;
    long long height, width, batch, threads, steps, warmup, output_stride;
    double multiplier;
    int step, allreduce, project, json, layers;
    argument_list sets;
} bench_options;

/* One benchmark on one rank. */
typedef struct bench {
    sm_comm *comm;
    const bench_options *options;
    char folder[256]; /* scratch: dataset and run log */
    sm_config *config;
    sm_dataset *dataset;
    sm_session *session;
    sm_trainer *trainer;
    sm_loader *loader;
    sm_run_log *log;
    sm_status log_status; /* of rank 0; the others learn it after the last step */
    sm_target_builder *builders;
    bench_layers *layers;
    double *seconds; /* a measured step */
} bench;

static sm_status make_folder(bench *b)
{
    sm_status status = SM_OK;
    const char *base = getenv("TMPDIR");
    if (sm_comm_rank(b->comm) == 0) {
        snprintf(b->folder, sizeof b->folder, "%.200s/sigmatic-bench-XXXXXX", base ? base : "/tmp");
        if (!mkdtemp(b->folder)) {
            status = sm_fail(SM_ERR_IO, "bench: no scratch folder %s", b->folder);
        }
    }
    status = sm_comm_agree(b->comm, status);
    sm_comm_broadcast(b->comm, b->folder, sizeof b->folder, 0);
    return status;
}

static sm_status make_dataset(bench *b, const char *path)
{
    sm_scenes_dataset_options scenes = {.output = path, .scene = sm_scene_options_default(), .overwrite = 1};
    int64_t global = b->options->batch * sm_comm_size(b->comm);
    scenes.scene.height = (int)b->options->height;
    scenes.scene.width = (int)b->options->width;
    scenes.train = global < 8 ? 8 : global;
    sm_log_set_quiet(1);
    sm_status status = sm_scenes_dataset_write(b->comm, &scenes);
    sm_log_set_quiet(0);
    return status;
}

static int is_reproducible(const bench_options *o)
{
    int found = 0;
    for (int i = 0; i < o->sets.count; i++) {
        found |= strcmp(o->sets.items[i], "distributed.reproducible=true") == 0;
    }
    return found;
}

static sm_status make_config(bench *b, const char *dataset)
{
    const bench_options *o = b->options;
    const char *batch_norm = o->batch_norm ? o->batch_norm : is_reproducible(o) ? "sync" : "local";
    char *text =
        sm_format("[run]\nbatch = %lld\nsteps = 1000000\n[data]\ntrain = %s\nvalidation_split =\n"
                  "[model]\nbackbone = %s\nwidth = %.17g\noutput_stride = %lld\naspp_rates = %s\nproject = %s\n"
                  "[distributed]\nbatch_norm = %s\nthreads = %lld\n"
                  "[task.semantic]\nkind = semantic\n[task.instance]\nkind = instance\n[task.depth]\nkind = depth\n",
                  o->batch * sm_comm_size(b->comm), dataset, o->backbone, o->multiplier, o->output_stride, o->rates,
                  o->project ? "true" : "false", batch_norm, o->threads);
    sm_status status = command_config("bench", text, &o->sets, &b->config);
    sm_free(text);
    return status;
}

static sm_status make_loader(bench *b)
{
    const sm_session *session = b->session;
    b->builders = sm_session_target_builders(session);
    sm_loader_options options = {.dataset = b->dataset,
                                 .builders = b->builders,
                                 .task_count = session->task_count,
                                 .batch = session->settings.batch,
                                 .rank = sm_comm_rank(b->comm),
                                 .size = sm_comm_size(b->comm),
                                 .seed = 1,
                                 .order = SM_LOADER_SHUFFLED,
                                 .out_height = (int)b->options->height,
                                 .out_width = (int)b->options->width,
                                 .micro_batches = session->settings.micro_batches};
    memcpy(options.mean, sm_dataset_mean(b->dataset), sizeof options.mean);
    memcpy(options.std, sm_dataset_std(b->dataset), sizeof options.std);
    sm_status status = SM_OK;
    SM_TRY(sm_trainer_new(b->session, options.out_height, options.out_width, sm_loader_capacity(&options), 1000000,
                          &b->trainer));
    sm_trainer_bind(b->trainer);
    SM_TRY(sm_loader_new(&options, &b->loader));
done:
    return status;
}

static sm_status open_bench(bench *b)
{
    sm_status status = SM_OK;
    char dataset[300], log[300];
    const char *const paths[] = {dataset};
    sm_run_log_kept kept;
    SM_TRY(make_folder(b));
    snprintf(dataset, sizeof dataset, "%s/scenes.h5", b->folder);
    snprintf(log, sizeof log, "%s/run.h5", b->folder);
    SM_TRY(make_dataset(b, dataset));
    SM_TRY(sm_comm_agree(b->comm, make_config(b, dataset)));
    SM_TRY(sm_comm_agree(b->comm, sm_dataset_open(paths, 1, "train", &b->dataset)));
    SM_TRY(sm_session_new(b->config, b->comm, b->dataset, &b->session));
    SM_TRY(sm_comm_agree(b->comm, make_loader(b)));
    SM_TRY(sm_comm_agree(b->comm, sm_comm_rank(b->comm) == 0 ? sm_run_log_open(log, b->session, NULL, 0, &kept, &b->log)
                                                             : SM_OK));
done:
    return status;
}

static void close_bench(bench *b)
{
    sm_run_log_close(b->log);
    sm_loader_free(b->loader);
    sm_trainer_free(b->trainer);
    sm_session_free(b->session);
    sm_dataset_close(b->dataset);
    sm_config_free(b->config);
    sm_free(b->builders);
    sm_free(b->seconds);
    bench_layers_free(b->layers);
    sm_comm_barrier(b->comm);
    if (sm_comm_rank(b->comm) == 0 && *b->folder) {
        sm_remove_tree(b->folder);
    }
}

static sm_status run_step(bench *b)
{
    sm_status status = SM_OK;
    int done;
    SM_TRY(sm_trainer_step(b->trainer, b->loader, 0, &done));
    if (b->log && b->log_status == SM_OK) {
        b->log_status = sm_run_log_step(b->log, &b->trainer->record);
    }
done:
    return status;
}

static sm_status measure(bench *b)
{
    sm_status status = SM_OK;
    b->seconds = sm_alloc((size_t)b->options->steps * sizeof *b->seconds);
    for (long long i = 0; i < b->options->warmup; i++) {
        SM_TRY(run_step(b));
    }
    if (b->options->layers) {
        b->layers = bench_layers_new(b->trainer->engine);
    }
    for (long long i = 0; i < b->options->steps; i++) {
        double begin = sm_seconds();
        SM_TRY(run_step(b));
        b->seconds[i] = sm_seconds() - begin;
    }
    SM_TRY(sm_comm_agree(b->comm, b->log_status));
    /* the job's step is the slowest rank's */
    sm_comm_max_double(b->comm, b->seconds, (size_t)b->options->steps);
done:
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double nominal_gflop_per_image(const bench *b)
{
    double macs = 0;
    for (int pass = 1; pass <= 2; pass++) {
        int count;
        const sm_step *steps = sm_plan_steps(b->trainer->engine->plan, pass, &count);
        for (int i = 0; i < count; i++) {
            macs += steps[i].macs;
        }
    }
    return 2e-9 * macs;
}

static sm_status report(bench *b)
{
    sm_status status = SM_OK;
    const bench_options *o = b->options;
    int size = sm_comm_size(b->comm);
    double memory[2] = {(double)sm_memory_status_bytes("VmHWM") / (1 << 20),
                        (double)(sm_memory_status_bytes("RssAnon") + sm_memory_status_bytes("RssShmem")) / (1 << 20)};
    sm_comm_max_double(b->comm, memory, 2);
    if (sm_comm_rank(b->comm) != 0) {
        return SM_OK;
    }
    qsort(b->seconds, (size_t)o->steps, sizeof *b->seconds, by_value);
    double step = 1e3 * b->seconds[o->steps / 2], images = (double)(o->batch * size);
    char geometry[64];
    snprintf(geometry, sizeof geometry, "%lldx%lld", o->height, o->width);
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "backbone", o->backbone);
    sm_json_set_text(json, "size", geometry);
    sm_json_set_integer(json, "procs", size);
    sm_json_set_integer(json, "threads", b->session->settings.threads);
    sm_json_set_integer(json, "batch", o->batch);
    sm_json_set_real(json, "ms_step", step);
    sm_json_set_real(json, "ms_min", 1e3 * b->seconds[0]);
    sm_json_set_real(json, "ms_image", step / images);
    sm_json_set_real(json, "images_s", 1e3 * images / step);
    sm_json_set_real(json, "gflops_nominal", nominal_gflop_per_image(b) * 1e3 * images / step);
    sm_json_set_real(json, "rss_mib", memory[0]);
    sm_json_set_real(json, "anonymous_mib", memory[1]);
    sm_json_set_real(json, "loss", b->trainer->record.loss);
    if (o->json) {
        status = sm_json_print(json, stdout);
    } else {
        printf("%s %s, %d process%s x %d thread%s, batch %lld each: %.1f ms a step, %.1f ms an image, %.2f images/s, "
               "%.0f GFLOP/s nominal, %.0f MiB\n",
               o->backbone, geometry, size, size > 1 ? "es" : "", b->session->settings.threads,
               b->session->settings.threads > 1 ? "s" : "", o->batch, step, step / images, 1e3 * images / step,
               nominal_gflop_per_image(b) * 1e3 * images / step, memory[1]);
    }
    sm_json_free(json);
    if (b->layers) {
        bench_layers_print(b->layers, (int)o->steps, (int)o->batch, step, stdout);
    }
    return status;
}

static sm_status check(const bench_options *o)
{
    if (!o->step && !o->allreduce) {
        return sm_fail(SM_ERR_USAGE, "bench: say what to measure: --step or --allreduce; see 'sigmatic bench --help'");
    }
    if (o->batch < 1 || o->steps < 1 || o->warmup < 0 || o->threads < 0 || o->height < 32 || o->width < 32) {
        return sm_fail(SM_ERR_USAGE, "bench: --batch and --steps take 1 and more, --height and --width 32 and more");
    }
    return SM_OK;
}

sm_status command_bench(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    bench_options options = {.backbone = "resnet50",
                             .rates = "12,24,36",
                             .height = 128,
                             .width = 256,
                             .batch = 2,
                             .steps = 7,
                             .warmup = 2,
                             .output_stride = 8,
                             .multiplier = 1};
    bench b = {.comm = context->comm, .options = &options};
    int help;
    const argument table[] = {
        {"step", ARGUMENT_FLAG, &options.step, NULL, "measure training steps of the whole network on scenes"},
        {"allreduce", ARGUMENT_FLAG, &options.allreduce, NULL,
         "measure the ways to sum gradients over ranks, and recommend one (--steps: rounds)"},
        {"backbone", ARGUMENT_TEXT, &options.backbone, "NAME", "resnet18 ... resnet152 (resnet50)"},
        {"height", ARGUMENT_INTEGER, &options.height, "PIXELS", "of the images (128)"},
        {"width", ARGUMENT_INTEGER, &options.width, "PIXELS", "of the images (256)"},
        {"batch", ARGUMENT_INTEGER, &options.batch, "N", "images a process (2)"},
        {"threads", ARGUMENT_INTEGER, &options.threads, "N",
         "OpenMP threads a process; 0 = OMP_NUM_THREADS, else 1 (0)"},
        {"steps", ARGUMENT_INTEGER, &options.steps, "N", "measured steps; the median is reported (7)"},
        {"warmup", ARGUMENT_INTEGER, &options.warmup, "N", "steps before (2)"},
        {"multiplier", ARGUMENT_REAL, &options.multiplier, "X", "width multiplier of the network (1)"},
        {"output-stride", ARGUMENT_INTEGER, &options.output_stride, "N", "8, 16 or 32 (8)"},
        {"rates", ARGUMENT_TEXT, &options.rates, "A,B,C", "dilations of the ASPP (12,24,36)"},
        {"project", ARGUMENT_FLAG, &options.project, NULL, "project the ASPP's output to 256 channels"},
        {"batch-norm", ARGUMENT_TEXT, &options.batch_norm, "MODE",
         "sync, local or frozen (local; sync where the sums are reproducible)"},
        {"set", ARGUMENT_LIST, &options.sets, "SECTION.KEY=VALUE", "any other key of a config"},
        {"layers", ARGUMENT_FLAG, &options.layers, NULL, "also print the time of every op and pass"},
        {"json", ARGUMENT_FLAG, &options.json, NULL, "print one JSON line"},
        {0},
    };
    SM_TRY(command_arguments(context, "bench", "Measures a training step; under mpirun that of the whole job.", table,
                             argc, argv, &help));
    if (help) {
        goto done;
    }
    SM_TRY(check(&options));
    if (options.allreduce) {
        status = bench_allreduce(context->comm, (int)options.steps);
        goto done;
    }
    status = open_bench(&b);
    if (status == SM_OK) {
        status = measure(&b);
    }
    if (status == SM_OK) {
        status = report(&b);
    }
    close_bench(&b);
done:
    return status;
}
