/** \file
 * What a word of the command line means that may name a run by its folder: which file of the run. */
#ifndef SIGMATIC_CLI_RUN_PATH_H
#define SIGMATIC_CLI_RUN_PATH_H

#include <sigmatic/comm/comm.h>

/** \return 1 if a folder is one of a run, or the folder of a run's checkpoints */
int run_path_is_run(const char *path);

/** The checkpoint of the run in a folder (sm_run_checkpoint()), and a message that names it (rank 0); any other word stays
 * as it is. Not collective.
 * \param [out] path  freed with sm_free()
 * \return SM_ERR_INPUT: a folder without such a file, saying what is expected, or with damaged ones only */
sm_status run_path_checkpoint(const char *word, char **path);

/** The same of the run's log, run.h5, which the folder of its checkpoints names too. */
sm_status run_path_log(const char *word, char **path);

/** Rank 0's text becomes everyone's. Collective. \param [in,out] text  of rank 0; of the others freed with sm_free() later */
void run_path_share(sm_comm *comm, char **text);

#endif
