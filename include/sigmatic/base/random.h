/** \file
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011).
 *
 * A number is a pure function of (seed, stream, index): no state to save, the same on any number of ranks and threads. */
#ifndef SIGMATIC_BASE_RANDOM_H
#define SIGMATIC_BASE_RANDOM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One Philox block: out[0..3] = f(key, counter); the paper's known-answer vectors hold. */
void sm_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

/** A sequence of numbers named by (seed, stream, substream). Copy it to branch. */
typedef struct sm_random {
    uint32_t key[2];
    uint32_t counter[4]; /* [0] counts blocks; [1] the substream; [2],[3] the stream */
    uint32_t block[4];
    int used; /* of `block`; 4 = none left */
} sm_random;

/** \return the sequence (seed, stream, substream) from its start. E.g. stream = epoch, substream = sample. */
sm_random sm_random_new(uint64_t seed, uint64_t stream, uint32_t substream);

uint32_t sm_random_u32(sm_random *random);

/** \return uniform in [0, 1), 24 bits. */
float sm_random_uniform(sm_random *random);

/** \return uniform in [low, high). */
float sm_random_range(sm_random *random, float low, float high);

/** \return an integer uniform in [0, bound), without bias; bound >= 1. */
uint32_t sm_random_below(sm_random *random, uint32_t bound);

/** \return standard normal (Box-Muller, two draws a number). */
float sm_random_normal(sm_random *random);

/** \return FNV-1a of the text: a stream named by a word. */
uint64_t sm_hash(const char *text);

#ifdef __cplusplus
}
#endif
#endif
