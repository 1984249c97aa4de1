/* ranks: 1 3 */
#include "tiny_run.h"

#include <sigmatic/io/h5.h>

#include <math.h>
#include <string.h>

enum { SEMANTIC, INSTANCE, DEPTH };

/* All samples of the training set at once, as its file has them. */
typedef struct everything {
    size_t samples, pixels;
    uint8_t *classes;
    float *disparity;
} everything;

static everything read_everything(sm_dataset *dataset)
{
    const sm_input *input = sm_dataset_input(dataset);
    everything all = {.samples = (size_t)sm_dataset_count(dataset),
                      .pixels = (size_t)input->height * (size_t)input->width};
    all.classes = sm_alloc(all.samples * all.pixels);
    all.disparity = sm_alloc(all.samples * all.pixels * sizeof(float));
    sm_sample_storage *storage = sm_sample_storage_new(dataset);
    for (size_t n = 0; n < all.samples; n++) {
        sm_sample sample;
        SM_TEST_OK(sm_dataset_read(dataset, (int64_t)n, storage, &sample));
        memcpy(all.classes + n * all.pixels, sm_sample_find(&sample, "semantic")->data, all.pixels);
        memcpy(all.disparity + n * all.pixels, sm_sample_find(&sample, "disparity")->data, all.pixels * sizeof(float));
    }
    sm_sample_storage_free(storage);
    return all;
}

static size_t samples_of_class(const everything *all, size_t pixel, int class)
{
    size_t found = 0;
    for (size_t n = 0; n < all->samples; n++) {
        found += all->classes[n * all->pixels + pixel] == class;
    }
    return found;
}

/* The one class that is predicted: none is more frequent, and no earlier one as frequent. */
static int is_mode(const everything *all, size_t pixel, const float *row, int classes)
{
    int predicted = -1, count = 0;
    for (int c = 0; c < classes; c++) {
        if (row[c] == 1) {
            predicted = c;
            count++;
        }
    }
    size_t most = count == 1 ? samples_of_class(all, pixel, predicted) : 0;
    for (int c = 0; c < classes && count == 1; c++) {
        size_t other = samples_of_class(all, pixel, c);
        if (other > most || (other == most && c < predicted)) {
            return 0;
        }
    }
    return count == 1;
}

/* Half of the valid values lie on either side. */
static int is_median(const everything *all, size_t pixel, float value)
{
    int below = 0, above = 0, valid = 0;
    for (size_t n = 0; n < all->samples; n++) {
        float other = all->disparity[n * all->pixels + pixel];
        valid += !isnan(other);
        below += other < value;
        above += other > value;
    }
    return valid ? 2 * below <= valid && 2 * above <= valid && !isnan(value) : value == 0;
}

static void every_position_has_the_mode_and_the_median(void)
{
    tiny_run run;
    tiny_open(&run, test_comm, tiny_config(NULL));
    everything all = read_everything(run.train);
    float *maps[TINY_TASKS_MOST] = {NULL};
    int classes = sm_dataset_target(run.train, "semantic")->classes->count, modes = 0, medians = 0, zeros = 0;
    SM_TEST_OK(sm_evaluator_learn_trivial(run.evaluator, run.train, 1000 * 69, maps));
    for (size_t p = 0; p < all.pixels; p++) {
        modes += is_mode(&all, p, maps[SEMANTIC] + p * (size_t)classes, classes);
        medians += is_median(&all, p, maps[DEPTH][p]);
        zeros += maps[INSTANCE][2 * p] == 0 && maps[INSTANCE][2 * p + 1] == 0;
    }
    CU_ASSERT(all.pixels == (size_t)modes);
    CU_ASSERT(all.pixels == (size_t)medians);
    CU_ASSERT(all.pixels == (size_t)zeros);
    for (int t = 0; t < TINY_TASKS_MOST; t++) {
        sm_free(maps[t]);
    }
    sm_free(all.classes);
    sm_free(all.disparity);
    tiny_close(&run);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    SM_TEST(every_position_has_the_mode_and_the_median);
    return sm_test_end();
}
