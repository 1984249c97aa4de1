#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/comm/stall.h>

#include "comm/board.h"
#include "comm/stall_private.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_CODE = 3, GRACE_SECONDS = 5, MOST_NAMED = 8, MOST_POLLERS = 4, MESSAGE_BYTES = 1536 };

static const double tell_after_seconds = 1e-3;
static double yield_after_seconds;

/* A long wait leaves the core alone: the rank waited for, another job or the link's own work may want it. */
static const double nap_after_seconds = 5e-3;
static const struct timespec nap = {0, 50000};

static struct {
    sm_comm *world;
    sm_shared shared;
    sm_board_place **place; /* by rank of the node; others' are NULL where nothing is shared */
    int *node_ranks;        /* their ranks in the world */
    char (*hosts)[SM_HOST_BYTES];
    sm_board_entry own;
    double waited_seconds, limit_seconds;
    char *folder;
    void (*report)(void *user, const char *message);
    void *report_user;
    struct {
        void (*poll)(void *user);
        void *user;
    } pollers[MOST_POLLERS];
    int poller_count;
} stall;

/* The thread that copies the board of its node to a file. */
static struct {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    double interval_seconds;
    char *folder;
    int runs, must_end;
} scribe = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- the board ---- */

static void publish(void)
{
    if (stall.place) {
        sm_board_write(stall.place[stall.world->node.rank], &stall.own);
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

double sm_comm_take_waited_seconds(void)
{
    double seconds = stall.waited_seconds;
    stall.waited_seconds = 0;
    return seconds;
}

static void gather_hosts(void)
{
    char name[MPI_MAX_PROCESSOR_NAME] = "";
    int length;
    stall.hosts = sm_alloc_zeroed((size_t)stall.world->size * sizeof *stall.hosts);
    sm_check_mpi(MPI_Get_processor_name(name, &length), "MPI_Get_processor_name");
    name[SM_HOST_BYTES - 1] = 0;
    sm_check_mpi(
        MPI_Allgather(name, SM_HOST_BYTES, MPI_CHAR, stall.hosts, SM_HOST_BYTES, MPI_CHAR, stall.world->handle),
        "MPI_Allgather");
}

void sm_stall_begin(sm_comm *world)
{
    const sm_node *node = &world->node;
    size_t ranks = (size_t)node->size;
    stall.world = world;
    gather_hosts();
    stall.node_ranks = sm_alloc(ranks * sizeof *stall.node_ranks);
    sm_check_mpi(MPI_Allgather(&world->rank, 1, MPI_INT, stall.node_ranks, 1, MPI_INT, node->comm), "MPI_Allgather");
    stall.place = sm_alloc_zeroed(ranks * sizeof *stall.place);
    if (sm_shared_new(node, sm_board_place_bytes(), &stall.shared)) {
        for (size_t i = 0; i < ranks; i++) {
            stall.place[i] = (sm_board_place *)(void *)stall.shared.base[i];
        }
    } else {
        stall.place[node->rank] = sm_alloc_zeroed(sm_board_place_bytes());
    }
    yield_after_seconds = node->size > sysconf(_SC_NPROCESSORS_ONLN) ? 0 : 20e-6;
    sm_comm_set_phase("start", 0, -1);
}

/* ---- files for other nodes ---- */

static double wall_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void write_board(const char *folder)
{
    char *path = sm_format("%s/node-%d", folder, stall.world->rank), *temporary = sm_format("%s.new", path);
    FILE *file = fopen(temporary, "w");
    if (file) {
        fprintf(file, "written %.3f\n", wall_seconds());
        for (int i = 0; i < stall.world->node.size; i++) {
            sm_board_entry entry;
            if (stall.place[i]) {
                sm_board_read(stall.place[i], &entry);
                sm_board_print(file, stall.node_ranks[i], &entry, sm_seconds());
            }
        }
        if (fclose(file) == 0) {
            rename(temporary, path);
        }
    }
    sm_free(path);
    sm_free(temporary);
}

static void *scribe_main(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&scribe.mutex);
    while (!scribe.must_end) {
        write_board(scribe.folder);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        double next = (double)until.tv_nsec * 1e-9 + scribe.interval_seconds;
        until.tv_sec += (time_t)next;
        until.tv_nsec = (long)((next - (double)(time_t)next) * 1e9);
        pthread_cond_timedwait(&scribe.changed, &scribe.mutex, &until);
    }
    pthread_mutex_unlock(&scribe.mutex);
    return NULL;
}

/* Signals are for the main thread. */
static void start_scribe(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    scribe.must_end = 0;
    pthread_cond_init(&scribe.changed, NULL);
    scribe.runs = pthread_create(&scribe.thread, NULL, scribe_main, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_scribe(void)
{
    if (!scribe.runs) {
        return;
    }
    pthread_mutex_lock(&scribe.mutex);
    scribe.must_end = 1;
    pthread_cond_signal(&scribe.changed);
    pthread_mutex_unlock(&scribe.mutex);
    pthread_join(scribe.thread, NULL);
    pthread_cond_destroy(&scribe.changed);
    scribe.runs = 0;
    char *path = sm_format("%s/node-%d", scribe.folder, stall.world->rank);
    unlink(path);
    rmdir(scribe.folder); /* the last one succeeds */
    sm_free(path);
}

void sm_comm_set_stall_limit(double seconds, const char *run_folder)
{
    enum { PER_LIMIT = 4, MOST_SECONDS = 30 };
    stop_scribe();
    sm_free(stall.folder);
    stall.folder = run_folder ? sm_format("%s/ranks", run_folder) : NULL;
    scribe.folder = stall.folder;
    stall.limit_seconds = seconds;
    if (seconds > 0 && stall.folder && stall.world->size > 1 && stall.world->node.count > 1 &&
        stall.world->node.rank == 0) {
        scribe.interval_seconds = seconds / PER_LIMIT < MOST_SECONDS ? seconds / PER_LIMIT : MOST_SECONDS;
        if (mkdir(stall.folder, 0777) != 0 && errno != EEXIST) {
            sm_log_warning("%s: %s; a stall will be diagnosed without the ranks of other nodes", stall.folder,
                           strerror(errno));
            return;
        }
        start_scribe();
    }
}

void sm_comm_set_stall_report(void (*report)(void *user, const char *message), void *user)
{
    stall.report = report;
    stall.report_user = user;
}

void sm_stall_end(void)
{
    stop_scribe();
    sm_free(stall.folder);
    stall.folder = NULL;
    if (stall.place && !stall.shared.is_shared) {
        sm_free(stall.place[stall.world->node.rank]);
    }
    sm_shared_free(&stall.shared);
    sm_free(stall.place);
    sm_free(stall.node_ranks);
    sm_free(stall.hosts);
    stall.place = NULL;
}

/* ---- the diagnosis ---- */

/* What is known of a rank. */
typedef struct sighting {
    sm_board_entry entry;
    double heard_seconds; /* when, sm_seconds(); 0 = never */
} sighting;

static void look_at_node(sighting *seen, double now)
{
    for (int i = 0; i < stall.world->node.size; i++) {
        if (stall.place[i]) {
            sm_board_read(stall.place[i], &seen[stall.node_ranks[i]].entry);
            seen[stall.node_ranks[i]].heard_seconds = now;
        }
    }
}

static void read_board_file(const char *path, sighting *seen, double now)
{
    char line[256];
    double written = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        int rank;
        sm_board_entry entry;
        if (sscanf(line, "written %lf", &written) == 1) {
            continue;
        }
        double age = wall_seconds() - written;
        age = age > 0 ? age : 0;
        if (sm_board_parse(line, &rank, &entry, now, age) && rank >= 0 && rank < stall.world->size &&
            seen[rank].heard_seconds == 0) {
            seen[rank] = (sighting){entry, now - age};
        }
    }
    if (file) {
        fclose(file);
    }
}

static void look_at_files(sighting *seen, double now)
{
    DIR *folder = stall.folder && stall.world->node.count > 1 ? opendir(stall.folder) : NULL;
    for (const struct dirent *item; folder && (item = readdir(folder));) {
        if (strncmp(item->d_name, "node-", 5) == 0 && !strchr(item->d_name, '.')) {
            char *path = sm_format("%s/%s", stall.folder, item->d_name);
            read_board_file(path, seen, now);
            sm_free(path);
        }
    }
    if (folder) {
        closedir(folder);
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

static void add_rank(message *m, int rank, const sighting *seen, double now)
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

typedef enum kind { IS_SILENT, COMPUTES, WAITS, KINDS } kind;

/* Silent: its node wrote nothing for half of the limit, so it is gone or cut off from the run folder too. */
static kind kind_of(const sighting *seen, double now)
{
    if (now - seen->heard_seconds > stall.limit_seconds / 2 + 1) {
        return IS_SILENT;
    }
    return *seen->entry.waiting ? WAITS : COMPUTES;
}

static void add_kind(message *m, kind wanted, const sighting *seen, double now)
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

static void diagnose(message *m, double waited, double now)
{
    sighting *seen = sm_alloc_zeroed((size_t)stall.world->size * sizeof *seen);
    int counts[KINDS] = {0};
    look_at_node(seen, now);
    look_at_files(seen, now);
    for (int rank = 0; rank < stall.world->size; rank++) {
        counts[kind_of(&seen[rank], now)] += rank != stall.world->rank;
    }
    add(m, "stalled: waited ");
    add_age(m, waited);
    add(m, " for ");
    add_waiting(m, &stall.own);
    add(m, "; ");
    if (counts[COMPUTES]) {
        add(m, "not arrived: ");
        add_kind(m, COMPUTES, seen, now);
        add(m, counts[IS_SILENT] ? "; " : "");
    }
    if (counts[IS_SILENT]) {
        add(m, "lost or cut off: ");
        add_kind(m, IS_SILENT, seen, now);
    }
    if (!counts[COMPUTES] && !counts[IS_SILENT]) {
        add(m, "all ranks wait, %s: ",
            several_hosts() ? "so messages do not arrive (a link is down?)" : "each for another");
        add_kind(m, WAITS, seen, now);
    }
    sm_free(seen);
}

/* ---- the end ---- */

static void leave(int unused)
{
    (void)unused;
    _exit(EXIT_CODE);
}

/* MPI_Abort may itself wait for what is lost. */
_Noreturn static void end_all_ranks(void)
{
    signal(SIGALRM, leave);
    sigset_t own;
    sigemptyset(&own);
    sigaddset(&own, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    alarm(GRACE_SECONDS);
    MPI_Abort(MPI_COMM_WORLD, EXIT_CODE);
    _exit(EXIT_CODE);
}

/* One rank a node speaks; the others give it time to do so. */
_Noreturn static void end_stalled_run(double waited, double now)
{
    sm_board_place *place = stall.place[0] ? stall.place[0] : stall.place[stall.world->node.rank];
    if (sm_board_claim(place)) {
        message m = {.length = 0};
        diagnose(&m, waited, now);
        sm_log_error("%s", m.text);
        if (stall.report) {
            stall.report(stall.report_user, m.text);
        }
    } else {
        struct timespec patience = {2, 0};
        nanosleep(&patience, NULL);
    }
    end_all_ranks();
}

/* ---- the wait ---- */

void sm_poller_add(void (*poll)(void *user), void *user)
{
    if (stall.poller_count == MOST_POLLERS) {
        sm_abort("more than %d reductions at a time", MOST_POLLERS);
    }
    stall.pollers[stall.poller_count].poll = poll;
    stall.pollers[stall.poller_count++].user = user;
}

void sm_poller_remove(void (*poll)(void *user), void *user)
{
    for (int i = 0; i < stall.poller_count; i++) {
        if (stall.pollers[i].poll == poll && stall.pollers[i].user == user) {
            stall.pollers[i] = stall.pollers[--stall.poller_count];
            return;
        }
    }
}

static void tell_wait(const sm_wait_reason *reason, double begin)
{
    set_text(stall.own.waiting, reason ? reason->what : "");
    stall.own.bucket = reason ? reason->number : 0;
    stall.own.buckets = reason ? reason->count : 0;
    stall.own.waiting_since_seconds = begin;
    publish();
}

void sm_wait(int (*finished)(void *user), void *user, const sm_wait_reason *reason)
{
    enum { POLLS_PER_CLOCK = 8 };
    if (finished(user)) {
        return;
    }
    double begin = sm_seconds();
    int told = 0;
    for (unsigned polls = 1; !finished(user); polls++) {
        if (polls % POLLS_PER_CLOCK != 0) {
            continue;
        }
        double waited = sm_seconds() - begin;
        if (waited > yield_after_seconds) {
            sched_yield(); /* the rank waited for may want this core */
        }
        if (waited > nap_after_seconds) {
            nanosleep(&nap, NULL);
        }
        for (int i = 0; i < stall.poller_count; i++) {
            stall.pollers[i].poll(stall.pollers[i].user);
        }
        if (!told && waited > tell_after_seconds) {
            tell_wait(reason, begin);
            told = 1;
        }
        if (stall.limit_seconds > 0 && waited > stall.limit_seconds) {
            end_stalled_run(waited, begin + waited);
        }
    }
    stall.waited_seconds += sm_seconds() - begin;
    if (told) {
        tell_wait(NULL, 0);
    }
}

static int request_finished(void *user)
{
    int finished = 0;
    sm_check_mpi(MPI_Test(user, &finished, MPI_STATUS_IGNORE), "MPI_Test");
    return finished;
}

void sm_wait_for_request(MPI_Request *request, const char *what)
{
    sm_wait(request_finished, request, &(sm_wait_reason){what, 0, 0});
}
