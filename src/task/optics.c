/* Prim's algorithm on the graph of reachabilities. What remains to be processed lies in a balanced tree of boxes; each
 * knows the greatest reachability in it ("pending"), below which a new point must stay to change anything. In a dense
 * region that falls to the distance of neighbours soon, and few boxes are visited a point. */
#include "task/optics.h"

#include <sigmatic/base/memory.h>

#include <assert.h>
#include <float.h>
#include <math.h>

enum { LEAF_POINTS = 12, ROOT = 1 };

typedef struct box {
    double low[2], high[2];
    double pending; /* greatest of its points */
    int32_t begin, end;
} box;

/* Points stand in the order of the tree: a "slot" is a place in it. */
typedef struct state {
    int32_t count, first_leaf;
    box *boxes;         /* a complete binary tree: the halves of i are 2 i and 2 i + 1 */
    double (*point)[2]; /* by slot */
    double *pending;    /* by slot: reachability so far; -1 once processed */
    int32_t *index;     /* by slot: of the point */
    int32_t *slot;      /* by index; -1 for points that are not finite */
    int32_t *leaf;      /* by slot */
    int32_t *heap;      /* slots that have been reached, the next first */
    int32_t *place;     /* by slot: in the heap; -1 */
    int32_t heap_count;
    double max_distance;
} state;

/* Of numbers, without fmin()'s care for NaN, which costs a call. */
static inline double lesser(double a, double b)
{
    return a < b ? a : b;
}

static inline double greater(double a, double b)
{
    return a > b ? a : b;
}

/* ---- tree -------------------------------------------------------------------------------------------------------- */

static void swap_points(state *s, int32_t a, int32_t b)
{
    for (int axis = 0; axis < 2; axis++) {
        double kept = s->point[a][axis];
        s->point[a][axis] = s->point[b][axis];
        s->point[b][axis] = kept;
    }
    int32_t index = s->index[a];
    s->index[a] = s->index[b];
    s->index[b] = index;
}

static double median(double a, double b, double c)
{
    return greater(lesser(a, b), lesser(greater(a, b), c));
}

/* Moves points so that none before `middle` is greater along the axis, and none from there on less. */
static void split(state *s, int32_t begin, int32_t end, int32_t middle, int axis)
{
    while (end - begin > 1) {
        double pivot =
            median(s->point[begin][axis], s->point[begin + (end - begin) / 2][axis], s->point[end - 1][axis]);
        int32_t less = begin, more = end; /* [begin, less) is less than the pivot, [more, end) greater */
        for (int32_t i = begin; i < more;) {
            if (s->point[i][axis] < pivot) {
                swap_points(s, i++, less++);
            } else if (s->point[i][axis] > pivot) {
                swap_points(s, i, --more);
            } else {
                i++;
            }
        }
        if (middle < less) {
            end = less;
        } else if (middle >= more) {
            begin = more;
        } else {
            return;
        }
    }
}

static void build(state *s, int32_t i, int32_t begin, int32_t end)
{
    box *b = &s->boxes[i];
    *b = (box){{INFINITY, INFINITY}, {-INFINITY, -INFINITY}, INFINITY, begin, end};
    for (int32_t p = begin; p < end; p++) {
        for (int axis = 0; axis < 2; axis++) {
            b->low[axis] = lesser(b->low[axis], s->point[p][axis]);
            b->high[axis] = greater(b->high[axis], s->point[p][axis]);
        }
        s->leaf[p] = i;
    }
    if (i < s->first_leaf) {
        int32_t middle = begin + (end - begin) / 2;
        split(s, begin, end, middle, b->high[1] - b->low[1] > b->high[0] - b->low[0]);
        build(s, 2 * i, begin, middle);
        build(s, 2 * i + 1, middle, end);
    }
}

/* The distance that scikit-learn's neighbours and its OPTICS work with. */
static double distance(double squared)
{
    return rint(sqrt(squared) * 1e15) / 1e15;
}

static double squared_distance(const double *a, const double *b)
{
    double x = a[0] - b[0], y = a[1] - b[1];
    return x * x + y * y;
}

/* Not above the squared distance of any point in the box, in rounded arithmetic either: each operation is monotone. */
static double squared_to_box(const double *from, const box *b)
{
    double x = greater(greater(b->low[0] - from[0], from[0] - b->high[0]), 0);
    double y = greater(greater(b->low[1] - from[1], from[1] - b->high[1]), 0);
    return x * x + y * y;
}

/* ---- core distance ----------------------------------------------------------------------------------------------- */

/* The `wanted` least squared distances from a point, rising; unused ones are the greatest that is of interest. */
typedef struct nearest {
    const double *from;
    double *squared;
    int wanted;
} nearest;

static void insert(nearest *n, double squared)
{
    int at = n->wanted - 1;
    if (squared < n->squared[at]) {
        for (; at > 0 && n->squared[at - 1] > squared; at--) {
            n->squared[at] = n->squared[at - 1];
        }
        n->squared[at] = squared;
    }
}

static void search(const state *s, int32_t i, nearest *n)
{
    if (i >= s->first_leaf) {
        for (int32_t p = s->boxes[i].begin; p < s->boxes[i].end; p++) {
            insert(n, squared_distance(n->from, s->point[p]));
        }
        return;
    }
    double left = squared_to_box(n->from, &s->boxes[2 * i]), right = squared_to_box(n->from, &s->boxes[2 * i + 1]);
    int nearer = right < left;
    if (lesser(left, right) < n->squared[n->wanted - 1]) {
        search(s, 2 * i + nearer, n);
    }
    if (greater(left, right) < n->squared[n->wanted - 1]) {
        search(s, 2 * i + !nearer, n);
    }
}

static void find_cores(const state *s, int min_samples, double *core_distance)
{
    nearest n = {NULL, sm_alloc((size_t)min_samples * sizeof *n.squared), min_samples};
    double beyond = s->max_distance * s->max_distance * (1 + 1e-9) + DBL_MIN; /* certainly farther than max_distance */
    for (int32_t p = 0; p < s->count; p++) {
        n.from = s->point[p];
        for (int k = 0; k < min_samples; k++) {
            n.squared[k] = beyond;
        }
        search(s, ROOT, &n);
        double squared = n.squared[min_samples - 1];
        core_distance[s->index[p]] = sqrt(squared) <= s->max_distance ? distance(squared) : INFINITY;
    }
    sm_free(n.squared);
}

/* ---- what has been reached --------------------------------------------------------------------------------------- */

static int before(const state *s, int32_t a, int32_t b)
{
    return s->pending[a] < s->pending[b] || (s->pending[a] == s->pending[b] && s->index[a] < s->index[b]);
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

static double greatest_pending(const state *s, const box *b)
{
    double most = -1;
    for (int32_t p = b->begin; p < b->end; p++) {
        most = greater(most, s->pending[p]);
    }
    return most;
}

/* Takes a point out of the tree. */
static void settle(state *s, int32_t slot)
{
    s->pending[slot] = -1;
    int32_t i = s->leaf[slot];
    double most = greatest_pending(s, &s->boxes[i]);
    while (i >= ROOT && s->boxes[i].pending != most) {
        s->boxes[i].pending = most;
        i /= 2;
        most = greater(s->boxes[2 * i].pending, s->boxes[2 * i + 1].pending);
    }
}

/* A point of finite core distance, from which others are reached. */
typedef struct source {
    const double *point;
    double core, max_squared;
    int32_t index;
    int32_t *predecessor;
} source;

static void reach_points(state *s, const source *from, const box *b)
{
    for (int32_t p = b->begin; p < b->end; p++) {
        double squared = squared_distance(from->point, s->point[p]);
        if (from->core < s->pending[p] && squared <= from->max_squared) {
            double reachability = greater(from->core, distance(squared));
            if (reachability < s->pending[p]) {
                s->pending[p] = reachability;
                from->predecessor[s->index[p]] = from->index;
                advance(s, p);
            }
        }
    }
}

static void reach(state *s, const source *from, int32_t i)
{
    box *b = &s->boxes[i];
    double squared = squared_to_box(from->point, b);
    if (from->core >= b->pending || squared > from->max_squared || distance(squared) >= b->pending) {
        return;
    }
    if (i >= s->first_leaf) {
        reach_points(s, from, b);
        b->pending = greatest_pending(s, b);
    } else {
        reach(s, from, 2 * i);
        reach(s, from, 2 * i + 1);
        b->pending = greater(s->boxes[2 * i].pending, s->boxes[2 * i + 1].pending);
    }
}

static void process(state *s, int32_t slot, sm_optics *optics)
{
    int32_t index = s->index[slot];
    const source from = {s->point[slot], optics->core_distance[index], s->max_distance * s->max_distance, index,
                         optics->predecessor};
    optics->reachability[index] = s->pending[slot];
    settle(s, slot);
    if (isfinite(from.core)) {
        reach(s, &from, ROOT);
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
            optics->order[processed++] = s->index[slot];
            process(s, slot, optics);
        }
    }
    assert(processed == optics->count);
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

static void take_finite(state *s, size_t count, const double (*points)[2])
{
    for (size_t i = 0; i < count; i++) {
        if (isfinite(points[i][0]) && isfinite(points[i][1])) {
            int32_t slot = s->count++;
            s->point[slot][0] = points[i][0];
            s->point[slot][1] = points[i][1];
            s->index[slot] = (int32_t)i;
            s->pending[slot] = INFINITY;
            s->place[slot] = -1;
        }
    }
}

static state make_state(size_t count, const double (*points)[2], double max_distance)
{
    state s = {.max_distance = max_distance, .first_leaf = 1};
    s.point = sm_alloc(count * sizeof *s.point);
    s.pending = sm_alloc(count * sizeof *s.pending);
    s.index = sm_alloc(count * sizeof *s.index);
    s.slot = sm_alloc(count * sizeof *s.slot);
    s.leaf = sm_alloc(count * sizeof *s.leaf);
    s.heap = sm_alloc(count * sizeof *s.heap);
    s.place = sm_alloc(count * sizeof *s.place);
    take_finite(&s, count, points);
    while (s.count / s.first_leaf >= LEAF_POINTS) {
        s.first_leaf *= 2;
    }
    s.boxes = sm_alloc(2 * (size_t)s.first_leaf * sizeof *s.boxes);
    build(&s, ROOT, 0, s.count);
    for (size_t i = 0; i < count; i++) {
        s.slot[i] = -1;
    }
    for (int32_t p = 0; p < s.count; p++) {
        s.slot[s.index[p]] = p;
    }
    return s;
}

static void free_state(state *s)
{
    sm_free(s->point);
    sm_free(s->pending);
    sm_free(s->index);
    sm_free(s->slot);
    sm_free(s->leaf);
    sm_free(s->heap);
    sm_free(s->place);
    sm_free(s->boxes);
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
