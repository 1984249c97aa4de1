/** \file
 * Sums of buckets over ranks by messages, several buckets on the way at a time; moves only when polled. */
#ifndef SIGMATIC_COMM_EXCHANGE_H
#define SIGMATIC_COMM_EXCHANGE_H

#include <mpi.h>
#include <stddef.h>

typedef struct sm_exchange sm_exchange;

/** \param comm        used by this exchange alone; not owned
 * \param short_queue  starts no more buckets than keep the link busy under polls a millisecond apart: small sums wait
 *                    behind what is on the way. Else as many as a link of 10 Gbit/s carries between polls far apart
 * \param values      all buckets are parts of it
 * \param most_count  floats of the largest bucket
 * \param compress    messages carry bfloat16 */
sm_exchange *sm_exchange_new(MPI_Comm comm, float *values, size_t most_count, int compress, int short_queue);
/** \return bytes of the buckets on the way. */
size_t sm_exchange_bytes(const sm_exchange *exchange);

/** NULL is legal. Nothing may be on the way. */
void sm_exchange_free(sm_exchange *exchange);

/** \return 0 while as many buckets are on the way as may be */
int sm_exchange_has_room(const sm_exchange *exchange);

/** values[first .. first + count) begins to travel; every rank starts the same buckets in the same order. */
void sm_exchange_start(sm_exchange *exchange, size_t bucket, size_t first, size_t count);

/** Moves what is on the way.
 * \param threads  for additions
 * \param [in,out] finished  by bucket: becomes 1 when its values are the sums */
void sm_exchange_poll(sm_exchange *exchange, int threads, char *finished);

/** \return bytes sent since the last call */
size_t sm_exchange_take_sent_bytes(sm_exchange *exchange);

#endif
