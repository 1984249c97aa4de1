/* Texts in attributes and datasets.
 *
 * HDF5 keeps those of variable length in its global heap, which has no checksums, and of which HDF5 1.10 believes every size
 * and index: one wrong byte there, or in a reference to it, makes it read and write beyond its memory. So files of ours have
 * texts of fixed length, and what others (h5py, older versions) have in the heap is found here, without HDF5's code for it:
 * HDF5 only hands the references over, as they are in the file. */
#define _POSIX_C_SOURCE 200809L
#include "io/h5_private.h"

#include "io/string_list.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* An object's header of the earliest format takes no attribute above 64 KiB; in the heap they may be as long as they like. */
enum { HEADER_BYTES_MOST = 60000 };

static hid_t new_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, bytes);
    H5Tset_cset(type, H5T_CSET_UTF8);
    if (bytes != H5T_VARIABLE) {
        H5Tset_strpad(type, H5T_STR_NULLPAD); /* the longest has no zero behind it */
    }
    return type;
}

sm_h5_text_array sm_h5_texts_to_write(const sm_h5 *file, int is_attribute, const char *const *texts, size_t count)
{
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(texts[i]);
        bytes = length > bytes ? length : bytes;
    }
    if (is_attribute && !file->has_long_attributes && count > 0 && bytes > HEADER_BYTES_MOST / count) {
        return (sm_h5_text_array){new_type(H5T_VARIABLE), texts, NULL};
    }
    char *fixed = sm_alloc_zeroed(count * bytes + 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(fixed + i * bytes, texts[i], strlen(texts[i]));
    }
    return (sm_h5_text_array){new_type(bytes), fixed, fixed};
}

uint32_t sm_h5_texts_checksum(const char *const *texts, size_t count)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < count; i++) {
        crc = sm_crc32c(crc, texts[i], strlen(texts[i]) + 1);
    }
    return crc;
}

void sm_h5_text_array_free(sm_h5_text_array *array)
{
    H5Tclose(array->type);
    sm_free(array->owned);
}

/* ---- references to the heap ---------------------------------------------------------------------------------------- */

/* An element of variable length, as the file has it: its length, and which object of which collection of the heap it is. */
typedef struct reference {
    uint64_t address; /* of the collection; 0: nothing was ever written */
    size_t text;      /* its place in the list */
    uint32_t length, object;
} reference;

/* Elements of variable length are bytes of their own here. */
static herr_t keep_as_stored(hid_t from, hid_t to, H5T_cdata_t *data, size_t count, size_t stride, size_t other_stride,
                             void *elements, void *others, hid_t properties)
{
    (void)count, (void)stride, (void)other_stride, (void)elements, (void)others, (void)properties;
    if (data->command != H5T_CONV_INIT) {
        return 0;
    }
    data->need_bkg = H5T_BKG_NO;
    return H5Tget_size(from) == H5Tget_size(to) ? 0 : -1;
}

/* \return HDF5's type of a reference in memory, made once; it converts from texts of variable length.
 * \param bytes  of an address in the file */
static hid_t stored_type(size_t address_bytes)
{
    static hid_t types[sizeof(uint64_t) + 1];
    hid_t *type = &types[address_bytes];
    if (*type == 0) {
        hid_t variable = H5Tvlen_create(H5T_NATIVE_UINT8);
        *type = H5Tcreate(H5T_OPAQUE, 2 * sizeof(uint32_t) + address_bytes);
        H5Tregister(H5T_PERS_SOFT, "as stored", variable, *type, keep_as_stored);
        H5Tclose(variable);
    }
    return *type;
}

static uint64_t little_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = count; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static int by_place(const void *a, const void *b)
{
    const reference *x = a, *y = b;
    return x->address != y->address ? (x->address > y->address) - (x->address < y->address)
                                    : (x->object > y->object) - (x->object < y->object);
}

/* \param [out] references  array->count, sorted by where they lead to; freed with sm_free(), after a failure too */
static sm_status read_references(const sm_h5 *file, const char *object, const sm_h5_array *array, size_t address_bytes,
                                 reference **references)
{
    size_t bytes = 2 * sizeof(uint32_t) + address_bytes;
    uint8_t *stored = sm_alloc_zeroed(array->count * bytes + 1);
    sm_status status = SM_OK;
    *references = sm_alloc((array->count + 1) * sizeof **references);
    if (sm_h5_array_read(array, stored_type(address_bytes), stored) < 0) {
        status = sm_h5_fail(file, SM_ERR_INPUT, object, "cannot be read");
    } else {
        for (size_t i = 0; i < array->count; i++) {
            const uint8_t *at = stored + i * bytes;
            (*references)[i] = (reference){.length = (uint32_t)little_endian(at, sizeof(uint32_t)),
                                           .address = little_endian(at + 4, address_bytes),
                                           .object = (uint32_t)little_endian(at + 4 + address_bytes, 4),
                                           .text = i};
        }
        qsort(*references, array->count, sizeof **references, by_place);
    }
    sm_free(stored);
    return status;
}

/* ---- the heap, by HDF5's File Format Specification 3.0, III.E -------------------------------------------------------- */

/* What is read of it, and how. */
typedef struct heap {
    const sm_h5 *file;
    const char *object; /* for messages */
    int descriptor;     /* the one that HDF5 reads by: the path may be another file by now */
    uint64_t base, file_bytes;
    size_t address_bytes, size_bytes; /* of addresses and sizes in the file */
    uint64_t read_bytes, text_bytes;  /* so far: neither is more than the file has */
    char **texts;
} heap;

static sm_status fail_heap(const heap *h, const char *what)
{
    return sm_fail(SM_ERR_INPUT, "%s: %s: damaged: %s", h->file->path, h->object, what);
}

static sm_status open_heap(heap *h)
{
    sm_status status = SM_OK;
    int *descriptor = NULL;
    hsize_t user_block = 0;
    struct stat state;
    hid_t properties = H5Fget_create_plist(h->file->id), access = H5Fget_access_plist(h->file->id);
    H5Pget_sizes(properties, &h->address_bytes, &h->size_bytes);
    H5Pget_userblock(properties, &user_block);
    h->base = user_block;
    if (H5Pget_driver(access) != H5FD_SEC2 || h->address_bytes > sizeof(uint64_t) || h->size_bytes > sizeof(uint64_t) ||
        H5Fflush(h->file->id, H5F_SCOPE_LOCAL) < 0 ||
        H5Fget_vfd_handle(h->file->id, H5P_DEFAULT, (void **)&descriptor) < 0 || fstat(*descriptor, &state) != 0) {
        status = sm_h5_fail(h->file, SM_ERR_INPUT, h->object, "its texts cannot be had");
    } else {
        h->descriptor = *descriptor;
        h->file_bytes = (uint64_t)state.st_size;
    }
    H5Pclose(access);
    H5Pclose(properties);
    return status;
}

static sm_status read_bytes(const heap *h, uint64_t address, size_t bytes, uint8_t *out)
{
    if (address > h->file_bytes || h->base > h->file_bytes - address || bytes > h->file_bytes - h->base - address) {
        return fail_heap(h, "a text is said to lie beyond the end of the file");
    }
    for (size_t done = 0; done < bytes;) {
        ssize_t count = pread(h->descriptor, out + done, bytes - done, (off_t)(h->base + address + done));
        if (count == 0 || (count < 0 && errno != EINTR)) {
            return sm_fail(SM_ERR_IO, "%s: %s: %s", h->file->path, h->object,
                           count == 0 ? "the file has become shorter" : strerror(errno));
        }
        done += count > 0 ? (size_t)count : 0;
    }
    return SM_OK;
}

/* Reads the collection at an address. \param [out] collection  freed with sm_free() */
static sm_status read_collection(heap *h, uint64_t address, uint8_t **collection, size_t *bytes)
{
    enum { HEAD_MOST = 16 };
    sm_status status = SM_OK;
    uint8_t head[HEAD_MOST];
    SM_TRY(read_bytes(h, address, 8 + h->size_bytes, head));
    uint64_t size = little_endian(head + 8, h->size_bytes);
    if (memcmp(head, "GCOL\1", 5) != 0 || size < 8 + h->size_bytes) {
        SM_TRY(fail_heap(h, "where a text is said to lie, there are none"));
    }
    if (size > h->file_bytes - h->read_bytes) {
        SM_TRY(fail_heap(h, "its texts are said to lie in more bytes than the file has"));
    }
    h->read_bytes += size;
    *bytes = (size_t)size;
    *collection = sm_alloc(*bytes);
    SM_TRY(read_bytes(h, address, *bytes, *collection));
done:
    return status;
}

static sm_status take_text(heap *h, const reference *r, const uint8_t *text, uint64_t bytes)
{
    if (r->length > bytes) {
        return fail_heap(h, "a text is shorter than it is said to be");
    }
    if (r->length > h->file_bytes - h->text_bytes) {
        return fail_heap(h, "its texts are said to be longer than the file");
    }
    h->text_bytes += r->length;
    size_t length = strnlen((const char *)text, r->length);
    char *copy = h->texts[r->text] = sm_alloc(length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return SM_OK;
}

/* Takes the texts of one collection, to which the sorted references lead. */
static sm_status take_texts(heap *h, const reference *references, size_t count)
{
    sm_status status = SM_OK;
    uint8_t *collection = NULL;
    size_t bytes = 0, head = sm_round_up(8 + h->size_bytes, 8), taken = 0;
    SM_TRY(read_collection(h, references->address, &collection, &bytes));
    for (size_t at = head; bytes - at >= head;) {
        uint32_t object = (uint32_t)little_endian(collection + at, 2);
        uint64_t size = little_endian(collection + at + 8, h->size_bytes), room = bytes - at - head;
        if (object == 0) { /* what is free; it goes on to the end */
            break;
        }
        if (size > room) {
            SM_TRY(fail_heap(h, "a text is said to be longer than the block that it lies in"));
        }
        size_t first = 0;
        for (size_t end = count; first < end;) {
            size_t middle = first + (end - first) / 2;
            first = references[middle].object < object ? middle + 1 : first;
            end = references[middle].object < object ? end : middle;
        }
        for (; first < count && references[first].object == object; first++) {
            if (!h->texts[references[first].text]) {
                SM_TRY(take_text(h, &references[first], collection + at + head, size));
                taken++;
            }
        }
        uint64_t step = head + (size + 7) / 8 * 8;
        at += step < bytes - at ? (size_t)step : bytes - at;
    }
    if (taken < count) {
        SM_TRY(fail_heap(h, "a text is said to be where none is"));
    }
done:
    sm_free(collection);
    return status;
}

static sm_status take_all_texts(heap *h, const reference *references, size_t count)
{
    sm_status status = SM_OK;
    for (size_t i = 0, next; i < count; i = next) {
        next = i + 1;
        if (references[i].address == 0) {
            SM_TRY(references[i].length > 0 ? fail_heap(h, "a text is said to be where none is") : SM_OK);
            h->texts[references[i].text] = sm_strdup("");
            continue;
        }
        while (next < count && references[next].address == references[i].address) {
            next++;
        }
        SM_TRY(take_texts(h, references + i, next - i));
    }
done:
    return status;
}

static sm_status read_variable_texts(const sm_h5 *file, const char *object, const sm_h5_array *array, char ***texts)
{
    sm_status status = SM_OK;
    heap h = {.file = file, .object = object};
    reference *references = NULL;
    SM_TRY(open_heap(&h));
    if (array->count > h.file_bytes) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s: damaged: %zu texts in a file of %llu bytes", file->path, object,
                       array->count, (unsigned long long)h.file_bytes));
    }
    h.texts = sm_alloc_zeroed((array->count + 1) * sizeof *h.texts);
    SM_TRY(read_references(file, object, array, h.address_bytes, &references));
    SM_TRY(take_all_texts(&h, references, array->count));
    *texts = sm_strings_pack((const char *const *)h.texts, array->count);
done:
    for (size_t i = 0; h.texts && i < array->count; i++) {
        sm_free(h.texts[i]);
    }
    sm_free(h.texts);
    sm_free(references);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static sm_status read_fixed_texts(const sm_h5 *file, const char *object, const sm_h5_array *array, char ***texts)
{
    sm_status status = SM_OK;
    /* One byte longer than in the file, so that HDF5 puts a zero behind the longest; whatever the padding there. */
    size_t bytes = H5Tget_size(array->type) + 1;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, bytes);
    H5Tset_cset(type, H5Tget_cset(array->type)); /* HDF5 does not convert between character sets */
    char *found = sm_alloc_zeroed(array->count * bytes);
    if (sm_h5_array_read(array, type, found) < 0) {
        status = sm_h5_fail(file, SM_ERR_INPUT, object, "cannot be read");
    } else {
        const char **starts = sm_alloc(array->count * sizeof *starts);
        for (size_t i = 0; i < array->count; i++) {
            starts[i] = found + i * bytes;
        }
        *texts = sm_strings_pack(starts, array->count);
        sm_free(starts);
    }
    sm_free(found);
    H5Tclose(type);
    return status;
}

sm_status sm_h5_array_read_texts(const sm_h5 *file, const char *object, const sm_h5_array *array, char ***texts)
{
    return (H5Tis_variable_str(array->type) > 0 ? read_variable_texts : read_fixed_texts)(file, object, array, texts);
}
