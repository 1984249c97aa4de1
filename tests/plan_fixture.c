#include "plan_fixture.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

sm_plan_options training = {.capacity = 3, .training = 1, .threads = 1, .precision = SM_CONV2D_HIGHEST};

void fill_slices(const sm_slices *slices, float *flat)
{
    memset(flat, 0, slices->floats * sizeof *flat);
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        const char *suffix = strrchr(slice->name, '.');
        sm_random random = sm_random_new(3, sm_hash(slice->name), 0);
        float *values = sm_alloc(slice->count * sizeof *values);
        for (size_t j = 0; j < slice->count; j++) {
            values[j] = strcmp(suffix, ".running_var") == 0 ? 0.5f + sm_random_uniform(&random)
                                                            : 0.4f * sm_random_normal(&random);
        }
        sm_slice_import(slice, values, flat);
        sm_free(values);
    }
}

void give_memory(machine *m)
{
    for (int region = SM_REGION_PARAMETERS; region < SM_REGIONS; region++) {
        m->run.base[region] = sm_alloc_zeroed(sm_plan_region_bytes(m->plan, (sm_region)region) + 1);
    }
    m->run.threads = 1;
    m->run.seed = 5;
}

void bind_memory(machine *m)
{
    give_memory(m);
    fill_slices(&m->parameters->parameters, (float *)m->run.base[SM_REGION_PARAMETERS]);
}

/* Cuts the ops into recompute blocks of random lengths, with ops of no block in between: any cut must give the same numbers. */
static void cut_recompute_blocks(sm_graph *graph)
{
    sm_random random = sm_random_new(11, (uint64_t)graph->op_count, 0);
    for (int first = 0, block = 1; first < graph->op_count; block++) {
        int end = first + 1 + (int)sm_random_below(&random, 8), outside = sm_random_below(&random, 5) == 0;
        for (; first < end && first < graph->op_count; first++) {
            graph->ops[first].recompute_block = outside ? 0 : block;
        }
    }
}

machine machine_new_frozen(graph_builder build, unsigned variant, const sm_plan_options *options, const char *freeze)
{
    machine m = {.parameters = sm_parameters_new(), .capacity = options->capacity};
    m.graph = sm_graph_new(m.parameters);
    build(m.graph, variant);
    cut_recompute_blocks(m.graph);
    if (freeze) {
        CU_ASSERT(sm_parameters_freeze(m.parameters, freeze) > 0);
    }
    SM_TEST_OK(sm_plan_new(m.graph, options, &m.plan));
    bind_memory(&m);
    return m;
}

machine machine_new(graph_builder build, unsigned variant, const sm_plan_options *options)
{
    return machine_new_frozen(build, variant, options, NULL);
}

void machine_free(machine *m)
{
    for (int region = SM_REGION_PARAMETERS; region < SM_REGIONS; region++) {
        sm_free(m->run.base[region]);
    }
    sm_plan_free(m->plan);
    sm_graph_free(m->graph);
    sm_parameters_free(m->parameters);
}

/* ---- one run and what came out of it ---- */

void result_free(result *r)
{
    for (int i = 0; i < r->output_count; i++) {
        sm_free(r->output[i]);
    }
    sm_free(r->gradients);
    sm_free(r->buffers);
}

static float *export_all(const sm_slices *slices, const float *flat, size_t *floats)
{
    float *values = sm_alloc(slices->floats * sizeof *values);
    *floats = 0;
    for (int i = 0; i < slices->count; i++) {
        sm_slice_export(&slices->items[i], flat, values + *floats);
        *floats += slices->items[i].count;
    }
    return values;
}

void fill(void *memory, size_t bytes, float value)
{
    float *floats = memory;
    for (size_t i = 0; i < bytes / sizeof *floats; i++) {
        floats[i] = value;
    }
}

void poison_region(machine *m, sm_region region, float value)
{
    fill(m->run.base[region], sm_plan_region_bytes(m->plan, region), value);
}

size_t output_floats(const machine *m, int output)
{
    return sm_value_elements(m->graph->values[m->graph->outputs[output].value].shape);
}

int has_gradient(const sm_plan *plan, const sm_slice *slice)
{
    int count;
    const sm_call *calls = sm_plan_calls(plan, 2, &count);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < SM_CALL_OPERANDS; j++) {
            sm_operand operand = calls[i].operand[j];
            if (operand.region == SM_REGION_GRADIENTS && operand.offset == slice->offset * sizeof(float)) {
                return 1;
            }
        }
    }
    return 0;
}

float *gradients_of(const machine *m)
{
    return (float *)m->run.base[SM_REGION_GRADIENTS];
}

/* Gradients that no call writes must still be what they were; zeros make results comparable. */
static void clear_untouched_gradients(machine *m, float poison)
{
    for (int i = 0; i < m->parameters->parameters.count; i++) {
        const sm_slice *slice = &m->parameters->parameters.items[i];
        float *gradient = gradients_of(m) + slice->offset;
        if (has_gradient(m->plan, slice)) {
            continue;
        }
        int untouched = 1;
        for (size_t j = 0; j < slice->count; j++) {
            untouched = untouched && memcmp(&gradient[j], &poison, sizeof poison) == 0;
            gradient[j] = 0;
        }
        CU_ASSERT(untouched || m->run.accumulate);
    }
}

void run_forward(machine *m, int batch, float poison)
{
    sm_run *run = &m->run;
    size_t sample = sm_value_elements(m->graph->values[0].shape);
    static const sm_region scratch[] = {SM_REGION_PREPARED, SM_REGION_INPUT, SM_REGION_ACTIVATIONS, SM_REGION_WORKSPACE,
                                        SM_REGION_GRADIENTS};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) {
        if (scratch[i] != SM_REGION_GRADIENTS || !run->accumulate) {
            poison_region(m, scratch[i], poison);
        }
    }
    fill_slices(&m->parameters->buffers, (float *)run->base[SM_REGION_BUFFERS]);
    for (int n = 0; n < batch; n++) {
        sm_test_fill((float *)run->base[SM_REGION_INPUT] + (size_t)n * sample, sample,
                     100 + (unsigned)run->first_sample + (unsigned)n);
    }
    run->batch = batch;
    run->batch_global = batch;
    sm_plan_prepare(m->plan, run);
    sm_plan_forward(m->plan, run);
}

void write_seed(machine *m, int output, float poison)
{
    float *seed = sm_plan_output_gradient(m->plan, &m->run, output);
    size_t floats = output_floats(m, output);
    for (int n = 0; seed && n < m->capacity; n++) {
        if (n < m->run.batch) {
            sm_test_fill(seed + (size_t)n * floats, floats,
                         1000 * (unsigned)(output + 1) + (unsigned)m->run.first_sample + (unsigned)n);
        } else {
            fill(seed + (size_t)n * floats, floats * sizeof(float), poison);
        }
    }
}

result execute(machine *m, int batch, float poison)
{
    result r = {.output_count = m->graph->output_count};
    sm_run *run = &m->run;
    int trains = sm_plan_region_bytes(m->plan, SM_REGION_GRADIENTS) > 0;
    run_forward(m, batch, poison);
    for (int i = 0; i < r.output_count; i++) {
        r.output_floats[i] = output_floats(m, i) * (size_t)batch;
        r.output[i] = sm_alloc(r.output_floats[i] * sizeof(float));
        memcpy(r.output[i], sm_plan_output(m->plan, run, i), r.output_floats[i] * sizeof(float));
    }
    for (int i = 0; i < r.output_count && trains; i++) {
        write_seed(m, i, poison);
    }
    if (trains) {
        sm_plan_backward(m->plan, run);
        clear_untouched_gradients(m, poison);
        r.gradients = export_all(&m->parameters->parameters, gradients_of(m), &r.gradient_floats);
    }
    r.buffers = export_all(&m->parameters->buffers, (float *)run->base[SM_REGION_BUFFERS], &r.buffer_floats);
    return r;
}

static int same_floats(const float *a, size_t a_count, const float *b, size_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof *a) == 0);
}

int same_bits(const result *a, const result *b)
{
    int same = a->output_count == b->output_count;
    for (int i = 0; same && i < a->output_count; i++) {
        same = same_floats(a->output[i], a->output_floats[i], b->output[i], b->output_floats[i]);
    }
    return same && same_floats(a->gradients, a->gradient_floats, b->gradients, b->gradient_floats) &&
           same_floats(a->buffers, a->buffer_floats, b->buffers, b->buffer_floats);
}

int all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return 0;
        }
    }
    return 1;
}

result result_of(graph_builder build, unsigned variant, const sm_plan_options *options, int batch, float poison)
{
    machine m = machine_new(build, variant, options);
    result r = execute(&m, batch, poison);
    machine_free(&m);
    return r;
}

const float *slice_of(const machine *m, const result *r, const char *name, size_t *count)
{
    size_t at = 0;
    for (int i = 0; i < m->parameters->parameters.count; i++) {
        const sm_slice *slice = &m->parameters->parameters.items[i];
        if (strcmp(slice->name, name) == 0) {
            *count = slice->count;
            return r->gradients + at;
        }
        at += slice->count;
    }
    CU_FAIL("no such slice");
    *count = 0;
    return NULL;
}

int count_calls(const machine *m, int pass, const char *label, double *macs)
{
    int count, found = 0;
    const sm_call *calls = sm_plan_calls(m->plan, pass, &count);
    for (int i = 0; i < count; i++) {
        found += strcmp(calls[i].label, label) == 0;
        *macs += calls[i].macs;
    }
    return found;
}

/* ---- the same numbers in every form ---- */

void compare_forms(const sm_plan_options *a, float poison_a, const sm_plan_options *b, float poison_b)
{
    for (int g = 0; g < GRAPHS; g++) {
        int is_random = graphs[g].build == random_graph;
        unsigned variants = is_random ? (unsigned)sm_test_rounds((int)graphs[g].variants) : graphs[g].variants;
        for (unsigned variant = 0; variant < variants; variant++) {
            if (!is_legal(g, variant)) {
                continue;
            }
            result one = result_of(graphs[g].build, variant, a, 3, poison_a);
            result other = result_of(graphs[g].build, variant, b, 3, poison_b);
            int same = same_bits(&one, &other);
            if (!same) {
                fprintf(stderr, "graph '%s' %u differs\n", graphs[g].name, variant);
            }
            CU_ASSERT(same);
            result_free(&one);
            result_free(&other);
        }
    }
}
