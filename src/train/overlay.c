#include "train/overlay.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/target_picture.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Hues so far apart differ, however many there are. */
static const double GOLDEN_SECTION = 0.618033988749895;

static const uint8_t paper[3] = {24, 24, 28}, ink[3] = {235, 235, 235}, faint[3] = {150, 150, 155};

enum {
    LEAST_WIDTH = 320,    /* a panel narrower than this is enlarged */
    LETTERS_A_PANEL = 60, /* its width in letters, about */
    PANELS_A_ROW = 3,
    CLASSES_SHARE = 55, /* of the colour of a class over the image, % */
    CAPTION_BYTES = 160
};

typedef struct panel {
    char caption[CAPTION_BYTES];
    int has_ramp, is_root; /* a bar of its colours from `least` to `most`, by the value or by its root */
    double least, most;
    char unit[24];
    uint8_t *rgb; /* of the image's size, owned */
} panel;

typedef struct overlay {
    const sm_predicted_image *image;
    panel *panels;
    int count;
} overlay;

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
    add_map(o, task, "standard deviation", sm_task_unit(task->task), 1, deviation);
    sm_free(deviation);
}

static int is_map(const sm_task_prediction *task)
{
    return task->task->target->scope == SM_SCOPE_PIXEL;
}

/* The image under its classes, or alone where no task has any; then instances on it. */
static void add_image_panels(overlay *o)
{
    const sm_predicted_image *image = o->image;
    for (int t = 0; t < image->task_count; t++) {
        if (is_map(&image->tasks[t]) && image->tasks[t].task->target->classes) {
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
        if (is_map(&image->tasks[t]) && image->tasks[t].task->target->type == SM_TARGET_REAL) {
            add_reals(o, &image->tasks[t]);
        }
    }
    for (int t = 0; t < image->task_count; t++) {
        if (is_map(&image->tasks[t])) {
            add_uncertainty_panels(o, &image->tasks[t]);
        }
    }
}

/* ---- the page ------------------------------------------------------------------------------------------------------ */

typedef struct layout {
    sm_canvas canvas;
    int zoom, scale, line; /* of panels, of letters; height of a line of text */
    int columns, panel_width, panel_height;
    int legend_top;
} layout;

static void draw_ramp(const layout *page, const panel *p, int x, int y)
{
    char least[32], most[48];
    int bar = 24 * SM_LETTER_ADVANCE / 2 * page->scale, height = (SM_LETTER_HEIGHT - 1) * page->scale;
    snprintf(least, sizeof least, "%.3g ", p->least);
    snprintf(most, sizeof most, " %.3g %s", p->most, p->unit);
    x -= sm_canvas_text_width(page->scale, least) + bar + sm_canvas_text_width(page->scale, most);
    x = sm_canvas_text(&page->canvas, x, y, page->scale, least, faint);
    for (int i = 0; i < bar; i++) {
        uint8_t colour[3];
        double share = (double)i / (bar - 1);
        sm_picture_ramp(p->is_root ? sqrt(share) : share, colour);
        sm_canvas_fill(&page->canvas, x + i, y, 1, height, colour);
    }
    sm_canvas_text(&page->canvas, x + bar, y, page->scale, most, faint);
}

static void draw_panels(const layout *page, const overlay *o)
{
    int gap = page->scale * 2;
    for (int i = 0; i < o->count; i++) {
        const panel *p = &o->panels[i];
        int x = i % page->columns * (page->panel_width + gap),
            y = i / page->columns * (page->panel_height + page->line);
        sm_canvas_text(&page->canvas, x + gap, y + gap, page->scale, p->caption, ink);
        if (p->has_ramp) {
            draw_ramp(page, p, x + page->panel_width - gap, y + gap);
        }
        sm_canvas_put(&page->canvas, x, y + page->line, p->rgb, o->image->height, o->image->width, page->zoom);
    }
}

/* Draws from (x, y) on if `page` has a canvas. \return the y below the legend */
typedef struct cursor {
    const layout *page;
    int x, y, width, draws;
} cursor;

/* A word with or without a colour before it; goes to the next line where it does not fit. */
static void put_word(cursor *c, const char *word, const uint8_t *colour)
{
    int scale = c->page->scale, square = (SM_LETTER_HEIGHT - 1) * scale, gap = 2 * scale;
    int width = (colour ? square + gap : 0) + sm_canvas_text_width(scale, word) + 2 * SM_LETTER_ADVANCE * scale;
    if (c->x > gap && c->x + width > c->width) {
        c->x = gap;
        c->y += c->page->line;
    }
    if (c->draws && colour) { /* framed: dark colours too are seen */
        sm_canvas_fill(&c->page->canvas, c->x, c->y, square, square, faint);
        sm_canvas_fill(&c->page->canvas, c->x + scale, c->y + scale, square - 2 * scale, square - 2 * scale, colour);
    }
    if (c->draws) {
        sm_canvas_text(&c->page->canvas, c->x + (colour ? square + gap : 0), c->y, scale, word, ink);
    }
    c->x += width;
}

static void mark_present(const sm_task_prediction *task, uint8_t present[256])
{
    const uint8_t *values = task->values;
    int labels = sm_task_is_labelling(task->task);
    size_t components = (size_t)task->components;
    memset(present, 0, 256);
    for (size_t i = 0; i < task->items * components; i++) {
        if (!labels) {
            present[values[i]] = 1;
        } else if (values[i] == 1) {
            present[i % components] = 1;
        }
    }
}

static void put_sample_reals(cursor *c, const sm_task_prediction *task)
{
    char word[CAPTION_BYTES];
    const float *values = task->values;
    int length = snprintf(word, sizeof word, "%s:", task->task->name);
    for (int k = 0; k < task->components && length < (int)sizeof word - 40; k++) {
        length += snprintf(word + length, sizeof word - (size_t)length, " %.4g", (double)values[k]);
    }
    snprintf(word + length, sizeof word - (size_t)length, " %s", task->task->target->unit);
    put_word(c, word, NULL);
}

/* \return the y below it */
static int draw_legend(const layout *page, const overlay *o, int top, int width, int draws)
{
    cursor c = {page, 2 * page->scale, top, width, draws};
    int words = 0;
    for (int t = 0; t < o->image->task_count; t++) {
        const sm_task_prediction *task = &o->image->tasks[t];
        const sm_class_list *classes = task->task->target->classes;
        int is_sample = task->task->target->scope == SM_SCOPE_SAMPLE;
        uint8_t present[256], colour[3];
        if (classes && is_sample) {
            char *label = sm_format("%s:", task->task->name);
            put_word(&c, label, NULL);
            sm_free(label);
        }
        if (classes) {
            mark_present(task, present);
        }
        for (int k = 0; classes && k < classes->count; k++) {
            if (present[k]) {
                sm_picture_class(classes, k, colour);
                put_word(&c, classes->names[k], is_sample ? NULL : colour);
                words++;
            }
        }
        if (is_sample && !classes) {
            put_sample_reals(&c, task);
            words++;
        }
    }
    return words > 0 ? c.y + page->line : top;
}

static layout make_layout(const overlay *o)
{
    const sm_predicted_image *image = o->image;
    layout page = {.zoom = image->width < LEAST_WIDTH ? (LEAST_WIDTH + image->width - 1) / image->width : 1};
    enum { MOST_ZOOM = 8 };
    page.zoom = page.zoom > MOST_ZOOM ? MOST_ZOOM : page.zoom;
    page.panel_width = image->width * page.zoom;
    page.panel_height = image->height * page.zoom;
    page.scale = page.panel_width / (LETTERS_A_PANEL * SM_LETTER_ADVANCE);
    page.scale = page.scale > 0 ? page.scale : 1;
    page.line = (SM_LETTER_HEIGHT + 4) * page.scale;
    page.columns = o->count < PANELS_A_ROW ? o->count : PANELS_A_ROW;
    int rows = (o->count + page.columns - 1) / page.columns, gap = 2 * page.scale;
    int width = page.columns * (page.panel_width + gap) - gap;
    page.legend_top = rows * (page.panel_height + page.line) + gap;
    int height = draw_legend(&page, o, page.legend_top, width, 0);
    page.canvas = sm_canvas_new(height > page.legend_top ? height : page.legend_top - gap, width, paper);
    return page;
}

sm_canvas sm_overlay_draw(const sm_predicted_image *image)
{
    overlay o = {.image = image};
    add_panels(&o);
    layout page = make_layout(&o);
    draw_panels(&page, &o);
    draw_legend(&page, &o, page.legend_top, page.canvas.width, 1);
    for (int i = 0; i < o.count; i++) {
        sm_free(o.panels[i].rgb);
    }
    sm_free(o.panels);
    return page.canvas;
}
