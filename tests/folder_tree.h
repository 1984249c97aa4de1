/** \file
 * Folders of images, maps and manifests as a user may bring them, for tests of `data folder`. Rank 0 writes; the others
 * wait in folder_tree_import(). */
#ifndef SIGMATIC_TESTS_FOLDER_TREE_H
#define SIGMATIC_TESTS_FOLDER_TREE_H

#include <sigmatic/base/status.h>
#include <sigmatic/data/dataset.h>
#include <sigmatic/data/fit.h>

#include <stddef.h>
#include <stdint.h>

/** Size of the images of these trees. */
enum { TREE_H = 8, TREE_W = 12 };

/** The folder that the calls below write to and import: made, empty, under the test's scratch folder. */
void folder_tree_begin(const char *name);
/** \return its path, or that of a file in it; freed with sm_free(). */
char *folder_tree_path(const char *inner);

/** What a map holds at a pixel. */
typedef int (*folder_tree_pixel)(int seed, int y, int x);

void folder_tree_text(const char *inner, const char *text);
void folder_tree_bytes(const char *inner, const void *data, size_t bytes);
/** \param width  TREE_W, or another; the height is TREE_H */
void folder_tree_png(const char *inner, int width, int channels, int bits, int seed, folder_tree_pixel pixel);
/** A float32 .npy. */
void folder_tree_npy(const char *inner, int rank, const size_t *shape, const float *values);

/** An image of the tree: (3 x + 5 y + 20 seed, 100, 200) at a pixel. */
void folder_tree_image(const char *inner, int seed);

typedef struct folder_tree_options {
    const char *describe; /**< text of the description; NULL: none */
    const char *split, *seed;
    int height, width, measures, skip_bad;
    sm_fit fit;
} folder_tree_options;

/** Imports `inner` of the tree ("": the folder itself) to out.h5 in the tree, replacing one there. Collective. */
sm_status folder_tree_import(const char *inner, const folder_tree_options *options);

/** Opens a split of what was imported. */
sm_dataset *folder_tree_open(const char *split);

#endif
