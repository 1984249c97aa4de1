#include "data/importer.h"

const sm_importer *const sm_importers[] = {&sm_cityscapes_importer, NULL};
