/* Cell arrays as MATLAB keeps them in its files of version 7.3: references to arrays of UTF-16 units. */
#include "io/h5_private.h"

#include "io/string_list.h"

#include <sigmatic/base/memory.h>

enum { UNITS_MAX = 4096 }; /* of a text: more is no name */

static sm_status fail_cell(const sm_h5 *file, const char *object, size_t cell, const char *what)
{
    return sm_fail(SM_ERR_INPUT, "%s: %s: cell %zu: %s", file->path, object, cell + 1, what);
}

/* Room is for 3 bytes a unit and a zero; halves of surrogate pairs become '?'. */
static void to_utf8(const uint16_t *units, size_t count, char *out)
{
    for (size_t i = 0; i < count; i++) {
        unsigned unit = units[i];
        if (unit < 0x80) {
            *out++ = (char)unit;
        } else if (unit < 0x800) {
            *out++ = (char)(0xc0 | unit >> 6);
            *out++ = (char)(0x80 | (unit & 0x3f));
        } else if (unit >= 0xd800 && unit < 0xe000) {
            *out++ = '?';
        } else {
            *out++ = (char)(0xe0 | unit >> 12);
            *out++ = (char)(0x80 | (unit >> 6 & 0x3f));
            *out++ = (char)(0x80 | (unit & 0x3f));
        }
    }
    *out = '\0';
}

static sm_status read_cell(const sm_h5 *file, const char *object, size_t cell, const sm_h5_array *cells,
                           const hobj_ref_t *reference, char **text)
{
    sm_status status = SM_OK;
    sm_h5_array array = {0};
    uint16_t units[UNITS_MAX];
    hid_t id = H5Rdereference2(cells->id, H5P_DEFAULT, H5R_OBJECT, reference);
    if (id < 0) {
        return fail_cell(file, object, cell, "its reference leads nowhere");
    }
    if (H5Iget_type(id) != H5I_DATASET) {
        H5Oclose(id);
        return fail_cell(file, object, cell, "found no array, expected characters");
    }
    SM_TRY(sm_h5_array_new(file, object, id, 0, &array));
    if (H5Aexists(id, "MATLAB_empty") > 0) { /* what is stored is its shape */
        *text = sm_strdup("");
        goto done;
    }
    if (H5Tget_class(array.type) != H5T_INTEGER || H5Tget_size(array.type) > sizeof *units || array.count > UNITS_MAX) {
        SM_TRY(fail_cell(file, object, cell, "found numbers, expected at most 4096 characters of 16 bits"));
    }
    if (sm_h5_array_read(&array, H5T_NATIVE_UINT16, units) < 0) {
        SM_TRY(fail_cell(file, object, cell, "cannot be read"));
    }
    *text = sm_alloc(3 * array.count + 1);
    to_utf8(units, array.count, *text);
done:
    sm_h5_array_free(&array);
    return status;
}

sm_status sm_h5_read_cell_texts(const sm_h5 *file, const char *object, char ***texts, size_t *count)
{
    SM_H5_LOCKED;
    sm_status status = SM_OK;
    sm_h5_array cells;
    hobj_ref_t *references = NULL;
    char **found = NULL;
    SM_TRY(sm_h5_open_dataset(file, object, &cells));
    if (H5Tequal(cells.type, H5T_STD_REF_OBJ) <= 0) {
        char is[SM_H5_DESCRIPTION_BYTES];
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s: expected a cell array of MATLAB, found %s", file->path, object,
                       sm_h5_describe(cells.type, cells.rank, cells.shape, is)));
    }
    references = sm_alloc(cells.count * sizeof *references);
    found = sm_alloc_zeroed(cells.count * sizeof *found);
    if (sm_h5_array_read(&cells, H5T_STD_REF_OBJ, references) < 0) {
        SM_TRY(sm_h5_fail(file, SM_ERR_INPUT, object, "cannot be read"));
    }
    for (size_t i = 0; i < cells.count; i++) {
        SM_TRY(read_cell(file, object, i, &cells, &references[i], &found[i]));
    }
    *texts = sm_strings_pack((const char *const *)found, cells.count);
    *count = cells.count;
done:
    for (size_t i = 0; found && i < cells.count; i++) {
        sm_free(found[i]);
    }
    sm_free(found);
    sm_free(references);
    sm_h5_array_free(&cells);
    return status;
}
