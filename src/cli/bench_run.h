/** \file
 * Steps that really train, for measuring: scenes through the loader, forward, losses, backward, reduction, update, run
 * log. */
#ifndef SIGMATIC_CLI_BENCH_RUN_H
#define SIGMATIC_CLI_BENCH_RUN_H

#include <sigmatic/train/run_log.h>
#include <sigmatic/train/trainer.h>

#include "cli/arguments.h"
#include "cli/bench_layers.h"

typedef struct bench_options {
    const char *backbone, *batch_norm, *rates;
    long long height, width, batch, batch_global, threads, steps, warmup, output_stride;
    double multiplier;
    double reduction_share;
    int step, allreduce, scaling, replay, data, project, json, layers;
    argument_list sets;
} bench_options;

/* One benchmark on one rank. */
typedef struct bench {
    sm_comm *comm;
    const bench_options *options;
    int64_t batch_global; /* images a step of all ranks */
    int watches;          /* keep the time of every op, whatever the options say */
    /* the rest is bench_open()'s and bench_measure()'s */
    char folder[256]; /* scratch: dataset and run log */
    sm_config *config;
    sm_dataset *dataset;
    sm_session *session;
    sm_trainer *trainer;
    sm_loader *loader;
    sm_run_log *log;
    sm_status log_status; /* of rank 0; the others learn it after the last step */
    sm_target_builder *builders;
    bench_layers *layers;
    double *seconds; /* a measured step, of the slowest rank */
    double *exposed; /* a measured step: waiting for the reduction, of the rank that came last */
} bench;

/** Writes a dataset of `count` scenes, and enough for a step, into a scratch folder. Collective over b->comm. \param [out] path  freed with sm_free() */
sm_status bench_make_scenes(bench *b, int64_t count, char **path);

/** Makes everything up to the first step, from comm, options, batch_global and watches. Collective over b->comm. */
sm_status bench_open(bench *b);

/** Runs the warm-up and the measured steps. Collective over b->comm. */
sm_status bench_measure(bench *b);

/** Also after a failure. Collective over b->comm. */
void bench_close(bench *b);

/** \return the median; the values become sorted */
double bench_median(double *values, long long count);

#endif
