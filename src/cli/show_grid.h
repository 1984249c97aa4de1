/** \file
 * A table of text whose columns are as wide as what they hold. */
#ifndef SIGMATIC_CLI_SHOW_GRID_H
#define SIGMATIC_CLI_SHOW_GRID_H

typedef struct show_grid {
    int columns, count;
    char **cells; /**< `count`, row by row */
} show_grid;

/** Appends a cell: text (NULL: a dash). */
void show_grid_text(show_grid *grid, const char *text);

/** Appends a number: with four digits, whole ones with all; a dash for NaN. \param mark  stands behind it */
void show_grid_number(show_grid *grid, double value, const char *mark);

/** Prints all rows to standard output, and empties the grid. */
void show_grid_print(show_grid *grid);

#endif
