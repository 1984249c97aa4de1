#include "train/broken_layer.h"

#include "train/batch_sums.h"
#include "train/tensor_checksum.h"
#include <sigmatic/train/update.h>

/* What backward writes first lies first. \return the slice, as the smallest that any rank has found */
static const char *first_gradient(const sm_trainer *trainer)
{
    const sm_slices *slices = &trainer->session->parameters->parameters;
    const sm_update *update = trainer->update;
    const char *name = NULL;
    int64_t first = INT64_MIN; /* of offsets, below zero, so that the most of all ranks is the first */
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        size_t begin = slice->offset > update->own_begin ? slice->offset : update->own_begin;
        size_t end = slice->offset + slice->count < update->own_end ? slice->offset + slice->count : update->own_end;
        if (begin < end && !sm_tensor_is_finite(trainer->sums->gradients + begin, end - begin) &&
            -(int64_t)slice->offset > first) {
            first = -(int64_t)slice->offset;
        }
    }
    sm_comm_max_int64(trainer->session->comm, &first, 1);
    for (int i = 0; i < slices->count && first != INT64_MIN; i++) {
        name = slices->items[i].offset == (size_t)-first ? slices->items[i].name : name;
    }
    return name;
}

/* A batch with an infinity in it moves the running statistics of the layer that meets it there. Those of later layers, too:
 * the list is in the order of forward. */
static const char *first_statistic(const sm_trainer *trainer)
{
    const sm_slices *buffers = &trainer->session->parameters->buffers;
    int64_t first = -buffers->count;
    for (int i = 0; i < buffers->count && first == -buffers->count; i++) {
        const sm_slice *slice = &buffers->items[i];
        first = sm_tensor_is_finite(trainer->session->buffers + slice->offset, slice->count) ? first : -i;
    }
    sm_comm_max_int64(trainer->session->comm, &first, 1);
    return -first < buffers->count ? buffers->items[-first].name : NULL;
}

const char *sm_broken_layer(const sm_trainer *trainer, int summed)
{
    const char *broken = first_statistic(trainer);
    return broken || !summed ? broken : first_gradient(trainer);
}
