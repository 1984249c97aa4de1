#include "golden.h"

#include <sigmatic/base/memory.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

char *golden_path(const char *name)
{
    const char *tests = getenv("SIGMATIC_TESTS");
    return sm_format("%s/golden/%s", tests ? tests : "tests", name);
}

sm_h5 *golden_open(const char *name)
{
    char *path = golden_path(name);
    sm_h5 *file = NULL;
    SM_TEST_OK(sm_h5_open(path, &file));
    sm_free(path);
    if (!file) {
        exit(1);
    }
    return file;
}

void *golden_read(const sm_h5 *file, const char *group, const char *name, sm_h5_type type, sm_h5_info *info)
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

double golden_number(const sm_h5 *file, const char *group, const char *name)
{
    double *value = golden_read(file, group, name, SM_H5_DOUBLE, NULL);
    double number = *value;
    sm_free(value);
    return number;
}

enum { ONNX_MISSING = 3 }; /* exit code of the script */

static sm_h5 *export_onnx(void)
{
    const char *tests = getenv("SIGMATIC_TESTS");
    char *path = sm_format("%s/onnx.h5", sm_test_folder());
    char *command = sm_format("'%s' '%s/golden/export_onnx.py' '%s'", sm_test_python(), tests ? tests : "tests", path);
    sm_h5 *file = NULL;
    int code = system(command);
    if (code < 0 || !WIFEXITED(code) || WEXITSTATUS(code) != ONNX_MISSING) {
        SM_TEST_OK(sm_h5_open(path, &file));
    }
    sm_free(command);
    sm_free(path);
    return file;
}

sm_h5 *golden_onnx(void)
{
    static sm_h5 *file;
    static int tried;
    if (!tried && sm_test_has("h5py")) {
        file = export_onnx();
    }
    tried = 1;
    if (!file) {
        sm_test_skip("onnx", "no test vectors of ONNX (Debian package libonnx-testdata), or no h5py to read them");
    }
    return file;
}

/* ---- one case ------------------------------------------------------------------------------------------------------- */

static const char *path(const golden_case *from, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", from->group, name);
    return path;
}

static void check(golden_case *from, sm_status status)
{
    SM_TEST_OK(status);
    from->broken |= status != SM_OK;
}

static void *keep(golden_case *from, void *array)
{
    CU_ASSERT_FATAL(from->array_count < GOLDEN_MAX_ARRAYS);
    return from->arrays[from->array_count++] = array;
}

void golden_release(golden_case *from, int kept)
{
    while (from->array_count > kept) {
        sm_free(from->arrays[--from->array_count]);
    }
}

int golden_for_each(const sm_h5 *file, const char *group, void (*test)(golden_case *))
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

int golden_attribute(golden_case *from, const char *name)
{
    int64_t value = 0;
    check(from, sm_h5_read_attribute_int64(from->file, from->group, name, &value));
    return (int)value;
}

double golden_attribute_double(golden_case *from, const char *name)
{
    double value = 0.0;
    check(from, sm_h5_read_attribute_double(from->file, from->group, name, &value));
    return value;
}

int golden_attribute_is(golden_case *from, const char *name, const char *expected)
{
    char *text = NULL;
    check(from, sm_h5_read_attribute_text(from->file, from->group, name, &text));
    int same = text && strcmp(text, expected) == 0;
    sm_free(text);
    return same;
}

int golden_has(const golden_case *from, const char *name)
{
    return sm_h5_has_dataset(from->file, path(from, name));
}

float *golden_array(golden_case *from, const char *name, sm_h5_info *info)
{
    sm_h5_info found = {0};
    check(from, sm_h5_query(from->file, path(from, name), &found));
    float *array = keep(from, sm_alloc((found.count + 16) * sizeof(float)));
    if (!from->broken) {
        check(from, sm_h5_read(from->file, path(from, name), SM_H5_FLOAT, found.rank, found.shape, array));
    }
    if (info) {
        *info = found;
    }
    return array;
}

float *golden_result(golden_case *from, size_t count)
{
    float *array = keep(from, sm_alloc((count + 16) * sizeof(float)));
    for (size_t i = 0; i < count; i++) {
        array[i] = NAN;
    }
    return array;
}

void golden_compare(golden_case *from, const char *name, const float *found, double bound)
{
    sm_h5_info info;
    const float *expected = golden_array(from, name, &info);
    double error = from->broken ? NAN : sm_test_relative_error(found, expected, info.count);
    if (!(error <= bound)) {
        fprintf(stderr, "%s/%s: ", from->group, name);
    }
    SM_TEST_AT_MOST(error, bound);
}
