/** \file
 * Where the pages, configs and scripts lie that messages and help texts name. */
#ifndef SIGMATIC_IO_SHARED_FOLDER_H
#define SIGMATIC_IO_SHARED_FOLDER_H

#ifdef __cplusplus
extern "C" {
#endif

/** \return the folder that holds configs/, jobs/ and analysis/: beside bin/ of an installation, or above build/NAME/ of the
 * sources that the program was built in. Freed with sm_free(); NULL: the running program stands alone. Not collective */
char *sm_shared_folder(void);

#ifdef __cplusplus
}
#endif
#endif
