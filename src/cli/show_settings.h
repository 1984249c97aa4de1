/** \file
 * A configuration as a run log keeps it, key by key: also that of another version, whose keys this one may not know. */
#ifndef SIGMATIC_CLI_SHOW_SETTINGS_H
#define SIGMATIC_CLI_SHOW_SETTINGS_H

#include <stddef.h>

typedef struct show_setting {
    const char *section, *key, *value; /**< of the same block of memory */
} show_setting;

/** \param config  text of sm_config_text()
 * \return one a key, in their order, freed with show_settings_free() */
show_setting *show_settings_read(const char *config, size_t *count);

void show_settings_free(show_setting *settings);

/** \return the value; NULL: no such key. \param key  NULL: of any key, whether there is such a section */
const char *show_settings_find(const show_setting *settings, size_t count, const char *section, const char *key);

#endif
