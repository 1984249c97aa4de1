/** \file
 * Splits of samples for importers: what words mean them, and the draw that gives samples to them. */
#ifndef SIGMATIC_SRC_DATA_SPLIT_DRAW_H
#define SIGMATIC_SRC_DATA_SPLIT_DRAW_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

/** The splits that every file may have, in their order: train, val, test. */
enum { SM_USUAL_SPLITS = 3 };
extern const char *const sm_usual_split_names[SM_USUAL_SPLITS];

/** What a folder, or a cell, is called, and the split that it means: "validation" is val. */
typedef struct sm_split_word {
    const char *word, *split;
} sm_split_word;

enum { SM_SPLIT_WORDS = 7 };
extern const sm_split_word sm_split_words[SM_SPLIT_WORDS];

/** \return the place of the usual split that a word means, in any case of letters; -1: none. */
int sm_split_of_word(const char *word);

/** Reads "0.8,0.1,0.1", shares of train, val and test; what they leave of 1 is the next split's.
 * \param command         for messages: "data folder"
 * \param [out] fractions  SM_USUAL_SPLITS
 * \return SM_ERR_USAGE */
sm_status sm_split_fractions_read(const char *command, const char *text, double fractions[SM_USUAL_SPLITS]);

/** Reads a seed; NULL: 1. \return SM_ERR_USAGE */
sm_status sm_split_seed_read(const char *command, const char *text, uint64_t *seed);

/** Gives each of `count` names a split: its place in an order that the seed and the name alone decide says which.
 * \param path          for messages
 * \param [out] splits  places in sm_usual_split_names, one a name
 * \return SM_ERR_INPUT: a split with a share gets none */
sm_status sm_split_draw(const char *path, const char *const *names, size_t count, uint64_t seed,
                        const double fractions[SM_USUAL_SPLITS], int *splits);

#endif
