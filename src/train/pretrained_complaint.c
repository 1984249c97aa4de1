/* Where a file fits poorly: how much of the network starts fresh that was meant to start from it, and why. */
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/train/pretrained.h>

#include "train/pretrained_shapes.h"

#include <string.h>

enum { NAMED_MOST = 3 };

/* Rows of what tasks share whose names begin alike: "backbone", "aspp". */
typedef struct section {
    const char *name; /* length characters of a row's */
    size_t length;
    int rows, counts[SM_MATCHES];
} section;

static int is_of(const section *s, const sm_pretrained_row *row)
{
    return row->slice->task < 0 && strcspn(row->slice->name, ".") == s->length &&
           strncmp(row->slice->name, s->name, s->length) == 0;
}

static section section_of(const sm_pretrained *pretrained, const sm_pretrained_row *first)
{
    section s = {.name = first->slice->name, .length = strcspn(first->slice->name, ".")};
    for (int i = 0; i < pretrained->row_count; i++) {
        if (is_of(&s, &pretrained->rows[i])) {
            s.rows++;
            s.counts[pretrained->rows[i].match]++;
        }
    }
    return s;
}

/* \return the first row of that outcome; of a section, or with NULL of all rows; NULL: there is none */
static const sm_pretrained_row *first_row(const sm_pretrained *pretrained, const section *s, sm_match match)
{
    for (int i = 0; i < pretrained->row_count; i++) {
        if (pretrained->rows[i].match == match && (!s || is_of(s, &pretrained->rows[i]))) {
            return &pretrained->rows[i];
        }
    }
    return NULL;
}

/* \return "a, b, c, ...", freed with sm_free() */
static char *missing_names(const sm_pretrained *pretrained, const section *s)
{
    char *text = sm_strdup("");
    int named = 0;
    for (int i = 0; i < pretrained->row_count && named <= NAMED_MOST; i++) {
        const sm_pretrained_row *row = &pretrained->rows[i];
        if (row->match == SM_MATCH_MISSING && is_of(s, row)) {
            sm_append_text(&text, ", ", "%s", named < NAMED_MOST ? row->slice->name : "...");
            named++;
        }
    }
    return text;
}

/* \return "80 of 216 tensors of the backbone start fresh: ...", freed with sm_free() */
static char *section_text(const sm_pretrained *pretrained, const section *s)
{
    int missing = s->counts[SM_MATCH_MISSING], others = s->counts[SM_MATCH_OTHER_SHAPE];
    char *names = missing_names(pretrained, s);
    char *absent = missing > 0
                       ? sm_format("%d %s not in the file (%s)", missing, sm_plural(missing, "is", "are"), names)
                       : sm_strdup("");
    char *example =
        others > 0 ? sm_pretrained_shapes(pretrained, first_row(pretrained, s, SM_MATCH_OTHER_SHAPE)) : NULL;
    char *shaped = others > 0
                       ? sm_format("%d %s another shape there (%s)", others, sm_plural(others, "has", "have"), example)
                       : sm_strdup("");
    char *text = sm_format("%d of %d tensors of the %.*s start fresh: %s%s%s", missing + others, s->rows,
                           (int)s->length, s->name, absent, missing > 0 && others > 0 ? ", " : "", shaped);
    sm_free(names);
    sm_free(absent);
    sm_free(example);
    sm_free(shaped);
    return text;
}

/* The backbone has to come from the file; the ASPP that a ResNet has not may start fresh, but as a whole. */
static char *patchy_sections(const sm_pretrained *pretrained)
{
    char *text = NULL;
    section s = {.name = "", .length = 0};
    for (int i = 0; i < pretrained->row_count; i++) {
        const sm_pretrained_row *row = &pretrained->rows[i];
        if (row->is_buffer) {
            break; /* what has statistics has parameters: it was there before */
        }
        if (row->slice->task >= 0 || is_of(&s, row)) {
            continue;
        }
        s = section_of(pretrained, row);
        int taken = s.counts[SM_MATCH_TAKEN];
        if (taken < s.rows && (taken > 0 || i == 0)) {
            char *more = section_text(pretrained, &s);
            sm_append_text(&text, "; ", "%s", more);
            sm_free(more);
        }
    }
    return text;
}

/* What the file has, where nothing of it fits: the first names tell which kind of network it is of. */
static char *nothing_fits(const sm_pretrained *pretrained)
{
    const sm_weights_file *weights = pretrained->weights;
    const sm_pretrained_row *other = first_row(pretrained, NULL, SM_MATCH_OTHER_SHAPE);
    if (!other) {
        return sm_format("of its %zu %s none has a name of the configured network; it begins with '%s', the network "
                         "with '%s'; 'sigmatic weights info' lists them",
                         weights->count, sm_plural((int64_t)weights->count, "tensor", "tensors"),
                         weights->count > 0 ? weights->tensors[0].name : "", pretrained->rows[0].slice->name);
    }
    int others = pretrained->counts[SM_MATCH_OTHER_SHAPE];
    char *example = sm_pretrained_shapes(pretrained, other);
    char *text =
        sm_format("nothing fits: %d %s there by name, %s: %s", others,
                  sm_plural(others, "tensor of the configured network is", "tensors of the configured network are"),
                  sm_plural(others, "but with another shape", "but each with another shape"), example);
    sm_free(example);
    return text;
}

char *sm_pretrained_complaint(const sm_pretrained *pretrained, const sm_session *session)
{
    char *text = pretrained->counts[SM_MATCH_TAKEN] > 0 ? patchy_sections(pretrained) : nothing_fits(pretrained);
    char *cause = text ? sm_pretrained_cause(pretrained, session) : NULL;
    if (cause) {
        sm_append_text(&text, "; ", "%s", cause);
    }
    sm_free(cause);
    return text;
}
