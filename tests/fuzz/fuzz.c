#define _XOPEN_SOURCE 700
#include "fuzz.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/base/status.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <fcntl.h>
#include <pthread.h>
#include <sanitizer/allocator_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const fuzz_target *const targets[] = {
    &fuzz_png,     &fuzz_jpeg,  &fuzz_json,       &fuzz_npy,         &fuzz_csv,     &fuzz_config, &fuzz_manifest,
    &fuzz_dataset, &fuzz_nyuv2, &fuzz_checkpoint, &fuzz_safetensors, &fuzz_weights, &fuzz_run_log};

static const fuzz_target *target;
static int descriptor;
static char path[600], folder[512];
static const char *seed_folder;
static int seed_count;

/* ---- memory of one reading ----------------------------------------------------------------------------------------- */

/* Counted over all threads by hooks of the sanitizer's allocator; -1: not measuring. */
static _Atomic long held_bytes, most_bytes = -1;

static void count_malloc(const volatile void *memory, size_t bytes)
{
    (void)memory;
    long held = atomic_fetch_add(&held_bytes, (long)bytes) + (long)bytes;
    if (most_bytes >= 0 && held > most_bytes) {
        long most = most_bytes;
        most_bytes = -1; /* what reports may allocate */
        fprintf(stderr, "FAILED: %ld bytes held, at most %ld allowed\n", held, most);
        abort();
    }
}

static void count_free(const volatile void *memory)
{
    atomic_fetch_sub(&held_bytes, (long)__sanitizer_get_allocated_size(memory));
}

static size_t file_bytes(void)
{
    return (size_t)lseek(descriptor, 0, SEEK_END);
}

/* ---- what targets call --------------------------------------------------------------------------------------------- */

void fuzz_write(const void *data, size_t bytes, size_t position)
{
    if ((position == 0 && ftruncate(descriptor, 0) != 0) ||
        pwrite(descriptor, data, bytes, (off_t)position) != (ssize_t)bytes) {
        perror(path);
        exit(1);
    }
}

void fuzz_seed(const void *data, size_t bytes)
{
    char *name = sm_format("%s/%s_%d", seed_folder, target->name, seed_count++);
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0) {
        perror(name);
        exit(1);
    }
    sm_free(name);
}

const char *fuzz_folder(void)
{
    if (!*folder) {
        const char *parent = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/sigmatic-fuzz-XXXXXX", parent ? parent : "/tmp");
        if (!mkdtemp(folder)) {
            perror(folder);
            exit(1);
        }
    }
    return folder;
}

void fuzz_check(int condition, const char *text, const char *file, int line)
{
    if (!condition) {
        fprintf(stderr, "FAILED: %s:%d: %s (last message: %s)\n", file, line, text, sm_error_message());
        abort();
    }
}

void fuzz_touch(const void *data, size_t bytes)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++) {
        sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
    }
}

/* One flipped bit makes HDF5 ask for more than any machine has. There it is told that there is none, and has to cope; here
 * too, where the sanitizer would rather end the program. sm_alloc() that is told so ends it, as it should. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=1024:quarantine_size_mb=4";
}

/* In files of the earliest format, whose metadata have no checksums, HDF5 1.10 reads an attribute of a wrong size beyond its
 * message: nothing that a caller could know. What it then returns is looked at as everything else. */
const char *__asan_default_suppressions(void);
const char *__asan_default_suppressions(void)
{
    return "interceptor_via_lib:libhdf5\n";
}

/* HDF5 and MPI do not free all that they have; what they hold of ours is looked at otherwise (fuzz_h5_ids()). */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5\n";
}

int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return target == &fuzz_checkpoint || target == &fuzz_nyuv2; /* those that start MPI */
}

/* ---- what libFuzzer calls ------------------------------------------------------------------------------------------ */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A child that reads first what HDF5 may not survive (h5_trial.c) may die of it: no finding. What it lives through, the
 * parent reads too, and is measured. */
static void be_unobserved(void)
{
    most_bytes = -1;
    __sanitizer_set_death_callback(NULL);
}

static void remove_folder(void)
{
    if (*folder) {
        sm_remove_tree(folder);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    const char *name = getenv("SIGMATIC_FUZZ");
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        target = name && strcmp(targets[i]->name, name) == 0 ? targets[i] : target;
    }
    if (!target) {
        fprintf(stderr, "SIGMATIC_FUZZ names no target; there are");
        for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
            fprintf(stderr, " %s", targets[i]->name);
        }
        fprintf(stderr, "\n");
        exit(2);
    }
    sm_log_set_quiet(1);
    sm_h5_begin();
    snprintf(path, sizeof path, "%s/input", fuzz_folder());
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    atexit(remove_folder);
    if (target->begin) {
        target->begin();
    }
    seed_folder = getenv("SIGMATIC_FUZZ_SEEDS");
    if (seed_folder) {
        target->seeds();
        exit(0);
    }
    __sanitizer_install_malloc_and_free_hooks(count_malloc, count_free);
    pthread_atfork(NULL, NULL, be_unobserved);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (target->make) {
        target->make(path, data, bytes);
    } else {
        fuzz_write(data, bytes, 0);
    }
    size_t before = sm_memory_held_bytes();
    most_bytes = held_bytes + (long)(target->memory + target->multiple * file_bytes());
    target->read(path, data, bytes);
    most_bytes = -1;
    FUZZ_CHECK(sm_memory_held_bytes() == before);
    return 0;
}
