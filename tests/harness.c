#define _XOPEN_SOURCE 700
#include "harness.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/base/status.h>
#include <sigmatic/ops/isa.h>
#include <sigmatic/train/init.h>

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

/* What became of a test, in the order of the suite. */
typedef struct outcome {
    int64_t failed, skipped; /* on how many ranks */
    const char *why;         /* it was skipped, on this rank */
    const char *set;         /* of instructions, that it runs by; NULL: the one in use */
    void (*test)(void);
} outcome;

enum { MOST_TESTS = 256 };
static outcome outcomes[MOST_TESTS];
static int test_count;
static double share_of_set = 1; /* of what is random or large, that the running test takes part in */

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
    test_comm = sm_init(argc, argv);
    program = strrchr((*argv)[0], '/') ? strrchr((*argv)[0], '/') + 1 : (*argv)[0];
    if (sm_isa_begin() != SM_OK) {
        sm_abort("%s", sm_error_message());
    }
    sm_log_set_quiet(1);
    CU_initialize_registry();
    suite = CU_add_suite(program, NULL, NULL);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

/* The place in the suite of a test that ran. */
static outcome *outcome_of(const CU_Test *test)
{
    outcome *found = outcomes;
    for (const CU_Test *each = suite->pTest; each != test; each = each->pNext) {
        found++;
    }
    return found;
}

/* What every rank tells of its tests, summed. */
static void collect_outcomes(void)
{
    for (const CU_FailureRecord *each = CU_get_failure_list(); each; each = each->pNext) {
        if (each->pTest) {
            outcome_of(each->pTest)->failed = 1;
        }
    }
    for (int i = 0; i < test_count; i++) {
        int64_t counts[2] = {outcomes[i].failed, outcomes[i].skipped};
        sm_comm_sum_int64(test_comm, counts, 2);
        outcomes[i].failed = counts[0];
        outcomes[i].skipped = counts[1];
    }
}

/* \return 1 for the sets that every processor has, next to one of its own: they are slower, and alike everywhere */
static int is_slow(const char *set)
{
    char *sets = sm_isa_supported();
    int is = (strcmp(set, "blis") == 0 || strcmp(set, "plain") == 0) && strncmp(sets, set, strlen(set)) != 0;
    sm_free(sets);
    return is;
}

static void run_test(void)
{
    const double SLOW_SHARE = 0.2;
    const outcome *one = outcome_of(CU_get_current_test());
    if (!one->set || sm_test_has(one->set)) {
        /* a test before this one may have ended early, in its own */
        sm_isa_select(one->set);
        share_of_set = one->set && is_slow(one->set) ? SLOW_SHARE : 1;
        one->test();
        sm_isa_select(NULL);
    }
}

static void add(const char *name, const char *set, void (*test)(void))
{
    if (test_count >= MOST_TESTS) {
        sm_abort("more than %d tests in a program", MOST_TESTS);
    }
    outcomes[test_count++] = (outcome){.set = set, .test = test};
    CU_add_test(suite, name, run_test);
}

void sm_test_add(const char *name, void (*test)(void))
{
    add(name, NULL, test);
}

static int has_set(const char *word)
{
    int found = sm_isa_select(word);
    sm_isa_select(NULL);
    return found;
}

static void nothing(void)
{
}

/* What a processor lacks is one skipped test, not as many as there could be. */
void sm_test_add_by_sets(const char *name, void (*test)(void))
{
    static const char *const sets[] = {"amx", "avx512bf16", "avx512", "avx2", "blis", "plain"};
    enum { SETS = sizeof sets / sizeof *sets };
    static int is_named[SETS];
    for (int i = 0; i < SETS; i++) {
        int has = has_set(sets[i]);
        char *full = sm_format("%s_by_%s", has ? name : "kernels", sets[i]);
        if (has || !is_named[i]) {
            add(full, sets[i], has ? test : nothing);
        }
        is_named[i] = 1;
        sm_free(full);
    }
}

/* Adds a line a test to the summary that tests/report.sh counts, and says what was skipped. Rank 0 only. */
static void report(int64_t asserts)
{
    const char *path = getenv("SIGMATIC_SUMMARY");
    FILE *summary = path ? fopen(path, "a") : NULL;
    int passed = 0, failed = 0, skipped = 0, ranks = sm_comm_size(test_comm), i = 0;
    for (const CU_Test *test = suite->pTest; test; test = test->pNext, i++) {
        const outcome *one = outcomes + i;
        const char *word = one->failed ? "failed" : one->skipped ? "skipped" : "passed";
        const char *why = one->why ? one->why : "on another rank";
        failed += one->failed > 0;
        skipped += !one->failed && one->skipped;
        passed += !one->failed && !one->skipped;
        if (!one->failed && one->skipped) {
            printf("skipped: %s: %s\n", test->pName, why);
        }
        if (summary) {
            fprintf(summary, "%s %s on %d: %s%s%s\n", word, program, ranks, test->pName, *word == 's' ? ": " : "",
                    *word == 's' ? why : "");
        }
    }
    if (summary) {
        fclose(summary);
    }
    printf("%s on %d rank%s: %d passed, %d failed, %d skipped (%lld asserts)\n", program, ranks, ranks > 1 ? "s" : "",
           passed, failed, skipped, (long long)asserts);
}

int sm_test_end(void)
{
    CU_run_all_tests();
    int64_t counts[3] = {CU_get_number_of_failures(), CU_get_number_of_asserts(), 0};
    if (CU_get_number_of_failures() > 0) {
        CU_basic_show_failures(CU_get_failure_list());
        fflush(stdout);
    }
    collect_outcomes();
    for (int i = 0; i < test_count; i++) {
        counts[2] += outcomes[i].skipped;
    }
    sm_comm_sum_int64(test_comm, counts, 3);
    if (sm_comm_rank(test_comm) == 0) {
        report(counts[1]);
        if (*folder) {
            nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        }
    }
    CU_cleanup_registry();
    sm_finalize();
    return counts[0] > 0 || counts[1] + counts[2] == 0;
}

/* ---- what a machine may lack -------------------------------------------------------------------------------------- */

static int has_h5py(const char *word)
{
    (void)word;
    return sm_test_python() != NULL;
}

static const struct {
    const char *word;
    int (*has)(const char *word);
    const char *why;
} needs[] = {
    {"amx", has_set, "this processor has no AMX with bfloat16, or the system does not allow it"},
    {"avx512bf16", has_set, "this processor has no AVX-512 with bfloat16"},
    {"avx512", has_set, "this processor has no AVX-512"},
    {"avx2", has_set, "this processor has no AVX2 with FMA"},
    {"blis", has_set, "the tile of BLIS's micro-kernel is too large"},
    {"plain", has_set, ""},
    {"h5py", has_h5py, "no Python with h5py and numpy"},
};

int sm_test_has(const char *word)
{
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        if (strcmp(needs[i].word, word) == 0) {
            int has = needs[i].has(word);
            if (!has) {
                sm_test_skip(word, needs[i].why);
            }
            return has;
        }
    }
    sm_abort("SM_TEST_NEEDS(\"%s\"): no such word", word);
}

/* Whether SIGMATIC_REQUIRE, words with spaces between them, has this one. */
static int is_required(const char *word)
{
    const char *required = getenv("SIGMATIC_REQUIRE");
    char *padded = sm_format(" %s ", required ? required : ""), *wanted = sm_format(" %s ", word);
    int found = strstr(padded, wanted) != NULL;
    sm_free(wanted);
    sm_free(padded);
    return found;
}

void sm_test_skip(const char *word, const char *why)
{
    if (is_required(word)) {
        fprintf(stderr, "SIGMATIC_REQUIRE has %s: %s\n", word, why);
        CU_FAIL("a part of the machine that SIGMATIC_REQUIRE demands");
        return;
    }
    outcome *one = outcome_of(CU_get_current_test());
    one->skipped = 1;
    one->why = why;
}

const char *sm_test_python(void)
{
    static const char *const candidates[] = {"python3", "/usr/bin/python3"};
    for (int i = -1; i < 2; i++) {
        const char *python = i < 0 ? getenv("PYTHON") : candidates[i];
        if (python && *python) {
            char *command = sm_format("'%s' -c 'import h5py, numpy' >/dev/null 2>&1", python);
            int code = system(command);
            sm_free(command);
            if (code == 0) {
                return python;
            }
        }
    }
    return NULL;
}

int sm_test_worse(double *worst, double error)
{
    int is_worse = isnan(error) || error > *worst; /* nothing is greater than a NaN */
    if (is_worse) {
        *worst = error;
    }
    return is_worse;
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
        sm_test_worse(&worst, fabs((double)a[i] - b[i]));
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
        fprintf(stderr, "%s:%d: %s: status %d: %s\n", file, line, what, status, sm_error_message());
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
    int rounds = (int)(full * share_of_set * (share ? atof(share) : 1));
    return rounds > 0 ? rounds : 1;
}

void sm_test_fill(float *values, size_t count, unsigned seed)
{
    sm_random random = sm_random_new(seed, 1, 0);
    for (size_t i = 0; i < count; i++) {
        values[i] = sm_random_normal(&random);
    }
}
