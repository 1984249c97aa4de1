/* Whether HDF5 survives the metadata of a file: tried in a child, which may die.
 *
 * Before version 1.8 of its format nothing in HDF5's metadata has a checksum, and HDF5 1.10 believes what it reads there: a
 * flipped byte makes it free memory that it never had, or go round in a circle. So are the files that h5py and MATLAB write. */
#define _GNU_SOURCE
#include "io/h5_private.h"

#include <sigmatic/base/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_NAME = 512, MOST_ATTRIBUTE_BYTES = 16 << 20, MOST_CPU_SECONDS = 120 };

/* What the child leaves for its parent. */
typedef struct {
    volatile int has_ended;
    char last[LONGEST_NAME]; /* the object that it came to */
} trial;

/* ---- in the child ---------------------------------------------------------------------------------------------------- */

static void read_array(hid_t type, hid_t space, hid_t attribute)
{
    hssize_t count = H5Sget_simple_extent_npoints(space);
    size_t bytes = H5Tget_size(type);
    /* Texts of variable length are never read by HDF5 (h5_texts.c). */
    if (count > 0 && bytes > 0 && (size_t)count <= MOST_ATTRIBUTE_BYTES / bytes && !H5Tdetect_class(type, H5T_VLEN) &&
        H5Tis_variable_str(type) <= 0) {
        void *data = sm_alloc((size_t)count * bytes);
        H5Aread(attribute, type, data);
        sm_free(data);
    }
}

static herr_t try_attribute(hid_t object, const char *name, const H5A_info_t *info, void *user)
{
    (void)info, (void)user;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT), type = H5Aget_type(attribute),
          space = H5Aget_space(attribute);
    if (type >= 0 && space >= 0) {
        read_array(type, space, attribute);
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return 0;
}

static herr_t try_object(hid_t file, const char *name, const H5O_info_t *info, void *user)
{
    (void)info;
    trial *t = user;
    snprintf(t->last, sizeof t->last, "%s", name);
    hid_t object = H5Oopen(file, name, H5P_DEFAULT);
    if (object >= 0 && H5Iget_type(object) == H5I_DATASET) {
        hid_t type = H5Dget_type(object), space = H5Dget_space(object), plan = H5Dget_create_plist(object);
        H5Dget_storage_size(object); /* walks through the index of its chunks */
        H5Pclose(plan);
        H5Sclose(space);
        H5Tclose(type);
    }
    H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, try_attribute, NULL);
    H5Oclose(object);
    return 0;
}

/* Dies quietly: without a core file, without handlers of MPI's or a sanitizer's, with nothing on the terminal. */
static void be_expendable(void)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU};
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        signal(deadly[i], SIG_DFL);
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_CPU, &(struct rlimit){MOST_CPU_SECONDS, MOST_CPU_SECONDS});
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
}

static _Noreturn void try_all(const char *path, trial *t)
{
    be_expendable();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file >= 0) {
#if H5_VERSION_GE(1, 12, 0)
        H5Ovisit3(file, H5_INDEX_NAME, H5_ITER_NATIVE, try_object, t, H5O_INFO_BASIC);
#else
        H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, try_object, t, H5O_INFO_BASIC);
#endif
        H5Fclose(file);
    }
    t->has_ended = 1;
    _exit(0);
}

/* ---- in the parent --------------------------------------------------------------------------------------------------- */

/* \return 1 if all metadata of the file carry checksums: its superblock, in front, is of version 2 or above */
static int has_checksums(const char *path)
{
    enum { VERSION_AT = 8 };
    char begin[VERSION_AT + 1] = {0};
    FILE *file = fopen(path, "rb");
    size_t got = file ? fread(begin, 1, sizeof begin, file) : 0;
    if (file) {
        fclose(file);
    }
    return got == sizeof begin && memcmp(begin, "\211HDF\r\n\032\n", VERSION_AT) == 0 && begin[VERSION_AT] >= 2;
}

/* \return 1 if the child could be run; its end in `ending` (0 where the program takes no notice of its children's) */
static int run_child(const char *path, trial *t, int *ending)
{
#ifdef __SANITIZE_ADDRESS__
    return 0; /* a thread may hold the lock of the sanitizer's allocator, for ever in a child */
#endif
    pid_t child = fork();
    if (child == 0) {
        try_all(path, t);
    }
    *ending = 0;
    while (child > 0 && waitpid(child, ending, 0) < 0 && errno == EINTR) {
    }
    return child > 0;
}

static sm_status judge(const char *path, const trial *t, int ending)
{
    if (t->has_ended) {
        return SM_OK;
    }
    char how[128];
    if (WIFSIGNALED(ending) && WTERMSIG(ending) == SIGXCPU) {
        snprintf(how, sizeof how, "finds no end in %d s of processor time", MOST_CPU_SECONDS);
    } else if (WIFSIGNALED(ending)) {
        snprintf(how, sizeof how, "crashes (signal %d, %s)", WTERMSIG(ending), strsignal(WTERMSIG(ending)));
    } else {
        snprintf(how, sizeof how, "ends the program");
    }
    return sm_fail(SM_ERR_INPUT, "%s: damaged HDF5 file: HDF5 %s behind the object '%s'", path, how,
                   *t->last ? t->last : ".");
}

/* ---- what has been tried ---- */

/* An import opens its file again for each image: the last one that HDF5 survived is known by its node and the time of its last
 * change, to which a change in the same tick of the clock would add nothing: a file has to have been at rest. */
enum { REST_SECONDS = 2 };
static struct stat survived;

static int is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void remember(const struct stat *file)
{
    if (time(NULL) - file->st_ctim.tv_sec > REST_SECONDS) {
        survived = *file;
    }
}

sm_status sm_h5_try(const char *path)
{
    struct stat now;
    if (has_checksums(path) || stat(path, &now) != 0 || is_same(&now, &survived)) {
        return SM_OK;
    }
    trial *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED) {
        return SM_OK;
    }
    int ending;
    sm_status status = run_child(path, t, &ending) ? judge(path, t, ending) : SM_OK;
    munmap(t, sizeof *t);
    if (status == SM_OK) {
        remember(&now);
    }
    return status;
}
