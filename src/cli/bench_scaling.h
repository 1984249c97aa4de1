/** \file
 * How a step scales with the number of ranks. */
#ifndef SIGMATIC_CLI_BENCH_SCALING_H
#define SIGMATIC_CLI_BENCH_SCALING_H

#include "cli/bench_run.h"

/** Measures steps on the first 1, 2, 4 ... and all ranks of `comm`, weakly and strongly, and prints a table or a line
 * of JSON. The other ranks sleep meanwhile. Collective. */
sm_status bench_scaling(sm_comm *comm, const bench_options *options);

#endif
