/* What a network takes from a file, in words: a table of its parts, and the names of what does not go without saying. */
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/model/weight_names.h>
#include <sigmatic/train/pretrained.h>

#include "train/pretrained_shapes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAMED_MOST = 8 /* of a kind; 'sigmatic weights info' names all */ };

const char *const sm_match_names[SM_MATCHES] = {
    [SM_MATCH_TAKEN] = "taken", [SM_MATCH_OTHER_SHAPE] = "other shape", [SM_MATCH_MISSING] = "missing"};

/* \return 1 for the first row of its part */
static int begins_part(const sm_pretrained *pretrained, int i)
{
    for (int before = 0; before < i; before++) {
        if (sm_weight_same_part(pretrained->rows[before].slice->name, pretrained->rows[i].slice->name)) {
            return 0;
        }
    }
    return 1;
}

static void count_part(const sm_pretrained *pretrained, const char *name, int counts[SM_MATCHES])
{
    memset(counts, 0, SM_MATCHES * sizeof *counts);
    for (int i = 0; i < pretrained->row_count; i++) {
        if (sm_weight_same_part(pretrained->rows[i].slice->name, name)) {
            counts[pretrained->rows[i].match]++;
        }
    }
}

static void report_table(const sm_pretrained *pretrained)
{
    sm_log_info("  %-24s %8s %12s %8s", "tensors of", sm_match_names[0], sm_match_names[1], sm_match_names[2]);
    for (int i = 0; i < pretrained->row_count; i++) {
        const char *name = pretrained->rows[i].slice->name;
        int counts[SM_MATCHES];
        if (begins_part(pretrained, i)) {
            count_part(pretrained, name, counts);
            sm_log_info("  %-24.*s %8d %12d %8d%s", (int)sm_weight_part_length(name), name, counts[SM_MATCH_TAKEN],
                        counts[SM_MATCH_OTHER_SHAPE], counts[SM_MATCH_MISSING],
                        counts[SM_MATCH_TAKEN] == 0 ? "   starts fresh" : "");
        }
    }
}

/* Parts that start fresh as a whole stand in the table. */
static int is_named(const sm_pretrained *pretrained, const sm_pretrained_row *row, sm_match match)
{
    int counts[SM_MATCHES];
    if (row->match != match) {
        return 0;
    }
    count_part(pretrained, row->slice->name, counts);
    return match == SM_MATCH_OTHER_SHAPE || counts[SM_MATCH_TAKEN] > 0;
}

static void report_rows(const sm_pretrained *pretrained, sm_match match)
{
    int named = 0;
    for (int i = 0; i < pretrained->row_count; i++) {
        const sm_pretrained_row *row = &pretrained->rows[i];
        if (!is_named(pretrained, row, match) || ++named > NAMED_MOST) {
            continue;
        }
        if (match == SM_MATCH_OTHER_SHAPE) {
            char *text = sm_pretrained_shapes(pretrained, row);
            sm_log_info("  other shape: %s", text);
            sm_free(text);
        } else {
            sm_log_info("  missing: %s", row->slice->name);
        }
    }
    if (named > NAMED_MOST) {
        sm_log_info("  ... and %d more ('sigmatic weights info FILE --config CONFIG' names all)", named - NAMED_MOST);
    }
}

/* Parts of the file, each once with how many tensors it has. */
static void report_left(const sm_pretrained *pretrained)
{
    const sm_weights_tensor *tensors = pretrained->weights->tensors;
    char *text = sm_strdup("");
    size_t parts = 0, i = 0;
    while (i < pretrained->left_count && parts < NAMED_MOST) {
        const char *name = tensors[pretrained->left[i]].name;
        size_t begin = i;
        while (i < pretrained->left_count && sm_weight_same_part(tensors[pretrained->left[i]].name, name)) {
            i++;
        }
        parts++;
        char *longer =
            sm_format("%s%s%.*s (%zu)", text, *text ? ", " : "", (int)sm_weight_part_length(name), name, i - begin);
        sm_free(text);
        text = longer;
    }
    if (*text) {
        sm_log_info("  of the file not used: %zu %s: %s%s", pretrained->left_count,
                    sm_plural((int64_t)pretrained->left_count, "tensor", "tensors"), text,
                    i < pretrained->left_count ? ", ..." : "");
    }
    sm_free(text);
}

static char *numbers_text(const double *values, int count)
{
    char *text = sm_strdup("");
    for (int c = 0; c < count; c++) {
        sm_append_text(&text, ", ", "%.4g", values[c]);
    }
    return text;
}

/* Half a grey level of 255 is the rounding of whoever wrote the numbers down. */
static int differs(const double *a, const double *b, int count)
{
    for (int c = 0; c < count; c++) {
        if (fabs(a[c] - b[c]) > 0.5 / 255) {
            return 1;
        }
    }
    return 0;
}

static void compare_statistics(const sm_weights_file *weights, const sm_input *input)
{
    if (weights->channels == 0) {
        return;
    }
    int count = weights->channels;
    if (count != input->channels || differs(weights->mean, input->mean, count) ||
        differs(weights->std, input->std, count)) {
        char *mean = numbers_text(weights->mean, count), *std = numbers_text(weights->std, count);
        char *own_mean = numbers_text(input->mean, input->channels),
             *own_std = numbers_text(input->std, input->channels);
        sm_log_warning("%s was trained on images normalised by mean %s and std %s, those of [data] train are by %s and "
                       "%s (the dataset's attributes mean and std): its first layers expect the former",
                       weights->path, mean, std, own_mean, own_std);
        sm_free(mean);
        sm_free(std);
        sm_free(own_mean);
        sm_free(own_std);
    }
}

void sm_pretrained_report(const sm_pretrained *pretrained, const sm_session *session)
{
    const sm_weights_file *weights = pretrained->weights;
    sm_log_info("pretrained: %d of %d tensors from %s (%s%s, names of %s)", pretrained->counts[SM_MATCH_TAKEN],
                pretrained->row_count, weights->path, weights->kind, weights->is_average ? ", averaged" : "",
                pretrained->styles);
    report_table(pretrained);
    report_rows(pretrained, SM_MATCH_OTHER_SHAPE);
    report_rows(pretrained, SM_MATCH_MISSING);
    report_left(pretrained);
    char *complaint = sm_pretrained_complaint(pretrained, session);
    if (complaint) {
        sm_log_warning("%s: %s", weights->path, complaint);
    }
    sm_free(complaint);
    if (session->data) {
        compare_statistics(weights, &session->data->input);
    }
}
