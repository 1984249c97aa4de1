/** \file
 * Functions whose loops the compiler makes for several widths of vectors; sm_vectors_in_use says which of them run:
 *
 *     static SM_CLONES(void, scale, (size_t count, float factor, float *values), (count, factor, values))
 *     {
 *         for (size_t i = 0; i < count; i++) {
 *             values[i] *= factor;
 *         }
 *     }
 *
 * defines scale(). In front stands `static` or nothing; then come its type, its name, its parameters, and their names again.
 *
 * For plain elementwise loops; kernels with intrinsics live in files of their own. OpenMP regions inside such a function are
 * not cloned: put the loop in a function of its own and call it from the region. */
#ifndef SIGMATIC_BASE_CLONES_H
#define SIGMATIC_BASE_CLONES_H

#include <sigmatic/base/vectors.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(SM_NO_CLONES)
/* The body is inlined into a function for each width, whose instructions it then takes. The loader could choose, too
 * (target_clones), but only by the CPU and before anything else can be asked. */
#define SM_CLONES(TYPE, NAME, PARAMETERS, ARGUMENTS)                                                                   \
    TYPE NAME PARAMETERS;                                                                                              \
    static inline __attribute__((always_inline)) TYPE NAME##_loops PARAMETERS;                                         \
    __attribute__((target("arch=x86-64-v4"))) static TYPE NAME##_avx512 PARAMETERS                                     \
    {                                                                                                                  \
        return NAME##_loops ARGUMENTS;                                                                                 \
    }                                                                                                                  \
    __attribute__((target("arch=x86-64-v3"))) static TYPE NAME##_avx2 PARAMETERS                                       \
    {                                                                                                                  \
        return NAME##_loops ARGUMENTS;                                                                                 \
    }                                                                                                                  \
    TYPE NAME PARAMETERS                                                                                               \
    {                                                                                                                  \
        if (sm_vectors_in_use == SM_VECTORS_AVX512) {                                                                  \
            return NAME##_avx512 ARGUMENTS;                                                                            \
        }                                                                                                              \
        if (sm_vectors_in_use == SM_VECTORS_AVX2) {                                                                    \
            return NAME##_avx2 ARGUMENTS;                                                                              \
        }                                                                                                              \
        return NAME##_loops ARGUMENTS;                                                                                 \
    }                                                                                                                  \
    static inline TYPE NAME##_loops PARAMETERS
#else
#define SM_CLONES(TYPE, NAME, PARAMETERS, ARGUMENTS) TYPE NAME PARAMETERS
#endif

#endif
