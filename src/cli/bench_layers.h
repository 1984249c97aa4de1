/** \file
 * Time of every op and pass, gathered by watching the plan's calls. */
#ifndef SIGMATIC_CLI_BENCH_LAYERS_H
#define SIGMATIC_CLI_BENCH_LAYERS_H

#include <sigmatic/train/session.h>

#include <stdio.h>

typedef struct bench_layers bench_layers;

/** Numbers of sm_plan_calls(). */
typedef enum bench_pass { BENCH_PACK, BENCH_FORWARD, BENCH_BACKWARD, BENCH_PASSES } bench_pass;

/** Watches the engine's calls from now on. */
bench_layers *bench_layers_new(sm_engine *engine);
void bench_layers_free(bench_layers *layers);

/** \return mean seconds of all calls of a pass over `steps` training steps */
double bench_layers_pass_seconds(const bench_layers *layers, bench_pass pass, int steps);

/** Backward op by op: mean seconds, and the floats of the gradient that are final after each.
 * \return number of ops; the arrays are freed with sm_free() */
int bench_layers_backward(const bench_layers *layers, int steps, double **seconds, size_t **complete);

/** Prints a row an op and pass, and the sum against the measured step. */
void bench_layers_print(const bench_layers *layers, int steps, int batch, double step_milliseconds, FILE *file);

#endif
