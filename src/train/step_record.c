#include "train/step_record_private.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>

#include <math.h>
#include <stdlib.h>

void sm_step_record_begin(sm_step_record *record, const sm_session *session)
{
    size_t tasks = (size_t)session->task_count;
    double **const arrays[] = {&record->task_loss,          &record->weight,
                               &record->log_variance,       &record->sigma,
                               &record->task_gradient_norm, &record->gradient_share};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = sm_alloc_zeroed(tasks * sizeof(double));
    }
    record->gradient_cosine = sm_alloc_zeroed(tasks * tasks * sizeof(double));
    record->waits = sm_alloc_zeroed(4 * (size_t)sm_comm_size(session->comm) * sizeof *record->waits);
}

void sm_step_record_end(sm_step_record *record)
{
    double *const arrays[] = {
        record->task_loss,          record->weight,         record->log_variance,    record->sigma,
        record->task_gradient_norm, record->gradient_share, record->gradient_cosine, record->waits};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        sm_free(arrays[i]);
    }
}

void sm_step_record_tasks(sm_step_record *record, const sm_step_losses *losses, const sm_weights *weights,
                          const double *coefficient)
{
    const sm_weighting *weighting = losses->session->weighting;
    int learned = weighting->log_variances != NULL;
    record->loss = weights->total;
    for (int i = 0; i < weighting->member_count; i++) {
        int active = losses->active[i];
        record->task_loss[i] = active ? losses->loss[i] : NAN;
        record->weight[i] = active ? coefficient[i] : NAN;
        if (losses->session->tasks[i]->is_heteroscedastic) {
            record->log_variance[i] = active ? losses->slope[i] : NAN;
            record->sigma[i] = exp(record->log_variance[i] / 2);
            continue;
        }
        record->log_variance[i] = learned ? losses->log_variance[i] : NAN;
        record->sigma[i] = learned ? weighting->members[i].task.likelihood->sigma(losses->log_variance[i]) : NAN;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(double *values, int count, double summary[3])
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    summary[0] = values[0];
    summary[1] = values[count / 2];
    summary[2] = values[count - 1];
}

void sm_step_record_waits(sm_step_record *record, sm_comm *comm, double data_wait)
{
    int size = sm_comm_size(comm);
    const double own[2] = {data_wait, sm_comm_take_waited_seconds()};
    double *all = record->waits + 2 * size;
    sm_comm_gather_double(comm, own, 2, all);
    for (int r = 0; r < size; r++) {
        record->waits[r] = all[2 * r];
        record->waits[size + r] = all[2 * r + 1];
    }
    summarise(record->waits, size, record->data_wait);
    summarise(record->waits + size, size, record->communication_wait);
}
