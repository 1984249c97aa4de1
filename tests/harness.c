#define _XOPEN_SOURCE 700
#include "harness.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/random.h>
#include <sigmatic/base/status.h>

#include <CUnit/Basic.h>
#include <ftw.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
/* What AddressSanitizer asks every program for. The libraries' leaks are not ours; to see whose one is, it has to walk
 * stacks without frame pointers. A test that allocates too often for that has a version of its own. */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

__attribute__((weak)) const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

const char *__lsan_default_suppressions(void)
{
    return "leak:libmpi\nleak:libopen-rte\nleak:libopen-pal\nleak:libevent\nleak:libhdf5\n";
}
#endif

sm_comm *test_comm;
static CU_pSuite suite;
static const char *program;
static char folder[PATH_MAX];

sm_comm *sm_test_nodes(int ranks_per_node)
{
    char text[16];
    snprintf(text, sizeof text, "%d", ranks_per_node);
    setenv("SIGMATIC_RANKS_PER_NODE", text, 1);
    sm_comm *comm = sm_comm_part_new(test_comm, sm_comm_size(test_comm));
    unsetenv("SIGMATIC_RANKS_PER_NODE");
    return comm;
}

void sm_test_begin(int *argc, char ***argv)
{
    sm_comm_begin(argc, argv);
    test_comm = sm_comm_world();
    program = strrchr((*argv)[0], '/') ? strrchr((*argv)[0], '/') + 1 : (*argv)[0];
    sm_log_set_quiet(1);
    CU_initialize_registry();
    suite = CU_add_suite(program, NULL, NULL);
}

void sm_test_add(const char *name, void (*test)(void))
{
    CU_add_test(suite, name, test);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

int sm_test_end(void)
{
    CU_run_all_tests();
    int64_t counts[3] = {CU_get_number_of_failures(), CU_get_number_of_asserts(), CU_get_number_of_tests_failed()};
    if (CU_get_number_of_failures() > 0) {
        CU_basic_show_failures(CU_get_failure_list());
        fflush(stdout);
    }
    unsigned tests = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    sm_comm_sum_int64(test_comm, counts, 3);
    int rank = sm_comm_rank(test_comm);
    if (rank == 0) {
        printf("%s on %d rank%s: %u tests, %lld asserts, %lld failed\n", program, sm_comm_size(test_comm),
               sm_comm_size(test_comm) > 1 ? "s" : "", tests, (long long)counts[1], (long long)counts[0]);
        if (*folder) {
            nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        }
    }
    sm_comm_end();
    return counts[0] > 0 || counts[1] == 0;
}

double sm_test_relative_error(const float *a, const float *b, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)a[i] - b[i];
        difference += d * d;
        norm += (double)b[i] * b[i];
    }
    return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

double sm_test_max_error(const float *a, const float *b, size_t count)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)a[i] - b[i]);
        if (!(d <= worst)) {
            worst = d;
        }
        if (isnan(d)) {
            return d;
        }
    }
    return worst;
}

void sm_test_at_most(double value, double bound, const char *what, const char *file, int line)
{
    if (!(value <= bound)) {
        fprintf(stderr, "%s:%d: %s = %g, at most %g expected\n", file, line, what, value, bound);
    }
    CU_assertImplementation(value <= bound, (unsigned)line, what, file, "", CU_FALSE);
}

void sm_test_ok(int status, const char *what, const char *file, int line)
{
    if (status != SM_OK) {
        fprintf(stderr, "%s:%d: %s: %s: %s\n", file, line, what, sm_status_name((sm_status)status), sm_error_message());
    }
    CU_assertImplementation(status == SM_OK, (unsigned)line, what, file, "", CU_FALSE);
}

void sm_test_message(const char *part, const char *file, int line)
{
    int found = strstr(sm_error_message(), part) != NULL;
    if (!found) {
        fprintf(stderr, "%s:%d: message '%s' lacks '%s'\n", file, line, sm_error_message(), part);
    }
    CU_assertImplementation(found, (unsigned)line, part, file, "", CU_FALSE);
}

const char *sm_test_folder(void)
{
    if (!*folder) {
        if (sm_comm_rank(test_comm) == 0) {
            const char *base = getenv("TMPDIR");
            snprintf(folder, sizeof folder, "%s/sigmatic-test-XXXXXX", base ? base : "/tmp");
            if (!mkdtemp(folder)) {
                sm_abort("no scratch folder %s", folder);
            }
        }
        sm_comm_broadcast(test_comm, folder, sizeof folder, 0);
    }
    return folder;
}

int sm_test_rounds(int full)
{
    const char *share = getenv("SIGMATIC_TEST_SHARE");
    int rounds = share ? (int)(full * atof(share)) : full;
    return rounds > 0 ? rounds : 1;
}

void sm_test_fill(float *values, size_t count, unsigned seed)
{
    sm_random random = sm_random_new(seed, 1, 0);
    for (size_t i = 0; i < count; i++) {
        values[i] = sm_random_normal(&random);
    }
}
