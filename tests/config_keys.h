/** \file
 * Tables of keys of every type, for tests of what reads and explains configs. */
#ifndef SIGMATIC_TESTS_CONFIG_KEYS_H
#define SIGMATIC_TESTS_CONFIG_KEYS_H

#include <sigmatic/io/config.h>

/** Of [run], [optimizer], [task.NAME] and [head.NAME]; ends with NULL. */
extern const sm_key *const test_keys[];

#endif
