/** \file
 * SM_CLONES before a function definition: the compiler makes AVX-512, AVX2 and baseline versions of its loops and the loader picks by cpuid.
 *
 * For plain elementwise loops; kernels with intrinsics live in files of their own. OpenMP regions inside such a function are not cloned: put the loop in a function of its own and call it from the region. */
#ifndef SIGMATIC_BASE_CLONES_H
#define SIGMATIC_BASE_CLONES_H

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&          \
    !defined(SM_NO_CLONES)
#define SM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SM_CLONES
#endif

#endif
