/* Every rank of the node has a slot in shared memory with two halves that messages use in turn. A rank arrives at message
 * k after it has read all of message k - 1; so once all have arrived, nobody reads message k - 2 any more, and message k
 * may be written to the same half. */
#include "comm/meeting.h"

#include <sigmatic/base/memory.h>

#include "comm/wait.h"

#include <stdatomic.h>
#include <string.h>

enum { SLOT_BYTES = 1 << 16, READ_ALL_BYTES = 1 << 15, LINE_BYTES = 64 };

typedef struct flag {
    _Alignas(LINE_BYTES) _Atomic uint64_t message; /* the last one that it holds for */
} flag;

typedef struct slot {
    flag arrived; /* `values` of this rank are written */
    flag added;   /* this rank's part of the node's sum is written to the first rank's `result` */
    flag final;   /* first rank: `result` holds the sum over all nodes */
    _Alignas(LINE_BYTES) char values[2][SLOT_BYTES];
    char result[2][SLOT_BYTES];
} slot;

struct sm_meeting {
    const sm_node *node;
    sm_shared shared;
    slot **slots;     /* by rank of the node */
    uint64_t message; /* the last one */
};

/* ---- operations ---- */

#define DEFINE_OPERATION(title, text, type_, mpi_type, mpi_operation, expression)                                      \
    static void title##_combine(void *into, const void *from, size_t count)                                            \
    {                                                                                                                  \
        type_ *a = into;                                                                                               \
        const type_ *b = from;                                                                                         \
        for (size_t i = 0; i < count; i++) {                                                                           \
            a[i] = (expression);                                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    const sm_meeting_operation sm_meeting_##title = {text, sizeof(type_), title##_combine, mpi_type, mpi_operation};

DEFINE_OPERATION(sum_int64, "a sum of counts", int64_t, MPI_INT64_T, MPI_SUM, a[i] + b[i])
DEFINE_OPERATION(sum_double, "a sum", double, MPI_DOUBLE, MPI_SUM, a[i] + b[i])
DEFINE_OPERATION(sum_float, "a sum", float, MPI_FLOAT, MPI_SUM, a[i] + b[i])
DEFINE_OPERATION(max_int64, "a vote", int64_t, MPI_INT64_T, MPI_MAX, a[i] > b[i] ? a[i] : b[i])
DEFINE_OPERATION(max_double, "a maximum", double, MPI_DOUBLE, MPI_MAX, a[i] > b[i] ? a[i] : b[i])

/* ---- set up ---- */

sm_meeting *sm_meeting_new(const sm_node *node)
{
    sm_meeting *meeting = sm_alloc_zeroed(sizeof *meeting);
    meeting->node = node;
    meeting->slots = sm_alloc_zeroed((size_t)node->size * sizeof *meeting->slots);
    if (node->size == 1) {
        meeting->slots[0] = sm_alloc_zeroed(sizeof(slot));
    } else if (!sm_shared_new(node, sizeof(slot), &meeting->shared)) {
        sm_meeting_free(meeting);
        return NULL;
    }
    for (int i = 0; i < node->size && node->size > 1; i++) {
        meeting->slots[i] = (slot *)(void *)meeting->shared.base[i];
    }
    return meeting;
}

void sm_meeting_free(sm_meeting *meeting)
{
    if (!meeting) {
        return;
    }
    if (meeting->node->size == 1) {
        sm_free(meeting->slots[0]);
    }
    sm_shared_free(&meeting->shared);
    sm_free(meeting->slots);
    sm_free(meeting);
}

/* ---- a message ---- */

static void raise_flag(flag *f, uint64_t message)
{
    atomic_store_explicit(&f->message, message, memory_order_release);
}

static int is_raised(const flag *f, uint64_t message)
{
    return atomic_load_explicit(&f->message, memory_order_acquire) >= message;
}

static int all_arrived(void *user)
{
    const sm_meeting *meeting = user;
    for (int i = 0; i < meeting->node->size; i++) {
        if (!is_raised(&meeting->slots[i]->arrived, meeting->message)) {
            return 0;
        }
    }
    return 1;
}

static int all_added(void *user)
{
    const sm_meeting *meeting = user;
    for (int i = 0; i < meeting->node->size; i++) {
        if (!is_raised(&meeting->slots[i]->added, meeting->message)) {
            return 0;
        }
    }
    return 1;
}

static int is_final(void *user)
{
    const sm_meeting *meeting = user;
    return is_raised(&meeting->slots[0]->final, meeting->message);
}

/* into[0 .. count) = the ranks' values from `first` on, combined in the order of ranks. */
static void combine(const sm_meeting *meeting, char *into, size_t first, size_t count,
                    const sm_meeting_operation *operation)
{
    size_t half = meeting->message % 2, offset = first * operation->bytes_each;
    memcpy(into, meeting->slots[0]->values[half] + offset, count * operation->bytes_each);
    for (int i = 1; i < meeting->node->size; i++) {
        operation->combine(into, meeting->slots[i]->values[half] + offset, count);
    }
}

/* Each rank combines a part of the values into the first rank's result. */
static void combine_part(sm_meeting *meeting, size_t count, const sm_meeting_operation *operation)
{
    enum { FEWEST = 64 };
    const sm_node *node = meeting->node;
    size_t part = (count + (size_t)node->size - 1) / (size_t)node->size;
    part = part > FEWEST ? part : FEWEST;
    size_t first = part * (size_t)node->rank < count ? part * (size_t)node->rank : count;
    size_t size = count - first < part ? count - first : part;
    char *result = meeting->slots[0]->result[meeting->message % 2];
    combine(meeting, result + first * operation->bytes_each, first, size, operation);
    raise_flag(&meeting->slots[node->rank]->added, meeting->message);
}

static void reduce_between_nodes(sm_meeting *meeting, size_t count, const sm_meeting_operation *operation)
{
    char *values = meeting->slots[0]->values[meeting->message % 2],
         *result = meeting->slots[0]->result[meeting->message % 2];
    MPI_Request request;
    memcpy(values, result, count * operation->bytes_each); /* in place, libnbc would fall back to a binomial tree */
    sm_check_mpi(MPI_Iallreduce(values, result, (int)count, operation->type, operation->message, meeting->node->leaders,
                                &request),
                 "MPI_Iallreduce");
    sm_wait_for_request(&request, operation->name);
    raise_flag(&meeting->slots[0]->final, meeting->message);
}

/* At most a slot full. */
static void reduce_piece(sm_meeting *meeting, char *values, size_t count, const sm_meeting_operation *operation)
{
    const sm_node *node = meeting->node;
    const sm_wait_reason reason = {operation->name, 0, 0};
    size_t bytes = count * operation->bytes_each, half = ++meeting->message % 2;
    memcpy(meeting->slots[node->rank]->values[half], values, bytes);
    raise_flag(&meeting->slots[node->rank]->arrived, meeting->message);
    sm_wait(all_arrived, meeting, &reason);
    if (node->count == 1 && bytes * (size_t)node->size <= READ_ALL_BYTES) {
        combine(meeting, values, 0, count, operation);
        return;
    }
    combine_part(meeting, count, operation);
    if (node->count == 1) {
        sm_wait(all_added, meeting, &reason);
    } else if (node->rank == 0) {
        sm_wait(all_added, meeting, &reason);
        reduce_between_nodes(meeting, count, operation);
    } else {
        sm_wait(is_final, meeting, &reason);
    }
    memcpy(values, meeting->slots[0]->result[half], bytes);
}

/* A message without values. */
void sm_meeting_wait_for_node(sm_meeting *meeting)
{
    meeting->message++;
    raise_flag(&meeting->slots[meeting->node->rank]->arrived, meeting->message);
    sm_wait(all_arrived, meeting, &(sm_wait_reason){"the ranks of the node", 0, 0});
}

void sm_meeting_reduce(sm_meeting *meeting, void *values, size_t count, const sm_meeting_operation *operation)
{
    size_t most = SLOT_BYTES / operation->bytes_each;
    for (size_t begin = 0; begin < count; begin += most) {
        reduce_piece(meeting, (char *)values + begin * operation->bytes_each,
                     count - begin < most ? count - begin : most, operation);
    }
}
