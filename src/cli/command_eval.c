#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/evaluator.h>

#include "cli/arguments.h"
#include "cli/checkpoint_data.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/eval_views.h"
#include "cli/run_path.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct eval_options {
    const char *checkpoint, *data, *split, *predictions, *size, *scale_text;
    long long prediction_count;
    int no_average, trivial, json, flip;
    double scales[EVAL_MOST_SCALES];
    int scale_count;
    argument_list sets;
} eval_options;

/* Before all work: one typing error must not cost a dataset or a checkpoint. */
static sm_status check_predictions(sm_comm *comm, const char *path)
{
    int looks = path && sm_comm_rank(comm) == 0;
    return sm_comm_agree(comm, looks ? sm_evaluator_check_predictions(path) : SM_OK);
}

/* A checkpoint says what its network learnt with; one of an earlier version leaves it to the training set, or, where that is
 * not there, to the evaluated one. */
static sm_status open_train(const eval_options *options, const sm_config *config, int is_described, sm_dataset **train)
{
    const char *split = sm_config_text_of(config, "data", "train_split");
    *train = NULL;
    if (is_described && !options->trivial) {
        return SM_OK;
    }
    if (checkpoint_data_open(config, options->checkpoint, "train", split, "--set data.train=FILE", train) == SM_OK) {
        return SM_OK;
    }
    *train = NULL;
    return options->trivial ? sm_fail(SM_ERR_INPUT, "--trivial needs the training files of the checkpoint's config: %s",
                                      sm_error_message())
                            : SM_OK;
}

static sm_status open_data(const eval_options *options, const sm_config *config, int is_described, sm_dataset **train,
                           sm_dataset **dataset)
{
    sm_status status = SM_OK;
    const char *split = options->split ? options->split : sm_config_text_of(config, "data", "validation_split");
    size_t validation_files;
    sm_config_texts(config, "data", "validation", &validation_files);
    const char *key = validation_files > 0 ? "validation" : "train";
    if (*split == 0) {
        SM_TRY(sm_fail(SM_ERR_USAGE, "eval: the checkpoint's config has no validation_split; name one with --split"));
    }
    if (options->data) {
        SM_TRY(sm_dataset_open(&options->data, 1, split, dataset));
    } else {
        SM_TRY(checkpoint_data_open(config, options->checkpoint, key, split, "--data", dataset));
        checkpoint_data_announce(config, options->checkpoint, key);
    }
    SM_TRY(open_train(options, config, is_described, train));
    if (options->trivial && (options->data || validation_files > 0)) {
        checkpoint_data_announce(config, options->checkpoint, "train");
    }
done:
    return status;
}

static sm_status evaluate_trivial(sm_evaluator *evaluator, const sm_session *session, sm_dataset *train, double *values)
{
    sm_status status = SM_OK;
    size_t tasks = (size_t)session->task_count;
    float **maps = sm_alloc_zeroed(tasks * sizeof *maps);
    const float **fixed = sm_alloc_zeroed(tasks * sizeof *fixed);
    SM_TRY(sm_evaluator_learn_trivial(evaluator, train, (size_t)1 << 30, maps));
    for (size_t i = 0; i < tasks; i++) {
        fixed[i] = maps[i];
    }
    SM_TRY(sm_evaluator_run(evaluator, &(sm_evaluation){.fixed = fixed}, values));
done:
    for (size_t i = 0; i < tasks; i++) {
        sm_free(maps[i]);
    }
    sm_free(maps);
    sm_free(fixed);
    return status;
}

/* Another number of classes makes another decoder: that is the dataset's doing, not the checkpoint's. */
static sm_status check_classes(const eval_options *options, const sm_session *session, const sm_dataset *dataset)
{
    sm_status status = SM_OK;
    for (int i = 0; i < session->task_count; i++) {
        const sm_task *task = session->tasks[i];
        const char *target = task->target->name;
        int learnt;
        if (!task->target->classes) {
            continue;
        }
        SM_TRY(sm_checkpoint_task_channels(options->checkpoint, task->name, &learnt));
        if (learnt > 0 && learnt != sm_task_outputs(task)) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s has %d %s of '%s', but task '%s' of %s has learnt %d",
                           sm_dataset_target_file(dataset, target), task->channels,
                           sm_plural(task->channels, "class", "classes"), target, task->name, options->checkpoint,
                           learnt));
        }
    }
done:
    return status;
}

/* What the dataset has must be what the tasks learnt; of what it has not, it is said that it is not measured. */
static sm_status check_targets(const eval_options *options, const sm_session *session, const sm_dataset *dataset)
{
    int measured = 0;
    for (int i = 0; i < session->task_count; i++) {
        const sm_task *task = session->tasks[i];
        const sm_target *learnt = task->target, *found = sm_dataset_target(dataset, learnt->name);
        const char *file = sm_dataset_target_file(dataset, learnt->name);
        if (!found) {
            sm_log_info("the dataset has no '%s': task '%s' is not measured", learnt->name, task->name);
            continue;
        }
        measured++;
        if (found->classes && learnt->classes && found->classes->count != learnt->classes->count) {
            return sm_fail(SM_ERR_INPUT, "%s has %d %s of '%s', but task '%s' of %s has learnt %d", file,
                           found->classes->count, sm_plural(found->classes->count, "class", "classes"), learnt->name,
                           task->name, options->checkpoint, learnt->classes->count);
        }
        if (found->type != learnt->type || found->scope != learnt->scope || found->components != learnt->components ||
            found->scaling != learnt->scaling) {
            return sm_fail(SM_ERR_INPUT,
                           "%s: '%s' is of type '%s', %d %s a %s, scaling '%s', but task '%s' of %s has learnt "
                           "type '%s', %d %s a %s, scaling '%s'",
                           file, learnt->name, sm_target_type_names[found->type], found->components,
                           sm_plural(found->components, "value", "values"), sm_scope_names[found->scope],
                           sm_target_scaling_names[found->scaling], task->name, options->checkpoint,
                           sm_target_type_names[learnt->type], learnt->components,
                           sm_plural(learnt->components, "value", "values"), sm_scope_names[learnt->scope],
                           sm_target_scaling_names[learnt->scaling]);
        }
    }
    return measured > 0
               ? SM_OK
               : sm_fail(SM_ERR_INPUT,
                         "the dataset has no target that %s has learnt: there is nothing to measure ('sigmatic "
                         "predict' needs none)",
                         options->checkpoint);
}

/* \param [in,out] data  what the checkpoint says; NULL: what the datasets say is put there */
static sm_status describe(const sm_config *config, const sm_dataset *reference, sm_augmentation *size,
                          sm_data_description **data)
{
    sm_status status = SM_OK;
    SM_TRY(sm_data_augmentation(config, *data ? NULL : reference, size));
    if (!*data) {
        *data = sm_data_description_new(reference, size);
    } else if (size->height == 0) { /* no other size is set */
        size->height = (*data)->input.height;
        size->width = (*data)->input.width;
    }
done:
    return status;
}

/* What an evaluation found. */
typedef struct eval_results {
    int height, width;
    double *values, *trivial, *class_values, *losses;
} eval_results;

/* What is learned of each task beside what the evaluated split says of it. */
typedef struct sigma_rows {
    sm_loss_row *rows;
    sm_calibration *calibrations;
    int count;
} sigma_rows;

static sigma_rows compare_sigmas(const sm_session *session, const double *losses)
{
    size_t count = (size_t)session->task_count;
    sigma_rows all = {sm_alloc_zeroed(count * sizeof *all.rows), sm_alloc(count * sizeof *all.calibrations),
                      session->task_count};
    sm_calibrate(session, NULL, losses, all.calibrations);
    for (int t = 0; t < all.count; t++) {
        const sm_weighted_task *task = &session->weighting->members[t].task;
        all.rows[t] = (sm_loss_row){.task = task->name,
                                    .likelihood = task->likelihood,
                                    .shape = task->shape,
                                    .unit = sm_task_unit(session->tasks[t])};
    }
    return all;
}

static void free_sigmas(sigma_rows *all)
{
    sm_free(all->rows);
    sm_free(all->calibrations);
}

static void set_json(const eval_options *options, const sm_evaluator *evaluator, const sm_session *session,
                     const sm_dataset *dataset, const eval_results *r, sm_json *json)
{
    const sm_input *stored = sm_dataset_input(dataset);
    sm_json_set_text(json, "checkpoint", options->checkpoint);
    sm_json_set_integer(json, "samples", sm_dataset_count(dataset));
    if (!stored->kind->is_table) {
        sm_json_set_integer(json, "height_pixels", r->height);
        sm_json_set_integer(json, "width_pixels", r->width);
        sm_json_set_integer(json, "stored_height_pixels", stored->height);
        sm_json_set_integer(json, "stored_width_pixels", stored->width);
    }
    sm_json *scales = sm_json_set_array(json, "scales");
    for (int i = 0; i < options->scale_count; i++) {
        sm_json_set_real(scales, NULL, options->scales[i]);
    }
    sm_json_set_bool(json, "flip", options->flip);
    sm_json *unmeasured = sm_json_set_array(json, "unmeasured");
    for (int t = 0; t < session->task_count; t++) {
        if (!sm_evaluator_has_labels(evaluator, t)) {
            sm_json_set_text(unmeasured, NULL, session->tasks[t]->name);
        }
    }
    sm_evaluator_set_json(evaluator, r->values, r->trivial, sm_json_set_object(json, "tasks"));
    sm_evaluator_set_json_classes(evaluator, r->class_values, sm_json_set_object(json, "classes"));
    sigma_rows sigmas = compare_sigmas(session, r->losses);
    sm_report_set_calibrations(sm_json_set_object(json, "calibration"), sigmas.rows, sigmas.calibrations, sigmas.count);
    free_sigmas(&sigmas);
}

static sm_status print_results(const eval_options *options, const sm_evaluator *evaluator, const sm_session *session,
                               const sm_dataset *dataset, const eval_results *r)
{
    if (!options->json) {
        char *views =
            eval_views_describe(dataset, r->height, r->width, options->scales, options->scale_count, options->flip);
        int64_t samples = sm_dataset_count(dataset);
        sm_log_result("%s on %lld %s%s", options->checkpoint, (long long)samples,
                      sm_plural(samples, "sample", "samples"), views);
        sm_evaluator_report(evaluator, r->values, r->trivial);
        sm_evaluator_report_classes(evaluator, r->class_values);
        sigma_rows sigmas = compare_sigmas(session, r->losses);
        sm_report_calibrations(sigmas.rows, sigmas.calibrations, sigmas.count);
        free_sigmas(&sigmas);
        sm_free(views);
        return SM_OK;
    }
    sm_json *json = sm_json_new();
    set_json(options, evaluator, session, dataset, r, json);
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

static sm_status run(const eval_options *options, sm_evaluator *evaluator, const sm_session *session, sm_dataset *train,
                     eval_results *r)
{
    sm_status status = SM_OK;
    size_t bytes = (size_t)sm_evaluator_value_count(evaluator) * sizeof(double);
    r->values = sm_alloc(bytes);
    r->class_values = sm_alloc(((size_t)sm_evaluator_class_value_count(evaluator) + 1) * sizeof(double));
    r->losses = sm_alloc((size_t)session->task_count * sizeof(double));
    SM_TRY(sm_evaluator_run(evaluator,
                            &(sm_evaluation){.predictions = options->predictions,
                                             .prediction_count = options->prediction_count,
                                             .class_values = r->class_values,
                                             .losses = r->losses},
                            r->values));
    if (options->trivial) {
        r->trivial = sm_alloc(bytes);
        SM_TRY(evaluate_trivial(evaluator, session, train, r->trivial));
    }
done:
    return status;
}

static sm_status check_views(const eval_options *options, const sm_input *input)
{
    const char *option = options->size ? "--size" : options->scale_text ? "--scales" : options->flip ? "--flip" : NULL;
    return option && input->kind->is_table
               ? sm_fail(SM_ERR_USAGE, "eval: %s is for images, and %s has learnt from a table", option,
                         options->checkpoint)
               : SM_OK;
}

static sm_status evaluate(sm_comm *comm, const eval_options *options, const sm_config *config)
{
    sm_status status = SM_OK;
    sm_dataset *train = NULL, *dataset = NULL;
    sm_session *session = NULL;
    sm_evaluator *evaluator = NULL;
    sm_data_description *data = NULL;
    sm_augmentation augmentation;
    eval_results results = {.values = NULL};
    const sm_evaluator_options how = {
        .instances = 1, .scales = options->scales, .scale_count = options->scale_count, .flip = options->flip};
    SM_TRY(sm_comm_agree(comm, sm_checkpoint_read_data(options->checkpoint, &data)));
    int is_described = data != NULL;
    SM_TRY(sm_comm_agree(comm, open_data(options, config, is_described, &train, &dataset)));
    int64_t missing = !train; /* a training set that one rank cannot read is nobody's: all take the same statistics */
    sm_comm_max_int64(comm, &missing, 1);
    if (missing) {
        sm_dataset_close(train);
        train = NULL;
    }
    SM_TRY(sm_comm_agree(comm, describe(config, train ? train : dataset, &augmentation, &data)));
    sm_input input = data->input;
    SM_TRY(sm_comm_agree(comm, check_views(options, &input)));
    input.height = input.kind->is_table ? 1 : augmentation.height;
    input.width = input.kind->is_table ? 1 : augmentation.width;
    SM_TRY(sm_comm_agree(comm, eval_size_read(options->size, dataset, &input.height, &input.width)));
    if (is_described) {
        SM_TRY(sm_session_new_described(config, comm, data, &session));
    } else {
        SM_TRY(sm_session_new(config, comm, dataset, &session));
    }
    SM_TRY(sm_comm_agree(comm, sm_comm_rank(comm) > 0 ? SM_OK
                               : is_described         ? check_targets(options, session, dataset)
                                                      : check_classes(options, session, dataset)));
    SM_TRY(sm_comm_agree(comm, sm_evaluator_new(session, dataset, &input, &how, &evaluator)));
    SM_TRY(sm_checkpoint_load(session, NULL, options->checkpoint, !options->no_average));
    SM_TRY(run(options, evaluator, session, train, &results));
    results.height = input.height;
    results.width = input.width;
    SM_TRY(sm_comm_agree(comm, sm_comm_rank(comm) == 0 ? print_results(options, evaluator, session, dataset, &results)
                                                       : SM_OK));
    if (options->predictions) {
        sm_log_info("predictions: %s", options->predictions);
    }
done:
    sm_free(results.values);
    sm_free(results.class_values);
    sm_free(results.losses);
    sm_free(results.trivial);
    sm_evaluator_free(evaluator);
    sm_session_free(session);
    sm_data_description_free(data);
    sm_dataset_close(dataset);
    sm_dataset_close(train);
    return status;
}

static sm_status check_prediction_count(eval_options *options)
{
    static const int USUAL_COUNT = 8;
    if (options->prediction_count == ARGUMENT_NOT_GIVEN) {
        options->prediction_count = USUAL_COUNT;
        return SM_OK;
    }
    if (options->prediction_count < 1) {
        return sm_fail(SM_ERR_USAGE, "eval: --prediction-count %lld: at least 1 expected", options->prediction_count);
    }
    return options->predictions ? SM_OK
                                : sm_fail(SM_ERR_USAGE, "eval: --prediction-count goes with --predictions FILE");
}

static sm_status find_checkpoint(sm_comm *comm, const char *word, char **checkpoint)
{
    sm_status status = SM_OK;
    SM_TRY(sm_comm_agree(comm, sm_comm_rank(comm) == 0 ? run_path_checkpoint(word, checkpoint) : SM_OK));
    run_path_share(comm, checkpoint);
done:
    return status;
}

sm_status command_eval(command_context *context, int argc, char **argv)
{
    sm_status status = SM_OK;
    sm_config *config = NULL;
    eval_options options = {.prediction_count = ARGUMENT_NOT_GIVEN};
    char *checkpoint = NULL;
    int help;
    const argument table[] = {
        {"CHECKPOINT", ARGUMENT_POSITIONAL, &options.checkpoint, NULL,
         "runs/NAME/checkpoints/best.h5, or any other; or the folder runs/NAME: its best, else its newest"},
        {"data", ARGUMENT_TEXT, &options.data, "FILE",
         "dataset file; default: the validation files of the checkpoint's config, here or above the checkpoint"},
        {"split", ARGUMENT_TEXT, &options.split, "NAME",
         "its split; default: validation_split of the checkpoint's config"},
        {"predictions", ARGUMENT_TEXT, &options.predictions, "FILE",
         "write pictures and maps of the first samples (HDF5); replaces earlier predictions only"},
        {"prediction-count", ARGUMENT_INTEGER, &options.prediction_count, "N",
         "how many samples --predictions writes (8)"},
        {"size", ARGUMENT_TEXT, &options.size, "HxW",
         "measure at this size, or at that of the dataset (stored); default: whole images as trained"},
        {"scales", ARGUMENT_TEXT, &options.scale_text, "S,...",
         "what the network reads, in sizes measured at: the mean of several predictions (1)"},
        {"flip", ARGUMENT_FLAG, &options.flip, NULL, "predict mirrored images too, and take the mean"},
        {"trivial", ARGUMENT_FLAG, &options.trivial, NULL,
         "compare with the trivial predictor, learnt from the training files of the config"},
        {"no-average", ARGUMENT_FLAG, &options.no_average, NULL, "use the last parameters, not their moving average"},
        {"json", ARGUMENT_FLAG, &options.json, NULL,
         "print one JSON object instead of a table (include/README.md, JSON)"},
        {"set", ARGUMENT_LIST, &options.sets, "SECTION.KEY=VALUE", "override a key of the checkpoint's config"},
        {0},
    };
    SM_TRY(command_arguments(context, "eval", "Evaluates a checkpoint; any number of ranks gives the same numbers.",
                             table, argc, argv, &help));
    if (!help) {
        SM_TRY(check_prediction_count(&options));
        SM_TRY(eval_scales_read(options.scale_text, options.scales, &options.scale_count));
        SM_TRY(check_predictions(context->comm, options.predictions));
        SM_TRY(find_checkpoint(context->comm, options.checkpoint, &checkpoint));
        options.checkpoint = checkpoint;
        SM_TRY(checkpoint_config(context->comm, options.checkpoint, &options.sets, &config));
        char *ranks = sm_format("%s.ranks", options.checkpoint);
        sm_comm_set_stall_limit(sm_config_real(config, "distributed", "stall_seconds"));
        sm_comm_set_stall_folder(ranks);
        sm_free(ranks);
        SM_TRY(evaluate(context->comm, &options, config));
    }
done:
    sm_config_free(config);
    sm_free(checkpoint);
    return status;
}
