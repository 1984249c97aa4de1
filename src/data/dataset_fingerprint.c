/* What tells two datasets apart. Checksums stand for contents; where a file has none, its bytes are read once. */
#include "data/dataset_private.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>

#include <string.h>

static uint32_t add_array(uint32_t crc, const char *name, const stored_array *array, int64_t count)
{
    crc = sm_crc32c(crc, name, strlen(name));
    return array->checksums ? sm_crc32c(crc, array->checksums, (size_t)count * sizeof *array->checksums) : crc;
}

/* Of sizes, names and checksums. */
static uint32_t sum_descriptions(const sm_dataset *dataset)
{
    uint32_t crc = 0;
    for (int p = 0; p < dataset->part_count; p++) {
        const file_part *part = &dataset->parts[p];
        int64_t numbers[3] = {part->count, part->input.height, part->input.width};
        const int64_t features = part->input.channels; /* of images they are always as many */
        crc = sm_crc32c(crc, numbers, sizeof numbers);
        crc = part->input.kind->is_table ? sm_crc32c(crc, &features, sizeof features) : crc;
        crc = add_array(crc, part->input.kind->name, &part->input_array, part->count);
        for (int t = 0; t < part->target_count; t++) {
            crc = add_array(crc, part->targets[t].target->name, &part->targets[t].array, part->count);
        }
        for (int64_t i = 0; i < part->count; i++) {
            const char *name = sm_dataset_name(dataset, part->first + i);
            crc = sm_crc32c(crc, name, strlen(name) + 1);
        }
        for (int t = 0; t < part->target_count; t++) {
            const sm_class_list *classes = part->targets[t].target->classes;
            for (int c = 0; classes && c < classes->count; c++) {
                crc = sm_crc32c(crc, classes->names[c], strlen(classes->names[c]) + 1);
            }
        }
    }
    return crc;
}

/* \param [in,out] crc  the bytes of an array without checksums are added */
static sm_status sum_contents(const file_part *part, const stored_array *array, uint32_t *crc)
{
    sm_status status = SM_OK;
    void *sample = array->checksums ? NULL : sm_alloc(array->bytes);
    for (int64_t i = 0; sample && i < part->count; i++) {
        sm_comm_set_phase("fingerprint, sample", 0, (int)i);
        SM_TRY(sm_stored_array_read(part, array, i, sample));
        *crc = sm_crc32c(*crc, sample, array->bytes);
    }
done:
    sm_free(sample);
    return status;
}

/* What else decides what is learnt: statistics of the input, camera, and how targets are read. */
static uint32_t sum_meanings(const file_part *part, uint32_t crc)
{
    size_t channels = (size_t)part->input.channels, count = (size_t)part->count;
    crc = sm_crc32c(crc, part->input.mean, channels * sizeof *part->input.mean);
    crc = sm_crc32c(crc, part->input.std, channels * sizeof *part->input.std);
    for (size_t c = 0; part->input.names && c < channels; c++) {
        crc = sm_crc32c(crc, part->input.names[c], strlen(part->input.names[c]) + 1);
    }
    crc = part->baseline_metres ? sm_crc32c(crc, part->baseline_metres, count * sizeof(double)) : crc;
    crc = part->fx_pixels ? sm_crc32c(crc, part->fx_pixels, count * sizeof(double)) : crc;
    for (int t = 0; t < part->target_count; t++) {
        const sm_target *target = part->targets[t].target;
        const int64_t numbers[] = {target->type,    target->scope,        target->components,
                                   target->scaling, target->flip_negates, part->targets[t].ignored};
        crc = sm_crc32c(crc, numbers, sizeof numbers);
        crc = sm_crc32c(crc, target->unit, strlen(target->unit));
        /* what goes without saying is left out: fingerprints are those of versions that knew no turning */
        const int64_t turning = target->turning;
        crc = target->turning != sm_target_turning_of(target->scaling) ? sm_crc32c(crc, &turning, sizeof turning) : crc;
    }
    return crc;
}

static sm_status sum_all_contents(const sm_dataset *dataset, uint32_t *crc)
{
    sm_status status = SM_OK;
    for (int p = 0; p < dataset->part_count; p++) {
        const file_part *part = &dataset->parts[p];
        *crc = sum_meanings(part, *crc);
        SM_TRY(sum_contents(part, &part->input_array, crc));
        for (int t = 0; t < part->target_count; t++) {
            SM_TRY(sum_contents(part, &part->targets[t].array, crc));
        }
    }
done:
    return status;
}

/* \return "semantic,disparity", freed with sm_free(). */
static char *list_targets(const sm_dataset *dataset)
{
    char *targets = dataset->target_count > 0 ? sm_strdup("") : sm_format("%s only", dataset->input.kind->name);
    for (int t = 0; t < dataset->target_count; t++) {
        char *longer = sm_format("%s%s%s", targets, t > 0 ? "," : "", dataset->targets[t]->name);
        sm_free(targets);
        targets = longer;
    }
    return targets;
}

sm_status sm_dataset_find_fingerprint(sm_dataset *dataset)
{
    sm_status status = SM_OK;
    uint32_t contents = 0;
    char *targets = NULL, *described = NULL, *size = NULL;
    if (dataset->fingerprint) {
        return SM_OK;
    }
    if (!sm_dataset_has_checksums(dataset)) {
        sm_log_info("%s: split %s has no checksums: reading all of it once, to know it again", dataset->parts[0].path,
                    dataset->split);
    }
    SM_TRY(sum_all_contents(dataset, &contents));
    targets = list_targets(dataset);
    size = dataset->input.kind->is_table ? sm_format("%d", dataset->input.channels)
                                         : sm_format("%dx%d", dataset->input.height, dataset->input.width);
    described = sm_format("%lldx%s %s %08x", (long long)dataset->count, size, targets, sum_descriptions(dataset));
    dataset->fingerprint = sm_format("%s+%08x", described, contents);
done:
    sm_free(targets);
    sm_free(size);
    sm_free(described);
    return status;
}

const char *sm_dataset_fingerprint(const sm_dataset *dataset)
{
    return dataset->fingerprint ? dataset->fingerprint : "";
}

int sm_dataset_is_same(const sm_dataset *dataset, const char *fingerprint)
{
    const char *own = sm_dataset_fingerprint(dataset), *contents = strchr(own, '+');
    size_t described = contents ? (size_t)(contents - own) : strlen(own);
    return strcmp(own, fingerprint) == 0 ||
           (strlen(fingerprint) == described && strncmp(own, fingerprint, described) == 0);
}
