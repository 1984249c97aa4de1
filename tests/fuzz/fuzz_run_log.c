/* Run logs, as `show` reads them. */
#include "fuzz.h"
#include "fuzz_h5.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/h5.h>

#include "cli/show_view.h"

#include <string.h>

enum { ROWS = 3 };

static void write_column(sm_h5 *file, const char *object)
{
    static const double values[ROWS] = {0.5, -1, 2};
    FUZZ_CHECK(sm_h5_create_rows(file, object, SM_H5_DOUBLE, 0, 64) == SM_OK);
    FUZZ_CHECK(sm_h5_append_rows(file, object, SM_H5_DOUBLE, ROWS, values) == SM_OK);
}

static void write_counts(sm_h5 *file, const char *object)
{
    static const int64_t values[ROWS] = {1, 2, 3};
    FUZZ_CHECK(sm_h5_create_rows(file, object, SM_H5_INT64, 0, 64) == SM_OK);
    FUZZ_CHECK(sm_h5_append_rows(file, object, SM_H5_INT64, ROWS, values) == SM_OK);
}

static void write_task(sm_h5 *file)
{
    static const char *const texts[][2] = {
        {"kind", "depth"}, {"unit", "m"}, {"loss", "l1"}, {"likelihood", "laplace"}, {"meaning", "Laplace scale b"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        FUZZ_CHECK(sm_h5_write_attribute_text(file, "/tasks/depth", texts[i][0], texts[i][1]) == SM_OK);
    }
    FUZZ_CHECK(sm_h5_write_attribute_int64(file, "/tasks/depth", "dimensions", 1) == SM_OK);
}

static void begin(void)
{
    static const char *const columns[] = {"/steps/seconds",
                                          "/steps/loss",
                                          "/steps/images_per_second",
                                          "/tasks/depth/loss",
                                          "/tasks/depth/weight",
                                          "/tasks/depth/sigma",
                                          "/tasks/depth/log_variance",
                                          "/tasks/depth/gradient_norm",
                                          "/timing/step_seconds",
                                          "/evaluations/val/depth/error_metres"};
    static const char *const waits[] = {"min", "median", "max"}, *const kinds[] = {"data", "communication"};
    static const char *const more[] = {"/tasks/other",
                                       "/evaluations/test",
                                       "/tasks/depth@delta",
                                       "/tasks/depth@group",
                                       "/gradient_cosines/a/b",
                                       "/@host",
                                       NULL};
    char *path = sm_format("%s/sound.h5", fuzz_folder());
    sm_h5 *file = NULL;
    FUZZ_CHECK(sm_h5_create(path, SM_H5_EARLIEST, &file) == SM_OK);
    FUZZ_CHECK(sm_h5_write_attribute_text(file, "/", "format", "sigmatic-run") == SM_OK);
    FUZZ_CHECK(sm_h5_write_attribute_int64(file, "/", "format_version", 1) == SM_OK);
    FUZZ_CHECK(sm_h5_write_attribute_text(file, "/", "config", "[run]\n[task.depth]\nkind = depth\n") == SM_OK);
    write_counts(file, "/steps/step");
    write_counts(file, "/steps/applied");
    write_counts(file, "/evaluations/val/step");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        write_column(file, columns[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        char *object = sm_format("/timing/%s_wait_seconds_%s", kinds[i / 3], waits[i % 3]);
        write_column(file, object);
        sm_free(object);
    }
    write_task(file);
    FUZZ_CHECK(sm_h5_close(file) == SM_OK);
    fuzz_h5_open(path, more);
    sm_free(path);
}

static void read_log(const char *path, const uint8_t *input, size_t bytes)
{
    (void)input;
    (void)bytes;
    show_view view;
    int64_t ids = fuzz_h5_ids();
    if (show_view_read(path, &view) == SM_OK) {
        fuzz_touch(view.config, strlen(view.config) + 1);
        for (size_t i = 0; i < view.task_count && view.rows > 0; i++) {
            (void)show_last_mean(&view.curves[i].loss);
        }
    }
    show_view_clear(&view);
    FUZZ_CHECK(fuzz_h5_ids() == ids);
}

const fuzz_target fuzz_run_log = {"run_log", begin, fuzz_h5_make, read_log, fuzz_h5_seeds, 8 << 20, 4400};
