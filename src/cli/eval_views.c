#include "cli/eval_views.h"

#include <sigmatic/base/memory.h>

#include "cli/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sm_status eval_scales_read(const char *text, double scales[EVAL_MOST_SCALES], int *count)
{
    static const double least = 0.1, most = 4;
    *count = 0;
    for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char *end;
        double scale = strtod(at, &end);
        if (end == at || (*end && *end != ',') || !(scale >= least && scale <= most)) {
            return sm_fail(SM_ERR_USAGE, "eval: --scales %s: expected numbers from %g to %g with commas between them",
                           text, least, most);
        }
        if (*count == EVAL_MOST_SCALES) {
            return sm_fail(SM_ERR_USAGE, "eval: --scales %s: expected at most %d", text, EVAL_MOST_SCALES);
        }
        scales[(*count)++] = scale;
    }
    return SM_OK;
}

sm_status eval_size_read(const char *text, const sm_dataset *dataset, int *height, int *width)
{
    enum { MOST = 16384 };
    if (!text) {
        return SM_OK;
    }
    if (strcmp(text, "stored") == 0) {
        *height = sm_dataset_input(dataset)->height;
        *width = sm_dataset_input(dataset)->width;
        return SM_OK;
    }
    if (!arguments_read_size(text, 1, MOST, height, width)) {
        return sm_fail(SM_ERR_USAGE, "eval: --size %s: expected 'stored' or HEIGHTxWIDTH, each from 1 to %d", text,
                       MOST);
    }
    return SM_OK;
}

char *eval_views_describe(const sm_dataset *dataset, int height, int width, const double *scales, int scale_count,
                          int flip)
{
    const sm_input *stored = sm_dataset_input(dataset);
    if (stored->kind->is_table) {
        return sm_strdup("");
    }
    char from[96] = "", views[16 * EVAL_MOST_SCALES + 64] = "";
    if (stored->height != height || stored->width != width) {
        snprintf(from, sizeof from, ", scaled from the stored %dx%d (--size stored measures there)", stored->height,
                 stored->width);
    }
    size_t at = 0;
    for (int i = 0; i < scale_count; i++) {
        at += (size_t)snprintf(views + at, sizeof views - at, "%s%g", i == 0 ? "; mean of scales " : ", ", scales[i]);
    }
    snprintf(views + at, sizeof views - at, "%s",
             !flip             ? ""
             : scale_count > 0 ? ", each also mirrored"
                               : "; mean with the mirrored image");
    return sm_format(" at %dx%d%s%s", height, width, from, views);
}
