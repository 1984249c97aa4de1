/* What to measure, and the report of one step; the other reports are in files of their own. */
#define _XOPEN_SOURCE 700
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/io/json.h>
#include <sigmatic/ops/isa.h>

#include "cli/bench_allreduce.h"
#include "cli/bench_data.h"
#include "cli/bench_replay.h"
#include "cli/bench_run.h"
#include "cli/bench_scaling.h"
#include "cli/command.h"
#include "cli/configuration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double nominal_gflop_per_image(const bench *b)
{
    double macs = 0;
    for (int pass = 1; pass <= 2; pass++) {
        int count;
        const sm_call *calls = sm_plan_calls(b->trainer->engine->plan, pass, &count);
        for (int i = 0; i < count; i++) {
            macs += calls[i].macs;
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
    double step = 1e3 * bench_median(b->seconds, o->steps), images = (double)b->batch_global;
    char geometry[64];
    snprintf(geometry, sizeof geometry, "%lldx%lld", o->height, o->width);
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "backbone", o->backbone);
    sm_json_set_text(json, "size", geometry);
    sm_json_set_integer(json, "procs", size);
    sm_json_set_integer(json, "threads", b->session->settings.threads);
    sm_json_set_integer(json, "batch", o->batch);
    sm_json_set_text(json, "instruction_set", sm_isa_name());
    sm_json_set_real(json, "ms_step", step);
    sm_json_set_real(json, "ms_min", 1e3 * b->seconds[0]);
    sm_json_set_real(json, "ms_image", step / images);
    sm_json_set_real(json, "images_s", 1e3 * images / step);
    sm_json_set_real(json, "gflops_nominal", nominal_gflop_per_image(b) * 1e3 * images / step);
    sm_json_set_real(json, "rss_mib", memory[0]);
    sm_json_set_real(json, "anonymous_mib", memory[1]);
    sm_json_set_real(json, "loss", b->trainer->record.loss);
    if (o->json && b->layers) {
        bench_replay_set_profile(json, b);
    }
    if (o->json) {
        status = sm_json_print(json, stdout);
    } else {
        printf("%s %s, %d %s x %d %s, batch %lld each, %s: %.1f ms a step, %.1f ms an image, %.2f images/s, "
               "%.0f GFLOP/s nominal, %.0f MiB\n",
               o->backbone, geometry, size, sm_plural(size, "process", "processes"), b->session->settings.threads,
               sm_plural(b->session->settings.threads, "thread", "threads"), o->batch, sm_isa_name(), step,
               step / images, 1e3 * images / step, nominal_gflop_per_image(b) * 1e3 * images / step, memory[1]);
    }
    sm_json_free(json);
    if (b->layers && !o->json) {
        bench_layers_print(b->layers, (int)o->steps, (int)o->batch, step, stdout);
    }
    return status;
}

/* Keys that options stand for: the report would not know of other values. */
static sm_status check_sets(const bench_options *o)
{
    static const struct {
        const char *key, *option;
    } taken[] = {{"run.batch", "--batch"},
                 {"run.steps", "--steps"},
                 {"data.train", "--height and --width"},
                 {"data.height", "--height"},
                 {"data.width", "--width"},
                 {"model.backbone", "--backbone"},
                 {"model.width", "--multiplier"},
                 {"model.output_stride", "--output-stride"},
                 {"model.aspp_rates", "--rates"},
                 {"model.project", "--project"},
                 {"distributed.batch_norm", "--batch-norm"},
                 {"distributed.threads", "--threads"}};
    for (int i = 0; i < o->sets.count; i++) {
        for (size_t k = 0; k < sizeof taken / sizeof *taken; k++) {
            size_t length = strlen(taken[k].key);
            int is_free = o->data && strncmp(taken[k].key, "data.", 5) == 0; /* the files may be the user's */
            if (!is_free && strncmp(o->sets.items[i], taken[k].key, length) == 0 && o->sets.items[i][length] == '=') {
                return sm_fail(SM_ERR_USAGE, "bench: --set %s: say it with %s", o->sets.items[i], taken[k].option);
            }
        }
    }
    return SM_OK;
}

static sm_status check(const bench_options *o)
{
    const struct {
        const char *option;
        long long value, least;
    } least[] = {{"--batch", o->batch, 1},
                 {"--steps", o->steps, 1},
                 {"--warmup", o->warmup, 0},
                 {"--threads", o->threads, 0},
                 {"--height", o->height, 32},
                 {"--width", o->width, 32},
                 {"--batch-global", o->batch_global, 0}};
    if (o->step + o->allreduce + o->scaling + o->replay + o->data != 1) {
        return sm_fail(SM_ERR_USAGE,
                       "bench: say what to measure: one of --step, --allreduce, --scaling, --replay and --data; "
                       "see 'sigmatic bench --help'");
    }
    for (size_t i = 0; i < sizeof least / sizeof *least; i++) {
        if (least[i].value < least[i].least) {
            return sm_fail(SM_ERR_USAGE, "bench: %s %lld: expected %lld and more", least[i].option, least[i].value,
                           least[i].least);
        }
    }
    if (o->reduction_share < 0) {
        return sm_fail(SM_ERR_USAGE, "bench: --reduction-share %g: expected 0 and more", sm_shown(o->reduction_share));
    }
    const struct {
        const char *option, *mode;
        int is_given, fits;
    } belongings[] = {{"--batch-global", "--scaling", o->batch_global > 0, o->scaling},
                      {"--reduction-share", "--replay", o->reduction_share > 0, o->replay},
                      {"--layers", "--step", o->layers, o->step}};
    for (size_t i = 0; i < sizeof belongings / sizeof *belongings; i++) {
        if (belongings[i].is_given && !belongings[i].fits) {
            return sm_fail(SM_ERR_USAGE, "bench: %s goes with %s", belongings[i].option, belongings[i].mode);
        }
    }
    return check_sets(o);
}

static sm_status measure_step(bench *b)
{
    sm_status status = SM_OK;
    b->batch_global = b->options->batch * sm_comm_size(b->comm);
    SM_TRY(bench_open(b));
    SM_TRY(bench_measure(b));
    SM_TRY(report(b));
done:
    bench_close(b);
    return status;
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
        {"scaling", ARGUMENT_FLAG, &options.scaling, NULL,
         "measure steps on 1, 2, 4 ... all ranks, with --batch images each (weak) and --batch-global in all (strong)"},
        {"replay", ARGUMENT_FLAG, &options.replay, NULL,
         "measure a step on one rank, then sleep through it on all, with the real reduction of its gradients: what the "
         "network between them hides and shows, without the cores to compute on"},
        {"data", ARGUMENT_FLAG, &options.data, NULL,
         "measure the loader alone: images a second with each kind of augmentation, on scenes or --set "
         "data.train=FILE"},
        {"backbone", ARGUMENT_TEXT, &options.backbone, "resnet18|resnet34|resnet50|resnet101|resnet152",
         "of the network (resnet50)"},
        {"height", ARGUMENT_INTEGER, &options.height, "PIXELS", "of the images (128)"},
        {"width", ARGUMENT_INTEGER, &options.width, "PIXELS", "of the images (256)"},
        {"batch", ARGUMENT_INTEGER, &options.batch, "N", "images a process (2)"},
        {"batch-global", ARGUMENT_INTEGER, &options.batch_global, "N",
         "images of a step of --scaling on any number of ranks (--batch times all ranks)"},
        {"reduction-share", ARGUMENT_REAL, &options.reduction_share, "X",
         "of --replay: stretch the computation until the reduction takes X of its backward pass; 0 = as measured (0)"},
        {"threads", ARGUMENT_INTEGER, &options.threads, "N",
         "OpenMP threads a process; 0 = OMP_NUM_THREADS, else 1 (0)"},
        {"steps", ARGUMENT_INTEGER, &options.steps, "N", "measured steps; the median is reported (7)"},
        {"warmup", ARGUMENT_INTEGER, &options.warmup, "N", "steps before (2)"},
        {"multiplier", ARGUMENT_REAL, &options.multiplier, "X", "width multiplier of the network (1)"},
        {"output-stride", ARGUMENT_INTEGER, &options.output_stride, "N", "8, 16 or 32 (8)"},
        {"rates", ARGUMENT_TEXT, &options.rates, "A,B,C", "dilations of the ASPP (12,24,36)"},
        {"project", ARGUMENT_FLAG, &options.project, NULL, "project the ASPP's output to 256 channels"},
        {"batch-norm", ARGUMENT_TEXT, &options.batch_norm, "sync|local|frozen",
         "whose statistics (local; sync where the sums are reproducible)"},
        {"set", ARGUMENT_LIST, &options.sets, "SECTION.KEY=VALUE", "any other key of a config"},
        {"layers", ARGUMENT_FLAG, &options.layers, NULL,
         "also print the time of every op and pass (with --json: of backward, for analysis/scaling.py)"},
        {"json", ARGUMENT_FLAG, &options.json, NULL, "print one JSON line"},
        {0},
    };
    SM_TRY(command_arguments(context, "bench",
                             "Measures training steps, the loader, or the sums of gradients between ranks; under\n"
                             "mpirun those of the whole job.\n"
                             "Say which: --step, --allreduce, --scaling, --replay or --data.",
                             table, argc, argv, &help));
    if (help) {
        goto done;
    }
    SM_TRY(check(&options));
    if (options.allreduce) {
        status = bench_allreduce(context->comm, (int)options.steps, options.json);
    } else if (options.scaling) {
        status = bench_scaling(context->comm, &options);
    } else if (options.data) {
        status = bench_data(context->comm, &options);
    } else if (options.replay) {
        status = bench_replay(context->comm, &options);
    } else {
        status = measure_step(&b);
    }
done:
    return status;
}
