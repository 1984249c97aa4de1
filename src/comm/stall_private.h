/** \file
 * The life of the board of ranks, for comm.c. */
#ifndef SIGMATIC_COMM_STALL_PRIVATE_H
#define SIGMATIC_COMM_STALL_PRIVATE_H

#include "comm/comm_private.h"

enum { SM_HOST_BYTES = 64 };

/** Collective over `world`, whose node is known. */
void sm_stall_begin(sm_comm *world);

/** Ends the thread that copies the board, removes its file. Collective. */
void sm_stall_end(void);

/** This rank enters a collective. */
void sm_stall_count_collective(void);

#endif
