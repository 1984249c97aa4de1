#include <sigmatic/base/memory.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/data/scenes_dataset.h>

#include <stdio.h>

enum { SPLITS = 3 };

/* Of a scene, the noise of the vectors last: not every dataset has it. */
enum { SEMANTIC, INSTANCE, DISPARITY, VECTOR_NOISE, TARGETS };
static const char *const split_names[SPLITS] = {"train", "val", "test"};

typedef struct scene_writer {
    sm_scene_options options[SPLITS]; /* of the splits that are written */
    uint64_t first_scene[SPLITS];
    sm_scene scene;
    sm_target targets[TARGETS];
} scene_writer;

static sm_status produce(void *user, int split, int64_t index, sm_sample *sample)
{
    scene_writer *generator = user;
    const sm_scene_options *options = &generator->options[split];
    sm_scene *scene = &generator->scene;
    sm_status status = sm_scene_generate(options, generator->first_scene[split] + (uint64_t)index, scene);
    const void *const maps[TARGETS] = {scene->semantic, scene->instance, scene->disparity, scene->vector_noise_map};
    sample->input = scene->image;
    for (int t = 0; t < TARGETS && maps[t]; t++) {
        sm_sample_add(sample, &generator->targets[t], maps[t]);
    }
    sample->baseline_metres = scene->baseline_metres;
    sample->fx_pixels = scene->fx_pixels;
    sample->original_height = options->height;
    sample->original_width = options->width;
    return status;
}

/* "train_000012" for every scene of a split. */
static char **make_names(const char *split, int64_t count)
{
    enum { NAME_BYTES = 32 };
    char **names = sm_alloc((size_t)count * (sizeof *names + NAME_BYTES));
    char *text = (char *)(names + count);
    for (int64_t i = 0; i < count; i++, text += NAME_BYTES) {
        snprintf(text, NAME_BYTES, "%s_%06lld", split, (long long)i);
        names[i] = text;
    }
    return names;
}

static sm_status check_options(const sm_scenes_dataset_options *options)
{
    const sm_scene_options *scene = &options->scene;
    if (options->train < 0 || options->validation < 0 || options->test < 0 ||
        options->train + options->validation + options->test == 0) {
        return sm_fail(SM_ERR_CONFIG, "%s: %lld, %lld, %lld scenes wanted in train, val, test: expected at least one",
                       options->output, (long long)options->train, (long long)options->validation,
                       (long long)options->test);
    }
    if (scene->height < SM_SCENE_MIN_SIDE || scene->height > SM_SCENE_MAX_SIDE || scene->width < SM_SCENE_MIN_SIDE ||
        scene->width > SM_SCENE_MAX_SIDE) {
        return sm_fail(SM_ERR_CONFIG, "%s: scenes of %d x %d pixels wanted: sides from %d to %d expected",
                       options->output, scene->height, scene->width, SM_SCENE_MIN_SIDE, SM_SCENE_MAX_SIDE);
    }
    return SM_OK;
}

sm_status sm_scenes_dataset_write(sm_comm *comm, const sm_scenes_dataset_options *options)
{
    sm_status status = check_options(options);
    if (status != SM_OK) {
        return status;
    }
    const sm_scene_options *scene = &options->scene;
    size_t area = (size_t)scene->height * (size_t)scene->width;
    int has_noise_map = scene->vector_noise > 0;
    const int64_t counts[SPLITS] = {options->train, options->validation, options->test};
    char **sample_names[SPLITS] = {NULL};
    scene_writer generator = {.scene = {.image = sm_alloc(area * 3),
                                        .semantic = sm_alloc(area),
                                        .instance = sm_alloc(area * sizeof(uint16_t)),
                                        .disparity = sm_alloc(area * sizeof(float)),
                                        .vector_noise_map = has_noise_map ? sm_alloc(area * 2 * sizeof(float)) : NULL}};
    generator.targets[SEMANTIC] = *sm_standard_target("semantic");
    generator.targets[SEMANTIC].classes = &sm_cityscapes_classes;
    generator.targets[INSTANCE] = *sm_standard_target("instance");
    generator.targets[DISPARITY] = *sm_standard_target("disparity");
    if (scene->disparity_noise > 0) { /* which has no bias, and so takes far surfaces below 0 */
        generator.targets[DISPARITY].least = -generator.targets[DISPARITY].most;
    }
    generator.targets[VECTOR_NOISE] = *sm_standard_target("instance_offset");
    sm_dataset_split_spec splits[SPLITS];
    int used = 0;
    for (int s = 0; s < SPLITS; s++) {
        if (counts[s] == 0) {
            continue;
        }
        sample_names[used] = make_names(split_names[s], counts[s]);
        splits[used] = (sm_dataset_split_spec){split_names[s], counts[s], (const char *const *)sample_names[used]};
        generator.first_scene[used] = (uint64_t)s << 32;
        generator.options[used] = *scene;
        if (s > 0 && options->clean_evaluation) {
            generator.options[used].semantic_noise = 0;
            generator.options[used].disparity_noise = 0;
            generator.options[used].vector_noise = 0;
        }
        used++;
    }
    char *source =
        sm_format("synthetic scenes: seed %llu, difficulty %g, label noise: semantic %g, disparity %g px, "
                  "vectors %g px%s",
                  (unsigned long long)scene->seed, scene->difficulty, scene->semantic_noise, scene->disparity_noise,
                  scene->vector_noise, options->clean_evaluation ? " (train only)" : "");
    sm_dataset_spec spec = {.source = source,
                            .height = scene->height,
                            .width = scene->width,
                            .targets = generator.targets,
                            .target_count = has_noise_map ? TARGETS : TARGETS - 1,
                            .has_camera = 1,
                            .splits = splits,
                            .split_count = used};
    status = sm_dataset_write(comm, options->output, &spec, options->overwrite, produce, &generator);
    for (int s = 0; s < used; s++) {
        sm_free(sample_names[s]);
    }
    sm_free(source);
    sm_free(generator.scene.image);
    sm_free(generator.scene.semantic);
    sm_free(generator.scene.instance);
    sm_free(generator.scene.disparity);
    sm_free(generator.scene.vector_noise_map);
    return status;
}
