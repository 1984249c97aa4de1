/* The names of torchvision 0.29 (models.resnet*, models.segmentation.deeplabv3_resnet*) and timm 1.0 (resnet18 to resnet152, which
 * differ from torchvision's in nothing; with features_only there is no fc). */
#include <sigmatic/base/memory.h>
#include <sigmatic/model/weight_names.h>

#include <string.h>

const sm_weight_name sm_weight_names[] = {
    {"sigmatic", "backbone.", "backbone."},
    {"sigmatic", "aspp.", "aspp."},
    {"sigmatic", "decoders.", "decoders."},
    {"torchvision ResNet", "conv1.", "backbone.conv1."},
    {"torchvision ResNet", "bn1.", "backbone.bn1."},
    {"torchvision ResNet", "layer1.", "backbone.layer1."},
    {"torchvision ResNet", "layer2.", "backbone.layer2."},
    {"torchvision ResNet", "layer3.", "backbone.layer3."},
    {"torchvision ResNet", "layer4.", "backbone.layer4."},
    {"torchvision ResNet", "fc.", NULL},
    {"torchvision DeepLabv3", "backbone.", "backbone."},
    {"torchvision DeepLabv3", "classifier.0.", "aspp."},
    {"torchvision DeepLabv3", "classifier.1.", "decoders.*.0."},
    {"torchvision DeepLabv3", "classifier.2.", "decoders.*.1."},
    {"torchvision DeepLabv3", "classifier.4.", "decoders.*.3."},
    {"torchvision DeepLabv3", "aux_classifier.", NULL},
    {0},
};

/* What DistributedDataParallel, torch.compile() and many training programs put before all names. */
static const char *const wrappers[] = {"module.", "_orig_mod.", "model."};

static int begins_with(const char *name, const char *beginning)
{
    return strncmp(name, beginning, strlen(beginning)) == 0;
}

/* Wrappers may stand in each other, as many as whoever made the file likes. */
static const char *unwrapped(const char *name)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers;) {
        if (begins_with(name, wrappers[i])) {
            name += strlen(wrappers[i]);
            i = 0;
        } else {
            i++;
        }
    }
    return name;
}

const sm_weight_name *sm_weight_name_find(const char *name, const char **rest)
{
    const char *bare = unwrapped(name);
    for (const sm_weight_name *row = sm_weight_names; row->style; row++) {
        if (begins_with(bare, row->theirs)) {
            *rest = bare + strlen(row->theirs);
            return row;
        }
    }
    return NULL;
}

/* \return how long the beginning of ours is, its star standing for `task`, if `name` begins with it; else 0 */
static size_t begins_with_ours(const char *name, const char *ours, const char *task)
{
    const char *star = strchr(ours, '*');
    if (!star) {
        return begins_with(name, ours) ? strlen(ours) : 0;
    }
    char *beginning = sm_format("%.*s%s%s", (int)(star - ours), ours, task ? task : "", star + 1);
    size_t length = task && begins_with(name, beginning) ? strlen(beginning) : 0;
    sm_free(beginning);
    return length;
}

char *sm_weight_name_theirs(const char *style, const char *name, const char *task)
{
    for (const sm_weight_name *row = sm_weight_names; row->style; row++) {
        size_t length = row->ours && strcmp(row->style, style) == 0 ? begins_with_ours(name, row->ours, task) : 0;
        if (length > 0) {
            return sm_format("%s%s", row->theirs, name + length);
        }
    }
    return NULL;
}

size_t sm_weight_part_length(const char *name)
{
    size_t first = strcspn(name, "."), second = name[first] ? strcspn(name + first + 1, ".") : 0;
    int is_deeper = name[first] && name[first + 1 + second] == '.';
    return is_deeper && !begins_with(name, "aspp.") ? first + 1 + second : first;
}

int sm_weight_same_part(const char *name, const char *other)
{
    size_t length = sm_weight_part_length(name);
    return length == sm_weight_part_length(other) && strncmp(name, other, length) == 0;
}
