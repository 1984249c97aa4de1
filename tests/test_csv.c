/* ranks: 1 */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/csv.h>
#include <sigmatic/io/file.h>

#include <stdio.h>
#include <string.h>

static const char *in_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", sm_test_folder(), name);
    return path;
}

static sm_status read_text(const char *text, sm_csv *table)
{
    SM_TEST_OK(sm_file_write_atomic(in_folder("t.csv"), text, strlen(text)));
    return sm_csv_read(in_folder("t.csv"), table);
}

/* The cells one behind the other, the header first. */
static void expect(const char *text, size_t columns, size_t rows, const char *const *cells)
{
    sm_csv table;
    SM_TEST_OK(read_text(text, &table));
    CU_ASSERT_FATAL(table.columns == columns && table.rows == rows);
    for (size_t i = 0; i < columns * (rows + 1); i++) {
        const char *found = i < columns ? table.names[i] : sm_csv_cell(&table, i / columns - 1, i % columns);
        CU_ASSERT_STRING_EQUAL(found, cells[i]);
    }
    sm_csv_free(&table);
    sm_csv_free(&table);
}

#define CELLS(...) ((const char *const[]){__VA_ARGS__})

static void cells_are_those_of_rfc_4180(void)
{
    size_t before = sm_memory_held_bytes();
    expect("aaa,bbb\r\nzzz,yyy\r\n", 2, 1, CELLS("aaa", "bbb", "zzz", "yyy"));
    expect("aaa,bbb\nzzz,yyy", 2, 1, CELLS("aaa", "bbb", "zzz", "yyy"));
    expect("aaa,bbb\rzzz,yyy\r", 2, 1, CELLS("aaa", "bbb", "zzz", "yyy"));
    expect("\"aaa\",\"b \r\nbb\"\r\nzzz,yyy", 2, 1, CELLS("aaa", "b \r\nbb", "zzz", "yyy"));
    expect("a,b\n\"x, y\",\"say \"\"no\"\"\"\n", 2, 1, CELLS("a", "b", "x, y", "say \"no\""));
    expect("a,b\n,\n\"\",\" \"\n", 2, 2, CELLS("a", "b", "", "", "", " "));
    CU_ASSERT(sm_memory_held_bytes() == before);
}

static void what_spreadsheets_write_is_read(void)
{
    expect("\xEF\xBB\xBFimage,caf\xC3\xA9\nmy picture.png, 3 \n\n  \n", 2, 1,
           CELLS("image", "caf\xC3\xA9", "my picture.png", "3"));
    expect("\xEF\xBB\xBF\"image\",b\n1,2\n", 2, 1, CELLS("image", "b", "1", "2"));
    expect(",image\n0,a.png\n", 2, 1, CELLS("", "image", "0", "a.png"));
    expect("\r\n\r\nimage\r\nx\r\n", 1, 1, CELLS("image", "x"));
    expect("a,b", 2, 0, CELLS("a", "b"));
}

static void rows_know_their_line(void)
{
    sm_csv table;
    SM_TEST_OK(read_text("a,b\r\n\r\n1,\"2\r\n\r\n3\"\r\n4,5\r\n \t\r\n6,\"7\n\"", &table));
    CU_ASSERT_FATAL(table.rows == 3);
    CU_ASSERT(table.lines[0] == 3 && table.lines[1] == 6 && table.lines[2] == 8);
    sm_csv_free(&table);
    SM_TEST_OK(read_text("a\r1\r\r2\r", &table));
    CU_ASSERT_FATAL(table.rows == 2);
    CU_ASSERT(table.lines[0] == 2 && table.lines[1] == 4);
    sm_csv_free(&table);
}

static void columns_are_found_by_name(void)
{
    sm_csv table;
    size_t column = 9;
    SM_TEST_OK(read_text("image,split,depth\nx,train,y\n", &table));
    SM_TEST_OK(sm_csv_column(&table, "split", &column));
    CU_ASSERT(column == 1);
    CU_ASSERT(sm_csv_find(&table, "depth", &column) && column == 2);
    CU_ASSERT(!sm_csv_find(&table, "Depth", &column) && column == 2);
    CU_ASSERT(sm_csv_column(&table, "labels", &column) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("t.csv: there is no column 'labels'; there are 'image', 'split', 'depth'");
    sm_csv_free(&table);
}

static void mistakes_are_named_with_their_line(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "t.csv: empty, expected a row that names the columns"},
        {"\n\r\n  \n", "t.csv: empty, expected a row"},
        {"a,b\n1,2\n\n3\n", "t.csv:4: a row of 1 cell, expected 2 as in the header"},
        {"a,b\n1,2,3", "t.csv:2: a row of 3 cells, expected 2 as in the header"},
        {"a,b\n\"x\n\",2\n\"1\n2\"\n", "t.csv:4: a row of 1 cell, expected 2"},
        {"a,b,a\n", "t.csv:1: two columns are called 'a'"},
        {"image;depth\n", "t.csv:1: columns are separated by ';', expected commas"},
        {"image\tdepth\n", "t.csv:1: columns are separated by tabs, expected commas"},
        {"a,b\n1,x\"y\n", "t.csv:2: a quote in the middle of a cell"},
        {"a,b\n1,\"x\"y\n", "t.csv:2: a quote in the middle of a cell"},
        {"a,b\n1,2\n3,\"x\n\n", "t.csv:3: a quote without its end in the row that begins here"},
    };
    size_t before = sm_memory_held_bytes();
    sm_csv table;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CU_ASSERT(read_text(cases[i].text, &table) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(cases[i].message);
        CU_ASSERT(table.text == NULL);
    }
    SM_TEST_OK(sm_file_write_atomic(in_folder("t.csv"),
                                    "\xFF\xFE"
                                    "a\0,\0b\0",
                                    8));
    CU_ASSERT(sm_csv_read(in_folder("t.csv"), &table) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("t.csv: not a text file");
    CU_ASSERT(sm_csv_read(in_folder("none.csv"), &table) == SM_ERR_IO);
    CU_ASSERT(sm_memory_held_bytes() == before);
}

/* Lists grow, libcsv's buffer grows, and time stays in proportion. */
static void large_tables_are_read(void)
{
    enum { ROWS = 200000, LONG = 3000000 };
    sm_csv table;
    char *text = sm_alloc(20 + 8 * ROWS + LONG), *end = text + sprintf(text, "n,m\n");
    for (int i = 0; i < ROWS; i++) {
        end += sprintf(end, "%d,\n", i);
    }
    end += sprintf(end, "x,\"");
    memset(end, '\n', LONG);
    strcpy(end + LONG, "\"");
    SM_TEST_OK(read_text(text, &table));
    CU_ASSERT_FATAL(table.rows == ROWS + 1);
    CU_ASSERT_STRING_EQUAL(sm_csv_cell(&table, 123456, 0), "123456");
    CU_ASSERT(strlen(sm_csv_cell(&table, ROWS, 1)) == LONG && table.lines[ROWS] == ROWS + 2);
    sm_csv_free(&table);
    memset(text, ',', SM_CSV_MAX_COLUMNS);
    text[SM_CSV_MAX_COLUMNS] = '\0';
    CU_ASSERT(read_text(text, &table) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("t.csv:1: more than 4096 cells in a row");
    sm_free(text);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(cells_are_those_of_rfc_4180);
    SM_TEST(what_spreadsheets_write_is_read);
    SM_TEST(rows_know_their_line);
    SM_TEST(columns_are_found_by_name);
    SM_TEST(mistakes_are_named_with_their_line);
    SM_TEST(large_tables_are_read);
    return sm_test_end();
}
