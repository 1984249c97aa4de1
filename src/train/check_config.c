#include <sigmatic/data/data_options.h>
#include <sigmatic/optim/optimizer.h>
#include <sigmatic/optim/schedule.h>
#include <sigmatic/train/session.h>
#include <sigmatic/train/train.h>

sm_status sm_train_check_config(const sm_config *config)
{
    sm_status status = SM_OK;
    sm_augmentation augmentation;
    sm_optimizer *optimizer = NULL;
    sm_schedule *schedule = NULL;
    int64_t steps = sm_config_integer(config, "run", "steps");
    SM_TRY(sm_data_augmentation(config, NULL, &augmentation));
    SM_TRY(sm_session_check_config(config));
    SM_TRY(sm_optimizer_new(config, &optimizer));
    SM_TRY(sm_schedule_new(config, optimizer->learning_rate, steps, &schedule));
done:
    sm_schedule_free(schedule);
    sm_optimizer_free(optimizer);
    return status;
}
