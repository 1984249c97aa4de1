/** \file
 * bfloat16: the upper half of a float's bits. */
#ifndef SIGMATIC_BASE_BF16_H
#define SIGMATIC_BASE_BF16_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint16_t sm_bf16;

/** \return the nearest bfloat16, of two the even one; a quiet NaN of a NaN. Written for vectors: no branches. */
static inline sm_bf16 sm_bf16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
    return (sm_bf16)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

/** \return the same number. */
static inline float sm_float_of(sm_bf16 value)
{
    uint32_t bits = (uint32_t)value << 16;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

#ifdef __cplusplus
}
#endif
#endif
