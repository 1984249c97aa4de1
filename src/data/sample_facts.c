/* What a split says of each sample beside input and targets: its name, the size it had, its camera. */
#include "data/dataset_format.h"
#include "data/dataset_private.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>

/* Compares each sample's values, as they are stored, with their checksums, where there are some. */
static sm_status check_facts(const sm_h5 *file, const char *split, const char *name, const file_part *part)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES], checked[SM_OBJECT_BYTES];
    sm_h5_info info;
    size_t count = (size_t)part->count;
    uint8_t *values = NULL;
    uint32_t *checksums = NULL;
    sm_array_object(object, split, name, "");
    sm_array_object(checked, split, name, "_crc32c");
    if (!sm_h5_has_dataset(file, object) || !sm_h5_has_dataset(file, checked)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_query(file, object, &info));
    size_t bytes = info.count / count * sm_h5_type_bytes(info.type);
    values = sm_alloc(count * bytes + 1);
    checksums = sm_alloc(count * sizeof *checksums);
    SM_TRY(sm_h5_read(file, object, info.type, info.rank, info.shape, values));
    SM_TRY(sm_h5_read(file, checked, SM_H5_U32, 1, &count, checksums));
    for (size_t i = 0; i < count; i++) {
        uint32_t found = sm_crc32c(0, values + i * bytes, bytes);
        if (found != checksums[i]) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s of sample %zu is damaged: CRC32C %08x, %08x expected", part->path,
                           object, i, found, checksums[i]));
        }
    }
done:
    sm_free(values);
    sm_free(checksums);
    return status;
}

/* A dataset of `count` doubles; NULL if the file has none. */
static sm_status read_optional_doubles(const sm_h5 *file, const char *object, int64_t count, double **out)
{
    size_t shape[1] = {(size_t)count};
    if (!sm_h5_has_dataset(file, object)) {
        return SM_OK;
    }
    *out = sm_alloc(shape[0] * sizeof **out);
    return sm_h5_read(file, object, SM_H5_DOUBLE, 1, shape, *out);
}

/* Sizes may be stored as any integer that the reading function takes. */
static sm_status read_original_size(const sm_h5 *file, const char *object, file_part *part)
{
    sm_status status = SM_OK;
    size_t shape[2] = {(size_t)part->count, 2};
    int64_t *wide = sm_alloc(shape[0] * 2 * sizeof *wide);
    SM_TRY(sm_h5_read(file, object, SM_H5_INT64, 2, shape, wide));
    part->original_size = sm_alloc(shape[0] * 2 * sizeof *part->original_size);
    for (size_t i = 0; i < shape[0] * 2; i++) {
        if (wide[i] < 1 || wide[i] > INT32_MAX) {
            status = sm_fail(SM_ERR_INPUT, "%s: %s[%zu] is %lld, expected a size in pixels", part->path, object, i / 2,
                             (long long)wide[i]);
            goto done;
        }
        part->original_size[i] = (int32_t)wide[i];
    }
done:
    sm_free(wide);
    return status;
}

sm_status sm_sample_facts_read(const sm_h5 *file, const char *split, file_part *part)
{
    sm_status status = SM_OK;
    static const char *const facts[] = {"original_size", "baseline_metres", "fx_pixels"};
    char object[SM_OBJECT_BYTES];
    if (sm_h5_has_dataset(file, sm_array_object(object, split, "name", ""))) {
        size_t count;
        SM_TRY(sm_h5_read_texts(file, object, &part->names, &count));
        if ((int64_t)count != part->count) {
            status = sm_fail(SM_ERR_INPUT, "%s: %s has %zu %s, expected %lld", part->path, object, count,
                             sm_plural((int64_t)count, "name", "names"), (long long)part->count);
            goto done;
        }
    }
    if (sm_h5_has_dataset(file, sm_array_object(object, split, "original_size", ""))) {
        SM_TRY(read_original_size(file, object, part));
    }
    sm_array_object(object, split, "baseline_metres", "");
    SM_TRY(read_optional_doubles(file, object, part->count, &part->baseline_metres));
    sm_array_object(object, split, "fx_pixels", "");
    SM_TRY(read_optional_doubles(file, object, part->count, &part->fx_pixels));
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        SM_TRY(check_facts(file, split, facts[i], part)); /* now that they have the shape of facts */
    }
done:
    return status;
}
