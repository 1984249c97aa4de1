/* ranks: 1 */
#define _XOPEN_SOURCE 700
#include "harness.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/json.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *in_folder(const char *name)
{
    static char paths[4][512];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", sm_test_folder(), name);
    return paths[next];
}

static void fails(sm_status found, sm_status expected, const char *part)
{
    CU_ASSERT(found == expected);
    SM_TEST_MESSAGE(part);
}

static void folders_are_made_listed_and_removed(void)
{
    char **names;
    size_t count;
    SM_TEST_OK(sm_make_folders(in_folder("a/b//c/")));
    SM_TEST_OK(sm_make_folders(in_folder("a/b/c")));
    CU_ASSERT(sm_folder_exists(in_folder("a/b/c")) && sm_file_exists(in_folder("a")));
    SM_TEST_OK(sm_file_write_atomic(in_folder("a/Z"), "z", 1));
    SM_TEST_OK(sm_file_write_atomic(in_folder("a/10"), "", 0));
    SM_TEST_OK(sm_file_write_atomic(in_folder("a/9"), "", 0));
    CU_ASSERT(symlink("/nowhere", in_folder("a/link")) == 0);
    SM_TEST_OK(sm_folder_list(in_folder("a"), &names, &count));
    CU_ASSERT_FATAL(count == 5);
    static const char *const expected[] = {"10", "9", "Z", "b", "link"};
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_STRING_EQUAL(names[i], expected[i]);
    }
    sm_free(names);
    SM_TEST_OK(sm_folder_list(in_folder("a/b/c"), &names, &count));
    CU_ASSERT(count == 0);
    sm_free(names);
    fails(sm_make_folders(in_folder("a/Z")), SM_ERR_IO, "a/Z: cannot make the folder: a file has that name");
    fails(sm_make_folders(in_folder("a/Z/y")), SM_ERR_IO, "a/Z: cannot make the folder: a file has that name");
    fails(sm_folder_list(in_folder("nowhere"), &names, &count), SM_ERR_IO,
          "nowhere: cannot be listed: No such file or directory");
    fails(sm_folder_list(in_folder("a/Z"), &names, &count), SM_ERR_IO, "a/Z: cannot be listed: Not a directory");
    SM_TEST_OK(sm_remove_tree(in_folder("a")));
    SM_TEST_OK(sm_remove_tree(in_folder("a")));
    CU_ASSERT(!sm_file_exists(in_folder("a")) && !sm_folder_exists(in_folder("a")));
}

static void a_file_is_written_at_once_or_not_at_all(void)
{
    char *text;
    char **names;
    size_t count;
    uint64_t bytes = 0;
    SM_TEST_OK(sm_make_folders(in_folder("w")));
    SM_TEST_OK(sm_file_write_atomic(in_folder("w/x"), "old", 3));
    SM_TEST_OK(sm_file_write_atomic(in_folder("w/x"), "newer", 5));
    SM_TEST_OK(sm_file_size(in_folder("w/x"), &bytes));
    CU_ASSERT(bytes == 5);
    SM_TEST_OK(sm_file_read_text(in_folder("w/x"), &text));
    CU_ASSERT_STRING_EQUAL(text, "newer");
    sm_free(text);
    pid_t child = fork();
    if (child == 0) { /* a disk with room for 1000 bytes */
        static char large[5000];
        struct rlimit limit = {1000, 1000};
        setrlimit(RLIMIT_FSIZE, &limit);
        signal(SIGXFSZ, SIG_IGN);
        sm_status status = sm_file_write_atomic(in_folder("w/x"), large, sizeof large);
        int good = status == SM_ERR_WRITE && strstr(sm_error_message(), "File too large (1000 of 5000 bytes");
        _exit(good ? 0 : 1);
    }
    int how;
    CU_ASSERT(waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 0);
    SM_TEST_OK(sm_file_read_text(in_folder("w/x"), &text));
    CU_ASSERT_STRING_EQUAL(text, "newer");
    sm_free(text);
    SM_TEST_OK(sm_folder_list(in_folder("w"), &names, &count));
    CU_ASSERT(count == 1); /* no temporary file stays */
    sm_free(names);
    SM_TEST_OK(sm_file_rename(in_folder("w/x"), in_folder("w/y")));
    CU_ASSERT(!sm_file_exists(in_folder("w/x")) && sm_file_exists(in_folder("w/y")));
    fails(sm_file_rename(in_folder("w/x"), in_folder("w/z")), SM_ERR_IO, "cannot be renamed to");
    fails(sm_file_write_atomic("/nowhere/x", "", 0), SM_ERR_IO,
          "/nowhere/x: cannot be written: No such file or directory");
    fails(sm_file_write_atomic(in_folder("w"), "x", 1), SM_ERR_IO, "cannot be renamed to");
    fails(sm_file_size(in_folder("w"), &bytes), SM_ERR_IO, "a folder, expected a file");
    SM_TEST_OK(sm_file_write_atomic(in_folder("zero"), "a\0b", 3));
    fails(sm_file_read_text(in_folder("zero"), &text), SM_ERR_INPUT, "zero: not a text file");
    SM_TEST_OK(sm_file_write_atomic(in_folder("zero"), "", 0));
    SM_TEST_OK(sm_file_read_text(in_folder("zero"), &text));
    CU_ASSERT_STRING_EQUAL(text, "");
    sm_free(text);
}

/* A bare name has no folder in front of it: that of the process is meant. */
static void a_bare_name_means_the_working_directory(void)
{
    char before[1024];
    CU_ASSERT_FATAL(getcwd(before, sizeof before) != NULL && chdir(sm_test_folder()) == 0);
    SM_TEST_OK(sm_file_write_atomic("bare", "x", 1));
    SM_TEST_OK(sm_make_folders("one/two"));
    CU_ASSERT(chdir(before) == 0);
    CU_ASSERT(sm_file_exists(in_folder("bare")) && sm_folder_exists(in_folder("one/two")));
}

static void positions_are_read_and_written_exactly(void)
{
    sm_file *file = NULL;
    char read[8];
    SM_TEST_OK(sm_file_write_atomic(in_folder("p"), "0123456789", 10));
    SM_TEST_OK(sm_file_open_write(in_folder("p"), &file));
    SM_TEST_OK(sm_file_pwrite(file, "abc", 3, 4));
    SM_TEST_OK(sm_file_sync(file));
    sm_file_close(file);
    SM_TEST_OK(sm_file_open_read(in_folder("p"), &file));
    SM_TEST_OK(sm_file_pread(file, read, 8, 2));
    CU_ASSERT(memcmp(read, "23abc789", 8) == 0);
    SM_TEST_OK(sm_file_pread(file, read, 0, 10));
    fails(sm_file_pread(file, read, 8, 3), SM_ERR_INPUT, "p: truncated: 8 bytes expected at position 3, found 7");
    fails(sm_file_pread(file, read, 1, (uint64_t)1 << 40), SM_ERR_INPUT, "found 0");
    fails(sm_file_pwrite(file, "x", 1, 0), SM_ERR_WRITE, "p: cannot be written: Bad file descriptor");
    sm_file_close(file);
    sm_file_close(NULL);
    fails(sm_file_open_read(in_folder("none"), &file), SM_ERR_IO, "none: cannot be opened: No such file or directory");
    fails(sm_file_open_read(sm_test_folder(), &file), SM_ERR_IO, "a folder, expected a file");
}

/* RFC 3720, B.4 (its bytes in the order of the file), and "123456789", the check value of the catalogues. */
static void checksums_are_the_published_ones(void)
{
    uint8_t data[32];
    for (int kind = 0; kind < 2; kind++) {
        uint32_t (*crc)(uint32_t, const void *, size_t) = kind ? sm_crc32c_ref : sm_crc32c;
        CU_ASSERT(crc(0, "123456789", 9) == 0xE3069283);
        CU_ASSERT(crc(0, "", 0) == 0);
        CU_ASSERT(crc(0, memset(data, 0, 32), 32) == 0x8A9136AA);
        CU_ASSERT(crc(0, memset(data, 0xff, 32), 32) == 0x62A8AB43);
        for (int i = 0; i < 32; i++) {
            data[i] = (uint8_t)i;
        }
        CU_ASSERT(crc(0, data, 32) == 0x46DD794E);
    }
}

static void checksums_do_not_depend_on_the_pieces(void)
{
    enum { BYTES = 1000 };
    uint8_t data[BYTES + 8];
    sm_random random = sm_random_new(1, 2, 3);
    for (int i = 0; i < BYTES + 8; i++) {
        data[i] = (uint8_t)sm_random_u32(&random);
    }
    for (int start = 0; start < 8; start++) {
        for (size_t bytes = 0; bytes < BYTES; bytes += 1 + bytes / 9) {
            uint32_t whole = sm_crc32c_ref(0, data + start, bytes);
            CU_ASSERT(sm_crc32c(0, data + start, bytes) == whole);
            size_t cut = bytes / 3;
            CU_ASSERT(sm_crc32c(sm_crc32c(0, data + start, cut), data + start + cut, bytes - cut) == whole);
        }
    }
}

static void json_numbers_are_found_by_path(void)
{
    static const char text[] =
        "{\n \"extrinsic\": {\"baseline\": 0.22, \"n\": 3, \"name\": \"x\", \"none\": null},\n \"a\": [1]}";
    const char *path = in_folder("camera.json");
    double value = 0;
    SM_TEST_OK(sm_file_write_atomic(path, text, strlen(text)));
    SM_TEST_OK(sm_json_read_real(path, "extrinsic.baseline", &value));
    CU_ASSERT(value == 0.22);
    SM_TEST_OK(sm_json_read_real(path, "extrinsic.n", &value));
    CU_ASSERT(value == 3);
    fails(sm_json_read_real(path, "extrinsic.fx", &value), SM_ERR_INPUT, "camera.json: there is no key 'extrinsic.fx'");
    fails(sm_json_read_real(path, "extrinsic.n.m", &value), SM_ERR_INPUT, "there is no key 'extrinsic.n.m'");
    fails(sm_json_read_real(path, "a.0", &value), SM_ERR_INPUT, "there is no key 'a.0'");
    fails(sm_json_read_real(path, "extrinsic.name", &value), SM_ERR_INPUT,
          "camera.json: 'extrinsic.name' is text, expected a number");
    fails(sm_json_read_real(path, "extrinsic", &value), SM_ERR_INPUT, "'extrinsic' is an object, expected a number");
    fails(sm_json_read_real(path, "extrinsic.none", &value), SM_ERR_INPUT, "is null, expected a number");
    SM_TEST_OK(sm_file_write_atomic(path, "{\n\"a\": }", 8));
    fails(sm_json_read_real(path, "a", &value), SM_ERR_INPUT, "camera.json:2: not JSON: ");
    fails(sm_json_read_real(in_folder("none.json"), "a", &value), SM_ERR_IO, "none.json: cannot be opened");
    CU_ASSERT(value == 3);
}

static void json_is_one_line_in_the_order_of_setting(void)
{
    size_t before = sm_memory_held_bytes();
    static const char expected[] =
        "{\"z\":0.1,\"a\":-9223372036854775808,\"t\":\"say \\\"caf\xC3\xA9\\\"\",\"bad\":\"a?\","
        "\"yes\":true,\"nan\":null,\"list\":[1.5,{\"in\":2},[],false],\"last\":\"x\"}";
    sm_json *json = sm_json_new();
    sm_json_set_real(json, "z", 7);
    sm_json_set_integer(json, "a", INT64_MIN);
    sm_json_set_text(json, "t", "say \"caf\xC3\xA9\"");
    sm_json_set_text(json, "bad", "a\xFF");
    sm_json_set_bool(json, "yes", 5);
    sm_json_set_real(json, "nan", NAN);
    sm_json *list = sm_json_set_array(json, "list");
    sm_json_set_real(list, NULL, 1.5);
    sm_json_set_integer(sm_json_set_object(list, NULL), "in", 2);
    sm_json_set_array(list, NULL);
    sm_json_set_bool(list, NULL, 0);
    sm_json_set_text(json, "last", "x");
    sm_json_set_real(json, "z", 0.1);
    char *text = NULL;
    SM_TEST_OK(sm_json_write(json, in_folder("out.json")));
    FILE *stream = fopen(in_folder("out.json"), "a");
    SM_TEST_OK(sm_json_print(json, stream));
    fclose(stream);
    SM_TEST_OK(sm_file_read_text(in_folder("out.json"), &text));
    CU_ASSERT(strlen(text) == 2 * sizeof expected && strncmp(text, expected, strlen(expected)) == 0);
    sm_free(text);
    stream = fopen("/dev/full", "w");
    fails(sm_json_print(json, stream), SM_ERR_WRITE, "the JSON line cannot be written");
    fclose(stream);
    sm_json_free(json);
    sm_json_free(NULL);
    CU_ASSERT(sm_memory_held_bytes() == before);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(folders_are_made_listed_and_removed);
    SM_TEST(a_file_is_written_at_once_or_not_at_all);
    SM_TEST(a_bare_name_means_the_working_directory);
    SM_TEST(positions_are_read_and_written_exactly);
    SM_TEST(checksums_are_the_published_ones);
    SM_TEST(checksums_do_not_depend_on_the_pieces);
    SM_TEST(json_numbers_are_found_by_path);
    SM_TEST(json_is_one_line_in_the_order_of_setting);
    return sm_test_end();
}
