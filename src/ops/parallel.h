/** \file
 * How the ops share work among threads: ranges of outputs, and no more threads than the work is worth. */
#ifndef SIGMATIC_OPS_PARALLEL_H
#define SIGMATIC_OPS_PARALLEL_H

#include <assert.h>
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

/** Splits the rows and columns of a matrix product over threads so that as few as possible are without work, and then so
 * that what all of them fetch together is least.
 *
 * \param row_units, column_units  pieces that rows and columns can be cut into: threads beyond them are without work
 * \return threads along the rows; a divisor of `threads`, the others go along the columns */
static inline int sm_threads_along_rows(size_t rows, size_t columns, int row_units, int column_units, int threads)
{
    int best = threads, most_busy = 0;
    double least = 0;
    for (int along = threads; along >= 1; along--) {
        int across = threads / along;
        int busy = (along < row_units ? along : row_units) * (across < column_units ? across : column_units);
        double fetched = (double)rows * across + (double)columns * along;
        if (threads % along == 0 && (busy > most_busy || (busy == most_busy && fetched < least))) {
            best = along;
            most_busy = busy;
            least = fetched;
        }
    }
    assert(best >= 1);
    return best;
}

#endif
