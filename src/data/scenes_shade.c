/* Light: colour = albedo x (sky light + sun) + mirrored sky, then haze with the distance. */
#include "data/scenes_world.h"

#include <math.h>

void sm_scene_sky_colour(const sm_scene_light *light, const float direction[3], bool clouds, float colour[3])
{
    float length = sqrtf(sm_dot3(direction, direction));
    float elevation = direction[1] / length;
    float share = sm_clamp01(2.2f * elevation);
    share = share * (2 - share);
    float towards_sun = sm_dot3(direction, light->sun_direction) / length;
    float glow = towards_sun > 0 ? towards_sun * towards_sun : 0;
    glow = 0.25f * glow * glow;
    for (int k = 0; k < 3; k++) {
        colour[k] = sm_mix(light->horizon[k], light->zenith[k], share) + glow * light->sun[k];
    }
    if (clouds && elevation > 0.01f && light->cloud_cover > 0) {
        float scale = 1.2f / (direction[1] / length + 0.08f);
        float u = scale * direction[0] / length, v = scale * direction[2] / length;
        float density = 0.6f * sm_scene_noise2(u, v, light->cloud_seed) +
                        0.3f * sm_scene_noise2(2.3f * u, 2.3f * v, light->cloud_seed + 1) +
                        0.1f * sm_scene_noise2(5.1f * u, 5.1f * v, light->cloud_seed + 2);
        float cover = sm_clamp01(4 * (density - 1 + light->cloud_cover)) * sm_clamp01(8 * elevation);
        for (int k = 0; k < 3; k++) {
            colour[k] = sm_mix(colour[k], light->cloud[k] * (0.75f + 0.5f * density), cover);
        }
    }
}

static int hexahedron_face(const sm_scene_world *world, const sm_scene_primitive *primitive, const float direction[3])
{
    int face = 0;
    float smallest = INFINITY;
    for (int i = 0; i < 6; i++) {
        float inside = primitive->planes[i][3] - sm_dot3(primitive->planes[i], world->camera.position);
        if (inside < 0) {
            float w = sm_dot3(primitive->planes[i], direction) / inside;
            if (w < smallest) {
                smallest = w;
                face = i;
            }
        }
    }
    return face;
}

/* Local coordinates, face and unit normal of the surface at `point`. */
static void describe(const sm_scene_world *world, const sm_scene_primitive *primitive, const float direction[3],
                     const float point[3], sm_scene_sample *sample, float normal[3])
{
    if (primitive->shape == SM_SHAPE_GROUND) {
        sample->local[0] = point[0] - 0.5f * world->street.curvature * point[2] * point[2];
        sample->local[1] = point[1];
        sample->local[2] = point[2];
        normal[0] = normal[2] = 0;
        normal[1] = 1;
        return;
    }
    for (int k = 0; k < 3; k++) {
        const float *axis = primitive->axes[k];
        sample->local[k] = axis[0] * (point[0] - primitive->origin[0]) + axis[1] * (point[1] - primitive->origin[1]) +
                           axis[2] * (point[2] - primitive->origin[2]);
    }
    if (primitive->shape == SM_SHAPE_HEXAHEDRON) {
        sample->face = hexahedron_face(world, primitive, direction);
        for (int k = 0; k < 3; k++) {
            normal[k] = primitive->planes[sample->face][k];
        }
        return;
    }
    bool cylinder = primitive->shape == SM_SHAPE_CYLINDER;
    bool cap = cylinder && fabsf(sample->local[1]) > 0.998f;
    const float *local = sample->local;
    float gradient[3] = {cap ? 0 : local[0], cylinder && !cap ? 0 : local[1], cap ? 0 : local[2]};
    for (int k = 0; k < 3; k++) {
        normal[k] = gradient[0] * primitive->axes[0][k] + gradient[1] * primitive->axes[1][k] +
                    gradient[2] * primitive->axes[2][k];
    }
    float length = sqrtf(sm_dot3(normal, normal)) + 1e-12f;
    for (int k = 0; k < 3; k++) {
        normal[k] /= length;
    }
}

/* Albedo to light that reaches the camera. */
static void illuminate(const sm_scene_light *light, const sm_scene_sample *sample, const float direction[3],
                       const float normal[3], int shadow, float t, float colour[3])
{
    float facing = sm_dot3(normal, light->sun_direction);
    float sun = shadow & SM_SHADOW_SUN || facing < 0 ? 0 : facing;
    float sky = (0.7f + 0.3f * normal[1]) * (shadow & SM_SHADOW_SKY ? 0.45f : 1.0f);
    float mirrored[3] = {0};
    if (sample->gloss > 0) {
        float twice = 2 * sm_dot3(direction, normal);
        float reflected[3];
        for (int k = 0; k < 3; k++) {
            reflected[k] = direction[k] - twice * normal[k];
        }
        reflected[1] = fabsf(reflected[1]);
        sm_scene_sky_colour(light, reflected, false, mirrored);
    }
    float fog = light->haze_per_metre * t;
    fog = 1 - 1 / (1 + fog + 0.5f * fog * fog);
    for (int k = 0; k < 3; k++) {
        float lit = sample->colour[k] * (sun * light->sun[k] + sky * light->sky[k] + sample->emission);
        lit = sm_mix(lit, mirrored[k], sample->gloss);
        colour[k] = sm_mix(lit, light->haze[k], fog);
    }
}

void sm_scene_shade(const sm_scene_world *world, const sm_scene_grid *grid, float *colours)
{
    const sm_scene_camera *camera = &world->camera;
    for (int y = 0; y < grid->height; y++) {
        for (int x = 0; x < grid->width; x++) {
            size_t i = (size_t)y * (size_t)grid->width + (size_t)x;
            float *colour = colours + 3 * i;
            float direction[3], point[3], normal[3];
            sm_scene_ray(camera, (float)x + grid->offset, (float)y + grid->offset, direction);
            float w = grid->inverse_depth[i];
            if (w <= 0) {
                sm_scene_sky_colour(&world->light, direction, true, colour);
                continue;
            }
            const sm_scene_primitive *primitive = &world->primitives[grid->primitive[i]];
            const sm_scene_material *material = &world->materials[primitive->material];
            sm_scene_sample sample = {.footprint = 1 / (w * camera->focal)};
            for (int k = 0; k < 3; k++) {
                point[k] = camera->position[k] + direction[k] / w;
            }
            describe(world, primitive, direction, point, &sample, normal);
            material->texture(material, &sample);
            illuminate(&world->light, &sample, direction, normal, grid->shadow[i], 1 / w, colour);
        }
    }
}
