/** \file A perceptron on the table in tests/golden/mlp.h5: for tests of files that had better be small. */
#ifndef SIGMATIC_TESTS_PERCEPTRON_H
#define SIGMATIC_TESTS_PERCEPTRON_H

#include "tiny_run.h"

/** \return the configuration that tests/golden/checkpoint_version1.h5 was written by; `sets` are "section.key=value", NULL-terminated. */
sm_config *perceptron_config(const char *const *sets);

#endif
