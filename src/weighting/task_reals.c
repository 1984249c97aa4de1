#include <sigmatic/base/memory.h>
#include <sigmatic/weighting/weighting.h>

double *sm_weighting_task_reals(const sm_weighting *weighting, const sm_config *config, const char *key)
{
    double *values = sm_alloc((size_t)weighting->count * sizeof *values);
    for (int i = 0; i < weighting->count; i++) {
        char *section = sm_format("task.%s", weighting->tasks[i].name);
        values[i] = sm_config_real(config, section, key);
        sm_free(section);
    }
    return values;
}
