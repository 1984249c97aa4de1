#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/json.h>
#include <sigmatic/train/trace.h>

#include <stdarg.h>
#include <stdio.h>

typedef struct event {
    char name[88];
    int lane;
    double begin, end;
} event;

struct sm_trace {
    int64_t first_step, last_step;
    int open, started;
    double origin; /* this rank's clock when the window opened */
    event *events;
    int64_t count, capacity;
};

/* The first key of the file. */
static const char EVENTS[] = "traceEvents";

static const char *const lane_names[SM_TRACE_LANES] = {"step", "ops", "waits", "buckets", "input and output"};

sm_trace *sm_trace_new(int64_t first_step, int64_t last_step)
{
    sm_trace *trace = sm_alloc_zeroed(sizeof *trace);
    trace->first_step = first_step;
    trace->last_step = last_step;
    return trace;
}

void sm_trace_free(sm_trace *trace)
{
    if (trace) {
        sm_free(trace->events);
        sm_free(trace);
    }
}

int sm_trace_begin_step(sm_trace *trace, sm_comm *comm, int64_t step)
{
    trace->open = step >= trace->first_step && step <= trace->last_step;
    if (trace->open && !trace->started) {
        trace->started = 1;
        sm_comm_barrier(comm);
        trace->origin = sm_seconds();
    }
    return trace->open;
}

void sm_trace_add(sm_trace *trace, sm_trace_lane lane, double begin, double end, const char *format, ...)
{
    if (!trace || !trace->open) {
        return;
    }
    if (trace->count == trace->capacity) {
        trace->capacity = trace->capacity ? 2 * trace->capacity : 1024;
        trace->events = sm_realloc(trace->events, (size_t)trace->capacity * sizeof *trace->events);
    }
    event *added = &trace->events[trace->count++];
    *added = (event){.lane = (int)lane, .begin = begin - trace->origin, .end = end - trace->origin};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(added->name, sizeof added->name, format, arguments);
    va_end(arguments);
}

static void name_lane(sm_json *list, int rank, int lane)
{
    sm_json *item = sm_json_set_object(list, NULL);
    sm_json_set_text(item, "name", lane < 0 ? "process_name" : "thread_name");
    sm_json_set_text(item, "ph", "M");
    sm_json_set_integer(item, "pid", rank);
    sm_json_set_integer(item, "tid", lane < 0 ? 0 : lane);
    sm_json *arguments = sm_json_set_object(item, "args");
    char text[32];
    snprintf(text, sizeof text, "rank %d", rank);
    sm_json_set_text(arguments, "name", lane < 0 ? text : lane_names[lane]);
}

static void add_events(sm_json *list, int rank, const event *events, int64_t count)
{
    for (int lane = -1; lane < SM_TRACE_LANES; lane++) {
        name_lane(list, rank, lane);
    }
    for (int64_t i = 0; i < count; i++) {
        sm_json *item = sm_json_set_object(list, NULL);
        sm_json_set_text(item, "name", events[i].name);
        sm_json_set_text(item, "cat", lane_names[events[i].lane]);
        sm_json_set_text(item, "ph", "X");
        sm_json_set_integer(item, "pid", rank);
        sm_json_set_integer(item, "tid", events[i].lane);
        sm_json_set_real(item, "ts", 1e6 * events[i].begin);
        sm_json_set_real(item, "dur", 1e6 * (events[i].end - events[i].begin));
    }
}

static int is_timeline(const char *path)
{
    char *begin = sm_format("{\"%s\":", EVENTS);
    int is = sm_file_begins_with(path, begin);
    sm_free(begin);
    return is;
}

sm_status sm_trace_check(const char *path)
{
    return sm_file_check_replaceable(path, is_timeline, "timeline");
}

sm_status sm_trace_write(sm_trace *trace, sm_comm *comm, const char *path)
{
    sm_status status = SM_OK;
    int own = sm_comm_rank(comm);
    sm_json *json = own == 0 ? sm_json_new() : NULL;
    sm_json *list = json ? sm_json_set_array(json, EVENTS) : NULL;
    for (int rank = 0; rank < sm_comm_size(comm);
         rank++) { /* one rank after the other tells all; only rank 0 keeps it */
        int64_t count = trace->count;
        sm_comm_broadcast(comm, &count, sizeof count, rank);
        size_t bytes = (size_t)count * sizeof(event);
        event *events = rank == own ? trace->events : sm_alloc(bytes + 1);
        if (count > 0) {
            sm_comm_broadcast(comm, events, bytes, rank);
        }
        if (json) {
            add_events(list, rank, events, count);
        }
        if (rank != own) {
            sm_free(events);
        }
    }
    if (json) {
        sm_json_set_text(json, "displayTimeUnit", "ms");
        status = sm_trace_check(path); /* the run may have made a file of that name since it started */
        status = status == SM_OK ? sm_json_write(json, path) : status;
        sm_json_free(json);
    }
    return sm_comm_agree(comm, status);
}
