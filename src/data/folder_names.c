/* Names of classes of images that the description leaves open: what the samples say. */
#include "data/folder.h"

#include <sigmatic/base/memory.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct names {
    char **names;
    size_t count;
} names;

static void clear(names *all)
{
    for (size_t i = 0; i < all->count; i++) {
        sm_free(all->names[i]);
    }
    sm_free(all->names);
    *all = (names){0};
}

/* Takes the name over. */
static void add(names *all, char *name)
{
    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->names[i], name) == 0) {
            sm_free(name);
            return;
        }
    }
    all->names = sm_realloc(all->names, (all->count + 1) * sizeof *all->names);
    all->names[all->count++] = name;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "007" is a name: as a number it would be that of "7". */
static int is_whole(const char *text)
{
    int has_zeros_in_front = text[0] == '0' && text[1] != '\0';
    return strspn(text, "0123456789") == strlen(text) && strlen(text) < 6 && !has_zeros_in_front;
}

/* Whole numbers are ids, whose classes are all from 0 to the largest. */
static void number_names(names *all)
{
    long most = -1;
    for (size_t i = 0; i < all->count; i++) {
        if (!is_whole(all->names[i])) {
            return;
        }
        most = atol(all->names[i]) > most ? atol(all->names[i]) : most;
    }
    for (long id = 0; id <= most && all->count <= SM_CLASSES_MAX; id++) {
        add(all, sm_format("%ld", id));
    }
    for (long id = 0; id <= most && (size_t)id < all->count; id++) {
        sm_free(all->names[id]);
        all->names[id] = sm_format("%ld", id);
    }
}

/* As the value of a key: each in quotes, which hide commas. */
static sm_status set_names(sm_config *config, const folder_target *t, const names *all)
{
    char *assignment = sm_format("%s.names=", t->section);
    sm_status status = SM_OK;
    for (size_t i = 0; i < all->count; i++) {
        char *longer = sm_format("%s%s\"%s\"", assignment, i > 0 ? ", " : "", all->names[i]);
        sm_free(assignment);
        assignment = longer;
    }
    status = sm_config_set(config, assignment);
    sm_free(assignment);
    return status;
}

/* Takes the name over, unless a key in quotes cannot hold it. */
static sm_status take_name(const folder_description *d, const folder_target *t, const folder_sample *sample, char *name,
                           names *all)
{
    if (strpbrk(name, "\"\r\n")) {
        sm_status status =
            sm_fail(SM_ERR_INPUT, "%s: '%s' cannot be a class of [%s]: it has a quote (\") or a line end",
                    folder_place_of(d, sample), name, t->section);
        sm_free(name);
        return status;
    }
    add(all, name);
    return SM_OK;
}

static sm_status find_names(const folder_description *d, int t, const folder_samples *samples, names *all)
{
    const folder_target *target = &d->targets[t];
    int has_several = target->target.type == SM_TARGET_LABELS;
    for (size_t i = 0; i < samples->count; i++) {
        const folder_sample *sample = &samples->samples[i];
        const char *source = sample->sources[1 + t];
        char *text = NULL, *name;
        if (*source == '\0') {
            continue;
        }
        sm_status status = folder_cell_text(source, &text);
        const char *rest = text;
        while (status == SM_OK && has_several && (name = folder_next_name(&rest)) != NULL) {
            status = take_name(d, target, sample, name, all);
        }
        if (status == SM_OK && !has_several && *text) {
            status = take_name(d, target, sample, sm_strdup(text), all);
        }
        sm_free(text);
        if (status != SM_OK) {
            return status;
        }
        if (all->count > SM_CLASSES_MAX) {
            return sm_fail(SM_ERR_INPUT,
                           "[%s] has more different names than the %d classes that are possible, '%s' and '%s' among "
                           "them: is it a class?",
                           target->section, SM_CLASSES_MAX, all->names[0], all->names[1]);
        }
    }
    if (all->count == 0) {
        return sm_fail(SM_ERR_INPUT, "%s: no sample has a name of a class for [%s]; the key names gives them", d->root,
                       target->section);
    }
    qsort(all->names, all->count, sizeof *all->names, compare);
    number_names(all);
    return SM_OK;
}

sm_status folder_find_names(folder_description *d, int *found)
{
    sm_status status = SM_OK;
    folder_samples samples = {.kind_count = d->kind_count};
    names all = {0};
    *found = 0;
    for (int t = 0; t < d->target_count; t++) {
        if (folder_names_are_found(&d->targets[t])) {
            SM_TRY(samples.count == 0 ? folder_find_samples(d, &samples) : SM_OK);
            SM_TRY(find_names(d, t, &samples, &all));
            SM_TRY(set_names(d->config, &d->targets[t], &all));
            clear(&all);
            *found = 1;
        }
    }
done:
    clear(&all);
    folder_samples_clear(&samples);
    return status;
}
