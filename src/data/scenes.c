/* Puts a scene together: world -> samples -> labels and colours -> what the sensor and the stereo matcher make of
 * them -> label noise. Colours come from the pixels' centres (half the weight) and corners (an eighth each), labels
 * from the centres only. */
#include <sigmatic/data/scenes.h>

#include "data/scenes_world.h"

#include <math.h>
#include <string.h>

#include <sigmatic/base/memory.h>

static const double BASELINE_METRES = 0.209313;
static const double FX_PIXELS_OF_2048 = 2262.52;

sm_scene_options sm_scene_options_default(void)
{
    return (sm_scene_options){.height = 128, .width = 256, .difficulty = 1};
}

static sm_status check_range(const char *name, double value, double low, double high)
{
    if (!(value >= low && value <= high)) {
        return sm_fail(SM_ERR_CONFIG, "scenes: %s is %g, expected a number from %g to %g", name, sm_shown(value), low,
                       high);
    }
    return SM_OK;
}

static sm_status check_options(const sm_scene_options *options)
{
    sm_status status = SM_OK;
    SM_TRY(check_range("height", options->height, SM_SCENE_MIN_SIDE, SM_SCENE_MAX_SIDE));
    SM_TRY(check_range("width", options->width, SM_SCENE_MIN_SIDE, SM_SCENE_MAX_SIDE));
    SM_TRY(check_range("difficulty", options->difficulty, 0, SM_SCENE_MAX_DIFFICULTY));
    SM_TRY(check_range("semantic_noise", options->semantic_noise, 0, 1));
    SM_TRY(check_range("disparity_noise", options->disparity_noise, 0, 1e6));
    SM_TRY(check_range("vector_noise", options->vector_noise, 0, 1e6));
done:
    return status;
}

/* ---- samples --------------------------------------------------------------------------------- */

static sm_scene_grid new_grid(int height, int width, float offset)
{
    size_t count = (size_t)height * (size_t)width;
    return (sm_scene_grid){.height = height,
                           .width = width,
                           .offset = offset,
                           .inverse_depth = sm_alloc(count * sizeof(float)),
                           .primitive = sm_alloc(count * sizeof(uint16_t)),
                           .shadow = sm_alloc(count)};
}

static void free_grid(sm_scene_grid *grid)
{
    sm_free(grid->inverse_depth);
    sm_free(grid->primitive);
    sm_free(grid->shadow);
}

/* ---- image ----------------------------------------------------------------------------------- */

/* How far the point reaches into the bonnet of the own car; the rim is an ellipse. */
static bool on_bonnet(const sm_scene_world *world, float x, float y)
{
    float across = x / (float)world->camera.width - world->bonnet_middle;
    return world->bonnet && y / (float)world->camera.height > world->bonnet_top + 0.12f * across * across;
}

/* A number around 0 with variance 1: the sum of four bytes, near enough to a normal one for a sensor. */
static float grain_of(uint32_t hash)
{
    uint32_t sum = (hash & 255) + (hash >> 8 & 255) + (hash >> 16 & 255) + (hash >> 24);
    return ((float)sum - 510) / 147.8f;
}

static void expose(const sm_scene_world *world, const float *centres, const float *corners, uint32_t seed,
                   uint8_t *image)
{
    int height = world->camera.height, width = world->camera.width;
    float noise = 1.0f + 4.0f * world->difficulty;
    float vignette = 0.1f + 0.15f * world->difficulty;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const float *centre = centres + 3 * ((size_t)y * (size_t)width + (size_t)x);
            const float *above = corners + 3 * ((size_t)y * (size_t)(width + 1) + (size_t)x);
            const float *below = above + 3 * (size_t)(width + 1);
            uint8_t *pixel = image + 3 * ((size_t)y * (size_t)width + (size_t)x);
            float u = 2 * ((float)x + 0.5f) / (float)width - 1, v = 2 * ((float)y + 0.5f) / (float)height - 1;
            float gain = world->light.exposure * (1 - 0.5f * vignette * (u * u + v * v));
            bool bonnet = on_bonnet(world, (float)x + 0.5f, (float)y + 0.5f);
            for (int k = 0; k < 3; k++) {
                float light = 0.5f * centre[k] + 0.125f * (above[k] + above[k + 3] + below[k] + below[k + 3]);
                light = bonnet ? 0.04f + 0.08f * (1 - v) + 0.1f * world->light.horizon[k] : light;
                light *= gain;
                float displayed = 255 * sqrtf(light > 0 ? light : 0);
                displayed = displayed > 190 ? 190 + (displayed - 190) * 0.6f : displayed;
                uint32_t hash = sm_scene_hash(3 * x + k, y, seed);
                displayed += noise * grain_of(hash) + 0.5f;
                pixel[k] = (uint8_t)(displayed < 0 ? 0 : displayed > 255 ? 255 : displayed);
            }
        }
    }
}

static void render_image(const sm_scene_world *world, const sm_scene_grid *centres, float *row, uint32_t seed,
                         uint8_t *image)
{
    sm_scene_grid corners = new_grid(centres->height + 1, centres->width + 1, 0);
    float *centre_colours = sm_alloc(3 * sizeof(float) * (size_t)centres->height * (size_t)centres->width);
    float *corner_colours = sm_alloc(3 * sizeof(float) * (size_t)corners.height * (size_t)corners.width);
    sm_scene_raster(world, &corners, row);
    sm_scene_shade(world, centres, centre_colours);
    sm_scene_shade(world, &corners, corner_colours);
    expose(world, centre_colours, corner_colours, seed, image);
    sm_free(centre_colours);
    sm_free(corner_colours);
    free_grid(&corners);
}

/* ---- exact labels ---------------------------------------------------------------------------- */

static int write_labels(const sm_scene_world *world, const sm_scene_grid *grid, uint8_t *semantic, uint16_t *instance)
{
    uint16_t *numbers = sm_alloc_zeroed(sizeof(uint16_t) * ((size_t)world->instance_count + 1));
    uint16_t visible = 0;
    for (int y = 0; y < grid->height; y++) {
        for (int x = 0; x < grid->width; x++) {
            size_t i = (size_t)y * (size_t)grid->width + (size_t)x;
            const sm_scene_object *object = &world->objects[world->primitives[grid->primitive[i]].object];
            bool bonnet = on_bonnet(world, (float)x + 0.5f, (float)y + 0.5f);
            semantic[i] = bonnet ? SM_SCENE_IGNORE : object->semantic;
            instance[i] = 0;
            if (object->instance && !bonnet) {
                if (!numbers[object->instance]) {
                    numbers[object->instance] = ++visible;
                }
                instance[i] = numbers[object->instance];
            }
        }
    }
    sm_free(numbers);
    return visible;
}

/* Disparity as a stereo matcher with the second camera to the right would have it: nothing where that camera does
 * not see the point, nothing on the own car, holes on shiny things. A point is hidden if another one further right
 * in the left image lands to the left of it in the right one. */
static void write_disparity(const sm_scene_world *world, const sm_scene_grid *grid, float baseline_fx, uint32_t seed,
                            float *disparity)
{
    for (int y = 0; y < grid->height; y++) {
        size_t line = (size_t)y * (size_t)grid->width;
        float leftmost = INFINITY; /* in the right image, of all points further right in the left one */
        for (int x = grid->width - 1; x >= 0; x--) {
            size_t i = line + (size_t)x;
            float exact = baseline_fx * grid->inverse_depth[i];
            float matched = (float)x - exact;
            bool hidden = matched > leftmost + 0.5f;
            leftmost = matched < leftmost ? matched : leftmost;
            bool sky = grid->inverse_depth[i] <= 0;
            bool lost = matched < -0.5f || hidden || on_bonnet(world, (float)x + 0.5f, (float)y + 0.5f);
            int semantic = world->objects[world->primitives[grid->primitive[i]].object].semantic;
            float shine = semantic >= SM_CAR && semantic <= SM_TRAIN ? 0.24f : 0.12f;
            float scale = 40.0f / (float)grid->width;
            float match = sm_scene_noise2(scale * (float)x, scale * (float)y, seed);
            lost = lost || match < shine;
            disparity[i] = sky ? 0 : lost ? NAN : exact;
        }
    }
}

/* ---- label noise ----------------------------------------------------------------------------- */

static void disturb_semantic(const sm_scene_options *options, uint64_t index, size_t count, uint8_t *semantic)
{
    if (options->semantic_noise <= 0) {
        return;
    }
    sm_random random = sm_random_new(options->seed, index, SM_DRAWS_SEMANTIC);
    for (size_t i = 0; i < count; i++) {
        bool wrong = sm_random_uniform(&random) < (float)options->semantic_noise;
        uint32_t other = sm_random_below(&random, SM_SCENE_CLASSES - 1);
        if (wrong && semantic[i] != SM_SCENE_IGNORE) {
            semantic[i] = (uint8_t)(other + (other >= semantic[i]));
        }
    }
}

static void disturb_disparity(const sm_scene_options *options, uint64_t index, const sm_scene_grid *grid,
                              float *disparity)
{
    if (options->disparity_noise <= 0) {
        return;
    }
    sm_random random = sm_random_new(options->seed, index, SM_DRAWS_DISPARITY);
    for (size_t i = 0; i < (size_t)grid->height * (size_t)grid->width; i++) {
        float noise = (float)options->disparity_noise * sm_random_normal(&random);
        disparity[i] += grid->inverse_depth[i] > 0 ? noise : 0;
    }
}

static void write_vector_noise(const sm_scene_options *options, uint64_t index, size_t count, float *map)
{
    memset(map, 0, count * sizeof *map);
    if (options->vector_noise <= 0) {
        return;
    }
    sm_random random = sm_random_new(options->seed, index, SM_DRAWS_VECTOR);
    for (size_t i = 0; i < count; i++) {
        map[i] = (float)options->vector_noise * sm_random_normal(&random);
    }
}

sm_status sm_scene_generate(const sm_scene_options *options, uint64_t index, sm_scene *scene)
{
    sm_status status = SM_OK;
    SM_TRY(check_options(options));

    size_t count = (size_t)options->height * (size_t)options->width;
    scene->baseline_metres = BASELINE_METRES;
    scene->fx_pixels = FX_PIXELS_OF_2048 * options->width / 2048;

    sm_scene_world world;
    sm_scene_world_build(&world, options, index);
    sm_scene_grid grid = new_grid(options->height, options->width, 0.5f);
    float *row = sm_alloc(3 * sizeof(float) * ((size_t)options->width + 1));
    sm_random stereo = sm_random_new(options->seed, index, SM_DRAWS_STEREO);
    uint32_t sensor_seed = sm_random_u32(&stereo), matcher_seed = sm_random_u32(&stereo);

    sm_scene_raster(&world, &grid, row);
    render_image(&world, &grid, row, sensor_seed, scene->image);
    scene->instance_count = write_labels(&world, &grid, scene->semantic, scene->instance);
    write_disparity(&world, &grid, (float)(BASELINE_METRES * scene->fx_pixels), matcher_seed, scene->disparity);
    disturb_semantic(options, index, count, scene->semantic);
    disturb_disparity(options, index, &grid, scene->disparity);
    if (scene->vector_noise_map) {
        write_vector_noise(options, index, 2 * count, scene->vector_noise_map);
    }
    scene->camera_height_metres = (double)world.camera.position[1];
    scene->camera_pitch_radians = (double)world.camera_pitch;

    sm_free(row);
    free_grid(&grid);
    sm_scene_world_free(&world);
done:
    return status;
}
