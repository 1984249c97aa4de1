/** \file
 * Means of metrics that not every class or label has. */
#ifndef SIGMATIC_TASK_MEASURED_MEAN_H
#define SIGMATIC_TASK_MEASURED_MEAN_H

#include <math.h>

/** \return the mean of the values that are numbers; NaN if none is. */
static inline double sm_measured_mean(const double *values, int count)
{
    double sum = 0;
    int measured = 0;
    for (int i = 0; i < count; i++) {
        sum += isnan(values[i]) ? 0 : values[i];
        measured += !isnan(values[i]);
    }
    return measured > 0 ? sum / measured : NAN;
}

#endif
