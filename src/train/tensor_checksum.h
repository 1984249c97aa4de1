/** \file
 * Tensors in HDF5 files: their checksum, an attribute crc32c, which is the CRC-32C of the numbers as they lie in memory, and whether their numbers
 * are any. */
#ifndef SIGMATIC_TRAIN_TENSOR_CHECKSUM_H
#define SIGMATIC_TRAIN_TENSOR_CHECKSUM_H

#include <sigmatic/io/h5.h>

/** Writes that of `bytes` bytes at `values` beside an object. */
sm_status sm_tensor_write_checksum(sm_h5 *file, const char *object, const void *values, size_t bytes);

/** \return SM_ERR_INPUT if what was read of an object has another checksum than it says. Files of others may say none. */
sm_status sm_tensor_check(const sm_h5 *file, const char *object, const void *values, size_t bytes);

/** \return 1 if all are finite */
int sm_tensor_is_finite(const float *values, size_t count);

#endif
