/** \file
 * Reader of dataset files `*.h5` (format in include/README.md): one split of one or several files as one list of samples.
 *
 * Not collective: every process opens for itself. Samples are read by any thread: with pread where their bytes lie in the file as they are in memory (contiguous, uncompressed arrays), so that the ranks of a node share the system's cache of them;
 * by HDF5, one thread of a process at a time, where they are in chunks, compressed or of the other byte order. */
#ifndef SIGMATIC_DATA_DATASET_H
#define SIGMATIC_DATA_DATASET_H

#include <sigmatic/base/status.h>
#include <sigmatic/data/input.h>
#include <sigmatic/data/sample.h>
#include <sigmatic/data/target.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_dataset sm_dataset;

/** Memory that holds one sample of a dataset, for one thread. */
typedef struct sm_sample_storage sm_sample_storage;

/** Opens split `split` of the files; their samples follow one another in the order of `paths`. The files may differ in size and in the targets that they have;
 * a target of several files must have one description, its classes included, and the inputs one mean and standard deviation.
 *
 * \param path_count  at least 1
 * \return SM_ERR_IO: missing file; SM_ERR_INPUT: not a dataset file, another format version, no such split (the message lists those that exist),
 *         an array of wrong type or shape, truncated file, descriptions or input statistics that differ */
sm_status sm_dataset_open(const char *const *paths, int path_count, const char *split, sm_dataset **out);

/** NULL is legal. */
void sm_dataset_close(sm_dataset *dataset);

/** \return 1 if it is a dataset file, of any version; 0 also for what cannot be read. */
int sm_is_dataset_file(const char *path);

/** Names of the splits of a file, sorted. \param [out] names  one sm_free(names) frees them all */
sm_status sm_dataset_splits(const char *path, char ***names, size_t *count);

/** \return samples over all files. */
int64_t sm_dataset_count(const sm_dataset *dataset);

/** \return the description of a target that any file has, owned by the dataset; NULL if none has it. */
const sm_target *sm_dataset_target(const sm_dataset *dataset, const char *name);

/** \param [out] count  of the targets that any file has, at most SM_TARGETS_MAX
 * \return their descriptions, owned by the dataset: standard ones first, the others by name */
const sm_target *const *sm_dataset_targets(const sm_dataset *dataset, int *count);

/** \return the first file that has a target, owned by the dataset; NULL if none has it. */
const char *sm_dataset_target_file(const sm_dataset *dataset, const char *name);

/** \return the input, owned by the dataset; its size is the largest height and the largest width of any file. */
const sm_input *sm_dataset_input(const sm_dataset *dataset);

/** \return 1 if every file carries checksums. */
int sm_dataset_has_checksums(const sm_dataset *dataset);

/** \param [out] names  of the arrays that any file has without checksums, input first; SM_TARGETS_MAX + 1 at most, owned by the dataset
 * \return how many */
int sm_dataset_without_checksums(const sm_dataset *dataset, const char *names[SM_TARGETS_MAX + 1]);

/** Finds a short text that tells two datasets apart: "2975x128x256 semantic,disparity 1a2b3c4d+5e6f7a8b". The first is the CRC-32C of names, sizes, counts, targets, classes and the files' checksums;
 * the second that of what else decides what is learnt (statistics of the input, camera, how targets are read) and of all arrays without checksums, which are read whole for it. Paths do not matter. One process that needs it is enough.
 * \return SM_ERR_IO, SM_ERR_INPUT (truncated) */
sm_status sm_dataset_find_fingerprint(sm_dataset *dataset);

/** \return what sm_dataset_find_fingerprint() has found, owned by the dataset; "" before. */
const char *sm_dataset_fingerprint(const sm_dataset *dataset);

/** \return 1 if a fingerprint, found earlier or by a version that did not look at contents, is that of the dataset. */
int sm_dataset_is_same(const sm_dataset *dataset, const char *fingerprint);

/** \return the name of sample `index`, owned by the dataset. */
const char *sm_dataset_name(const sm_dataset *dataset, int64_t index);

/** \return everything of sample `index` but its input and targets, without reading. */
sm_sample sm_dataset_describe(const sm_dataset *dataset, int64_t index);

/** \return memory for the largest sample with all its targets; freed with sm_sample_storage_free(). */
sm_sample_storage *sm_sample_storage_new(const sm_dataset *dataset);

/** \return the same for some targets: what is read into it has only these.
 * \param wanted  bit t: target t of sm_dataset_targets() */
sm_sample_storage *sm_sample_storage_new_of(const sm_dataset *dataset, uint32_t wanted);

/** \return its size. */
size_t sm_sample_storage_bytes(const sm_dataset *dataset, uint32_t wanted);

/** NULL is legal. */
void sm_sample_storage_free(sm_sample_storage *storage);

/** Reads sample `index` (0 .. count - 1) with its input and those targets that the storage is for. Any thread, each with its own storage.
 * The first reading of an array of a sample verifies its checksum and its values, and so does every one after the file was written to; without checksums, that is then an error.
 *
 * \param [out] sample  views into `storage`, valid until its next use
 * \return SM_ERR_IO, or SM_ERR_INPUT (truncated, checksum) naming file, array and sample */
sm_status sm_dataset_read(sm_dataset *dataset, int64_t index, sm_sample_storage *storage, sm_sample *sample);

#ifdef __cplusplus
}
#endif
#endif
