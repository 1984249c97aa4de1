#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/model/weight_names.h>

#include "train/freezing.h"

#include <stdio.h>

/* Numbers of parameters. */
typedef struct totals {
    size_t trained, frozen; /* of the network */
    size_t log_variances;   /* trained ones */
} totals;

static totals count(const sm_slices *slices)
{
    totals t = {0};
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        size_t *total = slice->frozen ? &t.frozen : &t.trained;
        if (slice->log_variance) {
            t.log_variances += !slice->frozen;
        } else {
            *total += slice->count;
        }
    }
    return t;
}

sm_status sm_freezing_check(const sm_session *session)
{
    const totals t = count(&session->parameters->parameters);
    if (t.trained == 0 && t.log_variances == 0) {
        return sm_config_fail(session->config, "model", "freeze",
                              "all %zu parameters of the network are frozen: nothing would be trained", t.frozen);
    }
    return SM_OK;
}

/* Adds the part that a name belongs to to a list: of `frozen` of its `all` tensors. */
static void add_part(char **text, const char *name, int frozen, int all)
{
    char *some = frozen < all ? sm_format("%d of %d tensors of ", frozen, all) : sm_strdup("");
    sm_append_text(text, ", ", "%s%.*s", some, (int)sm_weight_part_length(name), name);
    sm_free(some);
}

/* \return the frozen parts, "backbone.conv1, backbone.bn1, 2 of 15 tensors of backbone.layer1", freed with sm_free(); NULL: none
 * \param scale  of those that learn at this factor of the learning rate; NULL: of all */
static char *frozen_parts(const sm_slices *slices, const float *scale)
{
    char *text = NULL;
    for (int i = 0; i < slices->count; i++) {
        const char *name = slices->items[i].name;
        int frozen = 0, all = 0, is_first = i == 0 || !sm_weight_same_part(slices->items[i - 1].name, name);
        for (int k = i; is_first && k < slices->count && sm_weight_same_part(slices->items[k].name, name); k++) {
            const sm_slice *slice = &slices->items[k];
            frozen += slice->frozen && (!scale || slice->learning_rate_scale == *scale);
            all++;
        }
        if (frozen > 0) {
            add_part(&text, name, frozen, all);
        }
    }
    return text;
}

/* \return 1 for the first frozen slice of a factor that no trained one has */
static int is_idle(const sm_slices *slices, int i)
{
    const sm_slice *slice = &slices->items[i];
    if (!slice->frozen || slice->learning_rate_scale == 1) {
        return 0;
    }
    for (int k = 0; k < slices->count; k++) {
        const sm_slice *other = &slices->items[k];
        if (other->learning_rate_scale == slice->learning_rate_scale && (!other->frozen || k < i)) {
            return 0;
        }
    }
    return 1;
}

static void warn_of_idle_scales(const sm_slices *slices)
{
    for (int i = 0; i < slices->count; i++) {
        if (is_idle(slices, i)) {
            const float *scale = &slices->items[i].learning_rate_scale;
            char *parts = frozen_parts(slices, scale);
            sm_log_warning(
                "[model] learning_rate_scales: the factor %.6g has no effect: it is of frozen parts only (%s)",
                (double)*scale, parts);
            sm_free(parts);
        }
    }
}

void sm_freezing_report(const sm_session *session)
{
    const sm_slices *slices = &session->parameters->parameters;
    const totals t = count(slices);
    char *parts = frozen_parts(slices, NULL);
    if (parts) {
        sm_log_info("frozen: %s, in all %zu parameters; %zu of the network are trained", parts, t.frozen, t.trained);
        if (t.trained == 0) {
            sm_log_warning("[model] freeze: the whole network is frozen: only the tasks' log-variances are trained");
        }
        warn_of_idle_scales(slices);
    }
    sm_free(parts);
}
