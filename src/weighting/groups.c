#include "weighting/groups.h"

#include <sigmatic/base/memory.h>

#include <assert.h>
#include <ctype.h>
#include <string.h>

/* ---- from the config ---- */

char *sm_group_section(const sm_weighting *weighting, int group)
{
    int first = 0;
    while (weighting->members[first].group != group) {
        first++;
    }
    return sm_format("task.%s", weighting->members[first].task.name);
}

/* It becomes the name of a dataset in the run log. */
static int is_name(const char *text)
{
    enum { MOST = 63 };
    size_t length = strlen(text);
    int fits = length > 0 && length <= MOST && !isdigit((unsigned char)*text);
    for (size_t i = 0; i < length; i++) {
        fits = fits && (isalnum((unsigned char)text[i]) || text[i] == '_');
    }
    return fits;
}

/* \return the index of the group of that name, made if there is none yet */
static int find_group(sm_weighting *weighting, const char *name)
{
    for (int g = 0; g < weighting->count; g++) {
        if (strcmp(weighting->tasks[g].name, name) == 0) {
            return g;
        }
    }
    weighting->tasks[weighting->count] = (sm_weighted_task){.name = sm_strdup(name), .loss = ""};
    return weighting->count++;
}

/* Puts member i, whose task is known, into its group. */
static sm_status join_group(sm_weighting *weighting, const sm_config *config, int i)
{
    sm_status status = SM_OK;
    sm_weighted_member *member = &weighting->members[i];
    char *section = sm_format("task.%s", member->task.name);
    const char *name = sm_config_text_of(config, section, "group");
    int groups = weighting->count;
    if (*name && !is_name(name)) {
        SM_TRY(sm_config_fail(config, section, "group",
                              "expected a name of at most 63 letters, digits and _, not beginning with a digit, or "
                              "nothing: a group of its own"));
    }
    member->group = find_group(weighting, *name ? name : member->task.name);
    member->weight = sm_config_real(config, section, "group_weight");
    sm_weighted_task *group = &weighting->tasks[member->group];
    int is_first = weighting->count > groups;
    group->loss = is_first || strcmp(group->loss, member->task.loss) == 0 ? member->task.loss : "";
    group->shape = is_first ? member->task.shape : group->shape;
done:
    sm_free(section);
    return status;
}

/* \return 1 if every task is a group of its own, called as the task is, of the weight 1 */
static int is_plain(const sm_weighting *weighting)
{
    int plain = weighting->count == weighting->member_count;
    for (int i = 0; plain && i < weighting->member_count; i++) {
        const sm_weighted_member *member = &weighting->members[i];
        plain = member->weight == 1 && strcmp(member->task.name, weighting->tasks[i].name) == 0;
    }
    return plain;
}

static double *take(double **next, size_t count)
{
    double *taken = *next;
    *next += count;
    return taken;
}

/* One allocation. */
static sm_group_sums *make_sums(size_t groups)
{
    enum { ARRAYS = 9 };
    sm_group_sums *sums =
        sm_alloc_zeroed(sizeof *sums + (ARRAYS * groups + groups * groups) * sizeof(double) + groups * sizeof(int));
    double *next = (double *)(void *)(sums + 1);
    sums->loss = take(&next, groups);
    sums->loss_slope = take(&next, groups);
    sums->log_variance = take(&next, groups);
    sums->weight = take(&next, groups);
    sums->dimensions = take(&next, groups);
    sums->out.weight = take(&next, groups);
    sums->out.slope = take(&next, groups);
    sums->coefficient = take(&next, groups);
    sums->gram = take(&next, groups * groups);
    sums->active = (int *)(void *)next;
    return sums;
}

sm_status sm_groups_read(sm_weighting *weighting, const sm_config *config, int count, const char *const *names,
                         const char *const *loss_names, const sm_loss_shape *shapes)
{
    sm_status status = SM_OK;
    weighting->member_count = count;
    weighting->members = sm_alloc_zeroed((size_t)count * sizeof *weighting->members);
    weighting->tasks = sm_alloc_zeroed((size_t)count * sizeof *weighting->tasks);
    for (int i = 0; i < count; i++) {
        weighting->members[i].task =
            (sm_weighted_task){.name = sm_strdup(names[i]), .loss = loss_names[i], .shape = shapes[i]};
        SM_TRY(join_group(weighting, config, i));
    }
    weighting->sums = is_plain(weighting) ? NULL : make_sums((size_t)weighting->count);
done:
    return status;
}

void sm_groups_free(sm_weighting *weighting)
{
    for (int i = 0; weighting->members && i < weighting->member_count; i++) {
        sm_free(weighting->members[i].task.name);
    }
    for (int g = 0; g < weighting->count; g++) {
        sm_free(weighting->tasks[g].name);
    }
    sm_free(weighting->members);
    sm_free(weighting->tasks);
    sm_free(weighting->sums);
}

/* ---- what the tasks of a group share ---- */

typedef sm_status (*pair_check)(const sm_weighting *weighting, const sm_config *config, int first, int other,
                                const sm_key *key);

/* Compares each task with the first of its group. */
static sm_status check_pairs(const sm_weighting *weighting, const sm_config *config, pair_check check,
                             const sm_key *key)
{
    sm_status status = SM_OK;
    for (int i = 0; i < weighting->member_count; i++) {
        int first = 0;
        while (weighting->members[first].group != weighting->members[i].group) {
            first++;
        }
        if (first < i) {
            SM_TRY(check(weighting, config, first, i, key));
        }
    }
done:
    return status;
}

static sm_status check_number(const sm_weighting *weighting, const sm_config *config, int first, int other,
                              const sm_key *key)
{
    sm_status status = SM_OK;
    const sm_weighted_member *a = &weighting->members[first], *b = &weighting->members[other];
    char *section_a = sm_format("task.%s", a->task.name), *section_b = sm_format("task.%s", b->task.name);
    double expected = sm_config_real(config, section_a, key->name);
    if (sm_config_real(config, section_b, key->name) != expected) {
        status =
            sm_config_fail(config, section_b, key->name,
                           "expected %g, as task '%s' of the same group '%s' has it: a group has one; what differs "
                           "between its tasks is group_weight",
                           expected, a->task.name, weighting->tasks[a->group].name);
    }
    sm_free(section_a);
    sm_free(section_b);
    return status;
}

sm_status sm_groups_check_keys(const sm_weighting *weighting, const sm_config *config, const sm_key *keys)
{
    sm_status status = SM_OK;
    for (const sm_key *key = keys; key && key->section; key++) {
        if (key->type == SM_KEY_REAL && strcmp(key->section, "task.NAME") == 0) {
            SM_TRY(check_pairs(weighting, config, check_number, key));
        }
    }
done:
    return status;
}

static const char *name_of(const sm_likelihood *likelihood)
{
    return likelihood ? likelihood->name : "none";
}

/* One s for both: sigma has one meaning only. */
static sm_status check_likelihoods(const sm_weighting *weighting, const sm_config *config, int first, int other,
                                   const sm_key *key)
{
    sm_status status = SM_OK;
    const sm_weighted_member *member = &weighting->members[other];
    const sm_weighted_task *a = &weighting->members[first].task, *b = &member->task;
    char *section = sm_format("task.%s", b->name);
    (void)key;
    if (a->likelihood != b->likelihood) {
        status = sm_config_fail(config, section, "group",
                                "task '%s' has the likelihood %s, task '%s' of the same group '%s' %s: the tasks of a "
                                "group share one sigma, so they need the same likelihood (keys loss, likelihood and "
                                "uncertainty)",
                                b->name, name_of(b->likelihood), a->name, weighting->tasks[member->group].name,
                                name_of(a->likelihood));
    } else if (b->likelihood && *b->likelihood->losses && a->shape.delta != b->shape.delta) {
        status = sm_config_fail(config, section, "huber_delta",
                                "expected %g, as task '%s' of the same group '%s' has it: the tasks of a group share "
                                "one sigma",
                                a->shape.delta, a->name, weighting->tasks[member->group].name);
    }
    sm_free(section);
    return status;
}

sm_status sm_groups_settle(sm_weighting *weighting, const sm_config *config)
{
    for (int i = 0; i < weighting->member_count; i++) {
        sm_weighted_member *member = &weighting->members[i];
        sm_weighted_task *group = &weighting->tasks[member->group];
        group->likelihood = group->likelihood ? group->likelihood : member->task.likelihood;
        member->task.likelihood = member->task.likelihood ? member->task.likelihood : group->likelihood;
    }
    return check_pairs(weighting, config, check_likelihoods, NULL);
}

/* ---- in a step ---- */

static void clear_sums(sm_group_sums *sums, size_t groups)
{
    double *const arrays[] = {sums->loss, sums->loss_slope, sums->log_variance, sums->weight, sums->dimensions};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        memset(arrays[i], 0, groups * sizeof *arrays[i]);
    }
    memset(sums->gram, 0, groups * groups * sizeof *sums->gram);
    memset(sums->active, 0, groups * sizeof *sums->active);
}

static void add_products(const sm_weighting *weighting, const sm_weighting_step *step, double *gram)
{
    int count = weighting->member_count, groups = weighting->count;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            const sm_weighted_member *a = &weighting->members[i], *b = &weighting->members[j];
            if (step->active[i] && step->active[j]) {
                gram[a->group * groups + b->group] += a->weight * b->weight * step->gram[i * count + j];
            }
        }
    }
}

const sm_weighting_step *sm_groups_sum(sm_weighting *weighting, const sm_weighting_step *step)
{
    sm_group_sums *sums = weighting->sums;
    clear_sums(sums, (size_t)weighting->count);
    for (int i = 0; i < weighting->member_count; i++) {
        const sm_weighted_member *member = &weighting->members[i];
        int g = member->group;
        sums->log_variance[g] = step->log_variance ? step->log_variance[i] : 0; /* the same of all */
        if (step->active[i]) {
            sums->active[g] = 1;
            sums->weight[g] += member->weight;
            sums->dimensions[g] += member->weight * member->task.shape.dimensions;
            sums->loss[g] += member->weight * step->loss[i];
            sums->loss_slope[g] += step->loss_slope ? member->weight * step->loss_slope[i] : 0;
        }
    }
    for (int g = 0; g < weighting->count; g++) {
        sums->dimensions[g] /= sums->active[g] ? sums->weight[g] : 1;
    }
    if (step->gram) {
        add_products(weighting, step, sums->gram);
    }
    sums->step = *step;
    sums->step.active = sums->active;
    sums->step.loss = sums->loss;
    sums->step.loss_slope = sums->loss_slope;
    sums->step.log_variance = sums->log_variance;
    sums->step.gram = step->gram ? sums->gram : NULL;
    sums->step.group_weight = sums->weight;
    sums->step.dimensions = sums->dimensions;
    return &sums->step;
}

void sm_groups_hand_out(const sm_weighting *weighting, const sm_weighting_step *step, const double *of_group,
                        double *of_task)
{
    for (int i = 0; i < weighting->member_count; i++) {
        const sm_weighted_member *member = &weighting->members[i];
        of_task[i] = step->active[i] ? member->weight * of_group[member->group] : 0;
    }
}

int sm_weighting_group_is_active(const sm_weighting *weighting, const int *active, int task)
{
    int found = 0;
    for (int i = 0; i < weighting->member_count; i++) {
        found = found || (active[i] && weighting->members[i].group == weighting->members[task].group);
    }
    return found;
}

/* ---- in words ---- */

char *sm_weighting_describe_groups(const sm_weighting *weighting)
{
    char *text = NULL;
    for (int g = 0; weighting->sums && g < weighting->count; g++) {
        char *tasks = NULL;
        for (int i = 0; i < weighting->member_count; i++) {
            const sm_weighted_member *member = &weighting->members[i];
            if (member->group == g && member->weight == 1) {
                sm_append_text(&tasks, ", ", "%s", member->task.name);
            } else if (member->group == g) {
                sm_append_text(&tasks, ", ", "%.6g %s", member->weight, member->task.name);
            }
        }
        assert(tasks); /* a group has members */
        if (strcmp(tasks, weighting->tasks[g].name) == 0) {
            sm_append_text(&text, ", ", "%s", tasks);
        } else {
            sm_append_text(&text, ", ", "%s (%s)", weighting->tasks[g].name, tasks);
        }
        sm_free(tasks);
    }
    return text;
}
