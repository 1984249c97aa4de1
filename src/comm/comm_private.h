/** \file
 * The communicator, as the files of comm see it. */
#ifndef SIGMATIC_COMM_PRIVATE_H
#define SIGMATIC_COMM_PRIVATE_H

#include <sigmatic/comm/comm.h>

#include "comm/node.h"

struct sm_comm {
    MPI_Comm handle;
    int rank, size;
    sm_node node;               /**< unused if size is 1 */
    struct sm_meeting *meeting; /**< NULL if size is 1 */
};

#endif
