#include "perceptron.h"

#include "golden.h"

#include <sigmatic/base/memory.h>

sm_config *perceptron_config(const char *const *sets)
{
    sm_config *config = sm_config_new(sm_all_keys());
    char *data = golden_path("mlp.h5");
    char *text = sm_format("[run]\nbatch = 4\nsteps = 6\nseed = 7\n[model]\nbackbone = mlp\nhidden = 3\n"
                           "[data]\ntrain = %s\n[task.y]\nkind = regression\ntarget = y\nloss = l2\n"
                           "[task.c]\nkind = classification\ntarget = c\n"
                           "[optimizer]\nkind = adamw\nlearning_rate = 1e-2\nema_decay = 0.9\n",
                           data);
    SM_TEST_OK(sm_config_read_text(config, "perceptron", text));
    for (int i = 0; sets && sets[i]; i++) {
        SM_TEST_OK(sm_config_set(config, sets[i]));
    }
    SM_TEST_OK(sm_settings_check(config));
    sm_free(text);
    sm_free(data);
    return config;
}
