#include "task/categories.h"

#include <math.h>
#include <string.h>

int sm_categories_find(const sm_class_list *classes, int *of_class)
{
    int count = 0;
    for (int c = 0; c < classes->count; c++) {
        const char *name = classes->categories ? classes->categories[c] : "";
        of_class[c] = -1;
        for (int other = 0; other < c && *name && of_class[c] < 0; other++) {
            of_class[c] = strcmp(name, classes->categories[other]) == 0 ? of_class[other] : -1;
        }
        if (*name && of_class[c] < 0) {
            of_class[c] = count++;
        }
    }
    return count;
}

double sm_categories_mean_iou(const sm_class_list *classes, const int64_t *confusion)
{
    int of_class[SM_CLASSES_MAX], count = sm_categories_find(classes, of_class), present = 0;
    int64_t right[SM_CLASSES_MAX] = {0}, in_union[SM_CLASSES_MAX] = {0};
    double sum = 0;
    for (int t = 0; t < classes->count; t++) {
        for (int p = 0; p < classes->count; p++) {
            int64_t pixels = confusion[t * classes->count + p];
            int same = of_class[t] == of_class[p];
            if (of_class[t] >= 0) {
                right[of_class[t]] += same ? pixels : 0;
                in_union[of_class[t]] += pixels;
            }
            if (of_class[p] >= 0 && !same) {
                in_union[of_class[p]] += pixels;
            }
        }
    }
    for (int k = 0; k < count; k++) {
        if (in_union[k] > 0) {
            sum += (double)right[k] / (double)in_union[k];
            present++;
        }
    }
    return present > 0 ? sum / present : NAN;
}
