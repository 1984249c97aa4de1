/* Composition: camera, light, the street's cross-section, both rows of houses, then whatever stands or moves. */
#include "data/scenes_world.h"

#include <math.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

static const float FACADES[][3] = {{0.70f, 0.64f, 0.52f}, {0.66f, 0.66f, 0.64f}, {0.56f, 0.42f, 0.34f},
                                   {0.50f, 0.28f, 0.22f}, {0.62f, 0.52f, 0.40f}, {0.78f, 0.76f, 0.70f},
                                   {0.45f, 0.46f, 0.48f}, {0.56f, 0.60f, 0.62f}};
static const float ROOFS[][3] = {{0.42f, 0.22f, 0.17f}, {0.28f, 0.27f, 0.28f}, {0.36f, 0.30f, 0.27f}};
static const float ASPHALT[][3] = {{0.38f, 0.38f, 0.39f}, {0.44f, 0.43f, 0.43f}, {0.33f, 0.33f, 0.35f}};
static const float PAVING[][3] = {
    {0.52f, 0.50f, 0.48f}, {0.56f, 0.53f, 0.48f}, {0.47f, 0.46f, 0.46f}, {0.50f, 0.42f, 0.38f}};
static const float GRASS[][3] = {
    {0.34f, 0.40f, 0.20f}, {0.40f, 0.42f, 0.24f}, {0.28f, 0.36f, 0.17f}, {0.46f, 0.40f, 0.28f}};
static const float PAINT[][3] = {{0.84f, 0.84f, 0.82f}};
static const float WALLS[][3] = {
    {0.52f, 0.50f, 0.47f}, {0.60f, 0.56f, 0.48f}, {0.46f, 0.30f, 0.25f}, {0.42f, 0.42f, 0.42f}};
static const float FENCES[][3] = {
    {0.40f, 0.30f, 0.22f}, {0.60f, 0.60f, 0.58f}, {0.24f, 0.30f, 0.25f}, {0.30f, 0.30f, 0.32f}};

static const float FAR_METRES = 110;

/* ---- camera and light ------------------------------------------------------------------------ */

static void set_camera(sm_scene_world *world, const sm_scene_options *options)
{
    sm_scene_camera *camera = &world->camera;
    camera->height = options->height;
    camera->width = options->width;
    camera->focal = 2262.52f * (float)options->width / 2048;
    camera->centre_x = 0.5f * (float)options->width;
    camera->centre_y = 0.5f * (float)options->height;
    camera->position[1] = sm_scene_range(world, 1.1f, 1.9f);
    float pitch = sm_scene_range(world, -0.005f, 0.07f);
    float yaw = sm_scene_range(world, -0.07f, 0.07f);
    world->camera_pitch = pitch;
    double cosine = cos((double)pitch), sine = sin((double)pitch), cosine_yaw = cos((double)yaw),
           sine_yaw = sin((double)yaw);
    const double forward[3] = {sine_yaw * cosine, -sine, cosine_yaw * cosine};
    const double right[3] = {cosine_yaw, 0, -sine_yaw};
    const double down[3] = {-sine_yaw * sine, -cosine, -cosine_yaw * sine};
    for (int k = 0; k < 3; k++) {
        camera->forward[k] = (float)forward[k];
        camera->right[k] = (float)right[k];
        camera->down[k] = (float)down[k];
    }
    world->bonnet = sm_scene_chance(world, 0.35f);
    world->bonnet_top = sm_scene_range(world, 0.9f, 0.96f);
    world->bonnet_middle = sm_scene_range(world, 0.4f, 0.6f);
}

static void set_light(sm_scene_world *world)
{
    sm_scene_light *light = &world->light;
    float spread = 0.35f + 0.65f * world->difficulty;
    double azimuth = sm_scene_range(world, 0, 6.2832f), elevation = sm_scene_range(world, 0.3f, 1.2f);
    light->sun_direction[0] = (float)(cos(elevation) * sin(azimuth));
    light->sun_direction[1] = (float)sin(elevation);
    light->sun_direction[2] = (float)(cos(elevation) * cos(azimuth));
    bool overcast = sm_scene_chance(world, 0.4f);
    float strength = overcast ? 0 : sm_scene_range(world, 0.8f, 1.7f);
    float warmth = spread * sm_scene_range(world, -0.1f, 0.25f);
    float grey = overcast ? sm_scene_range(world, 0.7f, 1.0f) : sm_scene_range(world, 0, 0.5f);
    static const float zenith[3] = {0.16f, 0.32f, 0.68f}, horizon[3] = {0.62f, 0.72f, 0.85f},
                       dull[3] = {0.62f, 0.64f, 0.67f};
    const float tint[3] = {1 + warmth, 1, 1 - warmth};
    float ambient = overcast ? sm_scene_range(world, 0.8f, 1.1f) : sm_scene_range(world, 0.35f, 0.6f);
    for (int k = 0; k < 3; k++) {
        light->sun[k] = strength * tint[k];
        light->zenith[k] = sm_mix(zenith[k], dull[k], grey) * tint[k];
        light->horizon[k] = sm_mix(horizon[k], dull[k] * 1.1f, grey) * tint[k];
        light->cloud[k] = (overcast ? 0.7f : 0.95f) * tint[k];
        light->haze[k] = 0.5f * (light->horizon[k] + dull[k] * tint[k]);
        light->sky[k] = ambient * sm_mix(1, light->horizon[k] / 0.7f, 0.4f);
    }
    light->cloud_cover = overcast ? sm_scene_range(world, 0.4f, 0.9f) : sm_scene_range(world, 0.1f, 0.6f);
    light->haze_per_metre = sm_scene_range(world, 0.0005f, 0.001f + 0.003f * world->difficulty);
    float stops = spread * sm_scene_range(world, -0.9f, 0.5f);
    light->exposure = (overcast ? 1.35f : 1.1f) * (stops > 0 ? 1 + stops : 1 / (1 - stops));
    light->cloud_seed = sm_random_u32(&world->random);
}

/* ---- ground ---------------------------------------------------------------------------------- */

int sm_scene_ground_kind(const sm_scene_street *street, float x, float z)
{
    float lateral = x - 0.5f * street->curvature * z * z;
    int side = lateral > 0;
    float beyond = side ? lateral - street->kerb[1] : street->kerb[0] - lateral;
    if (beyond < 0 || (z > street->junction_begin && z < street->junction_end)) {
        return SM_GROUND_ROAD;
    }
    const sm_scene_strip *strips = street->strips[side];
    int strip = 0;
    while (strip < SM_STRIPS - 1 && beyond > strips[strip].width) {
        beyond -= strips[strip].width;
        strip++;
    }
    return strips[strip].kind;
}

static void set_cross_section(sm_scene_world *world)
{
    sm_scene_street *street = &world->street;
    street->curvature = sm_scene_chance(world, 0.5f) ? sm_scene_range(world, -0.004f, 0.004f) : 0;
    street->kerb_height = sm_scene_range(world, 0.04f, 0.16f);
    for (int side = 0; side < 2; side++) {
        float lanes = side ? sm_scene_range(world, 1.8f, 3.0f) : sm_scene_range(world, 2.2f, 6.5f);
        street->parking[side] = sm_scene_chance(world, 0.55f);
        float edge = lanes + (street->parking[side] ? 2.2f : 0);
        street->kerb[side] = side ? edge : -edge;
        sm_scene_strip *strips = street->strips[side];
        float walk = sm_scene_range(world, 1.6f, 4.5f), green = sm_scene_range(world, 1.0f, 3.5f);
        int order = sm_scene_below(world, 4);
        strips[0] =
            order == 0 ? (sm_scene_strip){green, SM_GROUND_TERRAIN} : (sm_scene_strip){walk, SM_GROUND_SIDEWALK};
        strips[1] = order == 0   ? (sm_scene_strip){walk, SM_GROUND_SIDEWALK}
                    : order == 1 ? (sm_scene_strip){green, SM_GROUND_TERRAIN}
                                 : (sm_scene_strip){0.5f, SM_GROUND_SIDEWALK};
        strips[2] = (sm_scene_strip){0, sm_scene_chance(world, 0.6f) ? SM_GROUND_TERRAIN : SM_GROUND_SIDEWALK};
        float line = edge + strips[0].width + strips[1].width;
        street->building_line[side] = side ? line : -line;
    }
    street->junction_begin = 1;
    street->junction_end = 0;
    if (sm_scene_chance(world, 0.4f)) {
        street->junction_begin = sm_scene_range(world, 14, 45);
        street->junction_end = street->junction_begin + sm_scene_range(world, 7, 13);
    }
}

static void add_ground_kind(sm_scene_world *world, int semantic, const sm_scene_material *material)
{
    sm_scene_primitive primitive = {.shape = SM_SHAPE_GROUND};
    primitive.object = sm_scene_add_object(world, semantic);
    primitive.material = sm_scene_add_material(world, material);
    sm_scene_append_primitive(world, &primitive);
}

static void add_grounds(sm_scene_world *world)
{
    const sm_scene_street *street = &world->street;
    sm_scene_material sky = {0};
    sm_scene_material road = sm_scene_new_material(world, sm_scene_texture_road, ASPHALT, COUNT_OF(ASPHALT));
    sm_scene_pick_colour(world, PAINT, 1, road.colours[1]);
    road.contrast = sm_scene_range(world, 0.4f, 1.3f);
    road.size[0] = sm_scene_range(world, -2.2f, -1.6f);
    road.size[1] = street->kerb[0] + (street->parking[0] ? 2.2f : 0.25f);
    road.size[2] = street->kerb[1] - (street->parking[1] ? 2.2f : 0.25f);
    road.size[3] = sm_scene_chance(world, 0.7f) ? sm_scene_range(world, 5, 10) : 0;
    road.size[4] = sm_scene_range(world, 0, 1.3f);
    bool zebra =
        street->junction_end > street->junction_begin ? sm_scene_chance(world, 0.7f) : sm_scene_chance(world, 0.15f);
    float zebra_at = sm_scene_range(world, 9, 30);
    road.size[5] = !zebra                                          ? 1e6f
                   : street->junction_end > street->junction_begin ? street->junction_begin - 2.5f
                                                                   : zebra_at;
    road.size[6] = street->kerb[0];
    road.size[7] = street->kerb[1];
    sm_scene_material paving = sm_scene_new_material(world, sm_scene_texture_paving, PAVING, COUNT_OF(PAVING));
    paving.contrast = sm_scene_range(world, 0.4f, 1.3f);
    paving.size[0] = sm_scene_range(world, 0.3f, 1.0f);
    paving.size[1] = sm_scene_range(world, 0.1f, 0.3f);
    sm_scene_material kerb = sm_scene_new_material(world, sm_scene_texture_plain, PAVING, COUNT_OF(PAVING));
    sm_scene_material grass = sm_scene_new_material(world, sm_scene_texture_grass, GRASS, COUNT_OF(GRASS));

    add_ground_kind(world, SM_SKY, &sky);
    add_ground_kind(world, SM_ROAD, &road);
    add_ground_kind(world, SM_SIDEWALK, &paving);
    add_ground_kind(world, SM_SIDEWALK, &kerb);
    add_ground_kind(world, SM_TERRAIN, &grass);
}

/* ---- the two sides --------------------------------------------------------------------------- */

/* Height of the ground at the building line. */
static sm_scene_frame side_frame(const sm_scene_world *world, int side, float beyond_line, float ahead)
{
    float line = world->street.building_line[side];
    return sm_scene_street_frame(world, line + (side ? beyond_line : -beyond_line), ahead, world->street.kerb_height,
                                 0);
}

static void add_house(sm_scene_world *world, int side, float ahead, float length, bool tall)
{
    int object = sm_scene_add_object(world, SM_BUILDING);
    float storey = sm_scene_range(world, 2.7f, 3.7f);
    int storeys = tall ? 3 + sm_scene_below(world, 4) : 1 + sm_scene_below(world, 3);
    float ground_floor = tall ? sm_scene_range(world, 3.0f, 4.2f) : 0.4f;
    float top = ground_floor + storey * (float)storeys + 0.5f;
    float depth = sm_scene_range(world, 7, 12),
          setback = tall ? sm_scene_range(world, 0, 0.6f) : sm_scene_range(world, 1, 5);

    sm_scene_material facade = sm_scene_new_material(world, sm_scene_texture_facade, FACADES, COUNT_OF(FACADES));
    facade.contrast = sm_scene_range(world, 0.5f, 1.5f);
    facade.size[0] = storey;
    facade.size[1] = sm_scene_range(world, 1.4f, 4.0f);
    facade.size[2] = sm_scene_range(world, 0.35f, 0.85f);
    facade.size[3] = sm_scene_range(world, 0.4f, 0.8f);
    facade.size[4] = ground_floor;
    facade.size[5] = sm_scene_chance(world, 0.35f) ? sm_scene_range(world, 0.4f, 0.6f) : 0;
    facade.size[6] = top;
    facade.size[7] = sm_scene_range(world, 0, 0.1f);
    int number = sm_scene_add_material(world, &facade);
    sm_scene_frame frame = side_frame(world, side, setback + 0.5f * depth, ahead + 0.5f * length);
    const float centre[3] = {0, 0.5f * top, 0}, half[3] = {0.5f * depth, 0.5f * top, 0.5f * length};
    sm_scene_add_box(world, object, number, &frame, centre, half, SM_SHADOW_SUN);

    if (sm_scene_chance(world, tall ? 0.5f : 0.9f)) {
        sm_scene_material tiles = sm_scene_new_material(world, sm_scene_texture_roof, ROOFS, COUNT_OF(ROOFS));
        tiles.size[0] = 0.35f;
        float ridge = top + sm_scene_range(world, 1.5f, 4.0f),
              inset = sm_scene_chance(world, 0.5f) ? 0 : 0.25f * length;
        sm_scene_block roof = {0,
                               0.5f * depth + 0.3f,
                               tall ? 0.3f * depth : 0,
                               top,
                               ridge,
                               -0.5f * length,
                               0.5f * length,
                               -0.5f * length + inset,
                               0.5f * length - inset};
        sm_scene_add_block(world, object, sm_scene_add_material(world, &tiles), &frame, &roof, SM_SHADOW_SUN);
    }
}

static void add_barrier(sm_scene_world *world, int side, float ahead, float length, bool wall)
{
    int object = sm_scene_add_object(world, wall ? SM_WALL : SM_FENCE);
    float height = wall ? sm_scene_range(world, 1.0f, 3.4f) : sm_scene_range(world, 1.0f, 2.4f);
    sm_scene_material material = wall ? sm_scene_new_material(world, sm_scene_texture_wall, WALLS, COUNT_OF(WALLS))
                                      : sm_scene_new_material(world, sm_scene_texture_fence, FENCES, COUNT_OF(FENCES));
    if (wall) {
        material.size[0] = sm_scene_chance(world, 0.6f) ? sm_scene_range(world, 0.3f, 0.8f) : 0;
        material.size[1] = sm_scene_range(world, 0.15f, 0.35f);
        material.size[2] = height - 0.12f;
        material.size[3] = sm_scene_chance(world, 0.3f) ? 1 : 0;
    } else {
        material.size[0] = sm_scene_range(world, 0.14f, 0.4f);
        material.size[1] = sm_scene_range(world, 0.35f, 0.8f);
        material.size[2] = height - 0.15f;
    }
    int number = sm_scene_add_material(world, &material);
    sm_scene_frame frame = side_frame(world, side, sm_scene_range(world, 0, 0.4f), ahead + 0.5f * length);
    const float centre[3] = {0, 0.5f * height, 0}, half[3] = {wall ? 0.15f : 0.04f, 0.5f * height, 0.5f * length};
    sm_scene_add_box(world, object, number, &frame, centre, half, SM_SHADOW_SUN);
}

static void add_greenery(sm_scene_world *world, int side, float ahead, float length, float nearest)
{
    int count = 1 + (int)(length / 6);
    for (int i = 0; i < count; i++) {
        float beyond = nearest + sm_scene_range(world, 0.5f, 9);
        float z = ahead + length * sm_scene_range(world, 0, 1);
        sm_scene_frame frame = side_frame(world, side, beyond, z);
        if (sm_scene_chance(world, 0.6f)) {
            float height = sm_scene_range(world, 4.5f, 10);
            sm_scene_add_tree(world, &frame, height, height * sm_scene_range(world, 0.25f, 0.36f));
        } else {
            float half_width = sm_scene_range(world, 0.8f, 2.2f);
            sm_scene_add_bush(world, &frame, half_width, half_width * sm_scene_range(world, 0.7f, 1.3f));
        }
    }
}

/* What a stretch of the street's side is: shares of houses (tall or not), walls, fences, else open ground with
 * trees. */
typedef struct sm_scene_character {
    float house, wall, fence;
    bool tall;
} sm_scene_character;

static const sm_scene_character characters[] = {
    {0.80f, 0.10f, 0.08f, true},  /* town */
    {0.65f, 0.13f, 0.15f, true},  /* edge of the town */
    {0.40f, 0.20f, 0.30f, false}, /* suburb */
    {0.15f, 0.35f, 0.30f, true},  /* works */
    {0.05f, 0.15f, 0.25f, false}, /* park */
};

static void add_side(sm_scene_world *world, int side)
{
    const sm_scene_street *street = &world->street;
    const sm_scene_character *character = &characters[sm_scene_below(world, COUNT_OF(characters))];
    float z = sm_scene_range(world, 1, 8);
    while (z < FAR_METRES) {
        float length = sm_scene_range(world, 7, 20);
        if (street->junction_end > street->junction_begin && z + length > street->junction_begin &&
            z < street->junction_end) {
            length = street->junction_begin - z;
            if (length < 3) {
                z = street->junction_end + 1;
                continue;
            }
        }
        float choice = sm_scene_range(world, 0, 1);
        if (choice < character->house) {
            add_house(world, side, z, length, character->tall);
        } else if (choice < character->house + character->wall + character->fence) {
            bool wall = choice < character->house + character->wall;
            add_barrier(world, side, z, length, wall);
            add_greenery(world, side, z, length, 1.5f);
        } else {
            add_greenery(world, side, z, length, 0.5f);
        }
        z += length + (sm_scene_chance(world, 0.2f) ? sm_scene_range(world, 1, 4) : 0);
    }
}

/* Houses and trees across the end of the street, so that it does not run to the horizon. */
static void add_far_end(sm_scene_world *world)
{
    for (float x = -90; x < 90;) {
        float step = sm_scene_range(world, 6, 16);
        float z = FAR_METRES + sm_scene_range(world, 5, 50);
        sm_scene_frame frame = {{x, 0, z}, 1, 0};
        if (sm_scene_chance(world, 0.6f)) {
            float height = sm_scene_range(world, 5, 14);
            sm_scene_add_tree(world, &frame, height, 0.42f * height);
        } else {
            int object = sm_scene_add_object(world, SM_BUILDING);
            sm_scene_material facade =
                sm_scene_new_material(world, sm_scene_texture_facade, FACADES, COUNT_OF(FACADES));
            float top = sm_scene_range(world, 6, 18);
            const float size[8] = {3, 2.5f, 0.5f, 0.5f, 0.5f, 0, top, 0};
            for (int i = 0; i < 8; i++) {
                facade.size[i] = size[i];
            }
            const float centre[3] = {0, 0.5f * top, 0}, half[3] = {0.6f * step, 0.5f * top, 5};
            sm_scene_add_box(world, object, sm_scene_add_material(world, &facade), &frame, centre, half, 0);
        }
        x += step;
    }
}

/* ---- furniture ------------------------------------------------------------------------------- */

/* A place beside the road, `beyond` metres from the kerb, claimed for something of that half size. */
static bool roadside_place(sm_scene_world *world, int side, float beyond, float ahead, float half_size, float heading,
                           sm_scene_frame *frame)
{
    const sm_scene_street *street = &world->street;
    float lateral = street->kerb[side] + (side ? beyond : -beyond);
    float margin = ahead > street->junction_begin - 0.5f && ahead < street->junction_end + 0.5f;
    if (margin > 0 || !sm_scene_claim(world, lateral, ahead, half_size, half_size)) {
        return false;
    }
    *frame = sm_scene_street_frame(world, lateral, ahead, street->kerb_height, heading);
    return true;
}

static void add_furniture(sm_scene_world *world, int side)
{
    const sm_scene_street *street = &world->street;
    sm_scene_frame frame;
    float towards_road = side ? -1.0f : 1.0f;
    float spacing = sm_scene_range(world, 14, 30);
    for (float z = sm_scene_range(world, 5, 18); z < 80; z += spacing) {
        if (roadside_place(world, side, 0.5f, z, 0.2f, 0, &frame)) {
            sm_scene_add_lamp_post(world, &frame, towards_road);
        }
    }
    int signs = sm_scene_count(world, 0, 3);
    for (int i = 0; i < signs; i++) {
        float z = sm_scene_range(world, 5, 40), turn = sm_scene_range(world, -0.3f, 0.3f);
        if (roadside_place(world, side, sm_scene_range(world, 0.3f, 1.0f), z, 0.3f, turn, &frame)) {
            sm_scene_add_sign(world, &frame);
        }
    }
    bool junction = street->junction_end > street->junction_begin;
    if (sm_scene_chance(world, junction ? 0.8f : 0.3f)) {
        float z = junction ? street->junction_begin - 0.8f : sm_scene_range(world, 9, 32);
        if (roadside_place(world, side, 0.45f, z, 0.2f, sm_scene_range(world, -0.15f, 0.15f), &frame)) {
            sm_scene_add_traffic_light(world, &frame, towards_road);
        }
    }
    if (sm_scene_chance(world, 0.45f)) {
        float step = sm_scene_range(world, 7, 14), beyond = sm_scene_range(world, 0.7f, 1.2f);
        float height = sm_scene_range(world, 4, 8);
        for (float z = sm_scene_range(world, 7, 16); z < 80; z += step) {
            if (roadside_place(world, side, beyond, z, 0.3f, 0, &frame)) {
                sm_scene_add_tree(world, &frame, height * sm_scene_range(world, 0.85f, 1.15f), height * 0.3f);
            }
        }
    }
    int boxes = sm_scene_count(world, 0, 3);
    for (int i = 0; i < boxes; i++) {
        float beyond = sm_scene_range(world, 0.6f, 3.5f), z = sm_scene_range(world, 6, 35);
        if (roadside_place(world, side, beyond, z, 0.6f, sm_scene_range(world, -0.5f, 0.5f), &frame)) {
            sm_scene_add_clutter(world, &frame);
        }
    }
}

/* ---- traffic --------------------------------------------------------------------------------- */

static const float BACKWARDS = 3.14159265f;

static void try_vehicle(sm_scene_world *world, sm_scene_vehicle kind, float lateral, float ahead, float heading)
{
    sm_scene_vehicle_plan plan = sm_scene_plan_vehicle(world, kind);
    float middle = ahead + plan.half_length;
    if (sm_scene_claim(world, lateral, middle, plan.half_width + 0.15f, plan.half_length + 0.4f)) {
        sm_scene_frame frame = sm_scene_street_frame(world, lateral, middle, 0, heading);
        sm_scene_add_vehicle(world, &frame, &plan);
    }
}

static sm_scene_vehicle any_vehicle(sm_scene_world *world, float truck, float bus)
{
    float choice = sm_scene_range(world, 0, 1);
    return choice < truck ? SM_VEHICLE_TRUCK : choice < truck + bus ? SM_VEHICLE_BUS : SM_VEHICLE_CAR;
}

static void add_parked(sm_scene_world *world, int side)
{
    const sm_scene_street *street = &world->street;
    if (!street->parking[side]) {
        return;
    }
    float lateral = street->kerb[side] + (side ? -1.1f : 1.1f);
    float density = sm_scene_range(world, 0.3f, 0.9f);
    for (float z = sm_scene_range(world, 5, 9); z < 60; z += 6) {
        bool junction = z + 6 > street->junction_begin && z < street->junction_end + 2;
        if (!junction && sm_scene_chance(world, density)) {
            float heading =
                (side || sm_scene_chance(world, 0.3f) ? 0 : BACKWARDS) + sm_scene_range(world, -0.04f, 0.04f);
            try_vehicle(world, sm_scene_chance(world, 0.05f) ? SM_VEHICLE_TRUCK : SM_VEHICLE_CAR, lateral, z, heading);
        }
    }
}

static void add_traffic(sm_scene_world *world)
{
    const sm_scene_street *street = &world->street;
    float left_lane = street->kerb[0] + (street->parking[0] ? 3.9f : 1.7f);
    if (sm_scene_chance(world, 0.03f)) {
        try_vehicle(world, SM_VEHICLE_TRAM, -3.4f, sm_scene_range(world, 12, 30), BACKWARDS);
    }
    if (sm_scene_chance(world, 0.6f)) {
        sm_scene_vehicle kind = any_vehicle(world, 0.12f, 0.1f);
        float heading = sm_scene_range(world, -0.05f, 0.05f), z = sm_scene_range(world, 9, 35);
        float lateral = sm_scene_range(world, -0.3f, 0.3f);
        try_vehicle(world, kind, lateral, z, heading);
    }
    int oncoming = sm_scene_count(world, 0, 4);
    for (int i = 0; i < oncoming; i++) {
        sm_scene_vehicle kind = any_vehicle(world, 0.12f, 0.12f);
        float lateral = left_lane < -3.2f ? sm_scene_range(world, left_lane, -3.2f) : -3.2f;
        float z = sm_scene_range(world, 8, 60);
        try_vehicle(world, kind, lateral, z, BACKWARDS + sm_scene_range(world, -0.04f, 0.04f));
    }
    if (street->junction_end > street->junction_begin) {
        int crossing = sm_scene_count(world, 0, 2);
        for (int i = 0; i < crossing; i++) {
            sm_scene_vehicle_plan plan = sm_scene_plan_vehicle(world, any_vehicle(world, 0.1f, 0.12f));
            float z = sm_mix(street->junction_begin, street->junction_end, sm_scene_chance(world, 0.5f) ? 0.3f : 0.7f);
            float lateral = sm_scene_range(world, -14, 14);
            if (sm_scene_claim(world, lateral, z, plan.half_length + 0.3f, plan.half_width + 0.2f)) {
                float heading = sm_scene_chance(world, 0.5f) ? 1.5708f : -1.5708f;
                sm_scene_frame frame =
                    sm_scene_street_frame(world, lateral, z, 0, heading + sm_scene_range(world, -0.1f, 0.1f));
                sm_scene_add_vehicle(world, &frame, &plan);
            }
        }
    }
}

static void add_two_wheelers(sm_scene_world *world)
{
    sm_scene_frame frame;
    int moving = sm_scene_count(world, 0, 3);
    for (int i = 0; i < moving; i++) {
        bool ours = sm_scene_chance(world, 0.65f), motorcycle = sm_scene_chance(world, 0.35f);
        float z = sm_scene_range(world, 6.5f, 26);
        float lateral = ours ? sm_scene_range(world, 0.9f, 2.0f) : sm_scene_range(world, -4.0f, -2.6f);
        if (sm_scene_claim(world, lateral, z, 0.4f, 1.0f)) {
            float heading = (ours ? 0 : BACKWARDS) + sm_scene_range(world, -0.35f, 0.35f);
            frame = sm_scene_street_frame(world, lateral, z, 0, heading);
            sm_scene_add_two_wheeler(world, &frame, motorcycle, true);
        }
    }
    for (int side = 0; side < 2; side++) {
        int parked = sm_scene_count(world, 0, 2);
        float z = sm_scene_range(world, 6, 22), heading = sm_scene_range(world, 0, 6.28f);
        bool motorcycle = sm_scene_chance(world, 0.35f);
        for (int i = 0; i < parked; i++) {
            if (roadside_place(world, side, sm_scene_range(world, 0.9f, 1.5f), z, 0.5f, heading, &frame)) {
                sm_scene_add_two_wheeler(world, &frame, motorcycle, false);
            }
            z += 1.1f;
        }
    }
}

static void add_people(sm_scene_world *world)
{
    const sm_scene_street *street = &world->street;
    for (int side = 0; side < 2; side++) {
        int groups = sm_scene_count(world, 1, 5);
        float walk = fabsf(street->building_line[side] - street->kerb[side]);
        for (int group = 0; group < groups; group++) {
            float near = sm_scene_range(world, 0, 1), z = 5 + 30 * near * near,
                  beyond = sm_scene_range(world, 0.3f, walk - 0.3f);
            float heading = (sm_scene_chance(world, 0.5f) ? 0 : BACKWARDS) + sm_scene_range(world, -0.3f, 0.3f);
            int size = 1 + (sm_scene_chance(world, 0.35f) ? sm_scene_below(world, 3) : 0);
            for (int i = 0; i < size; i++) {
                sm_scene_frame frame;
                if (roadside_place(world, side, beyond, z, 0.27f, heading, &frame)) {
                    sm_scene_add_person(world, &frame);
                }
                z += sm_scene_range(world, 0.5f, 0.9f);
                beyond += sm_scene_range(world, -0.4f, 0.4f);
            }
        }
    }
    int crossing = sm_scene_count(world, 0, 2);
    for (int i = 0; i < crossing; i++) {
        float lateral = sm_scene_range(world, -4, 3), z = sm_scene_range(world, 7, 24);
        if (sm_scene_claim(world, lateral, z, 0.3f, 0.3f)) {
            float heading = (sm_scene_chance(world, 0.5f) ? 1.57f : -1.57f) + sm_scene_range(world, -0.4f, 0.4f);
            sm_scene_frame frame = sm_scene_street_frame(world, lateral, z, 0, heading);
            sm_scene_add_person(world, &frame);
        }
    }
}

void sm_scene_world_build(sm_scene_world *world, const sm_scene_options *options, uint64_t index)
{
    *world = (sm_scene_world){.difficulty = (float)options->difficulty,
                              .random = sm_random_new(options->seed, index, SM_DRAWS_LAYOUT)};
    set_camera(world, options);
    set_light(world);
    set_cross_section(world);
    add_grounds(world);
    add_traffic(world);
    add_two_wheelers(world);
    for (int side = 0; side < 2; side++) {
        add_parked(world, side);
        add_furniture(world, side);
    }
    add_people(world);
    for (int side = 0; side < 2; side++) {
        add_side(world, side);
    }
    add_far_end(world);
}
