/* What the parts of writing a dataset share: dataset_write.c is the whole, dataset_begin.c what is there already,
 * dataset_pass.c the loop over samples, dataset_pack.c the file without bad ones. */
#ifndef DATA_DATASET_WRITING_H
#define DATA_DATASET_WRITING_H

#include "data/dataset_journal.h"

#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/io/file.h>

/* One that is left out. */
typedef struct sm_bad_sample {
    int split;
    int64_t index;
    char *why;
} sm_bad_sample;

typedef struct sm_writing {
    sm_comm *comm;
    const char *path;
    char *partial, *journal_path, *packed_path; /* packed: without bad samples */
    const sm_dataset_spec *spec;
    const sm_dataset_job *job;
    int is_root;
    sm_file *lock;
    sm_dataset_journal *journal; /* NULL without origin */
    sm_dataset_writer *writer;
    int64_t there; /* samples of this rank that are in the unfinished file */
    sm_bad_sample *bad;
    size_t bad_count, bad_room;
    int is_refused; /* so many are bad that files and options hardly fit: nothing is to be gone on with */
} sm_writing;

/* Samples of the first `splits` splits. */
int64_t sm_dataset_spec_samples(const sm_dataset_spec *spec, int splits);

/* On rank 0: checks the names, makes the unfinished file and its journal, or goes on with those that are there.
 * \return SM_ERR_USAGE: nothing was touched */
sm_status sm_writing_begin(sm_writing *w);

/* Samples that have records. */
int64_t sm_writing_count_records(const sm_writing *w);

/* A pass over samples of which each rank does its share. */
typedef struct sm_writing_pass {
    const char *what; /* behind "samples" in reports: "" or " copied" */
    sm_status (*one)(void *user, int split, int64_t index);
    void *user;
    int64_t done, total;
    double begin_seconds, last_seconds;
} sm_writing_pass;

/* Collective. \return SM_PREEMPTED: some rank was asked to stop */
sm_status sm_writing_pass_all(const sm_writing *w, sm_writing_pass *pass, const sm_dataset_spec *spec);

/* Writes a file of the samples that are not bad beside the unfinished one. Collective, as all ranks have any.
 * Every rank then knows the bad samples of all. */
sm_status sm_writing_pack(sm_writing *w);

/* Whether any rank has bad samples. Collective. */
int sm_writing_has_bad(const sm_writing *w);

/* "<packed_path>.partial", freed with sm_free(). */
char *sm_writing_packed_partial(const sm_writing *w);

#endif
