/** \file
 * A measured step, slept through on all ranks with the real reduction behind it. */
#ifndef SIGMATIC_CLI_BENCH_REPLAY_H
#define SIGMATIC_CLI_BENCH_REPLAY_H

#include <sigmatic/io/json.h>

#include "cli/bench_run.h"

/** Measures the step on rank 0 alone, replays it on all, prints a sentence or a line of JSON. Collective. */
sm_status bench_replay(sm_comm *comm, const bench_options *options);

/** Adds what analysis/scaling.py reads of a measured step with b->layers: forward, rest and every op of backward. */
void bench_replay_set_profile(sm_json *json, bench *b);

#endif
