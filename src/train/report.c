#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/train/report.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct cell {
    char text[24];
} cell;

static cell number(double value)
{
    cell c = {"-"};
    if (!isnan(value)) {
        snprintf(c.text, sizeof c.text, "%.4g", value);
    }
    return c;
}

/* ---- metrics ---- */

/* \return a dash too where a ratio would say nothing: to 0, and of what has no 0 of its own */
static cell ratio(const sm_metric_row *row)
{
    double value = row->metric.higher_is_better == SM_HIGHER_WITHOUT_RATIO ? NAN : row->value / row->trivial;
    return number(isfinite(value) ? value : NAN);
}

void sm_report_metrics(const sm_metric_row *rows, int count, int with_trivial)
{
    char comparison[64] = "";
    if (with_trivial) {
        snprintf(comparison, sizeof comparison, "  %10s  %13s", "trivial", "value/trivial");
    }
    sm_log_result("%-14s  %-14s  %10s  %-4s%s  %s", "task", "metric", "value", "unit", comparison, "meaning");
    for (int i = 0; i < count; i++) {
        const sm_metric_row *row = &rows[i];
        const sm_metric *metric = &row->metric;
        int measured = !isnan(row->value);
        if (with_trivial) {
            snprintf(comparison, sizeof comparison, "  %10s  %13s", number(row->trivial).text, ratio(row).text);
        }
        sm_log_result("%-14s  %-14s  %10s  %-4s%s  %s%s%s", row->task, metric->name, number(row->value).text,
                      metric->unit, comparison, metric->meaning,
                      measured ? "" : "; not measured: ", measured ? "" : metric->unmeasured);
    }
}

void sm_report_set_metrics(sm_json *tasks, const sm_metric_row *rows, int count, int with_trivial)
{
    sm_json *task = NULL;
    for (int i = 0; i < count; i++) {
        if (i == 0 || strcmp(rows[i].task, rows[i - 1].task) != 0) {
            task = sm_json_set_object(tasks, rows[i].task);
        }
        sm_json *metric = sm_json_set_object(task, rows[i].metric.name);
        sm_json_set_real(metric, "value", rows[i].value);
        sm_json_set_text(metric, "unit", rows[i].metric.unit);
        sm_json_set_text(metric, "meaning", rows[i].metric.meaning);
        sm_json_set_bool(metric, "higher_is_better", rows[i].metric.higher_is_better);
        if (with_trivial) {
            sm_json_set_real(metric, "trivial", rows[i].trivial);
        }
    }
}

/* ---- losses and sigmas ---- */

static int share_sigma(const sm_loss_row *a, const sm_loss_row *b)
{
    return a == b || (a->group && b->group && strcmp(a->group, b->group) == 0);
}

double sm_report_minimiser(const sm_loss_row *rows, int count, int index)
{
    const sm_loss_row *row = &rows[index];
    const sm_likelihood *likelihood = row->likelihood;
    sm_loss_shape shape = {0, row->shape.delta};
    double loss = 0, weight = 0;
    if (!likelihood || isnan(row->log_variance) || isnan(row->loss)) {
        return NAN;
    }
    for (const sm_loss_row *other = rows; other < rows + count; other++) {
        double own = other->group ? other->group_weight : 1;
        if (share_sigma(other, row) && !isnan(other->loss)) {
            loss += own * other->loss;
            weight += own;
            shape.dimensions += own * other->shape.dimensions;
        }
    }
    shape.dimensions /= weight;
    return sm_likelihood_minimiser_of_group(likelihood, loss, weight, shape);
}

/* \return NaN also where no sigma is learned. */
static double sigma_at_minimum(const sm_loss_row *rows, int count, int index)
{
    const sm_likelihood *likelihood = rows[index].likelihood;
    double best = sm_report_minimiser(rows, count, index);
    return !likelihood || isnan(best) ? NAN : likelihood->sigma(best);
}

/* \return a cell of a line where tasks have groups, else nothing; freed with sm_free() */
static char *group_cell(const sm_loss_row *row)
{
    char *text = NULL;
    if (row->group && row->group_weight != 1) {
        sm_append_text(&text, "", "%.6g ", row->group_weight);
    }
    if (row->group) {
        sm_append_text(&text, "", "%s", row->group);
    }
    char *padded = text ? sm_format("  %-14s", text) : sm_strdup("");
    sm_free(text);
    return padded;
}

/* \return "Laplace scale b, px"; freed with sm_free() */
static char *meaning_of(const sm_loss_row *row)
{
    const sm_likelihood *likelihood = row->likelihood;
    if (!likelihood || isnan(row->sigma)) {
        return sm_strdup("");
    }
    if (!*likelihood->meaning) {
        return sm_strdup("a weight only");
    }
    const char *unit = sm_likelihood_unit(likelihood, row->unit);
    return sm_format("%s%s%s", likelihood->meaning, *unit ? ", " : "", unit);
}

void sm_report_losses(const sm_loss_row *rows, int count)
{
    static const char format[] = "%-14s  %-19s  %10s  %10s  %10s  %10s  %10s  %10s%s%s%s";
    const char *group_head = count > 0 && rows[0].group ? "  group         " : "";
    sm_log_result(format, "task", "likelihood", "loss", "weight", "s", "sigma", "at minimum", "ratio", group_head, "  ",
                  "sigma is");
    for (int i = 0; i < count; i++) {
        const sm_loss_row *row = &rows[i];
        double best = sigma_at_minimum(rows, count, i);
        char *meaning = meaning_of(row), *group = group_cell(row);
        sm_log_result(format, row->task, row->likelihood && !isnan(row->sigma) ? row->likelihood->name : "-",
                      number(row->loss).text, number(row->weight).text, number(row->log_variance).text,
                      number(row->sigma).text, number(best).text, number(row->sigma / best).text, group,
                      *meaning ? "  " : "", meaning);
        sm_free(meaning);
        sm_free(group);
    }
}

void sm_report_set_losses(sm_json *tasks, const sm_loss_row *rows, int count)
{
    for (int i = 0; i < count; i++) {
        const sm_loss_row *row = &rows[i];
        sm_json *task = sm_json_set_object(tasks, row->task);
        if (row->likelihood) {
            sm_json_set_text(task, "likelihood", row->likelihood->name);
            if (*row->likelihood->meaning) {
                sm_json_set_text(task, "sigma_meaning", row->likelihood->meaning);
                sm_json_set_text(task, "sigma_unit", sm_likelihood_unit(row->likelihood, row->unit));
            }
        }
        sm_json_set_real(task, "loss", row->loss);
        sm_json_set_real(task, "weight", row->weight);
        sm_json_set_real(task, "log_variance", row->log_variance);
        sm_json_set_real(task, "sigma", row->sigma);
        sm_json_set_real(task, "sigma_at_minimum", sigma_at_minimum(rows, count, i));
        if (row->group) {
            sm_json_set_text(task, "group", row->group);
            sm_json_set_real(task, "group_weight", row->group_weight);
        }
    }
}

/* ---- sigmas beside residuals ---- */

void sm_report_calibrations(const sm_loss_row *losses, const sm_calibration *calibrations, int count)
{
    static const char format[] = "%-14s  %10s  %14s  %10s  %10s%s%s";
    int printed = 0;
    for (int i = 0; i < count; i++) {
        const sm_calibration *c = &calibrations[i];
        if (isnan(c->residual_scale)) {
            continue;
        }
        if (printed++ == 0) {
            sm_log_result(format, "task", "sigma", "residual scale", "ratio", "loss", "  ", "sigma is");
        }
        sm_loss_row row = losses[i];
        row.sigma = c->sigma; /* before the first step there is no other */
        char *meaning = meaning_of(&row);
        sm_log_result(format, row.task, number(c->sigma).text, number(c->residual_scale).text, number(c->ratio).text,
                      number(c->loss).text, *meaning ? "  " : "", meaning);
        sm_free(meaning);
    }
}

void sm_report_set_calibrations(sm_json *tasks, const sm_loss_row *losses, const sm_calibration *calibrations,
                                int count)
{
    for (int i = 0; i < count; i++) {
        sm_json *task = sm_json_set_object(tasks, losses[i].task);
        for (int n = 0; n < SM_CALIBRATION_NUMBERS; n++) {
            sm_json_set_real(task, sm_calibration_names[n], sm_calibration_number(&calibrations[i], n));
        }
    }
}
