#include <sigmatic/data/fit.h>

#include <math.h>

const char *const sm_fit_names[SM_FITS] = {"stretch", "letterbox", "crop"};

/* One axis: pixels of the whole image after scaling, at least one. */
static double scaled_pixels(int stored, double scale)
{
    return fmax(floor(stored * scale + 0.5), 1);
}

sm_geometry sm_fit_geometry(sm_fit fit, int height, int width, int out_height, int out_width)
{
    if (fit == SM_FIT_STRETCH) {
        return sm_geometry_whole(height, width, out_height, out_width);
    }
    double by_width = (double)out_width / width, by_height = (double)out_height / height;
    double scale = fit == SM_FIT_LETTERBOX ? fmin(by_width, by_height) : fmax(by_width, by_height);
    double scaled_width = scaled_pixels(width, scale), scaled_height = scaled_pixels(height, scale);
    return (sm_geometry){.out_height = out_height,
                         .out_width = out_width,
                         .scale_x = scaled_width / width,
                         .scale_y = scaled_height / height,
                         .offset_x = trunc((scaled_width - out_width) / 2),
                         .offset_y = trunc((scaled_height - out_height) / 2)};
}
