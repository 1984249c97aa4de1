#include "data/folder.h"

#include <sigmatic/base/memory.h>

void folder_samples_add(folder_samples *samples, char *name, char *split, char **sources)
{
    if (samples->count == samples->room) {
        samples->room = 2 * samples->room + 64;
        samples->samples = sm_realloc(samples->samples, samples->room * sizeof *samples->samples);
    }
    samples->samples[samples->count++] = (folder_sample){name, split, sources};
}

void folder_samples_clear(folder_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++) {
        sm_free(samples->samples[i].name);
        sm_free(samples->samples[i].split);
        for (int k = 0; k < samples->kind_count; k++) {
            sm_free(samples->samples[i].sources[k]);
        }
        sm_free(samples->samples[i].sources);
    }
    sm_free(samples->samples);
    *samples = (folder_samples){0};
}
