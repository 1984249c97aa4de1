/** \file
 * How many images a second the loader prepares, by what it does to them. */
#ifndef SIGMATIC_CLI_BENCH_DATA_H
#define SIGMATIC_CLI_BENCH_DATA_H

#include "cli/bench_run.h"

/** Measures the loader alone on scenes, or on the files of data.train, with a task for each standard target that they have, and prints. Collective. */
sm_status bench_data(sm_comm *comm, const bench_options *options);

#endif
