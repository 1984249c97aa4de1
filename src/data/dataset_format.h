/* What reader and writer of dataset files share. */
#ifndef DATA_DATASET_FORMAT_H
#define DATA_DATASET_FORMAT_H

#include <sigmatic/data/target.h>
#include <sigmatic/io/h5.h>

#include <stddef.h>

#define SM_DATASET_FORMAT "sigmatic-dataset"

/* Files of version 1 hold standard targets only, without descriptions. */
enum { SM_DATASET_VERSION = 2, SM_DATASET_OLDEST_VERSION = 1 };

/* Of the numbers of a target in a file. */
sm_h5_type sm_target_h5_type(const sm_target *target);

/* Bytes of one sample. */
size_t sm_target_sample_bytes(const sm_target *target, int height, int width);

/* Fills the shape of an array of a split; returns the rank. */
int sm_target_shape(const sm_target *target, int64_t count, int height, int width, size_t shape[4]);

/* Reads what sm_target_write_description() (data_description.h) writes, and the shape of an array that is no standard target.
 * \param [out] out      freed with sm_free(); untouched on failure
 * \param [out] ignored  class id that means "invalid" in the file */
sm_status sm_target_read_description(const sm_h5 *file, const char *object, const char *name, sm_target **out,
                                     int64_t *ignored);

/* "/<split>/<array><suffix>" in `text`. */
enum { SM_OBJECT_BYTES = 512 };
const char *sm_array_object(char text[SM_OBJECT_BYTES], const char *split, const char *array, const char *suffix);

#endif
