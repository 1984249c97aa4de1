#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/model/weight_names.h>
#include <sigmatic/train/pretrained.h>

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- names --------------------------------------------------------------------------------------------------------- */

/* A tensor of the file by our names. */
typedef struct translation {
    const sm_weight_name *row; /* NULL: no name that we know */
    char *ours;                /* "decoders.*.0.weight"; NULL: we have no such part */
    int is_used;
} translation;

/* \return the row of another style that begins alike: "backbone." is DeepLabv3's, too; NULL: none */
static const sm_weight_name *twin_of(const sm_weight_name *row)
{
    for (const sm_weight_name *other = row + 1; other->style; other++) {
        if (row->ours && other->ours && strcmp(other->theirs, row->theirs) == 0 &&
            strcmp(other->ours, row->ours) == 0) {
            return other;
        }
    }
    return NULL;
}

/* \return 1 if a tensor begins with another of the row's style */
static int has_others(const translation *all, size_t count, const sm_weight_name *row)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i].row && all[i].row != row && strcmp(all[i].row->style, row->style) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Of two styles that begin alike the one is meant whose other beginnings the file has. */
static void settle_styles(translation *all, size_t count)
{
    for (const sm_weight_name *row = sm_weight_names; row->style; row++) {
        const sm_weight_name *twin = twin_of(row);
        if (twin && !has_others(all, count, row) && has_others(all, count, twin)) {
            for (size_t i = 0; i < count; i++) {
                all[i].row = all[i].row == row ? twin : all[i].row;
            }
        }
    }
}

static translation *translate(const sm_weights_file *weights)
{
    translation *all = sm_alloc_zeroed((weights->count + 1) * sizeof *all);
    for (size_t i = 0; i < weights->count; i++) {
        const char *rest;
        all[i].row = sm_weight_name_find(weights->tensors[i].name, &rest);
        if (all[i].row && all[i].row->ours) {
            all[i].ours = sm_format("%s%s", all[i].row->ours, rest);
        }
    }
    settle_styles(all, weights->count);
    return all;
}

/* \return the name with its task as '*' if that is one of a map of classes, what a network of segmentation predicts; else NULL */
static char *name_of_any_decoder(const sm_session *session, const sm_slice *slice)
{
    static const char prefix[] = "decoders.";
    const sm_task *task = slice->task >= 0 ? session->tasks[slice->task] : NULL;
    if (!task || !sm_task_maps_classes(task) || strncmp(slice->name, prefix, strlen(prefix)) != 0) {
        return NULL;
    }
    return sm_format("%s*%s", prefix, slice->name + strlen(prefix) + strlen(task->name));
}

/* ---- matching ------------------------------------------------------------------------------------------------------ */

static int has_shape(const sm_weights_tensor *tensor, const sm_slice *slice)
{
    int same = tensor->is_real && tensor->rank == slice->dimensions;
    for (int d = 0; same && d < tensor->rank; d++) {
        same = tensor->shape[d] == (size_t)slice->shape[d];
    }
    return same;
}

/* Of several that make the same name the one whose row stands first. */
static void match_row(const sm_session *session, const sm_weights_file *weights, translation *translations,
                      sm_pretrained_row *row)
{
    char *any = name_of_any_decoder(session, row->slice);
    const translation *best = NULL;
    for (size_t i = 0; i < weights->count; i++) {
        const translation *t = &translations[i];
        if (t->ours && (strcmp(t->ours, row->slice->name) == 0 || (any && strcmp(t->ours, any) == 0)) &&
            (!best || t->row < best->row)) {
            best = t;
            row->tensor = i;
        }
    }
    if (best) {
        row->match = has_shape(&weights->tensors[row->tensor], row->slice) ? SM_MATCH_TAKEN : SM_MATCH_OTHER_SHAPE;
        translations[row->tensor].is_used = 1;
    }
    sm_free(any);
}

static void match_slices(const sm_session *session, const sm_slices *slices, int is_buffer, translation *translations,
                         sm_pretrained *pretrained)
{
    for (int i = 0; i < slices->count; i++) {
        if (slices->items[i].log_variance) {
            continue;
        }
        sm_pretrained_row *row = &pretrained->rows[pretrained->row_count++];
        *row = (sm_pretrained_row){.slice = &slices->items[i], .is_buffer = is_buffer, .match = SM_MATCH_MISSING};
        match_row(session, pretrained->weights, translations, row);
        pretrained->counts[row->match]++;
    }
}

static void find_left(const translation *translations, sm_pretrained *pretrained)
{
    const sm_weights_file *weights = pretrained->weights;
    pretrained->left = sm_alloc((weights->count + 1) * sizeof *pretrained->left);
    for (size_t i = 0; i < weights->count; i++) {
        if (weights->tensors[i].is_real && !translations[i].is_used) {
            pretrained->left[pretrained->left_count++] = i;
        }
    }
}

static void find_styles(const translation *translations, sm_pretrained *pretrained)
{
    pretrained->styles = sm_strdup("");
    for (int i = 0; i < pretrained->row_count; i++) {
        const sm_pretrained_row *row = &pretrained->rows[i];
        const char *style = row->match == SM_MATCH_TAKEN ? translations[row->tensor].row->style : NULL;
        if (style && !strstr(pretrained->styles, style)) {
            char *longer = sm_format("%s%s%s", pretrained->styles, *pretrained->styles ? " and " : "", style);
            sm_free(pretrained->styles);
            pretrained->styles = longer;
        }
    }
}

sm_status sm_pretrained_open(const char *path, const sm_session *session, sm_pretrained **out)
{
    sm_status status = SM_OK;
    sm_pretrained *pretrained = sm_alloc_zeroed(sizeof *pretrained);
    const sm_slices *parameters = &session->parameters->parameters, *buffers = &session->parameters->buffers;
    *out = NULL;
    SM_TRY(sm_weights_file_open(path, &pretrained->weights));
    translation *translations = translate(pretrained->weights);
    pretrained->rows = sm_alloc((size_t)(parameters->count + buffers->count) * sizeof *pretrained->rows);
    match_slices(session, parameters, 0, translations, pretrained);
    match_slices(session, buffers, 1, translations, pretrained);
    find_left(translations, pretrained);
    find_styles(translations, pretrained);
    for (size_t i = 0; i < pretrained->weights->count; i++) {
        sm_free(translations[i].ours);
    }
    sm_free(translations);
    *out = pretrained;
    pretrained = NULL;
done:
    sm_pretrained_free(pretrained);
    return status;
}

void sm_pretrained_free(sm_pretrained *pretrained)
{
    if (pretrained) {
        sm_weights_file_close(pretrained->weights);
        sm_free(pretrained->rows);
        sm_free(pretrained->left);
        sm_free(pretrained->styles);
        sm_free(pretrained);
    }
}

/* ---- loading ------------------------------------------------------------------------------------------------------- */

static size_t count_not_finite(const float *values, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += !isfinite(values[i]);
    }
    return found;
}

static sm_status read_row(const sm_pretrained *pretrained, const sm_pretrained_row *row, sm_session *session)
{
    sm_status status = SM_OK;
    const sm_weights_file *weights = pretrained->weights;
    float *values = sm_alloc(row->slice->count * sizeof *values);
    SM_TRY(sm_weights_file_read(weights, row->tensor, values));
    size_t broken = count_not_finite(values, row->slice->count);
    if (broken > 0) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s: tensor '%s': %zu of its %zu %s not finite (NaN or infinite): nothing can learn from there",
                       weights->path, weights->tensors[row->tensor].name, broken, row->slice->count,
                       sm_plural((int64_t)row->slice->count, "numbers is", "numbers are")));
    }
    sm_slice_import(row->slice, values, row->is_buffer ? session->buffers : session->values);
done:
    sm_free(values);
    return status;
}

static sm_status nothing_fits(const sm_pretrained *pretrained, const sm_session *session)
{
    char *complaint = sm_pretrained_complaint(pretrained, session);
    sm_status status = sm_fail(SM_ERR_INPUT, "%s: %s", pretrained->weights->path, complaint);
    sm_free(complaint);
    return status;
}

static sm_status load_file(sm_session *session, const char *path)
{
    sm_status status = SM_OK;
    sm_pretrained *pretrained = NULL;
    SM_TRY(sm_pretrained_open(path, session, &pretrained));
    if (pretrained->counts[SM_MATCH_TAKEN] == 0) {
        SM_TRY(nothing_fits(pretrained, session));
    }
    for (int i = 0; i < pretrained->row_count; i++) {
        if (pretrained->rows[i].match == SM_MATCH_TAKEN) {
            SM_TRY(read_row(pretrained, &pretrained->rows[i], session));
        }
    }
    sm_pretrained_report(pretrained, session);
done:
    sm_pretrained_free(pretrained);
    return status;
}

sm_status sm_pretrained_load(sm_session *session, const char *path)
{
    sm_session_wait_for_node(session);
    sm_status status = sm_comm_rank(session->comm) == 0 ? load_file(session, path) : SM_OK;
    status = sm_comm_agree(session->comm, status);
    if (status == SM_OK) {
        sm_session_broadcast_network(session);
    }
    return status;
}
