/** \file
 * HDF5 files for fuzzing: an input is a list of edits of a sound file, so that most of what comes out is a file that
 * HDF5 reads and in which something is not what it should be: an object or attribute is away, of another type, shape,
 * layout or value, a link. The last kind of edit sets single bytes of the file. */
#ifndef SIGMATIC_TESTS_FUZZ_H5_H
#define SIGMATIC_TESTS_FUZZ_H5_H

#include <stddef.h>
#include <stdint.h>

/** Reads the sound file and lists what it has; to that list come `names` (NULL ends them), which edits may add:
 * "/train/depth" is an object, "/train@mean" an attribute. */
void fuzz_h5_open(const char *path, const char *const *names);

/** Makes the edited file. */
void fuzz_h5_make(const char *path, const uint8_t *input, size_t bytes);

/** \return how many files, objects, types and the like are open: the same before and after a reading. */
int64_t fuzz_h5_ids(void);

/** A seed for each kind of edit. */
void fuzz_h5_seeds(void);

#endif
