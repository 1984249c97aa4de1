#include "task/softmax.h"

#include <math.h>

double sm_softmax(int count, double *values, double *greatest)
{
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) {
        most = values[i] > most ? values[i] : most;
    }
    for (int i = 0; i < count; i++) {
        values[i] = exp(values[i] - most);
        sum += values[i];
    }
    for (int i = 0; i < count; i++) {
        values[i] /= sum;
    }
    if (greatest) {
        *greatest = most;
    }
    /* cppcheck-suppress invalidFunctionArg ; the greatest adds 1 */
    return log(sum);
}

double sm_logistic(double z)
{
    return 1 / (1 + exp(-z));
}
