/** \file Run logs for test_damage.c: as a killed run leaves them, how a start goes on with what became of them, and what `show` reads.
 * By one rank, with the session of a tiny run that is open. */
#ifndef SIGMATIC_TESTS_DAMAGED_LOG_H
#define SIGMATIC_TESTS_DAMAGED_LOG_H

#include "tiny_run.h"

/** The session that writes the logs; kept by reference. */
void damaged_log_use(const sm_session *session);

/** Writes NAME.h5 and beside it NAME.journal with the latest rows, whichever of them `path` names. */
void damaged_log_make(const char *path);

/** The same in the earliest format of HDF5, as older versions wrote logs: nothing in it carries a checksum. It has no journal. */
void damaged_log_make_old(const char *path);

/** Goes on with copies of both files, whatever is left of them: a step more. Asserts that its row is there, that each row stands there
 * once, and that a sound run.h5 has lost none.
 * \return SM_OK, or what kept the log from going on */
sm_status damaged_log_resume(const char *path, uint32_t *crc);

/** Reads it as `show` does. \param [out] crc  of names and texts, which are told from damaged ones; numbers in rows are not */
sm_status damaged_log_show(const char *path, uint32_t *crc);

#endif
