#include "cli/show_settings.h"

#include <sigmatic/base/memory.h>

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

show_setting *show_settings_read(const char *config, size_t *count)
{
    size_t lines = 1, bytes = strlen(config) + 1;
    for (const char *at = config; *at; at++) {
        lines += *at == '\n';
    }
    show_setting *settings = sm_alloc(lines * sizeof *settings + bytes); /* and the text behind them */
    char *line = memcpy((char *)(settings + lines), config, bytes), *next;
    const char *section = "";
    for (*count = 0; line; line = next) {
        next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        char *end = *line == '[' ? strchr(line, ']') : strchr(line, '=');
        if (end && *line == '[') {
            *end = '\0';
            section = line + 1;
        } else if (end) {
            *end = '\0';
            settings[(*count)++] = (show_setting){section, trimmed(line), trimmed(end + 1)};
        }
    }
    return settings;
}

void show_settings_free(show_setting *settings)
{
    sm_free(settings);
}

const char *show_settings_find(const show_setting *settings, size_t count, const char *section, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(settings[i].section, section) == 0 && (!key || strcmp(settings[i].key, key) == 0)) {
            return settings[i].value;
        }
    }
    return NULL;
}
