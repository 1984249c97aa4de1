/* A header, the origin's text, then a record of fixed size a sample. */
#include "data/dataset_journal.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <stddef.h>
#include <string.h>

static const char magic[] = "SMJOURN1";

typedef struct header {
    char magic[8];
    uint32_t text_bytes, checksum; /* of the text */
} header;

/* As stored: a record that was never written has a wrong checksum. */
typedef struct stored_record {
    uint64_t stamp;
    uint32_t digest, checksum;
} stored_record;

struct sm_dataset_journal {
    sm_file *file;
    uint64_t records; /* where they begin */
};

static header header_of(const char *origin)
{
    header made = {.text_bytes = (uint32_t)strlen(origin), .checksum = sm_crc32c(0, origin, strlen(origin))};
    memcpy(made.magic, magic, sizeof made.magic);
    return made;
}

static uint32_t checksum_of(const stored_record *record)
{
    return sm_crc32c(0, record, offsetof(stored_record, checksum));
}

int sm_dataset_journal_exists(const char *path)
{
    return sm_file_begins_with(path, magic);
}

/* The text of a whole journal, NULL if it is damaged. */
static char *text_of(const char *data, size_t bytes, int64_t samples)
{
    header found;
    if (bytes < sizeof found) {
        return NULL;
    }
    memcpy(&found, data, sizeof found);
    if (memcmp(found.magic, magic, sizeof found.magic) != 0 || found.text_bytes > bytes - sizeof found ||
        (bytes - sizeof found - found.text_bytes) / sizeof(stored_record) < (uint64_t)samples ||
        sm_crc32c(0, data + sizeof found, found.text_bytes) != found.checksum) {
        return NULL;
    }
    return sm_format("%.*s", (int)found.text_bytes, data + sizeof found);
}

/* The first line in which both differ. */
static char *first_difference(const char *was, const char *is)
{
    for (;;) {
        size_t a = strcspn(was, "\n"), b = strcspn(is, "\n");
        if (a != b || memcmp(was, is, a) != 0 || !was[a] || !is[b]) {
            return sm_format("begun with %.*s, now asked for with %.*s", a ? (int)a : 7, a ? was : "nothing",
                             b ? (int)b : 7, b ? is : "nothing");
        }
        was += a + 1;
        is += b + 1;
    }
}

sm_status sm_dataset_journal_compare(const char *path, const char *origin, int64_t samples, char **other)
{
    void *data = NULL;
    size_t bytes = 0;
    *other = NULL;
    sm_status status = sm_file_read(path, &data, &bytes);
    if (status == SM_OK) {
        char *was = text_of(data, bytes, 0);
        if (!was) {
            *other = sm_strdup("its journal is damaged");
        } else if (strcmp(was, origin) != 0) {
            *other = first_difference(was, origin);
        } else {
            char *whole = text_of(data, bytes, samples);
            *other = whole ? NULL : sm_strdup("its journal is truncated");
            sm_free(whole);
        }
        sm_free(was);
    }
    sm_free(data);
    return status;
}

sm_status sm_dataset_journal_begin(const char *path, const char *origin, int64_t samples)
{
    sm_status status = SM_OK;
    sm_file *file = NULL;
    header made = header_of(origin);
    size_t bytes = (size_t)samples * sizeof(stored_record);
    void *nothing = sm_alloc_zeroed(sizeof made + bytes);
    SM_TRY(sm_file_open_write(path, &file));
    SM_TRY(sm_file_pwrite(file, nothing, sizeof made, 0)); /* no journal until it is whole */
    SM_TRY(sm_file_pwrite(file, nothing, bytes, sizeof made + made.text_bytes));
    SM_TRY(sm_file_pwrite(file, origin, made.text_bytes, sizeof made));
    SM_TRY(sm_file_pwrite(file, &made, sizeof made, 0));
done:
    sm_file_close(file);
    sm_free(nothing);
    return status;
}

sm_status sm_dataset_journal_open(const char *path, sm_dataset_journal **out)
{
    sm_status status = SM_OK;
    header found;
    sm_dataset_journal *journal = sm_alloc_zeroed(sizeof *journal);
    SM_TRY(sm_file_open_write(path, &journal->file));
    SM_TRY(sm_file_pread(journal->file, &found, sizeof found, 0));
    journal->records = sizeof found + found.text_bytes;
    *out = journal;
    journal = NULL;
done:
    sm_dataset_journal_close(journal);
    return status;
}

void sm_dataset_journal_close(sm_dataset_journal *journal)
{
    if (journal) {
        sm_file_close(journal->file);
        sm_free(journal);
    }
}

sm_status sm_dataset_journal_note(sm_dataset_journal *journal, int64_t sample, sm_dataset_record record)
{
    stored_record stored = {record.stamp, record.digest, 0};
    stored.checksum = checksum_of(&stored);
    return sm_file_pwrite(journal->file, &stored, sizeof stored, journal->records + (uint64_t)sample * sizeof stored);
}

int sm_dataset_journal_find(const sm_dataset_journal *journal, int64_t sample, sm_dataset_record *record)
{
    stored_record stored;
    uint64_t place = journal->records + (uint64_t)sample * sizeof stored;
    if (sm_file_pread(journal->file, &stored, sizeof stored, place) != SM_OK ||
        checksum_of(&stored) != stored.checksum) {
        return 0;
    }
    *record = (sm_dataset_record){stored.stamp, stored.digest};
    return 1;
}
