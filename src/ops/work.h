/** \file
 * Work that threads take as they become free, since cores are rarely equally fast: other programs run on some, others
 * share a processor's units with strangers, and some processors have cores of two kinds.
 *
 * The work is rounds, each of the same units. A unit of a round may begin once the same unit of the round before has
 * ended, whichever thread did that one. What all units of a round need, such as packed weights, each thread prepares for
 * itself when it takes its first unit of the round. Which thread does what depends on time; what is done to a unit, and
 * in which order, does not. */
#ifndef SIGMATIC_OPS_WORK_H
#define SIGMATIC_OPS_WORK_H

#include <sched.h>
#include <stdatomic.h>

enum { SM_WORK_UNITS_MAX = 64 };

/** Shared by the threads that take from it. */
typedef struct sm_work {
    int units;                           /**< of a round */
    atomic_int next;                     /**< units taken so far, of all rounds */
    atomic_int ended[SM_WORK_UNITS_MAX]; /**< rounds that each unit has been through */
} sm_work;

/** Before any thread takes a unit. \param units  1 .. SM_WORK_UNITS_MAX */
static inline void sm_work_begin(sm_work *work, int units)
{
    work->units = units;
    atomic_store(&work->next, 0);
    for (int i = 0; i < units; i++) {
        atomic_store(&work->ended[i], 0);
    }
}

/** What a thread has taken. */
typedef struct sm_work_unit {
    int round, index;
} sm_work_unit;

/** \return the next unit that nobody took. How many rounds there are is the caller's to know: with a unit of a later
 * one it is done. */
static inline sm_work_unit sm_work_take(sm_work *work)
{
    int taken = atomic_fetch_add(&work->next, 1);
    return (sm_work_unit){taken / work->units, taken % work->units};
}

/** Waits until the same unit of the round before has ended. */
static inline void sm_work_wait(sm_work *work, sm_work_unit unit)
{
    enum { PATIENCE = 4096 };
    for (int i = 0; atomic_load_explicit(&work->ended[unit.index], memory_order_acquire) < unit.round; i++) {
        if (i >= PATIENCE) {
            sched_yield(); /* perhaps its thread waits for this core */
        }
    }
}

static inline void sm_work_end(sm_work *work, sm_work_unit unit)
{
    atomic_store_explicit(&work->ended[unit.index], unit.round + 1, memory_order_release);
}

#endif
