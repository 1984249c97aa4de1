/** \file
 * How much more a disk takes. */
#ifndef SIGMATIC_IO_DISK_SPACE_H
#define SIGMATIC_IO_DISK_SPACE_H

#include <sigmatic/base/status.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** To be asked before something large is written: a file system that is full to the last byte also stops others. One that does not tell how full it is
 * counts as empty. Not collective.
 * \param path   a file that will be written; its folder is there
 * \return SM_ERR_WRITE with what is needed and what is free */
sm_status sm_disk_check_space(const char *path, uint64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
