/** \file
 * Start and end of a process that uses the library: the first and the last call of every program.
 *
 *     int main(int argc, char **argv)
 *     {
 *         sm_comm *comm = sm_init(&argc, &argv);
 *         ...
 *         sm_finalize();
 *     }
 *
 * Between them, in this order: registration of kinds of one's own (sm_backbone_register(), sm_weighting_register(),
 * sm_task_kind_register()), a config (sm_config_new(sm_all_keys())), training or whatever else. */
#ifndef SIGMATIC_TRAIN_INIT_H
#define SIGMATIC_TRAIN_INIT_H

#include <sigmatic/comm/comm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Starts HDF5, then MPI, and what watches over the ranks. Once a process, from its main thread. Collective.
 *
 * A program that has started MPI by itself, with MPI_THREAD_FUNNELED or more, keeps it: sm_finalize() does not end it, and
 * from here on errors of MPI_COMM_WORLD are returned (MPI_ERRORS_RETURN); those that the library meets end all ranks.
 * It may have started HDF5, too, and opens and closes files of its own as it likes, on the thread that calls the library.
 *
 * \param argc, argv  of main(), for MPI; both may be NULL
 * \return all ranks of the job; owned by the library */
sm_comm *sm_init(int *argc, char ***argv);

/** Ends what sm_init() started, after everything made in between is freed. Collective. */
void sm_finalize(void);

#ifdef __cplusplus
}
#endif
#endif
