#include "fuzz_h5.h"

#include "fuzz.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PLACES = 400, PLACE_BYTES = 200, MOST_EDITS = 12, MOST_DATA_BYTES = 1 << 16 };

static void *sound_file;
static size_t sound_bytes;
static char places[MOST_PLACES][PLACE_BYTES]; /* "/group/object" or "/group/object@attribute" */
static size_t place_count;

/* What is left of the input; zeros behind its end. */
typedef struct {
    const uint8_t *at;
    size_t bytes;
} source;

static uint8_t take(source *s)
{
    if (s->bytes == 0) {
        return 0;
    }
    s->bytes--;
    return *s->at++;
}

static uint64_t take_number(source *s)
{
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       3,
                                       255,
                                       256,
                                       65535,
                                       65536,
                                       0x7fffffff,
                                       0xffffffff,
                                       (uint64_t)-1,
                                       (uint64_t)1 << 63,
                                       1u << 24,
                                       INT64_MAX,
                                       (uint64_t)1 << 40,
                                       (uint64_t)-128};
    uint8_t kind = take(s);
    return kind < 16 ? special[kind] : kind < 128 ? kind : (uint64_t)take(s) << 8 | take(s);
}

/* ---- the sound file ------------------------------------------------------------------------------------------------ */

static void add_place(const char *object, const char *attribute)
{
    if (place_count < MOST_PLACES) {
        snprintf(places[place_count++], PLACE_BYTES, "%s%s%s", object, attribute ? "@" : "",
                 attribute ? attribute : "");
    }
}

static herr_t add_attribute(hid_t location, const char *name, const H5A_info_t *info, void *object)
{
    (void)location;
    (void)info;
    add_place(object, name);
    return 0;
}

static herr_t add_object(hid_t file, const char *name, const H5O_info_t *info, void *user)
{
    char object[PLACE_BYTES];
    (void)info;
    (void)user;
    snprintf(object, sizeof object, "/%s", strcmp(name, ".") == 0 ? "" : name);
    if (object[1]) {
        add_place(object, NULL);
    }
    hid_t id = H5Oopen(file, object, H5P_DEFAULT);
    H5Aiterate(id, H5_INDEX_NAME, H5_ITER_INC, NULL, add_attribute, object);
    H5Oclose(id);
    return 0;
}

void fuzz_h5_open(const char *path, const char *const *names)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, add_object, NULL);
    H5Fclose(file);
    for (; *names; names++) {
        add_place(*names, NULL);
    }
    FUZZ_CHECK(sm_file_read(path, &sound_file, &sound_bytes) == SM_OK);
}

/* ---- edits --------------------------------------------------------------------------------------------------------- */

/* \return a type of its own; a text's length in bytes comes from the source, 0: variable */
static hid_t take_type(source *s)
{
    const hid_t plain[] = {H5T_NATIVE_UINT8, H5T_NATIVE_INT8,  H5T_NATIVE_UINT16, H5T_NATIVE_INT16, H5T_NATIVE_UINT32,
                           H5T_NATIVE_INT32, H5T_NATIVE_INT64, H5T_NATIVE_UINT64, H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE,
                           H5T_IEEE_F32BE,   H5T_STD_I64BE,    H5T_C_S1,          H5T_NATIVE_OPAQUE};
    uint8_t kind = take(s) % (sizeof plain / sizeof *plain);
    hid_t type = H5Tcopy(plain[kind]);
    if (plain[kind] == H5T_C_S1) {
        uint8_t length = take(s) % 32;
        H5Tset_size(type, length ? length : H5T_VARIABLE);
        H5Tset_cset(type, take(s) % 2 ? H5T_CSET_UTF8 : H5T_CSET_ASCII);
    }
    return type;
}

/* \return a shape of its own; `elements` is its product, or more than MOST_DATA_BYTES */
static hid_t take_space(source *s, int *rank, hsize_t *shape, hsize_t *elements)
{
    uint8_t byte = take(s);
    *rank = byte % 6;
    *elements = 1;
    for (int i = 0; i < *rank; i++) {
        shape[i] = byte >= 128 ? take_number(s) : take(s) % 20;
        *elements = shape[i] > 0 && *elements > MOST_DATA_BYTES / shape[i] ? MOST_DATA_BYTES + 1 : *elements * shape[i];
    }
    return byte == 6 ? H5Screate(H5S_NULL) : H5Screate_simple(*rank, shape, NULL);
}

/* Elements for writing: texts of variable length as pointers, else bytes of the source over and over. Freed with free(). */
static void *take_data(source *s, hid_t type, size_t elements)
{
    static const char *const texts[] = {"",       "a",  "train", "caf\xC3\xA9",     "class",
                                        "sample", "px", "\xFF",  "sigmatic-dataset"};
    size_t bytes = elements * H5Tget_size(type);
    char *data = calloc(1, bytes + 1);
    uint8_t start = take(s);
    if (H5Tis_variable_str(type) > 0) {
        for (size_t i = 0; i < elements; i++) {
            ((const char **)(void *)data)[i] = texts[(start + i * (start % 3)) % (sizeof texts / sizeof *texts)];
        }
    } else if (start % 2) {
        uint64_t value = take_number(s);
        for (size_t i = 0; i < bytes; i++) {
            data[i] = (char)(value >> 8 * (i % H5Tget_size(type) % 8));
        }
    } else {
        size_t period = 1 + start / 2;
        for (size_t i = 0; i < bytes; i++) {
            data[i] = i < period ? (char)take(s) : data[i - period];
        }
    }
    return data;
}

static void set_attribute(hid_t file, const char *object, const char *name, source *s)
{
    hsize_t shape[8], elements;
    int rank;
    hid_t owner = H5Oopen(file, object, H5P_DEFAULT), type = take_type(s),
          space = take_space(s, &rank, shape, &elements);
    H5Adelete(owner, name);
    hid_t attribute = elements <= 1000 ? H5Acreate2(owner, name, type, space, H5P_DEFAULT, H5P_DEFAULT) : -1;
    if (attribute >= 0) {
        void *data = take_data(s, type, elements);
        H5Awrite(attribute, type, data);
        free(data);
        H5Aclose(attribute);
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Oclose(owner);
}

/* Layouts: contiguous and written or not, compact, in chunks, packed. */
static void set_dataset(hid_t file, const char *object, source *s)
{
    hsize_t shape[8], chunk[8], elements;
    int rank;
    uint8_t layout = take(s) % 5;
    hid_t type = take_type(s), space = take_space(s, &rank, shape, &elements), plan = H5Pcreate(H5P_DATASET_CREATE);
    int is_small = elements * H5Tget_size(type) <= MOST_DATA_BYTES;
    if (layout == 1) {
        H5Pset_layout(plan, H5D_COMPACT);
    } else if (layout >= 2 && rank > 0) {
        for (int i = 0; i < rank; i++) {
            chunk[i] = 1 + take(s) % 16;
        }
        H5Pset_chunk(plan, rank, chunk);
        if (layout == 3) {
            H5Pset_deflate(plan, 6);
        }
    } else if (!is_small) {
        H5Pset_alloc_time(plan, H5D_ALLOC_TIME_LATE);
    }
    H5Ldelete(file, object, H5P_DEFAULT);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t dataset = H5Dcreate2(file, object, type, space, links, plan, H5P_DEFAULT);
    if (dataset >= 0 && is_small && layout != 4) {
        void *data = take_data(s, type, elements);
        H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
        free(data);
    }
    H5Dclose(dataset);
    H5Pclose(links);
    H5Pclose(plan);
    H5Sclose(space);
    H5Tclose(type);
}

/* Other values of the same type and shape. */
static void set_values(hid_t file, const char *object, source *s)
{
    hid_t dataset = H5Dopen2(file, object, H5P_DEFAULT), type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    hssize_t elements = H5Sget_simple_extent_npoints(space);
    if (dataset >= 0 && elements >= 0 && (size_t)elements * H5Tget_size(type) <= MOST_DATA_BYTES) {
        void *data = take_data(s, type, (size_t)elements);
        H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
        free(data);
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
}

static void set_link(hid_t file, const char *object, source *s)
{
    uint8_t kind = take(s) % 3;
    const char *to = places[take(s) % place_count];
    H5Ldelete(file, object, H5P_DEFAULT);
    if (kind == 0) {
        H5Lcreate_soft(to, file, object, H5P_DEFAULT, H5P_DEFAULT);
    } else if (kind == 1) {
        H5Lcreate_hard(file, to, file, object, H5P_DEFAULT, H5P_DEFAULT);
    } else {
        H5Lcreate_external("/nowhere.h5", to, file, object, H5P_DEFAULT, H5P_DEFAULT);
    }
}

/* Only to be applied when the rest is done. */
typedef struct {
    size_t offset;
    uint8_t value;
} byte_edit;

static void edit(hid_t file, source *s, byte_edit *bytes, int *byte_count)
{
    uint8_t kind = take(s) % 5;
    char place[PLACE_BYTES];
    snprintf(place, sizeof place, "%s", places[(take(s) << 8 | take(s)) % place_count]);
    char *attribute = strchr(place, '@');
    if (kind == 4) {
        size_t offset = (size_t)take(s) << 16 | (size_t)take(s) << 8 | take(s);
        bytes[(*byte_count)++] = (byte_edit){offset, take(s)};
        return;
    }
    if (attribute) {
        *attribute++ = '\0';
        const char *owner = *place ? place : "/";
        if (kind == 0) {
            H5Adelete_by_name(file, owner, attribute, H5P_DEFAULT);
        } else {
            set_attribute(file, owner, attribute, s);
        }
    } else if (kind == 0) {
        H5Ldelete(file, place, H5P_DEFAULT);
    } else if (kind == 1) {
        set_dataset(file, place, s);
    } else if (kind == 2) {
        set_values(file, place, s);
    } else {
        set_link(file, place, s);
    }
}

/* Sets single bytes, wherever they are. */
static void set_bytes(const char *path, const byte_edit *edits, int count)
{
    uint64_t bytes = 0;
    FUZZ_CHECK(sm_file_size(path, &bytes) == SM_OK);
    for (int i = 0; i < count; i++) {
        fuzz_write(&edits[i].value, 1, 1 + edits[i].offset % (bytes - 1));
    }
}

void fuzz_h5_make(const char *path, const uint8_t *input, size_t bytes)
{
    source s = {input, bytes};
    byte_edit byte_edits[MOST_EDITS];
    int byte_count = 0;
    fuzz_write(sound_file, sound_bytes, 0);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    FUZZ_CHECK(file >= 0);
    for (int i = 0; i < MOST_EDITS && s.bytes > 0; i++) {
        edit(file, &s, byte_edits, &byte_count);
    }
    H5Fclose(file);
    set_bytes(path, byte_edits, byte_count);
}

int64_t fuzz_h5_ids(void)
{
    static const H5I_type_t kinds[] = {H5I_FILE,    H5I_GROUP, H5I_DATATYPE,   H5I_DATASPACE,
                                       H5I_DATASET, H5I_ATTR,  H5I_GENPROP_LST};
    hsize_t sum = 0, count = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        sum += H5Inmembers(kinds[i], &count) >= 0 ? count : 0;
    }
    return (int64_t)sum;
}

void fuzz_h5_seeds(void)
{
    enum { PLACES_TAKEN = 40 };
    fuzz_seed("", 0);
    for (size_t place = 0; place < place_count; place += 1 + place_count / PLACES_TAKEN) {
        for (uint8_t kind = 0; kind < 4; kind++) {
            uint8_t seed[] = {kind, (uint8_t)(place >> 8), (uint8_t)place, 1, 9, 129, 3, 3, 0, 7, 50, 60};
            fuzz_seed(seed, sizeof seed);
        }
    }
}
