#include <sigmatic/base/memory.h>
#include <sigmatic/weighting/weighting.h>

#include <string.h>

sm_status sm_weighting_refuse_negative_losses(sm_weighting *weighting, const sm_config *config)
{
    sm_status status = SM_OK;
    for (int i = 0; status == SM_OK && i < weighting->member_count; i++) {
        const sm_weighted_task *weighted = &weighting->members[i].task;
        if (strcmp(weighted->loss, "per_pixel") == 0) {
            char *task = sm_format("task.%s", weighted->name);
            status =
                sm_config_fail(config, task, "uncertainty",
                               "the weighting '%s' is of losses that are never negative, which a log-likelihood of "
                               "each pixel may be: expected per_task",
                               weighting->kind->name);
            sm_free(task);
        }
    }
    return status;
}
