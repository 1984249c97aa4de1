/** \file
 * The runs below a folder. */
#ifndef SIGMATIC_CLI_SHOW_FOLDER_H
#define SIGMATIC_CLI_SHOW_FOLDER_H

#include "cli/show_view.h"

typedef struct show_folder {
    show_view *views; /**< `count`, by name; one whose log is not there, or not readable, has no rows, and says why */
    char **problems;  /**< `count`: why a log cannot be read; NULL: it was read */
    int count;
} show_folder;

/** Finds the runs below a folder, at any depth: folders with a log or a status. One below it that cannot be read is passed over with
 * a warning.
 * \param [out] folder  cleared with show_folder_clear(), also after a failure
 * \return SM_ERR_INPUT if there is none; SM_ERR_IO if the folder itself cannot be read */
sm_status show_folder_read(const char *path, show_folder *folder);

void show_folder_clear(show_folder *folder);

/** Prints a line a run: status, last step, when it last wrote, and of each task the metric that training calls best by. */
void show_folder_print(const show_folder *folder);

#endif
