/** \file
 * A dataset file of synthetic scenes (data/scenes.h). */
#ifndef SIGMATIC_DATA_SCENES_DATASET_H
#define SIGMATIC_DATA_SCENES_DATASET_H

#include <sigmatic/base/status.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/data/scenes.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sm_scenes_dataset_options {
    const char *output;
    sm_scene_options scene;
    int64_t train, validation, test; /**< scenes a split ("train", "val", "test"); a split of 0 is left out */
    int clean_evaluation;            /**< 1: label noise in the split train only */
    int overwrite;
} sm_scenes_dataset_options;

/** Generates and writes the splits: disjoint scenes of one seed. Scene i of a split is scene i + k * 2^32 of the seed (k = 0, 1, 2 for train, val, test), so that a longer split begins with a shorter one.
 * Maps: semantic, instance, disparity, and instance_offset if scene.vector_noise > 0. Collective; the ranks share the work.
 *
 * \return SM_ERR_CONFIG for scene options out of range or no scenes at all, SM_ERR_USAGE if the output exists, SM_ERR_IO */
sm_status sm_scenes_dataset_write(sm_comm *comm, const sm_scenes_dataset_options *options);

#ifdef __cplusplus
}
#endif
#endif
