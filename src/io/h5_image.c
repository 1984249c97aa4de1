/* Files in memory: HDF5's core driver keeps one in a block of memory, which it asks for here. */
#include "io/h5_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <string.h>

/* ---- the memory ---- */

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

/* HDF5 asks for SM_H5_MEMORY_STEP_BYTES more at a time, and clears them; it tells of no other end of them than that of the file.
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

/* ---- the file ---- */

/* \return properties, to be closed */
static hid_t access_to(sm_h5_memory *memory, sm_h5_format format)
{
    H5FD_file_image_callbacks_t calls = {
        .image_realloc = grow, .image_free = leave, .udata_copy = share, .udata_free = keep, .udata = memory};
    hid_t access = sm_h5_creation_access(format);
    H5Pset_fapl_core(access, SM_H5_MEMORY_STEP_BYTES, 0);
    H5Pset_file_image_callbacks(access, &calls);
    return access;
}

/* HDF5 has another name for it, which no file can have and no other of these has: it would read a file of that name into memory
 * before it makes a new one. */
sm_status sm_h5_create_in_memory(const char *name, sm_h5_format format, sm_h5_memory *memory, sm_h5 **out)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    sm_h5 *file = sm_h5_new_file(name, -1);
    file->is_in_memory = 1;
    file->memory = memory ? memory : &file->own;
    file->has_long_attributes = format == SM_H5_LATEST;
    char *own_name = sm_format("/dev/null/%p", (void *)file);
    hid_t access = access_to(file->memory, format);
    file->id = H5Fcreate(own_name, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (file->id < 0) {
        status = sm_h5_fail(file, SM_ERR_IO, NULL, "cannot be created in memory");
    }
    H5Pclose(access);
    sm_free(own_name);
    if (status == SM_OK) {
        *out = file;
    } else {
        sm_h5_free_file(file);
    }
    return status;
}

/* After a flush the block is the file. H5Fget_file_image() would copy it, and in 1.10 breaks the checksum of its superblock
 * by clearing a mark inside; it only tells the size here. */
sm_status sm_h5_image(sm_h5 *file, const void **image, size_t *bytes)
{
    SM_H5_LOCKED;
    assert(file->memory);
    sm_status status = sm_h5_flush(file);
    if (status != SM_OK) {
        return status;
    }
    ssize_t found = H5Fget_file_image(file->id, NULL, 0);
    if (found <= 0) {
        return sm_h5_fail_write(file, NULL, "its contents cannot be had");
    }
    *image = file->memory->block;
    *bytes = (size_t)found;
    return SM_OK;
}

sm_status sm_h5_write_image(sm_h5 *file, const char *path)
{
    const void *image = NULL;
    size_t bytes = 0;
    sm_status status = sm_h5_image(file, &image, &bytes);
    return status == SM_OK ? sm_file_write_atomic(path, image, bytes) : status;
}
