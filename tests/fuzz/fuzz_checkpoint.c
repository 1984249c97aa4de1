/* Checkpoints: what they say of themselves, whether they are whole, and loading into a network and into a run.
 * The run is of one process: MPI starts by itself, without mpirun. */
#include "fuzz.h"
#include "fuzz_h5.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/data/data_options.h>
#include <sigmatic/train/checkpoint.h>
#include <sigmatic/train/pretrained.h>
#include <sigmatic/train/settings.h>

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

static sm_config *config;
static sm_dataset *dataset;
static sm_session *session;
static sm_trainer *trainer;

static void open_run(const char *data)
{
    sm_augmentation augmentation;
    char *text =
        sm_format("[run]\nfolder = %s/run\nbatch = 1\nsteps = 10\n[model]\nbackbone = resnet18\nwidth = 0.0625\n"
                  "aspp_rates = 1,2,3\n[data]\ntrain = %s\n[task.semantic]\nkind = semantic\n"
                  "[optimizer]\nema_decay = 0.9\n[distributed]\nthreads = 1\n",
                  fuzz_folder(), data);
    config = sm_config_new(sm_all_keys());
    FUZZ_CHECK(sm_config_read_text(config, "fuzz.ini", text) == SM_OK);
    FUZZ_CHECK(sm_data_open_train(config, &dataset) == SM_OK);
    FUZZ_CHECK(sm_data_augmentation(config, dataset, &augmentation) == SM_OK);
    FUZZ_CHECK(sm_session_new(config, sm_comm_world(), dataset, &session) == SM_OK);
    FUZZ_CHECK(sm_trainer_new(session, augmentation.crop_height, augmentation.crop_width, 1, 10, &trainer) == SM_OK);
    sm_trainer_bind(trainer);
    sm_free(text);
}

/* Version 1 has no checksums of attributes: what reads behind them is reached by a file that was edited, too. */
static void make_version_1(const char *path)
{
    const int64_t version = 1;
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), attribute = H5Aopen(file, "format_version", H5P_DEFAULT);
    FUZZ_CHECK(H5Awrite(attribute, H5T_NATIVE_INT64, &version) >= 0 && H5Adelete(file, "attribute_crc32c") >= 0);
    H5Aclose(attribute);
    H5Fclose(file);
}

static void begin(void)
{
    static const char *const more[] = {"/model/more", "/data", "/optimizer/more", "/weighting/more", "/@more", NULL};
    char *data = sm_format("%s/data.h5", fuzz_folder()), *path = sm_format("%s/sound.h5", fuzz_folder());
    sm_comm_begin(NULL, NULL);
    atexit(sm_comm_end);
    fuzz_write_dataset(data);
    open_run(data);
    FUZZ_CHECK(sm_checkpoint_save(trainer, path, NULL, "fingerprint", 0.5) == SM_OK);
    make_version_1(path);
    fuzz_h5_open(path, more);
    sm_free(data);
    sm_free(path);
}

static void read_info(const char *path)
{
    sm_checkpoint_info info;
    int channels;
    if (sm_checkpoint_read_info(path, &info) == SM_OK) {
        fuzz_touch(info.config, strlen(info.config));
    }
    sm_checkpoint_info_free(&info);
    (void)sm_checkpoint_task_channels(path, "semantic", &channels);
}

static void read_data(const char *path)
{
    sm_data_description *data = NULL;
    (void)sm_checkpoint_read_data(path, &data);
    sm_data_description_free(data);
}

static void verify(const char *path)
{
    (void)sm_checkpoint_verify(path, 0);
}

static void load_pretrained(const char *path)
{
    (void)sm_pretrained_load(session, path);
}

static void load_average(const char *path)
{
    (void)sm_checkpoint_load(session, NULL, path, 1);
}

static void resume(const char *path)
{
    (void)sm_checkpoint_load(session, trainer, path, 0);
}

/* One of the ways to read, as a checkpoint has hundreds of tensors. */
static void read_checkpoint(const char *path, const uint8_t *input, size_t bytes)
{
    static void (*const ways[])(const char *path) = {read_info, read_data,    verify,
                                                     resume,    load_average, load_pretrained};
    int64_t ids = fuzz_h5_ids();
    ways[sm_crc32c(0, input, bytes) % (sizeof ways / sizeof *ways)](path);
    FUZZ_CHECK(fuzz_h5_ids() == ids);
}

const fuzz_target fuzz_checkpoint = {"checkpoint", begin, fuzz_h5_make, read_checkpoint, fuzz_h5_seeds, 8 << 20, 16};
