/** \file
 * Which samples a rank sees in which step: a pure function of (seed, position), where the position of a run is the count of samples seen. Nothing is stored, so a run resumes on any number of ranks. */
#ifndef SIGMATIC_DATA_SAMPLER_H
#define SIGMATIC_DATA_SAMPLER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A random order of 0 .. count - 1 without storing it: a keyed bijection of [0, count) for each (seed, epoch).
 *
 * A balanced Feistel network (12 rounds, round function Philox4x32-10 keyed by seed and epoch) permutes the numbers below the next power of 4;
 * results >= count are put through again until they fall below (cycle walking, Black and Rogaway, CT-RSA 2002), fewer than 4 times on average.
 *
 * \param count     1 .. 2^62
 * \param position  0 .. count - 1 in the epoch
 * \return the sample at that position */
int64_t sm_sampler_index(uint64_t seed, int64_t epoch, int64_t count, int64_t position);

/** Contiguous shares: part p of `parts` gets [first, first + share); the first (count mod parts) get one more. */
void sm_sampler_share(int64_t count, int part, int parts, int64_t *first, int64_t *share);

/** One step's part of the epoch. */
typedef struct sm_sampler_step {
    int64_t epoch;        /**< position / count */
    int64_t first_global; /**< in the epoch's order */
    int64_t count_global; /**< samples of the step: min(batch, what is left of the epoch) */
    int64_t first_local;  /**< of this rank, counted from first_global */
    int64_t count_local;  /**< may be 0 */
} sm_sampler_step;

/** \return the step that starts after `position` samples of the run, for batches of `batch` samples over all ranks; the next one starts at position + count_global.
 * A short last batch of an epoch is used; no step reaches over the end of an epoch. */
sm_sampler_step sm_sampler_step_at(int64_t position, int64_t count, int64_t batch, int rank, int size);

/** \return steps from position 0 to the end of `epochs` epochs: epochs * ceil(count / batch). */
int64_t sm_sampler_steps(int64_t count, int64_t batch, int64_t epochs);

/** \return the same from a position on, whatever the batches before it were; 0 behind the last epoch. */
int64_t sm_sampler_steps_left(int64_t position, int64_t count, int64_t batch, int64_t epochs);

#ifdef __cplusplus
}
#endif
#endif
