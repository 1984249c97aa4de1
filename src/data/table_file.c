#include "data/table_file.h"

#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/dataset_writer.h>

#include <math.h>
#include <string.h>

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; texts && i < count; i++) {
        sm_free(texts[i]);
    }
    sm_free(texts);
}

void sm_table_clear(sm_table *table)
{
    free_texts(table->feature_names, table->features);
    free_texts(table->names, table->rows);
    for (int t = 0; t < table->target_count; t++) {
        sm_free(table->targets[t].name);
        sm_free(table->targets[t].unit);
        sm_free(table->targets[t].class_names);
        sm_free(table->targets[t].values);
    }
    sm_free(table->values);
    sm_free(table->splits);
    sm_free(table->mean);
    *table = (sm_table){0};
}

/* ---- statistics -------------------------------------------------------------------------------------------------- */

/* Of one feature in the rows of a split. */
static void measure(const sm_table *table, size_t feature, int split, double *mean, double *std)
{
    double sum = 0, squares = 0;
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t r = 0; r < table->rows; r++) {
            double value = table->values[r * table->features + feature];
            if (table->splits[r] == split && !isnan(value)) {
                count += pass == 0;
                sum += pass == 0 ? value : 0;
                squares += pass == 1 ? (value - *mean) * (value - *mean) : 0;
            }
        }
        *mean = count > 0 ? sum / (double)count : 0;
    }
    *std = count > 0 ? sqrt(squares / (double)count) : 0;
}

static void warn_of_constant(const sm_table *table, size_t feature, int split, const char *path)
{
    if (path) {
        sm_log_warning("%s: feature '%s' is %g in all of %s that knows it: nothing can be learnt from it", path,
                       table->feature_names[feature], table->mean[feature], sm_usual_split_names[split]);
    }
}

void sm_table_standardise(sm_table *table, const char *path)
{
    const double rounding = 1e-6; /* of floats, relative */
    int split = SM_USUAL_SPLITS - 1;
    for (size_t r = 0; r < table->rows; r++) {
        split = table->splits[r] < split ? table->splits[r] : split;
    }
    table->mean = sm_alloc(2 * table->features * sizeof *table->mean);
    table->std = table->mean + table->features;
    for (size_t f = 0; f < table->features; f++) {
        measure(table, f, split, &table->mean[f], &table->std[f]);
        if (!(table->std[f] > rounding * fabs(table->mean[f]))) {
            warn_of_constant(table, f, split, path);
            table->std[f] = 1;
        }
    }
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

/* The rows of each split, in their order in the table. */
typedef struct table_writer {
    const sm_table *table;
    size_t *rows[SM_USUAL_SPLITS];
} table_writer;

static sm_status produce(void *user, int split, int64_t index, sm_sample *sample)
{
    const table_writer *writer = user;
    const sm_table *table = writer->table;
    size_t row = writer->rows[split][index];
    sample->input = table->values + row * table->features;
    for (int t = 0; t < table->target_count; t++) {
        const sm_table_target *target = &table->targets[t];
        sm_sample_add(sample, &target->target,
                      (const char *)target->values + row * sm_target_item_bytes(&target->target));
    }
    return SM_OK;
}

/* \param [out] names  of the split's samples, owned by the table \return how many there are */
static int64_t list_rows(const sm_table *table, int split, size_t *rows, const char **names)
{
    int64_t count = 0;
    for (size_t r = 0; r < table->rows; r++) {
        if (table->splits[r] == split) {
            names[count] = table->names[r];
            rows[count++] = r;
        }
    }
    return count;
}

static const sm_input_kind *features_kind(void)
{
    const sm_input_kind *kind = sm_input_kinds;
    while (!kind->is_table) {
        kind++;
    }
    return kind;
}

sm_status sm_table_write(sm_comm *comm, const sm_table *table, const sm_table_job *job)
{
    table_writer writer = {.table = table};
    sm_dataset_split_spec splits[SM_USUAL_SPLITS];
    sm_target targets[SM_TARGETS_MAX];
    size_t *rows = sm_alloc(table->rows * sizeof *rows), first = 0;
    const char **names = sm_alloc(table->rows * sizeof *names);
    int used = 0;
    for (int s = 0; s < SM_USUAL_SPLITS; s++) {
        int64_t count = list_rows(table, s, rows + first, names + first);
        if (count > 0) {
            writer.rows[used] = rows + first;
            splits[used++] = (sm_dataset_split_spec){sm_usual_split_names[s], count, names + first};
            first += (size_t)count;
        }
    }
    for (int t = 0; t < table->target_count; t++) {
        targets[t] = table->targets[t].target;
    }
    const sm_dataset_spec spec = {.source = job->source,
                                  .input = features_kind(),
                                  .features = (int)table->features,
                                  .feature_names = (const char *const *)table->feature_names,
                                  .height = 1,
                                  .width = 1,
                                  .targets = targets,
                                  .target_count = table->target_count,
                                  .mean = table->mean,
                                  .std = table->std,
                                  .splits = splits,
                                  .split_count = used};
    const sm_dataset_job how = {
        .overwrite = job->overwrite, .produce = produce, .user = &writer, .origin = job->origin, .stop = job->stop};
    sm_status status = sm_dataset_write_job(comm, job->output, &spec, &how);
    sm_free(rows);
    sm_free(names);
    return status;
}
