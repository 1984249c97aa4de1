#include "io/h5_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <string.h>

static const char TEXTS_CHECKSUM[] = "crc32c"; /* an attribute */

/* ---- making ------------------------------------------------------------------------------------------------------ */

/* A new dataset; `largest` NULL: it does not grow. Takes the creation properties over. */
static hid_t new_dataset(sm_h5 *file, const char *object, hid_t type, int rank, const hsize_t *shape,
                         const hsize_t *largest, hid_t properties)
{
    hid_t space = rank ? H5Screate_simple(rank, shape, largest) : H5Screate(H5S_SCALAR);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t id = H5Dcreate2(file->id, object, type, space, links, properties, H5P_DEFAULT);
    if (id < 0) {
        sm_h5_fail_write(file, object, "the dataset cannot be made");
    }
    H5Pclose(links);
    H5Sclose(space);
    H5Pclose(properties);
    return id;
}

static void widen(int rank, const size_t *shape, hsize_t *out)
{
    assert(rank >= 0 && rank <= SM_H5_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        out[i] = shape[i];
    }
}

/* Closing can be what writes; an earlier failure keeps its message. */
static sm_status close_written(sm_h5 *file, const char *object, hid_t id, sm_status status)
{
    if (H5Dclose(id) < 0 && status == SM_OK) {
        return sm_h5_fail_write(file, object, "cannot be written");
    }
    return status;
}

/* Writes `data` as a whole new dataset of HDF5 type `type`. */
static sm_status write_whole(sm_h5 *file, const char *object, hid_t type, int rank, const size_t *shape,
                             const void *data)
{
    hsize_t wide[SM_H5_MAX_RANK];
    widen(rank, shape, wide);
    sm_status status = sm_h5_writable(file);
    if (status != SM_OK) {
        return status;
    }
    hid_t id = new_dataset(file, object, type, rank, wide, NULL, sm_h5_timeless(H5P_DATASET_CREATE));
    if (id < 0) {
        return SM_ERR_WRITE;
    }
    if (H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        status = sm_h5_fail_write(file, object, "cannot be written");
    }
    return close_written(file, object, id, status);
}

sm_status sm_h5_write(sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape, const void *data)
{
    SM_H5_LOCKED;
    assert(type < SM_H5_TEXT);
    return write_whole(file, object, sm_h5_native(type), rank, shape, data);
}

/* HDF5 allocates with the first write, be it of one element. That is the last, up to which the memory then reaches.
 * \return where the first one lies in the file, or HADDR_UNDEF */
static haddr_t write_last(hid_t id, hid_t type, int rank, const hsize_t *shape, const void *element)
{
    static const hsize_t one[SM_H5_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    hsize_t last[SM_H5_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        last[i] = shape[i] - 1;
    }
    hid_t space = H5Dget_space(id), memory = H5Screate(H5S_SCALAR);
    herr_t result = H5Sselect_hyperslab(space, H5S_SELECT_SET, last, NULL, one, NULL);
    result = result < 0 ? result : H5Dwrite(id, type, memory, space, H5P_DEFAULT, element);
    haddr_t offset = result < 0 ? HADDR_UNDEF : H5Dget_offset(id);
    H5Sclose(memory);
    H5Sclose(space);
    return offset;
}

/* The dataset is closed, so that HDF5 holds nothing of it back, before the values are written where HDF5 does not see it. */
sm_status sm_h5_write_in_place(sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape,
                               void **values)
{
    SM_H5_LOCKED;
    static const char zeros[8];
    hsize_t wide[SM_H5_MAX_RANK];
    widen(rank, shape, wide);
    assert(file->memory && rank > 0);
    sm_status status = sm_h5_writable(file);
    if (status != SM_OK) {
        return status;
    }
    hid_t id = new_dataset(file, object, sm_h5_native(type), rank, wide, NULL, sm_h5_timeless(H5P_DATASET_CREATE));
    if (id < 0) {
        return SM_ERR_WRITE;
    }
    haddr_t offset = write_last(id, sm_h5_native(type), rank, wide, zeros);
    if (offset == HADDR_UNDEF) {
        status = sm_h5_fail_write(file, object, "cannot be written");
    }
    status = close_written(file, object, id, status);
    *values = (char *)file->memory->block + offset;
    return status;
}

sm_status sm_h5_write_texts(sm_h5 *file, const char *object, const char *const *texts, size_t count)
{
    SM_H5_LOCKED;
    sm_h5_text_array array = sm_h5_texts_to_write(file, 0, texts, count);
    sm_status status = write_whole(file, object, array.type, 1, &count, array.data);
    sm_h5_text_array_free(&array);
    return status == SM_OK
               ? sm_h5_write_attribute_int64(file, object, TEXTS_CHECKSUM, sm_h5_texts_checksum(texts, count))
               : status;
}

sm_status sm_h5_create_contiguous(sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape,
                                  uint64_t *offset)
{
    SM_H5_LOCKED;
    hsize_t wide[SM_H5_MAX_RANK];
    widen(rank, shape, wide);
    sm_status status = sm_h5_writable(file);
    if (status != SM_OK) {
        return status;
    }
    hid_t properties = sm_h5_timeless(H5P_DATASET_CREATE);
    H5Pset_layout(properties, H5D_CONTIGUOUS);
    H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
    hid_t id = new_dataset(file, object, sm_h5_native(type), rank, wide, NULL, properties);
    if (id < 0) {
        return SM_ERR_WRITE;
    }
    if (offset) {
        *offset = H5Dget_offset(id);
    }
    return close_written(file, object, id, status);
}

sm_status sm_h5_create_rows(sm_h5 *file, const char *object, sm_h5_type type, size_t row_elements, size_t chunk_rows)
{
    SM_H5_LOCKED;
    int rank = row_elements > 0 ? 2 : 1;
    hsize_t shape[2] = {0, row_elements}, largest[2] = {H5S_UNLIMITED, row_elements};
    hsize_t chunk[2] = {chunk_rows, row_elements};
    sm_status status = sm_h5_writable(file);
    if (status != SM_OK) {
        return status;
    }
    hid_t properties = sm_h5_timeless(H5P_DATASET_CREATE);
    H5Pset_chunk(properties, rank, chunk);
    hid_t id = new_dataset(file, object, sm_h5_native(type), rank, shape, largest, properties);
    return id < 0 ? SM_ERR_WRITE : close_written(file, object, id, status);
}

sm_status sm_h5_append_rows(sm_h5 *file, const char *object, sm_h5_type type, size_t count, const void *rows)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    sm_h5_array array = {0};
    hid_t memory = -1;

    SM_TRY(sm_h5_writable(file));
    if (count == 0) {
        goto done;
    }
    hid_t id = H5Dopen2(file->id, object, H5P_DEFAULT);
    if (id < 0) {
        status = sm_h5_fail_write(file, object, "no such dataset to append to");
        goto done;
    }
    SM_TRY(sm_h5_array_new(file, object, id, 0, &array));
    assert((array.rank == 1 || array.rank == 2) && "rows of a dataset from sm_h5_create_rows()");
    hsize_t first[2] = {array.shape[0], 0}, added[2] = {count, array.shape[1]};
    hsize_t grown[2] = {array.shape[0] + count, array.shape[1]};
    if (H5Dset_extent(id, grown) < 0) {
        status = sm_h5_fail_write(file, object, "cannot be extended");
        goto done;
    }
    H5Sclose(array.space);
    array.space = H5Dget_space(id);
    H5Sselect_hyperslab(array.space, H5S_SELECT_SET, first, NULL, added, NULL);
    memory = H5Screate_simple(array.rank, added, NULL);
    if (H5Dwrite(id, sm_h5_native(type), memory, array.space, H5P_DEFAULT, rows) < 0) {
        status = sm_h5_fail_write(file, object, "cannot be written");
        goto done;
    }
    array.id = 0;
    status = close_written(file, object, id, SM_OK); /* the chunk leaves HDF5's cache here */
done:
    if (memory >= 0) {
        H5Sclose(memory);
    }
    sm_h5_array_free(&array);
    return status;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Which of the open files an object lies in; links lead into others. */
static unsigned long file_number(hid_t object)
{
    H5O_info_t info = {0};
#if H5_VERSION_GE(1, 12, 0)
    H5Oget_info3(object, &info, H5O_INFO_BASIC);
#else
    H5Oget_info2(object, &info, H5O_INFO_BASIC);
#endif
    return info.fileno;
}

/* Refuses what lies elsewhere: places and sizes in other files are not this file's. */
static sm_status check_home(const sm_h5 *file, const char *object, hid_t id, hid_t properties)
{
    if (file_number(id) != file_number(file->id)) {
        char home[512] = "";
        H5Fget_name(id, home, sizeof home);
        return sm_fail(SM_ERR_INPUT,
                       "%s: %s: lies in another file, %s, where a link leads; expected in this one: open that file, or "
                       "copy the contents (h5copy -f ext)",
                       file->path, object, home);
    }
    if (H5Pget_layout(properties) == H5D_VIRTUAL || H5Pget_external_count(properties) > 0) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: %s: its values are kept in other files (%s), expected in this one: copy them (h5repack -l "
                       "CONTI %s NEW.h5)",
                       file->path, object,
                       H5Pget_layout(properties) == H5D_VIRTUAL ? "a virtual dataset" : "external storage", file->path);
    }
    return SM_OK;
}

/* Refuses a shape that cannot be what is stored, before anybody makes room for it. */
static sm_status check_bytes(const sm_h5 *file, const char *object, const sm_h5_array *array, hid_t properties)
{
    enum { DEFLATE_MOST = 1032, UNWRITTEN_BYTES = 1 << 20 }; /* HDF5 fills in what was never written */
    hsize_t stored = H5Dget_storage_size(array->id), file_bytes = 0;
    size_t bytes = 0;
    H5Fget_filesize(file->id, &file_bytes);
    hsize_t most =
        (stored < file_bytes ? stored : file_bytes) *
            (H5Pget_layout(properties) == H5D_CHUNKED && H5Pget_nfilters(properties) > 0 ? DEFLATE_MOST : 1) +
        UNWRITTEN_BYTES;
    /* A row is a sample, a step or a name, of which something else is kept in memory. */
    int has_rows_without_bytes = array->rank > 0 && array->shape[0] > file_bytes + UNWRITTEN_BYTES;
    if (has_rows_without_bytes || __builtin_mul_overflow(array->count, H5Tget_size(array->type), &bytes) ||
        bytes > most) {
        char found[SM_H5_DESCRIPTION_BYTES];
        return sm_fail(SM_ERR_INPUT,
                       "%s: %s: found %s, but only %llu bytes are stored (in a file of %llu): damaged, or "
                       "never written",
                       file->path, object, sm_h5_describe(array->type, array->rank, array->shape, found),
                       (unsigned long long)stored, (unsigned long long)file_bytes);
    }
    return SM_OK;
}

sm_status sm_h5_open_dataset(const sm_h5 *file, const char *object, sm_h5_array *array)
{
    sm_status status = SM_OK;
    hid_t properties = -1;
    *array = (sm_h5_array){0};
    if (!sm_h5_has_dataset(file, object)) {
        return sm_fail(SM_ERR_INPUT, "%s: %s: there is no such dataset", file->path, object);
    }
    hid_t id = H5Dopen2(file->id, object, H5P_DEFAULT);
    if (id < 0) {
        return sm_h5_fail(file, SM_ERR_INPUT, object, "the dataset cannot be opened");
    }
    SM_TRY(sm_h5_array_new(file, object, id, 0, array));
    properties = H5Dget_create_plist(id);
    SM_TRY(check_home(file, object, id, properties));
    SM_TRY(check_bytes(file, object, array, properties));
done:
    if (properties >= 0) {
        H5Pclose(properties);
    }
    return status;
}

sm_status sm_h5_query(const sm_h5 *file, const char *object, sm_h5_info *info)
{
    SM_H5_LOCKED;
    sm_h5_array array;
    sm_status status = sm_h5_open_dataset(file, object, &array);
    if (status == SM_OK) {
        *info = (sm_h5_info){.type = sm_h5_type_of(array.type), .rank = array.rank, .count = array.count};
        for (int i = 0; i < array.rank; i++) {
            info->shape[i] = (size_t)array.shape[i];
        }
    }
    sm_h5_array_free(&array);
    return status;
}

static int same_shape(const sm_h5_array *array, int rank, const size_t *shape)
{
    int same = array->rank == rank && (rank > 0 || array->count == 1); /* HDF5 also has scalars without a value */
    for (int i = 0; i < rank && same; i++) {
        same = array->shape[i] == shape[i];
    }
    return same;
}

/* Does every value of the file's type fit the type asked for (floating point: up to rounding)? */
static int converts_to(hid_t type, sm_h5_type wanted)
{
    hid_t native = sm_h5_native(wanted);
    H5T_class_t class = H5Tget_class(type);
    if (class != H5Tget_class(native) || class == H5T_FLOAT) {
        return class == H5Tget_class(native);
    }
    int is_signed = H5Tget_sign(type) == H5T_SGN_2, wants_signed = H5Tget_sign(native) == H5T_SGN_2;
    size_t bits = 8 * H5Tget_size(type) - (size_t)is_signed, room = 8 * H5Tget_size(native) - (size_t)wants_signed;
    return bits <= room && (wants_signed || !is_signed);
}

static sm_status unexpected(const sm_h5 *file, const char *object, const sm_h5_array *array, sm_h5_type type, int rank,
                            const size_t *shape)
{
    char expected[SM_H5_DESCRIPTION_BYTES], found[SM_H5_DESCRIPTION_BYTES];
    return sm_fail(SM_ERR_INPUT, "%s: %s: expected %s, found %s", file->path, object,
                   sm_h5_describe_ours(type, rank, shape, expected),
                   sm_h5_describe(array->type, array->rank, array->shape, found));
}

sm_status sm_h5_read(const sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape, void *data)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    sm_h5_array array;

    assert(type < SM_H5_TEXT);
    SM_TRY(sm_h5_open_dataset(file, object, &array));
    if (!same_shape(&array, rank, shape) || !converts_to(array.type, type)) {
        status = unexpected(file, object, &array, type, rank, shape);
    } else if (sm_h5_array_read(&array, sm_h5_native(type), data) < 0) {
        status = sm_h5_fail(file, SM_ERR_INPUT, object, "cannot be read");
    }
done:
    sm_h5_array_free(&array);
    return status;
}

/* Reads rows of an array that has them. */
static sm_status read_rows(const sm_h5 *file, const char *object, sm_h5_array *array, sm_h5_type type, size_t first,
                           size_t count, void *data)
{
    hsize_t start[SM_H5_MAX_RANK] = {first}, extent[SM_H5_MAX_RANK];
    memcpy(extent, array->shape, sizeof extent);
    extent[0] = count;
    H5Sselect_hyperslab(array->space, H5S_SELECT_SET, start, NULL, extent, NULL);
    hid_t memory = H5Screate_simple(array->rank, extent, NULL);
    herr_t result = H5Dread(array->id, sm_h5_native(type), memory, array->space, H5P_DEFAULT, data);
    sm_status status = result < 0 ? sm_h5_fail(file, SM_ERR_INPUT, object, "cannot be read") : SM_OK;
    H5Sclose(memory);
    return status;
}

sm_status sm_h5_read_rows(const sm_h5 *file, const char *object, sm_h5_type type, size_t first, size_t count,
                          size_t row_elements, void *data)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    sm_h5_array array;
    char found[SM_H5_DESCRIPTION_BYTES];

    assert(type < SM_H5_TEXT);
    SM_TRY(sm_h5_open_dataset(file, object, &array));
    sm_h5_describe(array.type, array.rank, array.shape, found);
    size_t elements = 1;
    for (int i = 1; i < array.rank; i++) {
        elements *= (size_t)array.shape[i];
    }
    if (array.rank < 1 || elements != row_elements || !converts_to(array.type, type)) {
        const size_t row[2] = {(size_t)array.shape[0], row_elements};
        status = unexpected(file, object, &array, type, 1 + (row_elements > 1), row);
    } else if (first > array.shape[0] || count > array.shape[0] - first) {
        status = sm_fail(SM_ERR_INPUT, "%s: %s: rows %zu .. %zu expected, found %s", file->path, object, first,
                         first + count - 1, found);
    } else if (count > 0) {
        status = read_rows(file, object, &array, type, first, count, data);
    }
done:
    sm_h5_array_free(&array);
    return status;
}

sm_status sm_h5_chunk_rows(const sm_h5 *file, const char *object, size_t *rows)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    sm_h5_array array;
    hsize_t chunk[SM_H5_MAX_RANK] = {1};
    SM_TRY(sm_h5_open_dataset(file, object, &array));
    hid_t properties = H5Dget_create_plist(array.id);
    if (H5Pget_layout(properties) == H5D_CHUNKED) {
        H5Pget_chunk(properties, SM_H5_MAX_RANK, chunk);
    }
    H5Pclose(properties);
    *rows = chunk[0] > 0 ? (size_t)chunk[0] : 1;
done:
    sm_h5_array_free(&array);
    return status;
}

static sm_status check_texts(const sm_h5 *file, const char *object, const char *const *texts, size_t count)
{
    sm_status status = SM_OK;
    int64_t expected = 0;
    if (!sm_h5_has_attribute(file, object, TEXTS_CHECKSUM)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_read_attribute_int64(file, object, TEXTS_CHECKSUM, &expected));
    uint32_t found = sm_h5_texts_checksum(texts, count);
    if (found != expected) {
        status = sm_fail(SM_ERR_INPUT, "%s: %s is damaged: CRC32C %08x, %08x expected", file->path, object, found,
                         (unsigned)expected);
    }
done:
    return status;
}

sm_status sm_h5_read_texts(const sm_h5 *file, const char *object, char ***texts, size_t *count)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    sm_h5_array array;
    char **found = NULL;

    SM_TRY(sm_h5_open_dataset(file, object, &array));
    if (array.rank != 1 || H5Tget_class(array.type) != H5T_STRING) {
        char is[SM_H5_DESCRIPTION_BYTES];
        status = sm_fail(SM_ERR_INPUT, "%s: %s: expected a list of texts, found %s", file->path, object,
                         sm_h5_describe(array.type, array.rank, array.shape, is));
        goto done;
    }
    SM_TRY(sm_h5_array_read_texts(file, object, &array, &found));
    SM_TRY(check_texts(file, object, (const char *const *)found, array.count));
    *texts = found;
    *count = array.count;
    found = NULL;
done:
    sm_free(found);
    sm_h5_array_free(&array);
    return status;
}

/* Layout, allocation and place of a dataset whose type and shape are right. */
static sm_status locate(const sm_h5 *file, const char *object, const sm_h5_array *array, uint64_t *offset)
{
    sm_status status = SM_OK;
    uint64_t file_bytes = 0, bytes = (uint64_t)array->count * H5Tget_size(array->type);
    hid_t properties = H5Dget_create_plist(array->id);
    H5D_layout_t layout = H5Pget_layout(properties);
    const char *problem =
        layout == H5D_CHUNKED
            ? H5Pget_nfilters(properties) > 0 ? "it is stored in chunks and compressed" : "it is stored in chunks"
        : layout == H5D_COMPACT                   ? "it is stored in its header"
        : H5Dget_storage_size(array->id) != bytes ? "its space was never allocated"
                                                  : NULL;
    H5Pclose(properties);
    if (problem) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: %s: expected a contiguous dataset, but %s; 'h5repack -l CONTI -f NONE %s NEW.h5' rewrites "
                       "the file so",
                       file->path, object, problem, file->path);
    }
    SM_TRY(sm_file_size(file->path, &file_bytes));
    *offset = bytes > 0 ? H5Dget_offset(array->id) : 0;
    if (*offset > file_bytes || bytes > file_bytes - *offset) {
        status = sm_fail(SM_ERR_INPUT, "%s: %s: truncated: bytes %llu .. %llu expected, but the file has only %llu",
                         file->path, object, (unsigned long long)*offset, (unsigned long long)(*offset + bytes),
                         (unsigned long long)file_bytes);
    }
done:
    return status;
}

sm_status sm_h5_locate(const sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape,
                       uint64_t *offset)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    sm_h5_array array;

    assert(type < SM_H5_TEXT);
    SM_TRY(sm_h5_open_dataset(file, object, &array));
    if (!same_shape(&array, rank, shape) || H5Tequal(array.type, sm_h5_native(type)) <= 0) {
        status = unexpected(file, object, &array, type, rank, shape);
        goto done;
    }
    SM_TRY(locate(file, object, &array, offset));
done:
    sm_h5_array_free(&array);
    return status;
}

/* Refuses what only plug-ins could decompress. */
static sm_status check_filters(const sm_h5 *file, const char *object, hid_t properties)
{
    for (int i = 0; i < H5Pget_nfilters(properties); i++) {
        char name[64] = "";
        unsigned flags, configuration;
        size_t values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(properties, (unsigned)i, &flags, &values, NULL, sizeof name, name, &configuration);
        if (H5Zfilter_avail(filter) <= 0) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: %s: compressed by filter %d (%s), which this HDF5 does not have; 'h5repack -f NONE %s "
                           "NEW.h5', where HDF5 has it, rewrites the file without",
                           file->path, object, (int)filter, name, file->path);
        }
    }
    return SM_OK;
}

sm_status sm_h5_place(const sm_h5 *file, const char *object, sm_h5_type type, int rank, const size_t *shape,
                      uint64_t *offset)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    hid_t properties = -1;
    sm_h5_array array;

    assert(type < SM_H5_TEXT);
    SM_TRY(sm_h5_open_dataset(file, object, &array));
    properties = H5Dget_create_plist(array.id);
    if (!same_shape(&array, rank, shape) || sm_h5_type_of(array.type) != type) {
        status = unexpected(file, object, &array, type, rank, shape);
        goto done;
    }
    if (H5Pget_layout(properties) == H5D_CONTIGUOUS) {
        SM_TRY(locate(file, object, &array, offset));
    } else {
        SM_TRY(check_filters(file, object, properties));
        *offset = SM_H5_NO_OFFSET;
    }
    if (H5Tequal(array.type, sm_h5_native(type)) <= 0) {
        *offset = SM_H5_NO_OFFSET;
    }
done:
    if (properties >= 0) {
        H5Pclose(properties);
    }
    sm_h5_array_free(&array);
    return status;
}
