/* HDF5's core driver keeps a file in a block of memory, which it asks for here. */
#include "io/h5_private.h"

#include <sigmatic/base/memory.h>

#include <string.h>

static int take(size_t bytes, sm_h5_memory *memory)
{
    *memory = (sm_h5_memory){sm_try_alloc(bytes), bytes};
    return memory->block != NULL;
}

void sm_h5_memory_reserve(sm_h5_memory *memory, size_t bytes)
{
    bytes = sm_round_up(bytes, SM_H5_MEMORY_STEP_BYTES);
    if (bytes > memory->bytes) {
        sm_h5_memory_free(memory);
        if (!take(bytes, memory)) { /* the file will say so */
            *memory = (sm_h5_memory){0};
        }
    }
}

void sm_h5_memory_free(sm_h5_memory *memory)
{
    sm_free(memory->block);
    *memory = (sm_h5_memory){0};
}

/* HDF5 asks for SM_H5_MEMORY_STEP_BYTES more at a time, and clears them.
 * \return NULL where there is no memory, of which HDF5 makes a failed write */
static void *grow(void *block, size_t bytes, H5FD_file_image_op_t operation, void *user)
{
    sm_h5_memory *memory = user, larger = {0};
    (void)block;
    (void)operation;
    if (bytes > memory->bytes) {
        size_t more = memory->bytes + memory->bytes / 2;
        if (!take(bytes > more ? bytes : more, &larger)) {
            return NULL;
        }
        if (memory->block) {
            memcpy(larger.block, memory->block, memory->bytes);
        }
        sm_h5_memory_free(memory);
        *memory = larger;
    }
    return memory->block;
}

/* The file's owner does, once it is closed. */
static herr_t leave(void *block, H5FD_file_image_op_t operation, void *user)
{
    (void)block;
    (void)operation;
    (void)user;
    return 0;
}

/* One memory a file, whoever copies its properties. */
static void *share(void *user)
{
    return user;
}

static herr_t keep(void *user)
{
    (void)user;
    return 0;
}

void sm_h5_memory_set(hid_t access, sm_h5_memory *memory)
{
    H5FD_file_image_callbacks_t calls = {
        .image_realloc = grow, .image_free = leave, .udata_copy = share, .udata_free = keep, .udata = memory};
    H5Pset_fapl_core(access, SM_H5_MEMORY_STEP_BYTES, 0);
    H5Pset_file_image_callbacks(access, &calls);
}
