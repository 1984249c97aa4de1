#include <sigmatic/base/memory.h>
#include <sigmatic/base/nearest.h>
#include <sigmatic/io/choices.h>
#include <sigmatic/model/blocks.h>
#include <sigmatic/model/network.h>
#include <sigmatic/model/parts.h>
#include <sigmatic/model/weight_names.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char section[] = "model";

enum { MOST_BACKBONES = 64 };
static char backbone_names[32 * MOST_BACKBONES] = "resnet18|resnet34|resnet50|resnet101|resnet152|mlp";

const sm_key sm_model_keys[] = {
    {section, "backbone", SM_KEY_CHOICE, "resnet50", 0, 0, backbone_names, NULL,
     "what all tasks share: a residual network for images, a perceptron (mlp) for tables"},
    {section, "width", SM_KEY_REAL, "1", 0.01, 8, NULL, NULL,
     "multiplies the channels of backbone, ASPP and decoders (at least 4 remain)"},
    {section, "align_corners", SM_KEY_BOOL, "false", 0, 0, NULL, NULL,
     "upsample so that the corner pixels' centres coincide"},
    {section, "dropout", SM_KEY_REAL, "0", 0, 0.99, NULL, NULL,
     "probability of dropping a feature before each decoder's last layer"},
    {section, "pretrained", SM_KEY_PATH, "", 0, 0, NULL, NULL,
     "weights that start the training where names and shapes agree: a checkpoint, a state_dict in HDF5, or "
     "safetensors, "
     "with our names or those of torchvision's and timm's ResNets and torchvision's DeepLabv3"},
    {section, "freeze", SM_KEY_TEXTS, "", 0, 0, NULL, NULL,
     "parts that are not trained, their running statistics neither: stem, layer1 to layer4, backbone, aspp, decoders, "
     "or "
     "name patterns of parameters, as decoders.depth.*"},
    {section, "learning_rate_scales", SM_KEY_TEXTS, "", 0, 0, NULL, NULL,
     "pairs of a part, as above, and the factor of its learning rate: backbone:0.1, decoders.depth.*:2"},
    {0},
};

const sm_key sm_resnet_keys[] = {
    {section, "output_stride", SM_KEY_INTEGER, "8", 8, 32, NULL, "pixels",
     "8, 16 or 32: size of the input over size of the features"},
    {section, "aspp_rates", SM_KEY_INTEGERS, "12,24,36", 1, 1024, NULL, NULL,
     "dilations of the three 3x3 branches of the ASPP"},
    {section, "project", SM_KEY_BOOL, "false", 0, 0, NULL, NULL,
     "1x1 convolution of the ASPP's 1280 channels down to 256, as DeepLabv3"},
    {0},
};

sm_status sm_network_configure(const sm_config *config, sm_network_options *options)
{
    size_t count;
    const int64_t *rates = sm_config_integers(config, section, "aspp_rates", &count);
    int64_t stride = sm_config_integer(config, section, "output_stride");
    if (count != SM_ASPP_RATES) {
        return sm_config_fail(config, section, "aspp_rates", "%d rates expected, %zu found", SM_ASPP_RATES, count);
    }
    if (stride != 8 && stride != 16 && stride != 32) {
        return sm_config_fail(config, section, "output_stride", "8, 16 or 32 expected");
    }
    const sm_backbone *backbone = sm_backbones[sm_config_choice(config, section, "backbone")];
    double width = sm_config_real(config, section, "width");
    int is_mlp = backbone->append == sm_mlp_append;
    *options = (sm_network_options){.backbone = backbone,
                                    .width = width,
                                    .head_hidden = is_mlp ? (int)sm_config_integer(config, section, "head_hidden")
                                                          : sm_scaled_channels(256, width),
                                    .output_stride = (int)stride,
                                    .project = sm_config_bool(config, section, "project"),
                                    .align_corners = sm_config_bool(config, section, "align_corners"),
                                    .dropout = sm_config_real(config, section, "dropout"),
                                    .config = config};
    for (int i = 0; i < SM_ASPP_RATES; i++) {
        options->rates[i] = (int)rates[i];
    }
    return SM_OK;
}

/* Words for parts of the network; any other word is a pattern of names. */
static const struct {
    const char *word, *patterns[2];
} stages[] = {
    {"stem", {"backbone.conv1.*", "backbone.bn1.*"}},
    {"layer1", {"backbone.layer1.*"}},
    {"layer2", {"backbone.layer2.*"}},
    {"layer3", {"backbone.layer3.*"}},
    {"layer4", {"backbone.layer4.*"}},
    {"backbone", {"backbone.*"}},
    {"aspp", {"aspp.*"}},
    {"decoders", {"decoders.*"}},
};
enum { STAGES = sizeof stages / sizeof *stages };

/* \param scale  of the learning rate; NULL: they are frozen \return how many parameters the pattern meets */
static int apply_pattern(sm_parameters *parameters, const char *pattern, const double *scale)
{
    return scale ? sm_parameters_scale_learning_rate(parameters, pattern, *scale)
                 : sm_parameters_freeze(parameters, pattern);
}

/* Parts by their words, and by the patterns that meet all of one. */
static sm_status fail_no_match(const sm_config *config, const char *key, const char *word,
                               const sm_parameters *parameters)
{
    sm_nearest nearest = {.wanted = word};
    const sm_slices *slices = &parameters->parameters;
    char **patterns = sm_alloc(((size_t)slices->count + 1) * sizeof *patterns);
    for (int i = 0; i < STAGES; i++) {
        sm_nearest_consider(&nearest, stages[i].word);
    }
    for (int i = 0; i < slices->count; i++) {
        patterns[i] = sm_format("%.*s.*", (int)sm_weight_part_length(slices->items[i].name), slices->items[i].name);
        sm_nearest_consider(&nearest, patterns[i]);
    }
    char *question = sm_nearest_question(&nearest);
    sm_status status =
        sm_config_fail(config, section, key,
                       "'%s' matches no parameter: stem, layer1 to layer4, backbone, aspp, decoders or a "
                       "pattern of names expected, as decoders.depth.*%s",
                       word, question);
    for (int i = 0; i < slices->count; i++) {
        sm_free(patterns[i]);
    }
    sm_free(patterns);
    sm_free(question);
    return status;
}

static sm_status apply_word(const sm_config *config, const char *key, const char *word, const double *scale,
                            sm_parameters *parameters)
{
    int matches = 0, stage = 0;
    while (stage < STAGES && strcmp(stages[stage].word, word) != 0) {
        stage++;
    }
    if (stage == STAGES) {
        matches = apply_pattern(parameters, word, scale);
    }
    for (int i = 0; stage < STAGES && i < 2 && stages[stage].patterns[i]; i++) {
        matches += apply_pattern(parameters, stages[stage].patterns[i], scale);
    }
    return matches ? SM_OK : fail_no_match(config, key, word, parameters);
}

static sm_status apply_scale(const sm_config *config, const char *pair, sm_parameters *parameters)
{
    static const char key[] = "learning_rate_scales";
    const char *colon = strrchr(pair, ':');
    char *end = NULL;
    double scale = colon ? strtod(colon + 1, &end) : 0;
    if (!colon || colon == pair || end == colon + 1 || *end || !(scale >= 0) || isinf(scale)) {
        return sm_config_fail(config, section, key, "'%s' is not stage:factor or pattern:factor", pair);
    }
    char *word = sm_format("%.*s", (int)(colon - pair), pair);
    sm_status status = apply_word(config, key, word, &scale, parameters);
    sm_free(word);
    return status;
}

sm_status sm_network_apply_patterns(const sm_config *config, sm_parameters *parameters)
{
    sm_status status = SM_OK;
    size_t count;
    const char *const *words = sm_config_texts(config, section, "freeze", &count);
    for (size_t i = 0; i < count; i++) {
        SM_TRY(apply_word(config, "freeze", words[i], NULL, parameters));
    }
    const char *const *pairs = sm_config_texts(config, section, "learning_rate_scales", &count);
    for (size_t i = 0; i < count; i++) {
        SM_TRY(apply_scale(config, pairs[i], parameters));
    }
done:
    return status;
}

static const sm_backbone own[] = {
    {"resnet18", sm_resnet_keys, 0, sm_resnet_append, sm_aspp_append},
    {"resnet34", sm_resnet_keys, 0, sm_resnet_append, sm_aspp_append},
    {"resnet50", sm_resnet_keys, 0, sm_resnet_append, sm_aspp_append},
    {"resnet101", sm_resnet_keys, 0, sm_resnet_append, sm_aspp_append},
    {"resnet152", sm_resnet_keys, 0, sm_resnet_append, sm_aspp_append},
    {"mlp", sm_mlp_keys, 1, sm_mlp_append, NULL},
};

const sm_backbone *sm_backbones[MOST_BACKBONES + 1] = {&own[0], &own[1], &own[2], &own[3], &own[4], &own[5], NULL};

sm_status sm_backbone_register(const sm_backbone *backbone)
{
    int count = 0;
    while (sm_backbones[count]) {
        count++;
    }
    if (backbone->name && sm_choices_has(backbone_names, backbone->name)) {
        return sm_fail(SM_ERR_USAGE, "there is a backbone '%s' already", backbone->name);
    }
    if (!backbone->append) {
        return sm_fail(SM_ERR_USAGE, "backbone '%s': its function `append` is missing",
                       backbone->name ? backbone->name : "");
    }
    if (count == MOST_BACKBONES) {
        return sm_fail(SM_ERR_USAGE, "backbone '%s': the table has %d already", backbone->name, count);
    }
    sm_status status = sm_choices_add(backbone_names, sizeof backbone_names, "backbone", backbone->name);
    if (status == SM_OK) {
        sm_backbones[count] = backbone;
    }
    return status;
}

static int (*const append_head[SM_HEAD_KINDS])(sm_graph *graph, sm_features shared, const sm_network_options *options,
                                               const sm_head *head, int height, int width) = {
    [SM_HEAD_MAP] = sm_map_head_append,
    [SM_HEAD_VECTOR] = sm_vector_head_append,
};

sm_status sm_network_build(const sm_network_options *options, sm_value_shape input, int head_count,
                           const sm_head *heads, sm_parameters *parameters, sm_graph **out)
{
    const sm_backbone *backbone = options->backbone;
    sm_graph *graph = sm_graph_new(parameters);
    sm_features shared = backbone->append(graph, sm_graph_input(graph, input), options);
    if (backbone->neck) {
        shared = backbone->neck(graph, shared, options);
    }
    for (int i = 0; i < head_count; i++) {
        const sm_head *head = &heads[i];
        graph->task = i;
        sm_graph_add_output(graph, head->name,
                            append_head[head->kind](graph, shared, options, head, input.height, input.width));
    }
    graph->task = -1;
    sm_status status = sm_graph_status(graph);
    if (status != SM_OK) {
        sm_graph_free(graph);
        return status;
    }
    *out = graph;
    return SM_OK;
}
