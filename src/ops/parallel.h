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

#endif
