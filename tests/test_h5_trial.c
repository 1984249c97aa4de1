/* ranks: 1
 * Files whose metadata have no checksums: HDF5 1.10 crashes on some of them when a byte is wrong, the program does not. */
#define _XOPEN_SOURCE 700
#include "harness.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <hdf5.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

static char path[512];
static void *sound;
static size_t sound_bytes;

/* As others write them: with a group whose links are in its own header, which a link to another file brings about. */
static void write_file(void)
{
    static const float numbers[24] = {1, 2, 3};
    sm_h5 *file = NULL;
    SM_TEST_OK(sm_h5_create(path, SM_H5_EARLIEST, &file));
    SM_TEST_OK(sm_h5_write_attribute_text(file, "/", "config", "aspp_rates = 6,12,18"));
    SM_TEST_OK(sm_h5_write(file, "/conv.weight", SM_H5_FLOAT, 2, (size_t[]){4, 6}, numbers));
    SM_TEST_OK(sm_h5_write(file, "/bn.bias", SM_H5_FLOAT, 1, (size_t[]){24}, numbers));
    SM_TEST_OK(sm_h5_close(file));
    hid_t other = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    CU_ASSERT(H5Lcreate_external("elsewhere.h5", "/bn.bias", other, "bn.mean", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(other);
    SM_TEST_OK(sm_file_read(path, &sound, &sound_bytes));
}

/* \return what opening a file says that has `value` at a place */
static sm_status open_changed(size_t place, char value)
{
    char *bytes = sound, kept = bytes[place];
    sm_h5 *file = NULL;
    bytes[place] = value;
    SM_TEST_OK(sm_file_write_atomic(path, bytes, sound_bytes));
    bytes[place] = kept;
    sm_status status = sm_h5_open(path, &file);
    sm_h5_close(file);
    return status;
}

enum { HEADER_BYTES = 200 }; /* at the end: the header with the links, to which the file's last change moved it */

static void what_crashes_hdf5_is_an_error(void)
{
#ifdef __SANITIZE_ADDRESS__
    sm_test_skip("fork", "no file is tried in a child under AddressSanitizer (h5_trial.c)");
    return;
#endif
    int crashes = 0, opened = 0;
    write_file();
    mallopt(M_PERTURB, 0x41); /* memory that HDF5 never wrote is no valid pointer */
    for (size_t place = sound_bytes - HEADER_BYTES; place < sound_bytes; place++) {
        if (open_changed(place, (char)(((char *)sound)[place] ^ 1)) == SM_OK) {
            opened++;
        } else {
            SM_TEST_MESSAGE(path);
            crashes += strstr(sm_error_message(), "crashes (signal") != NULL;
        }
    }
    mallopt(M_PERTURB, 0);
    CU_ASSERT(opened > 0);
    CU_ASSERT(crashes > 0 || strcmp(sm_h5_library_version(), "1.10.8") != 0);
    SM_TEST_OK(open_changed(0, *(char *)sound));
    sm_free(sound);
}

int main(int argc, char **argv)
{
    sm_test_begin(&argc, &argv);
    snprintf(path, sizeof path, "%s/file.h5", sm_test_folder());
    SM_TEST(what_crashes_hdf5_is_an_error);
    return sm_test_end();
}
