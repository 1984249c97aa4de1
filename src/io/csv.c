/* libcsv finds the cells and says nothing of where they are: the file is handed to it line by line, which tells on which
 * line a row began. */
#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/io/csv.h>
#include <sigmatic/io/file.h>

#include <csv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { QUOTED_CELL_STEP_BYTES = 1 << 16, NAMES_SHOWN = 12 };

/* A table that grows. */
typedef struct {
    const char *path;
    size_t line;       /* that libcsv reads */
    size_t row_line;   /* on which its row began */
    char *text;        /* all cells so far, one behind the other */
    size_t text_bytes; /* of `text` in use: at most the file's bytes and a zero a cell */
    char **cells;      /* the header's too */
    size_t cell_count, cell_room;
    size_t *lines;
    size_t row_count, row_room; /* the header's too */
    size_t columns;             /* 0 until the header ends */
    size_t in_row;              /* cells of this row so far */
    sm_status status;           /* the first mistake: callbacks cannot return one */
} builder;

static sm_status wrong(const builder *b, size_t line, const char *what)
{
    return sm_fail(SM_ERR_INPUT, "%s:%zu: %s", b->path, line, what);
}

static void take_cell(void *data, size_t bytes, void *context)
{
    builder *b = context;
    if (b->status != SM_OK) {
        return;
    }
    if (b->in_row == SM_CSV_MAX_COLUMNS) {
        b->status =
            sm_fail(SM_ERR_INPUT, "%s:%zu: more than %d cells in a row", b->path, b->row_line, SM_CSV_MAX_COLUMNS);
        return;
    }
    if (b->cell_count == b->cell_room) {
        b->cell_room = b->cell_room ? 2 * b->cell_room : 64;
        b->cells = sm_realloc(b->cells, b->cell_room * sizeof *b->cells);
    }
    char *cell = b->text + b->text_bytes;
    if (bytes > 0) {
        memcpy(cell, data, bytes);
    }
    cell[bytes] = '\0';
    b->text_bytes += bytes + 1;
    b->cells[b->cell_count++] = cell;
    b->in_row++;
}

/* No two columns of one name, and commas between them: Excel writes ';' or tabs in some languages. */
static sm_status check_header(const builder *b)
{
    for (size_t i = 0; i < b->columns; i++) {
        for (size_t k = 0; k < i; k++) {
            if (b->cells[i][0] && strcmp(b->cells[i], b->cells[k]) == 0) {
                return sm_fail(SM_ERR_INPUT, "%s:%zu: two columns are called '%s'", b->path, b->row_line, b->cells[i]);
            }
        }
    }
    size_t until = b->columns == 1 ? strcspn(b->cells[0], ";\t") : 0;
    if (b->columns == 1 && b->cells[0][until]) {
        return sm_fail(SM_ERR_INPUT, "%s:%zu: columns are separated by %s, expected commas", b->path, b->row_line,
                       b->cells[0][until] == ';' ? "';'" : "tabs");
    }
    return SM_OK;
}

static void take_row(int end, void *context)
{
    builder *b = context;
    (void)end;
    if (b->status == SM_OK && b->row_count == 0) {
        b->columns = b->in_row;
        b->status = check_header(b);
    } else if (b->status == SM_OK && b->in_row != b->columns) {
        b->status = sm_fail(SM_ERR_INPUT, "%s:%zu: a row of %zu %s, expected %zu as in the header", b->path,
                            b->row_line, b->in_row, sm_plural((int64_t)b->in_row, "cell", "cells"), b->columns);
    }
    if (b->row_count == b->row_room) {
        b->row_room = b->row_room ? 2 * b->row_room : 64;
        b->lines = sm_realloc(b->lines, b->row_room * sizeof *b->lines);
    }
    b->lines[b->row_count++] = b->row_line;
    b->in_row = 0;
}

/* \return bytes of the first line with its end: "\n", "\r\n" or "\r". */
static size_t line_bytes(const char *text)
{
    size_t bytes = strcspn(text, "\r\n");
    return bytes + (text[bytes] == '\r' && text[bytes + 1] == '\n') + (text[bytes] != '\0');
}

static int is_blank(const char *text, size_t bytes)
{
    while (bytes > 0 && strchr(" \t\r\n", *text)) {
        text++;
        bytes--;
    }
    return bytes == 0;
}

static sm_status parse(builder *b, struct csv_parser *parser, const char *text)
{
    int in_row = 0;
    while (*text) {
        size_t bytes = line_bytes(text), rows = b->row_count;
        b->line++;
        b->row_line = in_row ? b->row_line : b->line;
        if (csv_parse(parser, text, bytes, take_cell, take_row, b) != bytes) {
            return wrong(b, b->line,
                         "a quote in the middle of a cell, expected cells with quotes to be in quotes and "
                         "the quotes in them doubled");
        }
        if (b->status != SM_OK) {
            return b->status;
        }
        in_row = b->row_count == rows && (in_row || !is_blank(text, bytes));
        text += bytes;
    }
    if (csv_fini(parser, take_cell, take_row, b) != 0) {
        return wrong(b, b->row_line, "a quote without its end in the row that begins here");
    }
    return b->status;
}

/* Hands what was built to the table. */
static void finish(builder *b, sm_csv *table)
{
    size_t columns = b->columns;
    table->path = sm_strdup(b->path);
    table->columns = columns;
    table->rows = b->row_count - 1;
    table->names = b->cells;
    table->cells = b->cells + columns;
    memmove(b->lines, b->lines + 1, table->rows * sizeof *b->lines);
    table->lines = b->lines;
    table->text = b->text;
    b->cells = NULL;
    b->lines = NULL;
    b->text = NULL;
}

sm_status sm_csv_parse(const char *path, const char *contents, sm_csv *table)
{
    static const char mark[] = "\xEF\xBB\xBF";
    sm_status status = SM_OK;
    struct csv_parser parser;
    builder b = {.path = path};

    *table = (sm_csv){0};
    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
        sm_abort("libcsv cannot be started");
    }
    csv_set_realloc_func(&parser, sm_realloc);
    csv_set_free_func(&parser, sm_free);
    csv_set_blk_size(&parser, QUOTED_CELL_STEP_BYTES);
    b.text = sm_alloc(strlen(contents) + 2);
    SM_TRY(parse(&b, &parser, contents + (strncmp(contents, mark, strlen(mark)) == 0 ? strlen(mark) : 0)));
    if (b.row_count == 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: empty, expected a row that names the columns", path));
    }
    finish(&b, table);
done:
    csv_free(&parser);
    sm_free(b.text);
    sm_free(b.cells);
    sm_free(b.lines);
    return status;
}

sm_status sm_csv_read(const char *path, sm_csv *table)
{
    char *contents = NULL;
    *table = (sm_csv){0};
    sm_status status = sm_file_read_text(path, &contents);
    if (status == SM_OK) {
        status = sm_csv_parse(path, contents, table);
    }
    sm_free(contents);
    return status;
}

void sm_csv_free(sm_csv *table)
{
    sm_free(table->path);
    sm_free(table->names); /* the cells are behind them */
    sm_free(table->lines);
    sm_free(table->text);
    *table = (sm_csv){0};
}

int sm_csv_find(const sm_csv *table, const char *name, size_t *column)
{
    for (size_t i = 0; i < table->columns; i++) {
        if (strcmp(table->names[i], name) == 0) {
            *column = i;
            return 1;
        }
    }
    return 0;
}

sm_status sm_csv_column(const sm_csv *table, const char *name, size_t *column)
{
    if (sm_csv_find(table, name, column)) {
        return SM_OK;
    }
    char *found = NULL;
    sm_nearest nearest = {.wanted = name};
    for (size_t i = 0; i < table->columns; i++) {
        sm_nearest_consider(&nearest, table->names[i]);
        if (i < NAMES_SHOWN) {
            sm_append_text(&found, ", ", "'%s'", table->names[i]);
        }
    }
    char *question = sm_nearest_question(&nearest);
    sm_status status =
        sm_fail(SM_ERR_INPUT, "%s: there is no column '%s'; there %s %s%s%s", table->path, name,
                table->columns == 1 ? "is" : "are", found, table->columns > NAMES_SHOWN ? ", ..." : "", question);
    sm_free(question);
    sm_free(found);
    return status;
}

/* In any case of letters. */
static const char *const missing_words[] = {"", "NA", "N/A", "NaN", "null", "?"};

int sm_csv_is_missing(const char *cell)
{
    for (size_t i = 0; i < sizeof missing_words / sizeof *missing_words; i++) {
        if (strcasecmp(cell, missing_words[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* What strtod() takes beside numbers as people write them: infinities and hexadecimal ones. */
static int is_decimal(const char *cell)
{
    return cell[strspn(cell, "+-.0123456789eE")] == '\0';
}

sm_status sm_csv_real(const sm_csv *table, size_t row, size_t column, double most, double *value)
{
    const char *cell = sm_csv_cell(table, row, column);
    char *end;
    if (sm_csv_is_missing(cell)) {
        *value = NAN;
        return SM_OK;
    }
    *value = strtod(cell, &end);
    if (end == cell || *end || !is_decimal(cell)) {
        return sm_fail(SM_ERR_INPUT,
                       "%s:%zu: column '%s': '%.40s' found, expected a number as 3.5, or nothing (NA, N/A, NaN, null, "
                       "?) where it is unknown",
                       table->path, table->lines[row], table->names[column], cell);
    }
    return fabs(*value) <= most
               ? SM_OK
               : sm_fail(SM_ERR_INPUT, "%s:%zu: column '%s': %.40s found, expected a number from %g to %g", table->path,
                         table->lines[row], table->names[column], cell, -most, most);
}
