/** \file
 * Typed helpers over serial HDF5 (a parallel build works too). Messages name the file, the object, what was expected and what was found.
 *
 * Objects are named by their path in the file ("/train/image"); groups above them are made as needed. No file is ever locked.
 * A file that failed to write stays failed: later writes and the close return the first failure again.
 * Not collective. Any thread: one of a process at a time enters HDF5, which is not thread-safe, the others wait. */
#ifndef SIGMATIC_IO_H5_H
#define SIGMATIC_IO_H5_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An open file; keeps its path for messages. */
typedef struct sm_h5 sm_h5;

/** Element types, in memory in host order. */
typedef enum sm_h5_type {
    SM_H5_HALF,   /**< IEEE binary16; found in files, located, never converted here */
    SM_H5_FLOAT,  /**< float */
    SM_H5_DOUBLE, /**< double */
    SM_H5_INT64,
    SM_H5_INT32,
    SM_H5_INT16,
    SM_H5_U8,
    SM_H5_U16,
    SM_H5_U32,
    SM_H5_TEXT, /**< strings; only sm_h5_write_texts() and sm_h5_read_texts() */
    SM_H5_OTHER /**< anything else found in a file */
} sm_h5_type;

typedef enum sm_h5_format {
    SM_H5_EARLIEST, /**< readable while it grows and, up to the last flush, after kill -9 */
    SM_H5_LATEST    /**< metadata carry checksums; for files written in one piece */
} sm_h5_format;

enum { SM_H5_MAX_RANK = 8, SM_H5_PAGE_BYTES = 4096 };

/** Shape and type of a dataset. */
typedef struct sm_h5_info {
    sm_h5_type type;
    int rank; /* 0: scalar */
    size_t shape[SM_H5_MAX_RANK];
    size_t count; /* product of the shape */
} sm_h5_info;

/** Starts HDF5 without its exit handlers, messages and locks, or takes it as the program has started it. Once, before sm_comm_begin(), as sm_init() does: started later, HDF5 would hook into MPI's end, where a file that failed to write crashes. */
void sm_h5_begin(void);

/** \return "1.10.8" of the library in use. */
const char *sm_h5_library_version(void);

/** \return 1 if a file can be read and begins as HDF5 does, whether it is whole or not. */
int sm_h5_is_file(const char *path);

/** \return bytes of an element; 0 for text and other. */
size_t sm_h5_type_bytes(sm_h5_type type);

/** \name Files */
/** \{ */

/** Opens to read. SM_ERR_IO: missing, not permitted; SM_ERR_INPUT: not HDF5, truncated or damaged.
 * A file whose metadata carry no checksums (of a format before HDF5 1.8, which h5py and MATLAB write) is first opened by a forked child, all
 * objects and attributes of it: damage on which HDF5 itself crashes, or finds no end, is SM_ERR_INPUT too. */
sm_status sm_h5_open(const char *path, sm_h5 **out);

/** Opens a file of ours to append rows and write attributes. SM_ERR_IO: missing, not permitted; SM_ERR_INPUT: not HDF5, truncated or damaged. */
sm_status sm_h5_open_append(const char *path, sm_h5 **out);

/** Opens a copy in memory of a file of ours, to append rows that are there to be read only: the file itself stays as it is. As
 * sm_h5_open_append(). */
sm_status sm_h5_open_copy(const char *path, sm_h5 **out);

/** Creates a file, replacing one at `path`; what is in it carries no times: the same calls make the same bytes. Datasets of SM_H5_PAGE_BYTES or more start at multiples of it. */
sm_status sm_h5_create(const char *path, sm_h5_format format, sm_h5 **out);

/** Memory that files made in memory use one after the other, so that only the first one waits for the system to hand it out. Begins as {0}. */
typedef struct sm_h5_memory {
    void *block;
    size_t bytes;
} sm_h5_memory;

/** Takes so much at once, where it is not there yet: what a file needs that is about to be made costs less than in pieces. No file may be using it. */
void sm_h5_memory_reserve(sm_h5_memory *memory, size_t bytes);

/** Gives it back. {0} is legal. */
void sm_h5_memory_free(sm_h5_memory *memory);

/** Creates a file in memory; sm_h5_write_image() writes it out: a full disk then is a plain error.
 * \param name    for messages
 * \param memory  used, and made larger, by this file alone until it is closed; NULL: of its own */
sm_status sm_h5_create_in_memory(const char *name, sm_h5_format format, sm_h5_memory *memory, sm_h5 **out);

/** Writes the whole contents of a file made by sm_h5_create_in_memory() to `path`, atomically (sm_file_write_atomic). The file stays open. */
sm_status sm_h5_write_image(sm_h5 *file, const char *path);

/** What sm_h5_write_image() would write.
 * \param [out] image  `bytes` bytes; stay, and may be read by any thread, until the file is changed or closed */
sm_status sm_h5_image(sm_h5 *file, const void **image, size_t *bytes);

/** Hands everything written so far to the system: a plain reader sees it, also after kill -9. */
sm_status sm_h5_flush(sm_h5 *file);

/** Closes. NULL is legal. \return the first failure of a write, flush or close of this file (with its message) */
sm_status sm_h5_close(sm_h5 *file);

/** \return the path that it was opened with. */
const char *sm_h5_path(const sm_h5 *file);
/** \} */

/** \name Groups */
/** \{ */

/** Makes a group; an existing one is fine. */
sm_status sm_h5_make_group(sm_h5 *file, const char *group);

/** \return 1 if there is a dataset (group) of that path. */
int sm_h5_has_dataset(const sm_h5 *file, const char *object);
int sm_h5_has_group(const sm_h5 *file, const char *object);

/** Tells what is not there from what is damaged.
 * \param [out] has  1 if there is a dataset of that path, 0 if there is nothing, or another kind of object
 * \return SM_ERR_INPUT if there is something that cannot be opened: damaged, or a link that leads nowhere */
sm_status sm_h5_find_dataset(const sm_h5 *file, const char *object, int *has);

/** Names in a group, sorted by byte value.
 * \param [out] names  `count` strings in one block: one sm_free(names) frees them all */
sm_status sm_h5_list(const sm_h5 *file, const char *group, char ***names, size_t *count);
/** \} */

/** \name Attributes of a group or dataset ("/": the file)
 * Writing replaces. Text is UTF-8 of fixed length, bytes in h5py (above 60,000 bytes in a file of the earliest format, whose headers take no more, of variable length). Reading takes texts of either kind, any integer for int64 and bool, any number for double, one-element arrays for single values. */
/** \{ */
int sm_h5_has_attribute(const sm_h5 *file, const char *object, const char *name);

sm_status sm_h5_write_attribute_int64(sm_h5 *file, const char *object, const char *name, int64_t value);
sm_status sm_h5_write_attribute_double(sm_h5 *file, const char *object, const char *name, double value);
sm_status sm_h5_write_attribute_text(sm_h5 *file, const char *object, const char *name, const char *text);
sm_status sm_h5_write_attribute_doubles(sm_h5 *file, const char *object, const char *name, const double *values,
                                        size_t count);
sm_status sm_h5_write_attribute_int64s(sm_h5 *file, const char *object, const char *name, const int64_t *values,
                                       size_t count);
sm_status sm_h5_write_attribute_texts(sm_h5 *file, const char *object, const char *name, const char *const *texts,
                                      size_t count);

sm_status sm_h5_read_attribute_int64(const sm_h5 *file, const char *object, const char *name, int64_t *value);
/** \return SM_ERR_INPUT naming the root's attribute `format_version` if it is not within these */
sm_status sm_h5_check_version(const sm_h5 *file, int oldest, int newest);
sm_status sm_h5_read_attribute_double(const sm_h5 *file, const char *object, const char *name, double *value);
/** Freed with sm_free(), as are the lists below (texts: one block). Lists may have any number of dimensions: read flat, row-major. */
sm_status sm_h5_read_attribute_text(const sm_h5 *file, const char *object, const char *name, char **text);
sm_status sm_h5_read_attribute_doubles(const sm_h5 *file, const char *object, const char *name, double **values,
                                       size_t *count);
sm_status sm_h5_read_attribute_int64s(const sm_h5 *file, const char *object, const char *name, int64_t **values,
                                      size_t *count);
sm_status sm_h5_read_attribute_texts(const sm_h5 *file, const char *object, const char *name, char ***texts,
                                     size_t *count);

/** \return 1 if an HDF5 file is there whose attribute 'format' is `format`. */
int sm_h5_has_format(const char *path, const char *format);
/** \} */

/** \name Datasets
 * All that read refuse (SM_ERR_INPUT) what a link leads to in another file, virtual datasets and external storage; soft links within the file are fine.
 * So is a shape refused that cannot be what is stored: a damaged size never becomes a request for memory. */
/** \{ */

/** Shape and type. SM_ERR_INPUT if there is no such dataset. */
sm_status sm_h5_query(const sm_h5 *file, const char *object, sm_h5_info *info);

/** Makes a contiguous dataset and writes it whole.
 * \param rank   0..SM_H5_MAX_RANK; 0: a scalar, shape unused
 * \param data   row-major, as many elements as the shape says */
sm_status sm_h5_write(sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape,
                      const void *data);

/** Reads a whole dataset of exactly this shape. Floating point of any width and byte order becomes the float or double asked for; integers must fit the type asked for by their own type.
 * \param [out] data  row-major, owned by the caller */
sm_status sm_h5_read(const sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape, void *data);

/** Reads rows first .. first + count - 1 (along dimension 0) of a dataset whose rows have `row_elements` elements in all (1 for a 1-D dataset). Same conversions. */
sm_status sm_h5_read_rows(const sm_h5 *file, const char *object, sm_h5_type type, size_t first, size_t count,
                          size_t row_elements, void *data);

/** Rows along dimension 0 that are stored together, so that reading one unpacks all; 1 of a dataset that is not in chunks. */
sm_status sm_h5_chunk_rows(const sm_h5 *file, const char *object, size_t *rows);

/** A 1-D dataset of UTF-8 strings, as long in the file as the longest. Its attribute `crc32c` is the CRC-32C of them, each with a zero behind it, which reading compares where it is there. */
sm_status sm_h5_write_texts(sm_h5 *file, const char *object, const char *const *texts, size_t count);

/** \param [out] texts  `count` strings in one block: one sm_free(texts) frees them all */
sm_status sm_h5_read_texts(const sm_h5 *file, const char *object, char ***texts, size_t *count);

/** Texts out of a cell array of a MATLAB file of version 7.3, which is a dataset of references to arrays of characters; in the
 * order in which they are stored, as UTF-8.
 * \param [out] texts  one block: one sm_free(texts) frees them all */
sm_status sm_h5_read_cell_texts(const sm_h5 *file, const char *object, char ***texts, size_t *count);

/** Makes a contiguous dataset with its space allocated at once but not written, for sm_file_pwrite() by any process after sm_h5_close().
 * \param [out] offset  of its first byte in the file; a multiple of 4096 if it has 4096 bytes or more; may be NULL */
sm_status sm_h5_create_contiguous(sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape,
                                  uint64_t *offset);

/** The same as sm_h5_write(), in a file in memory, whose image the caller then writes the values into: they are copied once.
 * \param shape  of SM_H5_PAGE_BYTES or more in all, so that they are aligned
 * \param [out] values  row-major, contents undefined, to be filled before any other call on this file */
sm_status sm_h5_write_in_place(sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape,
                               void **values);

/** Where the bytes of a dataset lie, for sm_file_pread(). SM_ERR_INPUT unless it is contiguous and allocated, of exactly this type, shape and host byte order, and wholly inside the file (else: truncated).
 * \param [out] offset  of its first byte in the file */
sm_status sm_h5_locate(const sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape,
                       uint64_t *offset);

enum { SM_H5_NO_OFFSET = 0 };

/** How rows of a dataset are to be read. SM_ERR_INPUT unless it has this type, in either byte order, and this shape, and can be read: a contiguous one is allocated and wholly inside the file, the filters of a compressed one are known.
 * \param [out] offset  of its first byte where sm_file_pread() reads the values as they are; SM_H5_NO_OFFSET where only sm_h5_read_rows() does: in chunks, compressed, in its header or of the other byte order */
sm_status sm_h5_place(const sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape,
                      uint64_t *offset);

/** Makes an empty dataset that grows by rows: (N) if row_elements is 0, else (N, row_elements).
 * \param chunk_rows  rows that are stored together (and the least that the file grows by) */
sm_status sm_h5_create_rows(sm_h5 *file, const char *object, sm_h5_type type, size_t row_elements, size_t chunk_rows);

/** Appends `count` rows. They are safe after the next sm_h5_flush(). */
sm_status sm_h5_append_rows(sm_h5 *file, const char *object, sm_h5_type type, size_t count, const void *rows);
/** \} */

#ifdef __cplusplus
}
#endif
#endif
