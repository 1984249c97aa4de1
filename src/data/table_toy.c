/* The toy regression of the authors' examples. A draw is named by the seed, its split and its number: a longer split begins with
 * a shorter one. */
#include "data/table_file.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/random.h>
#include <sigmatic/data/table.h>

enum { TARGETS = 2 };

static const struct {
    const char *name;
    double slope, offset, sigma;
} lines[TARGETS] = {{"y1", 2, 8, 10}, {"y2", 3, 3, 1}};

static void draw(sm_table *table, size_t row, uint64_t seed, int split, uint32_t number)
{
    sm_random random = sm_random_new(seed ^ sm_hash("toy regression"), (uint64_t)split, number);
    float x = sm_random_normal(&random);
    table->values[row] = x;
    for (int t = 0; t < TARGETS; t++) {
        double noise = lines[t].sigma * sm_random_normal(&random);
        ((float *)table->targets[t].values)[row] = (float)(lines[t].slope * x + lines[t].offset + noise);
    }
    table->names[row] = sm_format("%s_%06lu", sm_usual_split_names[split], (unsigned long)number);
    table->splits[row] = split;
}

static void make_toy(sm_table *table, size_t samples, size_t validation, uint64_t seed)
{
    *table = (sm_table){.rows = samples + validation, .features = 1, .target_count = TARGETS};
    table->mean = sm_alloc(2 * sizeof *table->mean); /* as they are drawn, whatever was drawn */
    table->std = table->mean + 1;
    *table->mean = 0;
    *table->std = 1;
    table->feature_names = sm_alloc(sizeof *table->feature_names);
    table->feature_names[0] = sm_strdup("x");
    table->values = sm_alloc(table->rows * sizeof *table->values);
    table->names = sm_alloc(table->rows * sizeof *table->names);
    table->splits = sm_alloc(table->rows * sizeof *table->splits);
    for (int t = 0; t < TARGETS; t++) {
        sm_table_target *own = &table->targets[t];
        own->values = sm_alloc(table->rows * sizeof(float));
        own->target = (sm_target){.name = lines[t].name,
                                  .type = SM_TARGET_REAL,
                                  .scope = SM_SCOPE_SAMPLE,
                                  .components = 1,
                                  .unit = "",
                                  .least = -SM_GREATEST_REAL,
                                  .most = SM_GREATEST_REAL};
    }
    for (size_t r = 0; r < table->rows; r++) {
        int split = r >= samples;
        draw(table, r, seed, split, (uint32_t)(split ? r - samples : r));
    }
}

sm_status sm_table_write_toy(sm_comm *comm, const char *output, int64_t samples, int64_t validation, uint64_t seed,
                             int overwrite)
{
    const int64_t most = 100000000;
    sm_table table;
    if (samples < 1 || validation < 0 || samples > most || validation > most) {
        return sm_fail(SM_ERR_USAGE,
                       "%s: %lld draws wanted in train and %lld in val: expected 1 to %lld, and 0 to %lld", output,
                       (long long)samples, (long long)validation, (long long)most, (long long)most);
    }
    make_toy(&table, (size_t)samples, (size_t)validation, seed);
    char *source =
        sm_format("toy regression: y1 = 2 x + 8 + 10 e, y2 = 3 x + 3 + e; seed %llu", (unsigned long long)seed);
    const sm_table_job job = {.output = output, .source = source, .overwrite = overwrite};
    sm_status status = sm_table_write(comm, &table, &job);
    sm_free(source);
    sm_table_clear(&table);
    return status;
}
