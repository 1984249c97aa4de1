#include <sigmatic/data/augmentation.h>
#include <sigmatic/data/input.h>

#include <math.h>

const double sm_imagenet_mean[3] = {0.485, 0.456, 0.406}, sm_imagenet_std[3] = {0.229, 0.224, 0.225};

static void prepare_image(const sm_input *input, const void *stored, int stored_height, int stored_width,
                          const sm_geometry *geometry, float *out, float *workspace)
{
    sm_image_sample(stored, stored_height, stored_width, geometry, input->mean, input->std, out, workspace);
}

static void recolour_image(const sm_input *input, const sm_colour_change *change, int stored_height, int stored_width,
                           const sm_geometry *geometry, float *out, float *workspace)
{
    sm_image_recolour(change, stored_height, stored_width, geometry, input->mean, input->std, out, workspace);
}

static size_t image_workspace(int stored_height, int stored_width, int height, int width, double scale_min)
{
    size_t sampling = sm_image_sample_workspace(stored_height, stored_width, height, width, scale_min);
    size_t colours = sm_image_recolour_workspace(width);
    return sampling > colours ? sampling : colours;
}

/* Nothing moves in a table: its one "pixel" is the sample. */
static void prepare_features(const sm_input *input, const void *stored, int stored_height, int stored_width,
                             const sm_geometry *geometry, float *out, float *workspace)
{
    const float *features = stored;
    (void)stored_height;
    (void)stored_width;
    (void)geometry;
    (void)workspace;
    for (int c = 0; c < input->channels; c++) {
        out[c] = isnan(features[c]) ? 0 : (float)((features[c] - input->mean[c]) / input->std[c]);
    }
}

static size_t no_workspace(int stored_height, int stored_width, int height, int width, double scale_min)
{
    (void)stored_height;
    (void)stored_width;
    (void)height;
    (void)width;
    (void)scale_min;
    return 0;
}

const sm_input_kind sm_input_kinds[] = {
    {"image", "images", 0, 3, "R, G, B", sm_imagenet_mean, sm_imagenet_std, image_workspace, prepare_image,
     recolour_image},
    {"features", "rows", 1, 0, "one a feature", NULL, NULL, no_workspace, prepare_features, NULL},
    {0},
};
