/** \file
 * What the samples of a split hold, counted over all of them by all ranks. */
#ifndef SIGMATIC_CLI_SPLIT_STATISTICS_H
#define SIGMATIC_CLI_SPLIT_STATISTICS_H

#include <sigmatic/comm/comm.h>
#include <sigmatic/data/dataset.h>

/** Of one target. */
typedef struct target_statistics {
    const sm_target *target;
    int64_t items, valid;
    int64_t of_class[SM_CLASS_IGNORED + 1];      /**< items of each class, of the ignored one too; of each label */
    int64_t with_instance[SM_CLASS_IGNORED + 1]; /**< those of them that belong to an instance */
    int64_t instances;                           /**< over all samples */
    int64_t zeros;                               /**< valid items of which all components are 0 */
    int64_t lengths_not_one;                     /**< valid items whose length is not 1 +- 0.01 */
    double sum, least, most;                     /**< of all components of valid items */
    double absolutes;                            /**< of real values: the sum of their absolute values, likewise */
    double sums[SM_COMPONENTS_MAX], squares[SM_COMPONENTS_MAX]; /**< of each component of valid items, real values */
    double *greatest; /**< of maps of one real value: of each sample, 0 where nothing is valid; NULL of other targets */
    int64_t *levels;  /**< likewise: different values, at most LEVELS_MAX */
} target_statistics;

/** More than 8 bits make, also where an import put the mean of two of them between each pair. */
enum { LEVELS_MAX = 512 };

typedef struct damaged_sample {
    int64_t index;
    char *why;
} damaged_sample;

typedef struct split_statistics {
    const char *name;
    sm_dataset *dataset;
    target_statistics *targets;
    int target_count;
    double *mean, *std;      /**< of the input's channels, of images of numbers in [0, 1]: as found */
    int64_t *known;          /**< of each channel: numbers that are known, of a table samples that have the feature */
    int64_t *input_crc;      /**< a sample: CRC-32C of its input, -1 where it cannot be read */
    int64_t blank;           /**< images that are one number throughout */
    int64_t damaged_count;   /**< samples that cannot be read */
    damaged_sample *damaged; /**< DAMAGED_MAX of them at most, by index */
} split_statistics;

enum { DAMAGED_MAX = 20 };

/** Reads every sample of a split; those that are damaged are noted, not fatal. Collective; the same on every rank.
 * \param name  kept by reference
 * \param [out] split  freed with split_statistics_clear(), also after failure
 * \return what opening the file fails with */
sm_status split_statistics_count(sm_comm *comm, const char *path, const char *name, split_statistics *split);
void split_statistics_clear(split_statistics *split);

/** \return SM_ERR_INPUT that tells how many samples are damaged, and why the first is; SM_OK if none is. */
sm_status split_statistics_verdict(const split_statistics *split, const char *path);

/** \return part / whole, 0 of nothing. */
double fraction_of(int64_t part, int64_t whole);

/** \return the mean of a target's real values; NaN where nothing is valid. */
double mean_of_target(const target_statistics *statistics);

/** \return the standard deviation of a target's real values, each component from its own mean; NaN where nothing is valid. */
double deviation_of_target(const target_statistics *statistics);

#endif
