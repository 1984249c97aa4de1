/* From stored targets to what tasks train on: flip, scale and crop as the target's description says. Pixels take the
 * nearest stored one; values a sample are copied. */
#include "task/pixel_lookup.h"
#include "task/task_kinds.h"

#include <math.h>
#include <string.h>

/* Class ids beyond the task's list become invalid. */
static int64_t take_classes(const sm_task *task, size_t count, const uint8_t *stored, const int *places, uint8_t *out)
{
    int64_t valid = 0;
    for (size_t i = 0; i < count; i++) {
        if (places[i] >= 0) {
            uint8_t id = stored[places[i]];
            int known = id < task->channels;
            out[i] = known ? id : SM_CLASS_IGNORED;
            valid += known;
        }
    }
    return valid;
}

int64_t sm_build_classes(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    static const int only[1] = {0};
    const sm_task *task = user;
    const sm_target_view *view = sm_sample_find(sample, task->target->name);
    size_t width = (size_t)geometry->out_width;
    uint8_t *ids = built;
    int64_t valid = 0;

    memset(ids, SM_CLASS_IGNORED, sm_scope_items(task->target->scope, geometry->out_height, geometry->out_width));
    if (!view) {
        return 0;
    }
    if (task->target->scope == SM_SCOPE_SAMPLE) {
        return take_classes(task, 1, view->data, only, ids);
    }
    int *columns = sm_lookup_columns(geometry, sample->width);
    for (int y = 0; y < geometry->out_height; y++) {
        int row = sm_lookup_row(geometry, sample->height, y);
        if (row >= 0) {
            const uint8_t *stored = (const uint8_t *)view->data + (size_t)row * (size_t)sample->width;
            valid += take_classes(task, width, stored, columns, ids + (size_t)y * width);
        }
    }
    sm_free(columns);
    return valid;
}

/* Factors of the components under this geometry. */
static void find_factors(const sm_target *target, const sm_geometry *geometry, float *factors)
{
    for (int c = 0; c < target->components; c++) {
        double scale = target->scaling == SM_SCALING_NONE              ? 1
                       : target->scaling == SM_SCALING_WIDTH || c == 0 ? geometry->scale_x
                                                                       : geometry->scale_y;
        factors[c] = (float)(geometry->flip && target->flip_negates >> c & 1 ? -scale : scale);
    }
}

/* An item with a NaN is invalid as a whole. */
static int64_t take_reals(int components, const float *factors, size_t count, const float *stored, const int *places,
                          float *out)
{
    int64_t valid = 0;
    for (size_t i = 0; i < count; i++) {
        if (places[i] < 0) {
            continue;
        }
        const float *from = stored + (size_t)places[i] * (size_t)components;
        float *to = out + i * (size_t)components;
        int whole = 1;
        for (int c = 0; c < components; c++) {
            whole = whole && !isnan(from[c]);
        }
        for (int c = 0; c < components && whole; c++) {
            to[c] = factors[c] * from[c];
        }
        valid += whole;
    }
    return valid;
}

int64_t sm_build_reals(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    static const int only[1] = {0};
    const sm_task *task = user;
    const sm_target *target = task->target;
    const sm_target_view *view = sm_sample_find(sample, target->name);
    size_t components = (size_t)target->components, row_values = (size_t)geometry->out_width * components;
    size_t items = sm_scope_items(target->scope, geometry->out_height, geometry->out_width);
    float *values = built, factors[SM_COMPONENTS_MAX];
    int64_t valid = 0;

    for (size_t i = 0; i < items * components; i++) {
        values[i] = NAN;
    }
    if (!view) {
        return 0;
    }
    find_factors(target, geometry, factors);
    if (target->scope == SM_SCOPE_SAMPLE) {
        return take_reals(target->components, factors, 1, view->data, only, values);
    }
    int *columns = sm_lookup_columns(geometry, sample->width);
    for (int y = 0; y < geometry->out_height; y++) {
        int row = sm_lookup_row(geometry, sample->height, y);
        if (row >= 0) {
            const float *stored = (const float *)view->data + (size_t)row * (size_t)sample->width * components;
            valid += take_reals(target->components, factors, (size_t)geometry->out_width, stored, columns,
                                values + (size_t)y * row_values);
        }
    }
    sm_free(columns);
    return valid;
}
