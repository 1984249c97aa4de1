#include <sigmatic/base/nearest.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/model/network.h>
#include <sigmatic/ops/conv2d.h>
#include <sigmatic/optim/optimizer.h>
#include <sigmatic/optim/schedule.h>
#include <sigmatic/task/task.h>
#include <sigmatic/train/settings.h>
#include <sigmatic/weighting/weighting.h>

#include "train/time_limit.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char run[] = "run", distributed[] = "distributed", checkpoint[] = "checkpoint";

const sm_key sm_run_keys[] = {
    {run, "folder", SM_KEY_PATH, "runs/default", 0, 0, NULL, NULL, "run.h5, checkpoints/ and status are written here"},
    {run, "seed", SM_KEY_INTEGER, "1", 0, 9e15, NULL, NULL, "initial weights, order of samples, augmentation, dropout"},
    {run, "tasks", SM_KEY_TEXTS, "", 0, 0, NULL, NULL,
     "names of the [task.NAME] that are there; the other sections are left out; empty = all"},
    {run, "batch", SM_KEY_INTEGER, "8", 1, 1e6, NULL, "images", "of one step over all ranks"},
    {run, "steps", SM_KEY_INTEGER, "0", 0, 1e12, NULL, NULL, "length of the run; 0 = by epochs"},
    {run, "epochs", SM_KEY_INTEGER, "0", 0, 1e9, NULL, NULL, "length of the run if steps = 0"},
    {run, "time_limit", SM_KEY_TEXT, "", 0, 0, NULL, NULL,
     "of one start, as Slurm's --time (90, 12:00:00, 2-00): it ends within that with a checkpoint and exit code 75; "
     "empty = what Slurm gives the job, if anything"},
    {run, "precision", SM_KEY_CHOICE, "highest", 0, 0, "highest|high|bf16", NULL,
     "of convolutions: float throughout; errors up to 5e-6 allowed (Winograd F(4x4), floats as two bfloat16 parts); "
     "factors, and the maps between convolutions, in bfloat16"},
    {run, "precision", SM_KEY_FORMER, "highest", 0, 0, "exact", NULL, NULL},
    {run, "precision", SM_KEY_FORMER, "high", 0, 0, "fp32", NULL, NULL},
    {run, "evaluate_interval", SM_KEY_INTEGER, "0", 0, 1e12, NULL, "steps", "between evaluations; 0 = only at the end"},
    {run, "evaluate_batch", SM_KEY_INTEGER, "0", 0, 1e6, NULL, "images",
     "of one evaluation step over all ranks; 0 = batch"},
    {run, "evaluate_instances", SM_KEY_BOOL, "false", 0, 0, NULL, NULL,
     "evaluations of a training decode instances too and measure ap and ap50, as eval does; takes longer"},
    {run, "progress_seconds", SM_KEY_REAL, "10", 0, 1e6, NULL, "seconds",
     "between progress lines where there is no terminal"},
    {distributed, "threads", SM_KEY_INTEGER, "0", 0, 4096, NULL, NULL,
     "OpenMP threads a rank; 0 = OMP_NUM_THREADS, else 1"},
    {distributed, "batch_norm", SM_KEY_CHOICE, "sync", 0, 0, "sync|local|frozen", NULL,
     "statistics of the global batch, of each rank's samples (running values averaged), or the running ones"},
    {distributed, "micro_batches", SM_KEY_INTEGER, "1", 1, 65536, NULL, NULL,
     "parts in which a rank works through its share of the batch (gradient accumulation)"},
    {distributed, "reproducible", SM_KEY_BOOL, "false", 0, 0, NULL, NULL,
     "the same bits on any number of ranks and threads: sums over the batch, sample by sample, in one fixed order"},
    {distributed, "conv2d_algorithm", SM_KEY_TEXT, "", 0, 0, NULL, NULL,
     "this convolution algorithm wherever it can, whatever run.precision allows; empty = the cheapest that it allows"},
    {distributed, "recompute", SM_KEY_CHOICE, "none", 0, 0, "none|blocks", NULL,
     "blocks: keep only what enters the backbone's blocks and compute the inside again in backward: two fifths to "
     "a half of the memory an image, about a sixth more time, the same bits"},
    {distributed, "reduction", SM_KEY_CHOICE, "hierarchical", 0, 0, "blocking|overlapped|hierarchical", NULL,
     "when and how gradients travel: after backward, during it, or during it through shared memory inside a node"},
    {distributed, "bucket_mib", SM_KEY_REAL, "0", 0, 4096, NULL, "MiB",
     "gradients that travel together; 0 = the mode's default"},
    {distributed, "compress", SM_KEY_BOOL, "false", 0, 0, NULL, NULL,
     "messages of gradients carry bfloat16, sums are kept in float"},
    {distributed, "reduction_thread", SM_KEY_BOOL, "true", 0, 0, NULL, NULL,
     "between nodes, a thread that wakes every millisecond moves gradients while long ops run"},
    {distributed, "stall_seconds", SM_KEY_REAL, "600", 0, 1e9, NULL, "seconds",
     "longest wait for other ranks while none gets on: then the run names the missing ones and ends with exit code 3; "
     "0 = "
     "no limit"},
    {distributed, "check_interval", SM_KEY_INTEGER, "500", 0, 1e12, NULL, "steps",
     "between comparisons of the parameters over ranks; 0 = never"},
    {checkpoint, "interval", SM_KEY_INTEGER, "0", 0, 1e12, NULL, "steps", "between checkpoints; 0 = by time"},
    {checkpoint, "minutes", SM_KEY_REAL, "30", 0, 1e6, NULL, "minutes",
     "between checkpoints where interval = 0; 0 = at the end, when asked to stop and with a best evaluation"},
    {checkpoint, "keep_last", SM_KEY_INTEGER, "2", 1, 1e6, NULL, NULL, "how many of the latest checkpoints stay"},
    {checkpoint, "keep_every", SM_KEY_INTEGER, "0", 0, 1e12, NULL, "steps",
     "the first checkpoint at or after each multiple of so many steps stays for ever; 0 = none"},
    {checkpoint, "keep_best", SM_KEY_BOOL, "true", 0, 0, NULL, NULL,
     "best.h5 holds the network of the best evaluation, by the key `best`"},
    {checkpoint, "best", SM_KEY_TEXTS, "", 0, 0, NULL, NULL,
     "metrics TASK.METRIC that decide which evaluation is best; empty = the first task's first"},
    {0},
};

enum { MOST_TABLES = 256 };

/* Rows that share their keys name the same table. */
static void add_table(const sm_key *tables[MOST_TABLES], const sm_key *keys)
{
    int count = 0;
    while (keys && tables[count] && tables[count] != keys) {
        count++;
    }
    assert(count + 1 < MOST_TABLES);
    if (keys) {
        tables[count] = keys;
    }
}

const sm_key *const *sm_all_keys(void)
{
    static const sm_key *tables[MOST_TABLES] = {
        sm_run_keys,       sm_model_keys,     sm_data_keys,     sm_augmentation_keys, sm_task_keys,
        sm_weighting_keys, sm_optimizer_keys, sm_schedule_keys, sm_keys_elsewhere,    NULL};
    for (int i = 0; sm_backbones[i]; i++) {
        add_table(tables, sm_backbones[i]->keys);
    }
    for (int i = 0; sm_task_kinds[i]; i++) {
        add_table(tables, sm_task_kinds[i]->keys);
    }
    for (int i = 0; sm_weighting_kinds[i]; i++) {
        add_table(tables, sm_weighting_kinds[i]->learns_log_variances ? sm_log_variances_keys : NULL);
        add_table(tables, sm_weighting_kinds[i]->keys);
    }
    return tables;
}

static const char off[] = "false|no|off";

static const sm_key_condition conditions[] = {
    {run, "epochs", run, "steps", "0"},
    {run, "evaluate_interval", "data", "validation_split", "!"},
    {run, "evaluate_batch", "data", "validation_split", "!"},
    {run, "evaluate_instances", "data", "validation_split", "!"},
    {"data", "validation", "data", "validation_split", "!"},
    {checkpoint, "minutes", checkpoint, "interval", "0"},
    {checkpoint, "keep_best", "data", "validation_split", "!"},
    {checkpoint, "best", "data", "validation_split", "!"},
    {checkpoint, "best", checkpoint, "keep_best", "true|yes|on"},
    {distributed, "reduction", distributed, "reproducible", off},
    {distributed, "bucket_mib", distributed, "reproducible", off},
    {distributed, "reduction_thread", distributed, "reproducible", off},
    {distributed, "reduction_thread", distributed, "reduction", "!blocking"},
    {"optimizer", "momentum", "optimizer", "kind", "sgd"},
    {"optimizer", "nesterov", "optimizer", "kind", "sgd"},
    {"optimizer", "nesterov", "optimizer", "momentum", "!0"},
    {"optimizer", "beta1", "optimizer", "kind", "adamw"},
    {"optimizer", "beta2", "optimizer", "kind", "adamw"},
    {"optimizer", "epsilon", "optimizer", "kind", "adamw"},
    {"schedule", "power", "schedule", "kind", "poly"},
    {"schedule", "milestones", "schedule", "kind", "step"},
    {"schedule", "gamma", "schedule", "kind", "step"},
    {"schedule", "gamma", "schedule", "milestones", "!"},
    {"schedule", "minimum", "schedule", "kind", "!constant"},
    {"schedule", "warmup_factor", "schedule", "warmup_steps", "!0"},
    {"data", "erasing_area", "data", "erasing", "!0"},
    {"data", "crop_height", "model", "backbone", "!mlp"},
    {"data", "crop_width", "model", "backbone", "!mlp"},
    {"data", "flip", "model", "backbone", "!mlp"},
    {"data", "scale_min", "model", "backbone", "!mlp"},
    {"data", "scale_max", "model", "backbone", "!mlp"},
    {"data", "rotation", "model", "backbone", "!mlp"},
    {"data", "brightness", "model", "backbone", "!mlp"},
    {"data", "contrast", "model", "backbone", "!mlp"},
    {"data", "saturation", "model", "backbone", "!mlp"},
    {"data", "hue", "model", "backbone", "!mlp"},
    {"data", "erasing", "model", "backbone", "!mlp"},
    {"data", "erasing_area", "model", "backbone", "!mlp"},
    {"data", "height", "model", "backbone", "!mlp"},
    {"data", "width", "model", "backbone", "!mlp"},
    {"model", "output_stride", "model", "backbone", "!mlp"},
    {"model", "aspp_rates", "model", "backbone", "!mlp"},
    {"model", "project", "model", "backbone", "!mlp"},
    {"model", "align_corners", "model", "backbone", "!mlp"},
    {"model", "width", "model", "backbone", "!mlp"},
    {"model", "hidden", "model", "backbone", "mlp"},
    {"model", "head_hidden", "model", "backbone", "mlp"},
    {run, "precision", "model", "backbone", "!mlp"},
    {distributed, "batch_norm", "model", "backbone", "!mlp"},
    {distributed, "conv2d_algorithm", "model", "backbone", "!mlp"},
    {distributed, "recompute", "model", "backbone", "!mlp"},
    {"task.NAME", "huber_delta", "task.NAME", "loss", "huber"},
    {"task.NAME", "uncertainty_draws", "task.NAME", "uncertainty", "per_pixel"},
    {"task.NAME", "uncertainty_draws", "task.NAME", "kind", "semantic|classification|labels"},
    {"task.NAME", "encoding", "task.NAME", "kind", "depth"},
    {"task.NAME", "log_variance", "task.NAME", "uncertainty", "per_task"},
    {"task.NAME", "cluster_distance", "task.NAME", "kind", "instance"},
    {"task.NAME", "cluster_min_samples", "task.NAME", "kind", "instance"},
    {"task.NAME", "cluster_max_distance", "task.NAME", "kind", "instance"},
    {"task.NAME", "cluster_min_pixels", "task.NAME", "kind", "instance"},
    {"task.NAME", "cluster_stride", "task.NAME", "kind", "instance"},
    {"task.NAME", "cluster_by_class", "task.NAME", "kind", "instance"},
    {0},
};

static int has_keys(const sm_weighting_kind *kind, const sm_key *keys)
{
    return kind->keys == keys || (kind->learns_log_variances && keys == sm_log_variances_keys);
}

/* The weightings that share a table of keys, joined by '|'. */
static void join_methods(const sm_key *keys, size_t bytes, char *methods)
{
    *methods = '\0';
    for (int i = 0; sm_weighting_kinds[i]; i++) {
        if (has_keys(sm_weighting_kinds[i], keys)) {
            size_t length = strlen(methods);
            snprintf(methods + length, bytes - length, "%s%s", length ? "|" : "", sm_weighting_kinds[i]->name);
        }
    }
}

/* The weightings that choose by gradients of single tasks, joined by '|'. */
static void join_methods_of_gradients(size_t bytes, char *methods)
{
    *methods = '\0';
    for (int i = 0; sm_weighting_kinds[i]; i++) {
        if (sm_weighting_kinds[i]->needs >= SM_WEIGHTING_NEEDS_SHARED_GRADIENTS) {
            size_t length = strlen(methods);
            snprintf(methods + length, bytes - length, "%s%s", length ? "|" : "", sm_weighting_kinds[i]->name);
        }
    }
}

static int is_first_with_keys(int kind)
{
    int first = 0;
    while (sm_weighting_kinds[first]->keys != sm_weighting_kinds[kind]->keys) {
        first++;
    }
    return first == kind;
}

enum { MOST_CONDITIONS = 1024, MOST_METHODS = 64, METHOD_BYTES = 256 };

/* Adds to conditions that each of these keys counts with the weightings that have it alone.
 * \param methods  room for their names \return how many conditions there are then */
static int add_conditions(const sm_key *keys, char methods[METHOD_BYTES], sm_key_condition *all, int count)
{
    join_methods(keys, METHOD_BYTES, methods);
    for (const sm_key *key = keys; key && key->section; key++) {
        assert(count + 1 < MOST_CONDITIONS);
        all[count++] = (sm_key_condition){key->section, key->name, "weighting", "method", methods};
    }
    return count;
}

/* \return those of the table, and that a weighting's own keys count with that weighting only; a row with section NULL ends
 * them */
static const sm_key_condition *all_conditions(void)
{
    static sm_key_condition
        all[MOST_CONDITIONS]; /* made anew each time: a program may have registered a weighting since */
    static char methods[MOST_METHODS + 1][METHOD_BYTES], methods_of_gradients[METHOD_BYTES];
    int count = sizeof conditions / sizeof *conditions - 1;
    memcpy(all, conditions, sizeof conditions);
    count = add_conditions(sm_log_variances_keys, methods[MOST_METHODS], all, count);
    join_methods_of_gradients(sizeof methods_of_gradients, methods_of_gradients);
    all[count++] = (sm_key_condition){"weighting", "gradients", "weighting", "method", methods_of_gradients};
    for (int i = 0; sm_weighting_kinds[i]; i++) {
        assert(i < MOST_METHODS);
        count = add_conditions(is_first_with_keys(i) ? sm_weighting_kinds[i]->keys : NULL, methods[i], all, count);
    }
    all[count] = (sm_key_condition){0};
    return all;
}

sm_status sm_settings_check(sm_config *config)
{
    sm_status status = sm_config_keep_instances(config, "task", run, "tasks");
    return status == SM_OK ? sm_config_check(config) : status;
}

void sm_settings_warn_without_effect(const sm_config *config)
{
    sm_config_warn_without_effect(config, all_conditions());
}

/* \return the texts, where weighting.method says also what each weighting of the table is */
static const sm_key_text *all_texts(void)
{
    enum { MOST_TEXTS = 512, MOST_BYTES = 8192 };
    static sm_key_text all[MOST_TEXTS];
    static char methods[MOST_BYTES];
    for (int i = 0; sm_key_texts[i].section; i++) {
        assert(i + 1 < MOST_TEXTS);
        all[i] = sm_key_texts[i];
        if (all[i].key && strcmp(all[i].section, "weighting") == 0 && strcmp(all[i].key, "method") == 0) {
            size_t length = (size_t)snprintf(methods, sizeof methods, "%s", all[i].text);
            for (int k = 0; sm_weighting_kinds[k] && length < sizeof methods; k++) {
                length += (size_t)snprintf(methods + length, sizeof methods - length, " %s: %s.",
                                           sm_weighting_kinds[k]->name, sm_weighting_kinds[k]->help);
            }
            all[i].text = methods;
        }
    }
    return all;
}

sm_config_manual sm_settings_manual(void)
{
    return (sm_config_manual){sm_all_keys(), all_conditions(), all_texts()};
}

/* What would make the sums depend on the number of ranks. */
static sm_status check_reproducible(const sm_config *config, const sm_settings *settings)
{
    if (settings->batch_norm == SM_BATCH_NORM_LOCAL) {
        return sm_config_fail(
            config, distributed, "batch_norm",
            "statistics of each rank's samples depend on the number of ranks: with reproducible = true "
            "expected sync or frozen");
    }
    if (settings->reduction.compress) {
        return sm_config_fail(config, distributed, "compress",
                              "how often bfloat16 rounds depends on the number of ranks: with reproducible = true "
                              "expected false");
    }
    if (settings->micro_batches > 1) {
        return sm_config_fail(
            config, distributed, "micro_batches",
            "parts of a rank's share depend on the number of ranks: with reproducible = true expected 1, "
            "found %d",
            settings->micro_batches);
    }
    return SM_OK;
}

static sm_status no_such_algorithm(const sm_config *config, const char *name)
{
    char names[400] = "";
    sm_nearest nearest = {.wanted = name};
    for (const sm_conv2d_algorithm *algorithm = sm_conv2d_algorithms; algorithm->name; algorithm++) {
        size_t length = strlen(names);
        snprintf(names + length, sizeof names - length, "%s%s", length ? ", " : "", algorithm->name);
        sm_nearest_consider(&nearest, algorithm->name);
    }
    return sm_config_fail(config, distributed, "conv2d_algorithm", "expected nothing or one of %s%s%s%s", names,
                          nearest.best ? ", did you mean " : "", nearest.best ? nearest.best : "",
                          nearest.best ? "?" : "");
}

sm_status sm_settings_read(const sm_config *config, sm_settings *settings)
{
    *settings = (sm_settings){
        .folder = sm_config_text_of(config, run, "folder"),
        .seed = (uint64_t)sm_config_integer(config, run, "seed"),
        .batch = (int)sm_config_integer(config, run, "batch"),
        .steps = sm_config_integer(config, run, "steps"),
        .epochs = sm_config_integer(config, run, "epochs"),
        .evaluate_interval = sm_config_integer(config, run, "evaluate_interval"),
        .evaluate_batch = (int)sm_config_integer(config, run, "evaluate_batch"),
        .evaluate_instances = sm_config_bool(config, run, "evaluate_instances"),
        .progress_seconds = sm_config_real(config, run, "progress_seconds"),
        .threads = (int)sm_config_integer(config, distributed, "threads"),
        .micro_batches = (int)sm_config_integer(config, distributed, "micro_batches"),
        .batch_norm = (sm_batch_norm_mode)sm_config_choice(config, distributed, "batch_norm"),
        .precision = (sm_conv2d_precision)sm_config_choice(config, run, "precision"),
        .reproducible = sm_config_bool(config, distributed, "reproducible"),
        .conv2d_algorithm = sm_config_text_of(config, distributed, "conv2d_algorithm"),
        .recompute = sm_config_choice(config, distributed, "recompute"),
        .reduction = {.mode = (sm_reduction_mode)sm_config_choice(config, distributed, "reduction"),
                      .bucket_bytes = (size_t)(sm_config_real(config, distributed, "bucket_mib") * (1 << 20)),
                      .compress = sm_config_bool(config, distributed, "compress"),
                      .thread = sm_config_bool(config, distributed, "reduction_thread")},
        .stall_seconds = sm_config_real(config, distributed, "stall_seconds"),
        .diagnose_interval = sm_config_integer(config, "weighting", "diagnose_interval"),
        .check_interval = sm_config_integer(config, distributed, "check_interval"),
        .checkpoint_interval = sm_config_integer(config, checkpoint, "interval"),
        .checkpoint_minutes = sm_config_real(config, checkpoint, "minutes"),
        .keep_every = sm_config_integer(config, checkpoint, "keep_every"),
        .keep_last = (int)sm_config_integer(config, checkpoint, "keep_last"),
        .keep_best = sm_config_bool(config, checkpoint, "keep_best"),
    };
    if (settings->steps == 0 && settings->epochs == 0) {
        return sm_config_fail(config, run, "steps", "either steps or epochs must say how long to train");
    }
    const char *limit = sm_config_text_of(config, run, "time_limit");
    if (*limit && !sm_time_limit_parse(limit, &settings->time_limit_seconds)) {
        return sm_config_fail(config, run, "time_limit",
                              "expected a span of time above 0 as Slurm writes it: minutes, minutes:seconds, "
                              "hours:minutes:seconds, days-hours, days-hours:minutes or days-hours:minutes:seconds");
    }
    if (settings->evaluate_batch == 0) {
        settings->evaluate_batch = settings->batch;
    }
    if (*settings->conv2d_algorithm == 0) {
        settings->conv2d_algorithm = NULL;
    } else if (!sm_conv2d_find(settings->conv2d_algorithm)) {
        return no_such_algorithm(config, settings->conv2d_algorithm);
    }
    return settings->reproducible ? check_reproducible(config, settings) : SM_OK;
}
