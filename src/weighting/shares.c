#include "weighting/shares.h"

#include <math.h>

void sm_weighting_softmax(int count, const int *active, double *values)
{
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) {
        most = !active || active[i] ? fmax(most, values[i]) : most;
    }
    for (int i = 0; i < count; i++) {
        values[i] = !active || active[i] ? exp(values[i] - most) : 0;
        sum += values[i];
    }
    for (int i = 0; i < count; i++) {
        values[i] = sum > 0 ? values[i] / sum : 0;
    }
}
