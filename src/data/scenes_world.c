#include "data/scenes_world.h"

#include <sigmatic/data/cityscapes.h>

#include <assert.h>
#include <math.h>

#include <sigmatic/base/memory.h>

static const float NEAR_METRES = 0.3f;
static const float LAST_SHADOW_METRES = 55; /* further away shadows are not worth their time */

void sm_scene_world_free(sm_scene_world *world)
{
    sm_free(world->objects);
    sm_free(world->materials);
    sm_free(world->primitives);
    sm_free(world->footprints);
}

static void *grown(void *items, int count, int *capacity, size_t item_bytes)
{
    if (count < *capacity) {
        return items;
    }
    *capacity = *capacity ? 2 * *capacity : 128;
    return sm_realloc(items, (size_t)*capacity * item_bytes);
}

int sm_scene_add_object(sm_scene_world *world, int semantic)
{
    world->objects = grown(world->objects, world->object_count, &world->object_capacity, sizeof *world->objects);
    bool is_thing = sm_cityscapes_classes.thing[semantic == SM_SCENE_IGNORE ? SM_ROAD : semantic];
    world->objects[world->object_count] =
        (sm_scene_object){.semantic = (uint8_t)semantic, .instance = is_thing ? (uint16_t)++world->instance_count : 0};
    return world->object_count++;
}

int sm_scene_add_material(sm_scene_world *world, const sm_scene_material *material)
{
    world->materials =
        grown(world->materials, world->material_count, &world->material_capacity, sizeof *world->materials);
    world->materials[world->material_count] = *material;
    return world->material_count++;
}

/* ---- places ---------------------------------------------------------------------------------- */

sm_scene_frame sm_scene_street_frame(const sm_scene_world *world, float lateral, float ahead, float height,
                                     float heading)
{
    float slope = world->street.curvature * ahead;
    double angle = atan((double)slope) + heading;
    return (sm_scene_frame){.origin = {lateral + 0.5f * slope * ahead, height, ahead},
                            .cosine = (float)cos(angle),
                            .sine = (float)sin(angle)};
}

static void to_world(const sm_scene_frame *frame, float x, float y, float z, float point[3])
{
    point[0] = frame->origin[0] + frame->cosine * x + frame->sine * z;
    point[1] = frame->origin[1] + y;
    point[2] = frame->origin[2] - frame->sine * x + frame->cosine * z;
}

sm_scene_frame sm_scene_frame_moved(const sm_scene_frame *frame, float x, float y, float z)
{
    sm_scene_frame moved = *frame;
    to_world(frame, x, y, z, moved.origin);
    return moved;
}

bool sm_scene_claim(sm_scene_world *world, float lateral, float ahead, float half_width, float half_length)
{
    for (int i = 0; i < world->footprint_count; i++) {
        const sm_scene_footprint *other = &world->footprints[i];
        if (fabsf(other->lateral - lateral) < other->half_width + half_width &&
            fabsf(other->ahead - ahead) < other->half_length + half_length) {
            return false;
        }
    }
    world->footprints =
        grown(world->footprints, world->footprint_count, &world->footprint_capacity, sizeof *world->footprints);
    world->footprints[world->footprint_count++] = (sm_scene_footprint){lateral, ahead, half_width, half_length};
    return true;
}

/* ---- primitives ------------------------------------------------------------------------------ */

sm_scene_box sm_scene_project_bounds(const sm_scene_camera *camera, const float (*points)[3], int count)
{
    sm_scene_box whole = {0, (float)camera->width, 0, (float)camera->height};
    sm_scene_box bounds = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int i = 0; i < count; i++) {
        float offset[3];
        for (int k = 0; k < 3; k++) {
            offset[k] = points[i][k] - camera->position[k];
        }
        float depth = sm_dot3(offset, camera->forward);
        if (depth < NEAR_METRES) {
            return whole;
        }
        float x = camera->centre_x + camera->focal * sm_dot3(offset, camera->right) / depth;
        float y = camera->centre_y + camera->focal * sm_dot3(offset, camera->down) / depth;
        bounds.x0 = fminf(bounds.x0, x);
        bounds.x1 = fmaxf(bounds.x1, x);
        bounds.y0 = fminf(bounds.y0, y);
        bounds.y1 = fmaxf(bounds.y1, y);
    }
    return bounds;
}

static bool in_image(const sm_scene_camera *camera, const sm_scene_box *bounds)
{
    return bounds->x1 >= 0 && bounds->y1 >= 0 && bounds->x0 <= (float)camera->width &&
           bounds->y0 <= (float)camera->height;
}

static bool behind_camera(const sm_scene_camera *camera, const float (*points)[3], int count)
{
    for (int i = 0; i < count; i++) {
        float offset[3] = {points[i][0] - camera->position[0], points[i][1] - camera->position[1],
                           points[i][2] - camera->position[2]};
        if (sm_dot3(offset, camera->forward) > NEAR_METRES) {
            return false;
        }
    }
    return true;
}

void sm_scene_append_primitive(sm_scene_world *world, const sm_scene_primitive *primitive)
{
    world->primitives =
        grown(world->primitives, world->primitive_count, &world->primitive_capacity, sizeof *world->primitives);
    assert(world->primitive_count < UINT16_MAX);
    world->primitives[world->primitive_count++] = *primitive;
}

/* Appends the primitive if its shape or its shadow reaches the image. */
static void keep_if_seen(sm_scene_world *world, sm_scene_primitive *primitive)
{
    const sm_scene_camera *camera = &world->camera;
    const float *sun = world->light.sun_direction;
    float points[16][3];
    for (int i = 0; i < 8; i++) {
        float to_ground = fmaxf(primitive->corners[i][1], 0.0f) / sun[1];
        for (int k = 0; k < 3; k++) {
            points[i][k] = primitive->corners[i][k];
            points[i + 8][k] = primitive->corners[i][k] - to_ground * sun[k];
        }
    }
    bool shape_seen = !behind_camera(camera, points, 8);
    primitive->bounds = sm_scene_project_bounds(camera, points, 8);
    shape_seen = shape_seen && in_image(camera, &primitive->bounds);
    if (!shape_seen) {
        primitive->bounds = (sm_scene_box){1, 0, 1, 0};
    }
    if (world->light.sun[0] <= 0 || primitive->corners[0][2] > LAST_SHADOW_METRES) {
        primitive->shadows &= ~SM_SHADOW_SUN;
    }
    if (primitive->shadows & SM_SHADOW_SUN) {
        primitive->shadow_bounds = sm_scene_project_bounds(camera, points, 16);
        if (behind_camera(camera, points, 16) || !in_image(camera, &primitive->shadow_bounds)) {
            primitive->shadows &= ~SM_SHADOW_SUN;
        }
    }
    if (shape_seen || primitive->shadows) {
        sm_scene_append_primitive(world, primitive);
    }
}

static void set_frame_axes(sm_scene_primitive *primitive, const sm_scene_frame *frame)
{
    const float axes[3][3] = {{frame->cosine, 0, -frame->sine}, {0, 1, 0}, {frame->sine, 0, frame->cosine}};
    for (int i = 0; i < 3; i++) {
        primitive->origin[i] = frame->origin[i];
        for (int k = 0; k < 3; k++) {
            primitive->axes[i][k] = axes[i][k];
        }
    }
}

/* The plane through three corners, its normal pointing away from `inside`. */
static void set_plane(float plane[4], const float a[3], const float b[3], const float c[3], const float inside[3])
{
    float u[3], v[3];
    for (int k = 0; k < 3; k++) {
        u[k] = b[k] - a[k];
        v[k] = c[k] - a[k];
    }
    float normal[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
    float length = sqrtf(sm_dot3(normal, normal));
    assert(length > 0);
    float sign = sm_dot3(normal, inside) > sm_dot3(normal, a) ? -1.0f : 1.0f;
    for (int k = 0; k < 3; k++) {
        plane[k] = sign * normal[k] / length;
    }
    plane[3] = sm_dot3(plane, a);
}

void sm_scene_add_block(sm_scene_world *world, int object, int material, const sm_scene_frame *frame,
                        const sm_scene_block *block, int shadows)
{
    /* Three corners that span each face even if the top is a ridge or a point: two of the bottom, one of the top. */
    static const int faces[6][3] = {{0, 2, 4}, {1, 3, 5}, {0, 1, 2}, {4, 5, 6}, {0, 1, 4}, {2, 3, 6}};
    sm_scene_primitive primitive = {
        .shape = SM_SHAPE_HEXAHEDRON, .object = object, .material = material, .shadows = shadows};
    float top = fmaxf(block->half_width_top, 0.01f);
    float top_front = fmaxf(block->top_front, block->top_back + 0.01f);
    float inside[3] = {0};

    set_frame_axes(&primitive, frame);
    for (int i = 0; i < 8; i++) {
        float side = i & 1 ? 1.0f : -1.0f;
        bool front = i & 2, above = i & 4;
        float x = block->x + side * (above ? top : block->half_width_bottom);
        float y = above ? block->top : block->bottom;
        float back_z = above ? block->top_back : block->bottom_back;
        float front_z = above ? top_front : block->bottom_front;
        to_world(frame, x, y, front ? front_z : back_z, primitive.corners[i]);
        for (int k = 0; k < 3; k++) {
            inside[k] += 0.125f * primitive.corners[i][k];
        }
    }
    for (int i = 0; i < 6; i++) {
        set_plane(primitive.planes[i], primitive.corners[faces[i][0]], primitive.corners[faces[i][1]],
                  primitive.corners[faces[i][2]], inside);
    }
    keep_if_seen(world, &primitive);
}

void sm_scene_add_box(sm_scene_world *world, int object, int material, const sm_scene_frame *frame,
                      const float centre[3], const float half[3], int shadows)
{
    sm_scene_block block = {.x = centre[0],
                            .half_width_bottom = half[0],
                            .half_width_top = half[0],
                            .bottom = centre[1] - half[1],
                            .top = centre[1] + half[1],
                            .bottom_back = centre[2] - half[2],
                            .bottom_front = centre[2] + half[2],
                            .top_back = centre[2] - half[2],
                            .top_front = centre[2] + half[2]};
    sm_scene_add_block(world, object, material, frame, &block, shadows);
}

/* Completes a unit shape whose half axes in the world are the rows of `half_axes` (orthogonal). */
static void add_unit_shape(sm_scene_world *world, sm_scene_primitive *primitive, const float half_axes[3][3])
{
    for (int i = 0; i < 3; i++) {
        float squared = sm_dot3(half_axes[i], half_axes[i]);
        for (int k = 0; k < 3; k++) {
            primitive->axes[i][k] = half_axes[i][k] / squared;
        }
    }
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 3; k++) {
            primitive->corners[i][k] = primitive->origin[k] + (i & 1 ? half_axes[0][k] : -half_axes[0][k]) +
                                       (i & 2 ? half_axes[1][k] : -half_axes[1][k]) +
                                       (i & 4 ? half_axes[2][k] : -half_axes[2][k]);
        }
    }
    keep_if_seen(world, primitive);
}

void sm_scene_add_ellipsoid(sm_scene_world *world, int object, int material, const sm_scene_frame *frame,
                            const float centre[3], const float half[3], sm_scene_mask mask, int shadows)
{
    sm_scene_primitive primitive = {
        .shape = SM_SHAPE_ELLIPSOID, .mask = mask, .object = object, .material = material, .shadows = shadows};
    const float half_axes[3][3] = {{half[0] * frame->cosine, 0, -half[0] * frame->sine},
                                   {0, half[1], 0},
                                   {half[2] * frame->sine, 0, half[2] * frame->cosine}};
    to_world(frame, centre[0], centre[1], centre[2], primitive.origin);
    add_unit_shape(world, &primitive, half_axes);
}

void sm_scene_add_limb(sm_scene_world *world, int object, int material, const sm_scene_frame *frame,
                       sm_scene_shape shape, const float from[3], const float to[3], float radius, sm_scene_mask mask,
                       int shadows)
{
    sm_scene_primitive primitive = {
        .shape = shape, .mask = mask, .object = object, .material = material, .shadows = shadows};
    float a[3], b[3], half_axes[3][3];
    to_world(frame, from[0], from[1], from[2], a);
    to_world(frame, to[0], to[1], to[2], b);
    for (int k = 0; k < 3; k++) {
        primitive.origin[k] = 0.5f * (a[k] + b[k]);
        half_axes[1][k] = 0.5f * (b[k] - a[k]);
    }
    const float *along = half_axes[1];
    float length = sqrtf(sm_dot3(along, along));
    /* Any direction across it will do: the cross-section is round. */
    float across[3] = {0, -along[2], along[1]};
    if (fabsf(along[0]) > 0.7f * length) {
        across[0] = along[2];
        across[1] = 0;
        across[2] = -along[0];
    }
    float across_length = sqrtf(sm_dot3(across, across));
    const float third[3] = {along[1] * across[2] - along[2] * across[1], along[2] * across[0] - along[0] * across[2],
                            along[0] * across[1] - along[1] * across[0]};
    for (int k = 0; k < 3; k++) {
        half_axes[0][k] = radius * across[k] / across_length;
        half_axes[2][k] = radius * third[k] / (across_length * length);
    }
    add_unit_shape(world, &primitive, half_axes);
}

/* ---- random choices -------------------------------------------------------------------------- */

float sm_scene_range(sm_scene_world *world, float low, float high)
{
    return sm_random_range(&world->random, low, high);
}

bool sm_scene_chance(sm_scene_world *world, float probability)
{
    return sm_random_uniform(&world->random) < probability;
}

int sm_scene_below(sm_scene_world *world, int bound)
{
    return (int)sm_random_below(&world->random, (uint32_t)bound);
}

int sm_scene_count(sm_scene_world *world, float low, float high)
{
    return (int)(sm_scene_range(world, low, high + 1) * (0.7f + 0.3f * world->difficulty));
}

void sm_scene_pick_colour(sm_scene_world *world, const float (*palette)[3], int count, float colour[3])
{
    const float *base = palette[sm_scene_below(world, count)];
    float spread = 0.06f + 0.14f * world->difficulty;
    float brightness = 1 + sm_scene_range(world, -spread, spread);
    float foreign = 0.3f * world->difficulty * sm_scene_range(world, 0, 1);
    float grey = sm_scene_range(world, 0.2f, 0.7f);
    for (int k = 0; k < 3; k++) {
        float value = brightness * sm_mix(base[k], grey, foreign) + 0.12f * spread * sm_scene_range(world, -1, 1);
        value = sm_clamp01(value);
        colour[k] = value * value;
    }
}

sm_scene_material sm_scene_new_material(sm_scene_world *world, sm_scene_texture texture, const float (*palette)[3],
                                        int count)
{
    sm_scene_material material = {.texture = texture, .contrast = 1};
    for (int i = 0; i < 3; i++) {
        sm_scene_pick_colour(world, palette, count, material.colours[i]);
    }
    material.seed = sm_random_u32(&world->random);
    return material;
}
