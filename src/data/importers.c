#include "data/importer.h"

extern const sm_importer sm_cityscapes_importer, sm_kitti_importer, sm_mtan_importer, sm_nyuv2_importer,
    sm_folder_importer;

const sm_importer *const sm_importers[] = {&sm_cityscapes_importer, &sm_kitti_importer,  &sm_mtan_importer,
                                           &sm_nyuv2_importer,      &sm_folder_importer, NULL};
