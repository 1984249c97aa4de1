#include "train/resume_changes.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/sampler.h>
#include <sigmatic/io/config_entries.h>

#include <math.h>
#include <string.h>

/* ---- what a change means ------------------------------------------------------------------------------------------- */

typedef enum meaning {
    SAID,   /* it holds from now on */
    SILENT, /* no step depends on it, or others check it */
    REFUSED
} meaning;

#define TASKS "task." /* the start of the section of every task */

static const struct {
    const char *section, *key; /* NULL: every key of the section */
    meaning meaning;
    const char *words; /* behind what is said; NULL: nothing */
} rules[] = {
    {"weighting", "method", REFUSED, NULL},
    {"weighting", "diagnose_interval", SAID, "no step depends on it; with 0 the log loses what was measured"},
    {"model", "backbone", REFUSED, NULL},
    {"model", "width", REFUSED, NULL},
    {"model", "project", REFUSED, NULL},
    {"model", "hidden", REFUSED, NULL},
    {"model", "head_hidden", REFUSED, NULL},
    {TASKS, "kind", REFUSED, NULL},
    {TASKS, "group", REFUSED, NULL},
    {"run", "batch", SAID, "samples go on where they stopped, steps are counted on, learning rates are not scaled"},
    {"run", "folder", SILENT, NULL},
    {"run", "tasks", SILENT, NULL},
    {"run", "progress_seconds", SILENT, NULL},
    {"run", "time_limit", SILENT, NULL},
    {"model", "pretrained", SAID, "not read again: the checkpoint holds what was learnt since"},
    {"model", "freeze", SAID, "what was frozen and no longer is begins without momentum"},
    {"data", "train", SILENT, NULL},
    {"data", "workers", SILENT, NULL},
    {"data", "prefetch", SILENT, NULL},
    {"checkpoint", "best", SAID, "the best evaluation so far is forgotten, best.h5 is that of the next ones"},
    {"checkpoint", NULL, SILENT, NULL},
    {"distributed", "threads", SILENT, NULL},
    {"distributed", "stall_seconds", SILENT, NULL},
};

static int is_of_task(const sm_config_entry *e)
{
    return strncmp(e->section, TASKS, strlen(TASKS)) == 0;
}

static int rule_of(const sm_config_entry *e)
{
    for (int i = 0; i < (int)(sizeof rules / sizeof *rules); i++) {
        int is_section =
            strcmp(rules[i].section, TASKS) == 0 ? is_of_task(e) : strcmp(rules[i].section, e->section) == 0;
        if (is_section && (!rules[i].key || strcmp(rules[i].key, e->key) == 0)) {
            return i;
        }
    }
    return -1;
}

static meaning meaning_of(const sm_config_entry *e)
{
    int rule = rule_of(e);
    return rule < 0 ? SAID : rules[rule].meaning;
}

/* A key whose value has changed. */
typedef struct change {
    const sm_config_entry *old, *new;
} change;

typedef struct changes {
    sm_config_entry *old, *new; /* of the checkpoint and of the config */
    size_t old_count, new_count;
    change *items;
    size_t count;
} changes;

/* \return what the key was before; NULL: nothing that can be compared. Before there was a key for it, each task was a group of
 * its own. */
static const sm_config_entry *value_before(const changes *found, const sm_config_entry *new)
{
    static const sm_config_entry alone = {.section = TASKS, .key = "group", .value = ""};
    const sm_config_entry *old = sm_config_entry_find(found->old, found->old_count, new->section, new->key);
    int is_later = !old && sm_config_entry_find(found->old, found->old_count, new->section, NULL);
    return is_later && is_of_task(new) && strcmp(new->key, alone.key) == 0 ? &alone : old;
}

/* \param wanted  the meaning of the keys that are looked for; those that only one of the two has are none \return freed with free_changes() */
static changes find_changes(const char *before, const sm_config *now, meaning wanted)
{
    char *text = sm_config_text(now);
    changes found = {0};
    found.old = sm_config_entries(before, &found.old_count);
    found.new = sm_config_entries(text, &found.new_count);
    found.items = sm_alloc((found.new_count + 1) * sizeof *found.items);
    for (size_t i = 0; i < found.new_count; i++) {
        const sm_config_entry *new = &found.new[i], *old = value_before(&found, new);
        if (meaning_of(new) == wanted && old && strcmp(old->value, new->value) != 0) {
            found.items[found.count++] = (change){old, new};
        }
    }
    sm_free(text);
    return found;
}

static void free_changes(changes *found)
{
    sm_free(found->old);
    sm_free(found->new);
    sm_free(found->items);
}

/* \return the first task of one config that the other lacks; NULL: none */
static const char *task_without(const sm_config_entry *those, size_t count, const sm_config_entry *others,
                                size_t other_count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_of_task(&those[i]) && !sm_config_entry_find(others, other_count, those[i].section, NULL)) {
            return those[i].section;
        }
    }
    return NULL;
}

static sm_status refuse_tasks(const char *checkpoint, const changes *found)
{
    const char *gone = task_without(found->old, found->old_count, found->new, found->new_count);
    const char *added = task_without(found->new, found->new_count, found->old, found->old_count);
    if (!gone && !added) {
        return SM_OK;
    }
    return sm_fail(SM_ERR_INPUT,
                   "%s was trained %s [%s], the config has %s: tasks cannot change within a run; keep them, or begin a "
                   "run in another folder with the checkpoint as model.pretrained",
                   checkpoint, gone ? "with" : "without", gone ? gone : added, gone ? "no such task" : "it");
}

sm_status sm_resume_refuse_changes(const char *checkpoint, const char *before, const sm_config *now)
{
    sm_status status = SM_OK;
    changes refused = find_changes(before, now, REFUSED);
    if (refused.count > 0) {
        const sm_config_entry *new = refused.items[0].new;
        const char *was = refused.items[0].old->value;
        status = sm_fail(SM_ERR_INPUT,
                         "%s was trained with %s.%s = %s, the config says %s: that cannot change within a run; "
                         "keep it, or begin a run in another folder with the checkpoint as model.pretrained",
                         checkpoint, new->section, new->key, *was ? was : "empty", *new->value ? new->value : "empty");
    } else {
        status = refuse_tasks(checkpoint, &refused);
    }
    free_changes(&refused);
    return status;
}

static const char *first_task(const sm_config_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_of_task(&entries[i])) {
            return entries[i].section;
        }
    }
    return "";
}

/* \return 1 if checkpoint.best is empty in both, and with it another task's metric decides: that of the first one */
static int has_another_first_task(const changes *found)
{
    const sm_config_entry *old = sm_config_entry_find(found->old, found->old_count, "checkpoint", "best");
    const sm_config_entry *new = sm_config_entry_find(found->new, found->new_count, "checkpoint", "best");
    return old && new && !*old->value &&
           !*new->value &&strcmp(first_task(found->old, found->old_count), first_task(found->new, found->new_count)) !=
               0;
}

double sm_resume_best_metric(const sm_checkpoint_info *info, const sm_config *now)
{
    changes said = find_changes(info->config, now, SAID);
    double best = has_another_first_task(&said) ? NAN : info->best_metric;
    for (size_t i = 0; i < said.count; i++) {
        const sm_config_entry *new = said.items[i].new;
        best = strcmp(new->section, "checkpoint") == 0 && strcmp(new->key, "best") == 0 ? NAN : best;
    }
    free_changes(&said);
    return best;
}

static void report_change(const change *said)
{
    int rule = rule_of(said->new);
    const char *words = rule >= 0 ? rules[rule].words : NULL;
    const char *now = said->new->value, *before = said->old->value;
    sm_log_info("  %s.%s = %s, was %s%s%s", said->new->section, said->new->key, *now ? now : "empty",
                *before ? before : "empty", words ? ": " : "", words ? words : "");
}

/* ---- the learning rate --------------------------------------------------------------------------------------------- */

/* The schedule of the checkpoint's config, for a run that would have gone on with it; NULL if this version cannot read it. */
static sm_schedule *schedule_before(const sm_training *t, const char *before)
{
    sm_config *config = sm_config_new(sm_all_keys());
    sm_optimizer *optimizer = NULL;
    sm_schedule *schedule = NULL;
    if (sm_config_read_text(config, "checkpoint", before) == SM_OK && sm_optimizer_new(config, &optimizer) == SM_OK) {
        int64_t steps = sm_config_integer(config, "run", "steps");
        int64_t batch = sm_config_integer(config, "run", "batch"), epochs = sm_config_integer(config, "run", "epochs");
        steps = steps > 0 ? steps
                          : t->trainer->step +
                                sm_sampler_steps_left(t->trainer->position, sm_dataset_count(t->train), batch, epochs);
        if (sm_schedule_new(config, optimizer->learning_rate, steps > 0 ? steps : 1, &schedule) != SM_OK) {
            schedule = NULL;
        }
    }
    sm_optimizer_free(optimizer);
    sm_config_free(config);
    return schedule;
}

static void report_rate(const sm_training *t, const char *before)
{
    const sm_schedule *now = t->trainer->schedule;
    sm_schedule *old = schedule_before(t, before);
    if (old && t->trainer->step < t->steps) {
        double rate = sm_schedule_at(now, t->trainer->step), other = sm_schedule_at(old, t->trainer->step);
        if (fabs(rate - other) > 1e-9 * fabs(rate)) {
            sm_log_info("  learning rate of step %lld: %.4g (%s over all %lld steps of the run), would have been %.4g "
                        "(%s over %lld)",
                        (long long)t->trainer->step + 1, rate, now->kind->name, (long long)now->steps, other,
                        old->kind->name, (long long)old->steps);
        }
    }
    sm_schedule_free(old);
}

void sm_resume_report_changes(const sm_training *t, const char *before)
{
    changes said = find_changes(before, t->config, SAID);
    if (has_another_first_task(&said)) {
        sm_log_info("the first task is another, whose metric decides which evaluation is the best (checkpoint.best): "
                    "the best so far is forgotten");
    }
    if (said.count > 0) {
        sm_log_info("what is set otherwise than before holds from the next step on:");
        for (size_t i = 0; i < said.count; i++) {
            report_change(&said.items[i]);
        }
        report_rate(t, before);
    }
    free_changes(&said);
}
