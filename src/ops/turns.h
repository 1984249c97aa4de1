/** \file
 * Work that threads take as they become free, since cores are rarely equally fast: other programs, other tenants of a
 * processor's shared units, cores of two kinds.
 *
 * The work is rounds of units. A unit of a round may begin once the same unit of the round before has ended, whoever did
 * it; what all units of a round share, each thread prepares for itself when it takes its first one. Which thread does what
 * depends on time; what is done to a unit, and in which order, does not. */
#ifndef SIGMATIC_OPS_TURNS_H
#define SIGMATIC_OPS_TURNS_H

#include <sched.h>
#include <stdatomic.h>

enum { SM_TURN_UNITS_MAX = 64 };

typedef struct sm_turns {
    int units;
    atomic_int next;
    atomic_int ended[SM_TURN_UNITS_MAX]; /**< rounds of each unit */
} sm_turns;

/** Before any thread takes a turn. \param units  1 .. SM_TURN_UNITS_MAX */
static inline void sm_turns_begin(sm_turns *turns, int units)
{
    turns->units = units;
    atomic_store(&turns->next, 0);
    for (int i = 0; i < units; i++) {
        atomic_store(&turns->ended[i], 0);
    }
}

/** A unit of a round: the next one that nobody took. A caller that knows of no such round is done. */
typedef struct sm_turn {
    int round, unit;
} sm_turn;

static inline sm_turn sm_turn_take(sm_turns *turns)
{
    int index = atomic_fetch_add(&turns->next, 1);
    return (sm_turn){index / turns->units, index % turns->units};
}

/** Until the unit's last round has ended. */
static inline void sm_turn_wait(sm_turns *turns, sm_turn turn)
{
    enum { PATIENCE = 4096 };
    for (int i = 0; atomic_load_explicit(&turns->ended[turn.unit], memory_order_acquire) < turn.round; i++) {
        if (i >= PATIENCE) {
            sched_yield(); /* perhaps its thread waits for this core */
        }
    }
}

static inline void sm_turn_end(sm_turns *turns, sm_turn turn)
{
    atomic_store_explicit(&turns->ended[turn.unit], turn.round + 1, memory_order_release);
}

#endif
