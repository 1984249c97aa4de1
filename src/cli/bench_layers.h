/** \file
 * Time of every op and pass, gathered by watching the plan's steps. */
#ifndef SIGMATIC_CLI_BENCH_LAYERS_H
#define SIGMATIC_CLI_BENCH_LAYERS_H

#include <sigmatic/train/session.h>

#include <stdio.h>

typedef struct bench_layers bench_layers;

/** Watches the engine's steps from now on. */
bench_layers *bench_layers_new(sm_engine *engine);
void bench_layers_free(bench_layers *layers);

/** Prints a row an op and pass, and the sum against the measured step. */
void bench_layers_print(const bench_layers *layers, int steps, int batch, double step_milliseconds, FILE *file);

#endif
