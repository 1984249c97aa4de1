#define _XOPEN_SOURCE 700
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/data/scenes_dataset.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/arithmetic.h>

#include "cli/bench_run.h"
#include "cli/configuration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static sm_status make_dataset(bench *b, int64_t count, const char *path)
{
    sm_scenes_dataset_options scenes = {.output = path, .scene = sm_scene_options_default(), .overwrite = 1};
    scenes.scene.height = (int)b->options->height;
    scenes.scene.width = (int)b->options->width;
    scenes.train = count < b->batch_global ? b->batch_global : count;
    sm_log_set_quiet(1);
    sm_status status = sm_scenes_dataset_write(b->comm, &scenes);
    sm_log_set_quiet(0);
    return status;
}

sm_status bench_make_scenes(bench *b, int64_t count, char **path)
{
    sm_status status = make_folder(b);
    if (status == SM_OK) {
        *path = sm_format("%s/scenes.h5", b->folder);
        status = make_dataset(b, count, *path);
    }
    return status;
}

static int is_reproducible(const bench_options *o)
{
    static const char *const ways[] = {"true", "yes", "on"}, key[] = "distributed.reproducible=";
    int found = 0;
    for (int i = 0; i < o->sets.count; i++) {
        const char *set = o->sets.items[i];
        for (size_t way = 0; strncmp(set, key, sizeof key - 1) == 0 && way < sizeof ways / sizeof *ways; way++) {
            found |= strcmp(set + sizeof key - 1, ways[way]) == 0;
        }
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
                  (long long)b->batch_global, dataset, o->backbone, o->multiplier, o->output_stride, o->rates,
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
                                 .input = *sm_dataset_input(b->dataset),
                                 .micro_batches = session->settings.micro_batches};
    sm_status status = SM_OK;
    SM_TRY(sm_trainer_new(b->session, options.input.height, options.input.width, sm_loader_capacity(&options), 1000000,
                          &b->trainer));
    sm_trainer_bind(b->trainer);
    SM_TRY(sm_loader_new(&options, &b->loader));
done:
    return status;
}

sm_status bench_open(bench *b)
{
    sm_status status = SM_OK;
    char *dataset = NULL, log[300];
    sm_run_log_kept kept;
    char *arithmetic = NULL;
    SM_TRY(bench_make_scenes(b, 8, &dataset));
    snprintf(log, sizeof log, "%s/run.h5", b->folder);
    SM_TRY(sm_comm_agree(b->comm, make_config(b, dataset)));
    SM_TRY(sm_comm_agree(b->comm, sm_dataset_open((const char *const *)&dataset, 1, "train", &b->dataset)));
    SM_TRY(sm_session_new(b->config, b->comm, b->dataset, &b->session));
    SM_TRY(sm_comm_agree(b->comm, make_loader(b)));
    arithmetic = sm_arithmetic_text(b->trainer->engine->plan, b->session->settings.precision);
    SM_TRY(sm_comm_agree(b->comm, sm_comm_rank(b->comm) == 0
                                      ? sm_run_log_open(log, b->session, arithmetic, NULL, 0, &kept, &b->log)
                                      : SM_OK));
done:
    sm_free(arithmetic);
    sm_free(dataset);
    return status;
}

void bench_close(bench *b)
{
    sm_run_log_close(b->log);
    sm_loader_free(b->loader);
    sm_trainer_free(b->trainer);
    sm_session_free(b->session);
    sm_dataset_close(b->dataset);
    sm_config_free(b->config);
    sm_free(b->builders);
    sm_free(b->seconds);
    sm_free(b->exposed);
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

sm_status bench_measure(bench *b)
{
    sm_status status = SM_OK;
    size_t steps = (size_t)b->options->steps;
    b->seconds = sm_alloc(steps * sizeof *b->seconds);
    b->exposed = sm_alloc(steps * sizeof *b->exposed);
    for (long long i = 0; i < b->options->warmup; i++) {
        SM_TRY(run_step(b));
    }
    if (b->options->layers || b->watches) {
        b->layers = bench_layers_new(b->trainer->engine);
    }
    for (long long i = 0; i < b->options->steps; i++) {
        double begin = sm_seconds();
        SM_TRY(run_step(b));
        b->seconds[i] = sm_seconds() - begin;
        sm_reduction_statistics statistics = {0}; /* reproducible sums wait for each other in the open */
        if (sm_trainer_reduction(b->trainer)) {
            sm_reduction_get_statistics(sm_trainer_reduction(b->trainer), &statistics);
        }
        b->exposed[i] = -statistics.waited_seconds;
    }
    SM_TRY(sm_comm_agree(b->comm, b->log_status));
    /* the job's step is the slowest rank's; who comes last to the end of the reduction waits for nobody's computation */
    sm_comm_max_double(b->comm, b->seconds, steps);
    sm_comm_max_double(b->comm, b->exposed, steps);
    for (size_t i = 0; i < steps; i++) {
        b->exposed[i] *= -1;
    }
done:
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, long long count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}
