/* Which images of NYU Depth V2 are for what: the official split, or one from a file. */
#include "data/nyuv2_classes.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/csv.h>
#include <sigmatic/io/file.h>

#include <stdlib.h>
#include <string.h>

const char *const sm_nyuv2_split_names[SM_NYUV2_SPLITS] = {"train", "val", "test"};
enum { TRAIN, VAL };

/* Gives image `number`, counted from 1, its split. */
static sm_status assign(const char *path, size_t line, const char *number, int split, uint8_t *split_of, size_t count)
{
    char *end;
    long long index = strtoll(number, &end, 10);
    if (end == number || *end || index < 1 || (unsigned long long)index > count) {
        return sm_fail(SM_ERR_INPUT, "%s:%zu: image '%s': expected a number from 1 to %zu", path, line, number, count);
    }
    if (split_of[index - 1] != SM_NYUV2_SPLITS) {
        return sm_fail(SM_ERR_INPUT, "%s:%zu: image %lld has a split already", path, line, index);
    }
    split_of[index - 1] = (uint8_t)split;
    return SM_OK;
}

/* Columns index and split. */
static sm_status read_table(const char *path, uint8_t *split_of, size_t count)
{
    sm_status status = SM_OK;
    sm_csv table = {0};
    size_t index, name;
    SM_TRY(sm_csv_read(path, &table));
    SM_TRY(sm_csv_column(&table, "index", &index));
    SM_TRY(sm_csv_column(&table, "split", &name));
    for (size_t r = 0; r < table.rows; r++) {
        const char *wanted = sm_csv_cell(&table, r, name);
        int split = 0;
        while (split < SM_NYUV2_SPLITS && strcmp(sm_nyuv2_split_names[split], wanted) != 0) {
            split++;
        }
        if (split == SM_NYUV2_SPLITS) {
            SM_TRY(
                sm_fail(SM_ERR_INPUT, "%s:%zu: split '%s': expected train, val or test", path, table.lines[r], wanted));
        }
        SM_TRY(assign(path, table.lines[r], sm_csv_cell(&table, r, index), split, split_of, count));
    }
done:
    sm_csv_free(&table);
    return status;
}

/* The numbers of the training images, separated by white space; the rest is for validation. */
static sm_status read_numbers(const char *path, char *text, uint8_t *split_of, size_t count)
{
    static const char blanks[] = " \t\r\n";
    sm_status status = SM_OK;
    size_t line = 1;
    for (char *at = text; *at;) {
        size_t blank = strspn(at, blanks);
        for (; blank > 0; blank--) {
            line += *at++ == '\n';
        }
        size_t length = strcspn(at, blanks);
        if (length > 0) {
            char *number = sm_format("%.*s", (int)length, at);
            status = assign(path, line, number, TRAIN, split_of, count);
            sm_free(number);
            SM_TRY(status);
        }
        at += length;
    }
    for (size_t i = 0; i < count; i++) {
        split_of[i] = split_of[i] == SM_NYUV2_SPLITS ? VAL : split_of[i];
    }
done:
    return status;
}

sm_status sm_nyuv2_read_split(const char *path, uint8_t *split_of, size_t count)
{
    sm_status status = SM_OK;
    char *text = NULL;
    memset(split_of, SM_NYUV2_SPLITS, count);
    if (sm_file_begins_with(path, "MATLAB")) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: a MATLAB file; expected text: the numbers, from 1, of the training images, or a CSV table "
                       "with the columns index and split; without --split the official split is taken",
                       path);
    }
    SM_TRY(sm_file_read_text(path, &text));
    if (strchr(text, ',')) {
        SM_TRY(read_table(path, split_of, count));
    } else {
        SM_TRY(read_numbers(path, text, split_of, count));
    }
done:
    sm_free(text);
    return status;
}

void sm_nyuv2_official_split(uint8_t *split_of, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        split_of[i] = count != SM_NYUV2_IMAGES || sm_nyuv2_is_train((int)i) ? TRAIN : VAL;
    }
}
