/* What a network takes from a file, in words: a table of its parts, and the names of what does not go without saying. */
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/train/pretrained.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAMED_MOST = 8 /* of a kind; 'sigmatic weights info' names all */ };

const char *const sm_match_names[SM_MATCHES] = {
    [SM_MATCH_TAKEN] = "taken", [SM_MATCH_OTHER_SHAPE] = "other shape", [SM_MATCH_MISSING] = "missing"};

/* \return length of the part of the network that a name belongs to: "backbone.layer1", "aspp", "decoders.depth", "fc" */
static size_t part_length(const char *name)
{
    size_t first = strcspn(name, "."), second = name[first] ? strcspn(name + first + 1, ".") : 0;
    int is_deeper = name[first] && name[first + 1 + second] == '.';
    return is_deeper && strncmp(name, "aspp.", 5) != 0 ? first + 1 + second : first;
}

static int same_part(const char *a, const char *b)
{
    size_t length = part_length(a);
    return length == part_length(b) && strncmp(a, b, length) == 0;
}

/* \return 1 for the first row of its part */
static int begins_part(const sm_pretrained *pretrained, int i)
{
    for (int before = 0; before < i; before++) {
        if (same_part(pretrained->rows[before].slice->name, pretrained->rows[i].slice->name)) {
            return 0;
        }
    }
    return 1;
}

static void count_part(const sm_pretrained *pretrained, const char *name, int counts[SM_MATCHES])
{
    memset(counts, 0, SM_MATCHES * sizeof *counts);
    for (int i = 0; i < pretrained->row_count; i++) {
        if (same_part(pretrained->rows[i].slice->name, name)) {
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
            sm_log_info("  %-24.*s %8d %12d %8d%s", (int)part_length(name), name, counts[SM_MATCH_TAKEN],
                        counts[SM_MATCH_OTHER_SHAPE], counts[SM_MATCH_MISSING],
                        counts[SM_MATCH_TAKEN] == 0 ? "   starts fresh" : "");
        }
    }
}

/* \return "(64, 3, 7, 7)", freed with sm_free() */
static char *shape_text(int rank, const size_t *shape)
{
    char *text = sm_strdup("(");
    for (int d = 0; d < rank; d++) {
        char *longer = sm_format("%s%s%zu", text, d > 0 ? ", " : "", shape[d]);
        sm_free(text);
        text = longer;
    }
    char *whole = sm_format("%s)", text);
    sm_free(text);
    return whole;
}

static void report_shape(const sm_pretrained *pretrained, const sm_pretrained_row *row)
{
    const sm_weights_tensor *tensor = &pretrained->weights->tensors[row->tensor];
    size_t shape[4];
    for (int d = 0; d < row->slice->dimensions; d++) {
        shape[d] = (size_t)row->slice->shape[d];
    }
    char *here = shape_text(row->slice->dimensions, shape), *there = shape_text(tensor->rank, tensor->shape);
    sm_log_info("  other shape: %s is %s, in the file %s %s", row->slice->name, here, there,
                tensor->is_real ? tensor->type : "of no real numbers");
    sm_free(here);
    sm_free(there);
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
            report_shape(pretrained, row);
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
        while (i < pretrained->left_count && same_part(tensors[pretrained->left[i]].name, name)) {
            i++;
        }
        parts++;
        char *longer = sm_format("%s%s%.*s (%zu)", text, *text ? ", " : "", (int)part_length(name), name, i - begin);
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
        char *longer = sm_format("%s%s%.4g", text, c > 0 ? ", " : "", values[c]);
        sm_free(text);
        text = longer;
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

/* Numbers of channels are those of a backbone and a width; only a decoder's last layer follows from the data. */
static void warn_of_another_backbone(const sm_pretrained *pretrained)
{
    int others = 0;
    for (int i = 0; i < pretrained->row_count; i++) {
        const sm_pretrained_row *row = &pretrained->rows[i];
        others += row->match == SM_MATCH_OTHER_SHAPE && row->slice->task < 0;
    }
    if (others > 0) {
        sm_log_warning("%s: %d %s another shape there: it is of another model.backbone, width or project",
                       pretrained->weights->path, others,
                       sm_plural(others, "tensor of the shared network has", "tensors of the shared network have"));
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
    warn_of_another_backbone(pretrained);
    if (session->data) {
        compare_statistics(weights, &session->data->input);
    }
}
