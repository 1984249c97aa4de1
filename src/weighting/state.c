#include <sigmatic/base/memory.h>
#include <sigmatic/weighting/weighting.h>

#include <assert.h>
#include <string.h>

double *sm_weighting_add_state(sm_weighting *weighting, const char *name, size_t count)
{
    assert(weighting->state_count < SM_WEIGHTING_STATES_MAX);
    sm_weighting_state *state = &weighting->states[weighting->state_count++];
    double *values = sm_alloc_zeroed(2 * count * sizeof *values);
    *state = (sm_weighting_state){.name = name, .values = values, .before = values + count, .count = count};
    return values;
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
