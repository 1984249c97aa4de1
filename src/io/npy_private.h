/** \file
 * What the files that read NumPy arrays share. */
#ifndef SIGMATIC_SRC_IO_NPY_PRIVATE_H
#define SIGMATIC_SRC_IO_NPY_PRIVATE_H

#include <sigmatic/io/npy.h>

/** An element type. */
typedef struct sm_npy_type_row {
    const char *name, *code; /**< the code stands behind the byte order in a file */
    size_t bytes;
    float (*float_of)(const void *data, size_t i);
    int (*integer_of)(const void *data, size_t i, int64_t *value); /**< 0: it is none */
} sm_npy_type_row;

extern const sm_npy_type_row sm_npy_types[]; /**< by sm_npy_type */
extern const int sm_npy_type_count;

/** What a header says beside type and shape. */
typedef struct sm_npy_layout {
    int is_big_endian, is_fortran;
} sm_npy_layout;

/** Reads the dictionary of a header.
 * \param       text        ends with a zero
 * \param       data_bytes  of the file behind the header: the array must have exactly these
 * \param [out] array       all but its data */
sm_status sm_npy_parse_header(const char *path, const char *text, uint64_t data_bytes, sm_npy *array,
                              sm_npy_layout *layout);

#endif
