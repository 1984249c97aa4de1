/** \file A training run small enough for a test: a dataset of a few scenes, a network of a few channels, one step in
 * milliseconds. */
#ifndef SIGMATIC_TESTS_TINY_RUN_H
#define SIGMATIC_TESTS_TINY_RUN_H

#include "harness.h"

#include <sigmatic/data/data_options.h>
#include <sigmatic/train/evaluator.h>
#include <sigmatic/train/trainer.h>

enum {
    TINY_TRAIN = 13,
    TINY_VALIDATION = 7,
    TINY_TASKS = 3,
    TINY_TASKS_MOST = 9,
    TINY_VALUES = 32 /* room for metrics */
};

/** A run on the ranks of a communicator. */
typedef struct tiny_run {
    sm_config *config;
    sm_dataset *train, *validation;
    sm_session *session;
    sm_trainer *trainer;
    sm_evaluator *evaluator;
    sm_target_builder builders[TINY_TASKS_MOST];
    sm_loader_options options;
    sm_augmentation augmentation;
    sm_loader *loader;
} tiny_run;

/** \return the path of the dataset, written on the first call; freed with sm_free(). Collective over all ranks. */
char *tiny_dataset(void);

/** \return the configuration; `sets` are "section.key=value", NULL-terminated. Collective over all ranks. */
sm_config *tiny_config(const char *const *sets);

/** Starts the loader where the trainer stands. */
void tiny_start_loader(tiny_run *run);

/** Everything up to the first step; with `shares` 0 every rank has parameters of its own. Takes the config. Collective
 * over `comm`; a run stays where it is, for it holds pointers into itself. */
void tiny_open_as(tiny_run *run, sm_comm *comm, sm_config *config, int shares);

/** The same as one opens a run. */
void tiny_open(tiny_run *run, sm_comm *comm, sm_config *config);

/** The same with a weighting that has no row in the table; log-variances are learned if the config's method learns them.
 * \return what sm_trainer_new() says; after a failure only tiny_close() is legal */
sm_status tiny_open_weighted(tiny_run *run, sm_comm *comm, sm_config *config, const sm_weighting_kind *kind);

void tiny_close(tiny_run *run);

/** Collective over the run's ranks. */
void tiny_steps(tiny_run *run, int count);

/** A sm_batch_next of a tiny_run: the loader's next batch, in which one number of this rank's first image is NaN. */
sm_status tiny_next_spoiled(void *user, const sm_batch **batch);

size_t tiny_parameter_floats(const tiny_run *run);

size_t tiny_buffer_floats(const tiny_run *run);

/** \return a copy, freed with sm_free(). */
float *tiny_copy(const float *values, size_t count);

int tiny_same_bits(const float *a, const float *b, size_t count);

/** \return ||a - b|| / ||b|| over the parameters. */
double tiny_parameters_differ(const tiny_run *a, const tiny_run *b);

/** Asserts that every rank has the bits of rank 0. Collective over all ranks. */
void tiny_same_on_all_ranks(const float *values, size_t count);

#endif
