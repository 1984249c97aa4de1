/* Weights of others in HDF5: listed, and every tensor of real numbers read. */
#include "fuzz.h"
#include "fuzz_h5.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/train/weights_file.h>

#include <string.h>

static void begin(void)
{
    static const char *const more[] = {"/model", "/state_dict", "/ema", "/conv.more", "/@std", "/@config", NULL};
    static const float numbers[24] = {1, -2, 0.5f};
    static const double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225};
    char *path = sm_format("%s/sound.h5", fuzz_folder());
    sm_h5 *file = NULL;
    FUZZ_CHECK(sm_h5_create(path, SM_H5_EARLIEST, &file) == SM_OK);
    FUZZ_CHECK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-weights") == SM_OK);
    FUZZ_CHECK(sm_h5_write_attribute_doubles(file, "/", "mean", mean, 3) == SM_OK);
    FUZZ_CHECK(sm_h5_write_attribute_doubles(file, "/", "std", std, 3) == SM_OK);
    FUZZ_CHECK(sm_h5_write(file, "/conv.weight", SM_H5_FLOAT, 4, (size_t[]){2, 3, 2, 2}, numbers) == SM_OK);
    FUZZ_CHECK(sm_h5_write(file, "/bn.bias", SM_H5_DOUBLE, 1, (size_t[]){12}, numbers) == SM_OK);
    FUZZ_CHECK(sm_h5_write_attribute_int64(file, "/conv.weight", "crc32c", 0) == SM_OK);
    FUZZ_CHECK(sm_h5_close(file) == SM_OK);
    fuzz_h5_open(path, more);
    sm_free(path);
}

static void read_weights(const char *path, const uint8_t *input, size_t bytes)
{
    (void)input;
    (void)bytes;
    sm_weights_file *weights = NULL;
    int64_t ids = fuzz_h5_ids();
    if (sm_weights_file_open(path, &weights) == SM_OK) {
        for (size_t i = 0; i < weights->count; i++) {
            const sm_weights_tensor *tensor = &weights->tensors[i];
            fuzz_touch(tensor->name, strlen(tensor->name) + 1);
            if (tensor->is_real) {
                float *values = sm_alloc((tensor->count + 1) * sizeof *values);
                if (sm_weights_file_read(weights, i, values) == SM_OK) {
                    fuzz_touch(values, tensor->count * sizeof *values);
                }
                sm_free(values);
            }
        }
    }
    sm_weights_file_close(weights);
    FUZZ_CHECK(fuzz_h5_ids() == ids);
}

const fuzz_target fuzz_weights = {"weights", begin, fuzz_h5_make, read_weights, fuzz_h5_seeds, 8 << 20, 4400};
