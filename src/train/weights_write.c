#include <sigmatic/base/memory.h>
#include <sigmatic/base/version.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>
#include <sigmatic/model/parts.h>
#include <sigmatic/model/weight_names.h>
#include <sigmatic/train/weights_write.h>

#include "train/tensor_checksum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a file of either kind ----------------------------------------------------------------------------------------- */

static int ends_with(const char *path, const char *ending)
{
    size_t length = strlen(path), tail = strlen(ending);
    return length > tail && strcmp(path + length - tail, ending) == 0;
}

static int is_safetensors(const char *path)
{
    return ends_with(path, ".safetensors");
}

sm_status sm_weights_check_path(const char *path, int is_checkpoint)
{
    if (ends_with(path, ".h5") || ends_with(path, ".hdf5") || (!is_checkpoint && is_safetensors(path))) {
        return SM_OK;
    }
    return sm_fail(SM_ERR_USAGE, "%s: a name that ends in %s expected", path,
                   is_checkpoint ? ".h5 or .hdf5, which a checkpoint is," : ".safetensors, .h5 or .hdf5");
}

/* \return a number with the fewest digits that give it again, freed with sm_free() */
static char *number_text(double value)
{
    enum { SURE = 15, ENOUGH = 17 }; /* digits of a double that every decimal keeps, and that keep every double */
    char *text = NULL;
    for (int digits = SURE; !text || (digits <= ENOUGH && strtod(text, NULL) != value); digits++) {
        sm_free(text);
        text = sm_format("%.*g", digits, value);
    }
    return text;
}

/* \return "[0.485, 0.456]" with the fewest digits that give the same numbers again, freed with sm_free() */
static char *list_text(const double *values, int count)
{
    char *text = sm_strdup("[");
    for (int c = 0; c < count; c++) {
        char *number = number_text(values[c]), *longer = sm_format("%s%s%s", text, c > 0 ? ", " : "", number);
        sm_free(number);
        sm_free(text);
        text = longer;
    }
    char *whole = sm_format("%s]", text);
    sm_free(text);
    return whole;
}

static sm_status write_safetensors(const char *path, const sm_safetensor_values *tensors, size_t count,
                                   const sm_weights_notes *notes)
{
    enum { OWN = 3 };
    sm_safetensors_text *texts = sm_alloc((notes->count + OWN) * sizeof *texts);
    char *mean = notes->mean ? list_text(notes->mean, notes->channels) : NULL;
    char *std = notes->mean ? list_text(notes->std, notes->channels) : NULL;
    size_t used = notes->count;
    if (used > 0) {
        memcpy(texts, notes->texts, used * sizeof *texts);
    }
    texts[used++] = (sm_safetensors_text){"format", "pt"}; /* as the format's own library writes PyTorch's tensors */
    if (mean) {
        texts[used++] = (sm_safetensors_text){"mean", mean};
        texts[used++] = (sm_safetensors_text){"std", std};
    }
    sm_status status = sm_safetensors_write(path, tensors, count, texts, used);
    sm_free(mean);
    sm_free(std);
    sm_free(texts);
    return status;
}

static sm_status write_h5(const char *path, const sm_safetensor_values *tensors, size_t count,
                          const sm_weights_notes *notes)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    SM_TRY(sm_h5_create_in_memory(path, SM_H5_LATEST, NULL, &file));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-weights"));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", 1));
    for (size_t i = 0; i < notes->count; i++) {
        SM_TRY(sm_h5_write_attribute_text(file, "/", notes->texts[i].key, notes->texts[i].text));
    }
    if (notes->mean) {
        SM_TRY(sm_h5_write_attribute_doubles(file, "/", "mean", notes->mean, (size_t)notes->channels));
        SM_TRY(sm_h5_write_attribute_doubles(file, "/", "std", notes->std, (size_t)notes->channels));
    }
    for (size_t i = 0; i < count; i++) {
        size_t bytes = sm_safetensor_values_count(&tensors[i]) * sizeof(float);
        SM_TRY(sm_h5_write(file, tensors[i].name, SM_H5_FLOAT, tensors[i].rank, tensors[i].shape, tensors[i].values));
        SM_TRY(sm_tensor_write_checksum(file, tensors[i].name, tensors[i].values, bytes));
    }
    SM_TRY(sm_h5_write_image(file, path));
done:
    sm_h5_close(file);
    return status;
}

sm_status sm_weights_write(const char *path, const sm_safetensor_values *tensors, size_t count,
                           const sm_weights_notes *notes)
{
    sm_status status = SM_OK;
    SM_TRY(sm_weights_check_path(path, 0));
    status = (is_safetensors(path) ? write_safetensors : write_h5)(path, tensors, count, notes);
done:
    return status;
}

/* ---- what the network is ------------------------------------------------------------------------------------------- */

static void set_perceptron(const sm_network_options *network, sm_json *json)
{
    size_t count;
    const int64_t *widths = sm_config_integers(network->config, "model", "hidden", &count);
    sm_json *hidden = sm_json_set_array(json, "hidden");
    for (size_t i = 0; i < count; i++) {
        sm_json_set_integer(hidden, NULL, widths[i]);
    }
    sm_json_set_integer(json, "head_hidden", network->head_hidden);
}

static char *network_text(const sm_network_options *network)
{
    sm_json *json = sm_json_new();
    double rates[SM_ASPP_RATES];
    for (int i = 0; i < SM_ASPP_RATES; i++) {
        rates[i] = network->rates[i];
    }
    sm_json_set_text(json, "backbone", network->backbone->name);
    if (network->backbone->append == sm_mlp_append) {
        set_perceptron(network, json);
    }
    sm_json_set_real(json, "width", network->width);
    sm_json_set_integer(json, "output_stride", network->output_stride);
    sm_json_set_reals(json, "aspp_rates", rates, SM_ASPP_RATES);
    sm_json_set_bool(json, "project", network->project);
    sm_json_set_bool(json, "align_corners", network->align_corners);
    sm_json_set_real(json, "dropout", network->dropout);
    char *text = sm_json_text(json);
    sm_json_free(json);
    return text;
}

static void set_task(const sm_session *session, int t, sm_json *json)
{
    static const char *const heads[SM_HEAD_KINDS] = {[SM_HEAD_MAP] = "map", [SM_HEAD_VECTOR] = "vector"};
    const sm_task *task = session->tasks[t];
    const float *log_variance = sm_session_log_variance(session, t);
    sm_json_set_text(json, "name", task->name);
    sm_json_set_text(json, "kind", task->kind->name);
    sm_json_set_text(json, "head", heads[session->heads[t].kind]);
    sm_json_set_integer(json, "outputs", sm_task_outputs(task));
    sm_json_set_integer(json, "channels", task->channels);
    sm_json_set_text(json, "decoding", sm_task_decoding(task));
    if (task->kind->decode) {
        sm_json_set_real(json, "most_metres", task->target->most);
    }
    if (task->target->classes) {
        sm_json *classes = sm_json_set_array(json, "classes");
        for (int c = 0; c < task->target->classes->count; c++) {
            sm_json_set_text(classes, NULL, task->target->classes->names[c]);
        }
    }
    sm_json_set_real(json, "logit_scale", sm_session_logit_scale(session, NULL, t));
    if (log_variance) {
        sm_json_set_real(json, "log_variance", *log_variance);
    }
}

static char *tasks_text(const sm_session *session)
{
    sm_json *json = sm_json_new(), *list = sm_json_set_array(json, "tasks");
    for (int t = 0; t < session->task_count; t++) {
        set_task(session, t, sm_json_set_object(list, NULL));
    }
    char *text = sm_json_text(list);
    sm_json_free(json);
    return text;
}

/* ---- its tensors --------------------------------------------------------------------------------------------------- */

typedef struct tensor_list {
    sm_safetensor_values *items;
    size_t count;
} tensor_list;

static void add_slices(const sm_slices *slices, const float *flat, const char *style, const char *task,
                       tensor_list *list)
{
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        char *name = slice->log_variance ? NULL : sm_weight_name_theirs(style, slice->name, task);
        if (!name) {
            continue;
        }
        float *values = sm_alloc(slice->count * sizeof *values);
        sm_slice_export(slice, flat, values);
        sm_safetensor_values *tensor = &list->items[list->count++];
        *tensor = (sm_safetensor_values){.name = name, .rank = slice->dimensions, .values = values};
        for (int d = 0; d < slice->dimensions; d++) {
            tensor->shape[d] = (size_t)slice->shape[d];
        }
    }
}

static void free_list(tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        sm_free((void *)list->items[i].name);
        sm_free((void *)list->items[i].values);
    }
    sm_free(list->items);
}

sm_status sm_weights_export(const sm_session *session, const char *style, const char *task, const char *path,
                            size_t *written)
{
    const sm_slices *parameters = &session->parameters->parameters, *buffers = &session->parameters->buffers;
    const sm_input *input = &session->data->input;
    char *config = sm_config_text(session->config), *network = network_text(&session->network);
    char *tasks = tasks_text(session);
    const sm_safetensors_text texts[] = {
        {"version", SM_VERSION}, {"config", config}, {"network", network}, {"tasks", tasks}};
    tensor_list list = {sm_alloc((size_t)(parameters->count + buffers->count) * sizeof *list.items), 0};
    add_slices(parameters, session->values, style, task, &list);
    add_slices(buffers, session->buffers, style, task, &list);
    sm_status status = sm_weights_write(
        path, list.items, list.count,
        &(sm_weights_notes){texts, sizeof texts / sizeof *texts, input->mean, input->std, input->channels});
    *written = list.count;
    free_list(&list);
    sm_free(config);
    sm_free(network);
    sm_free(tasks);
    return status;
}
