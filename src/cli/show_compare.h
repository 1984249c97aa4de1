/** \file
 * Several runs side by side. */
#ifndef SIGMATIC_CLI_SHOW_COMPARE_H
#define SIGMATIC_CLI_SHOW_COMPARE_H

#include "cli/show_view.h"

/** Prints a column a run: how far it came, the keys in which configurations differ, each task's loss, weight and sigma,
 * and the metrics of the last evaluation, the best of each marked. */
void show_compare(const show_view *views, int count);

/** \return the part of a view's path that tells it from the others: without what all begin with, and without run.h5.
 * Freed with sm_free(). */
char *show_label(const show_view *views, int count, int index);

#endif
