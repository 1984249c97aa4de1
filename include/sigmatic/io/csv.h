/** \file
 * A table out of a CSV file (RFC 4180): the first row names the columns; cells are separated by commas; a cell in quotes (") may hold commas, line ends and doubled quotes.
 * Line ends are those of any system; a byte order mark at the start (of Excel) and empty lines are skipped; blanks around a cell that is not in quotes do not count. Not collective; thread-safe. */
#ifndef SIGMATIC_IO_CSV_H
#define SIGMATIC_IO_CSV_H

#include <sigmatic/base/status.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_CSV_MAX_COLUMNS = 4096 };

typedef struct sm_csv {
    char *path;
    size_t columns, rows; /**< rows without the header; may be 0 */
    char **names;         /**< [columns] of the header, unique but for empty ones */
    char **cells;         /**< [rows][columns], "" where a cell is empty */
    size_t *lines;        /**< [rows] line of the file on which the row begins, from 1, as an editor counts them */
    char *text;           /**< what the strings point into */
} sm_csv;

/** Reads a table. Takes at most 80 bytes of memory a byte of the file.
 * \param [out] table  zeroed on failure; freed with sm_csv_free()
 * \return SM_ERR_IO: cannot be read; SM_ERR_INPUT: not a text file (UTF-16 is none), no header, a column named twice, a row with more or fewer cells than the header,
 *         or a quote out of place; the message is "<file>:<line>: ..." */
sm_status sm_csv_read(const char *path, sm_csv *table);

/** The same of a text that was read from `path`, by which messages call it. */
sm_status sm_csv_parse(const char *path, const char *contents, sm_csv *table);

/** Frees all and zeroes the struct; twice is fine. */
void sm_csv_free(sm_csv *table);

/** \return whether there is a column of this name.
 * \param [out] column  its place from 0; untouched if there is none */
int sm_csv_find(const sm_csv *table, const char *name, size_t *column);

/** As sm_csv_find(); SM_ERR_INPUT naming the file, the column and those that there are if there is none. */
sm_status sm_csv_column(const sm_csv *table, const char *name, size_t *column);

/** \return the cell of a row and a column, owned by the table. */
static inline const char *sm_csv_cell(const sm_csv *table, size_t row, size_t column)
{
    return table->cells[row * table->columns + column];
}

/** \return 1 if a cell says that nothing is known: it is empty, or NA, N/A, NaN, null or ?, in any case of letters. */
int sm_csv_is_missing(const char *cell);

/** Reads a number, decimal, with a point.
 * \param most          its largest absolute value
 * \param [out] value   NaN where it is unknown
 * \return SM_ERR_INPUT naming file, line, column, what was found and what was expected */
sm_status sm_csv_real(const sm_csv *table, size_t row, size_t column, double most, double *value);

#ifdef __cplusplus
}
#endif
#endif
