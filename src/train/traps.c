#include <sigmatic/train/traps.h>

#include <sigmatic/base/memory.h>
#include <sigmatic/train/report.h>

#include <math.h>
#include <stddef.h>
#include <string.h>

static int learns(const sm_trap_task *task)
{
    return !isnan(task->log_variance);
}

static int share_s(const sm_trap_task *a, const sm_trap_task *b)
{
    return a == b || (a->group && b->group && strcmp(a->group, b->group) == 0 && learns(a) && learns(b));
}

static const sm_trap_task *first_of_group(const sm_trap_run *run, const sm_trap_task *task)
{
    const sm_trap_task *first = run->tasks;
    while (!share_s(first, task)) {
        first++;
    }
    return first;
}

/* \return "task.depth.log_variance", of a group those of all its tasks; freed with sm_free() */
static char *starts_of_s(const sm_trap_run *run, const sm_trap_task *task)
{
    char *text = NULL;
    for (const sm_trap_task *other = run->tasks; other < run->tasks + run->task_count; other++) {
        if (share_s(other, task)) {
            sm_append_text(&text, " and ", "task.%s.log_variance", other->name);
        }
    }
    return text;
}

/* \return whose s it is: "task 'depth'", "group 'geometry'"; freed with sm_free() */
static char *owner_of_s(const sm_trap_task *task)
{
    return task->group && learns(task) ? sm_format("group '%s'", task->group) : sm_format("task '%s'", task->name);
}

/* s is projected onto its bounds, and a float. */
static char *at_bound(const sm_trap_run *run, const sm_trap_task *task)
{
    int is_low = task->log_variance <= (float)run->lower, is_high = task->log_variance >= (float)run->upper;
    if (!learns(task) || !(is_low || is_high) || first_of_group(run, task) != task) {
        return NULL;
    }
    char *owner = owner_of_s(task);
    char *text =
        sm_format("%s: s stands at its bound, weighting.%s = %g: weight and sigma no longer follow the loss. "
                  "Move the bound if the loss may go there; else look why it does (targets that are constant, %s)",
                  owner, is_low ? "lower" : "upper", is_low ? run->lower : run->upper,
                  is_low ? "or learnt by heart" : "or in a unit that makes them huge");
    sm_free(owner);
    return text;
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
    if (!learns(task) || run->step < LEAST_STEPS || run->steps == 0 || 2 * run->step < run->steps ||
        first_of_group(run, task) != task) {
        return NULL;
    }
    double best = task->best, way = best - task->initial, moved = task->log_variance - task->initial;
    if (!(fabs(way) > FAR && fabs(moved) < MOVED * fabs(way))) {
        return NULL;
    }
    double faster = fmin(ceil(fabs(way) / fmax(fabs(moved), fabs(way) / FASTEST)), FASTEST);
    char *owner = owner_of_s(task), *keys = starts_of_s(run, task);
    char *text =
        sm_format("%s: s has gone from %.3g to %.3g in %lld steps, and the objective is least at %.3g: its "
                  "learning rate is too small for this run. Take weighting.learning_rate_scale = %.3g (now %.3g), or "
                  "start there: %s = %.1f",
                  owner, task->initial, task->log_variance, (long long)run->step, best,
                  faster * run->learning_rate_scale, run->learning_rate_scale, keys, best);
    sm_free(owner);
    sm_free(keys);
    return text;
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

/* ---- the scale that weights start for ---- */

double sm_trap_scale(const sm_likelihood *of_loss, double loss, sm_loss_shape shape)
{
    return of_loss && !of_loss->unit ? of_loss->sigma(of_loss->minimiser(loss, shape))
                                     : NAN; /* "rad" is no unit of targets */
}

int sm_trap_is_far(double scale, double start)
{
    static const double MOST = 30;
    return scale > MOST * start || scale < start / MOST;
}

/* \return the scale of targets at which the objective of a head's first loss is least at this s: the likelihood's sigma, but
 * also where s is no logarithm of a variance. Minimisers rise with the loss, or, as imtl_l's, fall. */
static double scale_of_s(const sm_trap_task *task, double s)
{
    double low = -200, high = 200, middle = 0; /* logarithms of losses */
    int rises = task->likelihood->minimiser(2, task->shape) > task->likelihood->minimiser(1, task->shape);
    enum { HALVINGS = 64 };
    for (int i = 0; i < HALVINGS; i++) {
        middle = (low + high) / 2;
        int is_below = (task->likelihood->minimiser(exp(middle), task->shape) < s) == rises;
        low = is_below ? middle : low;
        high = is_below ? high : middle;
    }
    return sm_trap_scale(task->of_loss, exp(middle), task->shape);
}

/* \return the scale of targets for which weights start; 1 where they do not learn */
static double starting_scale(const sm_trap_task *task)
{
    return task->likelihood && !isnan(task->initial) ? scale_of_s(task, task->initial) : 1;
}

/* \return s where the objective of the first losses is least, those of all tasks that have this s; NaN: not in closed form */
static double best_start(const sm_trap_run *run, const sm_trap_task *task)
{
    sm_loss_row *rows = sm_alloc((size_t)run->task_count * sizeof *rows);
    for (int i = 0; i < run->task_count; i++) {
        const sm_trap_task *t = &run->tasks[i];
        rows[i] = (sm_loss_row){.likelihood = t->likelihood,
                                .shape = t->shape,
                                .loss = t->first_loss,
                                .log_variance = t->initial,
                                .group = learns(t) ? t->group : NULL,
                                .group_weight = t->group_weight};
    }
    double best = sm_report_minimiser(rows, run->task_count, (int)(task - run->tasks));
    sm_free(rows);
    return best;
}

/* \return a sentence; NULL: the targets are of the scale that weights start for; freed with sm_free()
 * \param owner  "task 'depth'" \param what  its targets, the heads that they are learnt by */
static char *describe_scale(const sm_trap_task *task, const char *owner, const char *what, double scale,
                            const char *remedy)
{
    double start = starting_scale(task);
    return sm_format("%s: %s, and weights start for %.3g: at first it %s. Give them in another unit, %s", owner, what,
                     start, scale > start ? "outweighs the others" : "counts for little", remedy);
}

/* Of tasks that share s: what the s that is best for their first losses is the scale of. One task that lies far from it needs
 * another factor, which no s is. */
static char *is_group_out_of_scale(const sm_trap_run *run, const sm_trap_task *task, double own)
{
    double best = best_start(run, task), start = starting_scale(task), scale = scale_of_s(task, best);
    char *text = NULL, *what, *remedy;
    if (sm_trap_is_far(scale, start)) {
        if (first_of_group(run, task) == task) {
            char *owner = owner_of_s(task), *keys = starts_of_s(run, task);
            what = sm_format("the targets of its tasks lie about %.3g%s%s from 0, where heads start", scale,
                             *task->unit ? " " : "", task->unit);
            remedy = sm_format("or start s, which they share, for that: %s = %.1f", keys, best);
            text = describe_scale(task, owner, what, scale, remedy);
            sm_free(owner);
            sm_free(keys);
            sm_free(what);
            sm_free(remedy);
        }
    } else if (sm_trap_is_far(own, start)) {
        text =
            sm_format("task '%s': its targets lie about %.3g%s%s from 0, where its head starts, and those of its group "
                      "'%s' about %.3g: within the group it %s. Give them in another unit, or another "
                      "task.%s.group_weight",
                      task->name, own, *task->unit ? " " : "", task->unit, task->group, scale,
                      own > scale ? "outweighs the others" : "counts for little", task->name);
    }
    return text;
}

/* A head starts at 0: what it is off by in the first step is the scale of its targets. */
static char *is_out_of_scale(const sm_trap_run *run, const sm_trap_task *task)
{
    double scale = sm_trap_scale(task->of_loss, task->first_loss, task->shape), best = best_start(run, task);
    if (isnan(scale)) {
        return NULL;
    }
    if (task->group && learns(task)) {
        return is_group_out_of_scale(run, task, scale);
    }
    if (!sm_trap_is_far(scale, starting_scale(task))) {
        return NULL;
    }
    char *owner = owner_of_s(task), *keys = starts_of_s(run, task);
    char *what = sm_format("its targets lie about %.3g%s%s from 0, where its head starts", scale,
                           *task->unit ? " " : "", task->unit);
    char *remedy = isnan(best) ? sm_format("or weigh it accordingly: its loss is about %.2g", task->first_loss)
                               : sm_format("or start s for that: %s = %.1f", keys, best);
    char *text = describe_scale(task, owner, what, scale, remedy);
    sm_free(owner);
    sm_free(keys);
    sm_free(what);
    sm_free(remedy);
    return text;
}

/* Totals that are no sums of losses times weights, and why they may be below 0. */
static const struct {
    const char *method, *why;
} negative_totals[] = {
    {"uncertainty", "log sigma is negative where sigma is below 1"},
    {"imtl_l", "a task's term, exp(s) L - s, is 1 + log L at its minimum, negative where its loss L is below 0.37"},
    {"uw_o", "it is the sum of log L, negative where a loss L is below 1"},
    {"famo", "it is a mean of log L, negative where a loss L is below 1"},
};

/* \return NULL: no weighting of these losses is negative */
static const char *why_negative(const sm_trap_run *run)
{
    for (int i = 0; i < run->task_count; i++) {
        if (run->tasks[i].loss < 0) {
            return "the loss of a task with an uncertainty of each pixel is a negative log-likelihood, with its log "
                   "sigma";
        }
    }
    for (size_t i = 0; i < sizeof negative_totals / sizeof *negative_totals; i++) {
        if (strcmp(negative_totals[i].method, run->method) == 0) {
            return negative_totals[i].why;
        }
    }
    return NULL;
}

static char *is_negative(const sm_trap_run *run)
{
    const char *why = run->loss < 0 ? why_negative(run) : NULL;
    return why ? sm_format("the total loss is below 0 (%.3g), which is normal: %s", run->loss, why) : NULL;
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
