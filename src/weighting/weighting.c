#include <sigmatic/base/memory.h>
#include <sigmatic/io/choices.h>
#include <sigmatic/weighting/weighting.h>

#include "weighting/by_gradients.h"
#include "weighting/groups.h"
#include "weighting/log_variances.h"

#include <math.h>
#include <string.h>

enum { MOST_KINDS = 32 };
static char methods[64 * MOST_KINDS] = "uncertainty|equal|fixed|revised_uncertainty|uw_o|uw_so|imtl_l|dwa|gls|rlw|famo|"
                                       "gradnorm|mgda|pcgrad|cagrad|imtl_g|nash_mtl|aligned_mtl|upgrad";

const sm_key sm_weighting_keys[] = {
    {"weighting", "method", SM_KEY_CHOICE, "uncertainty", 0, 0, methods, NULL,
     "how the losses of the tasks become one"},
    {"weighting", "gradients", SM_KEY_CHOICE, "auto", 0, 0, "auto|representation|parameters", NULL,
     "where weightings that need gradients of single tasks take them; auto = as the method's authors"},
    {"weighting", "diagnose_interval", SM_KEY_INTEGER, "0", 0, 1e12, NULL, "steps",
     "between measurements of each task's part of the gradient; 0 = none"},
    {"task.NAME", "group", SM_KEY_TEXT, "", 0, 0, NULL, NULL,
     "tasks of the same group are weighed as one; empty = a group of its own"},
    {"task.NAME", "group_weight", SM_KEY_REAL, "1", 1e-6, INFINITY, NULL, NULL,
     "factor of the task's loss in the loss of its group"},
    {0},
};

/* A row is its file's own; its name is also a choice of the key `method`, in the same order. */
extern const sm_weighting_kind sm_weighting_uncertainty, sm_weighting_equal, sm_weighting_fixed,
    sm_weighting_revised_uncertainty, sm_weighting_uw_o, sm_weighting_uw_so, sm_weighting_imtl_l, sm_weighting_dwa,
    sm_weighting_gls, sm_weighting_rlw, sm_weighting_famo;
extern const sm_weighting_kind sm_weighting_gradnorm, sm_weighting_mgda, sm_weighting_pcgrad, sm_weighting_cagrad,
    sm_weighting_imtl_g, sm_weighting_nash_mtl, sm_weighting_aligned_mtl, sm_weighting_upgrad;

const sm_weighting_kind *sm_weighting_kinds[MOST_KINDS + 1] = {
    &sm_weighting_uncertainty, &sm_weighting_equal,       &sm_weighting_fixed,  &sm_weighting_revised_uncertainty,
    &sm_weighting_uw_o,        &sm_weighting_uw_so,       &sm_weighting_imtl_l, &sm_weighting_dwa,
    &sm_weighting_gls,         &sm_weighting_rlw,         &sm_weighting_famo,   &sm_weighting_gradnorm,
    &sm_weighting_mgda,        &sm_weighting_pcgrad,      &sm_weighting_cagrad, &sm_weighting_imtl_g,
    &sm_weighting_nash_mtl,    &sm_weighting_aligned_mtl, &sm_weighting_upgrad, NULL,
};

sm_status sm_weighting_register(const sm_weighting_kind *kind)
{
    int count = 0;
    while (sm_weighting_kinds[count]) {
        count++;
    }
    if (kind->name && sm_choices_has(methods, kind->name)) {
        return sm_fail(SM_ERR_USAGE, "there is a weighting '%s' already", kind->name);
    }
    if (!kind->weigh) {
        return sm_fail(SM_ERR_USAGE, "weighting '%s': its function `weigh` is missing", kind->name ? kind->name : "");
    }
    if (count == MOST_KINDS) {
        return sm_fail(SM_ERR_USAGE, "weighting '%s': the table has %d already", kind->name, count);
    }
    sm_status status = sm_choices_add(methods, sizeof methods, "weighting", kind->name);
    if (status == SM_OK) {
        sm_weighting_kinds[count] = kind;
    }
    return status;
}

/* Of a kind that needs gradients of single tasks the user chooses which. */
static sm_weighting_needs choose_needs(const sm_weighting_kind *kind, const sm_config *config)
{
    const sm_weighting_needs chosen[] = {kind->needs, SM_WEIGHTING_NEEDS_SHARED_GRADIENTS,
                                         SM_WEIGHTING_NEEDS_PARAMETER_GRADIENTS};
    return kind->needs < SM_WEIGHTING_NEEDS_SHARED_GRADIENTS
               ? kind->needs
               : chosen[sm_config_choice(config, "weighting", "gradients")];
}

sm_status sm_weighting_new(const sm_config *config, int count, const char *const *names, const char *const *loss_names,
                           const sm_loss_shape *shapes, sm_weighting **out)
{
    sm_status status = SM_OK;
    sm_weighting *weighting = sm_alloc_zeroed(sizeof *weighting);

    *out = NULL;
    weighting->kind = sm_weighting_kinds[sm_config_choice(config, "weighting", "method")];
    weighting->needs = choose_needs(weighting->kind, config);
    SM_TRY(sm_groups_read(weighting, config, count, names, loss_names, shapes));
    SM_TRY(sm_groups_check_keys(weighting, config, weighting->kind->keys));
    if (weighting->kind->learns_log_variances) {
        SM_TRY(sm_groups_check_keys(weighting, config, sm_log_variances_keys));
        SM_TRY(sm_log_variances_read(weighting, config));
    }
    if (weighting->kind->make) {
        SM_TRY(weighting->kind->make(weighting, config));
    }
    SM_TRY(sm_groups_settle(weighting, config));
    *out = weighting;
    weighting = NULL;
done:
    sm_weighting_free(weighting);
    return status;
}

void sm_weighting_free(sm_weighting *weighting)
{
    if (weighting) {
        sm_groups_free(weighting);
        for (int i = 0; i < weighting->state_count; i++) {
            sm_free(weighting->states[i].values);
        }
        if (weighting->log_variances) {
            sm_free(weighting->log_variances->initial);
            sm_free(weighting->log_variances);
        }
        sm_free(weighting->own);
        sm_free(weighting);
    }
}

static void weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    out->total = 0;
    memset(out->weight, 0, (size_t)weighting->count * sizeof *out->weight);
    memset(out->slope, 0, (size_t)weighting->count * sizeof *out->slope);
    weighting->kind->weigh(weighting, step, out);
}

void sm_weighting_weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    if (!weighting->sums) {
        weigh(weighting, step, out);
        return;
    }
    sm_weights *of_groups = &weighting->sums->out;
    weigh(weighting, sm_groups_sum(weighting, step), of_groups);
    out->total = of_groups->total;
    sm_groups_hand_out(weighting, step, of_groups->weight, out->weight);
    for (int i = 0; i < weighting->member_count; i++) {
        out->slope[i] = of_groups->slope[weighting->members[i].group];
    }
}

static void combine(sm_weighting *weighting, const sm_weighting_step *step, const sm_weights *weights,
                    double *coefficient)
{
    const sm_weighting_kind *kind = weighting->kind;
    size_t bytes = (size_t)weighting->count * sizeof *coefficient;
    memset(coefficient, 0, bytes);
    if (kind->choose) {
        sm_combine_gradients(weighting, step, kind->choose, coefficient);
    } else if (kind->combine) {
        kind->combine(weighting, step, weights, coefficient);
    } else {
        memcpy(coefficient, weights->weight, bytes);
    }
}

void sm_weighting_combine(sm_weighting *weighting, const sm_weighting_step *step, const sm_weights *weights,
                          double *coefficient)
{
    if (!weighting->sums) {
        combine(weighting, step, weights, coefficient);
        return;
    }
    sm_group_sums *sums = weighting->sums;
    combine(weighting, sm_groups_sum(weighting, step), &sums->out, sums->coefficient);
    sm_groups_hand_out(weighting, step, sums->coefficient, coefficient);
}

void sm_weighting_learn_from_update(sm_weighting *weighting, const sm_weighting_step *step)
{
    weighting->kind->learn_from_update(weighting, weighting->sums ? sm_groups_sum(weighting, step) : step);
}
