/** \file
 * NumPy's .npy files, formats 1.0, 2.0 and 3.0 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html):
 * one array of bool, integers of 8 to 64 bits or floats of 16, 32 or 64 bits, of either byte order, in C or Fortran order, of up to 4 dimensions.
 * Anything else is refused by a message that names the file, what was expected and what was found. Thread-safe.
 *
 * Reading takes no more memory than the file's size, what comes out, and (other byte order or Fortran order) the file's size once more. */
#ifndef SIGMATIC_IO_NPY_H
#define SIGMATIC_IO_NPY_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Element types; in memory in host order. */
typedef enum sm_npy_type {
    SM_NPY_BOOL, /**< uint8_t, 0 or 1 */
    SM_NPY_I8,
    SM_NPY_U8,
    SM_NPY_I16,
    SM_NPY_U16,
    SM_NPY_I32,
    SM_NPY_U32,
    SM_NPY_I64,
    SM_NPY_U64,
    SM_NPY_F16, /**< uint16_t, see base/half.h */
    SM_NPY_F32,
    SM_NPY_F64
} sm_npy_type;

enum { SM_NPY_MAX_RANK = 4 };

/** An array in C order: the last index runs fastest. */
typedef struct sm_npy {
    sm_npy_type type; /**< of `data` */
    int rank;         /**< dimensions; 0: one number */
    size_t shape[SM_NPY_MAX_RANK];
    size_t count; /**< product of the shape; 0 if a dimension is */
    void *data;   /**< `count` elements, owned; sm_npy_free() */
} sm_npy;

/** Reads an array as it is stored.
 * \param [out] array  zeroed on failure; freed with sm_npy_free()
 * \return SM_ERR_IO: cannot be read; SM_ERR_INPUT: not an .npy file, one of another kind, damaged, truncated, or with bytes behind the array */
sm_status sm_npy_read(const char *path, sm_npy *array);

/** Reads no more than the header, to tell the type. Fails as sm_npy_read(). */
sm_status sm_npy_read_type(const char *path, sm_npy_type *type);

/** Reads as SM_NPY_F32, rounded to the nearest; beyond a float's range it is an infinity. A bool is 0 or 1. */
sm_status sm_npy_read_float(const char *path, sm_npy *array);

/** Reads as SM_NPY_I64. SM_ERR_INPUT also for a number that is not whole (NaN is none) or not in the range of int64_t, naming its index. */
sm_status sm_npy_read_int64(const char *path, sm_npy *array);

/** Frees the data and zeroes the struct; twice is fine. */
void sm_npy_free(sm_npy *array);

/** \return the type's name in NumPy: "float32", "bool", ... */
const char *sm_npy_type_name(sm_npy_type type);

/** Writes an array in C order, format 1.0, little-endian, atomically (sm_file_write_atomic). `array` stays the caller's. */
sm_status sm_npy_write(const sm_npy *array, const char *path);

#ifdef __cplusplus
}
#endif
#endif
