#include "cli/bench_layers.h"
#include "cli/fma_peak.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>

#include <string.h>

struct bench_layers {
    sm_engine *engine;
    double *seconds[BENCH_PASSES]; /* of each call of the plan */
    const sm_call *calls[BENCH_PASSES];
    int counts[BENCH_PASSES];
};

static bench_layers *watched; /* one at a time: the observer's user is the trainer's */

static void observe(void *user, const sm_call *call, double begin, double end)
{
    (void)user;
    for (int pass = 0; pass < BENCH_PASSES; pass++) {
        const sm_call *first = watched->calls[pass];
        if (call >= first && call < first + watched->counts[pass]) {
            watched->seconds[pass][call - first] += end - begin;
        }
    }
}

bench_layers *bench_layers_new(sm_engine *engine)
{
    bench_layers *layers = sm_alloc_zeroed(sizeof *layers);
    layers->engine = engine;
    for (int pass = 0; pass < BENCH_PASSES; pass++) {
        layers->calls[pass] = sm_plan_calls(engine->plan, pass, &layers->counts[pass]);
        layers->seconds[pass] = sm_alloc_zeroed((size_t)layers->counts[pass] * sizeof(double));
    }
    watched = layers;
    engine->run.observe = observe;
    return layers;
}

void bench_layers_free(bench_layers *layers)
{
    if (layers) {
        for (int pass = 0; pass < BENCH_PASSES; pass++) {
            sm_free(layers->seconds[pass]);
        }
        sm_free(layers);
    }
}

double bench_layers_pass_seconds(const bench_layers *layers, bench_pass pass, int steps)
{
    double sum = 0;
    for (int i = 0; i < layers->counts[pass]; i++) {
        sum += layers->seconds[pass][i] / steps;
    }
    return sum;
}

int bench_layers_backward(const bench_layers *layers, int steps, double **seconds, size_t **complete)
{
    int count = layers->counts[BENCH_BACKWARD];
    *seconds = sm_alloc((size_t)count * sizeof **seconds);
    *complete = sm_alloc((size_t)count * sizeof **complete);
    for (int i = 0; i < count; i++) {
        (*seconds)[i] = layers->seconds[BENCH_BACKWARD][i] / steps;
        (*complete)[i] = layers->calls[BENCH_BACKWARD][i].gradients_complete;
    }
    return count;
}

/* \param peak  GFLOP/s of float multiply-adds: the unit of the model of costs */
static void print_call(const char *op, const sm_call *call, double milliseconds, int batch, double peak, FILE *file)
{
    double gflop = 2e-6 * batch / milliseconds; /* a second, of a multiply-add an image */
    fprintf(file, "%-36s %-26s %-14s %9.3f", op, call->label, call->algorithm ? call->algorithm : "-", milliseconds);
    if (call->cost > 0) {
        fprintf(file, " %9.3f", 2e-6 * batch * call->cost / peak);
    } else {
        fprintf(file, " %9s", "");
    }
    if (call->macs > 0) {
        fprintf(file, " %9.1f %9.1f %6.0f%%", call->macs * gflop, call->macs_executed * gflop,
                100 * call->macs_executed * gflop / peak);
    } else {
        fprintf(file, " %9s %9s %7s", "", "", "");
    }
    fprintf(file, " %9.2f\n", (double)call->bytes * 1e-6);
}

void bench_layers_print(const bench_layers *layers, int steps, int batch, double step_milliseconds, FILE *file)
{
    static const char *const pass_names[BENCH_PASSES] = {"pack", "forward", "backward"};
    const sm_graph *graph = layers->engine->graph;
    double peak = fma_peak_gflops(layers->engine->run.threads), sum = 0, pass_sum[BENCH_PASSES] = {0};
    fprintf(file, "\n%-36s %-26s %-14s %9s %9s %9s %9s %7s %9s\n", "op", "call", "algorithm", "ms", "model", "nominal",
            "executed", "of peak", "MB");
    for (int pass = 0; pass < BENCH_PASSES; pass++) {
        for (int i = 0; i < layers->counts[pass]; i++) {
            double milliseconds = 1e3 * layers->seconds[pass][i] / steps;
            const sm_call *call = &layers->calls[pass][i];
            pass_sum[pass] += milliseconds;
            print_call(graph->ops[call->op].name, call, milliseconds, batch, peak, file);
        }
        sum += pass_sum[pass];
    }
    fprintf(file, "\npeak of float multiply-adds on all threads: %.0f GFLOP/s (matrix registers can pass it)\n", peak);
    for (int pass = 0; pass < BENCH_PASSES; pass++) {
        fprintf(file, "%-10s %9.2f ms\n", pass_names[pass], pass_sum[pass]);
    }
    fprintf(file, "%-10s %9.2f ms of %.2f: the rest is losses, reductions, update and log\n", "sum", sum,
            step_milliseconds);
}
