/* Candidates are of equal checksums; reading them again decides. */
#include "cli/data_duplicates.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>

#include <stdlib.h>
#include <string.h>

typedef struct candidate {
    int64_t crc;
    sample_place place;
} candidate;

static int compare_places(const sample_place *a, const sample_place *b)
{
    return a->split != b->split ? (a->split > b->split) - (a->split < b->split)
                                : (a->index > b->index) - (a->index < b->index);
}

static int by_crc(const void *first, const void *second)
{
    const candidate *a = first, *b = second;
    return a->crc != b->crc ? (a->crc > b->crc) - (a->crc < b->crc) : compare_places(&a->place, &b->place);
}

static int by_place(const void *first, const void *second)
{
    const duplicate *a = first, *b = second;
    return compare_places(&a->again, &b->again);
}

static size_t list_candidates(const split_statistics *splits, size_t split_count, candidate **out)
{
    size_t count = 0, all = 0;
    for (size_t s = 0; s < split_count; s++) {
        all += (size_t)sm_dataset_count(splits[s].dataset);
    }
    candidate *list = sm_alloc((all + 1) * sizeof *list);
    for (size_t s = 0; s < split_count; s++) {
        for (int64_t i = 0; i < sm_dataset_count(splits[s].dataset); i++) {
            if (splits[s].input_crc[i] >= 0) { /* it can be read */
                list[count++] = (candidate){splits[s].input_crc[i], {s, i}};
            }
        }
    }
    qsort(list, count, sizeof *list, by_crc);
    *out = list;
    return count;
}

static sm_status read_at(const split_statistics *splits, sample_place place, sm_sample_storage **storages,
                         sm_sample *sample, size_t *bytes)
{
    sm_status status = SM_OK;
    sm_dataset *dataset = splits[place.split].dataset;
    if (!storages[place.split]) {
        storages[place.split] = sm_sample_storage_new(dataset);
    }
    sm_comm_set_phase("comparing samples of a dataset", 0, (int)place.index);
    SM_TRY(sm_dataset_read(dataset, place.index, storages[place.split], sample));
    const sm_input *input = sm_dataset_input(dataset);
    *bytes =
        (size_t)sample->height * (size_t)sample->width * (size_t)input->channels * sm_input_number_bytes(input->kind);
done:
    return status;
}

sm_status duplicates_find(const split_statistics *splits, size_t split_count, duplicate **duplicates, size_t *count)
{
    sm_status status = SM_OK;
    candidate *list = NULL;
    size_t listed = list_candidates(splits, split_count, &list), found = 0;
    /* of the first of a group, and of those that are compared with it */
    sm_sample_storage **first_storages = sm_alloc_zeroed(2 * (split_count + 1) * sizeof *first_storages);
    sm_sample_storage **storages = first_storages + split_count + 1;
    *duplicates = NULL;
    for (size_t i = 0, j; i < listed; i = j) {
        sm_sample first = {0}, again;
        size_t first_bytes = 0, bytes;
        for (j = i + 1; j < listed && list[j].crc == list[i].crc; j++) {
            if (j == i + 1) {
                SM_TRY(read_at(splits, list[i].place, first_storages, &first, &first_bytes));
            }
            SM_TRY(read_at(splits, list[j].place, storages, &again, &bytes));
            if (bytes == first_bytes && memcmp(first.input, again.input, bytes) == 0) {
                *duplicates = sm_realloc(*duplicates, (found + 1) * sizeof **duplicates);
                (*duplicates)[found++] = (duplicate){list[i].place, list[j].place};
            }
        }
    }
    if (found > 0) {
        qsort(*duplicates, found, sizeof **duplicates, by_place);
    }
done:
    for (size_t s = 0; s < 2 * (split_count + 1); s++) {
        sm_sample_storage_free(first_storages[s]);
    }
    sm_free(first_storages);
    sm_free(list);
    *count = found;
    return status;
}
