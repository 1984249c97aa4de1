#include <sigmatic/task/joint_metric.h>

#include "task/pixel_lookup.h"

#include <string.h>

void sm_records_add(sm_records *records, const double *numbers, size_t count)
{
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
    int *columns = sm_lookup_columns(geometry, sample->width);
    for (int y = 0; y < geometry->out_height; y++) {
        int row = sm_lookup_row(geometry, sample->height, y);
        const uint16_t *stored = (const uint16_t *)view->data + (size_t)(row < 0 ? 0 : row) * (size_t)sample->width;
        for (size_t x = 0; x < width && row >= 0; x++) {
            uint16_t id = columns[x] >= 0 ? stored[columns[x]] : 0;
            ids[(size_t)y * width + x] = id;
            valid += id != 0;
        }
    }
    sm_free(columns);
    return valid;
}
