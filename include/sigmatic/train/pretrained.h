/** \file
 * Starting a network from weights of a file (train/weights_file.h): tensors whose names, translated (model/weight_names.h), and shapes are
 * those of the network are taken, the others start as if there were no file. Log-variances are not: they are those of another run's losses. */
#ifndef SIGMATIC_TRAIN_PRETRAINED_H
#define SIGMATIC_TRAIN_PRETRAINED_H

#include <sigmatic/train/session.h>
#include <sigmatic/train/weights_file.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What becomes of a tensor of the network. */
typedef enum sm_match { SM_MATCH_TAKEN, SM_MATCH_OTHER_SHAPE, SM_MATCH_MISSING, SM_MATCHES } sm_match;

/** "taken", "other shape", "missing". */
extern const char *const sm_match_names[SM_MATCHES];

/** A tensor of the network and its counterpart in the file. */
typedef struct sm_pretrained_row {
    const sm_slice *slice;
    int is_buffer; /**< a running statistic */
    sm_match match;
    size_t tensor; /**< of the file; undefined if it is missing */
} sm_pretrained_row;

typedef struct sm_pretrained {
    sm_weights_file *weights;
    sm_pretrained_row *rows; /**< parameters, then buffers, in the order of the network */
    int row_count;
    int counts[SM_MATCHES];
    size_t *left; /**< tensors of real numbers in the file that the network has no place for */
    size_t left_count;
    char *styles; /**< whose names those that are taken have: "torchvision ResNet" */
} sm_pretrained;

/** Compares the names and shapes of a file with those of the session's network; reads no numbers. Not collective.
 * \param [out] out  freed with sm_pretrained_free(), before the session; NULL on failure
 * \return as sm_weights_file_open() */
sm_status sm_pretrained_open(const char *path, const sm_session *session, sm_pretrained **out);
/** NULL is legal. */
void sm_pretrained_free(sm_pretrained *pretrained);

/** What a user should know of how poorly a file fits, in words for a message behind its path: nothing of it does, and why (other names;
 * the shapes of another model.backbone or width), or the backbone, or a part of the rest that tasks share, starts fresh to a part.
 * Not collective.
 * \return freed with sm_free(); NULL if there is nothing to say. Never NULL if nothing is taken */
char *sm_pretrained_complaint(const sm_pretrained *pretrained, const sm_session *session);

/** Says in the log what is taken, part by part, what has another shape, what starts fresh and what is left over; warns of
 * sm_pretrained_complaint(), and where the file says that its network read images of another mean or std than the session's. Not
 * collective. */
void sm_pretrained_report(const sm_pretrained *pretrained, const sm_session *session);

/** Starts the session's network from a file, and says what was taken. Collective: rank 0 reads.
 * \return the same on every rank: as sm_weights_file_open(); SM_ERR_INPUT if nothing fits, or a tensor that does is damaged
 * or holds numbers that are not finite */
sm_status sm_pretrained_load(sm_session *session, const char *path);

#ifdef __cplusplus
}
#endif
#endif
