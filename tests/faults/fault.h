#ifndef FAULT_H
#define FAULT_H

#include <stddef.h>

/** Kinds of file operations. */
typedef enum operation {
    OPEN,
    WRITE,
    TRUNCATE,
    ALLOCATE,
    SYNC,
    CLOSE,
    RENAME,
    REMOVE,
    FOLDER,
    LOCK,
    LOOK,
    READ,
    OPERATIONS
} operation;

/** To be called before an operation is made; sets errno to the error if there is one. May not return.
 *
 * \param [in]  descriptor  of the file; of the folder that a relative path starts from, or AT_FDCWD
 * \param [in]  path        NULL: the operation is one on the descriptor
 * \param [in]  bytes       that it writes or reads, or the size that it asks for; only for the log
 * \param [out] half        NULL: the operation cannot be half made; 1: half of it is to be made, then fault_after_half() called
 * \return the error with which the operation fails, 0: it is to be made */
int fault_before(operation what, int descriptor, const char *path, size_t bytes, int *half);

/** What goes wrong after half a write. */
void fault_after_half(void);

#endif
