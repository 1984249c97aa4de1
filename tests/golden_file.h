/** \file
 * Reading expected values that others computed: datasets of tests/golden/<name>.h5, made by the script beside them. */
#ifndef SIGMATIC_TESTS_GOLDEN_FILE_H
#define SIGMATIC_TESTS_GOLDEN_FILE_H

#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/h5.h>

#include <stdlib.h>

/** Opens tests/golden/<name>; the folder is $SIGMATIC_TESTS, else ./tests. */
static inline sm_h5 *golden_open(const char *name)
{
    const char *tests = getenv("SIGMATIC_TESTS");
    char *path = sm_format("%s/golden/%s", tests ? tests : "tests", name);
    sm_h5 *file = NULL;
    SM_TEST_OK(sm_h5_open(path, &file));
    sm_free(path);
    if (!file) {
        exit(1);
    }
    return file;
}

/** \return a whole dataset <group>/<name>, zeros if there is none (and a failed assertion); freed with sm_free(). */
static inline void *golden_read(const sm_h5 *file, const char *group, const char *name, sm_h5_type type,
                                sm_h5_info *info)
{
    sm_h5_info found = {0};
    char *object = sm_format("%s/%s", group, name);
    SM_TEST_OK(sm_h5_query(file, object, &found));
    void *values = sm_alloc_zeroed((found.count ? found.count : 1) * sm_h5_type_bytes(type));
    SM_TEST_OK(sm_h5_read(file, object, type, found.rank, found.shape, values));
    sm_free(object);
    if (info) {
        *info = found;
    }
    return values;
}

static inline double golden_number(const sm_h5 *file, const char *group, const char *name)
{
    double *value = golden_read(file, group, name, SM_H5_DOUBLE, NULL);
    double number = *value;
    sm_free(value);
    return number;
}

#endif
