#include "cli/predict_table.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct text {
    char *bytes;
    size_t used, room;
} text;

static void append(text *t, const char *part, size_t bytes)
{
    if (t->used + bytes + 1 > t->room) {
        t->room = 2 * (t->used + bytes + 1);
        t->bytes = sm_realloc(t->bytes, t->room);
    }
    assert(t->bytes);
    memcpy(t->bytes + t->used, part, bytes);
    t->used += bytes;
    t->bytes[t->used] = 0;
}

/* RFC 4180: quoted where it has a comma, a quote or a line end, quotes doubled. */
static void append_field(text *t, const char *field)
{
    int quoted = strpbrk(field, ",\"\r\n") != NULL;
    append(t, ",", t->used > 0);
    append(t, "\"", (size_t)quoted);
    for (; *field; field++) {
        append(t, "\"", *field == '"');
        append(t, field, 1);
    }
    append(t, "\"", (size_t)quoted);
}

static void append_number(text *t, double number)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.9g", sm_shown(number));
    append_field(t, digits);
}

static int is_column(const sm_task *task)
{
    return task->target->scope == SM_SCOPE_SAMPLE;
}

int predict_table_has_columns(const sm_task *const *tasks, int task_count)
{
    for (int t = 0; t < task_count; t++) {
        if (is_column(tasks[t])) {
            return 1;
        }
    }
    return 0;
}

/* ---- uncertainties, by the names of their columns ------------------------------------------------------------------- */

typedef struct extra {
    const char *name;
    const float *values;
} extra;

enum { EXTRAS = 4 };

static void list_extras(const sm_task_prediction *p, extra extras[EXTRAS])
{
    extras[0] = (extra){"entropy", p->entropy};
    extras[1] = (extra){"mutual_information", p->information};
    extras[2] = (extra){"variance", p->variance};
    extras[3] = (extra){"sigma", p->sigmas};
}

/* The name of a component's column. */
static void append_name(text *t, const sm_task_prediction *p, int component, const char *what)
{
    const sm_task *task = p->task;
    char *name;
    if (sm_task_is_labelling(task) && component >= 0) {
        name = sm_format("%s.%s", task->name, task->target->classes->names[component]);
    } else if (component >= 0 && p->components > 1) {
        name = sm_format("%s.%d%s%s", task->name, component, *what ? "." : "", what);
    } else {
        name = sm_format("%s%s%s", task->name, *what ? "." : "", what);
    }
    append_field(t, name);
    sm_free(name);
}

static int numbers_of(const sm_task_prediction *p, const float *values)
{
    return values == p->variance ? p->components : 1;
}

char *predict_table_header(const sm_task_prediction *tasks, int task_count)
{
    text t = {0};
    append_field(&t, "name");
    for (int i = 0; i < task_count; i++) {
        const sm_task_prediction *p = &tasks[i];
        extra extras[EXTRAS];
        list_extras(p, extras);
        for (int c = 0; is_column(p->task) && c < p->components; c++) {
            append_name(&t, p, c, "");
        }
        for (int e = 0; is_column(p->task) && e < EXTRAS; e++) {
            int numbers = extras[e].values ? numbers_of(p, extras[e].values) : 0;
            for (int c = 0; c < numbers; c++) {
                append_name(&t, p, numbers > 1 ? c : -1, extras[e].name);
            }
        }
    }
    return t.bytes;
}

static void append_values(text *t, const sm_task_prediction *p)
{
    const uint8_t *ids = p->values;
    const float *reals = p->values;
    for (int c = 0; c < p->components; c++) {
        if (sm_task_is_classification(p->task)) {
            append_field(t, p->task->target->classes->names[ids[c]]);
        } else {
            append_number(t, sm_task_is_labelling(p->task) ? ids[c] : reals[c]);
        }
    }
}

char *predict_table_row(const char *name, const sm_task_prediction *tasks, int task_count)
{
    text t = {0};
    append_field(&t, name);
    for (int i = 0; i < task_count; i++) {
        const sm_task_prediction *p = &tasks[i];
        extra extras[EXTRAS];
        if (!is_column(p->task)) {
            continue;
        }
        append_values(&t, p);
        list_extras(p, extras);
        for (int e = 0; e < EXTRAS; e++) {
            for (int c = 0; extras[e].values && c < numbers_of(p, extras[e].values); c++) {
                append_number(&t, extras[e].values[c]);
            }
        }
    }
    return t.bytes;
}

/* ---- from all ranks ------------------------------------------------------------------------------------------------- */

/* What a rank has to say: its header, then its rows, each with its zero byte; an empty one where there is none. */
static text pack(const char *header, char *const *rows, int64_t row_count)
{
    text t = {0};
    append(&t, header ? header : "", (header ? strlen(header) : 0) + 1);
    for (int64_t i = 0; i < row_count; i++) {
        append(&t, rows[i] ? rows[i] : "", (rows[i] ? strlen(rows[i]) : 0) + 1);
    }
    return t;
}

/* \return the next of the texts of a rank, NULL behind the last */
static const char *next(const text *t, size_t *at)
{
    if (*at >= t->used) {
        return NULL;
    }
    const char *line = t->bytes + *at;
    *at += strlen(line) + 1;
    return line;
}

static void append_line(text *all, const char *line)
{
    append(all, line, strlen(line));
    append(all, "\n", *line != 0);
}

/* Turn by turn: that is how the images went to the ranks. */
static sm_status write_rows(const char *path, const text *ranks, int count)
{
    text all = {0};
    size_t *at = sm_alloc_zeroed((size_t)count * sizeof *at);
    const char *header = "", *line;
    for (int r = 0; r < count; r++) {
        line = next(&ranks[r], &at[r]);
        header = line && *line ? line : header;
    }
    append_line(&all, header);
    for (int r = 0; (line = next(&ranks[r], &at[r])); r = (r + 1) % count) {
        append_line(&all, line);
    }
    sm_status status = sm_file_write_atomic(path, all.bytes, all.used);
    sm_free(all.bytes);
    sm_free(at);
    return status;
}

sm_status predict_table_write(sm_comm *comm, const char *path, const char *header, char *const *rows, int64_t row_count)
{
    sm_status status = SM_OK;
    int size = sm_comm_size(comm), rank = sm_comm_rank(comm);
    text *ranks = sm_alloc_zeroed((size_t)size * sizeof *ranks);
    for (int r = 0; r < size; r++) {
        if (r == rank) {
            ranks[r] = pack(header, rows, row_count);
        }
        uint64_t used = ranks[r].used;
        sm_comm_broadcast(comm, &used, sizeof used, r);
        if (r != rank) {
            ranks[r] = (text){sm_alloc(used), used, used};
        }
        sm_comm_broadcast(comm, ranks[r].bytes, used, r);
    }
    if (rank == 0) {
        status = write_rows(path, ranks, size);
    }
    for (int r = 0; r < size; r++) {
        sm_free(ranks[r].bytes);
    }
    sm_free(ranks);
    return sm_comm_agree(comm, status);
}
