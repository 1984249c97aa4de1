/** \file
 * Reader of dataset files `*.h5` (format in the README): one split of one or several files as one list of samples.
 *
 * Opening enters HDF5 (main thread, not collective: every process opens for itself); afterwards samples are read with pread by any thread. */
#ifndef SIGMATIC_DATA_DATASET_H
#define SIGMATIC_DATA_DATASET_H

#include <sigmatic/base/status.h>
#include <sigmatic/data/sample.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_CLASS_NAME_BYTES = 32 };

/** The classes of the `semantic` map (its attributes class_names, palette, thing, ignore). */
typedef struct sm_dataset_classes {
    int count;
    const char (*names)[SM_CLASS_NAME_BYTES]; /**< count */
    const uint8_t (*palette)[3];              /**< count, RGB */
    const uint8_t *thing;                     /**< count, 1 = has instances */
    int ignore;                               /**< 255 */
} sm_dataset_classes;

/** Mean and standard deviation of ImageNet's RGB / 255: what pretrained backbones expect, and the default of files without the attributes. */
extern const double sm_imagenet_mean[3], sm_imagenet_std[3];

typedef struct sm_dataset sm_dataset;

/** Memory that holds one sample of a dataset, for one thread. */
typedef struct sm_sample_storage sm_sample_storage;

/** Opens split `split` of the files; their samples follow one another in the order of `paths`. The files may differ in size and in the maps that they have; those with `semantic` must agree on its classes, and all on mean and standard deviation.
 *
 * \param path_count  at least 1
 * \return SM_ERR_IO: missing file; SM_ERR_INPUT: not a dataset file, another format version, no such split (the message lists those that exist),
 *         a map of wrong type or shape, truncated file, classes or colour statistics that differ */
sm_status sm_dataset_open(const char *const *paths, int path_count, const char *split, sm_dataset **out);

/** NULL is legal. */
void sm_dataset_close(sm_dataset *dataset);

/** Names of the splits of a file, sorted. \param [out] names  one sm_free(names) frees them all */
sm_status sm_dataset_splits(const char *path, char ***names, size_t *count);

/** \return samples over all files. */
int64_t sm_dataset_count(const sm_dataset *dataset);

/** \return 1 if any file has the map: "semantic", "instance", "instance_offset", "disparity". */
int sm_dataset_has(const sm_dataset *dataset, const char *map);

/** \return the classes, owned by the dataset; NULL without a semantic map. */
const sm_dataset_classes *sm_dataset_class_info(const sm_dataset *dataset);

/** \return the file that the classes are read from, owned by the dataset; NULL without a semantic map. */
const char *sm_dataset_class_file(const sm_dataset *dataset);

/** The largest height and the largest width of any file. */
void sm_dataset_max_size(const sm_dataset *dataset, int *height, int *width);

/** \return three doubles: mean (standard deviation) of RGB / 255. */
const double *sm_dataset_mean(const sm_dataset *dataset);
const double *sm_dataset_std(const sm_dataset *dataset);

/** \return 1 if every file carries checksums. */
int sm_dataset_has_checksums(const sm_dataset *dataset);

/** \return a short text that tells two datasets apart ("2975x128x256 semantic,disparity 1a2b3c4d"): CRC-32C of names, sizes, counts, maps and the files' checksums. Paths do not matter. Owned by the dataset. */
const char *sm_dataset_fingerprint(const sm_dataset *dataset);

/** \return the name of sample `index`, owned by the dataset. */
const char *sm_dataset_name(const sm_dataset *dataset, int64_t index);

/** \return everything of sample `index` but its maps (all NULL), without reading. */
sm_sample sm_dataset_describe(const sm_dataset *dataset, int64_t index);

/** \return memory for the largest sample; freed with sm_sample_storage_free(). */
sm_sample_storage *sm_sample_storage_new(const sm_dataset *dataset);

/** \return its size. */
size_t sm_sample_storage_bytes(const sm_dataset *dataset);

/** NULL is legal. */
void sm_sample_storage_free(sm_sample_storage *storage);

/** Reads sample `index` (0 .. count - 1) with all its maps. Any thread, each with its own storage. The first reading of a sample verifies its checksums.
 *
 * \param [out] sample  views into `storage`, valid until its next use
 * \return SM_ERR_IO, or SM_ERR_INPUT (truncated, checksum) naming file, map and sample */
sm_status sm_dataset_read(sm_dataset *dataset, int64_t index, sm_sample_storage *storage, sm_sample *sample);

#ifdef __cplusplus
}
#endif
#endif
