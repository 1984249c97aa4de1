/** \file
 * Ranks that work without messages, each on its share, and yet end together: between rounds of work, about once a second,
 * all vote on whether somebody met an error or was asked to stop. Often enough to answer a signal or a full disk, too
 * seldom to cost time. */
#ifndef SIGMATIC_COMM_VOTE_H
#define SIGMATIC_COMM_VOTE_H

#include <sigmatic/comm/comm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Zero before the first round. */
typedef struct sm_vote {
    int64_t due, last;   /**< rounds before the next one, before the last one */
    double last_seconds; /**< when the last one was */
    int failed, stop;    /**< what it said: some rank met an error; some rank was asked to stop */
} sm_vote;

/** Votes if it is time to, which the slowest rank decides. Collective: every rank calls it before each of its rounds, as
 * many on each, one that failed too.
 * \param rounds  done so far \param own  this rank's outcome \param stop  1: this rank was asked to stop */
void sm_vote_between(sm_comm *comm, sm_vote *vote, int64_t rounds, sm_status own, int stop);

#ifdef __cplusplus
}
#endif
#endif
