/** \file
 * One case of a file of reference numbers: a group with attributes and arrays. Wrong or missing things fail the
 * running test. */
#ifndef SIGMATIC_TESTS_GOLDEN_CASE_H
#define SIGMATIC_TESTS_GOLDEN_CASE_H

#include "golden_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GOLDEN_MAX_ARRAYS = 32 };

typedef struct golden_case {
    const sm_h5 *file;
    const char *group; /* "/conv2d/007" */
    int broken;        /* something was missing: the numbers mean nothing */
    void *arrays[GOLDEN_MAX_ARRAYS];
    int array_count;
} golden_case;

static inline const char *golden_path(const golden_case *from, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", from->group, name);
    return path;
}

static inline void golden_check(golden_case *from, sm_status status)
{
    SM_TEST_OK(status);
    from->broken |= status != SM_OK;
}

static inline void *golden_keep(golden_case *from, void *array)
{
    CU_ASSERT_FATAL(from->array_count < GOLDEN_MAX_ARRAYS);
    return from->arrays[from->array_count++] = array;
}

/** Frees the arrays that came after the first `kept`. */
static inline void golden_release(golden_case *from, int kept)
{
    while (from->array_count > kept) {
        sm_free(from->arrays[--from->array_count]);
    }
}

/** Calls `test` for every group in `group`; \return how many there were. */
static inline int golden_for_each(const sm_h5 *file, const char *group, void (*test)(golden_case *))
{
    char **names = NULL, path[256];
    size_t count = 0;
    SM_TEST_OK(sm_h5_list(file, group, &names, &count));
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", group, names[i]);
        golden_case one = {.file = file, .group = path};
        test(&one);
        for (int a = 0; a < one.array_count; a++) {
            sm_free(one.arrays[a]);
        }
    }
    sm_free(names);
    return (int)count;
}

/** \return an attribute; 0 and a failed assertion if there is none. */
static inline int golden_attribute(golden_case *from, const char *name)
{
    int64_t value = 0;
    golden_check(from, sm_h5_read_attribute_int64(from->file, from->group, name, &value));
    return (int)value;
}

static inline double golden_attribute_double(golden_case *from, const char *name)
{
    double value = 0.0;
    golden_check(from, sm_h5_read_attribute_double(from->file, from->group, name, &value));
    return value;
}

/** \return whether a text attribute is `expected`. */
static inline int golden_attribute_is(golden_case *from, const char *name, const char *expected)
{
    char *text = NULL;
    golden_check(from, sm_h5_read_attribute_text(from->file, from->group, name, &text));
    int same = text && strcmp(text, expected) == 0;
    sm_free(text);
    return same;
}

/** \return whether there is an array of that name. */
static inline int golden_has(const golden_case *from, const char *name)
{
    return sm_h5_has_dataset(from->file, golden_path(from, name));
}

/** \return an array as floats, freed with the case.
 * \param [out] info  its shape, or NULL */
static inline float *golden_array(golden_case *from, const char *name, sm_h5_info *info)
{
    sm_h5_info found = {0};
    golden_check(from, sm_h5_query(from->file, golden_path(from, name), &found));
    float *array = golden_keep(from, sm_alloc((found.count + 16) * sizeof(float)));
    if (!from->broken) {
        golden_check(from,
                     sm_h5_read(from->file, golden_path(from, name), SM_H5_FLOAT, found.rank, found.shape, array));
    }
    if (info) {
        *info = found;
    }
    return array;
}

/** \return `count` floats, NaN, freed with the case: for results of which nothing may be left unwritten or read
 * before. */
static inline float *golden_result(golden_case *from, size_t count)
{
    float *array = golden_keep(from, sm_alloc((count + 16) * sizeof(float)));
    for (size_t i = 0; i < count; i++) {
        array[i] = NAN;
    }
    return array;
}

/** Asserts that `found` is the array `name` but for a relative error (L2) of `bound`. */
static inline void golden_compare(golden_case *from, const char *name, const float *found, double bound)
{
    sm_h5_info info;
    const float *expected = golden_array(from, name, &info);
    double error = from->broken ? NAN : sm_test_relative_error(found, expected, info.count);
    if (!(error <= bound)) {
        fprintf(stderr, "%s/%s: ", from->group, name);
    }
    SM_TEST_AT_MOST(error, bound);
}

#endif
