/** \file
 * The board of a node in a file, for the ranks of other nodes: <folder>/node-<rank of the node's first>. */
#ifndef SIGMATIC_COMM_BOARD_FILES_H
#define SIGMATIC_COMM_BOARD_FILES_H

#include "comm/board.h"

/** Starts a thread that writes the board to its file every so many seconds. Where the folder cannot be made there is a
 * warning and no thread. Not while one runs.
 *
 * \param folder  made if need be; copied
 * \param board   outlives the thread; its first rank names the file */
void sm_board_files_start(const char *folder, const sm_board *board, double interval_seconds);

/** Ends the thread and removes its file, and the folder with the last one. Nothing to do is legal. */
void sm_board_files_stop(void);

/** Reads the files of all nodes. They have no times, but numbers that rise: how old a file is shows only to one who has read it before, so call
 * it every now and then while it matters.
 * \param [in,out] seen  by rank, `ranks` of them; those that nothing was heard of so far are filled in */
void sm_board_files_read(const char *folder, sm_board_sighting *seen, int ranks, double now_seconds);

#endif
