/* What surfaces look like. All patterns are functions of a place on the surface, so that they stay on it in
 * perspective; whatever is finer than a pixel fades into its mean instead of flickering. */
#include "data/scenes_world.h"

#include <math.h>

/* ---- noise ----------------------------------------------------------------------------------- */

uint32_t sm_scene_hash(int32_t x, int32_t y, uint32_t seed)
{
    uint32_t h = (uint32_t)x * 0x9E3779B1u ^ ((uint32_t)y * 0x85EBCA77u + seed * 0xC2B2AE3Du);
    h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
    h = (h ^ (h >> 12)) * 0x297A2D39u;
    return h ^ (h >> 15);
}

static int32_t floored(float x)
{
    int32_t whole = (int32_t)x;
    return whole - (x < (float)whole);
}

static float fraction(float x)
{
    return x - (float)floored(x);
}

static float eased(float x)
{
    return x * x * (3 - 2 * x);
}

/* Two neighbours of a lattice row; the row's hash is shared. */
static float between_neighbours(int32_t x, uint32_t row, float share)
{
    uint32_t left = (uint32_t)x * 0x9E3779B1u + row, right = left + 0x9E3779B1u;
    left = (left ^ (left >> 15)) * 0x2C1B3C6Du;
    right = (right ^ (right >> 15)) * 0x2C1B3C6Du;
    return 0x1p-24f * sm_mix((float)(int32_t)(left >> 8), (float)(int32_t)(right >> 8), share);
}

float sm_scene_noise2(float x, float y, uint32_t seed)
{
    int32_t ix = floored(x), iy = floored(y);
    float u = eased(x - (float)ix), v = eased(y - (float)iy);
    uint32_t row = ((uint32_t)iy * 0x85EBCA77u) ^ (seed * 0xC2B2AE3Du);
    uint32_t next = (((uint32_t)iy + 1) * 0x85EBCA77u) ^ (seed * 0xC2B2AE3Du);
    return sm_mix(between_neighbours(ix, row ^ (row >> 13), u), between_neighbours(ix, next ^ (next >> 13), u), v);
}

float sm_scene_noise3(float x, float y, float z, uint32_t seed)
{
    int32_t iz = floored(z);
    float low = sm_scene_noise2(x, y, seed + (uint32_t)iz * 0x9E3779B9u);
    float high = sm_scene_noise2(x, y, seed + (uint32_t)(iz + 1) * 0x9E3779B9u);
    return sm_mix(low, high, eased(z - (float)iz));
}

/* Share of a detail of that size that is left where a pixel covers `footprint` metres. */
static float visible(float size, float footprint)
{
    return sm_clamp01(2 - 2 * footprint / size);
}

/* Centred noise of that feature size, faded with distance. */
static float grain(float x, float y, float size, float footprint, uint32_t seed)
{
    float share = visible(size, footprint);
    return share > 0 ? share * (sm_scene_noise2(x / size, y / size, seed) - 0.5f) : 0;
}

/* Share of a pixel that a stripe of half width `half` around 0 covers. */
static float stripe(float distance, float half, float footprint)
{
    float width = footprint > 0.005f ? footprint : 0.005f;
    return sm_clamp01((half - fabsf(distance)) / width + 0.5f);
}

static void set_colour(sm_scene_sample *sample, const float colour[3], float brightness)
{
    for (int k = 0; k < 3; k++) {
        sample->colour[k] = colour[k] * brightness;
    }
}

static void blend(sm_scene_sample *sample, const float colour[3], float share)
{
    for (int k = 0; k < 3; k++) {
        sample->colour[k] = sm_mix(sample->colour[k], colour[k], share);
    }
}

static const float GLASS[3] = {0.015f, 0.02f, 0.025f};
static const float RUBBER[3] = {0.012f, 0.012f, 0.013f};
static const float WHITE_LAMP[3] = {0.9f, 0.88f, 0.8f};
static const float RED_LAMP[3] = {0.55f, 0.02f, 0.02f};
static const float PLATE[3] = {0.6f, 0.6f, 0.55f};

/* ---- ground ---------------------------------------------------------------------------------- */

/* size: lateral of the middle line, of the two edge lines, dash period, share of wear, Z of a zebra crossing, kerb
 * to kerb (left, right) */
void sm_scene_texture_road(const sm_scene_material *material, sm_scene_sample *sample)
{
    float s = sample->local[0], z = sample->local[2], footprint = sample->footprint;
    const float *size = material->size;
    float patches = sm_scene_noise2(0.45f * s, 0.12f * z, material->seed);
    float brightness =
        1 + material->contrast * (0.5f * (patches - 0.5f) + 0.5f * grain(s, z, 0.12f, footprint, material->seed + 1) +
                                  0.35f * grain(s, z, 0.7f, footprint, material->seed + 2));
    brightness *= patches > 0.72f ? 0.85f : 1.0f;
    set_colour(sample, material->colours[0], brightness);

    float paint = 0;
    float zebra = fabsf(z - size[5]);
    if (zebra < 1.6f && s > size[6] && s < size[7]) {
        paint = fraction(s) < 0.5f ? visible(1.0f, footprint) + 0.5f * (1 - visible(1.0f, footprint)) : 0.0f;
    } else if (zebra > 3) {
        bool dash = size[3] <= 0 || fraction(z / size[3]) < 0.5f;
        paint = dash ? stripe(s - size[0], 0.08f, footprint) : 0;
        paint = fmaxf(paint, fmaxf(stripe(s - size[1], 0.06f, footprint), stripe(s - size[2], 0.06f, footprint)));
    }
    if (paint > 0) {
        float wear = size[4] * sm_scene_noise2(2.0f * s, 1.0f * z, material->seed + 3);
        blend(sample, material->colours[1], paint * (1 - wear));
    }
}

/* size: tile length, share of the joints */
void sm_scene_texture_paving(const sm_scene_material *material, sm_scene_sample *sample)
{
    float s = sample->local[0], z = sample->local[2], tile = material->size[0], footprint = sample->footprint;
    float stains = sm_scene_noise2(0.6f * s, 0.25f * z, material->seed);
    float brightness =
        1 + material->contrast * (0.4f * (stains - 0.5f) + 0.35f * grain(s, z, 0.15f, footprint, material->seed + 1));
    float detail = visible(tile, 2 * footprint);
    if (detail > 0) {
        float tone = (float)(sm_scene_hash(floored(s / tile), floored(z / tile), material->seed) & 255) / 255 - 0.5f;
        bool joint = fraction(s / tile) < 0.08f || fraction(z / tile) < 0.08f;
        brightness += detail * (0.2f * tone - (joint ? material->size[1] : 0));
    }
    set_colour(sample, material->colours[0], brightness);
}

void sm_scene_texture_grass(const sm_scene_material *material, sm_scene_sample *sample)
{
    float s = sample->local[0], z = sample->local[2];
    float patches = sm_scene_noise2(0.5f * s, 0.3f * z, material->seed);
    float blades = grain(s, z, 0.09f, sample->footprint, material->seed + 1) +
                   grain(s, z, 0.4f, sample->footprint, material->seed + 2);
    set_colour(sample, material->colours[0], 1 + material->contrast * 0.9f * blades);
    blend(sample, material->colours[1], eased(patches));
}

/* ---- plain and foliage ----------------------------------------------------------------------- */

/* One colour with some dirt. size: gloss, emission, size of the spots in units of the shape */
void sm_scene_texture_plain(const sm_scene_material *material, sm_scene_sample *sample)
{
    float scale = material->size[2] > 0 ? 1 / material->size[2] : 2.5f;
    float spots =
        sm_scene_noise2(scale * (sample->local[0] + 0.7f * sample->local[2]), scale * sample->local[1], material->seed);
    set_colour(sample, material->colours[0], 1 + 0.5f * material->contrast * (spots - 0.5f));
    sample->gloss = material->size[0];
    sample->emission = material->size[1];
}

/* size: features across the shape */
void sm_scene_texture_leaves(const sm_scene_material *material, sm_scene_sample *sample)
{
    float scale = material->size[0];
    const float *p = sample->local;
    float clumps = sm_scene_noise3(scale * p[0], scale * p[1], scale * p[2], material->seed);
    float leaves =
        sm_scene_noise2(3.1f * scale * (p[0] + p[2]), 3.1f * scale * (p[1] - 0.4f * p[2]), material->seed + 1);
    float brightness = 1 + material->contrast * (1.1f * (clumps - 0.5f) + 0.8f * (leaves - 0.5f));
    set_colour(sample, material->colours[0], fmaxf(brightness, 0.15f));
    blend(sample, material->colours[1], 0.5f * leaves);
}

/* ---- houses, walls, fences ------------------------------------------------------------------- */

/* Where a point lies on the side of a box: metres along it and up. */
static float along_face(const sm_scene_sample *sample)
{
    return sample->face < 2 ? sample->local[2] : sample->local[0];
}

static void add_window(const sm_scene_material *material, sm_scene_sample *sample, float across, float up,
                       uint32_t chosen)
{
    const float half_width = 0.5f * material->size[2], half_height = 0.5f * material->size[3];
    float dx = half_width - fabsf(across - 0.5f), dy = half_height - fabsf(up - 0.5f);
    if (dx < 0 || dy < 0) {
        return;
    }
    if (dx < 0.05f || dy < 0.04f) {
        blend(sample, material->colours[2], visible(0.15f, sample->footprint));
        return;
    }
    float curtain = (chosen & 7) == 0 ? 0.5f : (chosen & 7) == 1 ? 0.25f : 0.0f;
    set_colour(sample, GLASS, 1);
    blend(sample, PLATE, curtain);
    sample->gloss = 0.35f * (1 - curtain);
    if ((chosen >> 8 & 255) < (uint32_t)(material->size[7] * 255)) {
        static const float lit[3] = {0.8f, 0.55f, 0.25f};
        set_colour(sample, lit, 1);
        sample->emission = 0.5f;
    }
}

/* size: storey height, window pitch, window width and height (shares of the pitch and the storey), height of the ground
 * floor, half length of bricks (0: plaster), top of the house, share of lit windows */
void sm_scene_texture_facade(const sm_scene_material *material, sm_scene_sample *sample)
{
    const float *size = material->size;
    float u = along_face(sample), v = sample->local[1], footprint = sample->footprint;
    uint32_t seed = material->seed;
    float stains = sm_scene_noise2(0.35f * u, 0.15f * v, seed);
    float brightness =
        1 + material->contrast * (0.35f * (stains - 0.5f) + 0.25f * grain(u, v, 0.25f, footprint, seed + 1));
    if (size[5] > 0) {
        float row = v / 0.16f;
        float brick = u / size[5] + (floored(row) & 1 ? 0.5f : 0.0f);
        float tone = (float)(sm_scene_hash(floored(brick), floored(row), seed) & 255) / 255 - 0.5f;
        bool joint = fraction(row) < 0.18f || fraction(brick) < 0.1f;
        brightness += visible(0.3f, 2 * footprint) * (0.35f * tone + (joint ? 0.25f : 0));
    }
    set_colour(sample, material->colours[0], brightness);
    if (sample->face == 3) {
        return;
    }
    float storeys = (v - size[4]) / size[0];
    float column = u / size[1];
    if (v < size[4]) {
        blend(sample, material->colours[1], 0.8f);
        uint32_t chosen = sm_scene_hash(floored(0.5f * column), -1, seed);
        float across = fraction(0.5f * column), up = v / size[4];
        bool door = (chosen & 3) == 0 && fabsf(across - 0.5f) < 0.16f && up < 0.75f;
        if (door) {
            blend(sample, material->colours[2], 0.9f);
        } else if ((chosen & 3) != 0 && fabsf(across - 0.5f) < 0.4f && up > 0.2f && up < 0.78f) {
            set_colour(sample, GLASS, 1.5f);
            sample->gloss = 0.18f;
        }
    } else if (v < size[6] - 0.35f) {
        float line = fraction(storeys);
        if (line < 0.06f) {
            blend(sample, material->colours[1], 0.6f * visible(0.4f, footprint));
        }
        add_window(material, sample, fraction(column), line,
                   sm_scene_hash(floored(column), floored(storeys), seed + 2));
    } else {
        blend(sample, material->colours[2], 0.7f);
    }
}

/* size: distance of the tile rows */
void sm_scene_texture_roof(const sm_scene_material *material, sm_scene_sample *sample)
{
    float u = along_face(sample), v = sample->local[1];
    float rows = visible(material->size[0], 2 * sample->footprint) * (fraction(v / material->size[0]) - 0.5f);
    float patches = sm_scene_noise2(0.5f * u, 0.5f * v, material->seed) - 0.5f;
    set_colour(sample, material->colours[0], 1 + material->contrast * (0.4f * rows + 0.4f * patches));
}

/* size: block length and height (0: concrete), height of the coping */
void sm_scene_texture_wall(const sm_scene_material *material, sm_scene_sample *sample)
{
    float u = along_face(sample), v = sample->local[1], footprint = sample->footprint;
    float stains = sm_scene_noise2(0.5f * u, 1.2f * v, material->seed);
    float brightness =
        1 + material->contrast * (0.7f * (stains - 0.5f) + 0.4f * grain(u, v, 0.2f, footprint, material->seed + 1));
    if (material->size[0] > 0) {
        float row = v / material->size[1];
        float block = u / material->size[0] + (floored(row) & 1 ? 0.5f : 0.0f);
        float tone = (float)(sm_scene_hash(floored(block), floored(row), material->seed) & 255) / 255 - 0.5f;
        bool joint = fraction(row) < 0.12f || fraction(block) < 0.08f;
        brightness += visible(material->size[1], footprint) * (0.4f * tone - (joint ? 0.3f : 0));
    }
    set_colour(sample, material->colours[0], brightness);
    if (sample->face == 3 || v > material->size[2]) {
        blend(sample, material->colours[1], 0.8f);
    } else if (material->size[3] > 0 && sm_scene_noise2(0.4f * u, 0.9f * v, material->seed + 5) > 0.68f) {
        blend(sample, material->colours[2], 0.8f); /* paintings of the people who pass */
    }
}

/* size: pitch of the slats, share that they cover, height of the rails */
void sm_scene_texture_fence(const sm_scene_material *material, sm_scene_sample *sample)
{
    float u = along_face(sample), v = sample->local[1], pitch = material->size[0];
    float detail = visible(pitch, sample->footprint);
    float slat = fraction(u / pitch) < material->size[1] ? 1.0f : 0.0f;
    float rail = fabsf(v - material->size[2]) < 0.06f || fabsf(v - 0.25f) < 0.06f ? 1.0f : 0.0f;
    float solid = fmaxf(rail, sm_mix(material->size[1], slat, detail));
    float tone = (float)(sm_scene_hash(floored(u / pitch), 0, material->seed) & 255) / 255 - 0.5f;
    set_colour(sample, material->colours[1], 0.35f); /* what lies in its shade */
    float colour[3];
    for (int k = 0; k < 3; k++) {
        colour[k] = material->colours[0][k] * (1 + 0.4f * detail * tone);
    }
    blend(sample, colour, solid);
}

/* ---- vehicles -------------------------------------------------------------------------------- */

/* size: half length, half width, belt height, wheel radius, Z of the axles (front, back) */
void sm_scene_texture_car_body(const sm_scene_material *material, sm_scene_sample *sample)
{
    const float *size = material->size;
    float x = sample->local[0], y = sample->local[1], z = sample->local[2];
    set_colour(sample, material->colours[0], 1);
    sample->gloss = sample->face == 3 ? 0.3f : 0.12f;
    if (y < 0.38f) {
        set_colour(sample, RUBBER, 2);
        sample->gloss = 0;
    }
    if (sample->face < 2) {
        float front = z - size[4], back = z - size[5], arch = 1.25f * size[3];
        float up = y - size[3];
        if (front * front + up * up < arch * arch || back * back + up * up < arch * arch) {
            set_colour(sample, RUBBER, 1);
            sample->gloss = 0;
        } else if (visible(0.1f, sample->footprint) > 0 && (fabsf(z + 0.1f) < 0.02f || fabsf(z - 0.9f) < 0.02f)) {
            set_colour(sample, material->colours[0], 0.5f);
        }
    } else if (sample->face >= 4) {
        bool front = sample->face == 5;
        float side = fabsf(x) / size[1];
        float lamp_low = size[2] - 0.32f, lamp_high = size[2] - 0.1f;
        if (side > 0.62f && side < 0.95f && y > lamp_low && y < lamp_high) {
            set_colour(sample, front ? WHITE_LAMP : RED_LAMP, 1);
            sample->emission = (material->seed & 3) == 0 ? 0.8f : 0.1f;
        } else if (fabsf(x) < 0.27f && fabsf(y - 0.55f) < 0.07f) {
            set_colour(sample, PLATE, 1);
        } else if (front && side < 0.55f && y > 0.42f && y < size[2] - 0.2f) {
            set_colour(sample, RUBBER, 1.5f);
        }
    }
}

/* Glass between pillars, a roof above. size: belt and roof height, half width, Z of the middle pillar, 1 if the
 * sides are closed (vans) */
void sm_scene_texture_car_cabin(const sm_scene_material *material, sm_scene_sample *sample)
{
    const float *size = material->size;
    float y = sample->local[1], z = sample->local[2];
    float up = (y - size[0]) / (size[1] - size[0]);
    set_colour(sample, material->colours[0], 1);
    sample->gloss = sample->face == 3 ? 0.35f : 0.12f;
    bool side = sample->face < 2;
    bool glass = up > 0.08f && up < 0.86f && sample->face != 3;
    if (side) {
        glass = glass && fabsf(z - size[3]) > 0.06f && (size[4] <= 0 || z > size[3]);
    } else if (glass) {
        glass = fabsf(sample->local[0]) < size[2] * (0.93f - 0.15f * up) && (size[4] <= 0 || sample->face == 5);
    }
    if (glass) {
        set_colour(sample, GLASS, 1);
        sample->gloss = side ? 0.14f : 0.22f;
    }
}

/* Buses, trams and the boxes of trucks. size: half length, half width, bottom and top of the window band (equal:
 * none), top, window pitch, height of the lower colour */
void sm_scene_texture_coach(const sm_scene_material *material, sm_scene_sample *sample)
{
    const float *size = material->size;
    float x = sample->local[0], y = sample->local[1], z = sample->local[2];
    float spots = sm_scene_noise2(0.4f * (z + x), 0.8f * y, material->seed) - 0.5f;
    set_colour(sample, material->colours[y < size[6] ? 1 : 0], 1 + 0.25f * material->contrast * spots);
    sample->gloss = 0.1f;
    if (sample->face == 3 || size[3] <= size[2]) {
        return;
    }
    if (sample->face < 2) {
        bool band = y > size[2] && y < size[3] && fraction(z / size[5]) > 0.1f && fabsf(z) < size[0] - 0.2f;
        bool door = y > 0.45f && y < size[3] && (material->seed & 1) && fraction(z / (3.9f * size[5])) < 0.3f;
        if (band || door) {
            set_colour(sample, GLASS, 1);
            sample->gloss = 0.18f;
        }
    } else {
        float side = fabsf(x) / size[1];
        bool front = sample->face == 5;
        float screen = front ? size[2] - 0.4f : size[2] + 0.2f;
        if (y > screen && y < size[3] && side < 0.9f) {
            set_colour(sample, GLASS, 1);
            sample->gloss = 0.2f;
        } else if (y > size[3] && y < size[4] - 0.08f && side < 0.6f) {
            static const float display[3] = {0.8f, 0.4f, 0.05f};
            set_colour(sample, display, 0.7f);
            sample->emission = 0.3f;
        } else if (side > 0.7f && fabsf(y - 0.85f) < 0.14f) {
            set_colour(sample, front ? WHITE_LAMP : RED_LAMP, 1);
            sample->emission = 0.3f;
        }
    }
}

void sm_scene_texture_wheel(const sm_scene_material *material, sm_scene_sample *sample)
{
    float radius = sample->local[0] * sample->local[0] + sample->local[2] * sample->local[2];
    bool rim = radius < 0.42f && fabsf(sample->local[1]) > 0.98f;
    set_colour(sample, rim ? material->colours[0] : RUBBER, 1);
    sample->gloss = rim ? 0.1f : 0;
}

/* ---- signs and lamps ------------------------------------------------------------------------- */

/* size: half width, half height, kind (0 red border, 1 full colour with a bar, 2 panel with lines), 1 if the shape is a
 * cylinder */
void sm_scene_texture_sign(const sm_scene_material *material, sm_scene_sample *sample)
{
    const float *size = material->size;
    bool disc = size[3] > 0;
    float x = disc ? sample->local[2] : sample->local[0] / size[0];
    float y = disc ? -sample->local[0] : sample->local[1] / size[1];
    bool facing = disc ? sample->local[1] < -0.98f || sample->local[1] > 0.98f : sample->face >= 4;
    float edge = disc ? x * x + y * y : fmaxf(x * x, y * y);
    if (!facing) {
        set_colour(sample, PLATE, 0.5f);
        return;
    }
    set_colour(sample, material->colours[0], 1);
    if (size[2] < 0.5f) {
        blend(sample, material->colours[1], edge < 0.5f ? 1.0f : 0.0f);
    } else if (size[2] < 1.5f) {
        blend(sample, material->colours[1], fabsf(y) < 0.2f && fabsf(x) < 0.7f ? 1.0f : 0.0f);
    } else {
        bool writing = fabsf(x) < 0.8f && fraction(2.5f * y + 0.25f) < 0.4f &&
                       sm_scene_noise2(6 * x, 2 * y, material->seed) > 0.4f;
        blend(sample, material->colours[1], edge > 0.85f || writing ? 1.0f : 0.0f);
    }
}

/* A traffic light's head. size: half height, which lamp is on (0 red, 1 yellow, 2 green), middle height */
void sm_scene_texture_lamp(const sm_scene_material *material, sm_scene_sample *sample)
{
    static const float lamps[3][3] = {{0.9f, 0.03f, 0.02f}, {0.9f, 0.5f, 0.02f}, {0.03f, 0.8f, 0.25f}};
    float down = (material->size[2] + material->size[0] - sample->local[1]) / (2 * material->size[0]);
    float y = fraction(3 * down) - 0.5f, x = sample->local[0] / (0.6f * material->size[0]);
    int lamp = (int)(3 * sm_clamp01(down) * 0.999f);
    set_colour(sample, material->colours[0], 1);
    if (sample->face == 4 && x * x + y * y < 0.16f) {
        bool on = lamp == (int)material->size[1];
        set_colour(sample, lamps[lamp], on ? 1.0f : 0.06f);
        sample->emission = on ? 1.2f : 0;
    }
}
