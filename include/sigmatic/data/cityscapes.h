/** \file
 * What is known of Cityscapes (Cordts et al., CVPR 2016): its classes. Its importer is a row of import.h. */
#ifndef SIGMATIC_DATA_CITYSCAPES_H
#define SIGMATIC_DATA_CITYSCAPES_H

#include <sigmatic/data/target.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_CITYSCAPES_CLASSES = 19 };

/** The 19 scored classes: names, colours, things (the last 8). */
extern const sm_class_list sm_cityscapes_classes;

/** \return the class of a label id, 255 if it is not scored. */
uint8_t sm_cityscapes_train_id(int label_id);

/** \return the label id of the class of that name, -1 if Cityscapes has none. */
int sm_cityscapes_label_id(const char *name);

#ifdef __cplusplus
}
#endif
#endif
