/* One scale is right for one way to store numbers: millimetres of 16 bits and an 8-bit picture of the same depth are not
 * to be mixed. All files of a target are compared with its first one. */
#include "data/folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/image.h>
#include <sigmatic/io/npy.h>

#include <stdio.h>

/* Of the first file that can be read; the path is the list's. */
typedef struct first_file {
    const char *path; /* NULL: none can be */
    int bits;
} first_file;

static int bits_of_type(sm_npy_type type)
{
    return type >= SM_NPY_F16 ? 0 : type <= SM_NPY_U8 ? 8 : 16;
}

sm_status folder_storage_bits(const char *path, int *bits)
{
    static const char *const npy[] = {".npy", NULL};
    sm_status status = SM_OK;
    sm_image map = {0};
    sm_npy_type type;
    if (folder_has_extension(path, npy)) {
        status = sm_npy_read_type(path, &type);
        *bits = status == SM_OK ? bits_of_type(type) : 0;
    } else {
        status = sm_image_read(path, SM_IMAGE_KEEP_INDICES, &map);
        *bits = map.bits;
    }
    sm_image_free(&map);
    return status;
}

/* Kept from one sample to the next. */
static const first_file *find_first(sm_import *import, int kind)
{
    if (!import->cache[kind]) {
        first_file *first = import->cache[kind] = sm_alloc_zeroed(sizeof *first);
        const char *path;
        for (size_t i = 0; (path = sm_import_find(import, kind, &i)) != NULL && !first->path; i++) {
            first->path = folder_storage_bits(path, &first->bits) == SM_OK ? path : NULL;
        }
    }
    return import->cache[kind];
}

static const char *words(int bits)
{
    return bits == 0 ? "floats" : bits == 8 ? "whole numbers of 8 bits" : "whole numbers of 16 bits or more";
}

sm_status folder_check_storage(sm_import *import, int kind, const folder_target *t, const char *path, int bits)
{
    const first_file *first = find_first(import, kind);
    if (first->path && first->bits != bits) {
        return sm_fail(SM_ERR_INPUT, "%s: %s, but %s in %s, the first file of [%s]: one scale is not right for both",
                       path, words(bits), words(first->bits), first->path, t->section);
    }
    return SM_OK;
}
