/* Mean and standard deviation of the images of a split as they will be stored. They stand at the head of a file whose
 * samples may be there already, from before an interruption: so the images are read once more, before all else. */
#include "data/importer.h"

#include <sigmatic/comm/stall.h>
#include <sigmatic/comm/vote.h>
#include <sigmatic/data/sampler.h>

#include <math.h>

/* Of pixels inside the images; exact up to 2^47 pixels. */
typedef struct pixel_sums {
    int64_t pixels, value[3], square[3];
} pixel_sums;

static void add_image(const sm_import *import, pixel_sums *sums)
{
    for (int i = 0; i < import->height * import->width; i++) {
        int x = i % import->width, y = i / import->width;
        if (sm_geometry_nearest(&import->geometry, import->stored_height, import->stored_width, x, y) < 0) {
            continue;
        }
        sums->pixels++;
        for (int c = 0; c < 3; c++) {
            int64_t value = import->image[3 * i + c];
            sums->value[c] += value;
            sums->square[c] += value * value;
        }
    }
}

typedef sm_status (*image_reader)(sm_import *import, int split, int64_t index);

static sm_status add_sample(sm_import *import, int split, int64_t index, image_reader read, pixel_sums *sums)
{
    sm_comm_set_phase("mean and deviation, sample", 0, (int)index);
    sm_status status = read(import, split, index);
    if (status == SM_OK) {
        add_image(import, sums);
    } else if (import->options->skip_bad && (status == SM_ERR_INPUT || status == SM_ERR_IO)) {
        return SM_OK; /* it is told of when it is imported */
    }
    return status;
}

/* Ranks vote while they read: what one cannot read, or a signal to one, ends the work of all. */
static sm_status add_share(sm_comm *comm, sm_import *import, int split, int64_t count, image_reader read,
                           pixel_sums *sums)
{
    sm_status status = SM_OK;
    sm_vote vote = {0};
    int64_t first, share, rounds = (count + sm_comm_size(comm) - 1) / sm_comm_size(comm);
    sm_sampler_share(count, sm_comm_rank(comm), sm_comm_size(comm), &first, &share);
    for (int64_t i = 0; i < rounds; i++) {
        sm_vote_between(comm, &vote, i, status, import->options->stop ? import->options->stop() : 0);
        if (vote.failed) {
            break;
        }
        if (vote.stop) {
            return sm_fail(SM_PREEMPTED, "%s: asked to stop", import->options->output);
        }
        if (status == SM_OK && i < share) {
            status = add_sample(import, split, first + i, read, sums);
        }
    }
    return status;
}

sm_status sm_import_measure(sm_comm *comm, sm_import *import, int split, int64_t count, image_reader read,
                            double mean[3], double std[3])
{
    pixel_sums sums = {0};
    sm_status status = sm_comm_agree(comm, add_share(comm, import, split, count, read, &sums));
    if (status != SM_OK) {
        return status;
    }
    sm_comm_sum_int64(comm, &sums.pixels, 1);
    sm_comm_sum_int64(comm, sums.value, 3);
    sm_comm_sum_int64(comm, sums.square, 3);
    for (int c = 0; c < 3 && sums.pixels > 0; c++) {
        double pixels = (double)sums.pixels, level = (double)sums.value[c] / pixels;
        double variance = (double)sums.square[c] / pixels - level * level;
        mean[c] = level / 255;
        std[c] = variance > 0.25 ? sqrt(variance) / 255
                                 : 1.0 / 255; /* images of one colour: what is stored has steps of 1 */
    }
    return SM_OK;
}
