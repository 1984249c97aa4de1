#include <sigmatic/data/cityscapes.h>

#include <string.h>

static const char *const names[SM_CITYSCAPES_CLASSES] = {
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky",  "person",   "rider",    "car",  "truck", "bus",  "train",         "motorcycle",   "bicycle",
};

static const uint8_t palette[SM_CITYSCAPES_CLASSES][3] = {
    {128, 64, 128}, {244, 35, 232}, {70, 70, 70},    {102, 102, 156}, {190, 153, 153}, {153, 153, 153}, {250, 170, 30},
    {220, 220, 0},  {107, 142, 35}, {152, 251, 152}, {70, 130, 180},  {220, 20, 60},   {255, 0, 0},     {0, 0, 142},
    {0, 0, 70},     {0, 60, 100},   {0, 80, 100},    {0, 0, 230},     {119, 11, 32},
};

static const uint8_t thing[SM_CITYSCAPES_CLASSES] = {[11] = 1, 1, 1, 1, 1, 1, 1, 1};

static const char *const categories[SM_CITYSCAPES_CLASSES] = {
    "flat",    "flat",    "construction", "construction", "construction", "object", "object",
    "object",  "nature",  "nature",       "sky",          "human",        "human",  "vehicle",
    "vehicle", "vehicle", "vehicle",      "vehicle",      "vehicle",
};

/* Mean areas of instances in the fine annotations of 1024 x 2048 images, as cityscapesScripts' evaluation weighs by. */
static const double instance_pixels[SM_CITYSCAPES_CLASSES] = {
    [11] = 3462.4756337644, 3930.4788056518,  12794.0202738185, 27855.1264367816,
    35732.1511111111,       67583.7075812274, 6298.7200839748,  4672.3249222261,
};

const sm_class_list sm_cityscapes_classes = {.count = SM_CITYSCAPES_CLASSES,
                                             .names = names,
                                             .palette = palette,
                                             .thing = thing,
                                             .categories = categories,
                                             .instance_pixels = instance_pixels};

/* The label id of each class. */
static const uint8_t label_ids[SM_CITYSCAPES_CLASSES] = {7,  8,  11, 12, 13, 17, 19, 20, 21, 22,
                                                         23, 24, 25, 26, 27, 28, 31, 32, 33};

uint8_t sm_cityscapes_train_id(int label_id)
{
    for (int c = 0; c < SM_CITYSCAPES_CLASSES; c++) {
        if (label_ids[c] == label_id) {
            return (uint8_t)c;
        }
    }
    return 255;
}

/* Of all names of its label definitions (cityscapesscripts, labels.py), the unscored too: the id is the place. */
static const char *const label_names[] = {
    "unlabeled",  "ego vehicle",   "rectification border",
    "out of roi", "static",        "dynamic",
    "ground",     "road",          "sidewalk",
    "parking",    "rail track",    "building",
    "wall",       "fence",         "guard rail",
    "bridge",     "tunnel",        "pole",
    "polegroup",  "traffic light", "traffic sign",
    "vegetation", "terrain",       "sky",
    "person",     "rider",         "car",
    "truck",      "bus",           "caravan",
    "trailer",    "train",         "motorcycle",
    "bicycle",
};

int sm_cityscapes_label_id(const char *name)
{
    int count = (int)(sizeof label_names / sizeof *label_names);
    for (int id = 0; id < count; id++) {
        if (strcmp(label_names[id], name) == 0) {
            return id;
        }
    }
    return -1;
}
