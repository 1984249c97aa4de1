#include <sigmatic/base/vectors.h>

sm_vectors sm_vectors_in_use;

#if defined(__x86_64__) && defined(__GNUC__)
/* clang 14 does not know the levels of x86-64 by name; LZCNT, MOVBE and F16C, for which it has no words either, came with
 * AVX2. */
sm_vectors sm_vectors_of_cpu(void)
{
    __builtin_cpu_init(); /* may run before the library that does it */
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2")) {
        return SM_VECTORS_PLAIN;
    }
    int has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vl");
    return has_avx512 ? SM_VECTORS_AVX512 : SM_VECTORS_AVX2;
}
#else
sm_vectors sm_vectors_of_cpu(void)
{
    return SM_VECTORS_PLAIN;
}
#endif

void sm_vectors_limit(sm_vectors most)
{
    sm_vectors widest = sm_vectors_of_cpu();
    sm_vectors_in_use = widest < most ? widest : most;
}

__attribute__((constructor)) static void use_widest(void)
{
    sm_vectors_in_use = sm_vectors_of_cpu();
}
