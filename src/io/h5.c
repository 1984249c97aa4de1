/* Files, groups, and what attributes and datasets share. */
#define _POSIX_C_SOURCE 200809L
#include "io/h5_private.h"

#include "io/string_list.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Few HDF5 are built thread-safe, and Debian's is not. */
static pthread_mutex_t lock;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A program that uses HDF5 itself may have started it: then its exit handler stays. */
static void start(void)
{
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
    H5dont_atexit();
    if (H5open() < 0) {
        sm_abort("HDF5 does not start");
    }
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

/* HDF5 prints its errors on the thread that meets them unless that thread has told it not to. */
static void silence(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

int sm_h5_enter(void)
{
    static _Thread_local int is_silent;
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    if (!is_silent) {
        is_silent = 1;
        silence();
    }
    return 1;
}

void sm_h5_leave(const int *is_inside)
{
    (void)is_inside;
    pthread_mutex_unlock(&lock);
}

void sm_h5_begin(void)
{
    pthread_once(&once, start);
    silence();
}

const char *sm_h5_library_version(void)
{
    static char text[32];
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    return text;
}

/* ---- failing ----------------------------------------------------------------------------------------------------- */

enum { REASON_BYTES = 1024 };

static herr_t keep_first(unsigned position, const H5E_error2_t *error, void *user)
{
    (void)position;
    char *out = user;
    if (!*out && error->desc) {
        snprintf(out, REASON_BYTES, "%s", error->desc);
    }
    return 0;
}

/* HDF5's innermost reason on one line; of a failed system call only the system's own words. */
static const char *innermost_reason(char reason[REASON_BYTES])
{
    static const char mark[] = "error message = '";
    *reason = '\0';
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, reason);
    char *words = strstr(reason, mark);
    if (words) {
        words += strlen(mark);
        words[strcspn(words, "'")] = '\0';
        return words;
    }
    for (char *c = reason; (c = strchr(c, '\n'));) {
        *c = ' ';
    }
    return reason;
}

sm_status sm_h5_fail(const sm_h5 *file, sm_status status, const char *object, const char *what)
{
    char room[REASON_BYTES];
    const char *reason = innermost_reason(room);
    return sm_fail(status, "%s: %s%s%s%s%s%s", file->path, object ? object : "", object ? ": " : "", what,
                   *reason ? " (HDF5: " : "", reason, *reason ? ")" : "");
}

sm_status sm_h5_fail_write(sm_h5 *file, const char *object, const char *what)
{
    sm_h5_fail(file, SM_ERR_WRITE, object, what);
    if (file->failed == SM_OK) {
        file->failed = SM_ERR_WRITE;
        file->failure = sm_strdup(sm_error_message());
    }
    return SM_ERR_WRITE;
}

sm_status sm_h5_writable(const sm_h5 *file)
{
    return file->failed == SM_OK ? SM_OK : sm_fail(file->failed, "%s", file->failure);
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t bytes;
    H5T_class_t class;
    H5T_sign_t sign;
} types[] = {
    [SM_H5_HALF] = {"float16", 2, H5T_FLOAT, H5T_SGN_ERROR},   [SM_H5_FLOAT] = {"float32", 4, H5T_FLOAT, H5T_SGN_ERROR},
    [SM_H5_DOUBLE] = {"float64", 8, H5T_FLOAT, H5T_SGN_ERROR}, [SM_H5_INT64] = {"int64", 8, H5T_INTEGER, H5T_SGN_2},
    [SM_H5_INT32] = {"int32", 4, H5T_INTEGER, H5T_SGN_2},      [SM_H5_INT16] = {"int16", 2, H5T_INTEGER, H5T_SGN_2},
    [SM_H5_U8] = {"uint8", 1, H5T_INTEGER, H5T_SGN_NONE},      [SM_H5_U16] = {"uint16", 2, H5T_INTEGER, H5T_SGN_NONE},
    [SM_H5_U32] = {"uint32", 4, H5T_INTEGER, H5T_SGN_NONE},    [SM_H5_TEXT] = {"text", 0, H5T_STRING, H5T_SGN_ERROR},
    [SM_H5_OTHER] = {"other", 0, H5T_NO_CLASS, H5T_SGN_ERROR},
};

static const char *const class_names[] = {
    [H5T_INTEGER] = "int",          [H5T_FLOAT] = "float",         [H5T_TIME] = "time",
    [H5T_STRING] = "text",          [H5T_BITFIELD] = "bitfield",   [H5T_OPAQUE] = "opaque",
    [H5T_COMPOUND] = "compound",    [H5T_REFERENCE] = "reference", [H5T_ENUM] = "enum",
    [H5T_VLEN] = "variable-length", [H5T_ARRAY] = "array",
};

size_t sm_h5_type_bytes(sm_h5_type type)
{
    return types[type].bytes;
}

/* HDF5 has no name for it; made once, as h5py writes it. */
static hid_t half_type(void)
{
    static hid_t type;
    if (type == 0) {
        type = H5Tcopy(H5T_IEEE_F32LE);
        H5Tset_fields(type, 15, 10, 5, 0, 10);
        H5Tset_size(type, 2);
        H5Tset_ebias(type, 15);
    }
    return type;
}

hid_t sm_h5_native(sm_h5_type type)
{
    if (type == SM_H5_HALF) {
        return half_type();
    }
    const hid_t native[] = {
        [SM_H5_INT16] = H5T_NATIVE_INT16, [SM_H5_FLOAT] = H5T_NATIVE_FLOAT, [SM_H5_DOUBLE] = H5T_NATIVE_DOUBLE,
        [SM_H5_INT64] = H5T_NATIVE_INT64, [SM_H5_INT32] = H5T_NATIVE_INT32, [SM_H5_U8] = H5T_NATIVE_UINT8,
        [SM_H5_U16] = H5T_NATIVE_UINT16,  [SM_H5_U32] = H5T_NATIVE_UINT32,
    };
    return native[type];
}

sm_h5_type sm_h5_type_of(hid_t type)
{
    H5T_class_t class = H5Tget_class(type);
    for (int i = 0; i < SM_H5_TEXT; i++) {
        if (class == types[i].class && H5Tget_size(type) == types[i].bytes &&
            (class != H5T_INTEGER || H5Tget_sign(type) == types[i].sign)) {
            return (sm_h5_type)i;
        }
    }
    return class == H5T_STRING ? SM_H5_TEXT : SM_H5_OTHER;
}

static void append_shape(char *out, int rank, const hsize_t *shape)
{
    size_t length = strlen(out);
    for (int i = 0; i < rank && length < SM_H5_DESCRIPTION_BYTES - 32; i++) {
        length += (size_t)snprintf(out + length, SM_H5_DESCRIPTION_BYTES - length, "%s%llu", i ? ", " : " (",
                                   (unsigned long long)shape[i]);
    }
    snprintf(out + length, SM_H5_DESCRIPTION_BYTES - length, "%s", rank ? ")" : " (scalar)");
}

const char *sm_h5_describe(hid_t type, int rank, const hsize_t *shape, char out[SM_H5_DESCRIPTION_BYTES])
{
    H5T_class_t class = H5Tget_class(type);
    if (class == H5T_INTEGER || class == H5T_FLOAT) {
        int is_foreign = H5Tget_size(type) > 1 && H5Tget_order(type) != H5Tget_order(H5T_NATIVE_INT);
        snprintf(out, SM_H5_DESCRIPTION_BYTES, "%s%s%s%zu", is_foreign ? "byte-swapped " : "",
                 class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "", class_names[class],
                 8 * H5Tget_size(type));
    } else {
        snprintf(out, SM_H5_DESCRIPTION_BYTES, "%s", class >= 0 && class < H5T_NCLASSES ? class_names[class] : "?");
    }
    append_shape(out, rank, shape);
    return out;
}

const char *sm_h5_describe_ours(sm_h5_type type, int rank, const size_t *shape, char out[SM_H5_DESCRIPTION_BYTES])
{
    hsize_t wide[SM_H5_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++) {
        wide[i] = shape[i];
    }
    snprintf(out, SM_H5_DESCRIPTION_BYTES, "%s", types[type].name);
    append_shape(out, rank, wide);
    return out;
}

/* ---- arrays: attributes and datasets ------------------------------------------------------------------------------ */

sm_status sm_h5_array_new(const sm_h5 *file, const char *object, hid_t id, int is_attribute, sm_h5_array *array)
{
    *array = (sm_h5_array){.id = id, .is_attribute = is_attribute};
    array->type = is_attribute ? H5Aget_type(id) : H5Dget_type(id);
    array->space = is_attribute ? H5Aget_space(id) : H5Dget_space(id);
    if (array->type < 0 || array->space < 0) {
        return sm_h5_fail(file, SM_ERR_INPUT, object, "its type and shape cannot be read");
    }
    array->rank = H5Sget_simple_extent_ndims(array->space);
    if (array->rank > SM_H5_MAX_RANK) {
        return sm_fail(SM_ERR_INPUT, "%s: %s: %d dimensions found, at most %d expected", file->path, object,
                       array->rank, SM_H5_MAX_RANK);
    }
    H5Sget_simple_extent_dims(array->space, array->shape, NULL);
    array->count = H5Sget_simple_extent_type(array->space) != H5S_NULL;
    for (int i = 0; i < array->rank; i++) {
        /* 2^60 elements of any type still count in size_t as bytes of 8. */
        if (__builtin_mul_overflow(array->count, array->shape[i], &array->count) || array->count >> 60) {
            char found[SM_H5_DESCRIPTION_BYTES];
            return sm_fail(SM_ERR_INPUT, "%s: %s: impossible shape, found %s", file->path, object,
                           sm_h5_describe(array->type, array->rank, array->shape, found));
        }
    }
    return SM_OK;
}

void sm_h5_array_free(sm_h5_array *array)
{
    if (array->space > 0) {
        H5Sclose(array->space);
    }
    if (array->type > 0) {
        H5Tclose(array->type);
    }
    if (array->id > 0) {
        (array->is_attribute ? H5Aclose : H5Dclose)(array->id);
    }
    *array = (sm_h5_array){0};
}

herr_t sm_h5_array_read(const sm_h5_array *array, hid_t memory_type, void *data)
{
    if (array->count == 0) {
        return 0;
    }
    return array->is_attribute ? H5Aread(array->id, memory_type, data)
                               : H5Dread(array->id, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

sm_h5 *sm_h5_new_file(const char *path, hid_t id)
{
    sm_h5 *file = sm_alloc_zeroed(sizeof *file);
    file->path = sm_strdup(path);
    file->id = id;
    return file;
}

void sm_h5_free_file(sm_h5 *file)
{
    sm_h5_memory_free(&file->own);
    sm_free(file->path);
    sm_free(file->failure);
    sm_free(file);
}

/* SM_ERR_INPUT or SM_ERR_IO with the reason why HDF5 would not open the file, found before asking it to. */
static sm_status check_readable(const char *path)
{
    sm_file *file = NULL;
    sm_status status = sm_file_open_read(path, &file);
    sm_file_close(file);
    if (status == SM_OK && H5Fis_hdf5(path) <= 0) {
        status = sm_fail(SM_ERR_INPUT, "%s: not an HDF5 file", path);
    }
    return status;
}

int sm_h5_is_file(const char *path)
{
    return sm_file_begins_with(path, "\211HDF\r\n\032\n");
}

static sm_status open_file(const char *path, unsigned mode, hid_t access, sm_h5 **out)
{
    sm_status status = check_readable(path);
    status = status == SM_OK ? sm_h5_try(path) : status;
    if (status != SM_OK) {
        return status;
    }
    hid_t id = H5Fopen(path, mode, access);
    if (id < 0) {
        sm_h5 nameless = {.path = (char *)path};
        sm_h5_fail(&nameless, SM_ERR_INPUT, NULL, "");
        const char *kind = strstr(sm_error_message(), "truncated") ? "truncated HDF5 file" : "damaged HDF5 file";
        status = sm_h5_fail(&nameless, SM_ERR_INPUT, NULL, kind);
    } else {
        *out = sm_h5_new_file(path, id);
    }
    return status;
}

sm_status sm_h5_open(const char *path, sm_h5 **out)
{
    SM_H5_LOCKED;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    sm_status status = open_file(path, H5F_ACC_RDONLY, access, out);
    H5Pclose(access);
    return status;
}

hid_t sm_h5_creation_access(sm_h5_format format)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_alignment(access, SM_H5_PAGE_BYTES, SM_H5_PAGE_BYTES);
    if (format == SM_H5_LATEST) {
        /* The first format whose headers carry checksums. From V110 on the superblock also marks a file that is open for
         * writing: that of a killed writer, or the bytes of one in memory, could not be opened. */
        H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    }
    return access;
}

sm_status sm_h5_open_append(const char *path, sm_h5 **out)
{
    SM_H5_LOCKED;
    hid_t access = sm_h5_creation_access(SM_H5_LATEST);
    sm_status status = open_file(path, H5F_ACC_RDWR, access, out);
    H5Pclose(access);
    return status;
}

/* HDF5 opens an image under no name that a file has: it would be the file. */
static sm_status open_image(const char *path, const char *name, void *image, size_t bytes, sm_h5 **out)
{
    sm_status status = SM_OK;
    hid_t access = sm_h5_creation_access(SM_H5_LATEST);
    H5Pset_fapl_core(access, SM_H5_MEMORY_STEP_BYTES, 0);
    hid_t id = H5Pset_file_image(access, image, bytes) < 0 ? -1 : H5Fopen(name, H5F_ACC_RDWR, access);
    if (id < 0) {
        status = sm_h5_fail(&(sm_h5){.path = (char *)path}, SM_ERR_INPUT, NULL, "truncated or damaged HDF5 file");
    } else {
        *out = sm_h5_new_file(path, id);
        (*out)->is_in_memory = 1;
    }
    H5Pclose(access);
    return status;
}

sm_status sm_h5_open_copy(const char *path, sm_h5 **out)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    void *image = NULL;
    size_t bytes;
    char *name = sm_format("%s, a copy in memory", path);
    SM_TRY(check_readable(path));
    SM_TRY(sm_file_read(path, &image, &bytes));
    status = open_image(path, name, image, bytes, out);
done:
    sm_free(image);
    sm_free(name);
    return status;
}

hid_t sm_h5_timeless(hid_t class)
{
    hid_t properties = H5Pcreate(class);
    H5Pset_obj_track_times(properties, 0);
    return properties;
}

sm_status sm_h5_create(const char *path, sm_h5_format format, sm_h5 **out)
{
    SM_H5_LOCKED;
    hid_t access = sm_h5_creation_access(format), timeless = sm_h5_timeless(H5P_FILE_CREATE);
    hid_t id = H5Fcreate(path, H5F_ACC_TRUNC, timeless, access);
    H5Pclose(timeless);
    sm_status status = SM_OK;
    if (id < 0) {
        status = sm_h5_fail(&(sm_h5){.path = (char *)path}, SM_ERR_IO, NULL, "cannot be created");
    } else {
        *out = sm_h5_new_file(path, id);
        (*out)->has_long_attributes = format == SM_H5_LATEST;
    }
    H5Pclose(access);
    return status;
}

sm_status sm_h5_flush(sm_h5 *file)
{
    SM_H5_LOCKED;
    sm_status status = sm_h5_writable(file);
    if (status == SM_OK && H5Fflush(file->id, H5F_SCOPE_GLOBAL) < 0) {
        status = sm_h5_fail_write(file, NULL, "cannot be written");
    }
    return status;
}

sm_status sm_h5_close(sm_h5 *file)
{
    SM_H5_LOCKED;
    if (!file) {
        return SM_OK;
    }
    if (H5Fclose(file->id) < 0 && file->failed == SM_OK) {
        sm_h5_fail_write(file, NULL, "cannot be closed");
    }
    sm_status status = sm_h5_writable(file);
    sm_h5_free_file(file);
    return status;
}

const char *sm_h5_path(const sm_h5 *file)
{
    return file->path;
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static H5I_type_t kind_of(const sm_h5 *file, const char *object)
{
    hid_t id = H5Oopen(file->id, object, H5P_DEFAULT);
    H5I_type_t kind = id < 0 ? H5I_BADID : H5Iget_type(id);
    if (id >= 0) {
        H5Oclose(id);
    }
    return kind;
}

int sm_h5_has_dataset(const sm_h5 *file, const char *object)
{
    SM_H5_LOCKED;
    return kind_of(file, object) == H5I_DATASET;
}

int sm_h5_has_group(const sm_h5 *file, const char *object)
{
    SM_H5_LOCKED;
    return kind_of(file, object) == H5I_GROUP;
}

/* \param [out] has  1 if there is a group of this path in which names can be looked up */
static sm_status find_parent(const sm_h5 *file, const char *group, int *has)
{
    H5I_type_t kind = kind_of(file, group);
    *has = kind == H5I_GROUP;
    return kind == H5I_BADID ? sm_h5_fail(file, SM_ERR_INPUT, group, "the group cannot be opened: damaged") : SM_OK;
}

/* \param [out] is  1 if every group above it is there, and it is linked in the last one */
static sm_status find_link(const sm_h5 *file, const char *object, int *is)
{
    sm_status status = SM_OK;
    char *path = sm_strdup(object);
    *is = 1;
    for (char *end = strchr(path + 1, '/'); *is; end = strchr(end + 1, '/')) {
        if (end) {
            *end = '\0';
        }
        htri_t found = H5Lexists(file->id, path, H5P_DEFAULT);
        if (found < 0) {
            SM_TRY(sm_h5_fail(file, SM_ERR_INPUT, path, "its group cannot be read: damaged"));
        }
        *is = found > 0;
        if (!end) {
            break;
        }
        SM_TRY(*is ? find_parent(file, path, is) : SM_OK);
        *end = '/';
    }
done:
    sm_free(path);
    return status;
}

sm_status sm_h5_find_dataset(const sm_h5 *file, const char *object, int *has)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    int is = 0;
    SM_TRY(find_link(file, object, &is));
    H5I_type_t kind = is ? kind_of(file, object) : H5I_GROUP;
    *has = kind == H5I_DATASET;
    if (kind == H5I_BADID) {
        status = sm_h5_fail(file, SM_ERR_INPUT, object, "cannot be opened: damaged, or a link that leads nowhere");
    }
done:
    return status;
}

typedef struct visit {
    char last[512];
} visit;

static herr_t keep_name(hid_t id, const char *name, const H5O_info_t *info, void *user)
{
    (void)id;
    (void)info;
    visit *v = user;
    snprintf(v->last, sizeof v->last, "%s", name);
    return 0;
}

sm_status sm_h5_check_objects(const sm_h5 *file)
{
    SM_H5_LOCKED;
    visit v = {""};
#if H5_VERSION_GE(1, 12, 0)
    herr_t result = H5Ovisit3(file->id, H5_INDEX_NAME, H5_ITER_NATIVE, keep_name, &v, H5O_INFO_BASIC);
#else
    herr_t result = H5Ovisit2(file->id, H5_INDEX_NAME, H5_ITER_NATIVE, keep_name, &v, H5O_INFO_BASIC);
#endif
    if (result < 0) {
        char *what = sm_format("damaged: what comes behind the object '%s' cannot be opened", v.last);
        sm_status status = sm_h5_fail(file, SM_ERR_INPUT, NULL, what);
        sm_free(what);
        return status;
    }
    return SM_OK;
}

sm_status sm_h5_make_group(sm_h5 *file, const char *group)
{
    SM_H5_LOCKED;
    sm_status status = sm_h5_writable(file);
    if (status != SM_OK || sm_h5_has_group(file, group)) {
        return status;
    }
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t timeless = sm_h5_timeless(H5P_GROUP_CREATE);
    hid_t id = H5Gcreate2(file->id, group, links, timeless, H5P_DEFAULT);
    H5Pclose(timeless);
    if (id < 0) {
        status = sm_h5_fail_write(file, group, "the group cannot be made");
    } else {
        H5Gclose(id);
    }
    H5Pclose(links);
    return status;
}

typedef struct {
    char **names;
    size_t count, capacity;
} name_list;

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    (void)group;
    (void)info;
    name_list *list = user;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->names = sm_realloc(list->names, list->capacity * sizeof *list->names);
    }
    list->names[list->count++] = sm_strdup(name);
    return 0;
}

sm_status sm_h5_list(const sm_h5 *file, const char *group, char ***names, size_t *count)
{
    SM_H5_LOCKED;
    name_list list = {0};
    sm_status status = SM_OK;
    if (!sm_h5_has_group(file, group)) {
        return sm_fail(SM_ERR_INPUT, "%s: %s: there is no such group", file->path, group);
    }
    if (H5Literate_by_name(file->id, group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, add_name, &list, H5P_DEFAULT) < 0) {
        status = sm_h5_fail(file, SM_ERR_INPUT, group, "cannot be listed");
    } else {
        sm_strings_sort(list.names, list.count);
        *names = sm_strings_pack((const char *const *)list.names, list.count);
        *count = list.count;
    }
    for (size_t i = 0; i < list.count; i++) {
        sm_free(list.names[i]);
    }
    sm_free(list.names);
    return status;
}
