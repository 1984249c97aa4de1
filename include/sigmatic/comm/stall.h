/** \file
 * Who waits for whom: every rank says what it does, every wait has a clock, and a wait that takes too long ends the run
 * with a diagnosis.
 *
 * What a rank says goes to a board in memory that the ranks of a node share; one rank a node copies its node's part to a
 * folder every now and then (a thread that sleeps otherwise), so that a rank stuck anywhere can be seen from the other
 * nodes.
 *
 * A wait that exceeds the limit while no rank has entered another phase for as long is a stall: one rank a node prints
 * which ranks have not arrived, where they were last seen and since when; then all ranks end with exit code 3. So who
 * works alone while others wait says how far it is. From sm_comm_begin() to sm_comm_end() there is always a limit. */
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
 * \param phase   cut at 31 characters; copied
 * \param detail  a number within the phase (op, bucket, sample); -1 = none */
void sm_comm_set_phase(const char *phase, int64_t step, int detail);

/** \param seconds  longest wait for other ranks; 0 = no limit. At first it is the environment variable
 * SIGMATIC_STALL_SECONDS, or 600
 * Local; every rank calls it with the same value. */
void sm_comm_set_stall_limit(double seconds);

/** \param folder  made if there are several nodes, in a folder that all of them see; copied. NULL (the start): ranks of
 * other nodes are named, but what they do is not known: one that works alone for longer than the limit is taken for lost
 * Local; every rank calls it with the same value. */
void sm_comm_set_stall_folder(const char *folder);

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
