#include <sigmatic/data/augmentation.h>
#include <sigmatic/data/input.h>

const double sm_imagenet_mean[3] = {0.485, 0.456, 0.406}, sm_imagenet_std[3] = {0.229, 0.224, 0.225};

static void prepare_image(const sm_input *input, const void *stored, int stored_height, int stored_width,
                          const sm_geometry *geometry, float *out, float *workspace)
{
    sm_image_sample(stored, stored_height, stored_width, geometry, input->mean, input->std, out, workspace);
}

const sm_input_kind sm_input_kinds[] = {
    {"image", 3, "R, G, B", sm_imagenet_mean, sm_imagenet_std, sm_image_sample_workspace, prepare_image},
    {0},
};
