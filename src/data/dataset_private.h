/* The dataset's own struct, shared by opening (dataset_open.c, sample_facts.c), by asking and reading (dataset.c). */
#ifndef DATA_DATASET_PRIVATE_H
#define DATA_DATASET_PRIVATE_H

#include <sigmatic/data/dataset.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

/* Where an array of a split lies in its file. */
typedef struct stored_array {
    sm_h5_type type;
    uint64_t offset;     /* of the first sample, in the file; SM_H5_NO_OFFSET: only HDF5 can read it */
    char *object;        /* its path in the file */
    size_t bytes;        /* of a sample, of this type in memory */
    uint32_t *checksums; /* one a sample; NULL without */
} stored_array;

/* A target of one file. */
typedef struct stored_target {
    sm_target *target; /* owned */
    int place;         /* among those of the dataset */
    stored_array array;
    int64_t ignored;     /* class id that means "invalid" in the file */
    sm_h5_type memory;   /* what the numbers become */
    size_t memory_bytes; /* of a sample */
} stored_target;

/* One file's part of the split. */
typedef struct file_part {
    char *path;
    sm_file *file;
    sm_h5 *h5;            /* kept open where an array needs it, else NULL */
    int64_t first, count; /* of its samples in the dataset */
    sm_input input;
    double *statistics;   /* what input.mean and input.std point to */
    char **feature_names; /* what input.names points to; NULL without */
    stored_array input_array;
    size_t input_bytes; /* of a sample in memory */
    stored_target targets[SM_TARGETS_MAX];
    int target_count;
    char **names;                        /* (count); NULL without */
    int32_t *original_size;              /* (count, 2); NULL without */
    double *baseline_metres, *fx_pixels; /* (count); NULL without */
    _Atomic uint64_t *verified; /* (count) bit 0 once the input was found sound, bit 1 + t target t of the part */
} file_part;

struct sm_dataset {
    char *split;
    file_part *parts;
    int part_count;
    int64_t count;
    sm_input input;                           /* of the largest size */
    const sm_target *targets[SM_TARGETS_MAX]; /* of any file */
    int target_count;
    char *unnamed; /* (count, 24) names of samples of files without names; NULL if there are none */
    char *fingerprint;
};

/* Opens one file. What it has made so far is in `part` after a failure too, for sm_file_part_close(). */
sm_status sm_file_part_open(const char *path, const char *split, file_part *part);
void sm_file_part_close(file_part *part);

/* Reads the names, sizes and cameras of a split whose samples are counted. What is not in the file stays NULL. */
sm_status sm_sample_facts_read(const sm_h5 *file, const char *split, file_part *part);

/* Reads one sample of an array, in host byte order. Any thread. Messages do not name the sample. */
sm_status sm_stored_array_read(const file_part *part, const stored_array *array, int64_t sample, void *data);

#endif
