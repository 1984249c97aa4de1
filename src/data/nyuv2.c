/* The labelled part of NYU Depth V2 (Silberman, Hoiem, Kohli and Fergus, ECCV 2012): nyu_depth_v2_labeled.mat, of MATLAB 7.3,
 * is an HDF5 file whose axes are MATLAB's in reverse: images u8 (N,3,W,H), depths f32 (N,W,H) in metres with the holes of the
 * sensor filled, rawDepths with the holes as 0, labels u16 (N,W,H), 0 unlabelled, instances u8 (N,W,H) counted within a
 * label, names: the labels' names, of 1, 2, ... */
#include "data/importer.h"
#include "data/nyuv2_classes.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/base/plural.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE, LABELS, INSTANCES, DEPTH, KINDS };

enum { CLASSES, SPLIT, BORDER, RAW_DEPTH }; /* the options' places */

enum { SIDE_MAX = 16384, BORDER_MAX = 1000 };

extern const sm_importer sm_nyuv2_importer;

/* ---- the file ------------------------------------------------------------------------------------------------------ */

typedef struct mat {
    sm_h5 *file;
    size_t count;      /* images */
    int height, width; /* as stored */
} mat;

/* What people have in its place. */
static const struct {
    const char *begin, *what;
} others[] = {
    {"MATLAB 5.0", "a MATLAB file from before version 7.3, which is no HDF5: save it again with '-v7.3' in MATLAB"},
    {"PK\3\4", "a ZIP archive: unpack it first"},
    {"\x1f\x8b", "a gzip archive: unpack it first"},
    {"version https://git-lfs", "a pointer of Git LFS: 'git lfs pull' fetches the file"},
    {"<", "a page of the web or XML: the download went wrong"},
};

static sm_status refuse_others(const char *path)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (sm_file_begins_with(path, others[i].begin)) {
            return sm_fail(SM_ERR_INPUT, "%s: not nyu_depth_v2_labeled.mat but %s", path, others[i].what);
        }
    }
    return SM_OK;
}

/* Opens the file and finds its sizes by the images. */
static sm_status open_mat(const char *path, mat *m)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    *m = (mat){0};
    SM_TRY(refuse_others(path));
    SM_TRY(sm_h5_open(path, &m->file));
    SM_TRY(sm_h5_query(m->file, "/images", &info));
    if (info.rank != 4 || info.shape[1] != 3 || info.count == 0 || info.shape[2] > SIDE_MAX ||
        info.shape[3] > SIDE_MAX) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: /images: expected the shape (images, 3, width, height)", path));
    }
    m->count = info.shape[0];
    m->width = (int)info.shape[2];
    m->height = (int)info.shape[3];
done:
    return status;
}

/* \return SM_ERR_INPUT unless a map is (images, width, height). */
static sm_status check_map(const mat *m, const char *object)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    SM_TRY(sm_h5_query(m->file, object, &info));
    if (info.rank != 3 || info.shape[0] != m->count || info.shape[1] != (size_t)m->width ||
        info.shape[2] != (size_t)m->height) {
        status = sm_fail(SM_ERR_INPUT, "%s: %s: expected the shape (%zu, %d, %d), that of the images",
                         sm_h5_path(m->file), object, m->count, m->width, m->height);
    }
done:
    return status;
}

/* The tables count on the labels' order. */
static sm_status check_names(const mat *m)
{
    sm_status status = SM_OK;
    char **names = NULL;
    size_t count = 0;
    SM_TRY(sm_h5_read_cell_texts(m->file, "/names", &names, &count));
    if (count != SM_NYUV2_LABELS) {
        SM_TRY(sm_fail(SM_ERR_INPUT, "%s: /names: %zu %s of labels, expected %d", sm_h5_path(m->file), count,
                       sm_plural((int64_t)count, "name", "names"), SM_NYUV2_LABELS));
    }
    for (size_t i = 0; i < count; i++) {
        int class = sm_nyuv2_40_of_label[i];
        if (class < SM_NYUV2_NAMED_CLASSES && strcmp(names[i], sm_nyuv2_classes_40.names[class]) != 0) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: /names: label %zu is '%s', expected '%s'", sm_h5_path(m->file), i + 1,
                           names[i], sm_nyuv2_classes_40.names[class]));
        }
    }
done:
    sm_free(names);
    return status;
}

/* ---- listing ------------------------------------------------------------------------------------------------------- */

static const char *depth_object(const sm_import_options *options)
{
    return options->flags >> RAW_DEPTH & 1 ? "/rawDepths" : "/depths";
}

/* Which kinds the file has; a kind's text is the image's number from 0. */
static sm_status find_kinds(const mat *m, const sm_import_options *options, int has[KINDS])
{
    sm_status status = SM_OK;
    const char *const objects[KINDS] = {
        [LABELS] = "/labels", [INSTANCES] = "/instances", [DEPTH] = depth_object(options)};
    has[IMAGE] = 1;
    for (int k = 1; k < KINDS; k++) {
        has[k] = sm_h5_has_dataset(m->file, objects[k]);
        if (has[k]) {
            SM_TRY(check_map(m, objects[k]));
        }
    }
    has[INSTANCES] = has[INSTANCES] && has[LABELS]; /* they are counted within a label */
    if (has[LABELS]) {
        SM_TRY(check_names(m));
    }
done:
    return status;
}

static void add_image(size_t image, const char *split, const int has[KINDS], sm_import_list *list)
{
    const char *texts[KINDS];
    char *number = sm_format("%zu", image), *name = sm_format("%04zu", image + 1);
    for (int k = 0; k < KINDS; k++) {
        texts[k] = has[k] ? number : "";
    }
    sm_import_add(list, split, name, texts);
    sm_free(number);
    sm_free(name);
}

static sm_status list_images(const char *root, sm_import_list *list)
{
    sm_status status = SM_OK;
    const sm_import_options *options = sm_import_list_options(list);
    mat m;
    int has[KINDS];
    uint8_t *split_of = NULL;
    SM_TRY(open_mat(root, &m));
    SM_TRY(find_kinds(&m, options, has));
    split_of = sm_alloc(m.count);
    if (options->values[SPLIT]) {
        SM_TRY(sm_nyuv2_read_split(options->values[SPLIT], split_of, m.count));
    } else {
        sm_nyuv2_official_split(split_of, m.count);
        if (m.count != SM_NYUV2_IMAGES) {
            sm_import_note(list,
                           sm_format("%s: %zu %s, the official split is of %d: all are train; --split FILE says "
                                     "otherwise",
                                     root, m.count, sm_plural((int64_t)m.count, "image", "images"), SM_NYUV2_IMAGES));
        }
    }
    for (int s = 0; s < SM_NYUV2_SPLITS; s++) {
        for (size_t i = 0; i < m.count; i++) {
            if (split_of[i] == s) {
                add_image(i, sm_nyuv2_split_names[s], has, list);
            }
        }
    }
    if (sm_import_count(list) == 0) {
        status = sm_fail(SM_ERR_INPUT, "%s: no image has a split", options->values[SPLIT]);
    }
done:
    sm_h5_close(m.file);
    sm_free(split_of);
    return status;
}

/* What is left of the white border. */
typedef struct frame {
    mat m;
    size_t image;
    int border, height, width;
} frame;

/* ---- images in blocks ----------------------------------------------------------------------------------------------- */

/* Chunks of the file may hold parts of many images: as many as lie in a row of chunks are read at once and kept. */
typedef struct block {
    size_t first, count; /* images */
    double values[];     /* in fact of the array's type; aligned for all */
} block;

enum { BLOCK_BYTES_MOST = 64 << 20 };

/* The image's part of an array; until the next image is asked for. */
static sm_status read_stored(sm_import *import, const frame *f, int kind, const char *object, sm_h5_type type,
                             size_t elements, const void **stored)
{
    sm_status status = SM_OK;
    size_t bytes = elements * sm_h5_type_bytes(type), rows = 1;
    block *b = import->cache[kind];
    if (!b || f->image < b->first || f->image >= b->first + b->count) {
        sm_free(b);
        import->cache[kind] = NULL;
        SM_TRY(sm_h5_chunk_rows(f->m.file, object, &rows));
        rows = rows * bytes > BLOCK_BYTES_MOST ? 1 : rows;
        size_t first = f->image / rows * rows, left = f->m.count - first;
        rows = rows < left ? rows : left;
        b = sm_alloc(sizeof *b + rows * bytes);
        *b = (block){.first = first, .count = rows};
        import->cache[kind] = b;
        status = sm_h5_read_rows(f->m.file, object, type, first, rows, elements, b->values);
        b->count = status == SM_OK ? rows : 0;
        SM_TRY(status);
    }
    *stored = (const char *)b->values + (f->image - b->first) * bytes;
done:
    return status;
}

/* ---- reading one image -------------------------------------------------------------------------------------------- */

static sm_status find_frame(const sm_import_options *options, const char *text, frame *f)
{
    sm_status status = SM_OK;
    int64_t border;
    SM_TRY(open_mat(options->root, &f->m));
    SM_TRY(sm_import_count_option(&sm_nyuv2_importer, options, BORDER, 0, BORDER_MAX, &border));
    f->image = (size_t)strtoll(text, NULL, 10);
    f->border = (int)border;
    f->height = f->m.height - 2 * f->border;
    f->width = f->m.width - 2 * f->border;
    if (f->height < 1 || f->width < 1) {
        status = sm_fail(SM_ERR_USAGE, "--border %d leaves nothing of %d x %d pixels (height x width)", f->border,
                         f->m.height, f->m.width);
    }
done:
    return status;
}

static sm_status find_size(const sm_import_options *options, const char *text, int *height, int *width)
{
    frame f = {0};
    sm_status status = find_frame(options, text, &f);
    *height = f.height;
    *width = f.width;
    sm_h5_close(f.m.file);
    return status;
}

/* Where pixel (y, x) of what is left is in a plane of the file. */
static size_t stored_place(const frame *f, int64_t pixel)
{
    size_t y = (size_t)(pixel / f->width), x = (size_t)(pixel % f->width), border = (size_t)f->border;
    return (x + border) * (size_t)f->m.height + y + border;
}

static int64_t pixels_of(const frame *f)
{
    return (int64_t)f->height * f->width;
}

static size_t plane_of(const frame *f)
{
    return (size_t)f->m.height * (size_t)f->m.width;
}

/* "file.mat: /labels: image 17", for messages. */
static char *place_name(const frame *f, const char *object)
{
    return sm_format("%s: %s: image %zu", sm_h5_path(f->m.file), object, f->image + 1);
}

static sm_status read_image(sm_import *import, const frame *f)
{
    sm_status status = SM_OK;
    size_t plane = plane_of(f);
    const void *stored = NULL;
    uint8_t *pixels = sm_alloc(3 * (size_t)pixels_of(f));
    char *name = place_name(f, "/images");
    SM_TRY(read_stored(import, f, IMAGE, "/images", SM_H5_U8, 3 * plane, &stored));
    for (int64_t i = 0; i < pixels_of(f); i++) {
        for (size_t c = 0; c < 3; c++) {
            pixels[3 * i + (int64_t)c] = ((const uint8_t *)stored)[c * plane + stored_place(f, i)];
        }
    }
    SM_TRY(sm_import_pixels(import, name, pixels, f->height, f->width));
done:
    sm_free(pixels);
    sm_free(name);
    return status;
}

/* A map of whole numbers, turned; freed by the caller. */
static sm_status read_ids(sm_import *import, const frame *f, int kind, const char *object, int32_t **ids)
{
    const void *stored = NULL;
    *ids = sm_alloc((size_t)pixels_of(f) * sizeof **ids);
    sm_status status = read_stored(import, f, kind, object, SM_H5_INT32, plane_of(f), &stored);
    for (int64_t i = 0; status == SM_OK && i < pixels_of(f); i++) {
        (*ids)[i] = ((const int32_t *)stored)[stored_place(f, i)];
    }
    return status;
}

/* Labels, each known. */
static sm_status read_label_ids(sm_import *import, const frame *f, int32_t **labels)
{
    sm_status status = SM_OK;
    SM_TRY(read_ids(import, f, LABELS, "/labels", labels));
    for (int64_t i = 0; i < pixels_of(f); i++) {
        if ((*labels)[i] < 0 || (*labels)[i] > SM_NYUV2_LABELS) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: /labels: image %zu: label %d in row %lld, column %lld: expected 0 to %d",
                           sm_h5_path(f->m.file), f->image + 1, (*labels)[i], (long long)(i / f->width) + f->border,
                           (long long)(i % f->width) + f->border, SM_NYUV2_LABELS));
        }
    }
done:
    return status;
}

/* Label 0 is unlabelled. */
static uint8_t class_of(const sm_class_list *classes, int32_t label)
{
    uint8_t among_40 = label > 0 ? sm_nyuv2_40_of_label[label - 1] : SM_CLASS_IGNORED;
    return label > 0 && classes == &sm_nyuv2_classes_13 ? sm_nyuv2_13_of_40[among_40] : among_40;
}

static const sm_class_list *classes_of(const sm_import *import)
{
    return import->importer->kinds[LABELS].classes;
}

static sm_status read_labels(sm_import *import, const frame *f)
{
    sm_status status = SM_OK;
    int32_t *labels = NULL;
    uint8_t *classes = sm_alloc((size_t)pixels_of(f));
    SM_TRY(read_label_ids(import, f, &labels));
    for (int64_t i = 0; i < pixels_of(f); i++) {
        classes[i] = class_of(classes_of(import), labels[i]);
    }
    sm_import_class_ids(import, LABELS, classes);
done:
    sm_free(labels);
    sm_free(classes);
    return status;
}

/* An instance is a pair of label and number; walls and the like have none. */
static sm_status read_instances(sm_import *import, const frame *f)
{
    enum { NUMBERS = 65536 };
    sm_status status = SM_OK;
    int32_t *labels = NULL, *instances = NULL;
    char *name = place_name(f, "/instances");
    SM_TRY(read_label_ids(import, f, &labels));
    SM_TRY(read_ids(import, f, INSTANCES, "/instances", &instances));
    for (int64_t i = 0; i < pixels_of(f); i++) {
        uint8_t class = class_of(classes_of(import), labels[i]);
        int is_thing = class != SM_CLASS_IGNORED && classes_of(import)->thing[class];
        instances[i] = is_thing && instances[i] > 0 ? labels[i] * NUMBERS + instances[i] % NUMBERS : 0;
    }
    SM_TRY(sm_import_instance_ids(import, INSTANCES, name, instances));
done:
    sm_free(labels);
    sm_free(instances);
    sm_free(name);
    return status;
}

static sm_status read_depth(sm_import *import, const frame *f)
{
    sm_status status = SM_OK;
    const sm_target *target = &import->target_of[DEPTH];
    const char *object = depth_object(import->options);
    const void *stored = NULL;
    float *depth = sm_alloc((size_t)pixels_of(f) * sizeof *depth);
    SM_TRY(read_stored(import, f, DEPTH, object, SM_H5_FLOAT, plane_of(f), &stored));
    for (int64_t i = 0; i < pixels_of(f); i++) {
        float metres = ((const float *)stored)[stored_place(f, i)];
        if (metres != 0 && (metres < (float)target->least || metres > (float)target->most)) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "%s: %s: image %zu: %g in row %lld, column %lld: expected metres, 0 for none",
                           sm_h5_path(f->m.file), object, f->image + 1, (double)metres,
                           (long long)(i / f->width) + f->border, (long long)(i % f->width) + f->border));
        }
        depth[i] = metres != 0 ? metres : NAN;
    }
    sm_import_reals(import, DEPTH, depth, SM_IMPORT_MEDIAN);
done:
    sm_free(depth);
    return status;
}

static sm_status read_sample(sm_import *import, const char *const *texts, sm_sample *sample)
{
    static sm_status (*const readers[KINDS])(sm_import *, const frame *) = {read_image, read_labels, read_instances,
                                                                            read_depth};
    sm_status status = SM_OK;
    frame f = {0};
    (void)sample;
    SM_TRY(find_frame(import->options, texts[IMAGE], &f));
    for (int k = 0; k < KINDS; k++) {
        if (texts[k]) {
            SM_TRY(readers[k](import, &f));
        }
    }
done:
    sm_h5_close(f.m.file);
    return status;
}

/* ---- the row ------------------------------------------------------------------------------------------------------- */

#define KINDS_OF(class_list)                                                                                           \
    {                                                                                                                  \
        [IMAGE] = {.what = "image", .is_text = 1},                                                                     \
        [LABELS] = {.what = "labels", .target = "semantic", .classes = &(class_list), .is_text = 1},                   \
        [INSTANCES] = {.what = "instances", .target = "instance", .is_text = 1},                                       \
        [DEPTH] = {.what = "depth", .target = "depth", .is_text = 1},                                                  \
    }

static const struct variant {
    const char *classes;
    sm_import_kind kinds[KINDS];
} variants[] = {{"40", KINDS_OF(sm_nyuv2_classes_40)}, {"13", KINDS_OF(sm_nyuv2_classes_13)}};

static const sm_import_flag flags[] = {
    [CLASSES] = {"classes", "40 or 13 classes of the 894 labels (40)", "N"},
    [SPLIT] =
        {"split",
         "numbers, from 1, of the training images, the others are for validation; or a CSV table with the columns "
         "index and split (the official split: 795 train, its 654 test images as val)",
         "FILE"},
    [BORDER] = {"border", "pixels to cut off each side: images have a white frame of about 8 (0)", "PIXELS"},
    [RAW_DEPTH] = {"raw-depth", "depth as measured, with holes, in place of the filled one", NULL},
    {NULL, NULL, NULL},
};

static void free_importer(sm_importer *importer)
{
    sm_free(importer);
}

static sm_status make_importer(sm_comm *comm, const sm_import_options *options, sm_importer **made)
{
    const char *classes = options->values[CLASSES];
    size_t chosen = classes && strcmp(classes, variants[1].classes) == 0;
    (void)comm;
    if (classes && strcmp(classes, variants[chosen].classes) != 0) {
        return sm_fail(SM_ERR_USAGE, "--classes '%s': expected 40 or 13", classes);
    }
    *made = sm_alloc(sizeof **made);
    **made = sm_nyuv2_importer;
    (*made)->kinds = variants[chosen].kinds;
    (*made)->make = NULL;
    return SM_OK;
}

const sm_importer sm_nyuv2_importer = {
    .name = "nyuv2",
    .summary = "import NYU Depth V2",
    .title = "NYU Depth V2",
    .root_help = "nyu_depth_v2_labeled.mat",
    .root_may_be_file = 1,
    .flags = flags,
    .kind_count = KINDS,
    .list = list_images,
    .size = find_size,
    .read = read_sample,
    .make = make_importer,
    .free = free_importer,
};
