/* nyu_depth_v2_labeled.mat through `data nyuv2`, whole: listing, reading, writing of a dataset. MPI starts by itself. */
#include "fuzz.h"
#include "fuzz_h5.h"

#include "data/nyuv2_classes.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/comm/comm.h>
#include <sigmatic/data/import.h>
#include <sigmatic/io/file.h>

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 2, HEIGHT = 8, WIDTH = 12 };

static char *output;

/* ---- the sound file ------------------------------------------------------------------------------------------------ */

/* Zeros, packed as MATLAB does. */
static void write_array(hid_t file, const char *name, hid_t type, int rank, const hsize_t *shape)
{
    static const char zeros[IMAGES * 3 * WIDTH * HEIGHT * sizeof(float)];
    hid_t space = H5Screate_simple(rank, shape, NULL), plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(plan, rank, shape);
    H5Pset_deflate(plan, 3);
    hid_t array = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    FUZZ_CHECK(H5Dwrite(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros) >= 0);
    H5Dclose(array);
    H5Pclose(plan);
    H5Sclose(space);
}

/* The characters of a name; its path is /refs/N. */
static void write_text(hid_t file, int number, const char *text)
{
    uint16_t units[64] = {0};
    hsize_t shape[2] = {strlen(text), 1};
    char *name = sm_format("/refs/%d", number);
    for (size_t i = 0; text[i]; i++) {
        units[i] = (uint8_t)text[i];
    }
    hid_t space = H5Screate_simple(2, shape, NULL);
    hid_t array = H5Dcreate2(file, name, H5T_NATIVE_UINT16, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    FUZZ_CHECK(H5Dwrite(array, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, units) >= 0);
    H5Dclose(array);
    H5Sclose(space);
    sm_free(name);
}

/* Of every label: those without a class of their own share a text, which keeps the file small. */
static void write_names(hid_t file)
{
    static hobj_ref_t references[SM_NYUV2_LABELS];
    hsize_t shape[2] = {1, SM_NYUV2_LABELS};
    H5Gclose(H5Gcreate2(file, "/refs", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    for (int c = 0; c <= SM_NYUV2_NAMED_CLASSES; c++) {
        write_text(file, c, c < SM_NYUV2_NAMED_CLASSES ? sm_nyuv2_classes_40.names[c] : "other");
    }
    for (int i = 0; i < SM_NYUV2_LABELS; i++) {
        int class = sm_nyuv2_40_of_label[i];
        char *name = sm_format("/refs/%d", class < SM_NYUV2_NAMED_CLASSES ? class : SM_NYUV2_NAMED_CLASSES);
        FUZZ_CHECK(H5Rcreate(&references[i], file, name, H5R_OBJECT, -1) >= 0);
        sm_free(name);
    }
    hid_t space = H5Screate_simple(2, shape, NULL);
    hid_t array = H5Dcreate2(file, "/names", H5T_STD_REF_OBJ, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    FUZZ_CHECK(H5Dwrite(array, H5T_STD_REF_OBJ, H5S_ALL, H5S_ALL, H5P_DEFAULT, references) >= 0);
    H5Dclose(array);
    H5Sclose(space);
}

static void write_mat(const char *path)
{
    static const hsize_t image[4] = {IMAGES, 3, WIDTH, HEIGHT}, map[3] = {IMAGES, WIDTH, HEIGHT};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    write_array(file, "/images", H5T_NATIVE_UINT8, 4, image);
    write_array(file, "/depths", H5T_NATIVE_FLOAT, 3, map);
    write_array(file, "/labels", H5T_NATIVE_UINT16, 3, map);
    write_array(file, "/instances", H5T_NATIVE_UINT8, 3, map);
    write_names(file);
    H5Fclose(file);
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static const sm_importer *importer(void)
{
    const sm_importer *const *row = sm_importers;
    while (strcmp((*row)->name, "nyuv2") != 0) {
        row++;
    }
    return *row;
}

static void remove_output(void)
{
    static const char *const ends[] = {"", ".partial", ".partial.journal"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char *path = sm_format("%s%s", output, ends[i]);
        if (sm_file_exists(path)) {
            sm_remove_tree(path);
        }
        sm_free(path);
    }
}

static sm_status import(const char *path)
{
    const sm_import_options options = {.root = path, .output = output};
    return sm_import_dataset(sm_comm_world(), importer(), &options);
}

static void free_output(void)
{
    sm_free(output);
}

static void begin(void)
{
    static const char *const more[] = {"/rawDepths", "/refs/0@MATLAB_empty", "/names@MATLAB_class", NULL};
    char *path = sm_format("%s/sound.mat", fuzz_folder());
    output = sm_format("%s/out.h5", fuzz_folder());
    atexit(free_output);
    sm_comm_begin(NULL, NULL);
    atexit(sm_comm_end);
    write_mat(path);
    FUZZ_CHECK(import(path) == SM_OK);
    remove_output();
    fuzz_h5_open(path, more);
    sm_free(path);
}

static void read_mat(const char *path, const uint8_t *input, size_t bytes)
{
    (void)input;
    (void)bytes;
    int64_t ids = fuzz_h5_ids();
    (void)import(path);
    remove_output();
    FUZZ_CHECK(fuzz_h5_ids() == ids);
}

/* A packed byte may be 1032 pixels of an image, and these are held as floats and in two sizes. */
const fuzz_target fuzz_nyuv2 = {"nyuv2", begin, fuzz_h5_make, read_mat, fuzz_h5_seeds, 32 << 20, 32 * 1032};
