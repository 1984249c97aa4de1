/* Keys that count only while another key has certain values. */
#include "io/config_private.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* "0" and "0.0" are one number; other texts are compared as they stand. */
static int same_value(const char *a, const char *b, size_t length)
{
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    if (end_a != a && *end_a == '\0' && end_b == b + length) {
        return x == y;
    }
    return strlen(a) == length && memcmp(a, b, length) == 0;
}

/* \return where the other key of a key in `section` stands: of a template, in the same instance. */
static const char *other_section(const sm_key_condition *c, const char *section)
{
    return strcmp(c->section, c->other_section) == 0 ? section : c->other_section;
}

static int is_met(const sm_config *config, const sm_key_condition *condition, const char *section)
{
    const sm_config_entry *other = sm_config_find(config, other_section(condition, section), condition->other_key);
    assert(other && "an undeclared key");
    int wanted = *condition->values != '!', found = 0;
    for (const char *at = condition->values + !wanted; !found; at++) {
        size_t length = strcspn(at, "|");
        found = same_value(other->value.text, at, length);
        at += length;
        if (*at == '\0') {
            break;
        }
    }
    return found == wanted;
}

/* \return "run.steps = 0 (it is 12)", "a data.validation_split"; freed with sm_free(). */
static char *condition_text(const sm_config *config, const sm_key_condition *c, const char *section)
{
    const char *other = other_section(c, section), *found = sm_config_find(config, other, c->other_key)->value.text;
    if (strcmp(c->values, "!") == 0) {
        return sm_format("with a %s.%s", other, c->other_key);
    }
    if (*c->values == '!') {
        return sm_format("where %s.%s is not %s", other, c->other_key, c->values + 1);
    }
    return sm_format("with %s.%s = %s (it is %s)", other, c->other_key, c->values, found);
}

static int is_about(const sm_key_condition *condition, const sm_config_entry *entry)
{
    return sm_config_section_matches(condition->section, entry->section) &&
           strcmp(entry->key->name, condition->key) == 0;
}

/* \return the first condition on a key that is not met; NULL: it counts */
static const sm_key_condition *find_unmet(const sm_config *config, const sm_key_condition *conditions,
                                          const sm_config_entry *entry)
{
    for (const sm_key_condition *c = conditions; c->section; c++) {
        if (is_about(c, entry) && !is_met(config, c, entry->section)) {
            return c;
        }
    }
    return NULL;
}

/* An included file cannot know what the one that includes it says, or --set: that is no mistake of either. */
static int is_overruled(const sm_config *config, const sm_config_entry *e, const sm_key_condition *unmet)
{
    const sm_config_value *other = &sm_config_find(config, other_section(unmet, e->section), unmet->other_key)->value;
    int is_included = e->value.file >= config->first_included && e->value.file <= config->last_included;
    return is_included && other->origin && other->file != e->value.file;
}

void sm_config_warn_without_effect(const sm_config *config, const sm_key_condition *conditions)
{
    for (size_t i = 0; i < config->entry_count; i++) {
        const sm_config_entry *e = &config->entries[i];
        const char *fallback = e->key->fallback ? e->key->fallback : "";
        int is_given = e->value.origin && !same_value(e->value.text, fallback, strlen(fallback));
        const sm_key_condition *unmet = is_given ? find_unmet(config, conditions, e) : NULL;
        if (unmet && !is_overruled(config, e, unmet)) {
            char *condition = condition_text(config, unmet, e->section);
            sm_log_warning("%s: [%s] %s = %s has no effect: it counts only %s", e->value.origin, e->section, unmet->key,
                           e->value.text, condition);
            sm_free(condition);
        }
    }
}
