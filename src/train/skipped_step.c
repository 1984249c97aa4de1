#include <sigmatic/base/memory.h>
#include <sigmatic/data/sampler.h>

#include "train/skipped_step.h"
#include "train/step_losses.h"

#include <math.h>
#include <stdio.h>

enum { NAMES_MOST = 16 };

/* Adds to a text. */
static void add(char **text, const char *more)
{
    char *longer = sm_format("%s%s", *text, more);
    sm_free(*text);
    *text = longer;
}

static void add_tasks(char **text, const sm_trainer *trainer)
{
    const sm_step_losses *losses = trainer->losses;
    const char *separator = "";
    for (int i = 0; i < trainer->session->task_count; i++) {
        double loss = losses->loss[i], weight = trainer->weights.weight[i];
        char part[256];
        if (losses->active[i] && !(isfinite(loss) && isfinite(weight))) {
            snprintf(part, sizeof part, "%sthe %s of task '%s' is %g", separator, isfinite(loss) ? "weight" : "loss",
                     trainer->session->tasks[i]->name, isfinite(loss) ? weight : loss);
            add(text, part);
            separator = ", ";
        }
    }
    if (*separator == 0) {
        add(text, "the gradient is not finite, though every task's loss is");
    }
}

static void add_samples(char **text, const sm_trainer *trainer, const sm_dataset *dataset, int64_t position)
{
    const sm_settings *settings = &trainer->session->settings;
    int64_t count = sm_dataset_count(dataset);
    sm_sampler_step step = sm_sampler_step_at(position, count, settings->batch, 0, 1);
    for (int64_t i = 0; i < step.count_global && i < NAMES_MOST; i++) {
        int64_t sample = sm_sampler_index(settings->seed, step.epoch, count, step.first_global + i);
        add(text, i == 0 ? "; its samples: " : ", ");
        add(text, sm_dataset_name(dataset, sample));
    }
    if (step.count_global > NAMES_MOST) {
        char rest[64];
        snprintf(rest, sizeof rest, " and %lld more", (long long)(step.count_global - NAMES_MOST));
        add(text, rest);
    }
}

char *sm_skipped_step_describe(const sm_trainer *trainer, const sm_dataset *dataset, int64_t position)
{
    char *text = sm_format("step %lld: ", (long long)trainer->step);
    add_tasks(&text, trainer);
    add_samples(&text, trainer, dataset, position);
    return text;
}
