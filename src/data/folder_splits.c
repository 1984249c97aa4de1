/* Which words, of folders and of a manifest's column, mean which split. */
#include "data/folder.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

sm_split_word folder_split_at(const folder_description *d, size_t i)
{
    if (i < SM_SPLIT_WORDS) {
        return sm_split_words[i];
    }
    return i - SM_SPLIT_WORDS < d->split_count
               ? (sm_split_word){d->splits[i - SM_SPLIT_WORDS], d->splits[i - SM_SPLIT_WORDS]}
               : (sm_split_word){0};
}

const char *folder_split_of(const folder_description *d, const char *word)
{
    sm_split_word split;
    for (size_t i = 0; (split = folder_split_at(d, i)).word; i++) {
        if (strcasecmp(split.word, word) == 0) {
            return split.split;
        }
    }
    return NULL;
}

/* A split's name becomes that of a group of the file. */
static int is_split_name(const char *name)
{
    size_t length = strlen(name);
    for (const char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-') {
            return 0;
        }
    }
    return length > 0 && length < SM_IMPORT_SPLIT_BYTES;
}

sm_status folder_describe_splits(folder_description *d)
{
    enum { MOST = SM_IMPORT_SPLITS_MAX - SM_USUAL_SPLITS };
    static const char section[] = "image", key[] = "splits";
    size_t count;
    d->splits = sm_config_texts(d->config, section, key, &count);
    if (count > MOST) {
        return sm_config_fail(d->config, section, key, "%zu names, at most %d are allowed beside train, val and test",
                              count, MOST);
    }
    for (d->split_count = 0; d->split_count < count; d->split_count++) {
        const char *name = d->splits[d->split_count], *means = folder_split_of(d, name);
        if (!is_split_name(name)) {
            return sm_config_fail(d->config, section, key, "'%s': expected up to %d letters, digits, '_' and '-'", name,
                                  SM_IMPORT_SPLIT_BYTES - 1);
        }
        if (means) {
            return sm_config_fail(d->config, section, key, "'%s' is known already: it means '%s'", name, means);
        }
    }
    return SM_OK;
}
