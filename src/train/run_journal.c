#define _POSIX_C_SOURCE 200809L
#include "train/run_journal.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = {'S', 'M', 'J', 'O', 'U', 'R', 'N', '1'};
enum { MOST_BYTES = 1 << 30 /* rows leave it long before */ };
static const char *const type_names[] = {[SM_H5_DOUBLE] = "double", [SM_H5_INT64] = "int64"};

typedef struct file_head {
    char magic[sizeof MAGIC];
    uint32_t bytes, checksum; /* of the text behind it */
} file_head;

typedef struct record {
    uint32_t checksum, table;
    double values[];
} record;

struct sm_run_journal {
    sm_file *file;
    size_t record_bytes;
    uint64_t head_bytes, end; /* where the records begin; where the next one goes */
    int written[SM_RUN_TABLES];
};

static size_t record_bytes(const sm_run_table *tables)
{
    int most = 0;
    for (int i = 0; i < SM_RUN_TABLES; i++) {
        most = tables[i].count > most ? tables[i].count : most;
    }
    return sizeof(record) + (size_t)most * sizeof(double);
}

static uint32_t checksum_of(const record *r, size_t bytes)
{
    return sm_crc32c(0, &r->table, bytes - offsetof(record, table));
}

/* ---- writing ---- */

static char *head_text(int64_t start, const sm_run_table *tables)
{
    char *text = sm_format("start %lld\n", (long long)start);
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        for (int i = 0; i < tables[t].count; i++) {
            const sm_run_column *c = &tables[t].columns[i];
            sm_append_text(&text, "", "%d %s %s\n", t, type_names[c->type], c->path);
        }
    }
    return text;
}

sm_status sm_run_journal_create(const char *path, int64_t start, const sm_run_table *tables, sm_run_journal **out)
{
    sm_status status = SM_OK;
    char *text = head_text(start, tables), *partial = sm_format("%s.partial", path);
    size_t bytes = strlen(text);
    file_head head = {.bytes = (uint32_t)bytes, .checksum = sm_crc32c(0, text, bytes)};
    sm_run_journal *journal = sm_alloc_zeroed(sizeof *journal);
    memcpy(head.magic, MAGIC, sizeof MAGIC);
    journal->record_bytes = record_bytes(tables);
    journal->head_bytes = journal->end = sizeof head + bytes;
    SM_TRY(sm_file_create(partial, &journal->file));
    SM_TRY(sm_file_pwrite(journal->file, &head, sizeof head, 0));
    SM_TRY(sm_file_pwrite(journal->file, text, bytes, sizeof head));
    SM_TRY(sm_file_sync(journal->file));
    SM_TRY(sm_file_rename(partial, path));
    *out = journal;
    journal = NULL;
done:
    if (journal) {
        sm_run_journal_close(journal);
        sm_remove_tree(partial);
    }
    sm_free(partial);
    sm_free(text);
    return status;
}

/* \return the place behind the records */
static char *lay_out(const sm_run_journal *journal, const sm_run_table *tables, int table, char *records)
{
    const sm_run_table *t = &tables[table];
    size_t row_bytes = (size_t)t->count * sizeof(double);
    for (int row = journal->written[table]; row < t->waiting; row++) {
        record *r = (record *)(void *)records;
        r->table = (uint32_t)table;
        memcpy(r->values, t->rows + (size_t)row * (size_t)t->count, row_bytes);
        r->checksum = checksum_of(r, journal->record_bytes);
        records += journal->record_bytes;
    }
    return records;
}

sm_status sm_run_journal_write(sm_run_journal *journal, const sm_run_table *tables)
{
    sm_status status = SM_OK;
    size_t count = 0;
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        count += (size_t)(tables[t].waiting - journal->written[t]);
    }
    size_t bytes = count * journal->record_bytes;
    char *records = sm_alloc_zeroed(bytes + 1), *end = records;
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        end = lay_out(journal, tables, t, end);
    }
    SM_TRY(sm_file_pwrite(journal->file, records, bytes, journal->end));
    journal->end += bytes;
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        journal->written[t] = tables[t].waiting;
    }
done:
    sm_free(records);
    return status;
}

sm_status sm_run_journal_sync(sm_run_journal *journal)
{
    return sm_file_sync(journal->file);
}

sm_status sm_run_journal_empty(sm_run_journal *journal)
{
    memset(journal->written, 0, sizeof journal->written);
    sm_status status = sm_file_cut(journal->file, journal->head_bytes);
    journal->end = status == SM_OK ? journal->head_bytes : journal->end;
    return status;
}

void sm_run_journal_close(sm_run_journal *journal)
{
    if (journal) {
        sm_file_close(journal->file);
        sm_free(journal);
    }
}

/* ---- reading ---- */

static sm_status no_journal(const char *path)
{
    return sm_fail(SM_ERR_INPUT, "%s: not the journal of a run, or its head is damaged", path);
}

/* One line of the head. \return 1 if it says a column */
static int read_column(const char *line, sm_run_table *tables)
{
    int table, length = 0;
    char type[8], path[SM_RUN_PATH_BYTES];
    if (sscanf(line, "%d %7s %191[^\n]%n", &table, type, path, &length) != 3 || table < 0 || table >= SM_RUN_TABLES) {
        return 0;
    }
    sm_h5_type found = strcmp(type, type_names[SM_H5_INT64]) == 0 ? SM_H5_INT64 : SM_H5_DOUBLE;
    sm_run_column *c = sm_run_table_add(&tables[table], found);
    memcpy(c->path, path, sizeof path);
    return 1;
}

static sm_status read_head(const char *path, const char *data, size_t bytes, int64_t *start, sm_run_table *tables)
{
    file_head head;
    const char *text = data + sizeof head;
    char *lines = NULL, *rest = NULL, *line;
    long long number;
    if (bytes < sizeof head) {
        return no_journal(path);
    }
    memcpy(&head, data, sizeof head);
    if (memcmp(head.magic, MAGIC, sizeof MAGIC) != 0 || head.bytes > bytes - sizeof head ||
        sm_crc32c(0, text, head.bytes) != head.checksum) {
        return no_journal(path);
    }
    lines = sm_format("%.*s", (int)head.bytes, text);
    line = strtok_r(lines, "\n", &rest);
    int is_whole = line && sscanf(line, "start %lld", &number) == 1;
    while (is_whole && (line = strtok_r(NULL, "\n", &rest))) {
        is_whole = read_column(line, tables);
    }
    *start = is_whole ? number : 0;
    sm_free(lines);
    return is_whole ? SM_OK : no_journal(path);
}

/* Of a row that stands there twice, or behind later ones, the first is taken. */
static void take_record(const record *r, size_t bytes, sm_run_table *tables)
{
    if (r->checksum != checksum_of(r, bytes) || r->table >= SM_RUN_TABLES || tables[r->table].count == 0) {
        return;
    }
    sm_run_table *t = &tables[r->table];
    if (t->waiting == 0 || (int64_t)r->values[0] > sm_run_table_step(t, t->waiting - 1)) {
        memcpy(sm_run_table_add_row(t), r->values, (size_t)t->count * sizeof(double));
    }
}

sm_status sm_run_journal_read(const char *path, int64_t *start, sm_run_table *tables)
{
    sm_status status = SM_OK;
    void *data = NULL;
    record *r = NULL;
    size_t bytes;
    uint64_t file_bytes;
    memset(tables, 0, SM_RUN_TABLES * sizeof *tables);
    SM_TRY(sm_file_size(path, &file_bytes));
    if (file_bytes > MOST_BYTES) {
        SM_TRY(no_journal(path));
    }
    SM_TRY(sm_file_read(path, &data, &bytes));
    SM_TRY(read_head(path, data, bytes, start, tables));
    size_t size = record_bytes(tables);
    r = sm_alloc(size);
    for (size_t at = sizeof(file_head) + ((const file_head *)data)->bytes; at + size <= bytes; at += size) {
        memcpy(r, (const char *)data + at, size);
        take_record(r, size, tables);
    }
done:
    sm_free(r);
    sm_free(data);
    return status;
}
