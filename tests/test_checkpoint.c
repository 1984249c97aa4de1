/* ranks: 1 2 */
#define _POSIX_C_SOURCE 200809L
/* One checkpoint file: what it is believed, what it holds, and what others made of it. A perceptron, so that a file is small. */
#include "golden.h"
#include "perceptron.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/checkpoint.h>

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int is_root(void)
{
    return sm_comm_rank(test_comm) == 0;
}

static char *in_folder(const char *name)
{
    return sm_format("%s/%s", sm_test_folder(), name);
}

/* A run of two steps, and its checkpoint. */
typedef struct fixture {
    tiny_run run;
    char *path;
} fixture;

static void save(fixture *f)
{
    SM_TEST_OK(sm_checkpoint_save(f->run.trainer, f->path, NULL, "fingerprint", 0.5));
}

static void open_fixture(fixture *f)
{
    f->path = in_folder("checkpoint.h5");
    tiny_open(&f->run, test_comm, perceptron_config(NULL));
    tiny_steps(&f->run, 2);
    save(f);
}

static void close_fixture(fixture *f)
{
    tiny_close(&f->run);
    sm_free(f->path);
}

/* ---- versions ------------------------------------------------------------------------------------------------------ */

static void version_1_loads_as_before(void)
{
    char *path = golden_path("checkpoint_version1.h5");
    sm_checkpoint_info info;
    tiny_run run;
    tiny_open(&run, test_comm, perceptron_config(NULL));
    SM_TEST_OK(sm_checkpoint_load(run.session, run.trainer, path, 0));
    CU_ASSERT(run.trainer->step == 6 && run.trainer->position == 22 && run.trainer->epoch == 1);
    SM_TEST_OK(sm_checkpoint_read_info(path, &info));
    CU_ASSERT(info.step == 6 && info.seed == 7 && strstr(info.config, "train = mlp.h5") != NULL);
    SM_TEST_OK(sm_checkpoint_verify(path, 1));
    sm_checkpoint_info_free(&info);
    sm_h5 *file = golden_open("checkpoint_version1.h5");
    const sm_slices *slices = &run.session->parameters->parameters;
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        const float *const flats[] = {run.session->values, run.trainer->update->state[1], run.trainer->update->average};
        const char *const groups[] = {slice->log_variance ? "/log_variance" : "/model", "/optimizer/exp_avg_sq",
                                      "/ema"};
        for (int k = 0; k < 3; k++) {
            const char *name = slice->log_variance && k == 0 ? strchr(slice->name, '.') + 1 : slice->name;
            float *expected = golden_read(file, groups[k], name, SM_H5_FLOAT, NULL);
            float *found = sm_alloc(slice->count * sizeof *found);
            sm_slice_export(slice, flats[k], found);
            CU_ASSERT(tiny_same_bits(found, expected, slice->count));
            sm_free(found);
            sm_free(expected);
        }
    }
    sm_h5_close(file);
    tiny_start_loader(&run);
    tiny_steps(&run, 1);
    tiny_close(&run);
    sm_free(path);
}

static void set_integer(const char *path, const char *attribute, int64_t value)
{
    if (is_root()) {
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), id = H5Aopen(file, attribute, H5P_DEFAULT);
        CU_ASSERT(H5Awrite(id, H5T_NATIVE_INT64, &value) >= 0);
        H5Aclose(id);
        H5Fclose(file);
    }
    sm_comm_barrier(test_comm);
}

static void a_version_to_come_is_refused_by_name(void)
{
    fixture f;
    open_fixture(&f);
    set_integer(f.path, "format_version", 3);
    CU_ASSERT(sm_checkpoint_load(f.run.session, f.run.trainer, f.path, 0) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("checkpoint.h5: format 'sigmatic-checkpoint' version 1 to 2 expected, ");
    SM_TEST_MESSAGE("version 3 found");
    close_fixture(&f);
}

/* ---- what it says is believed by its checksums only ------------------------------------------------------------------- */

/* All that reads a checkpoint refuses it, naming `culprit`. Collective. */
static void expect_refused(fixture *f, const char *culprit)
{
    const sm_trainer_position before = sm_trainer_where(f->run.trainer);
    sm_data_description *data = NULL;
    sm_checkpoint_info info;
    int channels;
    CU_ASSERT(sm_checkpoint_load(f->run.session, f->run.trainer, f->path, 0) == SM_ERR_INPUT);
    SM_TEST_MESSAGE("checkpoint.h5: ");
    SM_TEST_MESSAGE(culprit);
    const sm_trainer_position after = sm_trainer_where(f->run.trainer);
    CU_ASSERT(memcmp(&before, &after, sizeof before) == 0);
    CU_ASSERT(sm_checkpoint_read_info(f->path, &info) == SM_ERR_INPUT);
    CU_ASSERT(sm_checkpoint_read_data(f->path, &data) == SM_ERR_INPUT);
    CU_ASSERT(sm_checkpoint_task_channels(f->path, "y", &channels) == SM_ERR_INPUT);
    CU_ASSERT(sm_checkpoint_verify(f->path, 0) == SM_ERR_INPUT);
    SM_TEST_MESSAGE(culprit);
    sm_comm_barrier(test_comm);
}

/* Each is a number that a run could have written. */
static void edited_numbers_are_not_believed(void)
{
    static const struct {
        const char *attribute;
        int64_t value;
    } cases[] = {{"step", 1}, {"samples_seen", 3}, {"epoch", 9}, {"skipped", 1}, {"seed", 8}, {"world_size", 64}};
    fixture f;
    open_fixture(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *culprit = sm_format("/: attribute '%s' is damaged", cases[i].attribute);
        set_integer(f.path, cases[i].attribute, cases[i].value);
        expect_refused(&f, culprit);
        save(&f);
        sm_free(culprit);
    }
    close_fixture(&f);
}

/* Flips one bit at a place in a text of the file. */
static void flip_in_text(const char *path, const char *text, size_t at)
{
    if (is_root()) {
        void *data = NULL;
        size_t bytes = 0, start = 0, length = strlen(text);
        SM_TEST_OK(sm_file_read(path, &data, &bytes));
        while (start + length <= bytes && memcmp((char *)data + start, text, length) != 0) {
            start++;
        }
        CU_ASSERT_FATAL(start + length <= bytes);
        ((char *)data)[start + at] ^= 1;
        SM_TEST_OK(sm_file_write_atomic(path, data, bytes));
        sm_free(data);
    }
    sm_comm_barrier(test_comm);
}

static void a_flipped_bit_of_a_text_is_noticed(void)
{
    static const char *const texts[] = {"hidden = 3", "fingerprint", "\t/data\t"};
    fixture f;
    open_fixture(&f);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t at = 0; at < strlen(texts[i]); at += 3) {
            flip_in_text(f.path, texts[i], at);
            expect_refused(&f, "checkpoint.h5: ");
            save(&f);
        }
    }
    close_fixture(&f);
}

static void without_its_checksums_it_is_not_believed(void)
{
    fixture f;
    open_fixture(&f);
    if (is_root()) {
        hid_t file = H5Fopen(f.path, H5F_ACC_RDWR, H5P_DEFAULT);
        CU_ASSERT(H5Adelete(file, "attribute_crc32c") >= 0);
        H5Fclose(file);
    }
    sm_comm_barrier(test_comm);
    expect_refused(&f, "has lost the checksums of its attributes");
    close_fixture(&f);
}

/* ---- finite numbers only ----------------------------------------------------------------------------------------------- */

/* On every rank alike; a slice's first number. */
static void put(fixture *f, float *flat, const sm_slice *slice, float value)
{
    sm_session_wait_for_node(f->run.session);
    flat[slice->offset] = value;
    sm_session_wait_for_node(f->run.session);
}

static void what_is_not_finite_is_not_saved(void)
{
    fixture f;
    open_fixture(&f);
    const sm_slices *slices = &f.run.session->parameters->parameters;
    const sm_slice *slice = &slices->items[0];
    const sm_update *update = f.run.trainer->update;
    const struct {
        float *flat, value;
        const char *group;
    } cases[] = {{f.run.session->values, NAN, "/model/"},
                 {update->state[0], -INFINITY, "/optimizer/exp_avg/"},
                 {update->state[1], INFINITY, "/optimizer/exp_avg_sq/"},
                 {update->average, NAN, "/ema/"}};
    char *path = in_folder("never.h5"), *best = in_folder("never_best.h5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float before = cases[i].flat[slice->offset];
        char *culprit = sm_format("%s%s has numbers that are not finite", cases[i].group, slice->name);
        put(&f, cases[i].flat, slice, cases[i].value);
        CU_ASSERT(sm_checkpoint_save(f.run.trainer, path, best, "", NAN) == SM_ERR_NUMERIC);
        SM_TEST_MESSAGE(culprit);
        CU_ASSERT(!sm_file_exists(path) && !sm_file_exists(best));
        put(&f, cases[i].flat, slice, before);
        sm_free(culprit);
    }
    save(&f);
    sm_free(path);
    sm_free(best);
    close_fixture(&f);
}

/* As an earlier version wrote it. \return the dataset's name */
static char *write_infinity(fixture *f)
{
    char *object = sm_format("/model/%s", f->run.session->parameters->parameters.items[0].name);
    if (is_root()) {
        hid_t file = H5Fopen(f->path, H5F_ACC_RDWR, H5P_DEFAULT), id = H5Dopen2(file, object, H5P_DEFAULT);
        hid_t space = H5Dget_space(id), attribute = H5Aopen(id, "crc32c", H5P_DEFAULT);
        size_t count = (size_t)H5Sget_simple_extent_npoints(space);
        float *values = sm_alloc_zeroed(count * sizeof *values);
        values[count - 1] = INFINITY;
        const int64_t checksum = sm_crc32c(0, values, count * sizeof *values);
        H5Dwrite(id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
        H5Awrite(attribute, H5T_NATIVE_INT64, &checksum);
        H5Aclose(attribute);
        H5Sclose(space);
        H5Dclose(id);
        H5Fclose(file);
        sm_free(values);
    }
    sm_comm_barrier(test_comm);
    return object;
}

static void a_run_does_not_go_on_from_what_is_not_finite(void)
{
    fixture f;
    open_fixture(&f);
    char *object = write_infinity(&f);
    SM_TEST_OK(sm_checkpoint_verify(f.path, 0));
    CU_ASSERT(sm_checkpoint_verify(f.path, 1) == SM_ERR_INPUT);
    SM_TEST_MESSAGE(object);
    SM_TEST_MESSAGE("not finite");
    sm_comm_barrier(test_comm);
    sm_free(object);
    close_fixture(&f);
}

/* ---- what others put there ---------------------------------------------------------------------------------------------- */

/* A new dataset of `count` elements of which none is written, with a checksum if it is to look like ours. */
static void put_dataset(hid_t file, const char *object, hid_t type, hsize_t count, int has_checksum)
{
    const hsize_t chunk = count < 1024 ? count : 1024;
    const int64_t checksum = 1;
    hid_t space = H5Screate_simple(1, &count, NULL), scalar = H5Screate(H5S_SCALAR);
    hid_t chunks = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(chunks, 1, &chunk);
    hid_t id = H5Dcreate2(file, object, type, space, H5P_DEFAULT, chunks, H5P_DEFAULT);
    CU_ASSERT(id >= 0);
    if (has_checksum) {
        hid_t attribute = H5Acreate2(id, "crc32c", H5T_NATIVE_INT64, scalar, H5P_DEFAULT, H5P_DEFAULT);
        H5Awrite(attribute, H5T_NATIVE_INT64, &checksum);
        H5Aclose(attribute);
    }
    H5Dclose(id);
    H5Pclose(chunks);
    H5Sclose(scalar);
    H5Sclose(space);
}

static void put_text(hid_t file, int has_checksum)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    put_dataset(file, "/optimizer/foreign", type, 3, has_checksum);
    H5Tclose(type);
}

static void put_compound(hid_t file, int has_checksum)
{
    hid_t type = H5Tcreate(H5T_COMPOUND, 12);
    H5Tinsert(type, "a", 0, H5T_NATIVE_INT);
    H5Tinsert(type, "b", 4, H5T_NATIVE_DOUBLE);
    put_dataset(file, "/optimizer/foreign", type, 3, has_checksum);
    H5Tclose(type);
}

static void put_half(hid_t file, int has_checksum)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    put_dataset(file, "/optimizer/foreign", type, 3, has_checksum);
    H5Tclose(type);
}

static void put_sparse(hid_t file, int has_checksum)
{
    put_dataset(file, "/optimizer/foreign", H5T_NATIVE_FLOAT, (hsize_t)1 << 50, has_checksum);
}

static void put_circles(hid_t file, int has_checksum)
{
    (void)has_checksum;
    CU_ASSERT(H5Lcreate_hard(file, "/", file, "/optimizer/foreign", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    CU_ASSERT(H5Lcreate_hard(file, "/optimizer", file, "/optimizer/exp_avg/foreign", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

/* A thousand times what the file holds, in names alone. */
static void put_links(hid_t file, int has_checksum)
{
    (void)has_checksum;
    for (int i = 0; i < 4000; i++) {
        char name[64];
        snprintf(name, sizeof name, "/optimizer/foreign%d", i);
        H5Lcreate_hard(file, "/optimizer/updates", file, name, H5P_DEFAULT, H5P_DEFAULT);
    }
}

/* Passed over where it does not look like ours, else refused by name; in memory and time of the file's size. */
static void what_others_put_there_is_passed_over_or_refused(void)
{
    static const struct {
        void (*put)(hid_t file, int has_checksum);
        int is_ours_like; /* with a checksum it is refused */
    } cases[] = {{put_text, 1}, {put_compound, 1}, {put_half, 1}, {put_sparse, 1}, {put_circles, 0}, {put_links, 0}};
    fixture f;
    open_fixture(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int has_checksum = 0; has_checksum <= cases[i].is_ours_like; has_checksum++) {
            save(&f);
            if (is_root()) {
                hid_t file = H5Fopen(f.path, H5F_ACC_RDWR, H5P_DEFAULT);
                cases[i].put(file, has_checksum);
                H5Fclose(file);
            }
            sm_comm_barrier(test_comm);
            sm_status status = sm_checkpoint_verify(f.path, 1);
            CU_ASSERT(status == (has_checksum || cases[i].put == put_links ? SM_ERR_INPUT : SM_OK));
            if (status != SM_OK) {
                SM_TEST_MESSAGE("/optimizer/foreign");
            }
            SM_TEST_OK(sm_checkpoint_load(f.run.session, f.run.trainer, f.path, 0));
            CU_ASSERT(f.run.trainer->step == 2);
        }
    }
    close_fixture(&f);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(version_1_loads_as_before);
    SM_TEST(a_version_to_come_is_refused_by_name);
    SM_TEST(edited_numbers_are_not_believed);
    SM_TEST(a_flipped_bit_of_a_text_is_noticed);
    SM_TEST(without_its_checksums_it_is_not_believed);
    SM_TEST(what_is_not_finite_is_not_saved);
    SM_TEST(a_run_does_not_go_on_from_what_is_not_finite);
    SM_TEST(what_others_put_there_is_passed_over_or_refused);
    return sm_test_end();
}
