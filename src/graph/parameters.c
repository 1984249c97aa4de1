#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/graph/parameters.h>

#include <assert.h>
#include <fnmatch.h>
#include <string.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

enum { SLICE_ALIGNMENT_FLOATS = SM_ALIGNMENT_BYTES / sizeof(float) };

sm_parameters *sm_parameters_new(void)
{
    return sm_alloc_zeroed(sizeof(sm_parameters));
}

void sm_parameters_free(sm_parameters *parameters)
{
    if (parameters) {
        sm_free(parameters->parameters.items);
        sm_free(parameters->buffers.items);
        sm_free(parameters);
    }
}

const sm_slice *sm_slices_find(const sm_slices *slices, const char *name)
{
    for (int i = 0; i < slices->count; i++) {
        if (strcmp(slices->items[i].name, name) == 0) {
            return &slices->items[i];
        }
    }
    return NULL;
}

static int add(sm_slices *slices, const sm_slice *slice, int finished)
{
    const sm_slice *known = sm_slices_find(slices, slice->name);
    if (known) {
        assert(memcmp(known->shape, slice->shape, sizeof slice->shape) == 0 &&
               known->inputs_together == slice->inputs_together && "a name stands for one shape and layout");
        return (int)(known - slices->items);
    }
    assert(!finished && "parameters are laid out already");
    (void)finished;
    slices->items = sm_realloc(slices->items, (size_t)(slices->count + 1) * sizeof *slices->items);
    sm_slice *added = &slices->items[slices->count];
    *added = *slice;
    added->learning_rate_scale = 1;
    added->frozen = 0;
    added->count = 1;
    for (int d = 0; d < slice->dimensions; d++) {
        added->count *= (size_t)slice->shape[d];
    }
    return slices->count++;
}

int sm_parameters_add(sm_parameters *parameters, const sm_slice *slice)
{
    return add(&parameters->parameters, slice, parameters->finished);
}

int sm_parameters_add_buffer(sm_parameters *parameters, const sm_slice *slice)
{
    return add(&parameters->buffers, slice, parameters->finished);
}

static void finish(sm_slices *slices)
{
    slices->floats = 0;
    for (int i = slices->count - 1; i >= 0; i--) {
        slices->items[i].offset = slices->floats;
        slices->floats += sm_round_up(slices->items[i].count, SLICE_ALIGNMENT_FLOATS);
    }
}

void sm_parameters_finish(sm_parameters *parameters)
{
    if (!parameters->finished) {
        finish(&parameters->parameters);
        finish(&parameters->buffers);
        parameters->finished = 1;
    }
}

static int is_frozen(const sm_parameters *parameters, const char *layer, const char *part)
{
    char *name = sm_format("%s.%s", layer, part);
    const sm_slice *slice = sm_slices_find(&parameters->parameters, name);
    sm_free(name);
    return slice && slice->frozen;
}

/* Running statistics stay where both parameters of their normalisation do. */
static void freeze_statistics(sm_parameters *parameters)
{
    for (int i = 0; i < parameters->buffers.count; i++) {
        sm_slice *slice = &parameters->buffers.items[i];
        char *layer = sm_strdup(slice->name);
        *strrchr(layer, '.') = '\0';
        slice->frozen = is_frozen(parameters, layer, "weight") && is_frozen(parameters, layer, "bias");
        sm_free(layer);
    }
}

int sm_parameters_freeze(sm_parameters *parameters, const char *pattern)
{
    int matches = 0;
    for (int i = 0; i < parameters->parameters.count; i++) {
        sm_slice *slice = &parameters->parameters.items[i];
        if (fnmatch(pattern, slice->name, 0) == 0) {
            slice->frozen = 1;
            matches++;
        }
    }
    freeze_statistics(parameters);
    return matches;
}

int sm_parameters_scale_learning_rate(sm_parameters *parameters, const char *pattern, double scale)
{
    int matches = 0;
    for (int i = 0; i < parameters->parameters.count; i++) {
        sm_slice *slice = &parameters->parameters.items[i];
        if (fnmatch(pattern, slice->name, 0) == 0) {
            slice->learning_rate_scale = (float)scale;
            matches++;
        }
    }
    return matches;
}

int sm_slices_of_task(const sm_slices *slices, int task, sm_range *ranges)
{
    int count = 0;
    for (int i = slices->count - 1; i >= 0; i--) { /* by offset */
        const sm_slice *slice = &slices->items[i];
        if (slice->task != task || slice->log_variance || slice->frozen) {
            continue;
        }
        if (count > 0 && ranges[count - 1].end == slice->offset) {
            ranges[count - 1].end += slice->count;
        } else {
            ranges[count++] = (sm_range){slice->offset, slice->offset + slice->count};
        }
    }
    return count;
}

void sm_slices_initialise(const sm_slices *slices, uint64_t seed, float *flat)
{
    memset(flat, 0, slices->floats * sizeof *flat);
    for (int i = 0; i < slices->count; i++) {
        const sm_slice *slice = &slices->items[i];
        sm_random random = sm_random_new(seed, sm_hash(slice->name), 0);
        for (size_t j = 0; j < slice->count; j++) {
            float noise = slice->initial_std > 0 ? slice->initial_std * sm_random_normal(&random) : 0;
            flat[slice->offset + j] = slice->initial_mean + noise;
        }
    }
}

/* \return where input i of a tap and output lies */
static size_t place_of(const sm_slice *slice, size_t tap, size_t taps, size_t i, size_t o)
{
    size_t outputs = (size_t)slice->shape[0], inputs = (size_t)slice->shape[1];
    size_t together = slice->inputs_together > 0 ? (size_t)slice->inputs_together : inputs;
    if (i < together) {
        return (tap * together + i) * outputs + o;
    }
    return (taps * together + tap * (inputs - together) + i - together) * outputs + o;
}

/* What is copied together: outputs, and columns of the file, which are inputs and their taps; so many that both sides are read and written in
 * whole lines of the cache. */
enum { TILE = 64 };

typedef struct reorder_tile {
    size_t first_output, outputs, first_column, columns;
} reorder_tile;

/* \return where the tile's outputs of one of its columns lie */
static size_t line_of(const sm_slice *slice, size_t taps, const reorder_tile *t, size_t column)
{
    size_t c = t->first_column + column;
    return place_of(slice, c % taps, taps, c / taps, t->first_output);
}

/* outputs[k][j] = columns[j][output + k], j, k < 4; outputs `stride` apart */
static inline void export_four(const float *const *columns, size_t output, float *outputs, size_t stride)
{
#ifdef __SSE__
    __m128 r[4];
    for (int j = 0; j < 4; j++) {
        r[j] = _mm_loadu_ps(columns[j] + output);
    }
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
    for (int k = 0; k < 4; k++) {
        _mm_storeu_ps(outputs + k * stride, r[k]);
    }
#else
    for (int k = 0; k < 4; k++) {
        for (int j = 0; j < 4; j++) {
            outputs[k * stride + j] = columns[j][output + k];
        }
    }
#endif
}

/* In squares of four, whose lines the file has in a row: half as long again as through a tile turned in memory of its own. */
static void export_tile(const sm_slice *slice, size_t taps, const reorder_tile *t, const float *memory, float *file)
{
    size_t stride = (size_t)slice->shape[1] * taps, fours = t->columns / 4 * 4;
    const float *columns[TILE];
    file += t->first_output * stride + t->first_column;
    for (size_t c = 0; c < t->columns; c++) {
        columns[c] = memory + line_of(slice, taps, t, c);
    }
    for (size_t o = 0; o < t->outputs; o += 4) {
        size_t begin = t->outputs - o < 4 ? 0 : fours, end = o + 4 < t->outputs ? o + 4 : t->outputs;
        for (size_t c = 0; c < begin; c += 4) {
            export_four(columns + c, o, file + o * stride + c, stride);
        }
        for (size_t k = o; k < end; k++) {
            for (size_t c = begin; c < t->columns; c++) {
                file[k * stride + c] = columns[c][k];
            }
        }
    }
}

/* Turned in a piece of memory of its own, whatever power of two lies between the lines. */
static void import_tile(const sm_slice *slice, size_t taps, const reorder_tile *t, const float *file, float *memory)
{
    float turned[TILE][TILE];
    for (size_t o = 0; o < t->outputs; o++) {
        size_t row = (t->first_output + o) * (size_t)slice->shape[1] * taps;
        memcpy(turned[o], file + row + t->first_column, t->columns * sizeof *file);
    }
    for (size_t c = 0; c < t->columns; c++) {
        float *line = memory + line_of(slice, taps, t, c);
        for (size_t o = 0; o < t->outputs; o++) {
            line[o] = turned[o][c];
        }
    }
}

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Both layouts that differ from the file's are "output channel first" there and "output channel last" here. By one thread: two were slower
 * where the cores are shared, and each tensor is over in a few milliseconds. */
static void reorder(const sm_slice *slice, const float *from, float *to, int exporting)
{
    if (slice->layout == SM_LAYOUT_PLAIN) {
        memcpy(to, from, slice->count * sizeof *to);
        return;
    }
    size_t outputs = (size_t)slice->shape[0], inputs = (size_t)slice->shape[1];
    size_t taps = slice->count / (outputs * inputs), columns = inputs * taps;
    for (size_t o = 0; o < outputs; o += TILE) {
        for (size_t c = 0; c < columns; c += TILE) {
            const reorder_tile tile = {o, at_most(TILE, outputs - o), c, at_most(TILE, columns - c)};
            (exporting ? export_tile : import_tile)(slice, taps, &tile, from, to);
        }
    }
}

void sm_slice_export(const sm_slice *slice, const float *flat, float *values)
{
    reorder(slice, flat + slice->offset, values, 1);
}

void sm_slice_import(const sm_slice *slice, const float *values, float *flat)
{
    reorder(slice, values, flat + slice->offset, 0);
}
