/* A z-buffer over inverse depth w = 1 / t. Along the ray C + t d a half-space n . P <= e reads t (n . d) <= e - n .
 * C, or w >= (n . d) / (e - n . C) if the camera is inside it and w <= that if it is outside. The bound is linear in
 * the image, so a convex body is hit at the smallest upper bound, if no lower bound is above it: no division in the
 * loop, and the disparity of a plane is linear to the last bit but rounding. Quadrics are solved for w likewise. */
#include "data/scenes_world.h"

#include <math.h>

/* value(x, y) = n . d(x, y) as constant, slope in x, slope in y */
static void linear_form(const sm_scene_camera *camera, const float normal[3], float scale, float form[3])
{
    float along = sm_dot3(normal, camera->forward);
    float across = sm_dot3(normal, camera->right) / camera->focal;
    float downwards = sm_dot3(normal, camera->down) / camera->focal;
    form[0] = scale * (along - across * camera->centre_x - downwards * camera->centre_y);
    form[1] = scale * across;
    form[2] = scale * downwards;
}

/* ---- ground ---------------------------------------------------------------------------------- */

static int ground_kind_on_ray(const sm_scene_world *world, const float direction[3], float t)
{
    const float *position = world->camera.position;
    return sm_scene_ground_kind(&world->street, position[0] + t * direction[0], position[2] + t * direction[2]);
}

/* The ray meets the pavement's level at `t_raised` over the road and the road's level at `t_road` under the
 * pavement, so it went through the kerb's face in between. */
static float kerb_depth(const sm_scene_world *world, const float direction[3], float t_raised, float t_road)
{
    for (int step = 0; step < 12; step++) {
        float middle = 0.5f * (t_raised + t_road);
        if (ground_kind_on_ray(world, direction, middle) == SM_GROUND_ROAD) {
            t_raised = middle;
        } else {
            t_road = middle;
        }
    }
    return 0.5f * (t_raised + t_road);
}

static void raster_ground(const sm_scene_world *world, sm_scene_grid *grid)
{
    const sm_scene_camera *camera = &world->camera;
    float height = camera->position[1];
    for (int y = 0; y < grid->height; y++) {
        float *inverse_depth = grid->inverse_depth + (size_t)y * (size_t)grid->width;
        uint16_t *primitive = grid->primitive + (size_t)y * (size_t)grid->width;
        float line = (float)y + grid->offset;
        float fall = -(camera->forward[1] + (line - camera->centre_y) / camera->focal * camera->down[1]);
        for (int x = 0; x < grid->width; x++) {
            inverse_depth[x] = 0;
            primitive[x] = SM_GROUND_SKY;
            if (fall <= height * 0.0005f) {
                continue;
            }
            float direction[3];
            sm_scene_ray(camera, (float)x + grid->offset, line, direction);
            float w_raised = fall / (height - world->street.kerb_height);
            float w_road = fall / height;
            int kind = ground_kind_on_ray(world, direction, 1 / w_raised);
            inverse_depth[x] = w_raised;
            if (kind == SM_GROUND_ROAD) {
                inverse_depth[x] = w_road;
                if (ground_kind_on_ray(world, direction, 1 / w_road) != SM_GROUND_ROAD) {
                    kind = SM_GROUND_KERB;
                    inverse_depth[x] = 1 / kerb_depth(world, direction, 1 / w_raised, 1 / w_road);
                }
            }
            primitive[x] = (uint16_t)kind;
        }
    }
}

/* ---- shapes: w of a row of samples, or 0 ----------------------------------------------------- */

typedef struct sm_scene_span {
    int first, count;
    float x, y; /* image point of the first sample */
} sm_scene_span;

static void hit_hexahedron(const sm_scene_world *world, const sm_scene_primitive *primitive, sm_scene_span span,
                           float *w, float *lower)
{
    const sm_scene_camera *camera = &world->camera;
    for (int i = 0; i < span.count; i++) {
        w[i] = INFINITY;
        lower[i] = 0;
    }
    for (int face = 0; face < 6; face++) {
        const float *plane = primitive->planes[face];
        float inside = plane[3] - sm_dot3(plane, camera->position);
        float form[3];
        linear_form(camera, plane, 1 / inside, form);
        float start = form[0] + form[1] * span.x + form[2] * span.y;
        float slope = form[1];
        if (inside < 0) {
            for (int i = 0; i < span.count; i++) {
                float bound = start + slope * (float)i;
                w[i] = bound < w[i] ? bound : w[i];
            }
        } else {
            for (int i = 0; i < span.count; i++) {
                float bound = start + slope * (float)i;
                lower[i] = bound > lower[i] ? bound : lower[i];
            }
        }
    }
    for (int i = 0; i < span.count; i++) {
        w[i] = w[i] > lower[i] && w[i] < INFINITY ? w[i] : 0;
    }
}

typedef struct sm_scene_quadric {
    float origin[3];          /* of the rays, in the unit shape's space */
    float start[3], slope[3]; /* direction at the span's first sample, and its change per column */
} sm_scene_quadric;

static sm_scene_quadric to_unit_space(const sm_scene_camera *camera, const sm_scene_primitive *primitive,
                                      sm_scene_span span)
{
    sm_scene_quadric quadric;
    float offset[3];
    for (int k = 0; k < 3; k++) {
        offset[k] = camera->position[k] - primitive->origin[k];
    }
    for (int k = 0; k < 3; k++) {
        float form[3];
        linear_form(camera, primitive->axes[k], 1, form);
        quadric.origin[k] = sm_dot3(primitive->axes[k], offset);
        quadric.start[k] = form[0] + form[1] * span.x + form[2] * span.y;
        quadric.slope[k] = form[1];
    }
    return quadric;
}

/* |o w + d|^2 = w^2, the larger root. `rim` gets 1 - (distance of the ray from the centre)^2. */
static void hit_ellipsoid(const sm_scene_world *world, const sm_scene_primitive *primitive, sm_scene_span span,
                          float *w, float *rim)
{
    sm_scene_quadric q = to_unit_space(&world->camera, primitive, span);
    float c = sm_dot3(q.origin, q.origin) - 1;
    if (c <= 0) {
        c = 1e-6f; /* the camera is inside: nothing is drawn */
    }
    for (int i = 0; i < span.count; i++) {
        float dx = q.start[0] + q.slope[0] * (float)i;
        float dy = q.start[1] + q.slope[1] * (float)i;
        float dz = q.start[2] + q.slope[2] * (float)i;
        float a = dx * dx + dy * dy + dz * dz;
        float b = q.origin[0] * dx + q.origin[1] * dy + q.origin[2] * dz;
        float discriminant = b * b - a * c;
        float root = sqrtf(discriminant > 0 ? discriminant : 0);
        w[i] = discriminant > 0 && b < 0 ? (root - b) / c : 0;
        rim[i] = discriminant / a;
    }
}

static void hit_cylinder(const sm_scene_world *world, const sm_scene_primitive *primitive, sm_scene_span span, float *w)
{
    sm_scene_quadric q = to_unit_space(&world->camera, primitive, span);
    float c = q.origin[0] * q.origin[0] + q.origin[2] * q.origin[2] - 1;
    float cap = q.origin[1] > 0 ? 1.0f : -1.0f;
    float to_cap = cap - q.origin[1]; /* seen from outside if it points to the centre */
    for (int i = 0; i < span.count; i++) {
        float dx = q.start[0] + q.slope[0] * (float)i;
        float dy = q.start[1] + q.slope[1] * (float)i;
        float dz = q.start[2] + q.slope[2] * (float)i;
        float found = 0;
        if (to_cap * cap < 0) {
            float at_cap = dy / to_cap;
            float x = q.origin[0] * at_cap + dx, z = q.origin[2] * at_cap + dz;
            found = at_cap > 0 && x * x + z * z <= at_cap * at_cap ? at_cap : 0;
        }
        float a = dx * dx + dz * dz;
        float b = q.origin[0] * dx + q.origin[2] * dz;
        float discriminant = b * b - a * c;
        if (found <= 0 && c > 0 && b < 0 && discriminant > 0) {
            float side = (sqrtf(discriminant) - b) / c;
            found = fabsf(q.origin[1] * side + dy) <= side ? side : 0;
        }
        w[i] = found;
    }
}

/* ---- masks: which hits are holes ------------------------------------------------------------- */

static void local_hit(const sm_scene_world *world, const sm_scene_primitive *primitive, float x, float y, float w,
                      float local[3])
{
    float direction[3], offset[3];
    sm_scene_ray(&world->camera, x, y, direction);
    for (int k = 0; k < 3; k++) {
        offset[k] = world->camera.position[k] + direction[k] / w - primitive->origin[k];
    }
    for (int k = 0; k < 3; k++) {
        local[k] = sm_dot3(primitive->axes[k], offset);
    }
}

/* Crowns are ragged at the rim and let some light through. */
static bool leaves_cover(const float local[3], float rim, uint32_t seed)
{
    float coarse = sm_scene_noise3(2.6f * local[0], 2.6f * local[1], 2.6f * local[2], seed);
    float fine = sm_scene_noise3(7.0f * local[0], 7.0f * local[1], 7.0f * local[2], seed + 1);
    return rim > 0.9f * coarse * coarse && 0.6f * coarse + 0.4f * fine < 0.75f;
}

/* A wheel of a bicycle: tyre, hub and spokes; the axis is y. */
static bool spokes_cover(const float local[3])
{
    float radius = local[0] * local[0] + local[2] * local[2];
    if (radius > 0.55f || radius < 0.05f) {
        return true;
    }
    float product = local[0] * local[2] / radius;
    float difference = (local[0] * local[0] - local[2] * local[2]) / radius;
    return fabsf(product) < 0.07f || fabsf(difference) < 0.14f;
}

static bool covers(const sm_scene_world *world, const sm_scene_primitive *primitive, float x, float y, float w,
                   float rim)
{
    float local[3];
    local_hit(world, primitive, x, y, w, local);
    return primitive->mask == SM_MASK_SPOKES
               ? spokes_cover(local)
               : leaves_cover(local, rim, world->materials[primitive->material].seed ^ (uint32_t)primitive->object);
}

/* ---- the z-buffer ---------------------------------------------------------------------------- */

static int clamped(float value, int bound)
{
    return value <= 0 ? 0 : value >= (float)bound ? bound : (int)value;
}

static void raster_primitive(const sm_scene_world *world, int number, sm_scene_grid *grid, float *row)
{
    const sm_scene_primitive *primitive = &world->primitives[number];
    float *w = row, *second = row + grid->width;
    int x0 = clamped(primitive->bounds.x0 - grid->offset, grid->width);
    int x1 = clamped(primitive->bounds.x1 - grid->offset + 1, grid->width);
    int y0 = clamped(primitive->bounds.y0 - grid->offset, grid->height);
    int y1 = clamped(primitive->bounds.y1 - grid->offset + 1, grid->height);
    for (int y = y0; y < y1 && x0 < x1; y++) {
        float *inverse_depth = grid->inverse_depth + (size_t)y * (size_t)grid->width;
        uint16_t *owner = grid->primitive + (size_t)y * (size_t)grid->width;
        sm_scene_span span = {x0, x1 - x0, (float)x0 + grid->offset, (float)y + grid->offset};
        if (primitive->shape == SM_SHAPE_HEXAHEDRON) {
            hit_hexahedron(world, primitive, span, w, second);
        } else if (primitive->shape == SM_SHAPE_ELLIPSOID) {
            hit_ellipsoid(world, primitive, span, w, second);
        } else {
            hit_cylinder(world, primitive, span, w);
        }
        for (int i = 0; i < span.count; i++) {
            int x = span.first + i;
            if (w[i] > inverse_depth[x] && (primitive->mask == SM_MASK_NONE ||
                                            covers(world, primitive, span.x + (float)i, span.y, w[i], second[i]))) {
                inverse_depth[x] = w[i];
                owner[x] = (uint16_t)number;
            }
        }
    }
}

/* ---- shadows --------------------------------------------------------------------------------- */

/* A half-space lets light from the point C + t d pass where its boundary is crossed; with everything linear in the
 * image, times t, the rows need no branches. `lit_from` and `lit_to` bound the part of the half-line to the light
 * that is inside the body so far. */
static void shadow_of_hexahedron(const sm_scene_world *world, const sm_scene_primitive *primitive, sm_scene_span span,
                                 const float light[3], const float *t, float *lit_from, float *lit_to)
{
    for (int i = 0; i < span.count; i++) {
        lit_from[i] = 0;
        lit_to[i] = 1e9f;
    }
    for (int face = 0; face < 6; face++) {
        const float *plane = primitive->planes[face];
        float speed = sm_dot3(plane, light), form[3];
        float per_speed = 1 / (fabsf(speed) > 1e-6f ? speed : 1e-6f);
        float inside = per_speed * (plane[3] - sm_dot3(plane, world->camera.position));
        linear_form(&world->camera, plane, per_speed, form);
        float start = form[0] + form[1] * span.x + form[2] * span.y;
        float slope = form[1];
        if (per_speed > 0) {
            for (int i = 0; i < span.count; i++) {
                float crossing = inside - t[i] * (start + slope * (float)i);
                lit_to[i] = crossing < lit_to[i] ? crossing : lit_to[i];
            }
        } else {
            for (int i = 0; i < span.count; i++) {
                float crossing = inside - t[i] * (start + slope * (float)i);
                lit_from[i] = crossing > lit_from[i] ? crossing : lit_from[i];
            }
        }
    }
    for (int i = 0; i < span.count; i++) {
        lit_from[i] = lit_from[i] < lit_to[i] ? 1.0f : 0.0f;
    }
}

/* Cylinders throw the shadow of the ellipsoid inside them. */
static void shadow_of_ellipsoid(const sm_scene_world *world, const sm_scene_primitive *primitive, sm_scene_span span,
                                const float light[3], const float *t, float *dark)
{
    sm_scene_quadric q = to_unit_space(&world->camera, primitive, span);
    const float towards[3] = {sm_dot3(primitive->axes[0], light), sm_dot3(primitive->axes[1], light),
                              sm_dot3(primitive->axes[2], light)};
    float a = sm_dot3(towards, towards);
    for (int i = 0; i < span.count; i++) {
        float x = q.origin[0] + t[i] * (q.start[0] + q.slope[0] * (float)i);
        float y = q.origin[1] + t[i] * (q.start[1] + q.slope[1] * (float)i);
        float z = q.origin[2] + t[i] * (q.start[2] + q.slope[2] * (float)i);
        float b = x * towards[0] + y * towards[1] + z * towards[2];
        float c = x * x + y * y + z * z - 1;
        dark[i] = b < 0 && b * b > a * c ? 1.0f : 0.0f;
    }
}

/* Where the primitive's shadow of that kind can lie in the image. */
static sm_scene_box shadow_bounds(const sm_scene_world *world, const sm_scene_primitive *primitive, int kind)
{
    float points[16][3];
    if (kind == SM_SHADOW_SUN) {
        return primitive->shadow_bounds;
    }
    for (int i = 0; i < 16; i++) {
        for (int k = 0; k < 3; k++) {
            points[i][k] = k == 1 && i >= 8 ? 0 : primitive->corners[i % 8][k];
        }
    }
    return sm_scene_project_bounds(&world->camera, points, 16);
}

static void throw_shadow(const sm_scene_world *world, const sm_scene_primitive *primitive, int kind,
                         sm_scene_grid *grid, float *row)
{
    static const float up[3] = {0, 1, 0};
    const float *light = kind == SM_SHADOW_SUN ? world->light.sun_direction : up;
    float *t = row, *dark = row + grid->width, *second = dark + grid->width;
    sm_scene_box bounds = shadow_bounds(world, primitive, kind);
    int x0 = clamped(bounds.x0 - grid->offset, grid->width);
    int x1 = clamped(bounds.x1 - grid->offset + 1, grid->width);
    int y0 = clamped(bounds.y0 - grid->offset, grid->height);
    int y1 = clamped(bounds.y1 - grid->offset + 1, grid->height);
    for (int y = y0; y < y1 && x0 < x1; y++) {
        size_t line = (size_t)y * (size_t)grid->width + (size_t)x0;
        sm_scene_span span = {x0, x1 - x0, (float)x0 + grid->offset, (float)y + grid->offset};
        for (int i = 0; i < span.count; i++) {
            float w = grid->inverse_depth[line + (size_t)i];
            t[i] = 1 / (w > 0 ? w : 1);
        }
        if (primitive->shape == SM_SHAPE_HEXAHEDRON) {
            shadow_of_hexahedron(world, primitive, span, light, t, dark, second);
        } else {
            shadow_of_ellipsoid(world, primitive, span, light, t, dark);
        }
        for (int i = 0; i < span.count; i++) {
            size_t place = line + (size_t)i;
            if (dark[i] > 0 && world->primitives[grid->primitive[place]].object != primitive->object) {
                grid->shadow[place] |= (uint8_t)kind;
            }
        }
    }
}

void sm_scene_raster(const sm_scene_world *world, sm_scene_grid *grid, float *row)
{
    raster_ground(world, grid);
    for (int i = SM_GROUND_KINDS; i < world->primitive_count; i++) {
        raster_primitive(world, i, grid, row);
    }
    for (size_t i = 0; i < (size_t)grid->height * (size_t)grid->width; i++) {
        grid->shadow[i] = 0;
    }
    for (int i = SM_GROUND_KINDS; i < world->primitive_count; i++) {
        for (int kind = SM_SHADOW_SUN; kind <= SM_SHADOW_SKY; kind++) {
            if (world->primitives[i].shadows & kind) {
                throw_shadow(world, &world->primitives[i], kind, grid, row);
            }
        }
    }
}
