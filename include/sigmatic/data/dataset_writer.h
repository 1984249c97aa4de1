/** \file
 * Writer of dataset files. One process creates the file with all its space, then any number of processes write samples at their places without HDF5.
 *
 * The file grows under the name `<path>.partial` and takes its own name when it is complete: a killed run leaves nothing under the name of a dataset. */
#ifndef SIGMATIC_DATA_DATASET_WRITER_H
#define SIGMATIC_DATA_DATASET_WRITER_H

#include <sigmatic/base/status.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/sample.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_dataset_split_spec {
    const char *name;         /**< "train" */
    int64_t count;            /**< of samples, at least 1 */
    const char *const *names; /**< count; unique by convention */
} sm_dataset_split_spec;

/** What the file will hold. All pointers are only read during the call. */
typedef struct sm_dataset_spec {
    const char *source;               /**< one line for the attribute `source` */
    const char *fit;                  /**< for the attribute `fit`: how images were brought to their size; NULL: none */
    const sm_input_kind *input;       /**< NULL: RGB images */
    int features;                     /**< of a table: numbers of a sample */
    const char *const *feature_names; /**< of a table; NULL: they have none */
    int height, width;                /**< of the input and of every target of scope pixel; of a table 1, 1 */
    const sm_target *targets;         /**< target_count; those of classes with their lists */
    int target_count;
    int has_camera;           /**< write baseline_metres and fx_pixels */
    const double *mean, *std; /**< of the input, of images in [0, 1], one a channel; NULL: the kind's own */
    const sm_dataset_split_spec *splits;
    int split_count;
    const char *const *left_out; /**< "split/sample: why" of samples that could not be had: a list in the file */
    size_t left_out_count;
} sm_dataset_spec;

/** Makes sample `index` of split `split` (a position in the spec). The views must stay valid until the next call.
 * Fields of the sample that matter: input, all targets of the spec, baseline_metres, fx_pixels, original_height, original_width. */
typedef sm_status (*sm_dataset_produce)(void *user, int split, int64_t index, sm_sample *sample);

/** How to write a whole file. */
typedef struct sm_dataset_job {
    int overwrite;              /**< 0: a file at the path is SM_ERR_USAGE before any work */
    sm_dataset_produce produce; /**< called on every rank for its samples, one at a time */
    void *user;                 /**< of the callbacks */

    /** Lines that say what the samples are made of and how. With them what an interruption or a failure leaves is gone on
     * with by the next writing of the same origin, on any number of ranks, from samples that are whole; of another origin,
     * or damaged, it is begun anew with a message. NULL: nothing is left, all begins anew. */
    const char *origin;
    /** \return of what a sample's files look like now (sm_file_stamp()): one that has changed is made anew. NULL: none has. */
    uint64_t (*stamp)(void *user, int split, int64_t index);

    /** \return 1: what mends the last failure of produce() is another origin: nothing is left then. NULL: never. */
    int (*begins_anew)(void *user);

    int skip_bad; /**< 1: samples whose produce() is SM_ERR_INPUT or SM_ERR_IO are warned of and left out: half of them
                            at most, and of no split all */
    int (*stop)(void); /**< \return 1: this process was asked to stop; NULL: none ever is */
} sm_dataset_job;

/** Writes a whole file: the collective loop that every importer and generator shares. Rank r of R makes the r-th contiguous
 * block of every split; rank 0 reports progress. The file's bytes depend neither on the number of ranks nor on
 * interruptions. Collective.
 *
 * \return SM_PREEMPTED: some rank was asked to stop; SM_ERR_USAGE: what is at one of the names is not ours to replace;
 *         SM_ERR_INPUT: more samples are bad than may be left out. The same on every rank; on failure nothing is left at `path` that was not there
 *         before */
sm_status sm_dataset_write_job(sm_comm *comm, const char *path, const sm_dataset_spec *spec, const sm_dataset_job *job);

/** The same without origin: begins anew, leaves nothing. */
sm_status sm_dataset_write(sm_comm *comm, const char *path, const sm_dataset_spec *spec, int overwrite,
                           sm_dataset_produce produce, void *user);

/** \name The steps of sm_dataset_write_job(), for callers with another order
 * create on one process, barrier, attach on the others, put everywhere, close everywhere, barrier, publish on one. */
/** \{ */
typedef struct sm_dataset_writer sm_dataset_writer;

/** Creates `<path>.partial`. Enters HDF5. */
sm_status sm_dataset_writer_create(const char *path, const sm_dataset_spec *spec, sm_dataset_writer **out);

/** Joins a file that another process has created with the same spec. Enters HDF5. */
sm_status sm_dataset_writer_attach(const char *path, const sm_dataset_spec *spec, sm_dataset_writer **out);

/** Writes one sample and its checksums. Any order; each once. */
sm_status sm_dataset_writer_put(sm_dataset_writer *writer, int split, int64_t index, const sm_sample *sample);

/** What identifies a written sample: a digest of its checksums and of its other numbers.
 * \param verify  1: reads all of it; SM_ERR_INPUT if anything is not as its checksum says */
sm_status sm_dataset_writer_digest(sm_dataset_writer *writer, int split, int64_t index, int verify, uint32_t *digest);

/** Copies a sample between files of the same targets and sizes. */
sm_status sm_dataset_writer_copy(sm_dataset_writer *from, int from_split, int64_t from_index, sm_dataset_writer *to,
                                 int to_split, int64_t to_index);

/** Waits until this process's samples are on the disk, and closes. NULL is legal. */
sm_status sm_dataset_writer_close(sm_dataset_writer *writer);

/** Gives the complete file its name, replacing one there. By one process, after all have closed. */
sm_status sm_dataset_writer_publish(const char *path);

/** Removes `<path>.partial`. */
void sm_dataset_writer_discard(const char *path);
/** \} */

#ifdef __cplusplus
}
#endif
#endif
