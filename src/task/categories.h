/** \file
 * Categories: groups of classes, as the class list names them. */
#ifndef SIGMATIC_TASK_CATEGORIES_H
#define SIGMATIC_TASK_CATEGORIES_H

#include <sigmatic/data/target.h>

/** Numbers the categories in the order of their first classes.
 * \param [out] of_class  classes: the category, -1 none
 * \return how many there are; 0: the list has none */
int sm_categories_find(const sm_class_list *classes, int *of_class);

/** \return mean intersection over union of the categories in [0, 1], of a confusion matrix of classes (row truth, column prediction): a pixel is right if its
 * category is. NaN without categories or pixels. */
double sm_categories_mean_iou(const sm_class_list *classes, const int64_t *confusion);

#endif
