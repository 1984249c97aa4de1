/** \file
 * Lists of strings in one block, as the io functions hand them out: one sm_free() frees them all. */
#ifndef SIGMATIC_SRC_IO_STRING_LIST_H
#define SIGMATIC_SRC_IO_STRING_LIST_H

#include <stddef.h>

/** \return copies of `count` strings behind their pointers, in one block. */
char **sm_strings_pack(const char *const *strings, size_t count);

/** Sorts by byte value, in place. */
void sm_strings_sort(char **strings, size_t count);

#endif
