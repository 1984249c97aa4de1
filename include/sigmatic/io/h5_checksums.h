/** \file
 * Checksums of what an HDF5 file says beside its numbers: attributes, and type and shape of datasets. HDF5 itself has none for texts of
 * variable length in any format, nor for anything else in the earliest.
 *
 * They stand in one attribute of the root, `attribute_crc32c`, a text with a line for each: eight hexadecimal digits, the object, the name of its
 * attribute ("" for type and shape of a dataset), with tabs between them; the last line is the checksum of all lines before it. So what others add to a
 * file does not count, and a damaged attribute is named. Not collective. */
#ifndef SIGMATIC_IO_H5_CHECKSUMS_H
#define SIGMATIC_IO_H5_CHECKSUMS_H

#include <sigmatic/io/h5.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Writes the checksums of all that stands there now, in place of earlier ones. Attributes `crc32c`, which are compared with the numbers of
 * their dataset, are left out, as are names with a tab or the end of a line inside.
 * \param objects  each with all below it; "/": only what the root itself says
 * \return SM_ERR_WRITE, SM_ERR_INPUT */
sm_status sm_h5_write_checksums(sm_h5 *file, const char *const *objects, size_t count);

/** Opens all that is linked in the file, and compares all that has a checksum with it.
 * \param [out] has_checksums  0: the file has none, and all of it counts as good; may be NULL
 * \return SM_ERR_INPUT naming object and attribute that is missing, damaged, or was changed since */
sm_status sm_h5_check_checksums(const sm_h5 *file, int *has_checksums);

#ifdef __cplusplus
}
#endif
#endif
