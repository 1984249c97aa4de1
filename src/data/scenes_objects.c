/* What stands, drives and walks in the street, built from blocks, ellipsoids and cylinders. Every function draws its
 * own sizes and colours; metres throughout. */
#include "data/scenes_world.h"

#include <math.h>
#include <stddef.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/* Colours as displayed, 0..1. */
static const float CAR_COLOURS[][3] = {{0.12f, 0.12f, 0.13f}, {0.30f, 0.31f, 0.33f}, {0.55f, 0.56f, 0.58f},
                                       {0.82f, 0.82f, 0.82f}, {0.14f, 0.19f, 0.36f}, {0.45f, 0.10f, 0.10f},
                                       {0.20f, 0.30f, 0.24f}, {0.48f, 0.42f, 0.33f}};
static const float COACH_COLOURS[][3] = {
    {0.80f, 0.72f, 0.15f}, {0.70f, 0.16f, 0.15f}, {0.82f, 0.82f, 0.80f}, {0.20f, 0.35f, 0.60f}, {0.25f, 0.50f, 0.38f}};
static const float CARGO_COLOURS[][3] = {
    {0.80f, 0.80f, 0.78f}, {0.62f, 0.62f, 0.64f}, {0.25f, 0.35f, 0.55f}, {0.70f, 0.45f, 0.15f}, {0.35f, 0.42f, 0.32f}};
static const float CLOTHES[][3] = {{0.15f, 0.15f, 0.18f}, {0.20f, 0.24f, 0.40f}, {0.55f, 0.18f, 0.18f},
                                   {0.70f, 0.68f, 0.62f}, {0.30f, 0.38f, 0.26f}, {0.45f, 0.36f, 0.27f},
                                   {0.65f, 0.50f, 0.20f}, {0.35f, 0.35f, 0.38f}};
static const float SKIN[][3] = {{0.80f, 0.62f, 0.52f}, {0.68f, 0.50f, 0.40f}, {0.45f, 0.32f, 0.25f}};
static const float HAIR[][3] = {
    {0.15f, 0.12f, 0.10f}, {0.35f, 0.25f, 0.16f}, {0.60f, 0.52f, 0.38f}, {0.50f, 0.50f, 0.50f}};
static const float LEAVES[][3] = {
    {0.22f, 0.32f, 0.14f}, {0.28f, 0.38f, 0.18f}, {0.36f, 0.40f, 0.18f}, {0.18f, 0.27f, 0.16f}};
static const float BARK[][3] = {{0.28f, 0.23f, 0.18f}, {0.36f, 0.32f, 0.27f}};
static const float METAL[][3] = {
    {0.42f, 0.43f, 0.44f}, {0.30f, 0.31f, 0.32f}, {0.25f, 0.30f, 0.26f}, {0.55f, 0.55f, 0.54f}};
static const float DARK[][3] = {{0.12f, 0.12f, 0.12f}, {0.16f, 0.17f, 0.16f}};
static const float FRAMES[][3] = {
    {0.15f, 0.15f, 0.16f}, {0.50f, 0.15f, 0.15f}, {0.20f, 0.30f, 0.50f}, {0.60f, 0.60f, 0.60f}};
static const float SIGN_RED[][3] = {{0.75f, 0.12f, 0.12f}};
static const float SIGN_BLUE[][3] = {{0.12f, 0.28f, 0.62f}};
static const float SIGN_YELLOW[][3] = {{0.85f, 0.70f, 0.12f}};
static const float SIGN_WHITE[][3] = {{0.88f, 0.88f, 0.86f}};
static const float CLUTTER[][3] = {
    {0.25f, 0.35f, 0.25f}, {0.50f, 0.48f, 0.44f}, {0.65f, 0.35f, 0.15f}, {0.20f, 0.25f, 0.40f}, {0.70f, 0.70f, 0.68f}};

static int plain_material(sm_scene_world *world, const float (*palette)[3], int count, float gloss)
{
    sm_scene_material material = sm_scene_new_material(world, sm_scene_texture_plain, palette, count);
    material.size[0] = gloss;
    return sm_scene_add_material(world, &material);
}

/* ---- vehicles -------------------------------------------------------------------------------- */

typedef struct sm_scene_car_model {
    float length, width, height, belt, wheel;
    float cabin_back, cabin_front, roof_back, roof_front; /* from the middle */
    bool closed_sides;
} sm_scene_car_model;

static const sm_scene_car_model car_models[] = {
    /* length width height belt wheel  cabin back, front  roof back, front  closed */
    {4.60f, 1.80f, 1.44f, 0.88f, 0.32f, -1.75f, 1.00f, -1.10f, 0.25f, false}, /* saloon */
    {3.95f, 1.72f, 1.50f, 0.90f, 0.30f, -1.90f, 0.95f, -1.65f, 0.25f, false}, /* hatchback */
    {4.55f, 1.80f, 1.48f, 0.88f, 0.32f, -2.20f, 1.00f, -1.95f, 0.30f, false}, /* estate */
    {4.60f, 1.88f, 1.72f, 1.02f, 0.37f, -2.20f, 1.00f, -1.95f, 0.30f, false}, /* off-roader */
    {4.80f, 1.95f, 1.98f, 1.08f, 0.33f, -2.38f, 1.75f, -2.30f, 0.95f, false}, /* minibus */
    {5.20f, 2.00f, 2.30f, 1.15f, 0.34f, -2.58f, 1.95f, -2.55f, 1.25f, true},  /* delivery van */
};

/* size of trucks, buses and trams: half width, half length */
sm_scene_vehicle_plan sm_scene_plan_vehicle(sm_scene_world *world, sm_scene_vehicle kind)
{
    sm_scene_vehicle_plan plan = {.kind = kind, .half_width = 1.25f};
    if (kind == SM_VEHICLE_CAR) {
        plan.model = sm_scene_below(world, COUNT_OF(car_models));
        plan.half_width = 0.5f * car_models[plan.model].width;
        plan.half_length = 0.5f * car_models[plan.model].length;
    } else if (kind == SM_VEHICLE_TRUCK) {
        plan.half_length = sm_scene_range(world, 3.2f, 5.0f);
        plan.half_width = 1.2f;
    } else {
        plan.half_length = kind == SM_VEHICLE_BUS ? sm_scene_range(world, 5.0f, 6.2f) : sm_scene_range(world, 10, 15);
    }
    return plan;
}

static void add_wheels(sm_scene_world *world, int object, const sm_scene_frame *frame, float half_width, float front,
                       float back, float radius)
{
    int wheel = -1;
    sm_scene_material material = sm_scene_new_material(world, sm_scene_texture_wheel, METAL, COUNT_OF(METAL));
    wheel = sm_scene_add_material(world, &material);
    for (int i = 0; i < 4; i++) {
        float side = i & 1 ? 1.0f : -1.0f;
        float z = i & 2 ? front : back;
        float outer[3] = {side * (half_width + 0.01f), radius, z}, inner[3] = {side * (half_width - 0.24f), radius, z};
        sm_scene_add_limb(world, object, wheel, frame, SM_SHAPE_CYLINDER, inner, outer, radius, SM_MASK_NONE, 0);
    }
}

static void add_car(sm_scene_world *world, const sm_scene_frame *frame, const sm_scene_car_model *model)
{
    int object = sm_scene_add_object(world, SM_CAR);
    float half_width = 0.5f * model->width, half_length = 0.5f * model->length;
    float front_axle = half_length - 0.85f, back_axle = -half_length + 0.85f;

    sm_scene_material paint =
        sm_scene_new_material(world, sm_scene_texture_car_body, CAR_COLOURS, COUNT_OF(CAR_COLOURS));
    const float body_size[6] = {half_length, half_width, model->belt, model->wheel, front_axle, back_axle};
    for (int i = 0; i < 6; i++) {
        paint.size[i] = body_size[i];
    }
    sm_scene_material cabin = paint;
    cabin.texture = sm_scene_texture_car_cabin;
    const float cabin_size[5] = {model->belt, model->height, half_width,
                                 model->closed_sides ? 0.45f : -0.2f + 0.2f * model->roof_front,
                                 model->closed_sides ? 1 : 0};
    for (int i = 0; i < 5; i++) {
        cabin.size[i] = cabin_size[i];
    }
    int paint_number = sm_scene_add_material(world, &paint);
    int cabin_number = sm_scene_add_material(world, &cabin);

    sm_scene_block lower = {0,
                            half_width,
                            half_width - 0.02f,
                            0.2f,
                            model->belt * 0.75f,
                            -half_length + 0.12f,
                            half_length - 0.15f,
                            -half_length,
                            half_length};
    sm_scene_block upper = {
        0,           half_width - 0.02f,  half_width - 0.1f, model->belt * 0.75f, model->belt, -half_length,
        half_length, -half_length + 0.1f, half_length - 0.3f};
    sm_scene_block glass = {0,
                            half_width - 0.08f,
                            half_width - 0.26f,
                            model->belt,
                            model->height,
                            model->cabin_back,
                            model->cabin_front,
                            model->roof_back,
                            model->roof_front};
    if (model->closed_sides) {
        glass.half_width_top = half_width - 0.14f;
    }
    sm_scene_add_block(world, object, paint_number, frame, &lower, SM_SHADOW_SUN | SM_SHADOW_SKY);
    sm_scene_add_block(world, object, paint_number, frame, &upper, SM_SHADOW_SUN);
    sm_scene_add_block(world, object, cabin_number, frame, &glass, SM_SHADOW_SUN);
    add_wheels(world, object, frame, half_width, front_axle, back_axle, model->wheel);
}

static void add_truck(sm_scene_world *world, const sm_scene_frame *frame, const sm_scene_vehicle_plan *plan)
{
    int object = sm_scene_add_object(world, SM_TRUCK);
    float half_length = plan->half_length, half_width = plan->half_width;
    float cargo_top = sm_scene_range(world, 2.9f, 3.7f), cab_top = sm_scene_range(world, 2.3f, 2.8f);

    sm_scene_material cargo =
        sm_scene_new_material(world, sm_scene_texture_coach, CARGO_COLOURS, COUNT_OF(CARGO_COLOURS));
    cargo.size[6] = sm_scene_range(world, 0, 2);
    sm_scene_material cab =
        sm_scene_new_material(world, sm_scene_texture_coach, COACH_COLOURS, COUNT_OF(COACH_COLOURS));
    const float cab_size[7] = {half_length, half_width, 1.5f, cab_top - 0.3f, cab_top, 1.2f, 0.5f};
    for (int i = 0; i < 7; i++) {
        cab.size[i] = cab_size[i];
    }
    int cargo_number = sm_scene_add_material(world, &cargo);
    int cab_number = sm_scene_add_material(world, &cab);
    int chassis = plain_material(world, DARK, COUNT_OF(DARK), 0);

    float back = -half_length, split = half_length - 1.9f;
    sm_scene_block box = {0, half_width, half_width, 0.95f, cargo_top, back, split, back, split};
    sm_scene_block cabin = {0,           half_width - 0.05f, half_width - 0.1f,  0.4f, cab_top, split + 0.1f,
                            half_length, split + 0.1f,       half_length - 0.25f};
    sm_scene_block beam = {0,           half_width - 0.2f, half_width - 0.2f, 0.5f,        0.95f,
                           back + 0.1f, split + 0.1f,      back + 0.1f,       split + 0.1f};
    sm_scene_add_block(world, object, cargo_number, frame, &box, SM_SHADOW_SUN | SM_SHADOW_SKY);
    sm_scene_add_block(world, object, cab_number, frame, &cabin, SM_SHADOW_SUN | SM_SHADOW_SKY);
    sm_scene_add_block(world, object, chassis, frame, &beam, 0);
    add_wheels(world, object, frame, half_width, half_length - 1.0f, back + 1.3f, 0.48f);
}

static void add_coach(sm_scene_world *world, const sm_scene_frame *frame, const sm_scene_vehicle_plan *plan)
{
    bool tram = plan->kind == SM_VEHICLE_TRAM;
    int object = sm_scene_add_object(world, tram ? SM_TRAIN : SM_BUS);
    float half_length = plan->half_length, half_width = plan->half_width;
    float top = tram ? 3.4f : 3.05f;
    sm_scene_material side =
        sm_scene_new_material(world, sm_scene_texture_coach, COACH_COLOURS, COUNT_OF(COACH_COLOURS));
    const float size[7] = {
        half_length, half_width, 1.25f, top - 0.7f, top, tram ? 1.9f : 1.5f, sm_scene_range(world, 0.3f, 1.1f)};
    for (int i = 0; i < 7; i++) {
        side.size[i] = size[i];
    }
    int number = sm_scene_add_material(world, &side);
    float nose = tram ? 0.7f : 0.15f;
    sm_scene_block body = {0,           half_width,          half_width - 0.06f, 0.3f, top, -half_length,
                           half_length, -half_length + nose, half_length - nose};
    sm_scene_add_block(world, object, number, frame, &body, SM_SHADOW_SUN | SM_SHADOW_SKY);
    if (!tram) {
        add_wheels(world, object, frame, half_width, half_length - 2.4f, -half_length + 2.9f, 0.48f);
    }
}

void sm_scene_add_vehicle(sm_scene_world *world, const sm_scene_frame *frame, const sm_scene_vehicle_plan *plan)
{
    if (plan->kind == SM_VEHICLE_CAR) {
        add_car(world, frame, &car_models[plan->model]);
    } else if (plan->kind == SM_VEHICLE_TRUCK) {
        add_truck(world, frame, plan);
    } else {
        add_coach(world, frame, plan);
    }
}

/* ---- people ---------------------------------------------------------------------------------- */

typedef struct sm_scene_body {
    int object, jacket, trousers, skin, hair;
    float height;
} sm_scene_body;

static sm_scene_body new_body(sm_scene_world *world, int semantic, float height)
{
    sm_scene_body body = {.object = sm_scene_add_object(world, semantic), .height = height};
    body.jacket = plain_material(world, CLOTHES, COUNT_OF(CLOTHES), 0);
    body.trousers = plain_material(world, CLOTHES, COUNT_OF(CLOTHES), 0);
    body.skin = plain_material(world, SKIN, COUNT_OF(SKIN), 0);
    body.hair = plain_material(world, HAIR, COUNT_OF(HAIR), 0);
    return body;
}

/* A limb between two points given in shares of the body's height. */
static void add_body_limb(sm_scene_world *world, const sm_scene_body *body, int material, const sm_scene_frame *frame,
                          const float from[3], const float to[3], float radius, int shadows)
{
    float a[3], b[3];
    for (int k = 0; k < 3; k++) {
        a[k] = body->height * (from[k] - 0.08f * (to[k] - from[k]));
        b[k] = body->height * (to[k] + 0.08f * (to[k] - from[k]));
    }
    sm_scene_add_limb(world, body->object, material, frame, SM_SHAPE_ELLIPSOID, a, b, body->height * radius,
                      SM_MASK_NONE, shadows);
}

static void add_head(sm_scene_world *world, const sm_scene_body *body, const sm_scene_frame *frame, float y, float z)
{
    float h = body->height;
    const float centre[3] = {0, h * y, h * z}, half[3] = {0.048f * h, 0.07f * h, 0.056f * h};
    const float hair_centre[3] = {0, h * (y + 0.022f), h * (z - 0.014f)},
                hair_half[3] = {0.053f * h, 0.058f * h, 0.056f * h};
    sm_scene_add_ellipsoid(world, body->object, body->skin, frame, centre, half, SM_MASK_NONE, 0);
    sm_scene_add_ellipsoid(world, body->object, body->hair, frame, hair_centre, hair_half, SM_MASK_NONE, 0);
}

void sm_scene_add_person(sm_scene_world *world, const sm_scene_frame *frame)
{
    float height =
        sm_scene_chance(world, 0.12f) ? sm_scene_range(world, 1.0f, 1.4f) : sm_scene_range(world, 1.58f, 1.92f);
    sm_scene_body body = new_body(world, SM_PERSON, height);
    float stride = sm_scene_chance(world, 0.75f) ? sm_scene_range(world, 0.06f, 0.15f) : 0.01f;
    float girth = sm_scene_range(world, 0.9f, 1.2f);
    bool coat = sm_scene_chance(world, 0.25f);
    for (int side = -1; side <= 1; side += 2) {
        float x = (float)side;
        const float hip[3] = {0.05f * x, 0.5f, 0}, foot[3] = {0.05f * x, 0.04f, stride * x};
        const float shoulder[3] = {0.125f * x * girth, 0.79f, 0},
                    hand[3] = {0.15f * x * girth, 0.47f, -0.8f * stride * x};
        add_body_limb(world, &body, body.trousers, frame, hip, foot, 0.046f * girth, SM_SHADOW_SUN);
        add_body_limb(world, &body, body.jacket, frame, shoulder, hand, 0.034f * girth, 0);
    }
    float low = coat ? 0.33f : 0.46f;
    const float torso[3] = {0, 0.5f * (low + 0.85f) * height, 0};
    const float torso_half[3] = {0.125f * girth * height, 0.5f * (0.87f - low) * height, 0.075f * girth * height};
    sm_scene_add_ellipsoid(world, body.object, body.jacket, frame, torso, torso_half, SM_MASK_NONE,
                           SM_SHADOW_SUN | SM_SHADOW_SKY);
    add_head(world, &body, frame, 0.93f, 0.01f);
    if (sm_scene_chance(world, 0.3f)) {
        int bag = plain_material(world, CLOTHES, COUNT_OF(CLOTHES), 0);
        const float back[3] = {0, 0.7f * height, -0.11f * height},
                    half[3] = {0.08f * height, 0.11f * height, 0.055f * height};
        sm_scene_add_ellipsoid(world, body.object, bag, frame, back, half, SM_MASK_NONE, 0);
    }
}

/* Sits at `saddle`, hands at `handle`, feet near the ground between the wheels. */
static void add_rider(sm_scene_world *world, const sm_scene_frame *frame, const float saddle[3], const float handle[3])
{
    sm_scene_body body = new_body(world, SM_RIDER, sm_scene_range(world, 1.62f, 1.88f));
    float h = body.height;
    float pedal = sm_scene_range(world, -0.1f, 0.1f);
    float y = saddle[1] / h, z = saddle[2] / h;
    for (int side = -1; side <= 1; side += 2) {
        float x = (float)side;
        const float hip[3] = {0.06f * x, y + 0.03f, z}, knee[3] = {0.07f * x, y - 0.1f + pedal * x, z + 0.22f};
        const float foot[3] = {0.06f * x, y - 0.36f + pedal * x, z + 0.14f};
        const float shoulder[3] = {0.12f * x, y + 0.33f, z + 0.12f},
                    hand[3] = {0.14f * x, handle[1] / h, handle[2] / h};
        add_body_limb(world, &body, body.trousers, frame, hip, knee, 0.05f, 0);
        add_body_limb(world, &body, body.trousers, frame, knee, foot, 0.04f, 0);
        add_body_limb(world, &body, body.jacket, frame, shoulder, hand, 0.034f, 0);
    }
    const float low[3] = {0, y - 0.02f, z - 0.02f}, high[3] = {0, y + 0.36f, z + 0.12f};
    add_body_limb(world, &body, body.jacket, frame, low, high, 0.115f, SM_SHADOW_SUN | SM_SHADOW_SKY);
    add_head(world, &body, frame, y + 0.46f, z + 0.16f);
}

/* ---- two wheels ------------------------------------------------------------------------------ */

void sm_scene_add_two_wheeler(sm_scene_world *world, const sm_scene_frame *frame, bool motorcycle, bool with_rider)
{
    int object = sm_scene_add_object(world, motorcycle ? SM_MOTORCYCLE : SM_BICYCLE);
    float radius = motorcycle ? 0.31f : 0.34f, axle = motorcycle ? 0.7f : 0.53f,
          half_tyre = motorcycle ? 0.07f : 0.025f;
    int rubber = plain_material(world, DARK, COUNT_OF(DARK), 0);
    int paint = motorcycle ? plain_material(world, CAR_COLOURS, COUNT_OF(CAR_COLOURS), 0.15f)
                           : plain_material(world, FRAMES, COUNT_OF(FRAMES), 0.05f);
    float tube = motorcycle ? 0.05f : 0.03f;
    const float saddle[3] = {0, motorcycle ? 0.82f : 0.95f, -0.2f};
    const float handle[3] = {0, motorcycle ? 1.02f : 1.05f, motorcycle ? 0.42f : 0.36f};
    const float crank[3] = {0, 0.3f, 0.02f}, back_hub[3] = {0, radius, -axle}, front_hub[3] = {0, radius, axle};
    for (int side = -1; side <= 1; side += 2) {
        float z = (float)side * axle;
        const float left[3] = {-half_tyre, radius, z}, right[3] = {half_tyre, radius, z};
        sm_scene_add_limb(world, object, rubber, frame, SM_SHAPE_CYLINDER, left, right, radius,
                          motorcycle ? SM_MASK_NONE : SM_MASK_SPOKES, SM_SHADOW_SUN);
    }
    const float *tubes[][2] = {{crank, saddle},   {crank, handle},     {saddle, back_hub},
                               {crank, back_hub}, {handle, front_hub}, {saddle, handle}};
    for (int i = 0; i < COUNT_OF(tubes); i++) {
        sm_scene_add_limb(world, object, paint, frame, SM_SHAPE_CYLINDER, tubes[i][0], tubes[i][1], tube, SM_MASK_NONE,
                          SM_SHADOW_SUN);
    }
    const float left_grip[3] = {-0.3f, handle[1], handle[2]}, right_grip[3] = {0.3f, handle[1], handle[2]};
    const float seat_half[3] = {0.09f, 0.05f, motorcycle ? 0.35f : 0.13f};
    sm_scene_add_limb(world, object, rubber, frame, SM_SHAPE_CYLINDER, left_grip, right_grip, tube, SM_MASK_NONE, 0);
    sm_scene_add_ellipsoid(world, object, rubber, frame, saddle, seat_half, SM_MASK_NONE, 0);
    if (motorcycle) {
        const float tank[3] = {0, 0.78f, 0.2f}, tank_half[3] = {0.17f, 0.18f, 0.34f};
        const float engine[3] = {0, 0.42f, 0.02f}, engine_half[3] = {0.17f, 0.2f, 0.3f};
        const float lamp[3] = {0, 0.9f, 0.5f}, lamp_half[3] = {0.12f, 0.14f, 0.1f};
        sm_scene_add_ellipsoid(world, object, paint, frame, tank, tank_half, SM_MASK_NONE, SM_SHADOW_SUN);
        sm_scene_add_box(world, object, rubber, frame, engine, engine_half, SM_SHADOW_SUN | SM_SHADOW_SKY);
        sm_scene_add_ellipsoid(world, object, paint, frame, lamp, lamp_half, SM_MASK_NONE, 0);
    }
    if (with_rider) {
        add_rider(world, frame, saddle, handle);
    }
}

/* ---- plants ---------------------------------------------------------------------------------- */

static int leaves_material(sm_scene_world *world, float features)
{
    sm_scene_material leaves = sm_scene_new_material(world, sm_scene_texture_leaves, LEAVES, COUNT_OF(LEAVES));
    leaves.size[0] = features;
    return sm_scene_add_material(world, &leaves);
}

void sm_scene_add_tree(sm_scene_world *world, const sm_scene_frame *frame, float height, float crown)
{
    int object = sm_scene_add_object(world, SM_VEGETATION);
    int leaves = leaves_material(world, 3);
    int bark = plain_material(world, BARK, COUNT_OF(BARK), 0);
    float radius = sm_scene_range(world, 0.1f, 0.2f) * (0.5f + 0.08f * height);
    float middle = height - 0.9f * crown;
    const float root[3] = {0, 0, 0}, fork[3] = {0, middle, 0};
    sm_scene_add_limb(world, object, bark, frame, SM_SHAPE_CYLINDER, root, fork, radius, SM_MASK_NONE, SM_SHADOW_SUN);
    int clusters = 4 + sm_scene_below(world, 4);
    for (int i = 0; i < clusters; i++) {
        float share = (float)i / (float)clusters, size = sm_scene_range(world, 0.45f, 0.75f) * crown;
        float angle = 6.2832f * (share + 0.1f * sm_scene_range(world, 0, 1));
        float out = i == 0 ? 0 : sm_scene_range(world, 0.3f, 0.6f) * crown;
        const float centre[3] = {out * (float)cos((double)angle), middle + sm_scene_range(world, -0.35f, 0.5f) * crown,
                                 out * (float)sin((double)angle)};
        const float half[3] = {size, 0.85f * size, size};
        sm_scene_add_ellipsoid(world, object, leaves, frame, centre, half, SM_MASK_LEAVES, i < 2 ? SM_SHADOW_SUN : 0);
    }
}

void sm_scene_add_bush(sm_scene_world *world, const sm_scene_frame *frame, float half_width, float height)
{
    int object = sm_scene_add_object(world, SM_VEGETATION);
    int leaves = leaves_material(world, 2.5f);
    int clusters = 2 + sm_scene_below(world, 3);
    for (int i = 0; i < clusters; i++) {
        float top = sm_scene_range(world, 0.6f, 1.0f) * height;
        float x = sm_scene_range(world, -0.6f, 0.6f) * half_width;
        float z = sm_scene_range(world, -0.4f, 0.4f) * half_width;
        const float centre[3] = {x, 0.45f * top, z};
        float wide = sm_scene_range(world, 0.5f, 0.9f) * half_width;
        const float half[3] = {wide, 0.55f * top, wide};
        sm_scene_add_ellipsoid(world, object, leaves, frame, centre, half, SM_MASK_LEAVES,
                               i == 0 ? SM_SHADOW_SUN | SM_SHADOW_SKY : 0);
    }
}

/* ---- street furniture ------------------------------------------------------------------------ */

static int add_post(sm_scene_world *world, int object, const sm_scene_frame *frame, float height, float radius)
{
    int metal = plain_material(world, METAL, COUNT_OF(METAL), 0.05f);
    const float foot[3] = {0, 0, 0}, top[3] = {0, height, 0};
    sm_scene_add_limb(world, object, metal, frame, SM_SHAPE_CYLINDER, foot, top, radius, SM_MASK_NONE, SM_SHADOW_SUN);
    return metal;
}

void sm_scene_add_lamp_post(sm_scene_world *world, const sm_scene_frame *frame, float towards_road)
{
    int object = sm_scene_add_object(world, SM_POLE);
    float height = sm_scene_range(world, 4.5f, 9), reach = towards_road * sm_scene_range(world, 0.6f, 2.0f);
    int metal = add_post(world, object, frame, height, sm_scene_range(world, 0.09f, 0.18f));
    const float bend[3] = {0, height, 0}, end[3] = {reach, height + 0.2f, 0};
    const float lamp[3] = {reach, height + 0.18f, 0}, half[3] = {0.4f, 0.09f, 0.16f};
    sm_scene_add_limb(world, object, metal, frame, SM_SHAPE_CYLINDER, bend, end, 0.06f, SM_MASK_NONE, 0);
    sm_scene_add_ellipsoid(world, object, metal, frame, lamp, half, SM_MASK_NONE, 0);
}

typedef struct sm_scene_sign_model {
    const float (*border)[3];
    const float (*field)[3];
    float kind; /* of sm_scene_texture_sign */
    enum { DISC, TRIANGLE, PANEL } shape;
} sm_scene_sign_model;

static const sm_scene_sign_model sign_models[] = {
    {SIGN_RED, SIGN_WHITE, 0, DISC},     {SIGN_BLUE, SIGN_WHITE, 1, DISC},    {SIGN_RED, SIGN_WHITE, 1, DISC},
    {SIGN_RED, SIGN_WHITE, 0, TRIANGLE}, {SIGN_YELLOW, SIGN_WHITE, 0, PANEL}, {SIGN_BLUE, SIGN_WHITE, 2, PANEL},
    {SIGN_YELLOW, SIGN_RED, 2, PANEL},   {SIGN_WHITE, SIGN_BLUE, 2, PANEL},
};

static void add_sign_face(sm_scene_world *world, const sm_scene_frame *frame, float middle,
                          const sm_scene_sign_model *model)
{
    int object = sm_scene_add_object(world, SM_TRAFFIC_SIGN);
    bool panel = model->shape == PANEL;
    float half_height = panel ? sm_scene_range(world, 0.22f, 0.5f) : sm_scene_range(world, 0.3f, 0.42f);
    float half_width = panel ? half_height * sm_scene_range(world, 0.8f, 1.6f) : half_height;
    sm_scene_material face = sm_scene_new_material(world, sm_scene_texture_sign, model->border, 1);
    sm_scene_pick_colour(world, model->field, 1, face.colours[1]);
    face.size[0] = half_width;
    face.size[1] = half_height;
    face.size[2] = model->kind;
    face.size[3] = model->shape == DISC ? 1 : 0;
    int number = sm_scene_add_material(world, &face);
    sm_scene_frame centre = sm_scene_frame_moved(frame, 0, middle, -0.12f);
    if (model->shape == DISC) {
        const float front[3] = {0, 0, -0.03f}, back[3] = {0, 0, 0.03f};
        sm_scene_add_limb(world, object, number, &centre, SM_SHAPE_CYLINDER, back, front, half_height, SM_MASK_NONE,
                          SM_SHADOW_SUN);
    } else {
        sm_scene_block block = {0,      half_width, panel ? half_width : 0, -half_height, half_height, -0.03f, 0.03f,
                                -0.03f, 0.03f};
        sm_scene_add_block(world, object, number, &centre, &block, SM_SHADOW_SUN);
    }
}

void sm_scene_add_sign(sm_scene_world *world, const sm_scene_frame *frame)
{
    int post = sm_scene_add_object(world, SM_POLE);
    float height = sm_scene_range(world, 2.2f, 3.4f);
    add_post(world, post, frame, height, sm_scene_range(world, 0.05f, 0.08f));
    const sm_scene_sign_model *model = &sign_models[sm_scene_below(world, COUNT_OF(sign_models))];
    add_sign_face(world, frame, height - 0.3f, model);
    if (sm_scene_chance(world, 0.3f)) {
        add_sign_face(world, frame, height - 1.2f, &sign_models[sm_scene_below(world, COUNT_OF(sign_models))]);
    }
}

static void add_lamp_head(sm_scene_world *world, const sm_scene_frame *frame, float x, float middle, int lit)
{
    int object = sm_scene_add_object(world, SM_TRAFFIC_LIGHT);
    sm_scene_material head = sm_scene_new_material(world, sm_scene_texture_lamp, DARK, COUNT_OF(DARK));
    float half = sm_scene_range(world, 0.45f, 0.6f);
    head.size[0] = half;
    head.size[1] = (float)lit;
    int number = sm_scene_add_material(world, &head);
    sm_scene_frame centre = sm_scene_frame_moved(frame, x, middle, -0.2f);
    const float origin[3] = {0, 0, 0}, size[3] = {0.38f * half, half, 0.14f};
    sm_scene_add_box(world, object, number, &centre, origin, size, 0);
}

void sm_scene_add_traffic_light(sm_scene_world *world, const sm_scene_frame *frame, float towards_road)
{
    int post = sm_scene_add_object(world, SM_POLE);
    int lit = sm_scene_below(world, 3);
    bool arm = sm_scene_chance(world, 0.45f);
    float height = arm ? sm_scene_range(world, 5.0f, 6.0f) : sm_scene_range(world, 2.9f, 3.6f);
    int metal = add_post(world, post, frame, height, 0.08f);
    add_lamp_head(world, frame, 0, 2.7f, lit);
    if (arm) {
        float reach = towards_road * sm_scene_range(world, 2.5f, 4.5f);
        const float from[3] = {0, height - 0.1f, 0}, to[3] = {reach, height, 0};
        sm_scene_add_limb(world, post, metal, frame, SM_SHAPE_CYLINDER, from, to, 0.06f, SM_MASK_NONE, 0);
        add_lamp_head(world, frame, reach, height - 0.2f, lit);
    }
}

void sm_scene_add_clutter(sm_scene_world *world, const sm_scene_frame *frame)
{
    int object = sm_scene_add_object(world, SM_SCENE_IGNORE);
    int material = plain_material(world, CLUTTER, COUNT_OF(CLUTTER), 0.03f);
    float half_width = sm_scene_range(world, 0.2f, 0.6f), height = sm_scene_range(world, 0.5f, 1.5f);
    if (sm_scene_chance(world, 0.4f)) {
        const float foot[3] = {0, 0, 0}, top[3] = {0, height, 0};
        sm_scene_add_limb(world, object, material, frame, SM_SHAPE_CYLINDER, foot, top, 0.8f * half_width, SM_MASK_NONE,
                          SM_SHADOW_SUN | SM_SHADOW_SKY);
    } else {
        float depth = sm_scene_range(world, 0.2f, 0.5f);
        sm_scene_block block = {
            0, half_width, sm_scene_range(world, 0.8f, 1) * half_width, 0, height, -depth, depth, -depth, depth};
        sm_scene_add_block(world, object, material, frame, &block, SM_SHADOW_SUN | SM_SHADOW_SKY);
    }
}
