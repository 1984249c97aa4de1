#include <sigmatic/io/json.h>

#include "cli/bench_scaling.h"

#include <stdio.h>

enum { WEAK, STRONG, KINDS, MOST_ROWS = 34 };

static const char *const kind_names[KINDS] = {"weak", "strong"};

typedef struct row {
    int ranks;
    int64_t batch_global;
    double step_seconds, exposed_seconds; /* medians */
} row;

static sm_status measure(sm_comm *part, const bench_options *options, row *r)
{
    sm_status status = SM_OK;
    bench b = {.comm = part, .options = options, .batch_global = r->batch_global};
    SM_TRY(bench_open(&b));
    SM_TRY(bench_measure(&b));
    r->step_seconds = bench_median(b.seconds, options->steps);
    r->exposed_seconds = bench_median(b.exposed, options->steps);
done:
    bench_close(&b);
    return status;
}

/* On the first ranks; the others sleep meanwhile and get the result. */
static sm_status measure_on_part(sm_comm *comm, const bench_options *options, row *r)
{
    sm_comm *part = sm_comm_part_new(comm, r->ranks);
    sm_status status = part ? measure(part, options, r) : SM_OK;
    sm_comm_part_free(part);
    sm_comm_barrier_asleep(comm);
    status = sm_comm_agree(comm, status);
    sm_comm_broadcast(comm, r, sizeof *r, 0);
    return status;
}

static double images_per_second(const row *r)
{
    return (double)r->batch_global / r->step_seconds;
}

/* Images per second over those of as many times the first row's. */
static double efficiency(const row *first, const row *r)
{
    return images_per_second(r) / images_per_second(first) * first->ranks / r->ranks;
}

static void print_table(row rows[KINDS][MOST_ROWS], int count)
{
    printf("%-7s %6s %7s %10s %10s %11s %12s\n", "scaling", "ranks", "images", "ms a step", "images/s", "efficiency",
           "ms exposed");
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < count; i++) {
            const row *r = &rows[kind][i];
            printf("%-7s %6d %7lld %10.1f %10.2f %10.1f%% %12.2f\n", kind_names[kind], r->ranks,
                   (long long)r->batch_global, 1e3 * r->step_seconds, images_per_second(r),
                   100 * efficiency(&rows[kind][0], r), 1e3 * r->exposed_seconds);
        }
    }
    printf("exposed: what the last rank to finish backward waits for the sum of the gradients\n");
}

static sm_status print_json(const bench_options *o, row rows[KINDS][MOST_ROWS], int count)
{
    sm_json *json = sm_json_new();
    sm_json_set_text(json, "backbone", o->backbone);
    for (int kind = 0; kind < KINDS; kind++) {
        sm_json *list = sm_json_set_array(json, kind_names[kind]);
        for (int i = 0; i < count; i++) {
            const row *r = &rows[kind][i];
            sm_json *item = sm_json_set_object(list, NULL);
            sm_json_set_integer(item, "ranks", r->ranks);
            sm_json_set_integer(item, "batch_global", r->batch_global);
            sm_json_set_real(item, "ms_step", 1e3 * r->step_seconds);
            sm_json_set_real(item, "images_s", images_per_second(r));
            sm_json_set_real(item, "efficiency", efficiency(&rows[kind][0], r));
            sm_json_set_real(item, "ms_exposed", 1e3 * r->exposed_seconds);
        }
    }
    sm_status status = sm_json_print(json, stdout);
    sm_json_free(json);
    return status;
}

sm_status bench_scaling(sm_comm *comm, const bench_options *options)
{
    sm_status status = SM_OK;
    row rows[KINDS][MOST_ROWS];
    int size = sm_comm_size(comm), count = 0;
    int64_t all = options->batch_global > 0 ? options->batch_global : options->batch * size;
    for (int ranks = 1; count == 0 || rows[WEAK][count - 1].ranks < size; ranks *= 2, count++) {
        int now = ranks < size ? ranks : size;
        rows[WEAK][count] = (row){.ranks = now, .batch_global = options->batch * now};
        rows[STRONG][count] = (row){.ranks = now, .batch_global = all};
        SM_TRY(measure_on_part(comm, options, &rows[WEAK][count]));
        if (rows[WEAK][count].batch_global == all) {
            rows[STRONG][count] = rows[WEAK][count];
        } else {
            SM_TRY(measure_on_part(comm, options, &rows[STRONG][count]));
        }
    }
    if (sm_comm_rank(comm) == 0 && options->json) {
        status = print_json(options, rows, count);
    } else if (sm_comm_rank(comm) == 0) {
        print_table(rows, count);
    }
done:
    return status;
}
