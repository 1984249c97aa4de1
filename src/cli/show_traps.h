/** \file
 * The traps that a logged run is in (sigmatic/train/traps.h). */
#ifndef SIGMATIC_CLI_SHOW_TRAPS_H
#define SIGMATIC_CLI_SHOW_TRAPS_H

#include <sigmatic/io/json.h>

#include "cli/show_view.h"

/** Prints a line each, of a log with rows. */
void show_traps_print(const show_view *view);

/** Adds {"trap", "severity": "warning" or "note", "task" ("": of the run), "text"} each to an array. */
void show_traps_set_json(sm_json *array, const show_view *view);

#endif
