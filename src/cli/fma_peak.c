#include "cli/fma_peak.h"

#include <sigmatic/base/timer.h>
#include <sigmatic/base/vectors.h>

enum { CHAINS = 12 /* enough to hide the latency, few enough for 16 registers */, REPEATS = 1 << 18 };

/* A multiply-add in each of CHAINS vectors, again and again; the result only keeps the loop from being left out. */
#define DEFINE_CHAINS(NAME, LANES, TARGET)                                                                             \
    TARGET static float NAME(void)                                                                                     \
    {                                                                                                                  \
        typedef float vector __attribute__((vector_size(sizeof(float) * (LANES))));                                    \
        vector sums[CHAINS], factor = {0}, term = {0};                                                                 \
        for (int lane = 0; lane < (LANES); lane++) {                                                                   \
            factor[lane] = .5F;                                                                                        \
            term[lane] = (float)lane;                                                                                  \
        }                                                                                                              \
        for (int chain = 0; chain < CHAINS; chain++) {                                                                 \
            sums[chain] = term + (float)chain; /* chains that differ stay apart */                                     \
        }                                                                                                              \
        for (int i = 0; i < REPEATS; i++) {                                                                            \
            _Pragma("GCC unroll 12") for (int chain = 0; chain < CHAINS; chain++)                                      \
            {                                                                                                          \
                sums[chain] = sums[chain] * factor + term;                                                             \
            }                                                                                                          \
        }                                                                                                              \
        float total = 0;                                                                                               \
        for (int chain = 0; chain < CHAINS; chain++) {                                                                 \
            total += sums[chain][0];                                                                                   \
        }                                                                                                              \
        return total;                                                                                                  \
    }

DEFINE_CHAINS(chains_of_4, 4, )
#if defined(__x86_64__) && defined(__GNUC__)
DEFINE_CHAINS(chains_of_8, 8, __attribute__((target("avx2,fma"))))
DEFINE_CHAINS(chains_of_16, 16, __attribute__((target("avx512f,prefer-vector-width=512"))))
#endif

typedef struct width {
    int lanes;
    float (*run)(void);
} width;

static width widest(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (sm_vectors_in_use == SM_VECTORS_AVX512) {
        return (width){16, chains_of_16};
    }
    if (sm_vectors_in_use == SM_VECTORS_AVX2) {
        return (width){8, chains_of_8};
    }
#endif
    return (width){4, chains_of_4};
}

double fma_peak_gflops(int threads)
{
    enum { ROUNDS = 8 };
    const width vectors = widest();
    double best = 0;
    volatile float used = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double begin = sm_seconds();
        float sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        sum += vectors.run();
        used = used + sum;
        double rate = 2e-9 * vectors.lanes * CHAINS * REPEATS * threads / (sm_seconds() - begin);
        best = rate > best ? rate : best;
    }
    return best;
}
