#include <sigmatic/task/joint_metric.h>

#include "task/pixel_lookup.h"

#include <string.h>

void sm_records_add(sm_records *records, const double *numbers, size_t count)
{
    if (count == 0) {
        return;
    }
    if (records->count + count > records->capacity) {
        records->capacity = 2 * (records->count + count);
        records->numbers = sm_realloc(records->numbers, records->capacity * sizeof *numbers);
    }
    memcpy(records->numbers + records->count, numbers, count * sizeof *numbers);
    records->count += count;
}

int64_t sm_build_instance_ids(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    const sm_target_view *view = sm_sample_find(sample, user);
    size_t width = (size_t)geometry->out_width;
    uint16_t *ids = built;
    int64_t valid = 0;
    memset(ids, 0, (size_t)geometry->out_height * width * sizeof *ids);
    if (!view) {
        return 0;
    }
    sm_lookup lookup = sm_lookup_new(geometry, sample->height, sample->width);
    for (int y = 0; y < geometry->out_height; y++) {
        size_t first;
        const int *places = sm_lookup_row(&lookup, y, &first);
        const uint16_t *stored = (const uint16_t *)view->data + first;
        for (size_t x = 0; x < width && places; x++) {
            uint16_t id = places[x] >= 0 ? stored[places[x]] : 0;
            ids[(size_t)y * width + x] = id;
            valid += id != 0;
        }
    }
    sm_lookup_free(&lookup);
    return valid;
}
