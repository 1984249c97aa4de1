/* The list of all keys, a line each. */
#include "io/config_private.h"

#include <sigmatic/io/config_help.h>

#include <stdio.h>
#include <string.h>

/* The columns of one key; `out` keeps the text of column i. */
enum { HELP_COLUMNS = 4 };

static void help_columns(const sm_key *key, char out[HELP_COLUMNS][256])
{
    char limits[64];
    sm_config_limits(key, limits, sizeof limits);
    snprintf(out[0], 256, "%s", key->name);
    snprintf(out[1], 256, "%s", sm_config_type_name(key->type));
    snprintf(out[2], 256, "%s", !key->fallback ? "required" : *key->fallback ? key->fallback : "(empty)");
    snprintf(out[3], 256, "%s%s%s", key->choices ? key->choices : limits,
             key->unit && (key->choices || *limits) ? " " : "", key->unit ? key->unit : "");
}

/* Sections come in the order of their first row; a wide cell does not widen its column beyond WIDEST. */
void sm_config_help(const sm_key *const *tables, FILE *stream)
{
    enum { WIDEST = 32 };
    sm_config *config = sm_config_new(tables);
    int widths[HELP_COLUMNS] = {0};
    char cells[HELP_COLUMNS][256];
    for (size_t i = 0; i < config->key_count; i++) {
        help_columns(config->keys[i], cells);
        for (int c = 0; c < HELP_COLUMNS; c++) {
            int width = (int)strlen(cells[c]);
            widths[c] = width > widths[c] && width <= WIDEST ? width : widths[c];
        }
    }
    for (size_t i = 0; i < config->key_count; i++) {
        const char *section = config->keys[i]->section;
        if (!sm_config_begins_section(config, i)) {
            continue;
        }
        fprintf(stream, "%s[%s]\n", i ? "\n" : "", section);
        for (size_t j = i; j < config->key_count; j++) {
            if (strcmp(config->keys[j]->section, section) == 0) {
                help_columns(config->keys[j], cells);
                fprintf(stream, "  %-*s  %-*s  %-*s  %-*s  %s\n", widths[0], cells[0], widths[1], cells[1], widths[2],
                        cells[2], widths[3], cells[3], config->keys[j]->help ? config->keys[j]->help : "");
            }
        }
    }
    sm_config_free(config);
}
