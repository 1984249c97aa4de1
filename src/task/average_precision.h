/** \file
 * Average precision of predicted instances, as the Cityscapes benchmark measures it (cityscapesScripts, evalInstanceLevelSemanticLabeling.py).
 *
 * A prediction finds an instance of its class if intersection over union is above a threshold t: 0.5, 0.55, ... 0.95, each for itself. Of several that find one
 * the most confident is right and the others are wrong. A prediction that finds nothing is wrong, unless more than a share t of it lies where nothing is asked:
 *  - void: pixels without class and without instance,
 *  - groups: pixels of its class without instance (one region; one that it finds makes it ignored, too),
 *  - instances of its class smaller than `least_pixels` (likewise), which are not looked for.
 *
 * With the thresholds of confidence c_0 < c_1 < ... that occur, and precision p_i and recall r_i of the predictions of at least c_i:
 *   AP = sum_i p_i (r_(i-1) - r_(i+1)) / 2,  r_(-1) = r_0, with a last point p = 1, r = 0 and r = 0 after it.
 * A class without predictions has AP 0, one without instances NaN; AP50 is that of t = 0.5, AP the mean over t; both are means over classes. */
#ifndef SIGMATIC_TASK_AVERAGE_PRECISION_H
#define SIGMATIC_TASK_AVERAGE_PRECISION_H

#include "task/truth_instances.h"

enum { SM_PRECISION_OVERLAPS = 10 };

/** Least area of an instance in pixels of an original image, unless it is to be ignored. */
extern const double sm_precision_least_pixels;

/** A predicted instance. */
typedef struct sm_instance_guess {
    int class;
    double confidence;
    size_t pixel_count;
    const uint32_t *pixels; /**< places in the map, each once */
} sm_instance_guess;

/** \return numbers in `counts` of sm_precision_add(). */
size_t sm_precision_counts(const sm_class_list *classes);

/** Compares the predictions of one sample with its instances. Predictions may overlap; those of classes without instances and those without pixels are not looked at.
 * \param least_pixels       smaller instances are ignored
 * \param [in,out] numbers   counts and records are added to */
void sm_precision_add(const sm_joint_sample *sample, double least_pixels, const sm_instance_guess *guesses,
                      int guess_count, sm_metric_numbers *numbers);

/** \param [out] precision  (classes, SM_PRECISION_OVERLAPS) in [0, 1] */
void sm_precision_find(const sm_class_list *classes, const sm_metric_numbers *numbers, double *precision);

/** Means over thresholds and classes: \param [out] values  AP, AP50 in [0, 1]; \param [out] class_values  (2, classes), or NULL */
void sm_precision_average(const sm_class_list *classes, const double *precision, double *values, double *class_values);

#endif
