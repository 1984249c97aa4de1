/* Files in memory. */
#include "io/h5_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>

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
    hid_t access = sm_h5_creation_access(format);
    sm_h5_memory_set(access, file->memory);
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
