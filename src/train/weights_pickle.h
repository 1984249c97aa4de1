/** \file
 * Pickles of PyTorch, which a C program cannot read. */
#ifndef SIGMATIC_TRAIN_WEIGHTS_PICKLE_H
#define SIGMATIC_TRAIN_WEIGHTS_PICKLE_H

#include <sigmatic/base/status.h>

/** \param start  the first bytes of the file, at least 4 (zeros where it has fewer)
 * \return SM_ERR_INPUT with the command that converts it, if the file begins as torch.save() begins one; else SM_OK */
sm_status sm_weights_refuse_pickle(const char *path, const char *start);

#endif
