#include "folder_tree.h"

#include "harness.h"
#include "png_file.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/import.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/npy.h>

#include <stdlib.h>
#include <string.h>

static char tree[4096];

void folder_tree_begin(const char *name)
{
    sm_comm_barrier(test_comm);
    char *path = sm_format("%s/%s", sm_test_folder(), name);
    CU_ASSERT_FATAL(strlen(path) < sizeof tree);
    strcpy(tree, path);
    if (sm_comm_rank(test_comm) == 0) {
        SM_TEST_OK(sm_make_folders(tree));
    }
    sm_free(path);
    sm_comm_barrier(test_comm);
}

char *folder_tree_path(const char *inner)
{
    return sm_format("%s%s%s", tree, *inner ? "/" : "", inner);
}

/* The path to write to, its folder made; NULL on ranks that do not write. */
static char *place(const char *inner)
{
    if (sm_comm_rank(test_comm) != 0) {
        return NULL;
    }
    char *path = folder_tree_path(inner);
    SM_TEST_OK(sm_make_folder_of(path));
    return path;
}

void folder_tree_bytes(const char *inner, const void *data, size_t bytes)
{
    char *path = place(inner);
    if (path) {
        SM_TEST_OK(sm_file_write_atomic(path, data, bytes));
    }
    sm_free(path);
}

void folder_tree_text(const char *inner, const char *text)
{
    folder_tree_bytes(inner, text, strlen(text));
}

void folder_tree_png(const char *inner, int width, int channels, int bits, int seed, folder_tree_pixel pixel)
{
    char *path = place(inner);
    size_t count = (size_t)TREE_H * (size_t)width * (size_t)channels;
    uint8_t *bytes = sm_alloc(count);
    uint16_t *words = sm_alloc(count * sizeof *words);
    for (size_t i = 0; i < count; i++) {
        int x = (int)(i / (size_t)channels) % width, y = (int)(i / (size_t)channels) / width;
        int value = pixel(seed, y, x);
        words[i] = (uint16_t)(channels == 3 ? value >> 8 * (i % 3) & 255 : value);
        bytes[i] = (uint8_t)words[i];
    }
    if (path) {
        png_write(path, TREE_H, width, channels, bits, bits == 16 ? (const void *)words : bytes);
    }
    sm_free(path);
    sm_free(bytes);
    sm_free(words);
}

void folder_tree_npy(const char *inner, int rank, const size_t *shape, const float *values)
{
    char *path = place(inner);
    sm_npy array = {.type = SM_NPY_F32, .rank = rank, .count = 1};
    for (int i = 0; i < rank; i++) {
        array.shape[i] = shape[i];
        array.count *= shape[i];
    }
    array.data = sm_alloc(array.count * sizeof *values);
    memcpy(array.data, values, array.count * sizeof *values);
    if (path) {
        SM_TEST_OK(sm_npy_write(&array, path));
    }
    sm_npy_free(&array);
    sm_free(path);
}

static int image_at(int seed, int y, int x)
{
    return (3 * x + 5 * y + 20 * seed) | 100 << 8 | 200 << 16;
}

void folder_tree_image(const char *inner, int seed)
{
    folder_tree_png(inner, TREE_W, 3, 8, seed, image_at);
}

static const sm_importer *folder_importer(void)
{
    const sm_importer *const *row = sm_importers;
    while (*row && strcmp((*row)->name, "folder") != 0) {
        row++;
    }
    CU_ASSERT_FATAL(*row != NULL);
    return *row;
}

sm_status folder_tree_import(const char *inner, const folder_tree_options *options)
{
    const sm_importer *importer = folder_importer();
    char *root = folder_tree_path(inner), *output = folder_tree_path("out.h5");
    char *describe = options->describe ? folder_tree_path("describe.ini") : NULL;
    sm_import_options import = {.root = root,
                                .output = output,
                                .height = options->height,
                                .width = options->width,
                                .fit = options->fit,
                                .measures = options->measures,
                                .skip_bad = options->skip_bad,
                                .overwrite = 1};
    const char *values[] = {describe, options->split, options->seed};
    const char *names[] = {"describe", "split", "seed"};
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_FATAL(strcmp(importer->flags[i].name, names[i]) == 0);
        import.values[i] = values[i];
    }
    if (options->describe) {
        folder_tree_text("describe.ini", options->describe);
    }
    sm_comm_barrier(test_comm);
    sm_status status = sm_import_dataset(test_comm, importer, &import);
    sm_comm_barrier(test_comm);
    sm_free(root);
    sm_free(output);
    sm_free(describe);
    return status;
}

sm_dataset *folder_tree_open(const char *split)
{
    char *path = folder_tree_path("out.h5");
    sm_dataset *dataset = NULL;
    SM_TEST_OK(sm_dataset_open((const char *const *)&path, 1, split, &dataset));
    CU_ASSERT_FATAL(dataset != NULL);
    sm_free(path);
    return dataset;
}
