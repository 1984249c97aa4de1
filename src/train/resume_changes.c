#include "train/resume_changes.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/sampler.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- keys of two configs ------------------------------------------------------------------------------------------- */

enum { WORD_BYTES = 256 };

/* A key in a resolved text of a config: "[section]", then "key = value" a line. */
typedef struct entry {
    char section[WORD_BYTES], key[WORD_BYTES];
    const char *value; /* in the text */
    int value_length;
} entry;

/* \param [in,out] at  where to read on; the section stays that of the last call \return 0 at the end */
static int next_entry(const char **at, entry *e)
{
    while (**at) {
        const char *line = *at;
        size_t length = strcspn(line, "\n"), key_length = strcspn(line, " =\n");
        *at = line + length + (line[length] == '\n');
        if (*line == '[') {
            snprintf(e->section, sizeof e->section, "%.*s", (int)strcspn(line + 1, "]\n"), line + 1);
            continue;
        }
        const char *equals = memchr(line, '=', length);
        if (!equals || *line == ';' || *line == '#') {
            continue;
        }
        snprintf(e->key, sizeof e->key, "%.*s", (int)key_length, line);
        e->value = equals + 1 + strspn(equals + 1, " ");
        e->value_length = (int)(line + length - e->value);
        return 1;
    }
    return 0;
}

/* \return 1 if the text has the key */
static int find_entry(const char *text, const entry *wanted, entry *found)
{
    *found = (entry){0};
    while (next_entry(&text, found)) {
        if (strcmp(found->section, wanted->section) == 0 && strcmp(found->key, wanted->key) == 0) {
            return 1;
        }
    }
    return 0;
}

static int same_value(const entry *a, const entry *b)
{
    return a->value_length == b->value_length && strncmp(a->value, b->value, (size_t)a->value_length) == 0;
}

/* ---- what a change means ------------------------------------------------------------------------------------------- */

typedef enum meaning {
    SAID,   /* it holds from now on */
    SILENT, /* no step depends on it, or others check it */
    REFUSED
} meaning;

static const struct {
    const char *section, *key; /* NULL: every key of the section */
    meaning meaning;
    const char *words; /* behind what is said; NULL: nothing */
} rules[] = {
    {"weighting", "method", REFUSED, NULL},
    {"run", "batch", SAID, "samples go on where they stopped, steps are counted on, learning rates are not scaled"},
    {"run", "folder", SILENT, NULL},
    {"run", "progress_seconds", SILENT, NULL},
    {"model", "pretrained", SAID, "not read again: the checkpoint holds what was learnt since"},
    {"model", "freeze", SAID, "what was frozen and no longer is begins without momentum"},
    {"data", "train", SILENT, NULL},
    {"data", "workers", SILENT, NULL},
    {"data", "prefetch", SILENT, NULL},
    {"checkpoint", NULL, SILENT, NULL},
    {"distributed", "threads", SILENT, NULL},
    {"distributed", "stall_seconds", SILENT, NULL},
};

static int rule_of(const entry *e)
{
    for (int i = 0; i < (int)(sizeof rules / sizeof *rules); i++) {
        if (strcmp(rules[i].section, e->section) == 0 && (!rules[i].key || strcmp(rules[i].key, e->key) == 0)) {
            return i;
        }
    }
    return -1;
}

static meaning meaning_of(const entry *e)
{
    int rule = rule_of(e);
    return rule < 0 ? SAID : rules[rule].meaning;
}

sm_status sm_resume_refuse_changes(const char *checkpoint, const char *before, const sm_config *now)
{
    sm_status status = SM_OK;
    char *text = sm_config_text(now);
    const char *at = text;
    entry new = {0}, old;
    while (status == SM_OK && next_entry(&at, &new)) {
        if (meaning_of(&new) == REFUSED && find_entry(before, &new, &old) && !same_value(&new, &old)) {
            status =
                sm_fail(SM_ERR_INPUT,
                        "%s was trained with %s.%s = %.*s, the config says %.*s: that cannot change within a run; "
                        "keep it, or begin a run in another folder with the checkpoint as model.pretrained",
                        checkpoint, new.section, new.key, old.value_length, old.value, new.value_length, new.value);
        }
    }
    sm_free(text);
    return status;
}

static void report_entry(const entry *new, const entry *old, int *said)
{
    int rule = rule_of(new);
    const char *words = rule >= 0 ? rules[rule].words : NULL;
    if (!(*said)++) {
        sm_log_info("what is set otherwise than before holds from the next step on:");
    }
    sm_log_info("  %s.%s = %.*s, was %.*s%s%s", new->section, new->key, new->value_length, new->value,
                old->value_length, old->value, words ? ": " : "", words ? words : "");
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
    char *text = sm_config_text(t->config);
    const char *at = text;
    entry new = {0}, old;
    int said = 0;
    while (next_entry(&at, &new)) {
        if (meaning_of(&new) == SAID && find_entry(before, &new, &old) && !same_value(&new, &old)) {
            report_entry(&new, &old, &said);
        }
    }
    if (said > 0) {
        report_rate(t, before);
    }
    sm_free(text);
}
