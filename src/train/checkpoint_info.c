#include <sigmatic/base/memory.h>
#include <sigmatic/train/checkpoint.h>

#include "train/checkpoint_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

sm_status sm_checkpoint_read_info(const char *path, sm_checkpoint_info *info)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    *info = (sm_checkpoint_info){.best_metric = NAN};
    SM_TRY(sm_checkpoint_open(path, &file));
    SM_TRY(sm_h5_read_attribute_text(file, "/", "config", &info->config));
    SM_TRY(sm_h5_read_attribute_text(file, "/", "dataset", &info->fingerprint));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "step", &info->step));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "epoch", &info->epoch));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "samples_seen", &info->samples_seen));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "skipped", &info->skipped));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "world_size", &info->world_size));
    SM_TRY(sm_h5_read_attribute_int64(file, "/", "seed", &info->seed));
    SM_TRY(sm_h5_read_attribute_double(file, "/", "best_metric", &info->best_metric));
done:
    sm_h5_close(file);
    if (status != SM_OK) {
        sm_checkpoint_info_free(info);
    }
    return status;
}

void sm_checkpoint_info_free(sm_checkpoint_info *info)
{
    sm_free(info->config);
    sm_free(info->fingerprint);
    *info = (sm_checkpoint_info){0};
}

sm_status sm_checkpoint_read_data(const char *path, sm_data_description **out)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    *out = NULL;
    SM_TRY(sm_checkpoint_open(path, &file));
    if (sm_h5_has_group(file, sm_checkpoint_data)) {
        SM_TRY(sm_data_description_read(file, sm_checkpoint_data, out));
    }
done:
    sm_h5_close(file);
    return status;
}

/* \return the weight of a head's last layer, whatever the head is made of: "decoders.<task>.3.weight"; NULL if there is
 * none. */
static const char *last_weight(char *const *names, size_t count, const char *task)
{
    const char *last = NULL;
    int most = -1;
    for (size_t i = 0; i < count; i++) {
        char *end;
        size_t prefix = sizeof "decoders." - 1 + strlen(task) + 1;
        if (strncmp(names[i], "decoders.", 9) != 0 || strlen(names[i]) < prefix ||
            strncmp(names[i] + 9, task, strlen(task)) != 0 || names[i][prefix - 1] != '.') {
            continue;
        }
        long layer = strtol(names[i] + prefix, &end, 10);
        if (end != names[i] + prefix && strcmp(end, ".weight") == 0 && layer > most) {
            most = (int)layer;
            last = names[i];
        }
    }
    return last;
}

sm_status sm_checkpoint_task_channels(const char *path, const char *task, int *channels)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    sm_h5_info info;
    char **names = NULL, *object = NULL;
    size_t count = 0;
    *channels = 0;
    SM_TRY(sm_checkpoint_open(path, &file));
    SM_TRY(sm_h5_list(file, "/model", &names, &count));
    const char *last = last_weight(names, count, task);
    if (last) {
        object = sm_format("/model/%s", last);
        SM_TRY(sm_h5_query(file, object, &info));
        *channels = info.rank > 0 ? (int)info.shape[0] : 0;
    }
done:
    sm_h5_close(file);
    sm_free(names);
    sm_free(object);
    return status;
}
