/** \file
 * The frame of the fuzz program: one libFuzzer program for all parsers, $SIGMATIC_FUZZ names which.
 *
 * An input becomes a file; a target reads it as a user's file is read. What counts as a failure, beside crashes, mistakes
 * that the sanitizers see and hangs: memory beyond `memory + multiple * size of the file` at any moment of the reading, and
 * memory of sm_alloc() that is still held after it. */
#ifndef SIGMATIC_TESTS_FUZZ_H
#define SIGMATIC_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/** One row of the table of fuzz.c. */
typedef struct fuzz_target {
    const char *name;
    void (*begin)(void); /**< once; NULL: nothing to do */
    void (*make)(const char *path, const uint8_t *input,
                 size_t bytes); /**< makes the file of an input; NULL: it is the input itself */
    void (*read)(const char *path, const uint8_t *input, size_t bytes); /**< may use the input for choices */
    void (*seeds)(void);                                                /**< calls fuzz_seed() */
    size_t memory, multiple;                                            /**< most bytes held while reading */
} fuzz_target;

extern const fuzz_target fuzz_png, fuzz_jpeg, fuzz_json, fuzz_npy, fuzz_csv, fuzz_config, fuzz_manifest, fuzz_dataset,
    fuzz_nyuv2, fuzz_checkpoint, fuzz_safetensors, fuzz_weights, fuzz_run_log;

/** Writes into the file that the target reads next; at position 0 its old contents go. */
void fuzz_write(const void *data, size_t bytes, size_t position);

/** Gives one seed, which is written to the folder of seeds. */
void fuzz_seed(const void *data, size_t bytes);

/** \return the folder in which the target may have files of its own, removed at the end. */
const char *fuzz_folder(void);

/** Writes a small dataset with targets of every type. */
void fuzz_write_dataset(const char *path);

/** Ends the program as a failure of the present input unless `condition`. */
#define FUZZ_CHECK(condition) fuzz_check((condition), #condition, __FILE__, __LINE__)
void fuzz_check(int condition, const char *text, const char *file, int line);

/** Reads every byte, so that the sanitizer sees those that are not there. */
void fuzz_touch(const void *data, size_t bytes);

#endif
