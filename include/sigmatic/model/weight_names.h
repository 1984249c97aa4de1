/** \file
 * What others call the parameters of our networks. Names are ours but for their beginnings: a row of the table each. */
#ifndef SIGMATIC_MODEL_WEIGHT_NAMES_H
#define SIGMATIC_MODEL_WEIGHT_NAMES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A beginning of names. */
typedef struct sm_weight_name {
    const char *style;  /**< who names so: "sigmatic", "torchvision ResNet" */
    const char *theirs; /**< "layer1." */
    const char *
        ours; /**< "backbone.layer1."; "decoders.*." stands for each decoder of a map of classes; NULL: we have no such part */
} sm_weight_name;

/** Of two rows that fit a name the earlier is meant. */
extern const sm_weight_name sm_weight_names[]; /**< ends with a NULL style */

/** \param [out] rest  what follows the beginning, wrappers ("module.") passed over: the name is ours followed by this
 * \return the row of a name of another's; NULL if there is none */
const sm_weight_name *sm_weight_name_find(const char *name, const char **rest);

/** \param task  whose decoder the style's one decoder is; NULL: of none
 * \return what a style calls a tensor of ours, freed with sm_free(); NULL if it has no name for it */
char *sm_weight_name_theirs(const char *style, const char *name, const char *task);

/** \return length of the part of a network that a name belongs to: "backbone.layer1", "aspp", "decoders.depth", "fc" */
size_t sm_weight_part_length(const char *name);

/** \return 1 if both names belong to one part */
int sm_weight_same_part(const char *name, const char *other);

#ifdef __cplusplus
}
#endif
#endif
