/** \file
 * The text of a resolved configuration, as checkpoints and run logs keep it, key by key: also that of another version, whose keys
 * this one may not know. Not collective. */
#ifndef SIGMATIC_IO_CONFIG_ENTRIES_H
#define SIGMATIC_IO_CONFIG_ENTRIES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_config_entry {
    const char *section; /**< full name, "task.semantic" */
    const char *key, *value;
} sm_config_entry;

/** \param text  of sm_config_text(): "[section]", then "key = value" a line; anything else is passed over
 * \param [out] count  keys in it
 * \return one a key, in their order, and what their members point to; freed with sm_free() */
sm_config_entry *sm_config_entries(const char *text, size_t *count);

/** \param key  NULL: any key, to find whether there is such a section
 * \return the first of that name; NULL: there is none */
const sm_config_entry *sm_config_entry_find(const sm_config_entry *entries, size_t count, const char *section,
                                            const char *key);

#ifdef __cplusplus
}
#endif
#endif
