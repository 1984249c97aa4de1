#include <sigmatic/base/memory.h>
#include <sigmatic/data/sampler.h>

#include "train/skipped_step.h"
#include "train/step_losses.h"
#include "train/task_gradients.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAMES_MOST = 16 };

/* Adds to a text. */
static void add(char **text, const char *more)
{
    char *longer = sm_format("%s%s", *text, more);
    sm_free(*text);
    *text = longer;
}

/* \param values  one a task; NULL: there are none. \return 1 if some are not finite */
static int add_tasks(char **text, const sm_trainer *trainer, const char *what, const double *values)
{
    int broken = 0;
    for (int i = 0; values && i < trainer->session->task_count; i++) {
        if (!isfinite(values[i])) {
            char *part = sm_format("%sthe %s of task '%s' is %g", broken ? ", " : "", what,
                                   trainer->session->tasks[i]->name, sm_shown(values[i]));
            add(text, part);
            sm_free(part);
            broken = 1;
        }
    }
    return broken;
}

/* Whatever the trainer skips a step for, the one before what follows from it: only the first is the reason. If none of
 * these numbers is broken, it was the gradient. */
static void add_reason(char **text, const sm_trainer *trainer)
{
    const sm_weights *weights = &trainer->weights;
    const struct {
        const char *what;
        const double *values;
    } numbers[] = {{"loss", trainer->losses->loss},
                   {"weight", weights->weight},
                   {"slope of the log-variance", weights->slope},
                   {"coefficient", trainer->tasks ? trainer->tasks->coefficient : NULL}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (add_tasks(text, trainer, numbers[i].what, numbers[i].values)) {
            return;
        }
    }
    if (isfinite(weights->total)) {
        add(text, "the gradient is not finite, though every loss and weight is");
    } else {
        char *part =
            sm_format("the weighted total is %g, though every loss and weight is finite", sm_shown(weights->total));
        add(text, part);
        sm_free(part);
    }
}

/* "backbone.layer1.0.bn1" of its running mean. */
static void add_layer(char **text, const sm_trainer *trainer)
{
    if (trainer->broken) {
        const char *end = strrchr(trainer->broken, '.');
        char *part = sm_format(", first in the layer %.*s",
                               end ? (int)(end - trainer->broken) : (int)strlen(trainer->broken), trainer->broken);
        add(text, part);
        sm_free(part);
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
    add_reason(&text, trainer);
    add_layer(&text, trainer);
    add_samples(&text, trainer, dataset, position);
    return text;
}
