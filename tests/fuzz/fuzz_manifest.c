/* What a user writes for `data folder`: a description (INI), a line "---", and a manifest (CSV). */
#include "fuzz.h"

#include "data/folder.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>

#include <stdio.h>
#include <string.h>

static const char border[] = "\n---\n";

/* \return bytes of the description, up to the border or the end. */
static size_t description_bytes(const uint8_t *input, size_t bytes)
{
    size_t at = 0;
    while (at < bytes && (bytes - at < strlen(border) || memcmp(input + at, border, strlen(border)) != 0)) {
        at++;
    }
    return at;
}

static void make_manifest(const char *path, const uint8_t *input, size_t bytes)
{
    size_t length = description_bytes(input, bytes), skipped = length + strlen(border);
    (void)path;
    fuzz_write(input + (skipped < bytes ? skipped : bytes), skipped < bytes ? bytes - skipped : 0, 0);
}

/* As `data folder` does on rank 0. */
static sm_status describe(folder_description *d, const uint8_t *input, size_t length)
{
    sm_status status = SM_OK;
    int found = 0;
    char *text = sm_format("%.*s", (int)length, (const char *)input);
    SM_TRY(sm_config_read_text(d->config, "fuzz.ini", text));
    SM_TRY(sm_config_check(d->config));
    SM_TRY(folder_describe(d));
    SM_TRY(folder_find_names(d, &found));
    if (found) {
        folder_description_clear(d);
        SM_TRY(folder_describe(d));
    }
done:
    sm_free(text);
    return status;
}

static void read_manifest(const char *path, const uint8_t *input, size_t bytes)
{
    folder_description d = {
        .config = sm_config_new(folder_tables), .root = path, .describe = "fuzz.ini", .has_manifest = 1};
    if (describe(&d, input, description_bytes(input, bytes)) == SM_OK) {
        folder_samples samples = {.kind_count = d.kind_count};
        if (folder_find_samples(&d, &samples) == SM_OK) {
            FUZZ_CHECK(samples.count > 0);
        }
        folder_samples_clear(&samples);
    }
    folder_description_clear(&d);
    sm_config_free(d.config);
}

static void manifest_seeds(void)
{
    static const char *const seeds[] = {
        "[target.semantic]\nkind = class_map\nnames = a, b\nignore = 255\nids = 7, 11|12\npalette = 1 2 3, 4 5 "
        "6\nthing = b\n\n---\n"
        "image,split,semantic\na.png,train,a_labels.png\n\"b, c.png\",val,\n",
        "[target.depth]\nkind = depth_map\nscale = 0.001\nsparse = yes\n[target.motion]\nkind = value\ncolumn = x, y\n"
        "[camera]\nbaseline_metres = 0.2\nfx_pixels = fx\n\n---\nimage,depth,x,y,fx\na.png,d.png,1,2.5,700\n",
        "[target.weather]\nkind = class\n\n---\nimage,weather\na.png,sunny\nb.png,rain\n",
        "[target.tags]\nkind = labels\n\n---\nimage,tags\na.png,car|bus\nb.png,\n",
    };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        fuzz_seed(seeds[i], strlen(seeds[i]));
    }
}

/* Every row has a text for each of up to 32 targets, which may all be of one column. */
const fuzz_target fuzz_manifest = {"manifest", NULL, make_manifest, read_manifest, manifest_seeds, 4 << 20, 8192};
