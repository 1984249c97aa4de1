/* A ring of slots, each for this rank's share of one step. Workers take single samples in the order of the steps; the
 * caller gets a slot when its last sample is done, and gives it back with the next call. */
#define _POSIX_C_SOURCE 200809L
#include <sigmatic/base/memory.h>
#include <sigmatic/base/thread.h>
#include <sigmatic/base/timer.h>
#include <sigmatic/data/loader.h>
#include <sigmatic/data/sampler.h>

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One step as this rank sees it. */
typedef struct step_plan {
    int64_t position, epoch, count_global, first_local;
    int64_t first_order; /* place of this rank's first sample in the epoch's order */
    int count_local;
} step_plan;

typedef struct step_slot {
    step_plan plan;
    int taken, finished; /* samples given to workers; samples done */
    float *input;
    uint8_t *pixels;
    char **target;  /* one a task */
    int64_t *valid; /* (task, sample) */
    int64_t *sample_index;
    double *metres_pixels;
    sm_status status; /* of the first sample, in order, that failed */
    int failed;       /* which one */
    char *message;    /* its message, owned */
} step_slot;

typedef struct loader_worker {
    pthread_t thread;
    struct sm_loader *loader;
    sm_sample_storage *storage;
    float *workspace;
} loader_worker;

struct sm_loader {
    sm_loader_options options;
    sm_augmentation augmentation; /* what options.augmentation points to */
    sm_target_builder *builders;
    int capacity;     /* samples of a rank's share of a step */
    int64_t end_step; /* number of steps there are */
    step_slot *slots;
    int slot_count;
    loader_worker *workers;
    int worker_count;

    pthread_mutex_t lock; /* of everything up to the blank line */
    pthread_cond_t work;  /* a slot has come free, or stop */
    pthread_cond_t ready; /* a slot is complete */
    int64_t opened;       /* steps whose samples were offered to workers */
    int64_t released;     /* steps that the caller is done with */
    int64_t next_position;
    int stop;

    int64_t current; /* step being delivered */
    int micro_batch; /* next one of it */
    sm_batch batch;
    const void **target;
    int64_t *valid, *valid_step;
};

/* ---- which samples ------------------------------------------------------------------------------------------------ */

static int share_of_batch(const sm_loader_options *options)
{
    return (options->batch + options->size - 1) / options->size;
}

static int micro_batches(const sm_loader_options *options)
{
    return options->micro_batches > 0 ? options->micro_batches : 1;
}

int sm_loader_capacity(const sm_loader_options *options)
{
    int parts = micro_batches(options);
    return (share_of_batch(options) + parts - 1) / parts;
}

/* The one being used and those read ahead. */
static int slot_count(const sm_loader_options *options)
{
    return (options->prefetch > 0 ? options->prefetch : 2) + 1;
}

static int worker_count(const sm_loader_options *options)
{
    return options->workers > 0 ? options->workers : 1;
}

static int64_t count_steps(const sm_loader_options *options)
{
    int64_t count = sm_dataset_count(options->dataset), first, share;
    if (options->order == SM_LOADER_BLOCKS) {
        sm_sampler_share(count, 0, options->size, &first, &share);
        return (share + share_of_batch(options) - 1) / share_of_batch(options);
    }
    if (options->epochs == 0) {
        return INT64_MAX;
    }
    int64_t begun = options->start_position / count, left = count - options->start_position % count;
    if (begun >= options->epochs) {
        return 0;
    }
    return sm_sampler_steps(left, options->batch, 1) +
           sm_sampler_steps(count, options->batch, options->epochs - begun - 1);
}

static int64_t clamp(int64_t value, int64_t high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

static step_plan plan_block_step(const sm_loader_options *options, int64_t number)
{
    step_plan plan = {0};
    int64_t count = sm_dataset_count(options->dataset), each = share_of_batch(options), before = number * each;
    for (int r = 0; r < options->size; r++) {
        int64_t first, share;
        sm_sampler_share(count, r, options->size, &first, &share);
        int64_t now = clamp(share - before, each);
        if (r == options->rank) {
            plan.first_local = plan.count_global;
            plan.first_order = first + before;
            plan.count_local = (int)now;
        }
        plan.count_global += now;
        plan.position += clamp(before, share);
    }
    return plan;
}

static step_plan plan_step(const sm_loader *loader, int64_t number)
{
    const sm_loader_options *options = &loader->options;
    if (options->order == SM_LOADER_BLOCKS) {
        return plan_block_step(options, number);
    }
    sm_sampler_step step = sm_sampler_step_at(loader->next_position, sm_dataset_count(options->dataset), options->batch,
                                              options->rank, options->size);
    return (step_plan){.position = loader->next_position,
                       .epoch = step.epoch,
                       .count_global = step.count_global,
                       .first_local = step.first_local,
                       .first_order = step.first_global + step.first_local,
                       .count_local = (int)step.count_local};
}

static int64_t sample_of(const sm_loader_options *options, const step_plan *plan, int i)
{
    int64_t place = plan->first_order + i, count = sm_dataset_count(options->dataset);
    return options->order == SM_LOADER_SHUFFLED ? sm_sampler_index(options->seed, plan->epoch, count, place) : place;
}

/* ---- the work of a thread ----------------------------------------------------------------------------------------- */

/* The normalised input back to 8 bits. */
static void restore_pixels(const sm_input *input, const float *normalised, uint8_t *pixels)
{
    size_t count = sm_input_elements(input), channels = (size_t)input->channels;
    for (size_t i = 0; i < count; i++) {
        double value = (normalised[i] * input->std[i % channels] + input->mean[i % channels]) * 255;
        pixels[i] = (uint8_t)lrint(fmin(fmax(value, 0), 255));
    }
}

/* Bytes of what a task trains on, of one sample. */
static size_t target_bytes(const sm_loader_options *options, const sm_target_builder *builder)
{
    return sm_scope_items(builder->scope, options->input.height, options->input.width) * builder->item_bytes;
}

/* What is left of the input's changes once it has its geometry: targets do not see them. */
static void change_input(const sm_loader *loader, int64_t epoch, const sm_sample *sample, const sm_geometry *geometry,
                         float *prepared, float *workspace)
{
    const sm_input *input = &loader->options.input;
    const sm_augmentation *augmentation = &loader->augmentation;
    sm_colour_change colours = sm_augmentation_colours(augmentation, loader->options.seed, epoch, sample->index);
    sm_rectangle blank = sm_augmentation_erasing(augmentation, loader->options.seed, epoch, sample->index);
    if (sm_colour_changes(&colours) && input->kind->recolour) {
        input->kind->recolour(input, &colours, sample->height, sample->width, geometry, prepared, workspace);
    }
    size_t pixel = (size_t)input->channels, bytes = (size_t)blank.width * pixel * sizeof *prepared;
    for (int y = blank.top; y < blank.top + blank.height; y++) {
        memset(prepared + ((size_t)y * (size_t)input->width + (size_t)blank.left) * pixel, 0, bytes);
    }
}

static sm_status fill_sample(loader_worker *worker, step_slot *slot, int i)
{
    sm_loader *loader = worker->loader;
    const sm_loader_options *options = &loader->options;
    const sm_input *input = &options->input;
    size_t elements = sm_input_elements(input);
    int64_t index = sample_of(options, &slot->plan, i);
    sm_sample sample;
    sm_status status = sm_dataset_read(options->dataset, index, worker->storage, &sample);
    if (status != SM_OK) {
        return status;
    }
    sm_geometry geometry = options->augmentation
                               ? sm_augmentation_geometry(options->augmentation, options->seed, slot->plan.epoch, index,
                                                          sample.height, sample.width)
                               : sm_geometry_whole(sample.height, sample.width, input->height, input->width);
    float *prepared = slot->input + (size_t)i * elements;
    input->kind->prepare(input, sample.input, sample.height, sample.width, &geometry, prepared, worker->workspace);
    if (options->augmentation) {
        change_input(loader, slot->plan.epoch, &sample, &geometry, prepared, worker->workspace);
    }
    if (slot->pixels) {
        restore_pixels(input, prepared, slot->pixels + (size_t)i * elements);
    }
    for (int k = 0; k < options->task_count; k++) {
        const sm_target_builder *builder = &loader->builders[k];
        char *target = slot->target[k] + (size_t)i * target_bytes(options, builder);
        slot->valid[k * loader->capacity + i] = builder->build(builder->user, &sample, &geometry, target);
    }
    slot->sample_index[i] = index;
    slot->metres_pixels[i] =
        sample.baseline_metres * sample.fx_pixels * sample.width * geometry.scale_x / sample.original_width;
    return SM_OK;
}

/* Offers the next step to the workers if a slot is free. Lock held. */
static int open_step(sm_loader *loader)
{
    if (loader->opened >= loader->end_step || loader->opened >= loader->released + loader->slot_count) {
        return 0;
    }
    step_slot *slot = &loader->slots[loader->opened % loader->slot_count];
    slot->plan = plan_step(loader, loader->opened);
    slot->taken = slot->finished = 0;
    loader->next_position += slot->plan.count_global;
    loader->opened++;
    if (slot->plan.count_local == 0) {
        pthread_cond_broadcast(&loader->ready);
    }
    return 1;
}

/* The next sample that nobody has taken; NULL if all slots are full. Lock held. */
static step_slot *take_sample(sm_loader *loader, int *i)
{
    do {
        step_slot *slot = &loader->slots[(loader->opened + loader->slot_count - 1) % loader->slot_count];
        if (loader->opened > 0 && slot->taken < slot->plan.count_local) {
            *i = slot->taken++;
            return slot;
        }
    } while (open_step(loader));
    return NULL;
}

static void *work(void *argument)
{
    loader_worker *worker = argument;
    sm_loader *loader = worker->loader;
    pthread_mutex_lock(&loader->lock);
    while (!loader->stop) {
        int i;
        step_slot *slot = take_sample(loader, &i);
        if (!slot) {
            pthread_cond_wait(&loader->work, &loader->lock);
            continue;
        }
        pthread_mutex_unlock(&loader->lock);
        sm_status status = fill_sample(worker, slot, i);
        pthread_mutex_lock(&loader->lock);
        if (status != SM_OK && (slot->status == SM_OK || i < slot->failed)) {
            slot->status = status;
            slot->failed = i;
            sm_free(slot->message);
            slot->message = sm_strdup(sm_error_message());
        }
        if (++slot->finished == slot->plan.count_local) {
            pthread_cond_broadcast(&loader->ready);
        }
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* ---- making and freeing ------------------------------------------------------------------------------------------- */

static void make_slot(const sm_loader *loader, step_slot *slot)
{
    const sm_loader_options *options = &loader->options;
    size_t capacity = (size_t)loader->capacity, tasks = (size_t)options->task_count;
    size_t elements = sm_input_elements(&options->input);
    slot->input = sm_alloc(capacity * elements * sizeof *slot->input);
    slot->pixels = options->keep_pixels ? sm_alloc(capacity * elements) : NULL;
    slot->target = sm_alloc(tasks * sizeof *slot->target);
    for (size_t k = 0; k < tasks; k++) {
        slot->target[k] = sm_alloc(capacity * target_bytes(options, &loader->builders[k]));
    }
    slot->valid = sm_alloc_zeroed(tasks * capacity * sizeof *slot->valid);
    slot->sample_index = sm_alloc_zeroed(capacity * sizeof *slot->sample_index);
    slot->metres_pixels = sm_alloc_zeroed(capacity * sizeof *slot->metres_pixels);
}

static void free_slot(step_slot *slot, int task_count)
{
    sm_free(slot->input);
    sm_free(slot->pixels);
    for (int k = 0; k < task_count; k++) {
        sm_free(slot->target[k]);
    }
    sm_free(slot->target);
    sm_free(slot->valid);
    sm_free(slot->sample_index);
    sm_free(slot->metres_pixels);
    sm_free(slot->message);
}

/* What the builders look at, as sm_sample_storage_new_of() wants it. */
static uint32_t wanted_targets(const sm_loader_options *options)
{
    int count;
    const sm_target *const *targets = sm_dataset_targets(options->dataset, &count);
    uint32_t wanted = 0;
    for (int t = 0; t < count; t++) {
        for (int k = 0; k < options->task_count; k++) {
            const sm_target_builder *builder = &options->builders[k];
            int reads = !builder->reads || builder->reads(builder->user, targets[t]->name);
            wanted |= (uint32_t)reads << t;
        }
    }
    return wanted;
}

static size_t workspace_floats(const sm_loader_options *options)
{
    const sm_augmentation *augmentation = options->augmentation;
    const sm_input *stored = sm_dataset_input(options->dataset), *input = &options->input;
    double scale_y = (double)(augmentation ? augmentation->height : input->height) / stored->height;
    double scale_x = (double)(augmentation ? augmentation->width : input->width) / stored->width;
    double scale_min = fmin(scale_x, scale_y) * (augmentation ? augmentation->scale_min : 1);
    return input->kind->workspace_floats(stored->height, stored->width, input->height, input->width, scale_min);
}

size_t sm_loader_bytes(const sm_loader_options *options)
{
    size_t sample = sm_input_elements(&options->input) * (sizeof(float) + (options->keep_pixels ? 1 : 0));
    for (int k = 0; k < options->task_count; k++) {
        sample += target_bytes(options, &options->builders[k]);
    }
    size_t slot = (size_t)share_of_batch(options) * sample;
    size_t worker =
        sm_sample_storage_bytes(options->dataset, wanted_targets(options)) + workspace_floats(options) * sizeof(float);
    return (size_t)slot_count(options) * slot + (size_t)worker_count(options) * worker;
}

static sm_status start_workers(sm_loader *loader, int count)
{
    sm_status status = SM_OK;
    for (int w = 0; w < count; w++) {
        loader_worker *worker = &loader->workers[w];
        worker->loader = loader;
        worker->storage = sm_sample_storage_new_of(loader->options.dataset, wanted_targets(&loader->options));
        worker->workspace = sm_alloc(workspace_floats(&loader->options) * sizeof *worker->workspace);
        loader->worker_count = w + 1;
        int error = sm_thread_start(&worker->thread, work, worker);
        if (error != 0) {
            sm_sample_storage_free(worker->storage);
            sm_free(worker->workspace);
            loader->worker_count = w;
            status = sm_fail(SM_ERR_IO, "cannot start loader thread %d of %d: %s", w + 1, count, strerror(error));
            break;
        }
    }
    return status;
}

sm_status sm_loader_new(const sm_loader_options *options, sm_loader **out)
{
    assert(options->batch >= 1 && options->size >= 1 && options->rank >= 0 && options->rank < options->size);
    assert(options->input.height >= 1 && options->input.width >= 1 && options->start_position >= 0);
    assert(options->order != SM_LOADER_BLOCKS || options->start_position == 0);
    assert(!options->augmentation || (options->augmentation->crop_height == options->input.height &&
                                      options->augmentation->crop_width == options->input.width));
    size_t tasks = (size_t)options->task_count;
    int workers = worker_count(options);
    sm_loader *loader = sm_alloc_zeroed(sizeof *loader);
    loader->options = *options;
    if (options->augmentation) {
        loader->augmentation = *options->augmentation;
        loader->options.augmentation = &loader->augmentation;
    }
    loader->builders = sm_alloc(tasks * sizeof *loader->builders);
    memcpy(loader->builders, options->builders, tasks * sizeof *loader->builders);
    loader->capacity = share_of_batch(options);
    loader->end_step = count_steps(options);
    loader->next_position = options->start_position;
    loader->slot_count = slot_count(options);
    loader->slots = sm_alloc_zeroed((size_t)loader->slot_count * sizeof *loader->slots);
    for (int s = 0; s < loader->slot_count; s++) {
        make_slot(loader, &loader->slots[s]);
    }
    loader->target = sm_alloc(tasks * sizeof *loader->target);
    loader->valid = sm_alloc_zeroed(tasks * sizeof *loader->valid);
    loader->valid_step = sm_alloc_zeroed(tasks * sizeof *loader->valid_step);
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->ready, NULL);
    loader->workers = sm_alloc_zeroed((size_t)workers * sizeof *loader->workers);
    sm_status status = start_workers(loader, workers);
    if (status != SM_OK) {
        sm_loader_free(loader);
        loader = NULL;
    }
    *out = loader;
    return status;
}

void sm_loader_free(sm_loader *loader)
{
    if (!loader) {
        return;
    }
    pthread_mutex_lock(&loader->lock);
    loader->stop = 1;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int w = 0; w < loader->worker_count; w++) {
        pthread_join(loader->workers[w].thread, NULL);
        sm_sample_storage_free(loader->workers[w].storage);
        sm_free(loader->workers[w].workspace);
    }
    pthread_mutex_destroy(&loader->lock);
    pthread_cond_destroy(&loader->work);
    pthread_cond_destroy(&loader->ready);
    for (int s = 0; s < loader->slot_count; s++) {
        free_slot(&loader->slots[s], loader->options.task_count);
    }
    sm_free(loader->slots);
    sm_free(loader->workers);
    sm_free(loader->builders);
    sm_free(loader->target);
    sm_free(loader->valid);
    sm_free(loader->valid_step);
    sm_free(loader);
}

/* ---- delivering --------------------------------------------------------------------------------------------------- */

/* Gives the step before `current` back and waits for `current`. Returns the seconds waited. */
static double await_step(sm_loader *loader)
{
    double begin = sm_seconds();
    step_slot *slot = &loader->slots[loader->current % loader->slot_count];
    pthread_mutex_lock(&loader->lock);
    if (loader->released < loader->current) {
        loader->released = loader->current;
        pthread_cond_broadcast(&loader->work);
    }
    while (loader->opened <= loader->current || slot->finished < slot->plan.count_local) {
        pthread_cond_wait(&loader->ready, &loader->lock);
    }
    pthread_mutex_unlock(&loader->lock);
    return sm_seconds() - begin;
}

static void fill_batch(sm_loader *loader, const step_slot *slot, double wait_seconds)
{
    const sm_loader_options *options = &loader->options;
    const step_plan *plan = &slot->plan;
    size_t elements = sm_input_elements(&options->input);
    int64_t first, share;
    sm_sampler_share(plan->count_local, loader->micro_batch, micro_batches(options), &first, &share);
    for (int k = 0; k < options->task_count; k++) {
        const int64_t *valid = slot->valid + (size_t)k * loader->capacity;
        loader->target[k] = slot->target[k] + (size_t)first * target_bytes(options, &loader->builders[k]);
        loader->valid[k] = loader->valid_step[k] = 0;
        for (int64_t i = 0; i < plan->count_local; i++) {
            loader->valid_step[k] += valid[i];
            loader->valid[k] += i >= first && i < first + share ? valid[i] : 0;
        }
    }
    loader->batch = (sm_batch){.count_local = (int)share,
                               .first_local = plan->first_local + first,
                               .count_global = plan->count_global,
                               .micro_batch = loader->micro_batch,
                               .micro_batches = micro_batches(options),
                               .position = plan->position,
                               .epoch = plan->epoch,
                               .height = options->input.height,
                               .width = options->input.width,
                               .input = slot->input + (size_t)first * elements,
                               .pixels = slot->pixels ? slot->pixels + (size_t)first * elements : NULL,
                               .target = loader->target,
                               .valid = loader->valid,
                               .valid_step = loader->valid_step,
                               .sample_index = slot->sample_index + first,
                               .metres_pixels = slot->metres_pixels + first,
                               .wait_seconds = wait_seconds};
}

sm_status sm_loader_next(sm_loader *loader, const sm_batch **batch)
{
    double wait_seconds = 0;
    *batch = NULL;
    if (loader->current >= loader->end_step) {
        return SM_OK;
    }
    const step_slot *slot = &loader->slots[loader->current % loader->slot_count];
    if (loader->micro_batch == 0) {
        wait_seconds = await_step(loader);
        if (slot->status != SM_OK) {
            return sm_fail(slot->status, "%s", slot->message);
        }
    }
    fill_batch(loader, slot, wait_seconds);
    *batch = &loader->batch;
    if (++loader->micro_batch == micro_batches(&loader->options)) {
        loader->micro_batch = 0;
        loader->current++;
    }
    return SM_OK;
}
