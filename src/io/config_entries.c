#include <sigmatic/base/memory.h>
#include <sigmatic/io/config_entries.h>

#include <string.h>

/* \return the text without blanks at its ends, which are cut off */
static char *trimmed(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) {
        text[--length] = '\0';
    }
    return text;
}

sm_config_entry *sm_config_entries(const char *text, size_t *count)
{
    size_t lines = 1, bytes = strlen(text) + 1;
    for (const char *at = text; *at; at++) {
        lines += *at == '\n';
    }
    sm_config_entry *entries = sm_alloc(lines * sizeof *entries + bytes); /* and the text behind them */
    char *line = memcpy((char *)(entries + lines), text, bytes), *next;
    const char *section = "";
    for (*count = 0; line; line = next) {
        next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        char *end = *line == '[' ? strchr(line, ']') : strchr(line, '=');
        if (!end || *line == ';' || *line == '#') {
            continue;
        }
        *end = '\0';
        if (*line == '[') {
            section = line + 1;
        } else {
            entries[(*count)++] = (sm_config_entry){section, trimmed(line), trimmed(end + 1)};
        }
    }
    return entries;
}

const sm_config_entry *sm_config_entry_find(const sm_config_entry *entries, size_t count, const char *section,
                                            const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(entries[i].section, section) == 0 && (!key || strcmp(entries[i].key, key) == 0)) {
            return &entries[i];
        }
    }
    return NULL;
}
