/* The tensors of a file of weights as a table or as JSON, one in memory at a time. */
#include "cli/weights_info.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/io/json.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/pretrained.h>

#include "cli/arguments.h"
#include "cli/configuration.h"
#include "cli/run_path.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct options {
    const char *path, *config;
    argument_list sets;
    int verify, json;
} options;

/* Of the finite numbers of a tensor. */
typedef struct summary {
    size_t finite;
    double least, most, mean; /* NaN: none */
} summary;

static summary summarise(const float *values, size_t count)
{
    summary s = {.least = NAN, .most = NAN, .mean = NAN};
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double value = (double)values[i];
        if (isfinite(value)) {
            s.least = s.finite == 0 ? value : fmin(s.least, value);
            s.most = s.finite == 0 ? value : fmax(s.most, value);
            sum += value;
            s.finite++;
        }
    }
    s.mean = s.finite > 0 ? sum / (double)s.finite : NAN;
    return s;
}

static sm_status read_summary(const sm_weights_file *weights, size_t index, summary *out)
{
    const sm_weights_tensor *tensor = &weights->tensors[index];
    *out = (summary){0, NAN, NAN, NAN};
    if (!tensor->is_real) {
        return SM_OK;
    }
    float *values = sm_alloc((tensor->count + 1) * sizeof *values);
    sm_status status = sm_weights_file_read(weights, index, values);
    if (status == SM_OK) {
        *out = summarise(values, tensor->count);
    }
    sm_free(values);
    return status;
}

static const char *shape_text(int rank, const size_t *shape, char text[128])
{
    size_t used = 0;
    text[0] = '\0';
    for (int d = 0; d < rank && used < 100; d++) {
        used += (size_t)snprintf(text + used, 128 - used, "%s%zu", d > 0 ? " x " : "", shape[d]);
    }
    return rank == 0 ? "one number" : text;
}

static void number_text(double value, char text[16])
{
    if (isnan(value)) {
        snprintf(text, 16, "-");
    } else {
        snprintf(text, 16, "%.4g", value);
    }
}

static int name_width(const sm_weights_file *weights)
{
    size_t width = 4;
    for (size_t i = 0; i < weights->count; i++) {
        size_t length = strlen(weights->tensors[i].name);
        width = length > width && length <= SM_NAME_BYTES ? length : width;
    }
    return (int)width;
}

static void print_head(const sm_weights_file *weights)
{
    size_t numbers = 0;
    for (size_t i = 0; i < weights->count; i++) {
        numbers += weights->tensors[i].count;
    }
    printf("%s: %s, %zu %s, %zu %s%s\n", weights->path, weights->kind, weights->count,
           sm_plural((int64_t)weights->count, "tensor", "tensors"), numbers,
           sm_plural((int64_t)numbers, "number", "numbers"),
           weights->is_average ? ", parameters averaged over the run's steps (ema_decay)" : "");
    if (weights->channels > 0) {
        printf("inputs normalised by mean");
        for (int c = 0; c < weights->channels; c++) {
            printf("%s %.6g", c > 0 ? "," : "", weights->mean[c]);
        }
        printf(" and std");
        for (int c = 0; c < weights->channels; c++) {
            printf("%s %.6g", c > 0 ? "," : "", weights->std[c]);
        }
        printf("\n");
    }
    printf("\n");
}

static sm_status print_table(const sm_weights_file *weights)
{
    sm_status status = SM_OK;
    int width = name_width(weights);
    size_t broken = 0;
    print_head(weights);
    printf("%-*s  %-18s %-9s %11s %11s %11s\n", width, "name", "shape", "type", "least", "most", "mean");
    for (size_t i = 0; i < weights->count; i++) {
        const sm_weights_tensor *tensor = &weights->tensors[i];
        summary s;
        char shape[128], least[16], most[16], mean[16];
        SM_TRY(read_summary(weights, i, &s));
        number_text(s.least, least);
        number_text(s.most, most);
        number_text(s.mean, mean);
        printf("%-*s  %-18s %-9s %11s %11s %11s", width, tensor->name, shape_text(tensor->rank, tensor->shape, shape),
               tensor->type, least, most, mean);
        if (tensor->is_real && s.finite < tensor->count) {
            printf("   %zu not finite", tensor->count - s.finite);
            broken++;
        }
        printf("\n");
    }
    if (broken > 0) {
        printf("\n%zu %s numbers that are not finite\n", broken,
               sm_plural((int64_t)broken, "tensor holds", "tensors hold"));
    }
done:
    return status;
}

static sm_status print_json(const sm_weights_file *weights)
{
    sm_status status = SM_OK;
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "file", weights->path);
    sm_json_set_text(json, "kind", weights->kind);
    if (weights->channels > 0) {
        sm_json_set_reals(json, "mean", weights->mean, weights->channels);
        sm_json_set_reals(json, "std", weights->std, weights->channels);
    }
    sm_json *rows = sm_json_set_array(json, "tensors");
    for (size_t i = 0; i < weights->count; i++) {
        const sm_weights_tensor *tensor = &weights->tensors[i];
        summary s;
        SM_TRY(read_summary(weights, i, &s));
        sm_json *row = sm_json_set_object(rows, NULL);
        sm_json_set_text(row, "name", tensor->name);
        sm_json *shape = sm_json_set_array(row, "shape");
        for (int d = 0; d < tensor->rank; d++) {
            sm_json_set_integer(shape, NULL, (int64_t)tensor->shape[d]);
        }
        sm_json_set_text(row, "type", tensor->type);
        if (tensor->is_real) {
            sm_json_set_real(row, "least", s.least);
            sm_json_set_real(row, "most", s.most);
            sm_json_set_real(row, "mean", s.mean);
            sm_json_set_integer(row, "not_finite", (int64_t)(tensor->count - s.finite));
        }
    }
    SM_TRY(sm_json_print(json, stdout));
done:
    sm_json_free(json);
    return status;
}

/* ---- what a network would take ------------------------------------------------------------------------------------- */

static void print_matches(const sm_pretrained *pretrained, const sm_session *session)
{
    const sm_weights_file *weights = pretrained->weights;
    char *complaint = sm_pretrained_complaint(pretrained, session);
    printf("%s: %d of the network's %d tensors would be taken\n", weights->path, pretrained->counts[SM_MATCH_TAKEN],
           pretrained->row_count);
    if (complaint) {
        printf("%s\n", complaint);
    }
    sm_free(complaint);
    printf("\n");
    printf("%-11s  %-44s %-18s from\n", "", "tensor of the network", "shape");
    for (int i = 0; i < pretrained->row_count; i++) {
        const sm_pretrained_row *row = &pretrained->rows[i];
        size_t sizes[4];
        char shape[128], other[128];
        for (int d = 0; d < row->slice->dimensions; d++) {
            sizes[d] = (size_t)row->slice->shape[d];
        }
        printf("%-11s  %-44s %-18s", sm_match_names[row->match], row->slice->name,
               shape_text(row->slice->dimensions, sizes, shape));
        if (row->match != SM_MATCH_MISSING) {
            const sm_weights_tensor *tensor = &weights->tensors[row->tensor];
            printf(" %s", tensor->name);
            if (row->match == SM_MATCH_OTHER_SHAPE) {
                printf(", %s %s", shape_text(tensor->rank, tensor->shape, other), tensor->type);
            }
        }
        printf("\n");
    }
    for (size_t i = 0; i < pretrained->left_count; i++) {
        printf("%-11s  %-44s %-18s %s\n", "not used", "", "", weights->tensors[pretrained->left[i]].name);
    }
}

/* A network is known only with its data: they say how many classes there are. */
static sm_status compare_with_config(const options *o)
{
    sm_status status = SM_OK;
    sm_config *config = NULL;
    sm_dataset *train = NULL;
    sm_session *session = NULL;
    sm_pretrained *pretrained = NULL;
    SM_TRY(command_config(o->config, NULL, &o->sets, &config));
    SM_TRY(sm_data_open_train(config, &train));
    SM_TRY(sm_session_new(config, sm_comm_self(), train, &session));
    SM_TRY(sm_pretrained_open(o->path, session, &pretrained));
    print_matches(pretrained, session);
done:
    sm_pretrained_free(pretrained);
    sm_session_free(session);
    sm_dataset_close(train);
    sm_config_free(config);
    return status;
}

/* Reached only if all was right. */
static void print_verified(const sm_weights_file *weights)
{
    size_t real = 0;
    for (size_t i = 0; i < weights->count; i++) {
        real += weights->tensors[i].is_real != 0;
    }
    printf("\neach tensor of real numbers was read; ");
    if (weights->checksums > 0) {
        printf("%zu of %zu %s, all right\n", weights->checksums, real,
               sm_plural((int64_t)weights->checksums, "has a checksum", "have checksums"));
    } else {
        printf("none has a checksum\n");
    }
}

static sm_status inform(const options *o)
{
    sm_status status = SM_OK;
    sm_weights_file *weights = NULL;
    SM_TRY(sm_weights_file_open(o->path, &weights));
    if (o->verify && strcmp(weights->kind, "checkpoint") == 0) {
        SM_TRY(sm_checkpoint_verify(o->path, 0));
    }
    SM_TRY(o->json ? print_json(weights) : print_table(weights));
    if (o->verify && !o->json) {
        print_verified(weights);
    }
done:
    sm_weights_file_close(weights);
    return status;
}

sm_status weights_info(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    options o = {0};
    char *path = NULL;
    int help;
    const argument table[] = {
        {"FILE", ARGUMENT_POSITIONAL, &o.path, NULL, "checkpoint or run's folder, state_dict in HDF5, or safetensors"},
        {"config", ARGUMENT_TEXT, &o.config, "CONFIG",
         "tell tensor by tensor what the network of this config would take of it as model.pretrained"},
        {"set", ARGUMENT_LIST, &o.sets, "SECTION.KEY=VALUE", "override a key of CONFIG; may be repeated"},
        {"verify", ARGUMENT_FLAG, &o.verify, NULL,
         "of a checkpoint the checksums of the optimizer's state, too; those of its weights always are"},
        {"json", ARGUMENT_FLAG, &o.json, NULL, "print one JSON object instead of a table (include/README.md, JSON)"},
        {0}};
    SM_TRY(command_arguments(
        context, "weights info",
        "Lists the tensors of a file of weights: name, shape, type, smallest, largest and mean number.", table, argc,
        argv, &help));
    if (help) {
        goto done;
    }
    if (o.config && (o.json || o.verify)) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "weights info: --config goes with neither --json nor --verify"));
    }
    if (o.sets.count > 0 && !o.config) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "weights info: --set goes with --config"));
    }
    if (sm_comm_rank(context->comm) == 0) {
        SM_TRY(run_path_checkpoint(o.path, &path));
        o.path = path;
        SM_TRY(o.config ? compare_with_config(&o) : inform(&o));
    }
done:
    sm_free(path);
    return status;
}
