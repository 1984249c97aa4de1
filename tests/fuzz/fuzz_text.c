/* JSON, CSV tables, configs and NumPy arrays: files of one piece. */
#include "fuzz.h"

#include "../npy_bytes.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/io/config.h>
#include <sigmatic/io/csv.h>
#include <sigmatic/io/json.h>
#include <sigmatic/io/npy.h>
#include <sigmatic/train/settings.h>

#include <string.h>

static void seed_text(const char *text)
{
    fuzz_seed(text, strlen(text));
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------- */

static void read_json(const char *path, const uint8_t *input, size_t bytes)
{
    double value;
    (void)input;
    (void)bytes;
    (void)sm_json_read_real(path, "extrinsic.baseline", &value);
}

static void json_seeds(void)
{
    seed_text(
        "{\n \"extrinsic\": {\"baseline\": 0.22, \"n\": 3, \"name\": \"x\", \"none\": null},\n \"a\": [1, true]}");
    seed_text("{\"extrinsic\": {\"baseline\": \"caf\xC3\xA9 \\u00e9\"}}");
}

const fuzz_target fuzz_json = {"json", NULL, NULL, read_json, json_seeds, 1 << 20, 300};

/* ---- CSV ----------------------------------------------------------------------------------------------------------- */

static void read_csv(const char *path, const uint8_t *input, size_t bytes)
{
    sm_csv table;
    size_t column, last = 0;
    (void)input;
    if (sm_csv_read(path, &table) == SM_OK) {
        for (size_t i = 0; i < table.rows; i++) {
            FUZZ_CHECK(table.lines[i] > last && table.lines[i] <= bytes);
            last = table.lines[i];
            for (size_t k = 0; k < table.columns; k++) {
                double value = 0;
                fuzz_touch(sm_csv_cell(&table, i, k), strlen(sm_csv_cell(&table, i, k)) + 1);
                if (sm_csv_real(&table, i, k, 100, &value) == SM_OK) {
                    FUZZ_CHECK(!(value < -100 || value > 100)); /* NaN: unknown */
                }
            }
        }
        FUZZ_CHECK(sm_csv_column(&table, table.names[table.columns - 1], &column) == SM_OK);
        (void)sm_csv_column(&table, "image", &column);
    }
    sm_csv_free(&table);
}

static void csv_seeds(void)
{
    seed_text("image,split,depth\r\na.png,train,3\r\n\"b, c.png\",validation,\"say \"\"no\"\"\"\r\n");
    seed_text("\xEF\xBB\xBFimage,n\n\"two\nlines\",\n\n x ,1e3");
}

const fuzz_target fuzz_csv = {"csv", NULL, NULL, read_csv, csv_seeds, 1 << 20, 80};

/* ---- configs ------------------------------------------------------------------------------------------------------- */

/* With the keys of a training; the resolved text says the same. */
static void read_config(const char *path, const uint8_t *input, size_t bytes)
{
    (void)input;
    (void)bytes;
    sm_config *config = sm_config_new(sm_all_keys());
    if (sm_config_read(config, path) == SM_OK && sm_config_check(config) == SM_OK) {
        sm_config *again = sm_config_new(sm_all_keys());
        char *text = sm_config_text(config), *same = NULL;
        FUZZ_CHECK(sm_config_read_text(again, "resolved", text) == SM_OK);
        same = sm_config_text(again);
        FUZZ_CHECK(strcmp(text, same) == 0);
        sm_free(text);
        sm_free(same);
        sm_config_free(again);
    }
    sm_config_free(config);
}

static void config_seeds(void)
{
    seed_text("[run]\nfolder = ~/runs/mine\nbatch = 16 ; images\n[data]\ntrain = \"a, b.h5\", c.h5\n"
              "[task.semantic]\nkind = semantic\nweight = 0.5\n[model]\naspp_rates = 1,2,3\n");
    seed_text("# a comment\n[run]\nfolder=r\nprecision = fp32\n[data]\ntrain=t\n[distributed]\nreproducible = yes\n"
              "[optimizer]\nkind = adamw\nlearning_rate = 2.5e-3\n");
}

const fuzz_target fuzz_config = {"config", NULL, NULL, read_config, config_seeds, 4 << 20, 600};

/* ---- NumPy --------------------------------------------------------------------------------------------------------- */

static void read_npy(const char *path, const uint8_t *input, size_t bytes)
{
    sm_npy array;
    (void)input;
    (void)bytes;
    if (sm_npy_read_float(path, &array) == SM_OK) {
        fuzz_touch(array.data, array.count * sizeof(float));
    }
    sm_npy_free(&array);
    if (sm_npy_read_int64(path, &array) == SM_OK) {
        fuzz_touch(array.data, array.count * sizeof(int64_t));
    }
    sm_npy_free(&array);
}

static void npy_seeds(void)
{
    for (size_t i = 0; i < sizeof npy_files / sizeof *npy_files; i++) {
        fuzz_seed(npy_files[i].file, npy_files[i].bytes);
    }
}

const fuzz_target fuzz_npy = {"npy", NULL, NULL, read_npy, npy_seeds, 1 << 16, 10};
