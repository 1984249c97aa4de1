/** \file
 * Private to the scene generator: the world that scenes_street.c and scenes_objects.c build, scenes_raster.c projects
 * and scenes_texture.c colours.
 *
 * World coordinates in metres: X to the right, Y up, Z along the street; the road is the plane Y = 0 and the camera
 * stands above the origin. A sample is a point of the image plane; pixel (x, y) has its centre at (x + 0.5, y + 0.5).
 * Its ray is P = camera.position + t * direction with direction . forward = 1, so that t is the depth along the optical
 * axis. Surfaces are compared by the inverse depth w = 1 / t, which is linear in the image on every plane. */
#ifndef SM_DATA_SCENES_WORLD_H
#define SM_DATA_SCENES_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sigmatic/base/random.h>
#include <sigmatic/data/scenes.h>

/** Cityscapes train ids. */
enum {
    SM_ROAD,
    SM_SIDEWALK,
    SM_BUILDING,
    SM_WALL,
    SM_FENCE,
    SM_POLE,
    SM_TRAFFIC_LIGHT,
    SM_TRAFFIC_SIGN,
    SM_VEGETATION,
    SM_TERRAIN,
    SM_SKY,
    SM_PERSON,
    SM_RIDER,
    SM_CAR,
    SM_TRUCK,
    SM_BUS,
    SM_TRAIN,
    SM_MOTORCYCLE,
    SM_BICYCLE
};

/** Sequences of random numbers of one scene: layout and every kind of noise have their own. */
enum { SM_DRAWS_LAYOUT, SM_DRAWS_SEMANTIC, SM_DRAWS_DISPARITY, SM_DRAWS_VECTOR, SM_DRAWS_STEREO };

/** A place and a heading on the ground: local x to the right, y up, z ahead. */
typedef struct sm_scene_frame {
    float origin[3];
    float cosine, sine;
} sm_scene_frame;

typedef struct sm_scene_camera {
    int height, width;
    float focal, centre_x, centre_y; /* pixels */
    float position[3];
    float forward[3], right[3], down[3];
} sm_scene_camera;

typedef struct sm_scene_light {
    float sun_direction[3]; /* unit, towards the sun */
    float sun[3];           /* irradiance; 0 under clouds */
    float sky[3];           /* ambient light from above */
    float zenith[3], horizon[3], cloud[3], haze[3];
    float cloud_cover, haze_per_metre, exposure;
    uint32_t cloud_seed;
} sm_scene_light;

/** What a texture sees of a surface, and what it answers. */
typedef struct sm_scene_sample {
    /* hexahedra: metres in the object's frame; ellipsoids and cylinders: unit shape; ground: (lateral, height, Z) */
    float local[3];
    int face;        /* of a hexahedron: -x, +x, -y, +y, -z, +z */
    float footprint; /* metres a pixel covers here; detail below it is faded */
    float colour[3]; /* out: linear albedo */
    float gloss;     /* out: share of the sky mirrored */
    float emission;  /* out: times the colour */
} sm_scene_sample;

typedef struct sm_scene_material sm_scene_material;
typedef void (*sm_scene_texture)(const sm_scene_material *material, sm_scene_sample *sample);

struct sm_scene_material {
    sm_scene_texture texture;
    float colours[3][3]; /* linear */
    float size[8];       /* metres or shares; what they mean is the texture's business */
    float contrast;
    uint32_t seed;
};

typedef struct sm_scene_object {
    uint8_t semantic;
    uint16_t instance; /* provisional number, 0 = none */
} sm_scene_object;

typedef enum sm_scene_shape {
    SM_SHAPE_GROUND,
    SM_SHAPE_HEXAHEDRON,
    SM_SHAPE_ELLIPSOID,
    SM_SHAPE_CYLINDER
} sm_scene_shape;
typedef enum sm_scene_mask { SM_MASK_NONE, SM_MASK_LEAVES, SM_MASK_SPOKES } sm_scene_mask;

/** Which shadows a primitive throws: from the sun, and the dark place under it from the whole sky. */
enum { SM_SHADOW_SUN = 1, SM_SHADOW_SKY = 2 };

typedef struct sm_scene_box {
    float x0, x1, y0, y1;
} sm_scene_box;

typedef struct sm_scene_primitive {
    sm_scene_shape shape;
    sm_scene_mask mask;
    int object, material, shadows;
    float origin[3], axes[3][3]; /* local_i = axes[i] . (P - origin) */
    float planes[6][4];          /* hexahedron: inside is planes[i][0..2] . P <= planes[i][3] */
    float corners[8][3];         /* of the shape or of a box around it */
    sm_scene_box bounds;         /* in the image, of the shape */
    sm_scene_box shadow_bounds;  /* of the space that the sun's shadow fills */
} sm_scene_primitive;

/** Kinds of ground; each is the primitive, the object and the material of the same number. */
enum { SM_GROUND_SKY, SM_GROUND_ROAD, SM_GROUND_SIDEWALK, SM_GROUND_KERB, SM_GROUND_TERRAIN, SM_GROUND_KINDS };

typedef struct sm_scene_strip {
    float width;
    int kind;
} sm_scene_strip;

enum { SM_STRIPS = 3 };

/** Index 0 is the left side of the street, 1 the right one. Lateral positions are relative to the camera's lane. */
typedef struct sm_scene_street {
    float curvature; /* the street's middle is at X = curvature Z^2 / 2 */
    float kerb[2];   /* lateral position of the kerbs */
    float kerb_height;
    sm_scene_strip strips[2][SM_STRIPS]; /* from the kerb outwards; the last one goes on for ever */
    float building_line[2];
    float junction_begin, junction_end; /* Z of a crossing street; begin > end if there is none */
    bool parking[2];
} sm_scene_street;

/** The ground that a thing stands on, so that no two things share it. */
typedef struct sm_scene_footprint {
    float lateral, ahead, half_width, half_length;
} sm_scene_footprint;

typedef struct sm_scene_world {
    float difficulty;
    sm_random random;
    sm_scene_camera camera;
    float camera_pitch; /* radians downwards */
    sm_scene_light light;
    sm_scene_street street;
    sm_scene_object *objects;
    sm_scene_material *materials;
    sm_scene_primitive *primitives;
    sm_scene_footprint *footprints;
    int object_count, material_count, primitive_count, footprint_count;
    int object_capacity, material_capacity, primitive_capacity, footprint_capacity;
    int instance_count;
    bool bonnet;
    float bonnet_top, bonnet_middle; /* shares of the image's height and width */
} sm_scene_world;

/* ---- scenes_world.c: the parts of a world ---------------------------------------------------- */

void sm_scene_world_free(sm_scene_world *world);

static inline float sm_dot3(const float a[3], const float b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static inline float sm_clamp01(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static inline float sm_mix(float a, float b, float share)
{
    return a + (b - a) * share;
}

/** \return the frame at (lateral, Z) of the curved street, turned by `heading` radians from the street's direction. */
sm_scene_frame sm_scene_street_frame(const sm_scene_world *world, float lateral, float ahead, float height,
                                     float heading);

/** The same place and heading, moved by (x, y, z) in the frame's own axes. */
sm_scene_frame sm_scene_frame_moved(const sm_scene_frame *frame, float x, float y, float z);

/** \return the new object's number; things get an instance. */
int sm_scene_add_object(sm_scene_world *world, int semantic);

int sm_scene_add_material(sm_scene_world *world, const sm_scene_material *material);

/** A box whose bottom and top are different rectangles: cars, roofs, walls. Local metres; x is symmetric around x. */
typedef struct sm_scene_block {
    float x, half_width_bottom, half_width_top;
    float bottom, top;
    float bottom_back, bottom_front, top_back, top_front;
} sm_scene_block;

void sm_scene_append_primitive(sm_scene_world *world, const sm_scene_primitive *primitive);

/** These add a primitive to an object, unless neither it nor its shadow can be seen. `shadows` as SM_SHADOW_. */
void sm_scene_add_block(sm_scene_world *world, int object, int material, const sm_scene_frame *frame,
                        const sm_scene_block *block, int shadows);

/** A block with upright sides. */
void sm_scene_add_box(sm_scene_world *world, int object, int material, const sm_scene_frame *frame,
                      const float centre[3], const float half[3], int shadows);

void sm_scene_add_ellipsoid(sm_scene_world *world, int object, int material, const sm_scene_frame *frame,
                            const float centre[3], const float half[3], sm_scene_mask mask, int shadows);

/** An ellipsoid or cylinder from `from` to `to` (local metres). */
void sm_scene_add_limb(sm_scene_world *world, int object, int material, const sm_scene_frame *frame,
                       sm_scene_shape shape, const float from[3], const float to[3], float radius, sm_scene_mask mask,
                       int shadows);

/** \return true and takes the ground if nothing else stands there. */
bool sm_scene_claim(sm_scene_world *world, float lateral, float ahead, float half_width, float half_length);

/* ---- random choices -------------------------------------------------------------------------- */

float sm_scene_range(sm_scene_world *world, float low, float high);
bool sm_scene_chance(sm_scene_world *world, float probability);
int sm_scene_below(sm_scene_world *world, int bound);

/** \return a + (b - a) * uniform, rounded down, with the counts growing with the difficulty. */
int sm_scene_count(sm_scene_world *world, float low, float high);

/** A colour near one of the palette's (display values 0..1 in, linear out), the further away the harder the scene. */
void sm_scene_pick_colour(sm_scene_world *world, const float (*palette)[3], int count, float colour[3]);

/** \return a material of that texture with three colours from the palette and a seed. */
sm_scene_material sm_scene_new_material(sm_scene_world *world, sm_scene_texture texture, const float (*palette)[3],
                                        int count);

/* ---- scenes_objects.c: what stands in the street --------------------------------------------- */

typedef enum sm_scene_vehicle { SM_VEHICLE_CAR, SM_VEHICLE_TRUCK, SM_VEHICLE_BUS, SM_VEHICLE_TRAM } sm_scene_vehicle;

/** Half width and half length in metres of the next vehicle; `model` is drawn and kept for the call that builds it. */
typedef struct sm_scene_vehicle_plan {
    sm_scene_vehicle kind;
    int model;
    float half_width, half_length;
} sm_scene_vehicle_plan;

sm_scene_vehicle_plan sm_scene_plan_vehicle(sm_scene_world *world, sm_scene_vehicle kind);
void sm_scene_add_vehicle(sm_scene_world *world, const sm_scene_frame *frame, const sm_scene_vehicle_plan *plan);
void sm_scene_add_person(sm_scene_world *world, const sm_scene_frame *frame);
void sm_scene_add_two_wheeler(sm_scene_world *world, const sm_scene_frame *frame, bool motorcycle, bool with_rider);
void sm_scene_add_tree(sm_scene_world *world, const sm_scene_frame *frame, float height, float crown);
void sm_scene_add_bush(sm_scene_world *world, const sm_scene_frame *frame, float half_width, float height);
void sm_scene_add_lamp_post(sm_scene_world *world, const sm_scene_frame *frame, float towards_road);
void sm_scene_add_sign(sm_scene_world *world, const sm_scene_frame *frame);
void sm_scene_add_traffic_light(sm_scene_world *world, const sm_scene_frame *frame, float towards_road);
void sm_scene_add_clutter(sm_scene_world *world, const sm_scene_frame *frame);

/* ---- scenes_street.c ------------------------------------------------------------------------- */

/** Camera, light, street and everything in it, from the layout's random numbers. */
void sm_scene_world_build(sm_scene_world *world, const sm_scene_options *options, uint64_t index);

/** \return the kind of ground at (X, Z) seen from above. */
int sm_scene_ground_kind(const sm_scene_street *street, float x, float z);

/* ---- scenes_raster.c ------------------------------------------------------------------------- */

/** Samples at (x + offset, y + offset), 0 <= x < width, 0 <= y < height. */
typedef struct sm_scene_grid {
    int height, width;
    float offset;
    float *inverse_depth; /* (height, width) 1 / m; 0 = sky */
    uint16_t *primitive;  /* (height, width) */
    uint8_t *shadow;      /* (height, width) bits SM_SHADOW_ */
} sm_scene_grid;

/** Finds the first surface of every sample, then the shadows on it. `row` is scratch for 3 * grid->width floats. */
void sm_scene_raster(const sm_scene_world *world, sm_scene_grid *grid, float *row);

/** The ray's direction through the image point (x, y). */
static inline void sm_scene_ray(const sm_scene_camera *camera, float x, float y, float direction[3])
{
    float across = (x - camera->centre_x) / camera->focal;
    float downwards = (y - camera->centre_y) / camera->focal;
    for (int k = 0; k < 3; k++) {
        direction[k] = camera->forward[k] + across * camera->right[k] + downwards * camera->down[k];
    }
}

/** Box in the image around the points; the whole image if one is not in front of the camera. */
sm_scene_box sm_scene_project_bounds(const sm_scene_camera *camera, const float (*points)[3], int count);

/* ---- scenes_texture.c ------------------------------------------------------------------------ */

/** Smooth noise in [0, 1), one feature a unit. */
float sm_scene_noise2(float x, float y, uint32_t seed);
float sm_scene_noise3(float x, float y, float z, uint32_t seed);
uint32_t sm_scene_hash(int32_t x, int32_t y, uint32_t seed);

void sm_scene_texture_road(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_paving(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_grass(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_plain(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_facade(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_roof(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_leaves(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_wall(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_fence(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_car_body(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_car_cabin(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_coach(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_wheel(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_sign(const sm_scene_material *material, sm_scene_sample *sample);
void sm_scene_texture_lamp(const sm_scene_material *material, sm_scene_sample *sample);

/** Linear colour of the sky in a direction (any length), with or without its clouds. */
void sm_scene_sky_colour(const sm_scene_light *light, const float direction[3], bool clouds, float colour[3]);

/** Linear colours (height, width, 3) of the grid's samples. */
void sm_scene_shade(const sm_scene_world *world, const sm_scene_grid *grid, float *colours);

#endif
