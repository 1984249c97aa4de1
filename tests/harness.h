/** \file
 * The frame of every test program: CUnit inside MPI, failures summed over the ranks into one exit code.
 *
 * The first line of a test program names its rank counts, `/\* ranks: 1 2 3 4 *\/`; tests/run.sh runs it once with each. */
#ifndef SIGMATIC_TESTS_HARNESS_H
#define SIGMATIC_TESTS_HARNESS_H

#include <CUnit/CUnit.h>
#include <stddef.h>

#include <sigmatic/base/memory.h>
#include <sigmatic/comm/comm.h>

/** The communicator of all ranks of the test program, valid between begin and end. */
extern sm_comm *test_comm;

/** \return all ranks, as if nodes had at most `ranks_per_node` of them (0: as they are); freed with sm_comm_part_free().
 * Collective. */
sm_comm *sm_test_nodes(int ranks_per_node);

void sm_test_begin(int *argc, char ***argv);
void sm_test_add(const char *name, void (*test)(void));
#define SM_TEST(function) sm_test_add(#function, function)

/** The same for a test of kernels: once by each instruction set that this CPU has (ops/isa.h), whatever SIGMATIC_ISA says, and
 * named for it, test_by_avx2; each that it lacks counts as one skipped test of the program. */
#define SM_TEST_BY_SETS(function) sm_test_add_by_sets(#function, function)
void sm_test_add_by_sets(const char *name, void (*test)(void));

/** Runs the tests and reports each, on stdout and in the file $SIGMATIC_SUMMARY (see report.sh); every rank returns the
 * same: 0 only if no assertion failed on any rank, and at least one ran or a test was skipped. */
int sm_test_end(void);

/** Leaves the running test, counted as skipped, where this machine lacks `word`: an instruction set, h5py. Every
 * rank must come to the same answer. A word of $SIGMATIC_REQUIRE fails the test instead. */
#define SM_TEST_NEEDS(word)                                                                                            \
    do {                                                                                                               \
        if (!sm_test_has(word)) {                                                                                      \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
int sm_test_has(const char *word);

/** Counts the running test, which should end now, as skipped; or as failed, if $SIGMATIC_REQUIRE has `word`, one of those
 * of report.sh. `why` (a constant) completes "skipped: NAME: ". */
void sm_test_skip(const char *word, const char *why);

/** \return a Python that has h5py and numpy: $PYTHON, python3 or /usr/bin/python3; NULL if none has. */
const char *sm_test_python(void);

/** Keeps the worst of many errors: a NaN is worse than any number, and stays.
 * \param [in,out] worst  so far, 0 at first
 * \return 1 if `error` is now the worst */
int sm_test_worse(double *worst, double error);

/** \return ||a - b|| / ||b|| over `count` floats; a NaN in either gives NaN (which fails every comparison). */
double sm_test_relative_error(const float *a, const float *b, size_t count);

/** \return max |a - b|; a NaN anywhere gives NaN. */
double sm_test_max_error(const float *a, const float *b, size_t count);

/** Asserts `value <= bound`, printing both on failure; NaN fails. */
#define SM_TEST_AT_MOST(value, bound) sm_test_at_most((value), (bound), #value, __FILE__, __LINE__)
void sm_test_at_most(double value, double bound, const char *what, const char *file, int line);

/** Asserts sm_status OK, printing the message on failure. */
#define SM_TEST_OK(call) sm_test_ok((call), #call, __FILE__, __LINE__)
void sm_test_ok(int status, const char *what, const char *file, int line);

/** Asserts that the last message contains `part`. */
#define SM_TEST_MESSAGE(part) sm_test_message((part), __FILE__, __LINE__)
void sm_test_message(const char *part, const char *file, int line);

/** \return the path of a fresh scratch folder of this program (the same on every rank), removed at the end. */
const char *sm_test_folder(void);

/** \return how often to repeat something random or large: `full` times, or the share of that (at least once) that the
 * environment's SIGMATIC_TEST_SHARE names, for processors that are emulated; in a test by sets a fifth of that for `blis` and `plain` where the
 * processor has better ones. */
int sm_test_rounds(int full);

/** Fills with standard normal numbers named by (seed). */
void sm_test_fill(float *values, size_t count, unsigned seed);

#endif
