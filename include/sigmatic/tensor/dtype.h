/** \file
 * The types that numbers have in memory. Arithmetic is in float whatever the type. */
#ifndef SIGMATIC_TENSOR_DTYPE_H
#define SIGMATIC_TENSOR_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sm_dtype { SM_F32, SM_BF16 } sm_dtype;

/** \return bytes of one element. */
static inline size_t sm_dtype_bytes(sm_dtype dtype)
{
    return dtype == SM_BF16 ? sizeof(uint16_t) : sizeof(float);
}

/** \return "f32" or "bf16". */
static inline const char *sm_dtype_name(sm_dtype dtype)
{
    return dtype == SM_BF16 ? "bf16" : "f32";
}

#ifdef __cplusplus
}
#endif
#endif
