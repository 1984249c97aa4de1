#include <sigmatic/train/traps.h>

#include <sigmatic/base/memory.h>

#include <math.h>
#include <stddef.h>

static int learns(const sm_trap_task *task)
{
    return !isnan(task->log_variance);
}

/* s is projected onto its bounds, and a float. */
static char *at_bound(const sm_trap_run *run, const sm_trap_task *task)
{
    int is_low = task->log_variance <= (float)run->lower, is_high = task->log_variance >= (float)run->upper;
    if (!learns(task) || !(is_low || is_high)) {
        return NULL;
    }
    return sm_format("task '%s': s stands at its bound, weighting.%s = %g: weight and sigma no longer follow the loss. "
                     "Move the bound if the loss may go there; else look why it does (targets that are constant, %s)",
                     task->name, is_low ? "lower" : "upper", is_low ? run->lower : run->upper,
                     is_low ? "or learnt by heart" : "or in a unit that makes them huge");
}

static char *runs_away(const sm_trap_run *run, const sm_trap_task *task)
{
    static const double LEFT = 0.01, GROWN = 100;
    double left = task->loss / task->first_loss, grown = task->weight / task->first_weight;
    (void)run;
    if (!(left < LEFT && grown > GROWN)) {
        return NULL;
    }
    char *bound = learns(task) ? sm_format("; weighting.lower bounds s, now %.3g", task->log_variance) : sm_strdup("");
    char *text =
        sm_format("task '%s': its loss has fallen to %.2g %% of what it was, and its weight grown %.3g-fold: it "
                  "is learnt by heart, or easy, and pulls the shared network its way. Compare its loss on the "
                  "validation split%s",
                  task->name, 100 * left, grown, bound);
    sm_free(bound);
    return text;
}

/* From half of the run on: what has not moved by then will not arrive. */
static char *hardly_moves(const sm_trap_run *run, const sm_trap_task *task)
{
    static const double FAR = 0.5, MOVED = 0.2, FASTEST = 1000;
    enum { LEAST_STEPS = 100 };
    if (!learns(task) || run->step < LEAST_STEPS || run->steps == 0 || 2 * run->step < run->steps) {
        return NULL;
    }
    double best = task->best, way = best - task->initial, moved = task->log_variance - task->initial;
    if (!(fabs(way) > FAR && fabs(moved) < MOVED * fabs(way))) {
        return NULL;
    }
    double faster = fmin(ceil(fabs(way) / fmax(fabs(moved), fabs(way) / FASTEST)), FASTEST);
    return sm_format(
        "task '%s': s has gone from %.3g to %.3g in %lld steps, and the objective is least at %.3g: its "
        "learning rate is too small for this run. Take weighting.learning_rate_scale = %.3g (now %.3g), or "
        "start there: task.%s.log_variance = %.2g",
        task->name, task->initial, task->log_variance, (long long)run->step, best, faster * run->learning_rate_scale,
        run->learning_rate_scale, task->name, best);
}

static char *has_no_share(const sm_trap_run *run, const sm_trap_task *task)
{
    static const double LEAST = 0.01;
    if (run->task_count < 2 || !(task->share < LEAST)) {
        return NULL;
    }
    return sm_format("task '%s': %.2g %% of the gradient at the shared representation are its own (weight %.3g): the "
                     "others alone shape what is shared. Give it more weight (weighting.method = fixed and "
                     "task.%s.weight), or train it alone (run.tasks) to see what it loses",
                     task->name, 100 * task->share, task->weight, task->name);
}

/* \return what a person can do: "or start s there: task.depth.log_variance = 5.1"; freed with sm_free() */
static char *scale_remedy(const sm_trap_task *task, double scale)
{
    double best = task->likelihood ? task->likelihood->minimiser(task->first_loss, task->shape) : NAN;
    return isnan(best)
               ? sm_format("or weigh it accordingly: its loss is about %.2g", task->first_loss)
               : sm_format("or start s for a scale of %.2g: task.%s.log_variance = %.2g", scale, task->name, best);
}

/* \return the scale of residuals, as the loss's own likelihood has it, for which weights start */
static double starting_scale(const sm_trap_task *task)
{
    double s = task->initial, sigma = task->likelihood ? task->likelihood->sigma(s) : exp(s / 2);
    if (isnan(s)) {
        return 1;
    }
    /* without a sigma, s is the logarithm of what the loss is multiplied by to be 1 */
    return isnan(sigma) ? task->of_loss->sigma(task->of_loss->minimiser(exp(-s), task->shape)) : sigma;
}

/* A head starts at 0: what it is off by in the first step is the scale of its targets. */
static char *is_out_of_scale(const sm_trap_run *run, const sm_trap_task *task)
{
    static const double MOST = 30;
    const sm_likelihood *of_loss = task->of_loss;
    (void)run;
    if (!of_loss || of_loss->unit || isnan(task->first_loss)) { /* a scale in the targets' unit only */
        return NULL;
    }
    double scale = of_loss->sigma(of_loss->minimiser(task->first_loss, task->shape));
    double start = starting_scale(task);
    if (!(scale > MOST * start || scale < start / MOST)) {
        return NULL;
    }
    char *remedy = scale_remedy(task, scale);
    char *text =
        sm_format("task '%s': its targets lie about %.3g%s%s from 0, where its head starts, and weights start for "
                  "%.3g: at first it %s. Give them in another unit, %s",
                  task->name, scale, *task->unit ? " " : "", task->unit, start,
                  scale > start ? "outweighs the others" : "counts for little", remedy);
    sm_free(remedy);
    return text;
}

static char *is_negative(const sm_trap_run *run)
{
    int learned = 0;
    for (int i = 0; i < run->task_count; i++) {
        learned |= learns(&run->tasks[i]);
    }
    return learned && run->loss < 0
               ? sm_format("the total loss is below 0 (%.3g), which is normal: log sigma is negative where sigma is "
                           "below 1",
                           run->loss)
               : NULL;
}

const sm_trap sm_traps[] = {
    {"bound", 0, at_bound, NULL},
    {"runaway", 0, runs_away, NULL},
    {"slow", 0, hardly_moves, NULL},
    {"share", 0, has_no_share, NULL},
    {"scale", 0, is_out_of_scale, NULL},
    {"negative", 1, NULL, is_negative},
    {0},
};

static void pass_on(const sm_trap *trap, int task, char *text,
                    void (*say)(void *user, const sm_trap *trap, int task, const char *text), void *user)
{
    if (text) {
        say(user, trap, task, text);
        sm_free(text);
    }
}

void sm_traps_find(const sm_trap_run *run, void (*say)(void *user, const sm_trap *trap, int task, const char *text),
                   void *user)
{
    for (const sm_trap *trap = sm_traps; trap->name; trap++) {
        if (trap->find_in_run) {
            pass_on(trap, -1, trap->find_in_run(run), say, user);
        }
        for (int task = 0; trap->find && task < run->task_count; task++) {
            pass_on(trap, task, trap->find(run, &run->tasks[task]), say, user);
        }
    }
}

double sm_trap_mean_share(double mean, double measured)
{
    static const double MEASUREMENTS = 10;
    return isnan(measured) ? mean : isnan(mean) ? measured : mean + (measured - mean) / MEASUREMENTS;
}
