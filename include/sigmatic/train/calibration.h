/** \file
 * How well a learned sigma fits residuals that it was not learned from. */
#ifndef SIGMATIC_TRAIN_CALIBRATION_H
#define SIGMATIC_TRAIN_CALIBRATION_H

#include <sigmatic/train/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Of one task on one split; NaN what is not there. */
typedef struct sm_calibration {
    double loss;  /**< that it is trained by, over the split (sm_evaluation.losses) */
    double sigma; /**< the learned one */
    double
        residual_scale; /**< sigma that minimises the task's term of the objective at that loss: in closed form, in sigma's unit */
    double ratio; /**< sigma / residual_scale: below 1, sigma is surer than the split's residuals allow */
} sm_calibration;

/** The same by name, in the order of the struct: "loss", "sigma", "residual_scale", "ratio". */
enum { SM_CALIBRATION_NUMBERS = 4 };
extern const char *const sm_calibration_names[SM_CALIBRATION_NUMBERS];
/** \return one of its numbers. */
double sm_calibration_number(const sm_calibration *calibration, int number);

/** Compares. Not collective.
 * \param parameters  flat parameters that were evaluated; NULL: the session's
 * \param losses      one a task, of the split
 * \param [out] out   one a task */
void sm_calibrate(const sm_session *session, const float *parameters, const double *losses, sm_calibration *out);

#ifdef __cplusplus
}
#endif
#endif
