#include "data/dataset_format.h"

#include <stdio.h>

sm_h5_type sm_target_h5_type(const sm_target *target)
{
    static const sm_h5_type types[SM_TARGET_TYPES] = {SM_H5_U8, SM_H5_U16, SM_H5_FLOAT, SM_H5_U8};
    return types[target->type];
}

size_t sm_target_sample_bytes(const sm_target *target, int height, int width)
{
    return sm_scope_items(target->scope, height, width) * sm_target_item_bytes(target);
}

int sm_target_shape(const sm_target *target, int64_t count, int height, int width, size_t shape[4])
{
    int rank = 0;
    shape[rank++] = (size_t)count;
    if (target->scope == SM_SCOPE_PIXEL) {
        shape[rank++] = (size_t)height;
        shape[rank++] = (size_t)width;
    }
    if (target->components > 1) {
        shape[rank++] = (size_t)target->components;
    }
    return rank;
}

const char *sm_array_object(char text[SM_OBJECT_BYTES], const char *split, const char *array, const char *suffix)
{
    snprintf(text, SM_OBJECT_BYTES, "/%s/%s%s", split, array, suffix);
    return text;
}
