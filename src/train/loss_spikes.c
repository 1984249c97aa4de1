#include "train/loss_spikes.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>

#include <math.h>

enum { WINDOW = 50 /* steps */ };
static const double times_mean = 2, times_deviation = 10;

typedef struct history {
    double mean, deviation;
    int64_t losses, told_at; /* how many there were; at which of them it was told last, 0: never */
} history;

struct sm_loss_spikes {
    const sm_session *session;
    history *tasks;
};

sm_loss_spikes *sm_loss_spikes_new(const sm_session *session)
{
    sm_loss_spikes *spikes = sm_alloc(sizeof *spikes);
    *spikes = (sm_loss_spikes){session, sm_alloc_zeroed((size_t)session->task_count * sizeof(history))};
    return spikes;
}

void sm_loss_spikes_free(sm_loss_spikes *spikes)
{
    if (spikes) {
        sm_free(spikes->tasks);
        sm_free(spikes);
    }
}

static int is_spike(const history *task, double loss)
{
    return task->losses >= WINDOW && loss > times_mean * task->mean &&
           loss > task->mean + times_deviation * task->deviation;
}

/* As many losses as there are count alike until the window is full. */
static void remember(history *task, double loss)
{
    task->losses++;
    double share = 1.0 / (double)(task->losses < WINDOW ? task->losses : WINDOW);
    task->deviation += share * (fabs(loss - task->mean) * (task->losses > 1) - task->deviation);
    task->mean += share * (loss - task->mean);
}

int sm_loss_spikes_note(sm_loss_spikes *spikes, const sm_step_record *record)
{
    int told = 0;
    for (int i = 0; i < spikes->session->task_count; i++) {
        history *task = &spikes->tasks[i];
        double loss = record->task_loss[i];
        if (!record->applied || !isfinite(loss)) {
            continue;
        }
        if (is_spike(task, loss) && (task->told_at == 0 || task->losses - task->told_at >= WINDOW)) {
            sm_log_warning(
                "step %lld: the loss of task '%s' jumps to %.4g; over the last %d steps it was %.4g, and %.2g "
                "off on average",
                (long long)record->step, spikes->session->tasks[i]->name, loss, WINDOW, task->mean, task->deviation);
            task->told_at = task->losses;
            told++;
        }
        remember(task, loss);
    }
    return told;
}
