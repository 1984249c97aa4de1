/** \file
 * Activations of two types, SM_F32 and SM_BF16, seen as floats: arithmetic is in float whatever lies in memory.
 *
 * A loop is written once, in an always_inline function that has `type` as a parameter, and called with each type as a
 * constant: SM_WITH_TYPE. */
#ifndef SIGMATIC_OPS_TYPED_H
#define SIGMATIC_OPS_TYPED_H

#include <sigmatic/base/bf16.h>
#include <sigmatic/tensor/dtype.h>

#define SM_TYPED static inline __attribute__((always_inline))

/** Calls FUNCTION(type, ...) with `type` as a constant. */
#define SM_WITH_TYPE(TYPE, FUNCTION, ...)                                                                              \
    ((TYPE) == SM_BF16 ? FUNCTION(SM_BF16, __VA_ARGS__) : FUNCTION(SM_F32, __VA_ARGS__))

SM_TYPED float sm_map_get(sm_dtype type, const void *array, size_t i)
{
    return type == SM_BF16 ? sm_float_of(((const sm_bf16 *)array)[i]) : ((const float *)array)[i];
}

SM_TYPED void sm_map_put(sm_dtype type, void *array, size_t i, float value)
{
    if (type == SM_BF16) {
        ((sm_bf16 *)array)[i] = sm_bf16_of(value);
    } else {
        ((float *)array)[i] = value;
    }
}

/** \return where element i lies; NULL stays NULL. */
SM_TYPED void *sm_map_at(sm_dtype type, void *array, size_t i)
{
    return array ? (char *)array + i * sm_dtype_bytes(type) : NULL;
}

SM_TYPED const void *sm_map_at_const(sm_dtype type, const void *array, size_t i)
{
    return array ? (const char *)array + i * sm_dtype_bytes(type) : NULL;
}

#endif
