/** \file
 * How the ops share work among threads: ranges of outputs, and no more threads than the work is worth. */
#ifndef SIGMATIC_OPS_PARALLEL_H
#define SIGMATIC_OPS_PARALLEL_H

#include <stddef.h>

/** \return 1..threads: one thread for every 16 Ki elements touched, because opening a region costs microseconds. */
static inline int sm_threads_worth(size_t elements, int threads)
{
    size_t worth = elements / 16384 + 1;
    return threads < 1 ? 1 : worth < (size_t)threads ? (int)worth : threads;
}

/** \return where part `part` of `parts` begins in `count` elements, on a multiple of 16 (a cache line of floats);
 * part = parts gives count. */
static inline size_t sm_part_begin(size_t count, int part, int parts)
{
    return part == parts ? count : count / 16 * (size_t)part / (size_t)parts * 16;
}

/** Splits the rows and columns of a matrix product over threads so that what all of them fetch together is least.
 *
 * \return threads along the rows; a divisor of `threads`, the others go along the columns */
static inline int sm_threads_along_rows(size_t rows, size_t columns, int threads)
{
    int best = threads;
    double least = 0;
    for (int along = threads; along >= 1; along--) {
        if (threads % along == 0) {
            double fetched = (double)rows * (threads / along) + (double)columns * along;
            if (along == threads || fetched < least) {
                best = along;
                least = fetched;
            }
        }
    }
    return best;
}

#endif
