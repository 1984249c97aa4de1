#include <sigmatic/base/memory.h>

#include "weighting/rows.h"

#include <assert.h>
#include <string.h>

const sm_key sm_weighting_keys[] = {
    {"weighting", "method", SM_KEY_CHOICE, "uncertainty", 0, 0, "uncertainty|equal|fixed", NULL,
     "how the losses of the tasks become one"},
    {"task.NAME", "likelihood", SM_KEY_CHOICE, "auto", 0, 0,
     "auto|categorical|categorical_scaled|gaussian|laplace|paper_l1", NULL,
     "uncertainty: what the loss is the likelihood of; auto = by the loss"},
    {0},
};

const sm_weighting_kind *const sm_weighting_kinds[] = {
    &sm_weighting_uncertainty,
    &sm_weighting_equal,
    &sm_weighting_fixed,
    NULL,
};

/* \return whether `word` is one of `words`, which are joined by '|'. */
static int is_one_of(const char *word, const char *words)
{
    size_t length = strlen(word);
    for (const char *at = words; at; at = strchr(at, '|'), at = at ? at + 1 : NULL) {
        if (strncmp(at, word, length) == 0 && (at[length] == '|' || at[length] == '\0')) {
            return 1;
        }
    }
    return 0;
}

/* The maximum-likelihood reading of each loss. */
static const char *const default_likelihoods[][2] = {
    {"cross_entropy", "categorical"},
    {"l1", "laplace"},
    {"l2", "gaussian"},
};

static const sm_likelihood *default_likelihood(const char *loss)
{
    for (size_t i = 0; i < sizeof default_likelihoods / sizeof *default_likelihoods; i++) {
        if (strcmp(default_likelihoods[i][0], loss) == 0) {
            return sm_likelihood_find(default_likelihoods[i][1]);
        }
    }
    assert(!"a loss without a likelihood");
    return NULL;
}

/* \return the names of the likelihoods that fit a loss, "laplace, paper_l1"; freed with sm_free(). */
static char *fitting_likelihoods(const char *loss)
{
    char *names = sm_strdup("auto");
    for (const sm_likelihood *likelihood = sm_likelihoods; likelihood->name; likelihood++) {
        if (is_one_of(loss, likelihood->losses)) {
            char *longer = sm_format("%s, %s", names, likelihood->name);
            sm_free(names);
            names = longer;
        }
    }
    return names;
}

static sm_status read_likelihood(const sm_config *config, const char *section, const char *loss,
                                 const sm_likelihood **likelihood)
{
    sm_status status = SM_OK;
    const char *name = sm_config_text_of(config, section, "likelihood");
    *likelihood = strcmp(name, "auto") == 0 ? default_likelihood(loss) : sm_likelihood_find(name);
    if (!is_one_of(loss, (*likelihood)->losses)) {
        char *allowed = fitting_likelihoods(loss);
        status = sm_config_fail(config, section, "likelihood", "does not fit the loss %s; expected one of %s", loss,
                                allowed);
        sm_free(allowed);
    }
    return status;
}

static sm_status read_task(const sm_config *config, const char *name, const char *loss, int dimensions,
                           sm_weighted_task *task)
{
    char *section = sm_format("task.%s", name);
    task->name = sm_strdup(name);
    task->dimensions = strcmp(loss, "cross_entropy") == 0 ? 1 : dimensions;
    sm_status status = read_likelihood(config, section, loss, &task->likelihood);
    sm_free(section);
    return status;
}

sm_status sm_weighting_new(const sm_config *config, int count, const char *const *names, const char *const *loss_names,
                           const int *dimensions, sm_weighting **out)
{
    sm_status status = SM_OK;
    sm_weighting *weighting = sm_alloc_zeroed(sizeof *weighting);

    *out = NULL;
    weighting->kind = sm_weighting_kinds[sm_config_choice(config, "weighting", "method")];
    weighting->count = count;
    weighting->tasks = sm_alloc_zeroed((size_t)count * sizeof *weighting->tasks);
    for (int i = 0; i < count; i++) {
        SM_TRY(read_task(config, names[i], loss_names[i], dimensions[i], &weighting->tasks[i]));
    }
    if (weighting->kind->make) {
        SM_TRY(weighting->kind->make(weighting, config));
    }
    *out = weighting;
    weighting = NULL;
done:
    sm_weighting_free(weighting);
    return status;
}

void sm_weighting_free(sm_weighting *weighting)
{
    if (weighting) {
        for (int i = 0; i < weighting->count; i++) {
            sm_free(weighting->tasks[i].name);
        }
        for (int i = 0; i < weighting->state_count; i++) {
            sm_free(weighting->states[i].values);
        }
        sm_free(weighting->tasks);
        sm_free(weighting->log_variances);
        sm_free(weighting->own);
        sm_free(weighting);
    }
}

double *sm_weighting_add_state(sm_weighting *weighting, const char *name, size_t count)
{
    assert(weighting->state_count < SM_WEIGHTING_STATES_MAX);
    sm_weighting_state *state = &weighting->states[weighting->state_count++];
    double *values = sm_alloc_zeroed(2 * count * sizeof *values);
    *state = (sm_weighting_state){.name = name, .values = values, .before = values + count, .count = count};
    return values;
}

double *sm_weighting_task_reals(const sm_weighting *weighting, const sm_config *config, const char *key)
{
    double *values = sm_alloc((size_t)weighting->count * sizeof *values);
    for (int i = 0; i < weighting->count; i++) {
        char *section = sm_format("task.%s", weighting->tasks[i].name);
        values[i] = sm_config_real(config, section, key);
        sm_free(section);
    }
    return values;
}

void sm_weighting_weigh(sm_weighting *weighting, const sm_weighting_step *step, sm_weights *out)
{
    out->total = 0;
    memset(out->weight, 0, (size_t)weighting->count * sizeof *out->weight);
    memset(out->slope, 0, (size_t)weighting->count * sizeof *out->slope);
    weighting->kind->weigh(weighting, step, out);
}

void sm_weighting_combine(sm_weighting *weighting, const sm_weighting_step *step, const sm_weights *weights,
                          double *coefficient)
{
    size_t bytes = (size_t)weighting->count * sizeof *coefficient;
    if (weighting->kind->combine) {
        memset(coefficient, 0, bytes);
        weighting->kind->combine(weighting, step, weights, coefficient);
    } else {
        memcpy(coefficient, weights->weight, bytes);
    }
}

void sm_weighting_begin_step(sm_weighting *weighting)
{
    for (int i = 0; i < weighting->state_count; i++) {
        const sm_weighting_state *state = &weighting->states[i];
        memcpy(state->before, state->values, state->count * sizeof *state->values);
    }
}

void sm_weighting_undo_step(sm_weighting *weighting)
{
    for (int i = 0; i < weighting->state_count; i++) {
        const sm_weighting_state *state = &weighting->states[i];
        memcpy(state->values, state->before, state->count * sizeof *state->values);
    }
}
