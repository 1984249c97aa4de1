#include "train/best.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>

#include <math.h>
#include <string.h>

static const char section[] = "checkpoint", key[] = "best";

/* A name of any task's metric, "semantic.miou". */
typedef struct named_metric {
    char *name;
    const sm_metric *metric;
} named_metric;

/* \param [out] count  of all tasks, in the order of an evaluation's values \return freed with free_names() */
static named_metric *name_metrics(const sm_session *session, int *count)
{
    named_metric *names = NULL;
    const sm_metric *metric;
    *count = 0;
    for (int i = 0; i < session->task_count; i++) {
        for (int m = 0; (metric = sm_task_kind_metric(session->tasks[i]->kind, m)); m++) {
            names = sm_realloc(names, (size_t)(*count + 1) * sizeof *names);
            names[(*count)++] = (named_metric){sm_format("%s.%s", session->tasks[i]->name, metric->name), metric};
        }
    }
    return names;
}

static void free_names(named_metric *names, int count)
{
    for (int i = 0; i < count; i++) {
        sm_free(names[i].name);
    }
    sm_free(names);
}

static sm_status no_such_metric(const sm_config *config, const char *wanted, const named_metric *names, int count)
{
    sm_nearest nearest = {.wanted = wanted};
    char *all = sm_strdup("");
    for (int i = 0; i < count; i++) {
        sm_append_text(&all, ", ", "%s", names[i].name);
        sm_nearest_consider(&nearest, names[i].name);
    }
    sm_status status = sm_config_fail(config, section, key, "'%s': expected TASK.METRIC, one of %s%s%s%s", wanted, all,
                                      nearest.best ? "; did you mean " : "", nearest.best ? nearest.best : "",
                                      nearest.best ? "?" : "");
    sm_free(all);
    return status;
}

static sm_status find_term(const sm_config *config, const char *wanted, int is_alone, const named_metric *names,
                           int count, sm_best_term *term)
{
    int i = 0;
    while (i < count && strcmp(names[i].name, wanted) != 0) {
        i++;
    }
    if (i == count) {
        return no_such_metric(config, wanted, names, count);
    }
    if (!is_alone && names[i].metric->higher_is_better == SM_HIGHER_WITHOUT_RATIO) {
        return sm_config_fail(config, section, key,
                              "'%s' may be negative: it has no geometric mean with others; expected it alone", wanted);
    }
    *term = (sm_best_term){i, names[i].metric->higher_is_better != 0};
    return SM_OK;
}

sm_status sm_best_read(const sm_session *session, sm_best *best)
{
    sm_status status = SM_OK;
    size_t wanted;
    int count;
    const char *const *texts = sm_config_texts(session->config, section, key, &wanted);
    named_metric *names = name_metrics(session, &count);
    best->count = wanted ? (int)wanted : 1;
    best->terms = sm_alloc_zeroed((size_t)best->count * sizeof *best->terms);
    best->terms[0].higher_is_better = count > 0 && names[0].metric->higher_is_better != 0;
    for (size_t i = 0; i < wanted; i++) {
        SM_TRY(find_term(session->config, texts[i], wanted == 1, names, count, &best->terms[i]));
    }
done:
    free_names(names, count);
    return status;
}

void sm_best_clear(sm_best *best)
{
    sm_free(best->terms);
    *best = (sm_best){0};
}

double sm_best_score(const sm_best *best, const double *values)
{
    double logarithms = 0;
    for (int i = 0; i < best->count && best->count > 1; i++) {
        double logarithm = log(values[best->terms[i].value]);
        logarithms += best->terms[i].higher_is_better ? logarithm : -logarithm;
    }
    return best->count > 1 ? exp(logarithms / best->count) : values[best->terms[0].value];
}

int sm_best_is_better(const sm_best *best, double score, double before)
{
    int higher = best->count > 1 || best->terms[0].higher_is_better;
    return !isnan(score) && (isnan(before) || (higher ? score > before : score < before));
}
