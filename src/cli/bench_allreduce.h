/** \file
 * Table of the ways to sum gradients over ranks: bandwidth by size, and what a config should say. */
#ifndef SIGMATIC_CLI_BENCH_ALLREDUCE_H
#define SIGMATIC_CLI_BENCH_ALLREDUCE_H

#include <sigmatic/comm/comm.h>

/** Measures and prints. Collective. \param rounds  of each size; the median counts. \param json  a line of it instead of a table */
sm_status bench_allreduce(sm_comm *comm, int rounds, int json);

#endif
