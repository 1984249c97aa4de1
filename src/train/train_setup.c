#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/train/pretrained.h>
#include <sigmatic/train/run_checkpoint.h>

#include "train/freezing.h"
#include "train/task_steps.h"
#include "train/training.h"

#include <stdio.h>
#include <string.h>

static sm_status open_data(sm_training *t)
{
    sm_status status = SM_OK;
    SM_TRY(sm_data_open_train(t->config, &t->train));
    SM_TRY(sm_data_open_validation(t->config, &t->validation));
    SM_TRY(sm_data_augmentation(t->config, t->train, &t->augmentation));
    if (sm_comm_rank(t->comm) == 0) {
        sm_data_remark_sizes(&t->augmentation, t->train);
    }
done:
    return sm_comm_agree(t->comm, status);
}

static void describe_loader(sm_training *t)
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

static sm_status make_engines(sm_training *t)
{
    sm_status status = SM_OK;
    const sm_settings *settings = &t->session->settings;
    int64_t count = sm_dataset_count(t->train);
    t->steps = settings->steps > 0 ? settings->steps : sm_sampler_steps(count, settings->batch, settings->epochs);
    SM_TRY(sm_task_steps_check(t->session, t->steps));
    if (sm_comm_rank(t->comm) == 0) {
        sm_task_steps_warn(t->session, t->steps);
    }
    describe_loader(t);
    SM_TRY(sm_trainer_new(t->session, t->loader_options.input.height, t->loader_options.input.width,
                          sm_loader_capacity(&t->loader_options), t->steps, &t->trainer));
    SM_TRY(sm_best_read(t->session, &t->best));
    if (t->validation) {
        sm_input whole = t->loader_options.input;
        whole.height = t->augmentation.height;
        whole.width = t->augmentation.width;
        const sm_evaluator_options how = {.instances = settings->evaluate_instances};
        SM_TRY(sm_evaluator_new(t->session, t->validation, &whole, &how, &t->evaluator));
        t->values = sm_alloc_zeroed((size_t)sm_evaluator_value_count(t->evaluator) * sizeof *t->values);
        t->losses = sm_alloc_zeroed((size_t)t->session->task_count * sizeof *t->losses);
        t->calibrations = sm_alloc_zeroed((size_t)t->session->task_count * sizeof *t->calibrations);
    }
    sm_memory_table_fill(t->trainer, &t->loader_options, t->evaluator, &t->memory);
done:
    return sm_comm_agree(t->comm, status);
}

/* A group of one task, of a name that is nearly another's. */
static void warn_of_lone_groups(const sm_weighting *weighting)
{
    for (int g = 0; weighting->sums && g < weighting->count; g++) {
        const char *group = weighting->tasks[g].name, *task = NULL;
        sm_nearest nearest = {.wanted = group};
        int members = 0;
        for (int i = 0; i < weighting->member_count; i++) {
            members += weighting->members[i].group == g;
            task = weighting->members[i].group == g ? weighting->members[i].task.name : task;
        }
        for (int other = 0; other < weighting->count; other++) {
            if (other != g) {
                sm_nearest_consider(&nearest, weighting->tasks[other].name);
            }
        }
        if (members == 1 && strcmp(group, task) != 0 && nearest.best) {
            sm_log_warning("task.%s.group = %s: no other task is in this group; did you mean '%s'?", task, group,
                           nearest.best);
        }
    }
}

/* A misspelt name would make a group of its own. */
static void report_groups(const sm_weighting *weighting)
{
    char *groups = sm_weighting_describe_groups(weighting);
    if (groups) {
        sm_log_info("%s weighs %d %s of tasks: %s", weighting->kind->name, weighting->count,
                    sm_plural(weighting->count, "group", "groups"), groups);
    }
    sm_free(groups);
    warn_of_lone_groups(weighting);
}

sm_status sm_training_set_up(sm_training *t)
{
    sm_status status = SM_OK;
    SM_TRY(open_data(t));
    SM_TRY(sm_session_new(t->config, t->comm, t->train, &t->session));
    SM_TRY(sm_freezing_check(t->session));
    if (sm_training_is_root(t)) {
        sm_freezing_report(t->session);
        report_groups(t->session->weighting);
    }
    SM_TRY(make_engines(t));
done:
    return status;
}

static sm_status print_plan_json(const sm_training *t)
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

static void print_plan_text(const sm_training *t)
{
    int size = sm_comm_size(t->comm), threads = t->session->settings.threads;
    int64_t samples = sm_dataset_count(t->train);
    const sm_input *input = &t->loader_options.input;
    char *what = input->kind->is_table
                     ? sm_format("tables of %d %s", input->channels, sm_plural(input->channels, "feature", "features"))
                     : sm_format("%d x %d images", input->height, input->width);
    printf("training plan, %s, %d of a global batch of %d on %s%d %s, %d %s\n\n", what,
           sm_loader_capacity(&t->loader_options), t->session->settings.batch, size > 1 ? "each of " : "", size,
           sm_plural(size, "rank", "ranks"), threads, sm_plural(threads, "thread", "threads"));
    sm_free(what);
    sm_plan_print(t->trainer->engine->plan, stdout);
    sm_memory_table_print(&t->memory, stdout);
    printf("\n%lld training %s (%s), %lld %s\n", (long long)samples, sm_plural(samples, "sample", "samples"),
           sm_dataset_fingerprint(t->train), (long long)t->steps, sm_plural(t->steps, "step", "steps"));
}

static sm_status print_plan(const sm_training *t)
{
    sm_status status = SM_OK;
    SM_TRY(sm_dataset_find_fingerprint(t->train));
    if (t->options->json) {
        status = print_plan_json(t);
    } else {
        print_plan_text(t);
    }
done:
    return status;
}

/* What the start would take, or refuse: a run that goes on takes nothing. */
static sm_status try_pretrained(const sm_training *t)
{
    const char *pretrained = sm_config_text_of(t->config, "model", "pretrained"), *resume = t->options->resume;
    int begins = !resume || (strcmp(resume, "auto") == 0 && !sm_run_has_checkpoint(t->session->settings.folder));
    sm_comm_broadcast(t->comm, &begins, sizeof begins, 0);
    return *pretrained && begins
               ? sm_config_name_key(t->config, "model", "pretrained", sm_pretrained_load(t->session, pretrained))
               : SM_OK;
}

/* It writes no files by which other nodes could see how far rank 0 is with reading: they wait without a limit. */
sm_status sm_training_print_plan(const sm_training *t)
{
    sm_comm_set_stall_limit(0);
    sm_status status = try_pretrained(t);
    if (status == SM_OK) {
        status = sm_comm_agree(t->comm, sm_training_is_root(t) ? print_plan(t) : SM_OK);
    }
    sm_comm_set_stall_limit(sm_config_real(t->config, "distributed", "stall_seconds"));
    return status;
}
