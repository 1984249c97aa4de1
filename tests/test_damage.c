/* ranks: 1 2
 * Every kind of file, cut at every kilobyte and with bits flipped at places that a seed names: what reads it says so, naming
 * the file, or finds in it what was there before. Nothing crashes, hangs or keeps memory, on any rank.
 *
 * DAMAGE=full tries every byte of every file (of large ones 8,000 places), DAMAGE_SEED other places. */
#define _XOPEN_SOURCE 700
#include "damaged_log.h"
#include "golden.h"
#include "image_bytes.h"
#include "npy_bytes.h"
#include "tiny_run.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/random.h>
#include <sigmatic/data/scenes_dataset.h>
#include <sigmatic/io/csv.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/image.h>
#include <sigmatic/io/json.h>
#include <sigmatic/io/npy.h>
#include <sigmatic/io/safetensors.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/settings.h>
#include <sigmatic/train/weights_file.h>

#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FEW_FLIPS = 30, FEW_CUTS = 20, MOST_FLIPS = 8000, NAME_BYTES = 600 };

/* The run that checkpoints are loaded into, and whose logs are damaged. */
static tiny_run run;

/* Of all that is written here nothing has to outlive the machine: the disk is not waited for. */
int fsync(int descriptor)
{
    (void)descriptor;
    return 0;
}

static uint32_t add_text(uint32_t crc, const char *text)
{
    return sm_crc32c(crc, text, strlen(text) + 1);
}

/* ---- datasets ------------------------------------------------------------------------------------------------------ */

static uint32_t add_target(uint32_t crc, const sm_target *target)
{
    const double numbers[] = {target->type,    target->scope,        target->components, target->scaling,
                              target->turning, target->flip_negates, target->least,      target->most};
    crc = sm_crc32c(add_text(add_text(crc, target->name), target->unit), numbers, sizeof numbers);
    for (int c = 0; target->classes && c < target->classes->count; c++) {
        crc = add_text(crc, target->classes->names[c]);
        crc = target->classes->palette ? sm_crc32c(crc, target->classes->palette[c], 3) : crc;
        crc = target->classes->thing ? sm_crc32c(crc, &target->classes->thing[c], 1) : crc;
    }
    return crc;
}

static sm_status add_samples(sm_dataset *dataset, uint32_t *crc)
{
    sm_status status = SM_OK;
    const sm_input *input = sm_dataset_input(dataset);
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    for (int64_t i = 0; i < sm_dataset_count(dataset) && status == SM_OK; i++) {
        sm_sample sample;
        status = sm_dataset_read(dataset, i, storage, &sample);
        if (status != SM_OK) {
            break;
        }
        const double facts[] = {sample.baseline_metres, sample.fx_pixels, sample.original_height,
                                sample.original_width};
        *crc = sm_crc32c(add_text(*crc, sm_dataset_name(dataset, i)), facts, sizeof facts);
        *crc = sm_crc32c(*crc, sample.input, sm_input_elements(input) * sm_input_number_bytes(input->kind));
        for (int t = 0; t < sample.target_count; t++) {
            const sm_target *target = sample.target[t].target;
            size_t items = sm_scope_items(target->scope, sample.height, sample.width);
            *crc = sm_crc32c(*crc, sample.target[t].data, items * sm_target_item_bytes(target));
        }
    }
    sm_sample_storage_free(storage);
    return status;
}

static sm_status read_dataset(const char *path, uint32_t *crc)
{
    sm_status status = SM_OK;
    char **names = NULL;
    size_t splits = 0;
    SM_TRY(sm_dataset_splits(path, &names, &splits));
    for (size_t s = 0; s < splits && status == SM_OK; s++) {
        sm_dataset *dataset = NULL;
        int count;
        *crc = add_text(*crc, names[s]);
        status = sm_dataset_open(&path, 1, names[s], &dataset);
        if (status == SM_OK) {
            const sm_target *const *targets = sm_dataset_targets(dataset, &count);
            const sm_input *input = sm_dataset_input(dataset);
            *crc = sm_crc32c(*crc, input->mean, (size_t)input->channels * sizeof *input->mean);
            *crc = sm_crc32c(*crc, input->std, (size_t)input->channels * sizeof *input->std);
            for (int t = 0; t < count; t++) {
                *crc = add_target(*crc, targets[t]);
            }
            status = add_samples(dataset, crc);
        }
        sm_dataset_close(dataset);
    }
done:
    sm_free(names);
    return status;
}

static void make_dataset(const char *path)
{
    sm_scenes_dataset_options options = {
        .output = path, .scene = sm_scene_options_default(), .train = 2, .validation = 1, .overwrite = 1};
    options.scene.height = options.scene.width = 32;
    SM_TEST_OK(sm_scenes_dataset_write(sm_comm_self(), &options));
}

static void copy_golden(const char *name, const char *path)
{
    void *bytes = NULL;
    size_t count = 0;
    char *golden = golden_path(name);
    SM_TEST_OK(sm_file_read(golden, &bytes, &count));
    SM_TEST_OK(sm_file_write_atomic(path, bytes, count));
    sm_free(bytes);
    sm_free(golden);
}

static void make_old_dataset(const char *path)
{
    copy_golden("dataset_version1.h5", path);
}

/* Of others: all in the earliest format, texts of variable length. */
static void make_foreign_dataset(const char *path)
{
    copy_golden("dataset_version2.h5", path);
}

/* ---- checkpoints and weights --------------------------------------------------------------------------------------- */

static sm_status read_weights(const char *path, uint32_t *crc)
{
    sm_status status = SM_OK;
    sm_weights_file *weights = NULL;
    SM_TRY(sm_weights_file_open(path, &weights));
    for (size_t i = 0; i < weights->count && status == SM_OK; i++) {
        const sm_weights_tensor *tensor = &weights->tensors[i];
        *crc = add_text(*crc, tensor->name);
        if (tensor->is_real) {
            float *values = sm_alloc((tensor->count + 1) * sizeof *values);
            status = sm_weights_file_read(weights, i, values);
            *crc = status == SM_OK ? sm_crc32c(*crc, values, tensor->count * sizeof *values) : *crc;
            sm_free(values);
        }
    }
done:
    sm_weights_file_close(weights);
    return status;
}

/* Collective. */
static sm_status resume(const char *path, uint32_t *crc)
{
    sm_trainer *trainer = run.trainer;
    sm_status status = sm_checkpoint_load(run.session, trainer, path, 0);
    const int64_t position[] = {trainer->step, trainer->epoch, trainer->position, trainer->skipped};
    *crc = sm_crc32c(0, position, sizeof position);
    *crc = sm_crc32c(*crc, run.session->values, tiny_parameter_floats(&run) * sizeof(float));
    *crc = sm_crc32c(*crc, run.session->buffers, tiny_buffer_floats(&run) * sizeof(float));
    *crc = sm_crc32c(*crc, trainer->update->state[0], tiny_parameter_floats(&run) * sizeof(float));
    return status;
}

static char checkpoint_path[NAME_BYTES]; /* whole */

static void make_checkpoint(const char *path)
{
    void *bytes = NULL;
    size_t count = 0;
    SM_TEST_OK(sm_file_read(checkpoint_path, &bytes, &count));
    SM_TEST_OK(sm_file_write_atomic(path, bytes, count));
    sm_free(bytes);
}

static void make_safetensors(const char *path)
{
    static const float numbers[] = {1, -2, 3, 4, 0.5f, 6};
    const sm_safetensor_values tensors[] = {{"fc.weight", 2, {2, 3}, numbers}, {"one", 0, {0}, numbers}};
    const sm_safetensors_text texts[] = {{"mean", "[0.5, 0.5, 0.5]"}};
    SM_TEST_OK(sm_safetensors_write(path, tensors, 2, texts, 1));
}

/* ---- files of one piece -------------------------------------------------------------------------------------------- */

static void make_bytes(const char *path, const void *bytes, size_t count)
{
    SM_TEST_OK(sm_file_write_atomic(path, bytes, count));
}

static void make_npy(const char *path)
{
    make_bytes(path, npy_files[0].file, npy_files[0].bytes);
}

static sm_status read_npy(const char *path, uint32_t *crc)
{
    sm_npy array;
    sm_status status = sm_npy_read_float(path, &array);
    *crc = status == SM_OK ? sm_crc32c(0, array.data, array.count * sizeof(float)) : 0;
    sm_npy_free(&array);
    return status;
}

static void make_png(const char *path)
{
    make_bytes(path, interlaced_png, sizeof interlaced_png);
}

static void make_jpeg(const char *path)
{
    make_bytes(path, rgb_jpeg, sizeof rgb_jpeg);
}

static sm_status read_image(const char *path, uint32_t *crc)
{
    sm_image image;
    sm_status status = sm_image_read(path, SM_IMAGE_AS_RGB | SM_IMAGE_AS_8_BIT, &image);
    size_t bytes = (size_t)image.height * (size_t)image.width * 3;
    *crc = status == SM_OK ? sm_crc32c(0, image.pixels, bytes) : 0;
    sm_image_free(&image);
    return status;
}

static void make_json(const char *path)
{
    static const char text[] = "{\"extrinsic\": {\"baseline\": 0.22, \"name\": \"x\", \"more\": [1, true, null]}}\n";
    make_bytes(path, text, sizeof text - 1);
}

static sm_status read_json(const char *path, uint32_t *crc)
{
    double value = 0;
    sm_status status = sm_json_read_real(path, "extrinsic.baseline", &value);
    *crc = sm_crc32c(0, &value, sizeof value);
    return status;
}

static void make_csv(const char *path)
{
    static const char text[] = "image,split,depth\r\na.png,train,3\r\n\"b, c.png\",val,\"say \"\"no\"\"\"\r\n";
    make_bytes(path, text, sizeof text - 1);
}

static sm_status read_csv(const char *path, uint32_t *crc)
{
    sm_csv table;
    sm_status status = sm_csv_read(path, &table);
    for (size_t i = 0; status == SM_OK && i < table.rows * table.columns; i++) {
        *crc = add_text(*crc, sm_csv_cell(&table, i / table.columns, i % table.columns));
    }
    sm_csv_free(&table);
    return status;
}

static void make_ini(const char *path)
{
    static const char text[] = "[run]\nfolder = ~/runs/mine\nbatch = 16 ; images\n[data]\ntrain = \"a, b.h5\", c.h5\n"
                               "[task.semantic]\nkind = semantic\nweight = 0.5\n[model]\naspp_rates = 1,2,3\n";
    make_bytes(path, text, sizeof text - 1);
}

static sm_status read_ini(const char *path, uint32_t *crc)
{
    sm_config *config = sm_config_new(sm_all_keys());
    sm_status status = sm_config_read(config, path);
    char *text = status == SM_OK ? sm_config_text(config) : sm_strdup("");
    *crc = add_text(0, text);
    sm_free(text);
    sm_config_free(config);
    return status;
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

static const struct kind {
    const char *name;
    void (*make)(const char *path);
    sm_status (*read)(const char *path, uint32_t *crc);
    int is_protected;  /* 1: nothing else is read from it than was written */
    int is_collective; /* 1: all ranks read it together, else rank 0 alone */
    int stops_nobody;  /* 1: whatever its damage, reading never fails */
} kinds[] = {
    {"dataset.h5", make_dataset, read_dataset, 1, 0, 0},
    {"dataset_version1.h5", make_old_dataset, read_dataset, 0, 0, 0},
    {"dataset_version2.h5", make_foreign_dataset, read_dataset, 0, 0, 0},
    {"resumed.h5", make_checkpoint, resume, 1, 1, 0},
    {"weights.h5", make_checkpoint, read_weights, 1, 0, 0},
    {"weights.safetensors", make_safetensors, read_weights, 0, 0, 0},
    {"array.npy", make_npy, read_npy, 0, 0, 0},
    {"image.png", make_png, read_image, 0, 0, 0},
    {"image.jpg", make_jpeg, read_image, 0, 0, 0},
    {"camera.json", make_json, read_json, 0, 0, 0},
    {"table.csv", make_csv, read_csv, 0, 0, 0},
    {"config.ini", make_ini, read_ini, 0, 0, 0},
    {"resumed_log.h5", damaged_log_make, damaged_log_resume, 1, 0, 1},
    {"resumed_old_log.h5", damaged_log_make_old, damaged_log_resume, 0, 0, 1},
    {"resumed_log.journal", damaged_log_make, damaged_log_resume, 1, 0, 1},
    {"shown_log.h5", damaged_log_make, damaged_log_show, 1, 0, 0},
    {"shown_old_log.h5", damaged_log_make_old, damaged_log_show, 0, 0, 0},
    {"shown_log.journal", damaged_log_make, damaged_log_show, 1, 0, 1},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int is_full(void)
{
    const char *word = getenv("DAMAGE");
    return word && strcmp(word, "full") == 0;
}

/* Reads what has become of the file. `what` and `at` say what was done to it. */
static void read_damaged(const struct kind *kind, const char *path, uint32_t sound, const char *what, size_t at)
{
    uint32_t crc = 0;
    size_t held = sm_memory_held_bytes();
    sm_status status = kind->read(path, &crc);
    int is_named = status == SM_OK || strstr(sm_error_message(), kind->name) != NULL;
    int is_right = status != SM_OK || !kind->is_protected || crc == sound;
    int is_bad_input = status == SM_ERR_INPUT || status == SM_ERR_IO || status == SM_ERR_CONFIG;
    int is_answer = status == SM_OK || (is_bad_input && !kind->stops_nobody);
    int is_clean = sm_memory_held_bytes() == held;
    CU_ASSERT(is_right && is_answer && is_clean);
    CU_ASSERT(is_named);
    if (!is_named || !is_right || !is_answer || !is_clean) {
        printf("%s, %s %zu: status %d, %s%s%s\n", kind->name, what, at, status,
               is_right ? "" : "what is read is not what was written, ", is_clean ? "" : "memory is kept, ",
               status == SM_OK ? "no message" : sm_error_message());
    }
}

static void barrier_if(const struct kind *kind)
{
    if (kind->is_collective) {
        sm_comm_barrier(test_comm);
    }
}

static void set_byte(int descriptor, size_t at, uint8_t value)
{
    if (descriptor >= 0) {
        CU_ASSERT(pwrite(descriptor, &value, 1, (off_t)at) == 1);
    }
}

static void flip(const struct kind *kind, const char *path, int descriptor, const uint8_t *bytes, size_t at,
                 uint8_t bit, uint32_t sound)
{
    set_byte(descriptor, at, bytes[at] ^ bit);
    barrier_if(kind);
    read_damaged(kind, path, sound, "a bit flipped of byte", at);
    barrier_if(kind);
    set_byte(descriptor, at, bytes[at]);
}

/* Headers of objects, and where HDF5 keeps what a group holds, if that is much: what is damaged must not seem absent. */
static void flip_groups(const struct kind *kind, const char *path, int descriptor, const uint8_t *bytes, size_t count,
                        uint32_t sound)
{
    enum { INSIDE = 30, TRIED = 5 };
    static const char *const marks[] = {"FHDB", "BTLF", "BTHD", "FRHP", "OHDR"};
    for (size_t m = 0; m < sizeof marks / sizeof *marks; m++) {
        size_t places = 0, place = 0;
        for (size_t at = 0; at + INSIDE < count; at++) {
            places += memcmp(bytes + at, marks[m], 4) == 0;
        }
        for (size_t at = 0; at + INSIDE < count; at++) {
            if (memcmp(bytes + at, marks[m], 4) == 0 && place++ % (places / TRIED + 1) == 0) {
                flip(kind, path, descriptor, bytes, at + INSIDE, 1, sound);
            }
        }
    }
}

static void flip_bits(const struct kind *kind, const char *path, const uint8_t *bytes, size_t count, uint32_t sound)
{
    const char *seed = getenv("DAMAGE_SEED");
    sm_random random = sm_random_new(seed ? strtoull(seed, NULL, 10) : 1, sm_hash(kind->name), 0);
    size_t most = is_full() ? MOST_FLIPS : (size_t)sm_test_rounds(FEW_FLIPS), flips = count < most ? count : most;
    int descriptor = sm_comm_rank(test_comm) == 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
    for (size_t i = 0; i < flips; i++) {
        size_t at = flips == count ? i : sm_random_u32(&random) % count;
        flip(kind, path, descriptor, bytes, at, (uint8_t)(1u << sm_random_u32(&random) % 8), sound);
    }
    if (kind->is_protected) {
        flip_groups(kind, path, descriptor, bytes, count, sound);
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
}

/* From the end on, so that nothing has to be written again. Files of less than a few kilobytes are cut at every byte. */
static void cut(const struct kind *kind, const char *path, size_t count, uint32_t sound)
{
    size_t step = count < 4096 ? 1 : 1024, most = is_full() ? SIZE_MAX : (size_t)sm_test_rounds(FEW_CUTS);
    step = count / step > most ? count / most : step;
    for (size_t left = (count - 1) / step * step; left + step > step || left == 0; left -= step) {
        if (sm_comm_rank(test_comm) == 0) {
            CU_ASSERT(truncate(path, (off_t)left) == 0);
        }
        barrier_if(kind);
        read_damaged(kind, path, sound, "cut to", left);
        barrier_if(kind);
        if (left == 0) {
            break;
        }
    }
}

static void damage(const struct kind *kind)
{
    char path[NAME_BYTES];
    void *bytes = NULL;
    size_t count = 0;
    uint32_t sound = 0;
    int is_root = sm_comm_rank(test_comm) == 0;
    snprintf(path, sizeof path, "%s/%s", sm_test_folder(), kind->name);
    if (is_root) {
        kind->make(path);
    }
    barrier_if(kind);
    SM_TEST_OK(sm_file_read(path, &bytes, &count));
    SM_TEST_OK(kind->read(path, &sound));
    flip_bits(kind, path, bytes, count, sound);
    cut(kind, path, count, sound);
    sm_free(bytes);
}

static void open_run(void)
{
    tiny_open(&run, test_comm, tiny_config(NULL));
    tiny_steps(&run, 1);
    damaged_log_use(run.session);
    snprintf(checkpoint_path, sizeof checkpoint_path, "%s/whole.h5", sm_test_folder());
    SM_TEST_OK(sm_checkpoint_save(run.trainer, checkpoint_path, NULL, "fingerprint", 0.5));
}

static void damaged_files_are_refused_by_name(void)
{
    open_run();
    for (int k = 0; k < KINDS; k++) {
        if (kinds[k].is_collective || (sm_comm_rank(test_comm) == 0 && sm_comm_size(test_comm) == 1)) {
            damage(&kinds[k]);
        }
    }
    tiny_close(&run);
}

/* Of a sample there are also a name, its size and its camera. */
static void the_facts_of_a_sample_are_protected(void)
{
    static const struct {
        const char *array, *message;
    } facts[] = {{"original_size", "/train/original_size of sample 0 is damaged"},
                 {"baseline_metres", "/train/baseline_metres of sample 0 is damaged"},
                 {"fx_pixels", "/train/fx_pixels of sample 0 is damaged"},
                 {"name", "/train/name is damaged"}};
    char path[NAME_BYTES];
    snprintf(path, sizeof path, "%s/facts.h5", sm_test_folder());
    for (size_t f = 0; f < sizeof facts / sizeof *facts && sm_comm_rank(test_comm) == 0; f++) {
        uint32_t crc = 0;
        uint8_t byte;
        make_dataset(path);
        char *object = sm_format("/train/%s", facts[f].array);
        hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), dataset = H5Dopen2(file, object, H5P_DEFAULT);
        off_t offset = (off_t)H5Dget_offset(dataset);
        H5Dclose(dataset);
        H5Fclose(file);
        sm_free(object);
        int descriptor = open(path, O_RDWR | O_CLOEXEC);
        CU_ASSERT(pread(descriptor, &byte, 1, offset) == 1);
        byte ^= 1;
        CU_ASSERT(pwrite(descriptor, &byte, 1, offset) == 1);
        close(descriptor);
        CU_ASSERT(read_dataset(path, &crc) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(facts[f].message);
    }
}

/* tests/golden/dataset_version2.h5 was written when texts had a variable length, by
 * `data scenes --train 1 --validation 1 --height 32 --width 32 --seed 7`. */
static void a_dataset_of_before_is_as_one_of_today(void)
{
    char *old = golden_path("dataset_version2.h5"), *now = sm_format("%s/today.h5", sm_test_folder());
    uint32_t crc[2] = {0};
    if (sm_comm_rank(test_comm) == 0) {
        sm_scenes_dataset_options options = {
            .output = now, .scene = sm_scene_options_default(), .train = 1, .validation = 1};
        options.scene.height = options.scene.width = 32;
        options.scene.seed = 7;
        SM_TEST_OK(sm_scenes_dataset_write(sm_comm_self(), &options));
        SM_TEST_OK(read_dataset(old, &crc[0]));
        SM_TEST_OK(read_dataset(now, &crc[1]));
        CU_ASSERT(crc[0] == crc[1]);
    }
    sm_free(old);
    sm_free(now);
}

static void make_weights(const char *path)
{
    sm_h5 *file = NULL;
    const float number = 1;
    SM_TEST_OK(sm_h5_create(path, SM_H5_LATEST, &file));
    SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-weights"));
    SM_TEST_OK(sm_h5_write_attribute_int64(file, "/", "format_version", 1));
    SM_TEST_OK(sm_h5_write(file, "/fc.bias", SM_H5_FLOAT, 1, (size_t[]){1}, &number));
    SM_TEST_OK(sm_h5_close(file));
}

static sm_status read_info(const char *path, uint32_t *crc)
{
    sm_checkpoint_info info;
    sm_status status = sm_checkpoint_read_info(path, &info);
    *crc = 0;
    sm_checkpoint_info_free(&info);
    return status;
}

static void files_of_later_versions_are_refused_by_name(void)
{
    static const struct kind versioned[] = {{"later_dataset.h5", make_dataset, read_dataset, 1, 0, 0},
                                            {"later_checkpoint.h5", make_checkpoint, read_info, 1, 0, 0},
                                            {"later_weights.h5", make_weights, read_weights, 1, 0, 0}};
    for (size_t k = 0; k < sizeof versioned / sizeof *versioned && sm_comm_rank(test_comm) == 0; k++) {
        char path[NAME_BYTES];
        uint32_t crc = 0;
        const int64_t version = 1000;
        snprintf(path, sizeof path, "%s/%s", sm_test_folder(), versioned[k].name);
        versioned[k].make(path);
        SM_TEST_OK(versioned[k].read(path, &crc));
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), id = H5Aopen(file, "format_version", H5P_DEFAULT);
        CU_ASSERT(H5Awrite(id, H5T_NATIVE_INT64, &version) >= 0);
        H5Aclose(id);
        H5Adelete(file, "attribute_crc32c"); /* as the later version would have written it */
        H5Fclose(file);
        CU_ASSERT(versioned[k].read(path, &crc) == SM_ERR_INPUT);
        SM_TEST_MESSAGE(versioned[k].name);
        SM_TEST_MESSAGE("1000");
    }
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(damaged_files_are_refused_by_name);
    SM_TEST(the_facts_of_a_sample_are_protected);
    SM_TEST(files_of_later_versions_are_refused_by_name);
    SM_TEST(a_dataset_of_before_is_as_one_of_today);
    return sm_test_end();
}
