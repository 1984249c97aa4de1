/** \file
 * What an array is: element type, shape and where it lies. A plain struct that owns nothing. */
#ifndef SIGMATIC_TENSOR_TENSOR_H
#define SIGMATIC_TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sm_dtype { SM_F32, SM_BF16, SM_U8, SM_U16, SM_I32, SM_I64, SM_F64 } sm_dtype;
enum { SM_DTYPES = 7, SM_TENSOR_MAX_RANK = 5 };

/** \return bytes of one element. */
size_t sm_dtype_bytes(sm_dtype dtype);

/** \return "f32", "bf16", "u8", "u16", "i32", "i64" or "f64". */
const char *sm_dtype_name(sm_dtype dtype);

/** Dense, row-major: the last dimension is contiguous. */
typedef struct sm_tensor {
    sm_dtype dtype;
    int rank;                          /**< dimensions in use, 0 (a scalar) to SM_TENSOR_MAX_RANK */
    int64_t shape[SM_TENSOR_MAX_RANK]; /**< shape[rank..] are not read */
    void *data;                        /**< borrowed; may be NULL while only the shape is known */
} sm_tensor;

/** \return the product of the dimensions; 1 for a scalar. */
size_t sm_tensor_elements(const sm_tensor *tensor);

/** \return elements times bytes of one. */
size_t sm_tensor_bytes(const sm_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
