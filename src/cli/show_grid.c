#include "cli/show_grid.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

void show_grid_text(show_grid *grid, const char *text)
{
    grid->cells = sm_realloc(grid->cells, (size_t)(grid->count + 1) * sizeof *grid->cells);
    grid->cells[grid->count++] = sm_strdup(text ? text : "-");
}

void show_grid_number(show_grid *grid, double value, const char *mark)
{
    char text[48] = "-";
    if (!isnan(value)) {
        int is_whole = value == floor(value) && fabs(value) < 1e12; /* steps: all digits */
        snprintf(text, sizeof text, is_whole ? "%.0f%s" : "%.4g%s", value, mark);
    }
    show_grid_text(grid, text);
}

static int width_of(const show_grid *grid, int column)
{
    size_t width = 0;
    for (int i = column; i < grid->count; i += grid->columns) {
        size_t length = strlen(grid->cells[i]);
        width = length > width ? length : width;
    }
    return (int)width;
}

void show_grid_print(show_grid *grid)
{
    int *widths = sm_alloc((size_t)grid->columns * sizeof *widths);
    for (int column = 0; column < grid->columns; column++) {
        widths[column] = width_of(grid, column);
    }
    for (int i = 0; i < grid->count; i++) {
        int column = i % grid->columns, is_last = column + 1 == grid->columns;
        printf("%-*s%s", is_last ? 0 : widths[column], grid->cells[i], is_last ? "\n" : "  ");
        sm_free(grid->cells[i]);
    }
    sm_free(widths);
    sm_free(grid->cells);
    *grid = (show_grid){.columns = grid->columns};
}
