/** \file
 * That only one run works in a folder, from whatever host.
 *
 * The file `.lock` is locked by flock(), which ends with the process, and says in one line who has it: host, process, its start, the file's
 * inode (so that a copied folder is nobody's), and a number that a thread raises every few seconds. The line decides where flock() does not:
 * on file systems without locks, on those whose locks other hosts do not see, and where the lock of a host that is gone is kept for ever. */
#ifndef SIGMATIC_TRAIN_FOLDER_LOCK_H
#define SIGMATIC_TRAIN_FOLDER_LOCK_H

#include <sigmatic/base/status.h>

typedef struct sm_folder_lock sm_folder_lock;

/** Takes the lock, making the file if need be. One whose line names another host is looked at for two and a half beats. Should another process
 * take it nonetheless, because this one stood still for so long, all ranks end (sm_abort).
 *
 * What a killed launcher leaves behind may take a while to end: a process that works with it is waited for, one of another host until the
 * first beat after that time.
 *
 * \param beat_seconds      between two beats; the same in all processes
 * \param patience_seconds  how long the end of a process is waited for, said in the log; 0: not at all
 * \return SM_ERR_USAGE if a process works with it, naming host and process; SM_ERR_IO if the file cannot be made or written */
sm_status sm_folder_lock_take(const char *path, double beat_seconds, double patience_seconds, sm_folder_lock **out);

/** Gives it back. NULL is legal. */
void sm_folder_lock_free(sm_folder_lock *lock);

#endif
