#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/comm/vote.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/json.h>
#include <sigmatic/train/prediction_files.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/predict_inputs.h"
#include "cli/predict_networks.h"
#include "cli/predict_options.h"
#include "cli/predict_table.h"
#include "cli/run_path.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct predict_job {
    sm_comm *comm;
    predict_options *options;
    char **checkpoints; /* the first ones of the command line; owned */
    int checkpoint_count;
    argument_words images;                /* the others */
    uint8_t *writes[PREDICT_FORMATS_MAX]; /* of each format of the options: the tasks that it writes */
    predict_networks networks;
    predict_inputs inputs;
    sm_predictor *predictor;
    char **rows; /* of the table: of this rank's images */
    char *header;
    int64_t done, failed; /* of this rank's images; then of all */
    double begin_seconds, shown_seconds;
} predict_job;

/* ---- which words are checkpoints -------------------------------------------------------------------------------------- */

static int is_checkpoint(const char *word)
{
    return sm_h5_has_format(word, "sigmatic-checkpoint") || run_path_is_run(word);
}

/* Several checkpoints may stand before the images. \param [out] count  of those among the further words */
static sm_status count_checkpoints(const predict_options *o, int *count)
{
    const argument_words *rest = &o->rest;
    int others = 0;
    while (others < rest->count && is_checkpoint(rest->items[others])) {
        others++;
    }
    if (others > 0 && !is_checkpoint(o->checkpoint)) {
        return sm_fail(SM_ERR_USAGE, "predict: %s is no checkpoint, %s is one: checkpoints come first, then the images",
                       o->checkpoint, rest->items[0]);
    }
    for (int i = others + 1; i < rest->count; i++) {
        if (is_checkpoint(rest->items[i])) {
            return sm_fail(SM_ERR_USAGE,
                           "predict: %s is a checkpoint, but stands behind %s: checkpoints come first, then the images",
                           rest->items[i], rest->items[others]);
        }
    }
    *count = others;
    return others < rest->count ? SM_OK
                                : sm_fail(SM_ERR_USAGE, "predict: checkpoints, but no image, folder, table or dataset");
}

static sm_status find_checkpoints(predict_job *job)
{
    sm_status status = SM_OK;
    const predict_options *o = job->options;
    for (int i = 0; i < job->checkpoint_count; i++) {
        SM_TRY(run_path_checkpoint(i == 0 ? o->checkpoint : o->rest.items[i - 1], &job->checkpoints[i]));
    }
done:
    return status;
}

/* Rank 0 says which they are, for another node may not see them all. Collective; the same on every rank. */
static sm_status split_words(predict_job *job)
{
    sm_status status = SM_OK;
    const argument_words *rest = &job->options->rest;
    int others = 0, is_root = sm_comm_rank(job->comm) == 0;
    SM_TRY(sm_comm_agree(job->comm, is_root ? count_checkpoints(job->options, &others) : SM_OK));
    sm_comm_broadcast(job->comm, &others, sizeof others, 0);
    job->checkpoint_count = others + 1;
    job->checkpoints = sm_alloc_zeroed((size_t)job->checkpoint_count * sizeof *job->checkpoints);
    SM_TRY(sm_comm_agree(job->comm, is_root ? find_checkpoints(job) : SM_OK));
    for (int i = 0; i < job->checkpoint_count; i++) {
        run_path_share(job->comm, &job->checkpoints[i]);
    }
    job->images = (argument_words){rest->items + others, rest->count - others};
done:
    return status;
}

/* ---- before the first image -------------------------------------------------------------------------------------------- */

static const sm_task *const *tasks_of(const predict_job *job, int *count)
{
    *count = job->networks.sessions[0]->task_count;
    return (const sm_task *const *)job->networks.sessions[0]->tasks;
}

/* \return 1 if metres can be told from disparities, of an image at least */
static int has_camera(const predict_job *job)
{
    const sm_dataset *dataset = job->inputs.dataset;
    int has = !isnan(job->options->baseline);
    for (int64_t i = 0; !has && dataset && i < job->inputs.count; i++) {
        sm_sample sample = sm_dataset_describe(dataset, i);
        has = sample.baseline_metres * sample.fx_pixels > 0;
    }
    return has;
}

static sm_status check_formats(predict_job *job)
{
    sm_status status = SM_OK;
    const predict_options *o = job->options;
    int count, asks_camera = 0;
    const sm_task *const *tasks = tasks_of(job, &count);
    const sm_prediction_source source = {tasks, count, has_camera(job)};
    for (int f = 0; f < o->format_count; f++) {
        job->writes[f] = sm_alloc_zeroed((size_t)count);
        SM_TRY(sm_prediction_format_check(o->formats[f], &source, job->writes[f]));
        asks_camera |= sm_prediction_format_asks_camera(o->formats[f], &source);
    }
    if (!isnan(o->baseline) && !asks_camera) {
        SM_TRY(sm_fail(SM_ERR_USAGE,
                       "predict: --baseline and --focal are for disparities, and no task of %s predicts such",
                       job->checkpoints[0]));
    }
    if (o->writes_table && !predict_table_has_columns(tasks, count)) {
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
    for (int i = 0; job->options->predictor.samples > 0 && i < job->networks.count; i++) {
        if (job->networks.sessions[i]->network.dropout == 0) {
            return sm_fail(SM_ERR_USAGE,
                           "predict: --samples draws which features are dropped, but %s was trained without "
                           "dropout: its config needs model.dropout above 0",
                           job->checkpoints[i]);
        }
    }
    return SM_OK;
}

static const char table_name[] = "predictions.csv";

static char *table_path(const predict_job *job)
{
    return sm_format("%s/%s", job->options->output, table_name);
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
        for (int f = 0; f < job->options->format_count; f++) {
            if (sm_prediction_format_exists(job->options->formats[f], job->writes[f], folder, job->inputs.names[i],
                                            tasks, count)) {
                SM_TRY(sm_fail(SM_ERR_USAGE,
                               "predict: %s/%s holds predictions of '%s' already: --overwrite replaces them, --output "
                               "names another folder",
                               folder, job->options->formats[f]->name, job->inputs.names[i]));
            }
        }
    }
    if (!job->options->overwrite && job->options->writes_table && sm_file_exists(table)) {
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
    SM_TRY(predict_networks_open(job->comm, (const char *const *)job->checkpoints, job->checkpoint_count, &o->sets,
                                 o->data, !o->no_average, &job->networks));
    char *ranks = sm_format("%s.ranks", job->checkpoints[0]);
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    SM_TRY(sm_comm_agree(job->comm, check_dropout(job)));
    const sm_input *learnt = &job->networks.sessions[0]->data->input;
    SM_TRY(learnt->kind->is_table ? predict_options_for_table(job->options) : SM_OK);
    SM_TRY(predict_inputs_find(job->comm, &job->images, learnt, o->split,
                               sm_config_text_of(job->networks.configs[0], "data", "validation_split"), o->output,
                               &job->inputs));
    SM_TRY(sm_comm_agree(job->comm, check_formats(job)));
    SM_TRY(sm_comm_agree(job->comm, sm_comm_rank(job->comm) == 0 ? check_outputs(job) : SM_OK));
    sm_predictor_options how = o->predictor;
    how.seed = o->seed == ARGUMENT_NOT_GIVEN ? job->networks.sessions[0]->settings.seed : (uint64_t)o->seed;
    job->predictor = sm_predictor_new(job->networks.sessions, job->networks.count, &how);
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
                                          .rgb = image->input,
                                          .height = image->height,
                                          .width = image->width,
                                          .baseline_metres = is_given ? job->options->baseline : image->baseline_metres,
                                          .fx_pixels = is_given ? job->options->focal : image->fx_pixels,
                                          .tasks = tasks,
                                          .task_count = job->networks.sessions[0]->task_count};
    for (int f = 0; f < job->options->format_count; f++) {
        SM_TRY(sm_prediction_format_write(job->options->formats[f], job->writes[f], job->options->output, &predicted));
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
    SM_TRY(sm_predictor_run(job->predictor, image.input, image.height, image.width, index, &tasks));
    SM_TRY(write_files(job, job->inputs.names[index], &image, tasks));
    if (job->options->writes_table) {
        job->rows[place] = predict_table_row(job->inputs.names[index], tasks, count);
        if (!job->header) {
            job->header = predict_table_header(tasks, count);
        }
    }
done:
    predict_image_free(&image);
    return status;
}

static const char *noun(const predict_job *job, int64_t count)
{
    int is_table = job->networks.sessions[0]->data->input.kind->is_table;
    return is_table ? sm_plural(count, "row", "rows") : sm_plural(count, "image", "images");
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
        sm_log_progress(0, "%lld of %lld %s, %.3g %s/s",
                        (long long)(about < job->inputs.count ? about : job->inputs.count),
                        (long long)job->inputs.count, noun(job, job->inputs.count),
                        (double)about / fmax(now - job->begin_seconds, 1e-9), noun(job, 2));
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

/* Every rank takes images in turn, those of different sizes too. A bad image is named and left out; a disk that takes no
 * more ends the work of all ranks. */
static void predict_all(predict_job *job)
{
    int rank = sm_comm_rank(job->comm), size = sm_comm_size(job->comm);
    int64_t own = (job->inputs.count - rank + size - 1) / size;
    sm_status status = SM_OK, disk = SM_OK;
    sm_vote vote = {0};
    for (int64_t place = 0, i = rank; place * size < job->inputs.count; place++, i += size) {
        sm_vote_between(job->comm, &vote, place, disk, 0);
        if (vote.failed) {
            break;
        }
        if (i >= job->inputs.count || disk != SM_OK) {
            continue; /* but vote */
        }
        sm_comm_set_phase("prediction, image", 0, (int)i);
        status = predict_one(job, i, place);
        disk = status == SM_ERR_WRITE ? status : SM_OK;
        if (status == SM_OK) {
            job->done++;
        } else {
            job->failed++;
            report_failure(job, i);
        }
        show_progress(job, 0);
    }
    job->failed = own - job->done;
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
    sm_json *written = sm_json_set_array(json, "written");
    for (int f = 0; job->done > 0 && f < job->options->format_count; f++) {
        sm_json_set_text(written, NULL, job->options->formats[f]->name);
    }
    if (job->done > 0 && job->options->writes_table) {
        sm_json_set_text(written, NULL, table_name);
    }
    sm_json_set_real(json, "seconds", seconds);
    sm_json_set_real(json, "images_per_second", (double)job->done / fmax(seconds, 1e-9));
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

/* \return the mean of the networks' sigmas of a task, as sm_task_prediction has it; NaN: none is learned for the whole task */
static double learned_sigma(const predict_networks *networks, int t)
{
    double sum = 0;
    for (int i = 0; i < networks->count; i++) {
        const sm_session *session = networks->sessions[i];
        const sm_likelihood *likelihood = session->weighting->members[t].task.likelihood;
        const float *s = sm_session_log_variance(session, t);
        int has_one = likelihood && s && !session->tasks[t]->is_heteroscedastic;
        sum += has_one ? likelihood->sigma(*s) : NAN;
    }
    return sum / networks->count;
}

static void print_sigmas(const predict_job *job)
{
    const sm_session *session = job->networks.sessions[0];
    for (int t = 0; job->options->uncertainty && t < session->task_count; t++) {
        const sm_task *task = session->tasks[t];
        double sigma = learned_sigma(&job->networks, t);
        const char *unit = sm_task_is_regression(task) ? sm_task_unit(task) : "";
        if (!isnan(sigma)) {
            sm_log_result("%s: learned sigma %.4g%s%s (%s%s)", task->name, sigma, *unit ? " " : "", unit,
                          session->weighting->members[t].task.likelihood->meaning,
                          job->networks.count > 1 ? "; mean of the networks" : "");
        }
    }
}

static sm_status print_summary(const predict_job *job)
{
    double seconds = sm_seconds() - job->begin_seconds;
    const predict_options *o = job->options;
    if (o->json) {
        return print_json(job, seconds);
    }
    if (job->done == 0) {
        return SM_OK; /* the error says why */
    }
    print_sigmas(job);
    sm_log_result("%lld %s in %.3g s (%.3g %s/s), results below %s", (long long)job->done, noun(job, job->done),
                  seconds, (double)job->done / fmax(seconds, 1e-9), noun(job, 2), o->output);
    for (int f = 0; f < o->format_count; f++) {
        sm_log_result("  %s/  %s", o->formats[f]->name, o->formats[f]->help);
    }
    if (o->writes_table) {
        sm_log_result("  %s  %s", table_name,
                      job->networks.sessions[0]->data->input.kind->is_table
                          ? "predictions of the table's rows"
                          : "table of the values of whole images, a row an image");
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
    if (job->options->writes_table && counts[0] > 0) { /* an empty one would replace what is there */
        int64_t rows = (job->inputs.count - rank + size - 1) / size;
        SM_TRY(predict_table_write(job->comm, table, job->header, job->rows, rows));
    }
    job->done = counts[0];
    job->failed = counts[1];
    SM_TRY(sm_comm_agree(job->comm, rank == 0 ? print_summary(job) : SM_OK));
    if (job->failed > 0) {
        status = sm_fail(SM_ERR_INPUT, "%lld of %lld %s could not be predicted, see above", (long long)job->failed,
                         (long long)job->inputs.count, noun(job, job->inputs.count));
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
    for (int i = 0; job->checkpoints && i < job->checkpoint_count; i++) {
        sm_free(job->checkpoints[i]);
    }
    sm_free(job->checkpoints);
    for (int f = 0; f < job->options->format_count; f++) {
        sm_free(job->writes[f]);
    }
}

static sm_status predict(command_context *context, predict_options *options)
{
    sm_status status = SM_OK;
    predict_job job = {.comm = context->comm, .options = options};
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
    predict_options options;
    int help;
    SM_TRY(predict_options_read(context, argc, argv, &options, &help));
    if (!help) {
        SM_TRY(predict(context, &options));
    }
done:
    predict_options_free(&options);
    return status;
}
