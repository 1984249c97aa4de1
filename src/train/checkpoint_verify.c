#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/checkpoint.h>

#include "train/checkpoint_private.h"
#include "train/tensor_checksum.h"

#include <stdio.h>
#include <string.h>

/* Groups that we write; what else stands in the file is its user's. */
static const char *const our_groups[] = {"model", "log_variance", "optimizer", "ema", "weighting"};
enum { GROUPS_DEEP = 1 /* below those; links of others may lead round in circles */ };

static int is_ours(const char *group)
{
    for (size_t i = 0; i < sizeof our_groups / sizeof *our_groups; i++) {
        if (strcmp(our_groups[i], group) == 0) {
            return 1;
        }
    }
    return 0;
}

/* One look at a file. */
typedef struct verification {
    const sm_h5 *file;
    uint64_t
        bytes_left; /* of the file, that no dataset has claimed yet: links of others cannot make work without end */
    int must_be_finite;
} verification;

/* A dataset with our checksum. */
static sm_status verify_dataset(verification *v, const char *object)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    void *values = NULL;
    SM_TRY(sm_h5_query(v->file, object, &info));
    size_t bytes = info.count * sm_h5_type_bytes(info.type);
    if (bytes == 0 || bytes > v->bytes_left) {
        SM_TRY(sm_fail(SM_ERR_INPUT,
                       "%s: %s is damaged: it has a checksum, but %zu bytes of numbers where the file has %llu left",
                       sm_h5_path(v->file), object, bytes, (unsigned long long)v->bytes_left));
    }
    v->bytes_left -= bytes;
    values = sm_alloc(bytes);
    SM_TRY(sm_h5_read(v->file, object, info.type, info.rank, info.shape, values));
    SM_TRY(sm_tensor_check(v->file, object, values, bytes));
    if (v->must_be_finite && info.type == SM_H5_FLOAT && !sm_tensor_is_finite(values, info.count)) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s has numbers that are not finite", sm_h5_path(v->file), object));
    }
done:
    sm_free(values);
    return status;
}

static sm_status verify_group(verification *v, const char *group, int groups_deep)
{
    sm_status status = SM_OK;
    char **names = NULL, *object = NULL;
    size_t count = 0;
    SM_TRY(sm_h5_list(v->file, group, &names, &count));
    for (size_t i = 0; i < count; i++) {
        sm_free(object);
        object = sm_format("%s/%s", group, names[i]);
        int is_group = sm_h5_has_group(v->file, object);
        if (is_group && groups_deep > 0) {
            SM_TRY(verify_group(v, object, groups_deep - 1));
        } else if (!is_group && !sm_h5_has_dataset(v->file, object)) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s is damaged: it cannot be opened", sm_h5_path(v->file), object));
        } else if (!is_group && sm_h5_has_attribute(v->file, object, "crc32c")) {
            SM_TRY(verify_dataset(v, object));
        }
    }
done:
    sm_free(object);
    sm_free(names);
    return status;
}

sm_status sm_checkpoint_verify(const char *path, int must_be_finite)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    verification v = {.must_be_finite = must_be_finite};
    char **names = NULL, group[32];
    size_t count = 0;
    SM_TRY(sm_checkpoint_open(path, &file));
    SM_TRY(sm_file_size(path, &v.bytes_left));
    SM_TRY(sm_h5_list(file, "/", &names, &count));
    v.file = file;
    for (size_t i = 0; i < count; i++) {
        if (is_ours(names[i])) {
            snprintf(group, sizeof group, "/%s", names[i]);
            SM_TRY(verify_group(&v, group, GROUPS_DEEP));
        }
    }
done:
    sm_free(names);
    sm_h5_close(file);
    return status;
}
