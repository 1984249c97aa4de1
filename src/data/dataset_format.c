#include "data/dataset_format.h"

#include <sigmatic/data/dataset_writer.h>

#include <stdio.h>
#include <string.h>

const sm_map_kind sm_map_kinds[SM_DATASET_MAPS] = {
    {"image", SM_H5_U8, 3, 0, offsetof(sm_sample, image)},
    {"semantic", SM_H5_U8, 0, SM_MAP_SEMANTIC, offsetof(sm_sample, semantic)},
    {"instance", SM_H5_U16, 0, SM_MAP_INSTANCE, offsetof(sm_sample, instance)},
    {"instance_offset", SM_H5_FLOAT, 2, SM_MAP_INSTANCE_OFFSET, offsetof(sm_sample, instance_offset)},
    {"disparity", SM_H5_FLOAT, 0, SM_MAP_DISPARITY, offsetof(sm_sample, disparity)},
};

size_t sm_map_bytes(const sm_map_kind *kind, int height, int width)
{
    size_t components = kind->components ? (size_t)kind->components : 1;
    return (size_t)height * (size_t)width * components * sm_h5_type_bytes(kind->type);
}

int sm_map_shape(const sm_map_kind *kind, int64_t count, int height, int width, size_t shape[4])
{
    shape[0] = (size_t)count;
    shape[1] = (size_t)height;
    shape[2] = (size_t)width;
    shape[3] = (size_t)kind->components;
    return kind->components ? 4 : 3;
}

const void *sm_map_get(const sm_map_kind *kind, const sm_sample *sample)
{
    const void *map;
    memcpy(&map, (const char *)sample + kind->sample_field, sizeof map);
    return map;
}

void sm_map_set(const sm_map_kind *kind, sm_sample *sample, const void *map)
{
    memcpy((char *)sample + kind->sample_field, &map, sizeof map);
}

const char *sm_map_object(char text[SM_OBJECT_BYTES], const char *split, const char *map, const char *suffix)
{
    snprintf(text, SM_OBJECT_BYTES, "/%s/%s%s", split, map, suffix);
    return text;
}
