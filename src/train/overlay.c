#include "train/overlay.h"

#include "train/overlay_page.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/target_picture.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Hues so far apart differ, however many there are. */
static const double GOLDEN_SECTION = 0.618033988749895;

enum { CLASSES_SHARE = 55 }; /* of the colour of a class over the image, % */

static size_t pixels_of(const sm_predicted_image *image)
{
    return (size_t)image->height * (size_t)image->width;
}

static panel *add_panel(overlay *o)
{
    o->panels = sm_realloc(o->panels, (size_t)(o->count + 1) * sizeof *o->panels);
    panel *p = &o->panels[o->count++];
    *p = (panel){.rgb = sm_alloc(3 * pixels_of(o->image))};
    return p;
}

/* ---- ranges -------------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

/* The range of one component without the lowest and highest hundredth: a few thousand values say as much as all. */
static void find_range(size_t items, int components, const float *values, double *least, double *most)
{
    enum { MOST_VALUES = 8192 };
    size_t step = items / MOST_VALUES + 1, count = 0;
    float *sorted = sm_alloc((items / step + 1) * sizeof *sorted);
    for (size_t i = 0; i < items; i += step) {
        float value = values[i * (size_t)components];
        if (isfinite(value)) {
            sorted[count++] = value;
        }
    }
    qsort(sorted, count, sizeof *sorted, compare);
    *least = count > 0 ? sorted[count / 100] : 0;
    *most = count > 0 ? sorted[count - 1 - count / 100] : 0;
    sm_free(sorted);
}

/* ---- panels -------------------------------------------------------------------------------------------------------- */

static void blend(const uint8_t *image, size_t pixels, int share, uint8_t *rgb)
{
    for (size_t i = 0; i < 3 * pixels; i++) {
        rgb[i] = (uint8_t)((rgb[i] * share + image[i] * (100 - share)) / 100);
    }
}

static void add_classes(overlay *o, const sm_task_prediction *task)
{
    panel *p = add_panel(o);
    const sm_predicted_image *image = o->image;
    snprintf(p->caption, sizeof p->caption, "%s", task->task->name);
    sm_target_picture(task->task->target, image->height, image->width, task->values, 0, 0, p->rgb);
    blend(image->rgb, pixels_of(image), CLASSES_SHARE, p->rgb);
}

/* Whether the pixel belongs to an instance that ends within `reach` pixels. */
static int is_outline(const sm_instance_list *list, int row, int column, int reach)
{
    int own = list->labels[(size_t)row * (size_t)list->width + (size_t)column];
    for (int y = row - reach; own >= 0 && y <= row + reach; y++) {
        for (int x = column - reach; x <= column + reach; x++) {
            if (y >= 0 && x >= 0 && y < list->height && x < list->width &&
                list->labels[(size_t)y * (size_t)list->width + (size_t)x] != own) {
                return 1;
            }
        }
    }
    return 0;
}

static void draw_outlines(const sm_instance_list *list, uint8_t *rgb)
{
    enum { WIDTH_A_LINE = 800 }; /* thicker on larger images */
    int reach = 1 + list->width / WIDTH_A_LINE;
    for (int row = 0; row < list->height; row++) {
        for (int column = 0; column < list->width; column++) {
            size_t pixel = (size_t)row * (size_t)list->width + (size_t)column;
            if (is_outline(list, row, column, reach)) {
                sm_picture_hue(GOLDEN_SECTION * list->labels[pixel], 1, rgb + 3 * pixel);
            }
        }
    }
}

/* On the first panel: that of the classes, if there are any. */
static void add_instances(overlay *o, const sm_task_prediction *task)
{
    panel *p = &o->panels[0];
    size_t length = strlen(p->caption);
    draw_outlines(task->instances, p->rgb);
    snprintf(p->caption + length, sizeof p->caption - length, "%s%s", length > 0 ? ", " : "", task->task->name);
}

static void add_reals(overlay *o, const sm_task_prediction *task)
{
    panel *p = add_panel(o);
    const sm_target *target = task->task->target;
    find_range(task->items, task->components, task->values, &p->least, &p->most);
    if (target->scaling == SM_SCALING_WIDTH) {
        p->least = 0; /* infinitely far */
        p->is_root = 1;
    }
    if (target->least >= -1 && target->most <= 1 && target->least < 0) {
        p->least = -1; /* parts of unit vectors */
        p->most = 1;
    }
    p->has_ramp = target->components == 1;
    snprintf(p->unit, sizeof p->unit, "%s", target->unit);
    snprintf(p->caption, sizeof p->caption, "%s%s%s", task->task->name,
             strcmp(task->task->name, target->name) == 0 ? "" : ": ",
             strcmp(task->task->name, target->name) == 0 ? "" : target->name);
    sm_target_picture(target, o->image->height, o->image->width, task->values, p->least, p->most, p->rgb);
}

/* A map from 0 to the most of its values. */
static void add_map(overlay *o, const sm_task_prediction *task, const char *what, const char *unit, int components,
                    const float *values)
{
    panel *p = add_panel(o);
    double least;
    find_range(task->items, components, values, &least, &p->most);
    p->has_ramp = 1;
    snprintf(p->caption, sizeof p->caption, "%s: %s", task->task->name, what);
    snprintf(p->unit, sizeof p->unit, "%s", unit);
    for (size_t i = 0; i < task->items; i++) {
        double value = values[i * (size_t)components];
        sm_picture_ramp(p->most > 0 ? value / p->most : 0 * value, p->rgb + 3 * i);
    }
}

static void add_deviation(overlay *o, const sm_task_prediction *task)
{
    size_t components = (size_t)task->components;
    float *deviation = sm_alloc(task->items * sizeof *deviation);
    for (size_t i = 0; i < task->items; i++) {
        float sum = 0;
        for (size_t c = 0; c < components; c++) {
            sum += task->variance[i * components + c];
        }
        deviation[i] = sqrtf(sum);
    }
    add_map(o, task, "standard deviation", task->task->target->unit, 1, deviation);
    sm_free(deviation);
}

/* The image under its classes, or alone where no task has any; then instances on it. */
static void add_image_panels(overlay *o)
{
    const sm_predicted_image *image = o->image;
    for (int t = 0; t < image->task_count; t++) {
        if (sm_overlay_is_map(&image->tasks[t]) && image->tasks[t].task->target->classes) {
            add_classes(o, &image->tasks[t]);
        }
    }
    if (o->count == 0) {
        memcpy(add_panel(o)->rgb, image->rgb, 3 * pixels_of(image));
    }
    for (int t = 0; t < image->task_count; t++) {
        if (image->tasks[t].instances) {
            add_instances(o, &image->tasks[t]);
        }
    }
}

static void add_uncertainty_panels(overlay *o, const sm_task_prediction *task)
{
    if (task->sigmas) {
        add_map(o, task, "sigma", task->task->target->classes ? "" : sm_task_unit(task->task), 1, task->sigmas);
    }
    if (task->entropy) {
        add_map(o, task, "entropy", "nat", 1, task->entropy);
    }
    if (task->information) {
        add_map(o, task, "mutual information", "nat", 1, task->information);
    }
    if (task->variance) {
        add_deviation(o, task);
    }
}

static void add_panels(overlay *o)
{
    const sm_predicted_image *image = o->image;
    add_image_panels(o);
    for (int t = 0; t < image->task_count; t++) {
        if (sm_overlay_is_map(&image->tasks[t]) && image->tasks[t].task->target->type == SM_TARGET_REAL) {
            add_reals(o, &image->tasks[t]);
        }
    }
    for (int t = 0; t < image->task_count; t++) {
        if (sm_overlay_is_map(&image->tasks[t])) {
            add_uncertainty_panels(o, &image->tasks[t]);
        }
    }
}

sm_canvas sm_overlay_draw(const sm_predicted_image *image)
{
    overlay o = {.image = image};
    add_panels(&o);
    sm_canvas canvas = sm_overlay_page_draw(&o);
    for (int i = 0; i < o.count; i++) {
        sm_free(o.panels[i].rgb);
    }
    sm_free(o.panels);
    return canvas;
}
