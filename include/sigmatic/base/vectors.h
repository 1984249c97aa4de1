/** \file
 * How wide the vectors are that loops compute in (SM_CLONES of clones.h): the widest of this CPU, unless that is limited. */
#ifndef SIGMATIC_BASE_VECTORS_H
#define SIGMATIC_BASE_VECTORS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sm_vectors {
    SM_VECTORS_PLAIN,  /**< what every CPU of the architecture has */
    SM_VECTORS_AVX2,   /**< x86-64-v3: AVX2, FMA, BMI */
    SM_VECTORS_AVX512, /**< x86-64-v4: the AVX-512 of all servers since Skylake */
} sm_vectors;

/** What loops use now. Set before main() begins, changed by sm_vectors_limit() only. */
extern sm_vectors sm_vectors_in_use;

/** \return the widest that this CPU has. */
sm_vectors sm_vectors_of_cpu(void);

/** From now on loops use the widest vectors that this CPU has and that are not wider than `most`; not while they run. */
void sm_vectors_limit(sm_vectors most);

#ifdef __cplusplus
}
#endif
#endif
