/** \file
 * Who waits for whom: every rank says what it does, every wait has a clock, and a wait that takes too long ends the run
 * with a diagnosis.
 *
 * What a rank says goes to a board in memory that the ranks of a node share; one rank a node copies its node's part to
 * <run folder>/ranks/ every now and then (a thread that sleeps otherwise), so that a rank stuck anywhere can be seen
 * from the other nodes.
 *
 * When a wait exceeds the limit, one rank a node prints which ranks have not arrived, where they were last seen and
 * since when; then all ranks end with exit code 3. */
#ifndef SIGMATIC_COMM_STALL_H
#define SIGMATIC_COMM_STALL_H

#include <sigmatic/comm/comm.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** This rank is now in `phase` ("forward", "checkpoint") of `step`. A few stores: call it as often as the phase
 * changes.
 *
 * \param phase   a string literal, cut at 31 characters
 * \param detail  a number within the phase (op, bucket, sample); -1 = none */
void sm_comm_set_phase(const char *phase, int64_t step, int detail);

/** \param seconds     longest wait for other ranks; 0 = no limit (the start)
 * \param run_folder  its subfolder ranks/ is made; NULL: other nodes' ranks are only named
 * Local; every rank calls it with the same values. */
void sm_comm_set_stall_limit(double seconds, const char *run_folder);

/** Called on each rank that prints a diagnosis, with the same text, before all ranks end: to note in a status file why.
 * NULL = none. */
void sm_comm_set_stall_report(void (*report)(void *user, const char *message), void *user);

/** \return seconds that this rank spent waiting for others since the last call (all communicators, reductions
 * included). */
double sm_comm_take_waited_seconds(void);

/** Do all ranks hold the same bytes? One pass over the data and one message of a few bytes, so that it can be asked
 * every some hundred steps. Collective.
 *
 * \param what  for the message: "parameters"
 * \return SM_OK; or on every rank SM_ERR_COMM, naming the first rank that differs from most others */
sm_status sm_comm_checksum_agrees(sm_comm *comm, const void *data, size_t bytes, const char *what);

#ifdef __cplusplus
}
#endif
#endif
