/** \file
 * A contact sheet: some samples of each split of a dataset file, a row each; their input, then each target a pixel. */
#ifndef SIGMATIC_CLI_DATA_SHEET_H
#define SIGMATIC_CLI_DATA_SHEET_H

#include "cli/split_statistics.h"

#include <stddef.h>

/** Draws samples spread evenly over each split as a PNG file; real values from the least to the most of their split.
 * \param most_samples  of a split
 * \return SM_ERR_IO, SM_ERR_WRITE */
sm_status data_sheet_write(const split_statistics *splits, size_t split_count, int most_samples, const char *path);

/** Tells before the work whether the sheet can be written: a PNG file is replaced, nothing else is.
 * \return SM_ERR_USAGE, SM_ERR_WRITE */
sm_status data_sheet_check(const char *path);

/** Prints what its rows and columns are. */
void data_sheet_describe(const split_statistics *splits, size_t split_count, int most_samples, const char *path);

#endif
