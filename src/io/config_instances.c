/* Leaving out instances of a template. */
#include "io/config_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include <string.h>

static int is_named(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static void remove_section(sm_config *config, size_t instance)
{
    char *section = config->instances[instance];
    size_t kept = 0;
    for (size_t i = 0; i < config->entry_count; i++) {
        sm_config_entry *e = &config->entries[i];
        if (strcmp(e->section, section) == 0) {
            sm_config_value_clear(&e->value);
            sm_free(e->section);
            sm_free(e->begun);
        } else {
            config->entries[kept++] = *e;
        }
    }
    config->entry_count = kept;
    config->instance_count--;
    memmove(&config->instances[instance], &config->instances[instance + 1],
            (config->instance_count - instance) * sizeof *config->instances);
    sm_free(section);
}

/* Every name has a section. */
static sm_status check_names(const sm_config *config, const char *family, const char *section, const char *key,
                             const char *const *names, size_t count)
{
    const char *const *known;
    size_t known_count = sm_config_sections(config, family, &known);
    for (size_t i = 0; i < count; i++) {
        sm_nearest nearest = {.wanted = names[i]};
        int found = 0;
        for (size_t k = 0; k < known_count; k++) {
            const char *name = sm_config_instance(known[k]);
            sm_nearest_consider(&nearest, name);
            found |= strcmp(name, names[i]) == 0;
        }
        if (!found) {
            return sm_config_fail(config, section, key, "there is no section [%s.%s]%s%s%s", family, names[i],
                                  nearest.best ? ", did you mean '" : "", nearest.best ? nearest.best : "",
                                  nearest.best ? "'?" : "");
        }
    }
    return SM_OK;
}

sm_status sm_config_keep_instances(sm_config *config, const char *family, const char *section, const char *key)
{
    size_t count, known_count;
    const char *const *names = sm_config_texts(config, section, key, &count), *const *known = NULL;
    sm_status status = check_names(config, family, section, key, names, count);
    if (status != SM_OK || count == 0) {
        return status;
    }
    known_count = sm_config_sections(config, family, &known);
    size_t first = known ? (size_t)((char *const *)known - config->instances) : 0;
    for (size_t i = first + known_count; i-- > first;) {
        if (!is_named(sm_config_instance(config->instances[i]), names, count)) {
            remove_section(config, i);
            names = sm_config_texts(config, section, key, &count); /* entries have moved */
        }
    }
    return SM_OK;
}
