/* Files of named tensors: what is opened can be read, and lies inside the file. */
#include "fuzz.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/safetensors.h>

#include <string.h>

static void read_safetensors(const char *path, const uint8_t *input, size_t bytes)
{
    (void)input;
    sm_safetensors *file = NULL;
    uint64_t at = 0;
    if (sm_safetensors_open(path, &file) != SM_OK) {
        return;
    }
    for (size_t i = 0; i < sm_safetensors_count(file); i++) {
        const sm_safetensor *tensor = sm_safetensors_get(file, i);
        fuzz_touch(tensor->name, strlen(tensor->name) + 1);
        FUZZ_CHECK(tensor->begin >= at && tensor->bytes <= bytes && tensor->begin <= bytes - tensor->bytes);
        at = tensor->begin + tensor->bytes;
        if (tensor->is_real) {
            float *values = sm_alloc((tensor->count + 1) * sizeof *values);
            FUZZ_CHECK(sm_safetensors_read(file, tensor, values) == SM_OK);
            fuzz_touch(values, tensor->count * sizeof *values);
            sm_free(values);
        }
    }
    FUZZ_CHECK(at == bytes || sm_safetensors_count(file) == 0);
    const char *mean = sm_safetensors_metadata(file, "mean");
    if (mean) {
        fuzz_touch(mean, strlen(mean) + 1);
    }
    sm_safetensors_close(file);
}

static void safetensors_seeds(void)
{
    static const float numbers[] = {1, -2, 3, 4, 0.5f, 6};
    const sm_safetensor_values tensors[] = {{"fc.weight", 2, {2, 3}, numbers}, {"one", 0, {0}, numbers}};
    const sm_safetensors_text texts[] = {{"mean", "[0.5, 0.5, 0.5]"}};
    char *path = sm_format("%s/seed.safetensors", fuzz_folder());
    void *bytes = NULL;
    size_t count = 0;
    FUZZ_CHECK(sm_safetensors_write(path, tensors, 2, texts, 1) == SM_OK);
    FUZZ_CHECK(sm_file_read(path, &bytes, &count) == SM_OK);
    fuzz_seed(bytes, count);
    sm_free(bytes);
    static const char halves[] =
        "\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}            "
        "    \x80\x3f\x00\xc0";
    fuzz_seed(halves, sizeof halves - 1);
    sm_free(path);
}

const fuzz_target fuzz_safetensors = {"safetensors", NULL, NULL, read_safetensors, safetensors_seeds, 1 << 20, 300};
