/* From stored targets to what tasks train on: flip, scale, turn and crop as the target's description says. Pixels take the
 * nearest stored one; values a sample are copied. */
#include "task/pixel_lookup.h"

#include <sigmatic/task/task_kinds.h>

#include <math.h>
#include <string.h>

/* Ids beyond the task's list become invalid: those of one class an item, or 0 and 1 of several labels. */
static int64_t take_classes(const sm_task *task, size_t count, const uint8_t *stored, const int *places, uint8_t *out)
{
    size_t components = (size_t)task->target->components;
    int ids = sm_task_is_labelling(task) ? 2 : task->channels;
    int64_t valid = 0;
    for (size_t i = 0; i < count; i++) {
        int known = 0;
        for (size_t c = 0; c < components && places[i] >= 0; c++) {
            uint8_t id = stored[(size_t)places[i] * components + c];
            out[i * components + c] = id < ids ? id : SM_CLASS_IGNORED;
            known = known || id < ids;
        }
        valid += known;
    }
    return valid;
}

int64_t sm_build_classes(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *built)
{
    static const int only[1] = {0};
    const sm_task *task = user;
    const sm_target_view *view = sm_sample_find(sample, task->target->name);
    size_t components = (size_t)task->target->components, width = (size_t)geometry->out_width;
    uint8_t *ids = built;
    int64_t valid = 0;

    memset(ids, SM_CLASS_IGNORED,
           components * sm_scope_items(task->target->scope, geometry->out_height, geometry->out_width));
    if (!view) {
        return 0;
    }
    if (task->target->scope == SM_SCOPE_SAMPLE) {
        return take_classes(task, 1, view->data, only, ids);
    }
    sm_lookup lookup = sm_lookup_new(geometry, sample->height, sample->width);
    for (int y = 0; y < geometry->out_height; y++) {
        size_t first;
        const int *places = sm_lookup_row(&lookup, y, &first);
        if (places) {
            const uint8_t *stored = (const uint8_t *)view->data + first * components;
            valid += take_classes(task, width, stored, places, ids + (size_t)y * width * components);
        }
    }
    sm_lookup_free(&lookup);
    return valid;
}

/* Of the components, where the image is scaled and mirrored. */
static void find_factors(const sm_target *target, double scale_x, double scale_y, int flip, float *factors)
{
    for (int c = 0; c < target->components; c++) {
        double scale = target->scaling == SM_SCALING_NONE              ? 1
                       : target->scaling == SM_SCALING_WIDTH || c == 0 ? scale_x
                                                                       : scale_y;
        factors[c] = (float)(flip && target->flip_negates >> c & 1 ? -scale : scale);
    }
}

/* Of instances, whose target is ids, vectors to their centroids are predicted. */
void sm_task_factors(const sm_task *task, double scale_x, double scale_y, int flip, float *factors)
{
    static const sm_target vectors = {.components = 2, .scaling = SM_SCALING_AXES, .flip_negates = 1u << 0};
    const sm_target *predicted = task->target->type == SM_TARGET_INSTANCE ? &vectors : task->target;
    find_factors(predicted, scale_x, scale_y, flip, factors);
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

/* Invalid vectors stay so. */
static void turn_vectors(const sm_target *target, const sm_geometry *geometry, size_t items, float *values)
{
    double down = target->turning == SM_TURNING_Y_UP ? -1 : 1;
    if (geometry->sine == 0 || target->turning == SM_TURNING_NONE) {
        return;
    }
    for (size_t i = 0; i < items; i++, values += target->components) {
        double x = values[0], y = down * values[1];
        sm_geometry_turn(geometry, &x, &y);
        values[0] = (float)x;
        values[1] = (float)(down * y);
    }
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
    find_factors(target, geometry->scale_x, geometry->scale_y, geometry->flip, factors);
    if (target->scope == SM_SCOPE_SAMPLE) {
        valid = take_reals(target->components, factors, 1, view->data, only, values);
        turn_vectors(target, geometry, 1, values);
        return valid;
    }
    sm_lookup lookup = sm_lookup_new(geometry, sample->height, sample->width);
    for (int y = 0; y < geometry->out_height; y++) {
        size_t first;
        const int *places = sm_lookup_row(&lookup, y, &first);
        if (places) {
            valid +=
                take_reals(target->components, factors, (size_t)geometry->out_width,
                           (const float *)view->data + first * components, places, values + (size_t)y * row_values);
        }
    }
    sm_lookup_free(&lookup);
    turn_vectors(target, geometry, items, values);
    return valid;
}
