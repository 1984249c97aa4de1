#include "train/task_steps.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>

sm_task_steps *sm_task_steps_read(const sm_session *session)
{
    sm_task_steps *all = sm_alloc((size_t)session->task_count * sizeof *all);
    for (int i = 0; i < session->task_count; i++) {
        char *section = sm_format("task.%s", session->tasks[i]->name);
        int64_t last = sm_config_integer(session->config, section, "last_step");
        all[i].first = sm_config_integer(session->config, section, "first_step");
        all[i].last = last > 0 ? last : INT64_MAX;
        sm_free(section);
    }
    return all;
}

static sm_status check_order(const sm_session *session, const sm_task_steps *all)
{
    sm_status status = SM_OK;
    for (int i = 0; i < session->task_count && status == SM_OK; i++) {
        if (all[i].last < all[i].first) {
            char *section = sm_format("task.%s", session->tasks[i]->name);
            status = sm_config_fail(session->config, section, "last_step",
                                    "expected at least first_step = %lld, or 0 = the end of the run, found %lld",
                                    (long long)all[i].first, (long long)all[i].last);
            sm_free(section);
        }
    }
    return status;
}

/* \return the last step, from `step` on without a gap, at which some task trains; step - 1 if none does at `step` */
static int64_t end_of_training(const sm_session *session, const sm_task_steps *all, int64_t step)
{
    int64_t end = step - 1;
    for (int i = 0; i < session->task_count; i++) {
        if (sm_task_trains(&all[i], step) && all[i].last > end) {
            end = all[i].last;
        }
    }
    return end;
}

void sm_task_steps_warn(const sm_session *session, int64_t steps)
{
    sm_task_steps *all = sm_task_steps_read(session);
    for (int i = 0; i < session->task_count; i++) {
        if (all[i].first > steps) {
            sm_log_warning("task.%s.first_step = %lld: the run ends at step %lld, so that this task never trains",
                           session->tasks[i]->name, (long long)all[i].first, (long long)steps);
        }
    }
    sm_free(all);
}

sm_status sm_task_steps_check(const sm_session *session, int64_t steps)
{
    sm_task_steps *all = sm_task_steps_read(session);
    sm_status status = check_order(session, all);
    int64_t trained = 0, end = end_of_training(session, all, 1);
    while (end > trained && end < steps) {
        trained = end;
        end = end_of_training(session, all, trained + 1);
    }
    if (status == SM_OK && end < steps) {
        status = sm_fail(SM_ERR_CONFIG,
                         "at step %lld of %lld no task trains: first_step and last_step of the sections [task.NAME] "
                         "leave it out",
                         (long long)end + 1, (long long)steps);
    }
    sm_free(all);
    return status;
}
