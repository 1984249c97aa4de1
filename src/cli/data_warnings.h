/** \file
 * What is legal in a dataset file but what hardly anyone can want, in sentences. */
#ifndef SIGMATIC_CLI_DATA_WARNINGS_H
#define SIGMATIC_CLI_DATA_WARNINGS_H

#include <sigmatic/data/dataset.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>

#include "cli/split_statistics.h"

#include <stddef.h>

typedef struct warning_list {
    char **texts;
    size_t count;
} warning_list;

/** Adds a text, which the list then owns. */
void warnings_add(warning_list *list, char *text);
void warnings_clear(warning_list *list);
void warnings_print(const warning_list *list);
/** Sets the array "warnings". */
void warnings_set(const warning_list *list, sm_json *json);

/** What the names, descriptions and attributes of a file say: nothing of it is read but these.
 * \param splits  the opened splits, in the file's order */
sm_status warnings_of_file(warning_list *list, const sm_h5 *file, const char *const *names,
                           const sm_dataset *const *splits, size_t split_count);

/** What the values say. */
void warnings_of_values(warning_list *list, const split_statistics *splits, size_t split_count);

#endif
