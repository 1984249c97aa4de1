#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/data_options.h>

#include <math.h>
#include <stddef.h>

const sm_key sm_data_keys[] = {
    {"data", "train", SM_KEY_PATHS, NULL, 0, 0, NULL, NULL, "dataset files to train on"},
    {"data", "validation", SM_KEY_PATHS, "", 0, 0, NULL, NULL, "dataset files to evaluate on; empty: those of train"},
    {"data", "train_split", SM_KEY_TEXT, "train", 0, 0, NULL, NULL, "split of the training files"},
    {"data", "validation_split", SM_KEY_TEXT, "val", 0, 0, NULL, NULL, "split to evaluate on; empty: no evaluation"},
    {"data", "height", SM_KEY_INTEGER, "0", 0, 16384, NULL, "px", "images are scaled to it; 0: as stored"},
    {"data", "width", SM_KEY_INTEGER, "0", 0, 16384, NULL, "px", "images are scaled to it; 0: as stored"},
    {"data", "prefetch", SM_KEY_INTEGER, "2", 1, 64, NULL, "steps", "prepared ahead by the loader"},
    {"data", "workers", SM_KEY_INTEGER, "1", 1, 64, NULL, NULL, "loader threads a rank"},
    {NULL, NULL, SM_KEY_BOOL, NULL, 0, 0, NULL, NULL, NULL},
};

const sm_key sm_augmentation_keys[] = {
    {"data", "crop_height", SM_KEY_INTEGER, "0", 0, 16384, NULL, "px", "of the random crop to train on; 0: no crop"},
    {"data", "crop_width", SM_KEY_INTEGER, "0", 0, 16384, NULL, "px", "of the random crop to train on; 0: no crop"},
    {"data", "flip", SM_KEY_BOOL, "true", 0, 0, NULL, NULL, "mirror half of the training images, at random"},
    {"data", "scale_min", SM_KEY_REAL, "1", 0.1, 10, NULL, NULL, "smallest random scale of training images"},
    {"data", "scale_max", SM_KEY_REAL, "1", 0.1, 10, NULL, NULL, "largest random scale of training images"},
    {"data", "brightness", SM_KEY_REAL, "0", 0, 10, NULL, NULL,
     "factor of the brightness of training images: 1 - x to 1 + x, at random"},
    {"data", "contrast", SM_KEY_REAL, "0", 0, 10, NULL, NULL, "the same for their contrast"},
    {"data", "saturation", SM_KEY_REAL, "0", 0, 10, NULL, NULL, "the same for their saturation"},
    {"data", "hue", SM_KEY_REAL, "0", 0, 0.5, NULL, "turns", "their hues are turned by at most this, at random"},
    {"data", "erasing", SM_KEY_REAL, "0", 0, 1, NULL, NULL,
     "share of the training images of which a random rectangle is blanked; targets stay"},
    {"data", "erasing_area", SM_KEY_REAL, "0.33", 0.001, 1, NULL, NULL,
     "largest share of the image that the rectangle covers"},
    {"data", "rotation", SM_KEY_REAL, "0", 0, 45, NULL, "degrees",
     "training images are turned by at most this, at random"},
    {NULL, NULL, SM_KEY_BOOL, NULL, 0, 0, NULL, NULL, NULL},
};

static sm_status open_files(const sm_config *config, const char *key, const char *split, sm_dataset **out)
{
    size_t count;
    const char *const *paths = sm_config_texts(config, "data", key, &count);
    if (count == 0) {
        return sm_config_fail(config, "data", key, "names no file");
    }
    return sm_config_name_key(config, "data", key, sm_dataset_open(paths, (int)count, split, out));
}

sm_status sm_data_open_train(const sm_config *config, sm_dataset **out)
{
    *out = NULL;
    return open_files(config, "train", sm_config_text_of(config, "data", "train_split"), out);
}

sm_status sm_data_open_validation(const sm_config *config, sm_dataset **out)
{
    const char *split = sm_config_text_of(config, "data", "validation_split");
    size_t count;
    *out = NULL;
    if (*split == 0) {
        return SM_OK;
    }
    sm_config_texts(config, "data", "validation", &count);
    sm_status status = open_files(config, count > 0 ? "validation" : "train", split, out);
    if (status == SM_ERR_INPUT) {
        char *why = sm_strdup(sm_error_message());
        sm_fail(status, "%s (where no evaluation is wanted: data.validation_split =)", why);
        sm_free(why);
    }
    return status;
}

/* Both sides of a size, or neither. */
static sm_status read_size(const sm_config *config, const char *height_key, const char *width_key, int *height,
                           int *width)
{
    int given_height = (int)sm_config_integer(config, "data", height_key);
    int given_width = (int)sm_config_integer(config, "data", width_key);
    if ((given_height == 0) != (given_width == 0)) {
        return sm_config_fail(config, "data", given_height == 0 ? height_key : width_key,
                              "%s and %s must both be given or both be 0", height_key, width_key);
    }
    if (given_height > 0) {
        *height = given_height;
        *width = given_width;
    }
    return SM_OK;
}

sm_status sm_data_augmentation(const sm_config *config, const sm_dataset *train, sm_augmentation *augmentation)
{
    sm_status status = SM_OK;
    if (train && sm_dataset_input(train)->kind->is_table) { /* nothing to cut, to turn or to colour */
        *augmentation = (sm_augmentation){
            .height = 1, .width = 1, .crop_height = 1, .crop_width = 1, .scale_min = 1, .scale_max = 1};
        return SM_OK;
    }
    augmentation->height = train ? sm_dataset_input(train)->height : 0;
    augmentation->width = train ? sm_dataset_input(train)->width : 0;
    SM_TRY(read_size(config, "height", "width", &augmentation->height, &augmentation->width));
    augmentation->crop_height = augmentation->height;
    augmentation->crop_width = augmentation->width;
    SM_TRY(read_size(config, "crop_height", "crop_width", &augmentation->crop_height, &augmentation->crop_width));
    augmentation->flip = sm_config_bool(config, "data", "flip");
    augmentation->scale_min = sm_config_real(config, "data", "scale_min");
    augmentation->scale_max = sm_config_real(config, "data", "scale_max");
    for (int i = 0; i < SM_COLOUR_CHANGES; i++) {
        static const char *const keys[SM_COLOUR_CHANGES] = {"brightness", "contrast", "saturation", "hue"};
        augmentation->colour[i] = sm_config_real(config, "data", keys[i]);
    }
    augmentation->erasing = sm_config_real(config, "data", "erasing");
    augmentation->erasing_area = sm_config_real(config, "data", "erasing_area");
    augmentation->rotation_degrees = sm_config_real(config, "data", "rotation");
    if (augmentation->scale_min > augmentation->scale_max) {
        status = sm_config_fail(config, "data", "scale_min", "scale_max is %g: expected scale_min <= scale_max",
                                augmentation->scale_max);
    }
done:
    return status;
}

/* How much of an axis of the crop the image can cover. */
static double covered(int length, double scale, int crop)
{
    return fmin(length * scale / crop, 1);
}

void sm_data_remark_sizes(const sm_augmentation *a, const sm_dataset *train)
{
    const double bent = 1.05; /* proportions that anyone would see are others */
    const sm_input *stored = sm_dataset_input(train);
    double high = (double)a->height / stored->height, wide = (double)a->width / stored->width;
    double share = covered(a->height, a->scale_max, a->crop_height) * covered(a->width, a->scale_max, a->crop_width);
    if (share < 1) {
        sm_log_warning("data.crop_height, crop_width: %d x %d is larger than the images, which are %d x %d and at most "
                       "%.3g times that (data.scale_max): at least %.0f %% of every crop is empty, without labels",
                       a->crop_height, a->crop_width, a->height, a->width, a->scale_max, 100 * (1 - share));
    }
    if (high > 1 || wide > 1) {
        sm_log_info("data.height, width: images stored at %d x %d are enlarged to %d x %d: more work, no more detail",
                    stored->height, stored->width, a->height, a->width);
    }
    if (fmax(high / wide, wide / high) > bent) {
        sm_log_info("data.height, width: images stored at %d x %d become %d x %d, of other proportions", stored->height,
                    stored->width, a->height, a->width);
    }
}
