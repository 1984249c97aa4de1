/** \file
 * What a run has measured of each task's gradient at the shared representation (weighting.diagnose_interval). */
#ifndef SIGMATIC_CLI_SHOW_GRADIENTS_H
#define SIGMATIC_CLI_SHOW_GRADIENTS_H

#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>

#include "cli/show_view.h"

/** Reads means of the last measurements, of a log with rows: NaN where there is none. */
sm_status show_gradients_read(const sm_h5 *file, show_view *view);

/** Prints lengths, shares and cosines; nothing if nothing was measured. */
void show_gradients_print(const show_view *view);

/** Sets {TASK: {"norm", "share", "cosines": {OTHER: value}}}; nothing if nothing was measured. */
void show_gradients_set_json(sm_json *json, const show_view *view);

#endif
