#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/arithmetic.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/evaluator.h>
#include <sigmatic/train/memory_table.h>
#include <sigmatic/train/stop_signal.h>
#include <sigmatic/train/train.h>

#include "train/progress.h"
#include "train/run_folder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Everything of one run on one rank. */
typedef struct training {
    const sm_config *config;
    sm_comm *comm;
    const sm_train_options *options;
    sm_dataset *train, *validation;
    sm_augmentation augmentation;
    sm_session *session;
    sm_target_builder *builders;
    sm_loader_options loader_options;
    sm_loader *loader;
    sm_trainer *trainer;
    sm_evaluator *evaluator; /* NULL: no validation */
    double *values;          /* of the last evaluation */
    int64_t steps, first_step, evaluated_step, saved_step;
    double best_metric;
    sm_memory_table memory;
    sm_run_log *log; /* rank 0 */
    sm_trace *trace; /* NULL: none wanted */
    sm_progress *progress;
    double begin_seconds, earlier_seconds;
    sm_run_folder *folder; /* rank 0 works with it */
    int folder_ready;      /* the status file speaks for this run */
} training;

static int is_root(const training *t)
{
    return sm_comm_rank(t->comm) == 0;
}

/* ---- setting up ---- */

static sm_status open_data(training *t)
{
    sm_status status = SM_OK;
    SM_TRY(sm_data_open_train(t->config, &t->train));
    SM_TRY(sm_data_open_validation(t->config, &t->validation));
    SM_TRY(sm_data_augmentation(t->config, t->train, &t->augmentation));
done:
    return sm_comm_agree(t->comm, status);
}

static void describe_loader(training *t)
{
    const sm_session *session = t->session;
    const sm_settings *settings = &session->settings;
    sm_input input = *sm_dataset_input(t->train);
    input.height = t->augmentation.crop_height;
    input.width = t->augmentation.crop_width;
    t->builders = sm_session_target_builders(session);
    t->loader_options = (sm_loader_options){.dataset = t->train,
                                            .builders = t->builders,
                                            .task_count = session->task_count,
                                            .batch = settings->batch,
                                            .rank = sm_comm_rank(t->comm),
                                            .size = sm_comm_size(t->comm),
                                            .seed = settings->seed,
                                            .order = SM_LOADER_SHUFFLED,
                                            .augmentation = &t->augmentation,
                                            .input = input,
                                            .micro_batches = settings->micro_batches,
                                            .prefetch = (int)sm_config_integer(t->config, "data", "prefetch"),
                                            .workers = (int)sm_config_integer(t->config, "data", "workers")};
}

static sm_status make_engines(training *t)
{
    sm_status status = SM_OK;
    const sm_settings *settings = &t->session->settings;
    int64_t count = sm_dataset_count(t->train);
    t->steps = settings->steps > 0 ? settings->steps : sm_sampler_steps(count, settings->batch, settings->epochs);
    describe_loader(t);
    SM_TRY(sm_trainer_new(t->session, t->loader_options.input.height, t->loader_options.input.width,
                          sm_loader_capacity(&t->loader_options), t->steps, &t->trainer));
    if (t->validation) {
        sm_input whole = t->loader_options.input;
        whole.height = t->augmentation.height;
        whole.width = t->augmentation.width;
        SM_TRY(sm_evaluator_new(t->session, t->validation, &whole, &t->evaluator));
        t->values = sm_alloc_zeroed((size_t)sm_evaluator_value_count(t->evaluator) * sizeof *t->values);
    }
    sm_memory_table_fill(t->trainer, &t->loader_options, t->evaluator, &t->memory);
done:
    return sm_comm_agree(t->comm, status);
}

static sm_status print_plan_json(const training *t)
{
    sm_json *json = sm_json_new();
    sm_json_set_integer(json, "height_pixels", t->loader_options.input.height);
    sm_json_set_integer(json, "width_pixels", t->loader_options.input.width);
    sm_json_set_integer(json, "ranks", sm_comm_size(t->comm));
    sm_json_set_integer(json, "threads", t->session->settings.threads);
    sm_json_set_integer(json, "batch", t->session->settings.batch);
    sm_json_set_integer(json, "batch_of_rank", sm_loader_capacity(&t->loader_options));
    sm_json_set_integer(json, "samples", sm_dataset_count(t->train));
    sm_json_set_text(json, "dataset", sm_dataset_fingerprint(t->train));
    sm_json_set_integer(json, "steps", t->steps);
    sm_plan_set_json(t->trainer->engine->plan, sm_json_set_object(json, "network"));
    sm_memory_table_set_json(&t->memory, sm_json_set_object(json, "memory"));
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

static sm_status print_plan(const training *t)
{
    if (t->options->json) {
        return print_plan_json(t);
    }
    printf("training plan, %d x %d images, %d of a global batch of %d on each of %d ranks, %d threads\n\n",
           t->loader_options.input.height, t->loader_options.input.width, sm_loader_capacity(&t->loader_options),
           t->session->settings.batch, sm_comm_size(t->comm), t->session->settings.threads);
    sm_plan_print(t->trainer->engine->plan, stdout);
    sm_memory_table_print(&t->memory, stdout);
    printf("\n%lld training samples (%s), %lld steps\n", (long long)sm_dataset_count(t->train),
           sm_dataset_fingerprint(t->train), (long long)t->steps);
    return SM_OK;
}

/* On the rank that holds most. Collective. */
static void report_memory(const training *t)
{
    size_t resident = sm_memory_status_bytes("RssAnon") + sm_memory_status_bytes("RssShmem");
    double mib[2] = {(double)resident / (1 << 20), (double)t->memory.total / (1 << 20)};
    sm_comm_max_double(t->comm, mib, 2);
    sm_log_info("memory of a rank: %.0f MiB, %.0f planned", mib[0], mib[1]);
}

/* ---- where to start from (rank 0) ---- */

static sm_status refuse_folder(const training *t)
{
    if (sm_run_folder_holds_run(t->folder) && !t->options->overwrite && !t->options->resume) {
        return sm_fail(SM_ERR_USAGE,
                       "run folder %s holds a run already; continue it with --resume auto, replace it with "
                       "--overwrite, or choose another with --set run.folder=...",
                       t->session->settings.folder);
    }
    return SM_OK;
}

/* Decides which checkpoint to go on from; "" = none. */
static sm_status find_checkpoint(const training *t, char *path, size_t path_bytes)
{
    *path = 0;
    if (!t->options->resume) {
        return SM_OK;
    }
    if (strcmp(t->options->resume, "auto") != 0) {
        snprintf(path, path_bytes, "%s", t->options->resume);
        return SM_OK;
    }
    char *latest = NULL;
    sm_status status = sm_run_folder_latest(t->folder, &latest);
    if (latest) {
        snprintf(path, path_bytes, "%s", latest);
    }
    sm_free(latest);
    return status;
}

static sm_status check_order(const training *t, const char *path, double *best_metric)
{
    sm_status status = SM_OK;
    sm_checkpoint_info info;
    SM_TRY(sm_checkpoint_read_info(path, &info));
    *best_metric = info.best_metric;
    if (strcmp(info.fingerprint, sm_dataset_fingerprint(t->train)) != 0) {
        status =
            sm_fail(SM_ERR_INPUT,
                    "%s was trained on the dataset '%s', [data] train is '%s': the order of samples would not go on",
                    path, info.fingerprint, sm_dataset_fingerprint(t->train));
    } else if (info.seed != (int64_t)t->session->settings.seed) {
        status =
            sm_fail(SM_ERR_INPUT,
                    "%s was trained with run.seed = %lld, the config says %lld: the order of samples would not go on",
                    path, (long long)info.seed, (long long)t->session->settings.seed);
    }
    sm_checkpoint_info_free(&info);
done:
    return status;
}

static sm_status load_start(training *t)
{
    sm_status status = SM_OK;
    char path[4096] = "";
    t->best_metric = NAN;
    if (is_root(t)) {
        status = find_checkpoint(t, path, sizeof path);
        if (status == SM_OK && *path) {
            status = check_order(t, path, &t->best_metric);
        }
    }
    SM_TRY(sm_comm_agree(t->comm, status));
    sm_comm_broadcast(t->comm, path, sizeof path, 0);
    sm_comm_broadcast(t->comm, &t->best_metric, sizeof t->best_metric, 0);
    const char *pretrained = sm_config_text_of(t->config, "model", "pretrained");
    if (*path) {
        SM_TRY(sm_checkpoint_load(t->session, t->trainer, path, 0));
        sm_log_info("resuming from %s at step %lld", path, (long long)t->trainer->step);
    } else {
        if (t->options->resume) {
            sm_log_info("nothing to resume in %s: a new run", t->session->settings.folder);
        }
        if (*pretrained) {
            SM_TRY(sm_checkpoint_load_pretrained(t->session, pretrained));
        }
        sm_update_start_average(t->trainer->update);
    }
done:
    return status;
}

static sm_status open_log(training *t)
{
    sm_status status = SM_OK;
    sm_run_log_kept kept = {0};
    if (is_root(t)) {
        char *path = sm_run_folder_file(t->folder, "run.h5");
        const char *split = t->validation ? sm_config_text_of(t->config, "data", "validation_split") : NULL;
        char *arithmetic = sm_arithmetic_text(t->trainer->engine->plan, t->session->settings.precision);
        sm_log_info("%s", arithmetic);
        status = sm_run_log_open(path, t->session, arithmetic, split, t->trainer->step, &kept, &t->log);
        sm_free(arithmetic);
        sm_free(path);
    }
    SM_TRY(sm_comm_agree(t->comm, status));
    sm_comm_broadcast(t->comm, &kept, sizeof kept, 0);
    t->earlier_seconds = kept.seconds;
    t->evaluated_step = kept.evaluated_step;
done:
    return status;
}

/* ---- what happens between steps ---- */

static double run_seconds(const training *t)
{
    return t->earlier_seconds + sm_seconds() - t->begin_seconds;
}

static int is_better(const training *t, double metric)
{
    const sm_metric *first = &t->session->tasks[0]->kind->metrics[0];
    if (isnan(metric)) {
        return 0;
    }
    return isnan(t->best_metric) || (first->higher_is_better ? metric > t->best_metric : metric < t->best_metric);
}

static sm_status save(training *t, int best)
{
    sm_status status = SM_OK;
    char *path = sm_run_folder_checkpoint(t->folder, t->trainer->step),
         *best_path = sm_run_folder_file(t->folder, "checkpoints/best.h5");
    SM_TRY(sm_checkpoint_save(t->trainer, path, best ? best_path : NULL, sm_dataset_fingerprint(t->train),
                              t->best_metric));
    t->saved_step = t->trainer->step;
    if (is_root(t)) {
        status = sm_run_log_flush(t->log);
        if (status == SM_OK) {
            status = sm_run_folder_prune(t->folder, t->trainer->step, t->session->settings.keep_last);
        }
    }
    status = sm_comm_agree(t->comm, status);
done:
    sm_free(path);
    sm_free(best_path);
    return status;
}

static sm_status evaluate(training *t)
{
    sm_status status = SM_OK;
    if (!t->evaluator || t->evaluated_step == t->trainer->step) {
        return SM_OK;
    }
    double begin = sm_seconds();
    SM_TRY(sm_evaluator_run(t->evaluator, &(sm_evaluation){.parameters = t->trainer->update->average}, t->values));
    sm_log_result("evaluation after step %lld (%lld samples, %.1f s)", (long long)t->trainer->step,
                  (long long)sm_dataset_count(t->validation), sm_seconds() - begin);
    sm_evaluator_report(t->evaluator, t->values, NULL);
    if (is_root(t)) {
        status = sm_run_log_evaluation(t->log, t->trainer->step, t->values);
    }
    SM_TRY(sm_comm_agree(t->comm, status));
    t->evaluated_step = t->trainer->step;
    if (is_better(t, t->values[0])) {
        t->best_metric = t->values[0];
        if (t->session->settings.keep_best) {
            SM_TRY(save(t, 1));
        }
    }
done:
    return status;
}

static sm_status log_step(training *t)
{
    sm_status status = SM_OK;
    sm_step_record *record = &t->trainer->record;
    record->seconds = run_seconds(t);
    if (is_root(t)) {
        if (!record->applied) {
            sm_log_warning("step %lld skipped: non-finite %s", (long long)record->step,
                           isfinite(record->loss) ? "gradient" : "loss");
        }
        sm_progress_step(t->progress, record);
        status = sm_run_log_step(t->log, record);
    }
    return status;
}

static int is_due(int64_t interval, int64_t step)
{
    return interval > 0 && step % interval == 0;
}

static sm_status run_steps(training *t)
{
    sm_status status = SM_OK;
    const sm_settings *settings = &t->session->settings;
    sm_status own = SM_OK; /* of rank 0's log */
    int64_t stop = sm_stop_signal_seen();
    sm_comm_max_int64(t->comm, &stop, 1);
    if (stop) {
        SM_TRY(sm_fail(SM_PREEMPTED, "asked to stop before step %lld: nothing new to save, continue with --resume auto",
                       (long long)t->trainer->step + 1));
    }
    while (t->trainer->step < t->steps) {
        int done;
        /* a log that cannot be written ends the run where all ranks agree on stopping */
        SM_TRY(sm_trainer_step(t->trainer, t->loader, sm_stop_signal_seen() || own != SM_OK, &done));
        own = own == SM_OK ? log_step(t) : own;
        int64_t step = t->trainer->step;
        if (is_due(settings->evaluate_interval, step)) {
            SM_TRY(evaluate(t));
        }
        if (t->trainer->stop_requested && step < t->steps) {
            SM_TRY(sm_comm_agree(t->comm, own));
            SM_TRY(save(t, 0));
            SM_TRY(sm_fail(SM_PREEMPTED,
                           "asked to stop: checkpoint of step %lld is written, continue with --resume auto",
                           (long long)step));
        }
        if (is_due(settings->checkpoint_interval, step) && t->saved_step != step) {
            SM_TRY(sm_comm_agree(t->comm, own));
            SM_TRY(save(t, 0));
        }
    }
    SM_TRY(sm_comm_agree(t->comm, own));
    SM_TRY(evaluate(t));
    if (t->saved_step != t->trainer->step) {
        SM_TRY(save(t, 0));
    }
    report_memory(t);
done:
    return status;
}

/* The last words of a run that a lost or stuck rank has ended. */
static void report_stall(void *user, const char *message)
{
    const training *t = user;
    if (is_root(t)) {
        sm_run_folder_write_status(t->folder, "failed", message);
    }
}

static sm_status start(training *t)
{
    sm_status status = SM_OK;
    t->folder = sm_run_folder_new(t->session->settings.folder);
    SM_TRY(sm_comm_agree(t->comm, is_root(t) ? refuse_folder(t) : SM_OK));
    if (t->options->trace) {
        SM_TRY(sm_comm_agree(t->comm, is_root(t) ? sm_file_check_writable(t->options->trace) : SM_OK));
    }
    SM_TRY(sm_comm_agree(t->comm, is_root(t) ? sm_run_folder_lock(t->folder) : SM_OK));
    SM_TRY(load_start(t));
    /* only when nothing can refuse the start any more: what an earlier run left is not lost to a wrong path */
    SM_TRY(sm_comm_agree(t->comm, is_root(t) ? sm_run_folder_claim(t->folder, t->options->resume != NULL) : SM_OK));
    t->folder_ready = 1;
    sm_trainer_bind(t->trainer);
    SM_TRY(open_log(t));
    t->loader_options.start_position = t->trainer->position;
    SM_TRY(sm_comm_agree(t->comm, sm_loader_new(&t->loader_options, &t->loader)));
    t->progress = sm_progress_new(t->session, t->steps, t->trainer->step);
    if (t->options->trace) {
        t->trace = t->trainer->trace = sm_trace_new(t->options->trace_first, t->options->trace_last);
    }
    sm_comm_set_stall_report(report_stall, t);
    char *ranks = sm_run_folder_file(t->folder, "ranks");
    sm_comm_set_stall_folder(ranks);
    sm_free(ranks);
    t->begin_seconds = sm_seconds();
    t->first_step = t->trainer->step;
    if (t->first_step >= t->steps) {
        sm_log_info("already complete: step %lld of %lld; more with --set run.steps=...", (long long)t->first_step,
                    (long long)t->steps);
        goto done;
    }
    sm_log_info("%d rank%s x %d thread%s, %lld samples, global batch %d, steps %lld to %lld, folder %s",
                sm_comm_size(t->comm), sm_comm_size(t->comm) > 1 ? "s" : "", t->session->settings.threads,
                t->session->settings.threads > 1 ? "s" : "", (long long)sm_dataset_count(t->train),
                t->session->settings.batch, (long long)t->trainer->step + 1, (long long)t->steps,
                t->session->settings.folder);
done:
    return status;
}

static sm_status finish(training *t, sm_status status)
{
    sm_status closed = SM_OK;
    if (is_root(t)) {
        char *why = sm_strdup(status == SM_OK ? "" : sm_error_message());
        closed = sm_run_log_close(t->log);
        t->log = NULL;
        const char *word = status == SM_OK ? "done" : status == SM_PREEMPTED ? "pre-empted" : "failed";
        sm_status written = sm_run_folder_write_status(t->folder, word, why);
        closed = closed != SM_OK ? closed : written;
        if (status == SM_OK && t->trainer->skipped > 0) {
            sm_log_warning("%lld of %lld steps were skipped: non-finite losses or gradients",
                           (long long)t->trainer->skipped, (long long)t->trainer->step);
        }
        if (status == SM_OK && t->progress && t->first_step < t->steps) {
            sm_progress_summary(t->progress);
        } else {
            sm_fail(status, "%s", why); /* the message of what ended the run, not of closing files */
        }
        sm_free(why);
    }
    return status != SM_OK ? status : sm_comm_agree(t->comm, closed);
}

static void release(training *t)
{
    sm_run_folder_free(t->folder);
    sm_loader_free(t->loader);
    sm_trace_free(t->trace);
    sm_progress_free(t->progress);
    sm_evaluator_free(t->evaluator);
    sm_trainer_free(t->trainer);
    sm_session_free(t->session);
    sm_dataset_close(t->train);
    sm_dataset_close(t->validation);
    sm_free(t->builders);
    sm_free(t->values);
}

sm_status sm_train(const sm_config *config, sm_comm *comm, const sm_train_options *options, int *started)
{
    sm_status status = SM_OK;
    training t = {.config = config, .comm = comm, .options = options, .evaluated_step = -1, .saved_step = -1};
    *started = 0;
    sm_comm_set_stall_limit(sm_config_real(config, "distributed", "stall_seconds"));
    if (!options->dry_run) {
        sm_stop_signal_install();
    }
    SM_TRY(open_data(&t));
    SM_TRY(sm_session_new(config, comm, t.train, &t.session));
    SM_TRY(make_engines(&t));
    if (options->dry_run) {
        status = sm_comm_agree(comm, is_root(&t) ? print_plan(&t) : SM_OK);
        goto done;
    }
    status = start(&t);
    *started = status == SM_OK;
    if (*started) {
        status = run_steps(&t);
    }
    sm_comm_set_stall_folder(NULL);
    sm_comm_set_stall_report(NULL, NULL);
    if (t.folder_ready) {
        status = finish(&t, status);
    }
    if (t.trace && status == SM_OK) {
        status = sm_trace_write(t.trace, comm, options->trace);
        if (status == SM_OK && options->trace_first > t.steps) {
            sm_log_warning("--trace: the run has %lld steps, none of %lld to %lld: an empty timeline",
                           (long long)t.steps, (long long)options->trace_first, (long long)options->trace_last);
        } else if (status == SM_OK) {
            sm_log_info("timeline of steps %lld to %lld: %s", (long long)options->trace_first,
                        (long long)options->trace_last, options->trace);
        }
    }
done:
    release(&t);
    return status;
}
