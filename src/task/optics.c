/* Prim's algorithm on the graph of reachabilities. Points lie in a balanced tree of boxes. Each box
 * knows the greatest reachability in it ("pending"), below which a new point must stay to change anything. In a dense
 * region that falls to the distance of neighbours soon, and few boxes are visited a point. */
#include "task/optics.h"

#include "task/point_tree.h"

#include <sigmatic/base/memory.h>

#include <assert.h>
#include <math.h>

typedef struct state {
    sm_point_tree tree;
    double *box_pending; /* by box: the greatest of its points */
    double *pending;     /* by slot: reachability so far; -1 once processed */
    int32_t *slot;       /* by index; -1 for points that are not finite */
    int32_t *leaf;       /* by slot */
    int32_t *heap;       /* slots that have been reached, the next first */
    int32_t *place;      /* by slot: in the heap; -1 */
    int32_t heap_count;
    double max_distance;
} state;

/* The distance that scikit-learn's neighbours and its OPTICS work with. */
static double distance(double squared)
{
    return rint(sqrt(squared) * 1e15) / 1e15;
}

/* \return a square from which on distance() is at least `length`, without a root for every point. */
static double square_beyond(double length)
{
    double longer = length * (1 + 1e-12) + 1e-14;
    return longer * longer;
}

static void find_cores(const state *s, int min_samples, double *core_distance)
{
    double *squared = sm_alloc((size_t)min_samples * sizeof *squared), limit = square_beyond(s->max_distance);
    for (int32_t p = 0; p < s->tree.count; p++) {
        sm_point_tree_distances(&s->tree, s->tree.points[p], min_samples, limit, squared);
        double farthest = squared[min_samples - 1];
        core_distance[s->tree.index[p]] = sqrt(farthest) <= s->max_distance ? distance(farthest) : INFINITY;
    }
    sm_free(squared);
}

/* ---- what has been reached --------------------------------------------------------------------------------------- */

static int before(const state *s, int32_t a, int32_t b)
{
    return s->pending[a] < s->pending[b] || (s->pending[a] == s->pending[b] && s->tree.index[a] < s->tree.index[b]);
}

static void put(state *s, int32_t place, int32_t slot)
{
    s->heap[place] = slot;
    s->place[slot] = place;
}

/* A slot whose reachability has fallen, in the heap already or not. */
static void advance(state *s, int32_t slot)
{
    int32_t place = s->place[slot] >= 0 ? s->place[slot] : s->heap_count++;
    while (place > 0 && before(s, slot, s->heap[(place - 1) / 2])) {
        put(s, place, s->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(s, place, slot);
}

static int32_t take_next(state *s)
{
    int32_t next = s->heap[0], last = s->heap[--s->heap_count], place = 0;
    for (int32_t child = 1; child < s->heap_count; child = 2 * place + 1) {
        child += child + 1 < s->heap_count && before(s, s->heap[child + 1], s->heap[child]);
        if (!before(s, s->heap[child], last)) {
            break;
        }
        put(s, place, s->heap[child]);
        place = child;
    }
    put(s, place, last);
    return next;
}

/* ---- processing -------------------------------------------------------------------------------------------------- */

static double greatest_pending(const state *s, int32_t leaf)
{
    double most = -1;
    for (int32_t p = s->tree.boxes[leaf].begin; p < s->tree.boxes[leaf].end; p++) {
        most = sm_greater(most, s->pending[p]);
    }
    return most;
}

/* Takes a point out of the tree. */
static void settle(state *s, int32_t slot)
{
    int32_t i = s->leaf[slot];
    s->pending[slot] = -1;
    double most = greatest_pending(s, i);
    while (i >= SM_POINT_TREE_ROOT && s->box_pending[i] != most) {
        s->box_pending[i] = most;
        i /= 2;
        most = sm_greater(s->box_pending[2 * i], s->box_pending[2 * i + 1]);
    }
}

/* A point of finite core distance, from which others are reached. */
typedef struct source {
    const double *point;
    double core, max_squared;
    int32_t index;
    int32_t *predecessor;
} source;

static void reach_points(state *s, const source *from, int32_t leaf)
{
    for (int32_t p = s->tree.boxes[leaf].begin; p < s->tree.boxes[leaf].end; p++) {
        double squared = sm_squared_distance(from->point, s->tree.points[p]);
        if (from->core >= s->pending[p] || squared > from->max_squared || squared >= square_beyond(s->pending[p])) {
            continue;
        }
        double reachability = sm_greater(from->core, distance(squared));
        if (reachability < s->pending[p]) {
            s->pending[p] = reachability;
            from->predecessor[s->tree.index[p]] = from->index;
            advance(s, p);
        }
    }
    s->box_pending[leaf] = greatest_pending(s, leaf);
}

static void reach(state *s, const source *from, int32_t i)
{
    double squared = sm_squared_to_box(from->point, &s->tree.boxes[i]);
    if (from->core >= s->box_pending[i] || squared > from->max_squared || squared >= square_beyond(s->box_pending[i])) {
        return;
    }
    if (i >= s->tree.first_leaf) {
        reach_points(s, from, i);
    } else {
        reach(s, from, 2 * i);
        reach(s, from, 2 * i + 1);
        s->box_pending[i] = sm_greater(s->box_pending[2 * i], s->box_pending[2 * i + 1]);
    }
}

static void process(state *s, int32_t slot, sm_optics *optics)
{
    int32_t index = s->tree.index[slot];
    const source from = {s->tree.points[slot], optics->core_distance[index], s->max_distance * s->max_distance, index,
                         optics->predecessor};
    optics->reachability[index] = s->pending[slot];
    settle(s, slot);
    if (isfinite(from.core)) {
        reach(s, &from, SM_POINT_TREE_ROOT);
    }
}

static void process_all(state *s, sm_optics *optics)
{
    size_t processed = 0;
    for (size_t i = 0; i < optics->count; i++) {
        int32_t slot = s->slot[i];
        if (slot >= 0 && s->pending[slot] < 0) {
            continue;
        }
        optics->order[processed++] = (int32_t)i;
        if (slot >= 0) {
            process(s, slot, optics);
        }
        while (s->heap_count > 0) {
            slot = take_next(s);
            optics->order[processed++] = s->tree.index[slot];
            process(s, slot, optics);
        }
    }
    assert(processed == optics->count);
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

static state make_state(size_t count, const double (*points)[2], double max_distance)
{
    state s = {.tree = sm_point_tree_new(count, points), .max_distance = max_distance};
    size_t finite = (size_t)s.tree.count, boxes = 2 * (size_t)s.tree.first_leaf;
    s.box_pending = sm_alloc(boxes * sizeof *s.box_pending);
    s.pending = sm_alloc(finite * sizeof *s.pending);
    s.slot = sm_alloc(count * sizeof *s.slot);
    s.leaf = sm_alloc(finite * sizeof *s.leaf);
    s.heap = sm_alloc(finite * sizeof *s.heap);
    s.place = sm_alloc(finite * sizeof *s.place);
    for (size_t i = 0; i < count; i++) {
        s.slot[i] = -1;
    }
    for (size_t b = SM_POINT_TREE_ROOT; b < boxes; b++) {
        s.box_pending[b] = INFINITY;
        for (int32_t p = s.tree.boxes[b].begin; p < s.tree.boxes[b].end; p++) {
            s.leaf[p] = (int32_t)b; /* the last of those that hold it */
        }
    }
    for (int32_t p = 0; p < s.tree.count; p++) {
        s.slot[s.tree.index[p]] = p;
        s.pending[p] = INFINITY;
        s.place[p] = -1;
    }
    return s;
}

static void free_state(state *s)
{
    sm_point_tree_free(&s->tree);
    sm_free(s->box_pending);
    sm_free(s->pending);
    sm_free(s->slot);
    sm_free(s->leaf);
    sm_free(s->heap);
    sm_free(s->place);
}

sm_optics sm_optics_new(size_t count, const double (*points)[2], int min_samples, double max_distance)
{
    assert(count <= INT32_MAX && min_samples >= 2 && max_distance >= 0);
    sm_optics optics = {count, sm_alloc(count * sizeof *optics.order), sm_alloc(count * sizeof *optics.reachability),
                        sm_alloc(count * sizeof *optics.core_distance), sm_alloc(count * sizeof *optics.predecessor)};
    for (size_t i = 0; i < count; i++) {
        optics.reachability[i] = optics.core_distance[i] = INFINITY;
        optics.predecessor[i] = -1;
    }
    state s = make_state(count, points, max_distance);
    find_cores(&s, min_samples, optics.core_distance);
    process_all(&s, &optics);
    free_state(&s);
    return optics;
}

int sm_optics_clusters(const sm_optics *optics, double threshold, int32_t *labels)
{
    int32_t cluster = -1;
    for (size_t i = 0; i < optics->count; i++) {
        int32_t point = optics->order[i];
        int reached = optics->reachability[point] <= threshold, dense = optics->core_distance[point] <= threshold;
        cluster += !reached && dense;
        labels[point] = reached || dense ? cluster : -1;
    }
    return cluster + 1;
}

void sm_optics_free(sm_optics *optics)
{
    sm_free(optics->order);
    sm_free(optics->reachability);
    sm_free(optics->core_distance);
    sm_free(optics->predecessor);
}
