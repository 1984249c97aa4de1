/** \file
 * From centroid vectors to instances, for pictures: every pixel votes for the place that it points to; peaks of the
 * votes are instances, and a pixel belongs to the peak nearest to its vote. */
#ifndef SIGMATIC_TASK_INSTANCE_DECODE_H
#define SIGMATIC_TASK_INSTANCE_DECODE_H

#include <stddef.h>
#include <stdint.h>

typedef struct sm_instance_peak {
    float x, y; /**< mean of the votes about the peak, pixels */
    int votes;  /**< in the peak's bin and the eight around it */
} sm_instance_peak;

/** Votes fall into square bins (outside of the map: into the nearest). A peak is a bin whose 3 x 3 sum is the
 * greatest within two bins and at least `least_votes`. Peaks are in reading order.
 * \param [in]  vectors      (H,W,2) x then y, pixels; a pixel with NaN does not vote
 * \param [in]  thing        (H,W) 1 = votes, or NULL = all
 * \param [in]  bin_pixels   side of a bin
 * \param [out] labels       (H,W) index of a peak, -1 none
 * \param [out] peaks        freed with sm_free()
 * \return how many peaks */
int sm_instance_decode(int height, int width, const float *vectors, const uint8_t *thing, int bin_pixels,
                       int least_votes, int *labels, sm_instance_peak **peaks);

#endif
