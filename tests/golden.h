/** \file
 * Expected values that others computed: tests/golden/<name>.h5, made by the script beside it, and ONNX's test vectors.
 * Whatever is missing in a file, or is otherwise than asked for, fails the running test. */
#ifndef SIGMATIC_TESTS_GOLDEN_H
#define SIGMATIC_TESTS_GOLDEN_H

#include "harness.h"

#include <sigmatic/io/h5.h>

/** \return the path of tests/golden/<name>, freed with sm_free(); the folder is $SIGMATIC_TESTS, else ./tests. */
char *golden_path(const char *name);

/** Opens tests/golden/<name>. */
sm_h5 *golden_open(const char *name);

/** \return a whole dataset <group>/<name>, zeros if there is none (and a failed assertion); freed with sm_free(). */
void *golden_read(const sm_h5 *file, const char *group, const char *name, sm_h5_type type, sm_h5_info *info);

double golden_number(const sm_h5 *file, const char *group, const char *name);

/** \return the ONNX vectors that golden/export_onnx.py makes readable, opened once; the caller closes them. NULL where
 * libonnx-testdata or h5py is missing: the running test counts as skipped and should return. */
sm_h5 *golden_onnx(void);

/* ---- one case of a file: a group with attributes and arrays --------------------------------------------------------- */

enum { GOLDEN_MAX_ARRAYS = 32 };

typedef struct golden_case {
    const sm_h5 *file;
    const char *group; /* "/conv2d/007" */
    int broken;        /* something was missing: the numbers mean nothing */
    void *arrays[GOLDEN_MAX_ARRAYS];
    int array_count;
} golden_case;

/** Frees the arrays that came after the first `kept`. */
void golden_release(golden_case *from, int kept);

/** Calls `test` for every group in `group`; \return how many there were. */
int golden_for_each(const sm_h5 *file, const char *group, void (*test)(golden_case *));

/** \return an attribute; 0 and a failed assertion if there is none. */
int golden_attribute(golden_case *from, const char *name);

double golden_attribute_double(golden_case *from, const char *name);

/** \return whether a text attribute is `expected`. */
int golden_attribute_is(golden_case *from, const char *name, const char *expected);

/** \return whether there is an array of that name. */
int golden_has(const golden_case *from, const char *name);

/** \return an array as floats, freed with the case.
 * \param [out] info  its shape, or NULL */
float *golden_array(golden_case *from, const char *name, sm_h5_info *info);

/** \return `count` floats, NaN, freed with the case: for results of which nothing may be left unwritten or read
 * before. */
float *golden_result(golden_case *from, size_t count);

/** Asserts that `found` is the array `name` but for a relative error (L2) of `bound`. */
void golden_compare(golden_case *from, const char *name, const float *found, double bound);

#endif
