/* ranks: 1 */
/* One dataset, stored in many ways, and files that change while they are read. */
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/loader.h>
#include <sigmatic/data/scenes_dataset.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/task/task.h>

#include <stdlib.h>
#include <string.h>

enum { H = 32, W = 48, COUNT = 9 };

static char *scratch(const char *name)
{
    return sm_format("%s/%s", sm_test_folder(), name);
}

static void make_file(void)
{
    char *path = scratch("plain.h5");
    sm_scenes_dataset_options options = {.output = path, .scene = sm_scene_options_default(), .train = COUNT};
    options.scene.height = H;
    options.scene.width = W;
    options.scene.vector_noise = 1;
    SM_TEST_OK(sm_scenes_dataset_write(test_comm, &options));
    sm_free(path);
}

static sm_dataset *open_file(const char *name)
{
    char *path = scratch(name);
    sm_dataset *dataset = NULL;
    SM_TEST_OK(sm_dataset_open((const char *const *)&path, 1, "train", &dataset));
    sm_free(path);
    return dataset;
}

/* How h5py stores the arrays of a split, and what becomes of the file. One Python makes them all: it takes a second to
 * start. */
static const struct {
    const char *name, *make;
} rewritten[] = {
    {"chunks.h5", "g.create_dataset(n, data=v, chunks=True)"},
    {"shuffled.h5", "g.create_dataset(n, data=v, chunks=(1,) + v.shape[1:], compression='gzip', shuffle=True)"},
    {"small.h5",
     "g.create_dataset(n, data=v, chunks=tuple(min(4, s) for s in v.shape), compression=9, fletcher32=True)"},
    {"growing.h5", "g.create_dataset(n, data=v, chunks=(2,) + v.shape[1:], maxshape=(None,) + v.shape[1:])"},
    {"swapped.h5", "g.create_dataset(n, data=swapped(v))"},
    {"swapped_gzip.h5", "g.create_dataset(n, data=swapped(v), chunks=True, compression='gzip')"},
    {"header.h5", "header(g, n, v) if v.nbytes < 60000 else g.create_dataset(n, data=v)"},
    {"lzf.h5", "g.create_dataset(n, data=v, chunks=True, compression='lzf')"},
    {"bare.h5", "g.create_dataset(n, data=v)"},
    {"spoiled.h5", "g.create_dataset(n, data=v, chunks=(1,) + v.shape[1:], compression='gzip')"},
};
enum { SAME = 7 }; /* of them hold the same samples */

static const char rewriter[] =
    "import h5py, numpy as np, sys\n"
    "def attributes(a, b):\n"
    "    for k, v in a.attrs.items(): b.attrs[k] = v\n"
    "def swapped(v): return v.astype(v.dtype.newbyteorder('>'))\n"
    "def header(g, n, v):\n"
    "    p = h5py.h5p.create(h5py.h5p.DATASET_CREATE); p.set_layout(h5py.h5d.COMPACT)\n"
    "    t = h5py.h5t.py_create(v.dtype, logical=True)\n"
    "    h5py.h5d.create(g.id, n.encode(), t, h5py.h5s.create_simple(v.shape), p).write(h5py.h5s.ALL, h5py.h5s.ALL, "
    "v)\n"
    "    return g[n]\n"
    "for path, make in zip(sys.argv[2::2], sys.argv[3::2]):\n"
    "    with h5py.File(sys.argv[1]) as a, h5py.File(path, 'w') as b:\n"
    "        attributes(a, b)\n"
    "        g = b.create_group('train')\n"
    "        for n, d in a['train'].items():\n"
    "            v = d[()]\n"
    "            checksum = n.endswith('_crc32c')\n"
    "            if not (checksum and 'bare' in path):\n"
    "                attributes(d, g.create_dataset(n, data=v) if n == 'name' or checksum else eval(make))\n"
    "with h5py.File(path) as f: chunk = f['train/semantic'].id.get_chunk_info(3)\n" /* the last one is spoiled */
    "assert chunk.chunk_offset[0] == 3\n"
    "with open(path, 'r+b') as f:\n"
    "    f.seek(chunk.byte_offset + 9)\n"
    "    f.write(b'\\xff' * 20)\n";

static void rewrite_by_h5py(void)
{
    SM_TEST_NEEDS("h5py");
    char *script = scratch("rewrite.py"), *plain = scratch("plain.h5");
    SM_TEST_OK(sm_file_write_atomic(script, rewriter, strlen(rewriter)));
    char *command = sm_format("'%s' '%s' '%s'", sm_test_python(), script, plain);
    for (size_t w = 0; w < sizeof rewritten / sizeof *rewritten; w++) {
        char *longer = sm_format("%s '%s/%s' \"%s\"", command, sm_test_folder(), rewritten[w].name, rewritten[w].make);
        sm_free(command);
        command = longer;
    }
    CU_ASSERT_FATAL(system(command) == 0);
    sm_free(command);
    sm_free(plain);
    sm_free(script);
}

static void compare_samples(sm_dataset *a, sm_dataset *b)
{
    sm_sample_storage *storage[2] = {sm_sample_storage_new(a), sm_sample_storage_new(b)};
    for (int64_t i = 0; i < COUNT; i++) {
        sm_sample x, y;
        SM_TEST_OK(sm_dataset_read(a, i, storage[0], &x));
        SM_TEST_OK(sm_dataset_read(b, i, storage[1], &y));
        CU_ASSERT_EQUAL_FATAL(x.target_count, 4);
        CU_ASSERT_EQUAL_FATAL(y.target_count, 4);
        CU_ASSERT(memcmp(x.input, y.input, 3 * H * W) == 0);
        for (int t = 0; t < 4; t++) {
            size_t bytes = H * W * sm_target_item_bytes(x.target[t].target);
            CU_ASSERT(memcmp(x.target[t].data, y.target[t].data, bytes) == 0);
        }
        CU_ASSERT(x.original_width == y.original_width && x.fx_pixels == y.fx_pixels);
    }
    sm_sample_storage_free(storage[0]);
    sm_sample_storage_free(storage[1]);
}

/* Checksums and fingerprints are of values, however they are stored. */
static void any_storage_gives_the_same_samples(void)
{
    SM_TEST_NEEDS("h5py");
    for (int w = 0; w < SAME; w++) {
        sm_dataset *plain = open_file("plain.h5"), *other = open_file(rewritten[w].name);
        CU_ASSERT(sm_dataset_has_checksums(other));
        compare_samples(plain, other);
        SM_TEST_OK(sm_dataset_find_fingerprint(plain));
        SM_TEST_OK(sm_dataset_find_fingerprint(other));
        CU_ASSERT_STRING_EQUAL(sm_dataset_fingerprint(plain), sm_dataset_fingerprint(other));
        sm_dataset_close(plain);
        sm_dataset_close(other);
    }
}

static int64_t build_sum(const void *user, const sm_sample *sample, const sm_geometry *geometry, void *target)
{
    const uint8_t *bytes = sm_sample_find(sample, user)->data;
    int64_t sum = 0;
    for (int i = 0; i < H * W; i++) {
        sum += (i % 251) * bytes[i];
    }
    memset(target, 0, sm_scope_items(SM_SCOPE_PIXEL, geometry->out_height, geometry->out_width));
    return sum;
}

static int reads_named(const void *user, const char *name)
{
    return strcmp(user, name) == 0;
}

/* Sums of what four threads read from `name` while this one writes HDF5 files of its own. */
static void read_beside_writing(const char *name, int writes, int64_t sums[COUNT])
{
    const sm_target_builder builder = {build_sum, "semantic", SM_SCOPE_PIXEL, 1, reads_named};
    sm_dataset *dataset = open_file(name);
    sm_loader_options options = {.dataset = dataset,
                                 .builders = &builder,
                                 .task_count = 1,
                                 .batch = 1,
                                 .size = 1,
                                 .epochs = 12,
                                 .input = *sm_dataset_input(dataset),
                                 .prefetch = 8,
                                 .workers = 4};
    char *path = scratch("written.h5");
    sm_loader *loader;
    const sm_batch *batch;
    SM_TEST_OK(sm_loader_new(&options, &loader));
    for (int step = 0; step < 12 * COUNT; step++) {
        SM_TEST_OK(sm_loader_next(loader, &batch));
        CU_ASSERT_FATAL(batch != NULL);
        int64_t *sum = &sums[batch->sample_index[0]];
        CU_ASSERT(*sum == 0 || *sum == batch->valid[0]);
        *sum = batch->valid[0];
        for (int w = 0; w < writes; w++) {
            sm_h5 *file;
            double found[4], values[4] = {step, w, 3, 4};
            SM_TEST_OK(sm_h5_create(path, SM_H5_EARLIEST, &file));
            SM_TEST_OK(sm_h5_write(file, "/a/b", SM_H5_DOUBLE, 1, (size_t[]){4}, values));
            SM_TEST_OK(sm_h5_write_attribute_text(file, "/a/b", "name", "x"));
            SM_TEST_OK(sm_h5_read(file, "/a/b", SM_H5_DOUBLE, 1, (size_t[]){4}, found));
            CU_ASSERT(memcmp(found, values, sizeof values) == 0);
            CU_ASSERT(!sm_h5_has_dataset(file, "/a/c")); /* HDF5 keeps the reasons of failures in one place */
            SM_TEST_OK(sm_h5_close(file));
        }
    }
    sm_loader_free(loader);
    sm_dataset_close(dataset);
    sm_free(path);
}

static void threads_take_turns_in_hdf5(void)
{
    int64_t plain[COUNT] = {0}, compressed[COUNT] = {0};
    SM_TEST_NEEDS("h5py");
    read_beside_writing("plain.h5", 0, plain);
    read_beside_writing("shuffled.h5", 5, compressed);
    CU_ASSERT(memcmp(plain, compressed, sizeof plain) == 0);
}

/* Changes one byte of an array of sample 3 of a copy of the file. */
static char *damaged_copy(const char *from, const char *name, const char *array, sm_h5_type type)
{
    char *source = scratch(from), *path = scratch(name), *object = sm_format("/train/%s", array);
    char *command = sm_format("cp '%s' '%s'", source, path);
    CU_ASSERT_FATAL(system(command) == 0);
    const size_t shape[] = {COUNT, H, W};
    uint64_t offset;
    uint8_t byte;
    sm_h5 *h5;
    sm_file *file;
    SM_TEST_OK(sm_h5_open(path, &h5));
    SM_TEST_OK(sm_h5_locate(h5, object, type, 3, shape, &offset));
    SM_TEST_OK(sm_h5_close(h5));
    offset += 3 * H * W * sm_h5_type_bytes(type) + 1;
    SM_TEST_OK(sm_file_open_write(path, &file));
    SM_TEST_OK(sm_file_pread(file, &byte, 1, offset));
    byte ^= 0x10;
    SM_TEST_OK(sm_file_pwrite(file, &byte, 1, offset));
    sm_file_close(file);
    sm_free(command);
    sm_free(object);
    sm_free(source);
    return path;
}

/* What no task learns is not read: its damage is nobody's, and its bytes take neither time nor memory. */
static void only_wanted_targets_are_read(void)
{
    char *path = damaged_copy("plain.h5", "damaged.h5", "disparity", SM_H5_FLOAT);
    sm_dataset *dataset = open_file("damaged.h5");
    sm_sample_storage *all = sm_sample_storage_new(dataset),
                      *some = sm_sample_storage_new_of(dataset, 1u << 0 | 1u << 2);
    sm_sample sample;
    SM_TEST_OK(sm_dataset_read(dataset, 3, some, &sample));
    CU_ASSERT_EQUAL(sample.target_count, 2);
    CU_ASSERT(sm_sample_find(&sample, "semantic") && sm_sample_find(&sample, "instance_offset"));
    CU_ASSERT(!sm_sample_find(&sample, "disparity") && !sm_sample_find(&sample, "instance"));
    for (int round = 0; round < 2; round++) { /* that the others are sound says nothing of the last */
        CU_ASSERT(sm_dataset_read(dataset, 3, all, &sample) == SM_ERR_INPUT);
        SM_TEST_MESSAGE("damaged.h5: /train/disparity of sample 3");
        SM_TEST_MESSAGE("is damaged: CRC32C");
    }
    CU_ASSERT_EQUAL(sm_sample_storage_bytes(dataset, UINT32_MAX) - sm_sample_storage_bytes(dataset, 1u << 0 | 1u << 2),
                    H * W * (sizeof(uint16_t) + sizeof(float)));
    sm_sample_storage_free(all);
    sm_sample_storage_free(some);
    sm_dataset_close(dataset);
    sm_free(path);
}

/* A task of instances takes their noise along, and nothing else. */
static void tasks_say_what_they_read(void)
{
    sm_target instance = *sm_standard_target("instance");
    sm_task task = {.kind = sm_task_kind_find("instance"), .target = &instance};
    sm_target_builder builder = sm_task_builder(&task);
    CU_ASSERT(builder.reads(builder.user, "instance") && builder.reads(builder.user, "instance_offset"));
    CU_ASSERT(!builder.reads(builder.user, "instances") && !builder.reads(builder.user, "semantic"));
}

static sm_status read_third(sm_dataset *dataset)
{
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    sm_sample sample;
    sm_status status = sm_dataset_read(dataset, 3, storage, &sample);
    sm_sample_storage_free(storage);
    return status;
}

static void shell(const char *format, const char *path, const char *other)
{
    char *command = sm_format(format, path, other);
    CU_ASSERT_FATAL(system(command) == 0);
    sm_free(command);
}

/* Checksums tell whether a file that was written to is still the same; without them nothing does. */
static void a_file_written_to_while_in_use_is_looked_at_again(void)
{
    char *plain = scratch("plain.h5"), *path = scratch("changing.h5");
    char *damaged = damaged_copy("plain.h5", "other.h5", "disparity", SM_H5_FLOAT);
    shell("cp '%s' '%s'", plain, path);
    sm_dataset *dataset = open_file("changing.h5");
    SM_TEST_OK(read_third(dataset));
    shell("sleep 0.02; cat '%s' > '%s'", plain, path); /* the same again */
    SM_TEST_OK(read_third(dataset));
    shell("cat '%s' > '%s'", damaged, path);
    CU_ASSERT(read_third(dataset) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("changing.h5: /train/disparity of sample 3");
    SM_TEST_MESSAGE("(the file was changed while it was in use)");
    shell("truncate -s 5000 '%s'%s", path, "");
    CU_ASSERT(read_third(dataset) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("changing.h5: truncated");
    SM_TEST_MESSAGE("/train/image of sample 3");
    sm_dataset_close(dataset);
    sm_free(damaged);
    sm_free(path);
    sm_free(plain);
}

/* A new file of that name is another file: the old one is read until it is closed. */
static void a_replaced_file_is_read_on(void)
{
    char *plain = scratch("plain.h5"), *path = scratch("replaced.h5");
    shell("cp '%s' '%s'", plain, path);
    sm_dataset *dataset = open_file("replaced.h5"), *same = open_file("plain.h5");
    shell("cp '%s' '%s'.new", plain, path);
    shell("truncate -s 10 '%s'.new%s", path, "");
    shell("mv '%s'.new '%s'", path, path);
    compare_samples(dataset, same);
    sm_dataset_close(dataset);
    sm_dataset_close(same);
    sm_free(path);
    sm_free(plain);
}

static void without_checksums_a_change_is_an_error(void)
{
    SM_TEST_NEEDS("h5py");
    char *path = scratch("bare.h5");
    sm_dataset *dataset = open_file("bare.h5");
    CU_ASSERT(!sm_dataset_has_checksums(dataset));
    SM_TEST_OK(read_third(dataset));
    shell("sleep 0.02; touch '%s'%s", path, "");
    CU_ASSERT(read_third(dataset) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("bare.h5: the file was changed while it was in use; /train/image of sample 3");
    sm_dataset_close(dataset);
    sm_free(path);
}

/* What cannot be read is said when the file is opened; what is damaged, when it is met. */
static void compressed_files_fail_with_a_name(void)
{
    SM_TEST_NEEDS("h5py");
    char *path = scratch("lzf.h5");
    sm_dataset *dataset = NULL;
    CU_ASSERT(sm_dataset_open((const char *const *)&path, 1, "train", &dataset) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("lzf.h5: /train/image: compressed by filter 32000 (lzf), which this HDF5 does not have");
    dataset = open_file("spoiled.h5");
    CU_ASSERT(read_third(dataset) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("spoiled.h5: /train/semantic: cannot be read");
    SM_TEST_MESSAGE("of sample 3");
    sm_dataset_close(dataset);
    sm_free(path);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(make_file);
    SM_TEST(rewrite_by_h5py);
    SM_TEST(any_storage_gives_the_same_samples);
    SM_TEST(threads_take_turns_in_hdf5);
    SM_TEST(only_wanted_targets_are_read);
    SM_TEST(tasks_say_what_they_read);
    SM_TEST(a_file_written_to_while_in_use_is_looked_at_again);
    SM_TEST(a_replaced_file_is_read_on);
    SM_TEST(without_checksums_a_change_is_an_error);
    SM_TEST(compressed_files_fail_with_a_name);
    return sm_test_end();
}
