/** \file
 * Do the ranks of a node fit its cores? */
#ifndef SIGMATIC_COMM_CORES_H
#define SIGMATIC_COMM_CORES_H

#include <sigmatic/comm/comm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Warns if a rank runs more threads than the cores that it may use (mpirun binds a rank to one core by default), or the
 * ranks of a node together more than the cores that they may use together: such threads take turns, and every wait of
 * one for another costs a time slice. Rank 0 warns, of the first such rank and of the first such node. Nothing is said
 * where the system does not tell its cores. Collective.
 *
 * \param threads  of this rank */
void sm_cores_check(sm_comm *comm, int threads);

#ifdef __cplusplus
}
#endif
#endif
