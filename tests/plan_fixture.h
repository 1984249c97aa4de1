/** \file
 * Small and random graphs, plans of them with all the memory that they need, and what a run of one leaves. */
#ifndef SIGMATIC_TESTS_PLAN_FIXTURE_H
#define SIGMATIC_TESTS_PLAN_FIXTURE_H

#include "harness.h"

#include <sigmatic/graph/plan.h>

enum { OUTPUTS_MOST = 4 };

/* ---- a plan with all the memory that it needs ---- */

typedef void (*graph_builder)(sm_graph *graph, unsigned variant);

typedef struct machine {
    sm_parameters *parameters;
    sm_graph *graph;
    sm_plan *plan;
    sm_run run;
    int capacity;
} machine;

/** Options that tests start from; what they change here they put back. */
extern sm_plan_options training;

/** Parameters of a plan of this graph hold numbers that depend on their names alone; its ops are cut into recompute
 * blocks at random. */
machine machine_new(graph_builder build, unsigned variant, const sm_plan_options *options);
/** The same with the parameters frozen whose name matches. */
machine machine_new_frozen(graph_builder build, unsigned variant, const sm_plan_options *options, const char *freeze);
void machine_free(machine *m);

/** Numbers of a slice that depend on its name alone; variances are positive. */
void fill_slices(const sm_slices *slices, float *flat);
/** Gives a machine put together by hand memory; and its parameters numbers. */
void give_memory(machine *m);
void bind_memory(machine *m);
void poison_region(machine *m, sm_region region, float value);
void fill(void *memory, size_t bytes, float value);
/** \return floats of a sample of an output */
size_t output_floats(const machine *m, int output);
float *gradients_of(const machine *m);
/** \return 1 if a backward call writes the gradient of this slice: not if it is frozen, nor at a dead end */
int has_gradient(const sm_plan *plan, const sm_slice *slice);
/** \return calls with this label in a pass; adds up their multiply-adds */
int count_calls(const machine *m, int pass, const char *label, double *macs);

/* ---- one run and what came out of it ---- */

typedef struct result {
    int output_count;
    size_t output_floats[OUTPUTS_MOST];
    float *output[OUTPUTS_MOST];
    float *gradients, *buffers; /* slice after slice, in the files' order */
    size_t gradient_floats, buffer_floats;
} result;

/** Forward alone. Whatever a call must not read before somebody wrote it holds `poison`: activations, workspace, packed
 * weights, gradients (unless they are added to), samples beyond the batch. Running statistics start afresh. */
void run_forward(machine *m, int batch, float poison);
/** Writes the seed gradient of an output, numbers that depend on output and sample alone. */
void write_seed(machine *m, int output, float poison);
/** Forward, all seed gradients, backward. */
result execute(machine *m, int batch, float poison);
void result_free(result *r);
/** \return the graph's result in one form; the machine is gone afterwards */
result result_of(graph_builder build, unsigned variant, const sm_plan_options *options, int batch, float poison);
int same_bits(const result *a, const result *b);
int all_finite(const float *values, size_t count);
/** \return a parameter's gradient in the file's order */
const float *slice_of(const machine *m, const result *r, const char *name, size_t *count);
/** Compares two forms of all graphs by bits, saying which differs. */
void compare_forms(const sm_plan_options *a, float poison_a, const sm_plan_options *b, float poison_b);

/* ---- graphs ---- */

/** A graph and its variants 0 .. variants. */
typedef struct known_graph {
    const char *name;
    graph_builder build;
    unsigned variants;
} known_graph;

enum { GRAPHS = 6 };
extern const known_graph graphs[GRAPHS];
/** Fan-outs are made of 2 or 5 readers. */
int is_legal(int graph, unsigned variant);

int conv(sm_graph *graph, int input, const char *name, int channels, int kernel, int stride, int dilation, int bias);
int conv_norm(sm_graph *graph, int input, const char *name, int channels, int kernel, int stride, int dilation);

void small_network(sm_graph *graph, unsigned variant);
void pooled_to_a_pixel(sm_graph *graph, unsigned variant);
void fan_out_shared(sm_graph *graph, unsigned readers);
void fan_out_copied(sm_graph *graph, unsigned readers);
void map_and_vector(sm_graph *graph, unsigned concatenated);
void layers_used_twice(sm_graph *graph, unsigned copies);
void perceptron(sm_graph *graph, unsigned variant);
void random_graph(sm_graph *graph, unsigned variant);
void random_linear_graph(sm_graph *graph, unsigned variant);

#endif
