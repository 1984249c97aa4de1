/** \file
 * Inputs that a dataset file holds more than once. */
#ifndef SIGMATIC_CLI_DATA_DUPLICATES_H
#define SIGMATIC_CLI_DATA_DUPLICATES_H

#include "cli/split_statistics.h"

#include <stddef.h>
#include <stdint.h>

typedef struct sample_place {
    size_t split;
    int64_t index;
} sample_place;

typedef struct duplicate {
    sample_place first, again;
} duplicate;

/** Finds every sample whose input equals an earlier one's, byte for byte. One rank that needs it is enough.
 * \param [out] duplicates  by place; freed with sm_free()
 * \return SM_ERR_IO, SM_ERR_INPUT */
sm_status duplicates_find(const split_statistics *splits, size_t split_count, duplicate **duplicates, size_t *count);

#endif
