#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>
#include <sigmatic/train/prediction_files.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/predict_inputs.h"
#include "cli/predict_networks.h"
#include "cli/predict_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FORMATS_MAX = 32 };

typedef struct predict_options {
    const char *checkpoint, *output, *formats, *mode, *size, *data, *split;
    argument_words rest;
    argument_list sets;
    long long samples, seed;
    double overlap, baseline, focal;
    int uncertainty, overwrite, no_average, json;
} predict_options;

typedef struct predict_job {
    sm_comm *comm;
    const predict_options *options;
    const char **checkpoints; /* the first ones of the command line */
    int checkpoint_count;
    argument_words images; /* the others */
    const sm_prediction_format *formats[FORMATS_MAX];
    int format_count, writes_table;
    sm_predictor_options predictor_options;
    predict_networks networks;
    predict_inputs inputs;
    sm_predictor *predictor;
    char **rows; /* of the table: of this rank's images */
    char *header;
    int64_t done, failed; /* of this rank's images; then of all */
    double begin_seconds, shown_seconds;
} predict_job;

/* ---- what is asked for ----------------------------------------------------------------------------------------------- */

static const char table_name[] = "csv";

static sm_status fail_format(const char *word)
{
    char *known = sm_strdup(table_name);
    for (const sm_prediction_format *format = sm_prediction_formats; format->name; format++) {
        char *longer = sm_format("%s, %s", known, format->name);
        sm_free(known);
        known = longer;
    }
    sm_status status = sm_fail(SM_ERR_USAGE, "predict: --format '%s': expected one or more of %s", word, known);
    sm_free(known);
    return status;
}

static sm_status add_format(predict_job *job, const char *word)
{
    const sm_prediction_format *format = sm_prediction_format_find(word);
    if (strcmp(word, table_name) == 0) {
        job->writes_table = 1;
        return SM_OK;
    }
    if (!format) {
        return fail_format(word);
    }
    for (int f = 0; f < job->format_count; f++) {
        if (job->formats[f] == format) {
            return SM_OK;
        }
    }
    job->formats[job->format_count++] = format;
    return SM_OK;
}

static sm_status parse_formats(predict_job *job)
{
    sm_status status = SM_OK;
    for (const char *at = job->options->formats; status == SM_OK; at++) {
        size_t length = strcspn(at, ",");
        char *word = sm_format("%.*s", (int)length, at);
        status = add_format(job, word);
        sm_free(word);
        at += length;
        if (*at == 0) {
            break;
        }
    }
    return status;
}

static sm_status parse_mode(predict_job *job)
{
    const char *word = job->options->mode;
    for (int m = 0; m < SM_PREDICT_MODES; m++) {
        if (strcmp(word, sm_predict_mode_names[m]) == 0) {
            job->predictor_options.mode = (sm_predict_mode)m;
            return SM_OK;
        }
    }
    return sm_fail(SM_ERR_USAGE, "predict: --mode '%s': expected scale, whole or windows", word);
}

static sm_status parse_size(predict_job *job)
{
    enum { LEAST = 16, MOST = 65535 };
    const char *word = job->options->size;
    sm_predictor_options *o = &job->predictor_options;
    if (!word) {
        return SM_OK;
    }
    if (!arguments_read_size(word, LEAST, MOST, &o->height, &o->width)) {
        return sm_fail(SM_ERR_USAGE, "predict: --size '%s': expected HEIGHTxWIDTH, %d or more each: 256x512", word,
                       LEAST);
    }
    if (o->mode == SM_PREDICT_WHOLE) {
        return sm_fail(SM_ERR_USAGE,
                       "predict: --size goes with --mode scale or windows; whole takes images as they are");
    }
    return SM_OK;
}

static sm_status check_numbers(const predict_options *o)
{
    if (!(o->overlap >= 0 && o->overlap <= 0.9)) {
        return sm_fail(SM_ERR_USAGE, "predict: --overlap %g: 0 to 0.9 expected", o->overlap);
    }
    if (o->samples != 0 && (o->samples < 2 || o->samples > 10000)) {
        return sm_fail(SM_ERR_USAGE, "predict: --samples %lld: 2 to 10000 expected", o->samples);
    }
    if (isnan(o->baseline) != isnan(o->focal) || o->baseline <= 0 || o->focal <= 0) {
        return sm_fail(SM_ERR_USAGE, "predict: --baseline METRES and --focal PIXELS go together, both above 0");
    }
    return SM_OK;
}

/* Several checkpoints may stand before the images: rank 0 says how many, for another node may not see them all. Collective;
 * the same on every rank. */
static sm_status split_words(predict_job *job)
{
    const argument_words *rest = &job->options->rest;
    int others = 0;
    while (sm_comm_rank(job->comm) == 0 && others < rest->count &&
           sm_h5_has_format(rest->items[others], "sigmatic-checkpoint")) {
        others++;
    }
    sm_comm_broadcast(job->comm, &others, sizeof others, 0);
    job->checkpoint_count = others + 1;
    job->checkpoints = sm_alloc((size_t)job->checkpoint_count * sizeof *job->checkpoints);
    job->checkpoints[0] = job->options->checkpoint;
    for (int i = 0; i < others; i++) {
        job->checkpoints[i + 1] = rest->items[i];
    }
    job->images = (argument_words){rest->items + others, rest->count - others};
    return job->images.count > 0 ? SM_OK
                                 : sm_fail(SM_ERR_USAGE, "predict: checkpoints, but no image, folder or dataset");
}

static sm_status understand(predict_job *job)
{
    sm_status status = SM_OK;
    const predict_options *o = job->options;
    job->predictor_options =
        (sm_predictor_options){.overlap = o->overlap, .samples = (int)o->samples, .uncertainty = o->uncertainty};
    SM_TRY(parse_formats(job));
    for (int f = 0; f < job->format_count; f++) {
        job->predictor_options.instances |= job->formats[f]->wants_instances;
    }
    SM_TRY(parse_mode(job));
    SM_TRY(parse_size(job));
    SM_TRY(check_numbers(o));
done:
    return status;
}

/* ---- before the first image -------------------------------------------------------------------------------------------- */

static const sm_task *const *tasks_of(const predict_job *job, int *count)
{
    *count = job->networks.sessions[0]->task_count;
    return (const sm_task *const *)job->networks.sessions[0]->tasks;
}

static sm_status check_formats(const predict_job *job)
{
    sm_status status = SM_OK;
    int count;
    const sm_task *const *tasks = tasks_of(job, &count);
    for (int f = 0; f < job->format_count; f++) {
        SM_TRY(sm_prediction_format_check(job->formats[f], tasks, count));
    }
    if (job->writes_table && !predict_table_has_columns(tasks, count)) {
        SM_TRY(sm_fail(SM_ERR_USAGE,
                       "predict: --format csv is for values of whole images, and no task of %s predicts such: maps are "
                       "written by the other formats",
                       job->checkpoints[0]));
    }
done:
    return status;
}

static sm_status check_dropout(const predict_job *job)
{
    for (int i = 0; job->options->samples > 0 && i < job->networks.count; i++) {
        if (job->networks.sessions[i]->network.dropout == 0) {
            return sm_fail(SM_ERR_USAGE,
                           "predict: --samples draws which features are dropped, but %s was trained without "
                           "(model.dropout = 0)",
                           job->checkpoints[i]);
        }
    }
    return SM_OK;
}

static char *table_path(const predict_job *job)
{
    return sm_format("%s/predictions.csv", job->options->output);
}

/* Nothing that is there is lost to a new prediction unasked. */
static sm_status check_outputs(const predict_job *job)
{
    sm_status status = SM_OK;
    int count;
    const sm_task *const *tasks = tasks_of(job, &count);
    const char *folder = job->options->output;
    char *table = table_path(job);
    for (int64_t i = 0; !job->options->overwrite && i < job->inputs.count; i++) {
        for (int f = 0; f < job->format_count; f++) {
            if (sm_prediction_format_exists(job->formats[f], folder, job->inputs.names[i], tasks, count)) {
                SM_TRY(sm_fail(SM_ERR_USAGE,
                               "predict: %s/%s holds predictions of '%s' already: --overwrite replaces them, --output "
                               "names another folder",
                               folder, job->formats[f]->name, job->inputs.names[i]));
            }
        }
    }
    if (!job->options->overwrite && job->writes_table && sm_file_exists(table)) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "predict: %s is there already: --overwrite replaces it", table));
    }
    SM_TRY(sm_make_folders(folder));
done:
    sm_free(table);
    return status;
}

static sm_status prepare(predict_job *job)
{
    sm_status status = SM_OK;
    const predict_options *o = job->options;
    SM_TRY(predict_networks_open(job->comm, job->checkpoints, job->checkpoint_count, &o->sets, o->data, !o->no_average,
                                 &job->networks));
    char *ranks = sm_format("%s.ranks", job->checkpoints[0]);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    SM_TRY(sm_comm_agree(job->comm, check_formats(job)));
    SM_TRY(sm_comm_agree(job->comm, check_dropout(job)));
    SM_TRY(predict_inputs_find(job->comm, &job->images, o->split,
                               sm_config_text_of(job->networks.configs[0], "data", "validation_split"), o->output,
                               &job->inputs));
    SM_TRY(sm_comm_agree(job->comm, sm_comm_rank(job->comm) == 0 ? check_outputs(job) : SM_OK));
    job->predictor_options.seed = o->seed >= 0 ? (uint64_t)o->seed : job->networks.sessions[0]->settings.seed;
    job->predictor = sm_predictor_new(job->networks.sessions, job->networks.count, &job->predictor_options);
done:
    return status;
}

/* ---- one image ---------------------------------------------------------------------------------------------------------- */

static sm_status write_files(predict_job *job, const char *name, const predict_image *image,
                             const sm_task_prediction *tasks)
{
    sm_status status = SM_OK;
    int is_given = !isnan(job->options->baseline);
    const sm_predicted_image predicted = {.name = name,
                                          .rgb = image->rgb,
                                          .height = image->height,
                                          .width = image->width,
                                          .baseline_metres = is_given ? job->options->baseline : image->baseline_metres,
                                          .fx_pixels = is_given ? job->options->focal : image->fx_pixels,
                                          .tasks = tasks,
                                          .task_count = job->networks.sessions[0]->task_count};
    for (int f = 0; f < job->format_count; f++) {
        SM_TRY(sm_prediction_format_write(job->formats[f], job->options->output, &predicted));
    }
done:
    return status;
}

/* \param place  in this rank's rows */
static sm_status predict_one(predict_job *job, int64_t index, int64_t place)
{
    sm_status status = SM_OK;
    predict_image image = {0};
    const sm_task_prediction *tasks;
    int count = job->networks.sessions[0]->task_count;
    SM_TRY(predict_inputs_read(&job->inputs, index, &image));
    SM_TRY(sm_predictor_run(job->predictor, image.rgb, image.height, image.width, index, &tasks));
    SM_TRY(write_files(job, job->inputs.names[index], &image, tasks));
    if (job->writes_table) {
        job->rows[place] = predict_table_row(job->inputs.names[index], tasks, count);
        if (!job->header) {
            job->header = predict_table_header(tasks, count);
        }
    }
done:
    predict_image_free(&image);
    return status;
}

/* Rank 0 tells of its own images: the others get on as it does. */
static void show_progress(predict_job *job, int final)
{
    const double LIVE_SECONDS = 0.2, PLAIN_SECONDS = 10;
    double now = sm_seconds();
    int64_t size = sm_comm_size(job->comm), about = (job->done + job->failed) * size;
    if (!final && now - job->shown_seconds < (sm_log_is_live() ? LIVE_SECONDS : PLAIN_SECONDS)) {
        return;
    }
    job->shown_seconds = now;
    if (!final) {
        sm_log_progress(0, "%lld of %lld images, %.3g images/s",
                        (long long)(about < job->inputs.count ? about : job->inputs.count),
                        (long long)job->inputs.count, (double)about / fmax(now - job->begin_seconds, 1e-9));
    }
}

static void report_failure(const predict_job *job, int64_t index)
{
    const char *path = job->inputs.paths ? job->inputs.paths[index] : job->inputs.names[index];
    if (strstr(sm_error_message(), path)) {
        sm_log_error("%s", sm_error_message());
    } else {
        sm_log_error("%s: %s", path, sm_error_message());
    }
}

/* Every rank takes images in turn, those of different sizes too, and says nothing to the others until all are done. A bad image
 * is named and left out; a disk that takes no more ends the rank's work. */
static void predict_all(predict_job *job)
{
    int rank = sm_comm_rank(job->comm), size = sm_comm_size(job->comm);
    sm_status status = SM_OK;
    for (int64_t i = rank, place = 0; i < job->inputs.count; i += size, place++) {
        sm_comm_set_phase("prediction, image", 0, (int)i);
        if (status == SM_ERR_WRITE) {
            job->failed++;
            continue;
        }
        status = predict_one(job, i, place);
        if (status == SM_OK) {
            job->done++;
        } else {
            job->failed++;
            report_failure(job, i);
        }
        show_progress(job, 0);
    }
}

/* ---- the end ------------------------------------------------------------------------------------------------------------ */

static sm_status print_json(const predict_job *job, double seconds)
{
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "checkpoint", job->checkpoints[0]);
    sm_json_set_integer(json, "checkpoints", job->checkpoint_count);
    sm_json_set_text(json, "output", job->options->output);
    sm_json_set_integer(json, "images", job->done);
    sm_json_set_integer(json, "failed", job->failed);
    sm_json_set_real(json, "seconds", seconds);
    sm_json_set_real(json, "images_per_second", (double)job->done / fmax(seconds, 1e-9));
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

static void print_sigmas(const predict_job *job)
{
    const sm_session *session = job->networks.sessions[0];
    for (int t = 0; job->options->uncertainty && t < session->task_count; t++) {
        const sm_likelihood *likelihood = session->weighting->tasks[t].likelihood;
        const float *s = sm_session_log_variance(session, t);
        if (likelihood && s && !session->tasks[t]->is_heteroscedastic) {
            sm_log_result("%s: learned sigma %.4g %s (%s)", session->tasks[t]->name, likelihood->sigma(*s),
                          sm_task_unit(session->tasks[t]), likelihood->meaning);
        }
    }
}

static sm_status print_summary(const predict_job *job)
{
    double seconds = sm_seconds() - job->begin_seconds;
    if (job->options->json) {
        return print_json(job, seconds);
    }
    print_sigmas(job);
    sm_log_result("%lld image%s in %.3g s (%.3g images/s), results below %s", (long long)job->done,
                  job->done == 1 ? "" : "s", seconds, (double)job->done / fmax(seconds, 1e-9), job->options->output);
    for (int f = 0; f < job->format_count; f++) {
        sm_log_result("  %s/  %s", job->formats[f]->name, job->formats[f]->help);
    }
    return SM_OK;
}

static sm_status finish(predict_job *job)
{
    sm_status status = SM_OK;
    int rank = sm_comm_rank(job->comm), size = sm_comm_size(job->comm);
    int64_t counts[2] = {job->done, job->failed};
    char *table = table_path(job);
    sm_comm_sum_int64(job->comm, counts, 2);
    if (job->writes_table && counts[0] > 0) { /* an empty one would replace what is there */
        int64_t rows = (job->inputs.count - rank + size - 1) / size;
        SM_TRY(predict_table_write(job->comm, table, job->header, job->rows, rows));
    }
    job->done = counts[0];
    job->failed = counts[1];
    SM_TRY(sm_comm_agree(job->comm, rank == 0 ? print_summary(job) : SM_OK));
    if (job->failed > 0) {
        status = sm_fail(SM_ERR_INPUT, "%lld of %lld images could not be predicted, see above", (long long)job->failed,
                         (long long)job->inputs.count);
    }
done:
    sm_free(table);
    return status;
}

static void free_job(predict_job *job)
{
    sm_predictor_free(job->predictor);
    for (int64_t i = 0; job->rows && i < job->inputs.count; i++) {
        sm_free(job->rows[i]);
    }
    sm_free(job->rows);
    sm_free(job->header);
    predict_inputs_free(&job->inputs);
    predict_networks_free(&job->networks);
    sm_free(job->checkpoints);
}

static sm_status predict(command_context *context, const predict_options *options)
{
    sm_status status = SM_OK;
    predict_job job = {.comm = context->comm, .options = options};
    SM_TRY(sm_comm_agree(job.comm, understand(&job)));
    SM_TRY(split_words(&job));
    SM_TRY(prepare(&job));
    context->started = 1;
    job.rows = sm_alloc_zeroed(((size_t)job.inputs.count + 1) * sizeof *job.rows);
    job.begin_seconds = job.shown_seconds = sm_seconds();
    predict_all(&job);
    SM_TRY(finish(&job));
done:
    free_job(&job);
    return status;
}

sm_status command_predict(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    predict_options o = {.output = "predictions",
                         .formats = "overlay",
                         .mode = "scale",
                         .overlap = 0.5,
                         .seed = -1,
                         .baseline = NAN,
                         .focal = NAN};
    int help;
    const argument table[] = {
        {"CHECKPOINT", ARGUMENT_POSITIONAL, &o.checkpoint, NULL,
         "runs/NAME/checkpoints/best.h5, or any other; several are an ensemble, whose predictions are averaged"},
        {"IMAGE...", ARGUMENT_REST, &o.rest, NULL,
         "PNG and JPEG files, folders with such (all below them), or one dataset file"},
        {"output", ARGUMENT_TEXT, &o.output, "DIR", "folder of the results, one below it a format (predictions)"},
        {"format", ARGUMENT_TEXT, &o.formats, "LIST",
         "overlay (default), classes, instances, cityscapes, cityscapes-instances, disparity, metres, millimetres, "
         "npy, "
         "hdf5, csv, joined by commas: README, Predict"},
        {"mode", ARGUMENT_TEXT, &o.mode, "MODE",
         "scale (default): to as many pixels as training's images had, results back; whole: as large as it is; "
         "windows: "
         "in overlapping windows of the size that training saw, blended"},
        {"size", ARGUMENT_TEXT, &o.size, "HxW",
         "what scale scales to, or the window of windows, instead of training's"},
        {"overlap", ARGUMENT_REAL, &o.overlap, "SHARE", "of a window that its neighbour covers too (0.5)"},
        {"uncertainty", ARGUMENT_FLAG, &o.uncertainty, NULL,
         "add maps of entropy and, of several checkpoints or samples, of how much they disagree; name each task's "
         "sigma"},
        {"samples", ARGUMENT_INTEGER, &o.samples, "N",
         "Monte Carlo dropout: average N runs with features dropped as in training (needs model.dropout)"},
        {"seed", ARGUMENT_INTEGER, &o.seed, "N", "of what is dropped; default: run.seed of the config"},
        {"baseline", ARGUMENT_REAL, &o.baseline, "METRES",
         "between the cameras of a stereo pair: metres from disparities"},
        {"focal", ARGUMENT_REAL, &o.focal, "PIXELS", "focal length in pixels of the images"},
        {"split", ARGUMENT_TEXT, &o.split, "NAME",
         "of a dataset; default: the config's validation_split, or its only one"},
        {"data", ARGUMENT_TEXT, &o.data, "FILE",
         "dataset that says what the classes are, for checkpoints of earlier versions, which do not"},
        {"no-average", ARGUMENT_FLAG, &o.no_average, NULL, "use the last parameters, not their moving average"},
        {"overwrite", ARGUMENT_FLAG, &o.overwrite, NULL, "replace results that are there"},
        {"json", ARGUMENT_FLAG, &o.json, NULL, "print one JSON object at the end (README, Files)"},
        {"set", ARGUMENT_LIST, &o.sets, "SECTION.KEY=VALUE", "override a key of the checkpoints' configs"},
        {0},
    };
    SM_TRY(command_arguments(
        context, "predict",
        "Predicts images of any size: no labels, no dataset. Ranks share the images; the results are\n"
        "the same on any number of them.\n"
        "A bad image is named and left out, and the exit code is 1.",
        table, argc, argv, &help));
    if (!help) {
        SM_TRY(predict(context, &o));
    }
done:
    sm_free(o.rest.items);
    return status;
}
