/** \file
 * One instruction set for all ranks. */
#ifndef SIGMATIC_TRAIN_ISA_AGREEMENT_H
#define SIGMATIC_TRAIN_ISA_AGREEMENT_H

#include <sigmatic/comm/comm.h>

/** Refuses what SIGMATIC_ISA says if it is no instruction set, one that a rank's CPU lacks, or not the same on all ranks.
 * Collective.
 * \return SM_ERR_USAGE, the same on every rank */
sm_status sm_isa_agree(sm_comm *comm);

#endif
