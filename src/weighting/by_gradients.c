#include "weighting/by_gradients.h"

#include <sigmatic/base/memory.h>

#include <math.h>

void sm_weigh_plainly(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    for (int i = 0; i < weighting->count; i++) {
        if (step->active[i]) {
            out->weight[i] = 1;
            out->total += step->loss[i];
        }
    }
}

static int is_finite(const sm_weighting *weighting, const sm_weighting_step *step)
{
    int finite = 1, k = weighting->count;
    for (int i = 0; i < k * k; i++) {
        finite = finite && (!step->active[i / k] || !step->active[i % k] || isfinite(step->gram[i]));
    }
    return finite;
}

/* \return how many take part. \param [out] task  which */
static int find_tasks(const sm_weighting *weighting, const sm_weighting_step *step, int *task)
{
    int n = 0, k = weighting->count;
    for (int i = 0; i < k; i++) {
        if (step->active[i] && step->gram[i * k + i] > 0) {
            task[n++] = i;
        }
    }
    return n;
}

void sm_combine_gradients(sm_weighting *weighting, const sm_weighting_step *step, sm_choose_coefficients choose,
                          double *coefficient)
{
    size_t k = (size_t)weighting->count;
    int *task = sm_alloc_zeroed(k * sizeof *task);
    double *cosine = sm_alloc(k * k * sizeof *cosine), *length = sm_alloc(k * sizeof *length);
    double *chosen = sm_alloc_zeroed(k * sizeof *chosen), greatest = 0;
    int finite = is_finite(weighting, step), n = finite ? find_tasks(weighting, step, task) : 0;
    for (int i = 0; i < n; i++) {
        length[i] = sqrt(step->gram[(size_t)task[i] * (k + 1)]);
        greatest = fmax(greatest, length[i]);
    }
    for (int i = 0; i < n * n; i++) {
        int a = i / n, b = i % n;
        cosine[i] = a == b ? 1 : step->gram[(size_t)task[a] * k + (size_t)task[b]] / (length[a] * length[b]);
    }
    for (int i = 0; i < n; i++) {
        length[i] /= greatest;
    }
    const sm_task_gram gram = {n, task, cosine, length, greatest};
    if (n > 0) {
        choose(weighting, step, &gram, chosen);
    }
    for (int i = 0; i < n; i++) {
        coefficient[task[i]] = chosen[i];
    }
    for (int i = 0; !finite && i < weighting->count; i++) {
        coefficient[i] = step->active[i] ? NAN : 0;
    }
    sm_free(task);
    sm_free(cosine);
    sm_free(length);
    sm_free(chosen);
}
