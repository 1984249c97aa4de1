#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/process.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>

#include "comm/blocking.h"
#include "comm/board_files.h"
#include "comm/comm_private.h"
#include "comm/mpi_guard.h"
#include "comm/stall_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_NAMED = 8, MESSAGE_BYTES = 1536, HOST_BYTES = 64 };

static struct {
    const sm_comm *world;
    sm_shared shared;
    sm_board board; /* of this node */
    sm_board_entry own;
    char (*hosts)[HOST_BYTES];
    double limit_seconds, look_again_seconds; /* sm_seconds() before which no wait is a stall */
    char *folder;
    void (*report)(void *user, const char *message);
    void *report_user;
    int neighbour; /* place on the board of the next rank, which this one watches; -1: none */
    sm_process neighbour_process;
    double neighbour_look_seconds; /* of the next look */
    int neighbour_is_gone;         /* at the last look */
} stall = {.neighbour = -1};

/* ---- the limit of the environment ---- */

static const char variable[] = "SIGMATIC_STALL_SECONDS";
static const double default_seconds = 600, most_seconds = 1e9;

/* \return 0 if the variable is no number of seconds */
static int read_variable(double *seconds)
{
    const char *text = getenv(variable);
    char *end = NULL;
    *seconds = text ? strtod(text, &end) : default_seconds;
    return !text || (end != text && *end == 0 && *seconds >= 0 && *seconds <= most_seconds);
}

static void warn_of_variable(void)
{
    double seconds;
    if (stall.world->rank == 0 && !read_variable(&seconds)) {
        sm_log_warning("%s = '%s': seconds from 0 (no limit) to %g expected; %g taken", variable, getenv(variable),
                       most_seconds, default_seconds);
    }
}

/* ---- the board ---- */

static void publish(void)
{
    if (stall.world) {
        sm_board_write(stall.board.place[stall.world->node.rank], &stall.own);
    }
}

static void set_text(char *to, const char *from)
{
    size_t length = strlen(from) < SM_BOARD_TEXT - 1 ? strlen(from) : SM_BOARD_TEXT - 1;
    memcpy(to, from, length);
    memset(to + length, 0, SM_BOARD_TEXT - length);
}

void sm_comm_set_phase(const char *phase, int64_t step, int detail)
{
    set_text(stall.own.phase, phase);
    stall.own.step = step;
    stall.own.detail = detail;
    stall.own.since_seconds = sm_seconds();
    publish();
}

void sm_stall_count_collective(void)
{
    stall.own.collectives++;
}

void sm_stall_show_wait(const sm_wait_reason *reason, double since)
{
    set_text(stall.own.waiting, reason ? reason->what : "");
    stall.own.bucket = reason ? reason->number : 0;
    stall.own.buckets = reason ? reason->count : 0;
    stall.own.waiting_since_seconds = since;
    publish();
}

static void gather_hosts(const sm_comm *world)
{
    char name[MPI_MAX_PROCESSOR_NAME] = "";
    int length;
    stall.hosts = sm_alloc_zeroed((size_t)world->size * sizeof *stall.hosts);
    sm_check_mpi(MPI_Get_processor_name(name, &length), "MPI_Get_processor_name");
    name[HOST_BYTES - 1] = 0;
    sm_check_mpi(MPI_Allgather(name, HOST_BYTES, MPI_CHAR, stall.hosts, HOST_BYTES, MPI_CHAR, world->handle),
                 "MPI_Allgather");
}

/* Each rank watches the next one of its node, the last one the first. */
static void find_neighbour(const sm_node *node)
{
    sm_process own = sm_process_own(), *all = sm_alloc((size_t)node->size * sizeof *all);
    sm_check_mpi(MPI_Allgather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, node->comm), "MPI_Allgather");
    int next = (node->rank + 1) % node->size;
    stall.neighbour = next != node->rank && sm_process_is_alive(&all[next]) ? next : -1;
    stall.neighbour_process = all[next];
    sm_free(all);
}

void sm_stall_begin(const sm_comm *world)
{
    const sm_node *node = &world->node;
    size_t ranks = (size_t)node->size;
    sm_blocking_begin("all ranks to start");
    gather_hosts(world);
    stall.board.count = node->size;
    stall.board.ranks = sm_alloc(ranks * sizeof *stall.board.ranks);
    sm_check_mpi(MPI_Allgather(&world->rank, 1, MPI_INT, stall.board.ranks, 1, MPI_INT, node->comm), "MPI_Allgather");
    stall.board.place = sm_alloc_zeroed(ranks * sizeof *stall.board.place);
    if (sm_shared_new(node, sm_board_place_bytes(), &stall.shared)) {
        for (size_t i = 0; i < ranks; i++) {
            stall.board.place[i] = (sm_board_place *)(void *)stall.shared.base[i];
        }
    } else {
        stall.board.place[node->rank] = sm_alloc_zeroed(sm_board_place_bytes());
    }
    find_neighbour(node);
    sm_blocking_end();
    stall.world = world;
    sm_comm_set_phase("start", 0, -1);
    warn_of_variable();
}

/* ---- the limit ---- */

static void write_files(void)
{
    enum { PER_LIMIT = 4, MOST_SECONDS = 30 };
    double interval = stall.limit_seconds / PER_LIMIT;
    sm_board_files_stop();
    if (stall.limit_seconds > 0 && stall.folder && stall.world->node.count > 1 && stall.world->node.rank == 0) {
        sm_board_files_start(stall.folder, &stall.board, interval < MOST_SECONDS ? interval : MOST_SECONDS);
    }
}

void sm_comm_set_stall_limit(double seconds)
{
    stall.limit_seconds = seconds;
    stall.look_again_seconds = 0;
    write_files();
}

void sm_comm_set_stall_folder(const char *folder)
{
    sm_free(stall.folder);
    stall.folder = folder ? sm_strdup(folder) : NULL;
    write_files();
}

void sm_comm_set_stall_report(void (*report)(void *user, const char *message), void *user)
{
    stall.report = report;
    stall.report_user = user;
}

void sm_stall_end(void)
{
    sm_board_files_stop();
    sm_free(stall.folder);
    stall.folder = NULL;
    if (!stall.shared.is_shared) {
        sm_free(stall.board.place[stall.world->node.rank]);
    }
    sm_shared_free(&stall.shared);
    sm_free(stall.board.place);
    sm_free(stall.board.ranks);
    sm_free(stall.hosts);
    stall.neighbour = -1;
    stall.world = NULL;
}

/* ---- the diagnosis ---- */

static void look_at_all(sm_board_sighting *seen, double now)
{
    for (int i = 0; i < stall.board.count; i++) {
        if (stall.board.place[i]) {
            sm_board_read(stall.board.place[i], &seen[stall.board.ranks[i]].entry);
            seen[stall.board.ranks[i]].heard_seconds = now;
        }
    }
    if (stall.folder && stall.world->node.count > 1) {
        sm_board_files_read(stall.folder, seen, stall.world->size, now);
    }
}

/* A text that grows to its limit. */
typedef struct message {
    char text[MESSAGE_BYTES];
    size_t length;
} message;

__attribute__((format(printf, 2, 3))) static void add(message *m, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(m->text + m->length, sizeof m->text - m->length, format, arguments);
    va_end(arguments);
    size_t space = sizeof m->text - 1 - m->length;
    m->length += wanted < 0 ? 0 : (size_t)wanted < space ? (size_t)wanted : space;
}

static void add_phase(message *m, const sm_board_entry *e)
{
    add(m, "'%s'", e->phase);
    if (e->detail >= 0) {
        add(m, " %lld", (long long)e->detail);
    }
    if (e->step > 0) {
        add(m, " of step %lld", (long long)e->step);
    }
}

static void add_waiting(message *m, const sm_board_entry *e)
{
    add(m, "%s", e->waiting);
    if (e->bucket > 0) {
        add(m, " %lld of %lld", (long long)e->bucket, (long long)e->buckets);
    } else {
        add(m, " (message %llu)", (unsigned long long)e->collectives);
    }
    add(m, " in ");
    add_phase(m, e);
}

static void add_age(message *m, double seconds)
{
    add(m, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
}

static int several_hosts(void)
{
    for (int i = 1; i < stall.world->size; i++) {
        if (strcmp(stall.hosts[i], stall.hosts[0]) != 0) {
            return 1;
        }
    }
    return 0;
}

static void add_rank(message *m, int rank, const sm_board_sighting *seen, double now)
{
    const sm_board_entry *e = &seen->entry;
    add(m, "rank %d", rank);
    if (several_hosts()) {
        add(m, " on %s", stall.hosts[rank]);
    }
    if (seen->heard_seconds == 0) {
        add(m, " has not been heard of");
        return;
    }
    if (*e->waiting) {
        add(m, " waits for ");
        add_waiting(m, e);
        add(m, " since ");
        add_age(m, now - e->waiting_since_seconds);
    } else {
        add(m, " is in ");
        add_phase(m, e);
        add(m, " since ");
        add_age(m, now - e->since_seconds);
    }
}

typedef enum kind { IS_SILENT, COMPUTES, IS_BEHIND, WAITS, KINDS } kind;

/* Silent: its node wrote nothing for half of the limit, so it is gone or cut off from the folder too. Behind: it waits in
 * an earlier message than this rank, so on one host, where none is lost, it has been stopped there. */
static kind kind_of(const sm_board_sighting *seen, double now)
{
    if (now - seen->heard_seconds > stall.limit_seconds / 2 + 1) {
        return IS_SILENT;
    }
    if (!*seen->entry.waiting) {
        return COMPUTES;
    }
    return seen->entry.collectives < stall.own.collectives && !several_hosts() ? IS_BEHIND : WAITS;
}

static void add_kind(message *m, kind wanted, const sm_board_sighting *seen, double now)
{
    int named = 0, more = 0;
    for (int rank = 0; rank < stall.world->size; rank++) {
        if (rank == stall.world->rank || kind_of(&seen[rank], now) != wanted) {
            continue;
        }
        if (named == MOST_NAMED) {
            more++;
            continue;
        }
        add(m, named++ ? "; " : "");
        add_rank(m, rank, &seen[rank], now);
        if (wanted == IS_SILENT && seen[rank].heard_seconds > 0) {
            add(m, " and silent since ");
            add_age(m, now - seen[rank].heard_seconds);
        }
    }
    if (more) {
        add(m, "; and %d more", more);
    }
}

static void diagnose(message *m, const sm_board_sighting *seen, double waited, double now)
{
    int counts[KINDS] = {0};
    for (int rank = 0; rank < stall.world->size; rank++) {
        counts[kind_of(&seen[rank], now)] += rank != stall.world->rank;
    }
    add(m, "stalled: waited ");
    add_age(m, waited);
    add(m, " for ");
    add_waiting(m, &stall.own);
    add(m, "; ");
    if (counts[COMPUTES] || counts[IS_BEHIND]) {
        add(m, "not arrived: ");
        add_kind(m, counts[COMPUTES] ? COMPUTES : IS_BEHIND, seen, now);
        add(m, counts[IS_SILENT] ? "; " : "");
    }
    if (counts[IS_SILENT]) {
        add(m, "lost or cut off: ");
        add_kind(m, IS_SILENT, seen, now);
    }
    if (counts[WAITS] == stall.world->size - 1) {
        add(m, "all ranks wait, %s: ",
            several_hosts() ? "so messages do not arrive (a link is down?)" : "each for another");
        add_kind(m, WAITS, seen, now);
    }
}

/* ---- the end ---- */

/* One rank a node speaks; the others give it time to do so. */
_Noreturn static void end_run(const char *why)
{
    sm_board_place *place = stall.board.place[0] ? stall.board.place[0] : stall.board.place[stall.world->node.rank];
    if (sm_board_claim(place)) {
        sm_log_error("%s", why);
        if (stall.report) {
            stall.report(stall.report_user, why);
        }
    } else {
        struct timespec patience = {2, 0};
        nanosleep(&patience, NULL);
    }
    sm_mpi_abort(SM_EXIT_STALLED);
}

/* \return when some rank last entered a phase or began to wait, sm_seconds() */
static double last_sign_of_life(const sm_board_sighting *seen)
{
    double last = 0;
    for (int rank = 0; rank < stall.world->size; rank++) {
        const sm_board_entry *e = &seen[rank].entry;
        last = e->since_seconds > last ? e->since_seconds : last;
        last = e->waiting_since_seconds > last ? e->waiting_since_seconds : last;
    }
    return last;
}

/* A rank may work for long while the others wait (an import of unequal parts, a checkpoint): as long as its phase
 * advances, nothing stands still. */
void sm_stall_check(double waited, double now)
{
    int has_files = stall.folder && stall.world->node.count > 1;
    double limit = stall.limit_seconds, first = has_files ? limit / 4 : limit, period = limit / 8;
    if (limit <= 0 || waited <= first || now < stall.look_again_seconds) {
        return;
    }
    sm_board_sighting *seen = sm_alloc_zeroed((size_t)stall.world->size * sizeof *seen);
    look_at_all(seen, now);
    double end = last_sign_of_life(seen) + limit;
    stall.look_again_seconds = end > now && (!has_files || end < now + period) ? end : now + period;
    if (waited > limit && now >= end) {
        message m = {.length = 0};
        diagnose(&m, seen, waited, now);
        end_run(m.text);
    }
    sm_free(seen);
}

/* ---- a rank that has ended ---- */

static void describe_lost(message *m, double waited)
{
    int rank = stall.board.ranks[stall.neighbour];
    sm_board_entry last = {.phase = ""};
    if (stall.board.place[stall.neighbour]) {
        sm_board_read(stall.board.place[stall.neighbour], &last);
    }
    add(m, "lost: rank %d", rank);
    if (several_hosts()) {
        add(m, " on %s", stall.hosts[rank]);
    }
    add(m, " has ended (process %lld: killed, out of memory or crashed)", (long long)stall.neighbour_process.id);
    if (*last.phase) {
        add(m, ", last seen in ");
        add_phase(m, &last);
    }
    add(m, "; waited ");
    add_age(m, waited);
    add(m, " for ");
    add_waiting(m, &stall.own);
}

/* Gone at two looks: what it left behind may have been its part of what is waited for. */
void sm_stall_check_neighbour(double waited, double now)
{
    const double first_seconds = 0.1, period_seconds = 0.25;
    if (stall.neighbour < 0 || waited < first_seconds || now < stall.neighbour_look_seconds) {
        return;
    }
    int was_gone = stall.neighbour_is_gone;
    stall.neighbour_look_seconds = now + period_seconds;
    stall.neighbour_is_gone = !sm_process_is_alive(&stall.neighbour_process);
    if (was_gone && stall.neighbour_is_gone) {
        message m = {.length = 0};
        describe_lost(&m, waited);
        end_run(m.text);
    }
}

/* ---- blocking calls of MPI ---- */

static void show_block(const char *what)
{
    sm_stall_show_wait(&(sm_wait_reason){what, 0, 0}, sm_seconds());
}

static void show_end_of_block(void)
{
    sm_stall_show_wait(NULL, 0);
}

/* In a thread of its own. */
static void check_block(double seconds)
{
    if (stall.world) {
        sm_stall_check(seconds, sm_seconds());
    } else if (stall.limit_seconds > 0 && seconds > stall.limit_seconds) { /* MPI has not even told the ranks apart */
        sm_log_error("stalled: waited %.3g s for %s: another rank is stopped or lost", seconds, stall.own.waiting);
        _exit(SM_EXIT_STALLED);
    }
}

void sm_stall_prepare(void)
{
    static const sm_blocking_watch watch = {show_block, show_end_of_block, check_block};
    if (!read_variable(&stall.limit_seconds)) {
        stall.limit_seconds = default_seconds;
    }
    sm_blocking_set_watch(&watch);
}
