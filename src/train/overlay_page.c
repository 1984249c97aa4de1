#include "train/overlay_page.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/target_picture.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const uint8_t paper[3] = {24, 24, 28}, ink[3] = {235, 235, 235}, faint[3] = {150, 150, 155};

enum {
    LEAST_WIDTH = 320,    /* a panel narrower than this is enlarged */
    LETTERS_A_PANEL = 60, /* its width in letters, about */
    PANELS_A_ROW = 3
};

typedef struct layout {
    sm_canvas canvas;
    int zoom, scale, line; /* of panels, of letters; height of a line of text */
    int header;            /* height of what is above a panel: a line, or two where a caption and its ramp need them */
    int columns, panel_width, panel_height;
    int legend_top;
} layout;

/* The texts beside a ramp's bar. */
static void ramp_texts(const panel *p, char least[32], char most[48])
{
    snprintf(least, 32, "%.3g ", p->least);
    snprintf(most, 48, " %.3g%s%s", p->most, *p->unit ? " " : "", p->unit);
}

int sm_overlay_is_map(const sm_task_prediction *task)
{
    return task->task->target->scope == SM_SCOPE_PIXEL;
}

enum { MOST_BAR = 12 * SM_LETTER_ADVANCE, LEAST_BAR = 3 * SM_LETTER_ADVANCE };

/* \return the width of caption and ramp beside each other */
static int header_width(const panel *p, int scale)
{
    char least[32], most[48];
    int width = sm_canvas_text_width(scale, p->caption);
    if (p->has_ramp) {
        ramp_texts(p, least, most);
        width += 2 * SM_LETTER_ADVANCE * scale + MOST_BAR * scale;
        width += sm_canvas_text_width(scale, least) + sm_canvas_text_width(scale, most);
    }
    return width;
}

/* Writes what fits between x and `end`; a longer text ends in dots. */
static void put_text(const layout *page, int x, int y, int end, const char *text, const uint8_t *colour)
{
    int letters = (end - x) / (SM_LETTER_ADVANCE * page->scale), length = (int)strlen(text);
    char cut[CAPTION_BYTES];
    if (length <= letters) {
        sm_canvas_text(&page->canvas, x, y, page->scale, text, colour);
    } else if (letters > 2) {
        snprintf(cut, sizeof cut, "%.*s..", letters - 2, text);
        sm_canvas_text(&page->canvas, x, y, page->scale, cut, colour);
    }
}

/* Ends at `end`; where the texts leave little room, the bar is shorter. */
static void draw_ramp(const layout *page, const panel *p, int begin, int end, int y)
{
    char least[32], most[48];
    ramp_texts(p, least, most);
    int texts = sm_canvas_text_width(page->scale, least) + sm_canvas_text_width(page->scale, most);
    int bar = end - begin - texts, height = (SM_LETTER_HEIGHT - 1) * page->scale;
    bar = bar > MOST_BAR * page->scale ? MOST_BAR * page->scale : bar;
    bar = bar < LEAST_BAR * page->scale ? LEAST_BAR * page->scale : bar;
    int x = end - texts - bar;
    x = sm_canvas_text(&page->canvas, x > begin ? x : begin, y, page->scale, least, faint);
    for (int i = 0; i < bar; i++) {
        uint8_t colour[3];
        double share = (double)i / (bar - 1);
        sm_picture_ramp(p->is_root ? sqrt(share) : share, colour);
        sm_canvas_fill(&page->canvas, x + i, y, 1, height, colour);
    }
    put_text(page, x + bar, y, end, most, faint);
}

static void draw_panels(const layout *page, const overlay *o)
{
    int gap = page->scale * 2;
    for (int i = 0; i < o->count; i++) {
        const panel *p = &o->panels[i];
        int x = i % page->columns * (page->panel_width + gap),
            y = i / page->columns * (page->panel_height + page->header), end = x + page->panel_width - gap;
        put_text(page, x + gap, y + gap, end, p->caption, ink);
        if (p->has_ramp) {
            draw_ramp(page, p, x + gap, end, y + gap + page->header - page->line);
        }
        sm_canvas_put(&page->canvas, x, y + page->header, p->rgb, o->image->height, o->image->width, page->zoom);
    }
}

/* Where the next word of the legend goes. */
typedef struct cursor {
    const layout *page;
    int x, y, width, draws; /* draws: 0 only finds the place */
} cursor;

enum { PHRASE_GAP = 1, WORDS_GAP = 2 }; /* letters behind a word: within what belongs together, and between */

/* A word with or without a colour before it; goes to the next line where it does not fit. */
static void put_word(cursor *c, const char *word, const uint8_t *colour, int letters)
{
    int scale = c->page->scale, square = (SM_LETTER_HEIGHT - 1) * scale, gap = 2 * scale;
    int width = (colour ? square + gap : 0) + sm_canvas_text_width(scale, word);
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
    c->x += width + letters * SM_LETTER_ADVANCE * scale;
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

/* "weather: rain", "tags: wet, dark": the classes or labels of the image as a whole. */
static void put_sample_classes(cursor *c, const sm_class_list *classes, const uint8_t present[256])
{
    int left = 0;
    for (int k = 0; k < classes->count; k++) {
        left += present[k];
    }
    if (left == 0) {
        put_word(c, "none", NULL, WORDS_GAP);
    }
    for (int k = 0; k < classes->count; k++) {
        if (present[k]) {
            left--;
            char *word = sm_format("%s%s", classes->names[k], left > 0 ? "," : "");
            put_word(c, word, NULL, left > 0 ? PHRASE_GAP : WORDS_GAP);
            sm_free(word);
        }
    }
}

/* "speed: 12.5 m/s" */
static void put_sample_reals(cursor *c, const sm_task_prediction *task)
{
    const float *values = task->values;
    const char *unit = task->task->target->unit;
    for (int k = 0; k < task->components; k++) {
        char word[32];
        snprintf(word, sizeof word, "%.4g", (double)values[k]);
        put_word(c, word, NULL, k + 1 < task->components || *unit ? PHRASE_GAP : WORDS_GAP);
    }
    if (*unit) {
        put_word(c, unit, NULL, WORDS_GAP);
    }
}

static void put_sample(cursor *c, const sm_task_prediction *task, const uint8_t present[256])
{
    const sm_class_list *classes = task->task->target->classes;
    char *label = sm_format("%s:", task->task->name);
    put_word(c, label, NULL, PHRASE_GAP);
    sm_free(label);
    if (classes) {
        put_sample_classes(c, classes, present);
    } else {
        put_sample_reals(c, task);
    }
}

static int put_classes(cursor *c, const sm_class_list *classes, const uint8_t present[256])
{
    uint8_t colour[3];
    int words = 0;
    for (int k = 0; k < classes->count; k++) {
        if (present[k]) {
            sm_picture_class(classes, k, colour);
            put_word(c, classes->names[k], colour, WORDS_GAP);
            words++;
        }
    }
    return words;
}

/* \return the y below it */
static int draw_legend(const layout *page, const overlay *o, int top, int width, int draws)
{
    cursor c = {page, 2 * page->scale, top, width, draws};
    int words = 0;
    for (int t = 0; t < o->image->task_count; t++) {
        const sm_task_prediction *task = &o->image->tasks[t];
        const sm_class_list *classes = task->task->target->classes;
        uint8_t present[256];
        if (classes) {
            mark_present(task, present);
        }
        if (!sm_overlay_is_map(task)) {
            put_sample(&c, task, present);
            words++;
        } else if (classes) {
            words += put_classes(&c, classes, present);
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
    page.line = page.header = (SM_LETTER_HEIGHT + 4) * page.scale;
    for (int i = 0; i < o->count; i++) {
        int fits = header_width(&o->panels[i], page.scale) <= page.panel_width - 4 * page.scale;
        page.header = fits || !o->panels[i].has_ramp ? page.header : 2 * page.line;
    }
    page.columns = o->count < PANELS_A_ROW ? o->count : PANELS_A_ROW;
    int rows = (o->count + page.columns - 1) / page.columns, gap = 2 * page.scale;
    int width = page.columns * (page.panel_width + gap) - gap;
    page.legend_top = rows * (page.panel_height + page.header) + gap;
    int height = draw_legend(&page, o, page.legend_top, width, 0);
    page.canvas = sm_canvas_new(height > page.legend_top ? height : page.legend_top - gap, width, paper);
    return page;
}

sm_canvas sm_overlay_page_draw(const overlay *o)
{
    layout page = make_layout(o);
    draw_panels(&page, o);
    draw_legend(&page, o, page.legend_top, page.canvas.width, 1);
    return page.canvas;
}
