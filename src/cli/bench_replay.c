#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/reduction_bench.h>

#include "cli/bench_replay.h"

#include <stdio.h>
#include <string.h>

/* A measured step. */
typedef struct profile {
    double forward_seconds, rest_seconds;
    int ops;
    double *seconds;
    size_t *complete;
    size_t floats; /* of the gradient */
    sm_reduction_options reduction;
} profile;

static double backward_seconds(const profile *p)
{
    double sum = 0;
    for (int op = 0; op < p->ops; op++) {
        sum += p->seconds[op];
    }
    return sum;
}

static void free_profile(profile *p)
{
    sm_free(p->seconds);
    sm_free(p->complete);
}

/* Ops of a median step are not known, only their means: a slow step among the measured ones makes all a little longer. */
static profile profile_of(bench *b)
{
    int steps = (int)b->options->steps;
    profile p = {.floats = b->session->parameters->parameters.floats, .reduction = b->session->settings.reduction};
    p.ops = bench_layers_backward(b->layers, steps, &p.seconds, &p.complete);
    p.forward_seconds = bench_layers_pass_seconds(b->layers, BENCH_PACK, steps) +
                        bench_layers_pass_seconds(b->layers, BENCH_FORWARD, steps);
    double mean = 0;
    for (int i = 0; i < steps; i++) {
        mean += b->seconds[i] / steps;
    }
    double rest = mean - p.forward_seconds - backward_seconds(&p);
    p.rest_seconds = rest > 0 ? rest : 0;
    return p;
}

static void set_profile(sm_json *json, const profile *p)
{
    sm_json_set_real(json, "ms_forward", 1e3 * p->forward_seconds);
    sm_json_set_real(json, "ms_backward", 1e3 * backward_seconds(p));
    sm_json_set_real(json, "ms_rest", 1e3 * p->rest_seconds);
    sm_json_set_integer(json, "gradient_bytes", (int64_t)(p->floats * sizeof(float)));
    sm_json *ops = sm_json_set_array(json, "backward"); /* milliseconds, bytes that are final */
    for (int op = 0; op < p->ops; op++) {
        sm_json *pair = sm_json_set_array(ops, NULL);
        sm_json_set_real(pair, NULL, 1e-3 * (double)(int64_t)(1e6 * p->seconds[op] + 0.5));
        sm_json_set_integer(pair, NULL, (int64_t)(p->complete[op] * sizeof(float)));
    }
}

void bench_replay_set_profile(sm_json *json, bench *b)
{
    profile p = profile_of(b);
    set_profile(json, &p);
    free_profile(&p);
}

/* ---- on one rank, for all ---- */

static sm_status measure_alone(const bench_options *options, profile *p)
{
    sm_status status = SM_OK;
    bench b = {.comm = sm_comm_self(), .options = options, .batch_global = options->batch, .watches = 1};
    SM_TRY(bench_open(&b));
    SM_TRY(bench_measure(&b));
    *p = profile_of(&b);
done:
    bench_close(&b);
    return status;
}

static sm_status measure_for_all(sm_comm *comm, const bench_options *options, profile *p)
{
    sm_status status = SM_OK;
    int is_first = sm_comm_rank(comm) == 0;
    if (is_first) {
        status = measure_alone(options, p);
    }
    sm_comm_barrier_asleep(comm);
    SM_TRY(sm_comm_agree(comm, status));
    double *seconds = p->seconds;
    size_t *complete = p->complete;
    sm_comm_broadcast(comm, p, sizeof *p, 0);
    size_t ops = (size_t)p->ops;
    p->seconds = is_first ? seconds : sm_alloc(ops * sizeof *seconds);
    p->complete = is_first ? complete : sm_alloc(ops * sizeof *complete);
    sm_comm_broadcast(comm, p->seconds, ops * sizeof *seconds, 0);
    sm_comm_broadcast(comm, p->complete, ops * sizeof *complete, 0);
done:
    return status;
}

/* Stretches or shrinks the computation until the reduction takes `fraction` of backward. */
static void scale(sm_comm *comm, profile *p, double fraction, int rounds)
{
    double blocking;
    sm_reduction_measure_blocking(comm, p->floats, &p->reduction, rounds, &blocking);
    double factor = blocking / fraction / backward_seconds(p);
    p->forward_seconds *= factor;
    p->rest_seconds *= factor;
    for (int op = 0; op < p->ops; op++) {
        p->seconds[op] *= factor;
    }
}

/* ---- report ---- */

static sm_status report(sm_comm *comm, const bench_options *o, const profile *p, const sm_replay_times *times,
                        const sm_link *link)
{
    sm_status status = SM_OK;
    int size = sm_comm_size(comm), nodes = sm_comm_nodes(comm);
    double backward = backward_seconds(p);
    if (!o->json) {
        printf("%s, %.1f MB of gradients in %zu %s, %d %s on %d %s, link of %.0f us and %.1f MB/s\n"
               "backward %.0f ms; its reduction alone %.0f ms: %.2f of that\n"
               "step %.0f ms without messages, %.0f ms with a blocking reduction, %.0f ms with '%s': %.1f %% hidden\n",
               o->backbone, 1e-6 * (double)(p->floats * sizeof(float)), times->buckets,
               sm_plural((int64_t)times->buckets, "bucket", "buckets"), size, sm_plural(size, "rank", "ranks"), nodes,
               sm_plural(nodes, "node", "nodes"), 1e6 * link->latency_seconds, 1e-6 * link->bandwidth, 1e3 * backward,
               1e3 * times->blocking_seconds, times->blocking_seconds / backward, 1e3 * times->compute_seconds,
               1e3 * times->blocking_step_seconds, 1e3 * times->step_seconds,
               sm_reduction_mode_names[p->reduction.mode], 100 * times->hidden);
        return SM_OK;
    }
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "backbone", o->backbone);
    sm_json_set_integer(json, "procs", size);
    sm_json_set_integer(json, "nodes", nodes);
    sm_json_set_text(json, "reduction", sm_reduction_mode_names[p->reduction.mode]);
    sm_json_set_bool(json, "compress", p->reduction.compress);
    sm_json_set_integer(json, "buckets", (int64_t)times->buckets);
    sm_json_set_integer(json, "sent_bytes", (int64_t)times->sent_bytes);
    sm_json_set_real(json, "latency_us", 1e6 * link->latency_seconds);
    sm_json_set_real(json, "bandwidth_mb_s", 1e-6 * link->bandwidth);
    sm_json_set_real(json, "ms_compute", 1e3 * times->compute_seconds);
    sm_json_set_real(json, "ms_blocking", 1e3 * times->blocking_seconds);
    sm_json_set_real(json, "ms_blocking_step", 1e3 * times->blocking_step_seconds);
    sm_json_set_real(json, "ms_step", 1e3 * times->step_seconds);
    sm_json_set_real(json, "ms_exposed", 1e3 * times->waited_seconds);
    sm_json_set_real(json, "ms_polling", 1e3 * times->polling_seconds);
    sm_json_set_real(json, "hidden", times->hidden);
    set_profile(json, p);
    status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

sm_status bench_replay(sm_comm *comm, const bench_options *options)
{
    sm_status status = SM_OK;
    profile p = {.ops = 0};
    sm_replay_times times;
    sm_link link;
    int rounds = (int)options->steps;
    if (sm_comm_size(comm) == 1) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "bench: --replay needs several ranks: mpirun -n N sigmatic bench --replay"));
    }
    SM_TRY(measure_for_all(comm, options, &p));
    sm_link_measure(comm, &link);
    if (options->reduction_share > 0) {
        scale(comm, &p, options->reduction_share, rounds);
    }
    const sm_replay replay = {p.forward_seconds, p.rest_seconds, p.ops, p.seconds, p.complete};
    sm_reduction_replay(comm, p.floats, &p.reduction, &replay, rounds, &times);
    if (sm_comm_rank(comm) == 0) {
        status = report(comm, options, &p, &times, &link);
    }
done:
    free_profile(&p);
    return status;
}
