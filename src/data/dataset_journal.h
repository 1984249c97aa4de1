/* What is known of a dataset file under construction, in a file beside it: what its samples are made of, and which of them
 * are there. Any process writes its own samples' records; nothing is ordered or synced, so a record counts only if what it
 * says is found in the dataset. */
#ifndef DATA_DATASET_JOURNAL_H
#define DATA_DATASET_JOURNAL_H

#include <sigmatic/base/status.h>

#include <stdint.h>

typedef struct sm_dataset_journal sm_dataset_journal;

/* Of a sample that is there. */
typedef struct sm_dataset_record {
    uint64_t stamp;  /* of the files that it was made of */
    uint32_t digest; /* of what was written: sm_dataset_writer_digest() */
} sm_dataset_record;

/* 1 if a journal is there, empty ones not counted. */
int sm_dataset_journal_exists(const char *path);

/* Compares what is there with what is to be made.
 * \param origin      lines of text
 * \param [out] other  NULL: the same; else why not, for people; freed with sm_free() */
sm_status sm_dataset_journal_compare(const char *path, const char *origin, int64_t samples, char **other);

/* Makes the journal without any record, in place of what is in the file, which must exist. */
sm_status sm_dataset_journal_begin(const char *path, const char *origin, int64_t samples);

/* Opens a journal for its records. */
sm_status sm_dataset_journal_open(const char *path, sm_dataset_journal **out);

/* NULL is legal. */
void sm_dataset_journal_close(sm_dataset_journal *journal);

sm_status sm_dataset_journal_note(sm_dataset_journal *journal, int64_t sample, sm_dataset_record record);

/* \return 1 if the sample has a record. */
int sm_dataset_journal_find(const sm_dataset_journal *journal, int64_t sample, sm_dataset_record *record);

#endif
