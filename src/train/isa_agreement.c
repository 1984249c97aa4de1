#include "train/isa_agreement.h"

#include <sigmatic/ops/isa.h>

#include <stdio.h>
#include <string.h>

enum { WORD_BYTES = 64 };

/* `first` is what rank 0 is told. */
static sm_status compare(const char *first, const char *own)
{
    if (strcmp(first, own) == 0) {
        return SM_OK;
    }
    return sm_fail(SM_ERR_USAGE,
                   "%s is %s%s%s in the environment here, but %s%s%s on rank 0: expected the same on all ranks "
                   "(Open MPI: mpirun -x %s)",
                   sm_isa_variable, *own ? "'" : "", *own ? own : "not set", *own ? "'" : "", *first ? "'" : "",
                   *first ? first : "not set", *first ? "'" : "", sm_isa_variable);
}

sm_status sm_isa_agree(sm_comm *comm)
{
    const char *wanted = sm_isa_wanted();
    char own[WORD_BYTES], first[WORD_BYTES];
    snprintf(own, sizeof own, "%s", wanted ? wanted : "");
    memcpy(first, own, sizeof first);
    sm_comm_broadcast(comm, first, sizeof first, 0);
    sm_status status = compare(first, own);
    return sm_comm_agree(comm, status == SM_OK ? sm_isa_begin() : status);
}
