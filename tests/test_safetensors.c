/* ranks: 1 */
#include "golden.h"
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/safetensors.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *in_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", sm_test_folder(), name);
    return path;
}

static const sm_safetensor *find(const sm_safetensors *file, const char *name)
{
    for (size_t i = 0; i < sm_safetensors_count(file); i++) {
        if (strcmp(sm_safetensors_get(file, i)->name, name) == 0) {
            return sm_safetensors_get(file, i);
        }
    }
    return NULL;
}

/* ---- what the format's own library wrote ---- */

static void expect_tensor(const sm_safetensors *file, const char *name, const char *type, const size_t *shape, int rank,
                          const float *expected)
{
    float values[16] = {0};
    const sm_safetensor *tensor = find(file, name);
    CU_ASSERT_FATAL(tensor != NULL && tensor->count <= 16);
    CU_ASSERT(strcmp(tensor->type, type) == 0 && tensor->rank == rank && tensor->is_real == (expected != NULL));
    size_t count = 1;
    for (int d = 0; d < rank; d++) {
        CU_ASSERT(tensor->shape[d] == shape[d]);
        count *= shape[d];
    }
    CU_ASSERT(tensor->count == count);
    if (expected) {
        SM_TEST_OK(sm_safetensors_read(file, tensor, values));
        CU_ASSERT(memcmp(values, expected, count * sizeof *values) == 0);
    }
}

static void the_librarys_file_is_read(void)
{
    size_t before = sm_memory_held_bytes();
    sm_safetensors *file = NULL;
    float eighths[12], thirds[12];
    for (int i = 0; i < 12; i++) {
        eighths[i] = (float)i / 8 - 0.5f;
        thirds[i] = (float)((i / 8.0 - 0.5) / 3);
    }
    const float halves[] = {1, -2.5f, 0x1p-24f, 65504, INFINITY}, brains[] = {1, -2.5f, 0x1p-100f, 0x3p100f};
    char *path = golden_path("safetensors.safetensors");
    SM_TEST_OK(sm_safetensors_open(path, &file));
    sm_free(path);
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT(sm_safetensors_count(file) == 8);
    expect_tensor(file, "f64", "F64", (size_t[]){3, 4}, 2, thirds);
    expect_tensor(file, "f32", "F32", (size_t[]){2, 3, 2}, 3, eighths);
    expect_tensor(file, "f16", "F16", (size_t[]){5}, 1, halves);
    expect_tensor(file, "bf16", "BF16", (size_t[]){4}, 1, brains);
    expect_tensor(file, "i64", "I64", NULL, 0, NULL);
    expect_tensor(file, "bool", "BOOL", (size_t[]){2}, 1, NULL);
    expect_tensor(file, "scalar", "F32", NULL, 0, (float[]){0.25f});
    expect_tensor(file, "empty", "F32", (size_t[]){0, 3}, 2, (float[]){0});
    CU_ASSERT(strcmp(sm_safetensors_metadata(file, "mean"), "[0.5, 0.25, 0.125]") == 0);
    CU_ASSERT(strcmp(sm_safetensors_metadata(file, "note"), "caf\xC3\xA9") == 0);
    CU_ASSERT(sm_safetensors_metadata(file, "std") == NULL);
    sm_safetensors_close(file);
    CU_ASSERT(sm_memory_held_bytes() == before);
}

/* ---- writing ---- */

/* More numbers than are converted at once. */
static void what_is_written_is_read(void)
{
    enum { MANY = 70001 };
    float *many = sm_alloc(MANY * sizeof *many), *back = sm_alloc(MANY * sizeof *back), one = -0.0f, read_one = 1;
    sm_test_fill(many, MANY, 1);
    const sm_safetensor_values tensors[] = {
        {"one", 0, {0}, &one}, {"a \"many\"", 1, {MANY}, many}, {"none", 2, {0, 4}, NULL}};
    const sm_safetensors_text texts[] = {{"config", "[run]\nx = \"1\""}};
    sm_safetensors *file = NULL;
    SM_TEST_OK(sm_safetensors_write(in_folder("w.safetensors"), tensors, 3, texts, 1));
    SM_TEST_OK(sm_safetensors_open(in_folder("w.safetensors"), &file));
    CU_ASSERT_FATAL(file != NULL && sm_safetensors_count(file) == 3 && find(file, "a \"many\"") && find(file, "one"));
    SM_TEST_OK(sm_safetensors_read(file, find(file, "a \"many\""), back));
    SM_TEST_OK(sm_safetensors_read(file, find(file, "one"), &read_one));
    CU_ASSERT(memcmp(many, back, MANY * sizeof *many) == 0 && signbit(read_one) && read_one == 0);
    CU_ASSERT(find(file, "one")->begin % 8 == 0 && find(file, "none")->rank == 2 && find(file, "none")->count == 0);
    CU_ASSERT(strcmp(sm_safetensors_metadata(file, "config"), texts[0].text) == 0);
    sm_safetensors_close(file);
    sm_free(many);
    sm_free(back);
}

/* A path in a config may be any bytes; a name that is none would leave a hole, or the numbers of another tensor. */
static void bytes_that_are_not_utf8_are_replaced_in_texts_and_refused_in_names(void)
{
    size_t before = sm_memory_held_bytes();
    static const float one = 1;
    const sm_safetensor_values good = {"a", 0, {0}, &one}, bad = {"b\xff", 0, {0}, &one},
                               note = {"__metadata__", 0, {0}, &one};
    const sm_safetensor_values names[][2] = {{good, bad}, {good, good}, {good, note}};
    static const char *const said[] = {"tensor 'b\xff'", "tensor 'a'", "tensor '__metadata__'"};
    const sm_safetensors_text texts[] = {{"config", "train = caf\xe9.h5\nfolder = \xc3\xa9"}};
    sm_safetensors *file = NULL;
    SM_TEST_OK(sm_safetensors_write(in_folder("u.safetensors"), &good, 1, texts, 1));
    SM_TEST_OK(sm_safetensors_open(in_folder("u.safetensors"), &file));
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT_STRING_EQUAL(sm_safetensors_metadata(file, "config"), "train = caf?.h5\nfolder = ??");
    sm_safetensors_close(file);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CU_ASSERT(sm_safetensors_write(in_folder("n.safetensors"), names[i], 2, texts, 1) == SM_ERR_INPUT);
        SM_TEST_MESSAGE("n.safetensors");
        SM_TEST_MESSAGE(said[i]);
        CU_ASSERT(!sm_file_exists(in_folder("n.safetensors")));
    }
    CU_ASSERT(sm_memory_held_bytes() == before);
}

/* ---- files of no one's ---- */

#define T(offsets) "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" offsets "}"

static const struct {
    const char *header; /* NULL: none */
    long long length;   /* that the file says of it; -1: its own */
    size_t data;        /* bytes behind it */
    const char *said[3];
} hostile[] = {
    {NULL, -1, 0, {"3 bytes"}},
    {"{}", 1000, 0, {"header of 1000 bytes", "file of 10"}},
    {"{}", 0x7fffffffffffffff, 0, {"header of 9223372036854775807 bytes"}},
    {"{}", 0, 0, {"not JSON"}},
    {"[1]", -1, 0, {"not a JSON object"}},
    {"{\"a\":", -1, 0, {"not JSON"}},
    {"{\"a\":" T("[0,8]") ",\"a\":" T("[0,8]") "}", -1, 8, {"duplicate", "\"a\""}},
    {"{\"a\xff\":1}", -1, 0, {"not JSON", "0xff"}},
    {"{\"a\":1}", -1, 0, {"'a'", "dtype is missing"}},
    {"{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", -1, 8, {"'a'", "'F31'"}},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", -1, 8, {"'a'", "shape"}},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", -1, 4, {"'a'", "shape"}},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", -1, 8, {"'a'", "dimension 0"}},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1.5],\"data_offsets\":[0,8]}}", -1, 8, {"'a'", "dimension 1"}},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967298],\"data_offsets\":[0,8]}}",
     -1,
     8,
     {"'a'", "dimension 1"}},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387906],\"data_offsets\":[0,8]}}",
     -1,
     8,
     {"'a'", "dimension 0"}},
    {"{\"a\":" T("[8,0]") "}", -1, 8, {"'a'", "data_offsets"}},
    {"{\"a\":" T("[0,8,9]") "}", -1, 8, {"'a'", "data_offsets"}},
    {"{\"a\":" T("[0,99999999999999999999]") "}", -1, 8, {"too big"}},
    {"{\"a\":" T("[0,8]") "}", -1, 7, {"'a'", "outside of the 7 bytes"}},
    {"{\"a\":" T("[0,12]") "}", -1, 12, {"'a'", "8 bytes", "12"}},
    {"{\"a\":" T("[0,8]") ",\"b\":" T("[4,12]") "}", -1, 12, {"'a' and 'b' overlap"}},
    {"{\"a\":" T("[0,8]") ",\"b\":" T("[0,8]") "}", -1, 8, {"'a' and 'b' overlap"}},
    {"{\"a\":" T("[0,8]") ",\"b\":" T("[12,20]") "}", -1, 20, {"'b'", "hole"}},
    {"{\"a\":" T("[4,12]") "}", -1, 12, {"'a'", "hole"}},
    {"{\"a\":" T("[0,8]") "}", -1, 9, {"1 byte belongs to no tensor"}},
    {"{\"__metadata__\":{\"format\":1}}", -1, 0, {"__metadata__", "'format'"}},
    {"{\"__metadata__\":[]}", -1, 0, {"__metadata__"}},
};

static void write_file(const char *path, const char *header, long long length, size_t data)
{
    FILE *file = fopen(path, "wb");
    CU_ASSERT_FATAL(file != NULL);
    if (!header) {
        fputs("abc", file);
    } else {
        unsigned long long stated = length < 0 ? strlen(header) : (unsigned long long)length;
        for (int i = 0; i < 8; i++) {
            fputc((int)(stated >> 8 * i & 255), file);
        }
        fputs(header, file);
    }
    for (size_t i = 0; i < data; i++) {
        fputc(1, file);
    }
    CU_ASSERT(fclose(file) == 0);
}

static void hostile_files_are_refused_by_name(void)
{
    size_t before = sm_memory_held_bytes();
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        sm_safetensors *file = NULL;
        write_file(in_folder("h.safetensors"), hostile[i].header, hostile[i].length, hostile[i].data);
        CU_ASSERT(sm_safetensors_open(in_folder("h.safetensors"), &file) == SM_ERR_INPUT && file == NULL);
        SM_TEST_MESSAGE("h.safetensors");
        for (size_t part = 0; part < 3 && hostile[i].said[part]; part++) {
            SM_TEST_MESSAGE(hostile[i].said[part]);
        }
        sm_safetensors_close(file);
    }
    CU_ASSERT(sm_memory_held_bytes() == before);
}

/* Cut anywhere it is refused, never read beyond its end. */
static void truncated_files_are_refused(void)
{
    void *bytes = NULL;
    size_t count = 0;
    char *path = golden_path("safetensors.safetensors");
    SM_TEST_OK(sm_file_read(path, &bytes, &count));
    sm_free(path);
    for (size_t kept = 0; kept < count; kept += 7) {
        sm_safetensors *file = NULL;
        FILE *cut = fopen(in_folder("c.safetensors"), "wb");
        CU_ASSERT_FATAL(cut != NULL);
        CU_ASSERT(fwrite(bytes, 1, kept, cut) == kept && fclose(cut) == 0);
        CU_ASSERT(sm_safetensors_open(in_folder("c.safetensors"), &file) == SM_ERR_INPUT);
        sm_safetensors_close(file);
    }
    sm_free(bytes);
    sm_safetensors *file = NULL;
    CU_ASSERT(sm_safetensors_open(in_folder("absent"), &file) == SM_ERR_IO);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(the_librarys_file_is_read);
    SM_TEST(what_is_written_is_read);
    SM_TEST(bytes_that_are_not_utf8_are_replaced_in_texts_and_refused_in_names);
    SM_TEST(hostile_files_are_refused_by_name);
    SM_TEST(truncated_files_are_refused);
    return sm_test_end();
}
