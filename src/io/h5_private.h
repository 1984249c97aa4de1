/** \file
 * What the parts of h5 share: the open file, failing with HDF5's own reason, types, and lists of strings. */
#ifndef SIGMATIC_SRC_IO_H5_PRIVATE_H
#define SIGMATIC_SRC_IO_H5_PRIVATE_H

#include <sigmatic/io/h5.h>

#include <hdf5.h>

/** From here to the end of the block this thread alone is inside HDF5; it may be already. The first statement of every
 * function of h5.h that calls HDF5. */
#define SM_H5_LOCKED __attribute__((unused, cleanup(sm_h5_leave))) const int is_inside = sm_h5_enter()
int sm_h5_enter(void);
void sm_h5_leave(const int *is_inside);

struct sm_h5 {
    char *path;
    hid_t id;
    int is_in_memory;
    sm_h5_memory *memory; /* of one created there: `own` or the caller's; else NULL */
    sm_h5_memory own;
    int has_long_attributes; /* made in a format that takes attributes above 64 KiB */
    sm_status failed;        /* the first failed write; nothing is written after it */
    char *failure;           /* its message */
};

/** What a file in memory grows by. */
enum { SM_H5_MEMORY_STEP_BYTES = 4 << 20 };

/** Of a file that is created with these properties: it is kept in this memory. */
void sm_h5_memory_set(hid_t access, sm_h5_memory *memory);

/** \return properties of opening to write, to be closed. */
hid_t sm_h5_creation_access(sm_h5_format format);

/** \return what is open as `id`. */
sm_h5 *sm_h5_new_file(const char *path, hid_t id);
void sm_h5_free_file(sm_h5 *file);

/** Fails with "<path>: <object>: <what> (<HDF5's innermost reason>)". To be called before any further HDF5 call. */
sm_status sm_h5_fail(const sm_h5 *file, sm_status status, const char *object, const char *what);

/** The same for a write, remembered: SM_ERR_WRITE. */
sm_status sm_h5_fail_write(sm_h5 *file, const char *object, const char *what);

/** \return SM_OK, or the file's first failure again. */
sm_status sm_h5_writable(const sm_h5 *file);

/** Whether HDF5 survives the metadata of a file that has no checksums there: a child opens all objects and attributes first.
 * \return SM_ERR_INPUT if it crashed or found no end; SM_OK also where no child can be had */
sm_status sm_h5_try(const char *path);

/** \return HDF5's type for `type` in memory. */
hid_t sm_h5_native(sm_h5_type type);

/** \return which of our types a type in a file is, in either byte order. */
sm_h5_type sm_h5_type_of(hid_t type);

enum { SM_H5_DESCRIPTION_BYTES = 256 };

/** "big-endian float32 (2, 3)". \return out */
const char *sm_h5_describe(hid_t type, int rank, const hsize_t *shape, char out[SM_H5_DESCRIPTION_BYTES]);

/** The same for one of our types. \return out */
const char *sm_h5_describe_ours(sm_h5_type type, int rank, const size_t *shape, char out[SM_H5_DESCRIPTION_BYTES]);

/** \return new properties of what is created (H5P_DATASET_CREATE ...) without the time of it: the same contents are the same
 * bytes. */
hid_t sm_h5_timeless(hid_t class);

/** Something with a type and a shape: an attribute or a dataset. */
typedef struct sm_h5_array {
    hid_t id, type, space;
    int rank;
    hsize_t shape[SM_H5_MAX_RANK];
    size_t count; /* product of the shape */
    int is_attribute;
} sm_h5_array;

/** Fills type, space, rank, shape and count from `id`; takes `id` over. */
sm_status sm_h5_array_new(const sm_h5 *file, const char *object, hid_t id, int is_attribute, sm_h5_array *array);

/** Opens every object that is linked, once: what is damaged must not seem absent. */
sm_status sm_h5_check_objects(const sm_h5 *file);

/** Opens a dataset with a shape that can be what is stored; refuses what lies in other files.
 * \param [out] array  zeroed on failure, or to be freed all the same */
sm_status sm_h5_open_dataset(const sm_h5 *file, const char *object, sm_h5_array *array);

/** Opens an attribute whose values can be what is stored: no larger than the file.
 * \param [out] array  zeroed on failure, or to be freed all the same */
sm_status sm_h5_open_attribute(const sm_h5 *file, const char *object, const char *name, sm_h5_array *array);

/** Closes everything; a zeroed struct is fine. */
void sm_h5_array_free(sm_h5_array *array);

/** Reads all elements as `memory_type`. \return HDF5's result */
herr_t sm_h5_array_read(const sm_h5_array *array, hid_t memory_type, void *data);

/** Texts as HDF5 writes them: UTF-8, in elements as long as the longest; of an attribute that would be too long for the
 * file's format, of variable length. */
typedef struct sm_h5_text_array {
    hid_t type;
    const void *data;
    void *owned; /* what `data` points to, or NULL */
} sm_h5_text_array;

/** \param texts  stay where they are until the array is freed */
sm_h5_text_array sm_h5_texts_to_write(const sm_h5 *file, int is_attribute, const char *const *texts, size_t count);
void sm_h5_text_array_free(sm_h5_text_array *array);

/** \return the CRC-32C of texts, each with a zero behind it. */
uint32_t sm_h5_texts_checksum(const char *const *texts, size_t count);

/** Reads strings of fixed or variable length into one block; neither a damaged one nor a wrong size makes it read beyond
 * what there is, or take more memory than a small multiple of the file. `array->type` must be of class H5T_STRING. */
sm_status sm_h5_array_read_texts(const sm_h5 *file, const char *object, const sm_h5_array *array, char ***texts);

#endif
