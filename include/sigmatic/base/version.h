/** \file
 * The version of these headers; the Makefile reads it here. MAJOR.MINOR.PATCH as semver.org defines them: include/README.md says
 * what each may change. */
#ifndef SIGMATIC_BASE_VERSION_H
#define SIGMATIC_BASE_VERSION_H

#define SM_VERSION_MAJOR 0
#define SM_VERSION_MINOR 1
#define SM_VERSION_PATCH 0

#define SM_VERSION_TEXT_OF(number) #number
#define SM_VERSION_TEXT(major, minor, patch)                                                                           \
    SM_VERSION_TEXT_OF(major) "." SM_VERSION_TEXT_OF(minor) "." SM_VERSION_TEXT_OF(patch)

/** "0.1.0" */
#define SM_VERSION SM_VERSION_TEXT(SM_VERSION_MAJOR, SM_VERSION_MINOR, SM_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/** \return SM_VERSION of the library in use, which a program may have been compiled against an earlier one of. */
const char *sm_version(void);

#ifdef __cplusplus
}
#endif
#endif
