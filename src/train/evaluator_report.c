#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>

#include "train/evaluator_private.h"

#include <math.h>
#include <stdio.h>

int sm_evaluator_has_labels(const sm_evaluator *e, int task)
{
    return sm_dataset_target(e->dataset, e->session->tasks[task]->target->name) != NULL;
}

/* Left out is what cannot be measured here: without labels, or without a reason why not.
 * \return a row a value, freed with sm_free(). \param trivial  NULL = none */
static sm_metric_row *metric_rows(const sm_evaluator *e, const double *values, const double *trivial, int *count)
{
    const sm_evaluator_metrics *m = &e->metrics;
    sm_metric_row *rows = sm_alloc(((size_t)m->value_count + 1) * sizeof *rows);
    *count = 0;
    for (int p = 0, v = 0; p < m->part_count; p++) {
        const sm_metric_part *part = &m->parts[p];
        const sm_task *task = e->session->tasks[part->task];
        for (int r = 0; r < part->row_count; r++, v++) {
            sm_metric metric = part->rows[r];
            metric.unit = metric.unit ? metric.unit : task->target->unit;
            metric.unmeasured = part->is_measured && sm_metric_part_reads_nan(m, part)
                                    ? "predictions are no numbers (NaN)"
                                    : metric.unmeasured;
            if (part->is_measured && !(isnan(values[v]) && !metric.unmeasured)) {
                rows[(*count)++] = (sm_metric_row){task->name, metric, values[v], trivial ? trivial[v] : NAN};
            }
        }
    }
    return rows;
}

void sm_evaluator_report(const sm_evaluator *e, const double *values, const double *trivial)
{
    int count;
    sm_metric_row *rows = metric_rows(e, values, trivial, &count);
    sm_report_metrics(rows, count, trivial != NULL);
    sm_free(rows);
}

void sm_evaluator_set_json(const sm_evaluator *e, const double *values, const double *trivial, sm_json *tasks)
{
    int count;
    sm_metric_row *rows = metric_rows(e, values, trivial, &count);
    sm_report_set_metrics(tasks, rows, count, trivial != NULL);
    sm_free(rows);
}

/* ---- classes ---- */

/* One metric of every class of a task. */
typedef struct class_column {
    const sm_metric *metric;
    const double *values;
    int of_things; /* 1: of classes with instances only */
} class_column;

enum { MOST_COLUMNS = 16 };

static int has_number(const double *values, int count)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        found |= !isnan(values[i]);
    }
    return found;
}

/* \return how many columns with numbers a task has. \param [out] classes  whose they are */
static int find_columns(const sm_evaluator *e, int task, const double *class_values, const sm_class_list **classes,
                        class_column *columns)
{
    int count = 0;
    for (int p = 0; p < e->metrics.part_count; p++) {
        const sm_metric_part *part = &e->metrics.parts[p];
        const sm_metric *rows;
        const sm_class_list *list;
        int row_count = sm_metric_part_class_rows(&e->metrics, part, &rows, &list);
        for (int r = 0; r < row_count; r++, class_values += list->count) {
            if (part->task == task && count < MOST_COLUMNS && has_number(class_values, list->count)) {
                *classes = list;
                columns[count++] = (class_column){&rows[r], class_values, part->joint != NULL};
            }
        }
    }
    return count;
}

/* \return whether some column is of such a class, also of one that does not occur */
static int has_row(const sm_class_list *classes, const class_column *columns, int count, int c)
{
    int is_thing = classes->thing && classes->thing[c], found = 0;
    for (int k = 0; k < count; k++) {
        found |= is_thing || !columns[k].of_things || !isnan(columns[k].values[c]);
    }
    return found;
}

static void print_line(const char *task, const char *class_name, const class_column *columns, int count, int c)
{
    enum { LINE_BYTES = 64 + 20 * MOST_COLUMNS };
    char line[LINE_BYTES];
    int at = snprintf(line, sizeof line, "%-14s  %-20.40s", task, class_name);
    for (int k = 0; k < count; k++) {
        char text[32] = "-";
        if (c < 0) {
            snprintf(text, sizeof text, "%s, %s", columns[k].metric->name, columns[k].metric->unit);
        } else if (!isnan(columns[k].values[c])) {
            snprintf(text, sizeof text, "%.4g", columns[k].values[c]);
        }
        at += snprintf(line + at, sizeof line - (size_t)at, "  %12.16s", text);
    }
    sm_log_result("%s", line);
}

void sm_evaluator_report_classes(const sm_evaluator *e, const double *class_values)
{
    for (int t = 0; t < e->session->task_count; t++) {
        const sm_class_list *classes;
        class_column columns[MOST_COLUMNS];
        int count = find_columns(e, t, class_values, &classes, columns);
        if (count == 0) {
            continue;
        }
        print_line("task", "class", columns, count, -1);
        for (int c = 0; c < classes->count; c++) {
            if (has_row(classes, columns, count, c)) {
                print_line(e->session->tasks[t]->name, classes->names[c], columns, count, c);
            }
        }
    }
}

void sm_evaluator_set_json_classes(const sm_evaluator *e, const double *class_values, sm_json *tasks)
{
    for (int t = 0; t < e->session->task_count; t++) {
        const sm_class_list *classes;
        class_column columns[MOST_COLUMNS];
        int count = find_columns(e, t, class_values, &classes, columns);
        sm_json *task = count > 0 ? sm_json_set_object(tasks, e->session->tasks[t]->name) : NULL;
        for (int c = 0; count > 0 && c < classes->count; c++) {
            sm_json *of_class = sm_json_set_object(task, classes->names[c]);
            for (int k = 0; k < count; k++) {
                sm_json_set_real(of_class, columns[k].metric->name, columns[k].values[c]);
            }
        }
    }
}
