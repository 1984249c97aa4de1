#include <sigmatic/base/memory.h>
#include <sigmatic/weighting/weighting.h>

#include "weighting/groups.h"

double *sm_weighting_task_reals(const sm_weighting *weighting, const sm_config *config, const char *key)
{
    double *values = sm_alloc((size_t)weighting->count * sizeof *values);
    for (int i = 0; i < weighting->count; i++) {
        char *section = sm_group_section(weighting, i);
        values[i] = sm_config_real(config, section, key);
        sm_free(section);
    }
    return values;
}
