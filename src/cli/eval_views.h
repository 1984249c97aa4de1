/** \file
 * Options of eval that say at which size it measures, and what the network sees of each image. */
#ifndef SIGMATIC_CLI_EVAL_VIEWS_H
#define SIGMATIC_CLI_EVAL_VIEWS_H

#include <sigmatic/base/status.h>
#include <sigmatic/data/dataset.h>

enum { EVAL_MOST_SCALES = 16 };

/** Reads "0.5,1,1.5". \return how many in `count`; SM_ERR_USAGE naming what is no scale from 0.1 to 4 */
sm_status eval_scales_read(const char *text, double scales[EVAL_MOST_SCALES], int *count);

/** Reads "stored" or "HEIGHTxWIDTH". \param [in,out] height, width  stay as they are where `text` is NULL
 * \return SM_ERR_USAGE */
sm_status eval_size_read(const char *text, const sm_dataset *dataset, int *height, int *width);

/** Says in words what was measured at which size: " at 64x96, scaled from the stored 128x192; ...". Freed with sm_free(). */
char *eval_views_describe(const sm_dataset *dataset, int height, int width, const double *scales, int scale_count,
                          int flip);

#endif
