/* Rank 0 looks for the frames and tells the others; then every rank converts its share.
 *
 * Disparity is shrunk by the median: a mean would put surfaces between near and far ones where there are none, the
 * nearest pixel would keep the holes and the noise of the stereo matcher. */
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/comm/stall.h>
#include <sigmatic/data/augmentation.h>
#include <sigmatic/data/cityscapes.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/image.h>
#include <sigmatic/io/json.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKY = 10, SPLITS = 3, NAME_BYTES = 128, WARNED_NAMES = 10 };

static const char *const split_names[SPLITS] = {"train", "val", "test"};

typedef enum file_kind { IMAGE, LABELS, INSTANCES, DISPARITY, CAMERA, KINDS } file_kind;

static const struct {
    const char *folder, *suffix, *what;
    const char *target; /* of the dataset; NULL: none */
} kinds[KINDS] = {
    [IMAGE] = {"leftImg8bit", "_leftImg8bit.png", "image", NULL},
    [LABELS] = {"gtFine", "_gtFine_labelIds.png", "labels", "semantic"},
    [INSTANCES] = {"gtFine", "_gtFine_instanceIds.png", "instances", "instance"},
    [DISPARITY] = {"disparity", "_disparity.png", "disparity", "disparity"},
    [CAMERA] = {"camera", "_camera.json", "camera", NULL},
};

/* One image and what there is beside it; sent between ranks as bytes. */
typedef struct city_frame {
    char city[NAME_BYTES], name[NAME_BYTES];
    int has[KINDS];
} city_frame;

/* What was found. */
typedef struct frame_list {
    int is_flat;
    int64_t count[SPLITS]; /* frames lie split after split */
    int height, width;     /* of the first image */
    city_frame *frames;
    size_t total, room;
} frame_list;

typedef struct frame_importer {
    const sm_cityscapes_options *options;
    const frame_list *catalogue;
    int split_of[SPLITS]; /* a split of the file -> of split_names */
    sm_target targets[KINDS];
    const void *target_data[KINDS];
    int target_count;
    int height, width;
    uint8_t *image, *semantic;
    uint16_t *instance;
    float *disparity, *sampled, *covered, *workspace;
    size_t covered_room, workspace_room;
} frame_importer;

/* ---- looking for files -------------------------------------------------------------------------------------------- */

static char *split_folder(const char *root, int is_flat, file_kind kind, const char *split)
{
    return is_flat ? sm_format("%s/%s", root, split) : sm_format("%s/%s/%s", root, kinds[kind].folder, split);
}

static char *file_path(const char *root, int is_flat, file_kind kind, const char *split, const city_frame *frame)
{
    char *folder = split_folder(root, is_flat, kind, split);
    char *path = sm_format("%s/%s/%s%s", folder, frame->city, frame->name, kinds[kind].suffix);
    sm_free(folder);
    return path;
}

static void add_frame(frame_list *catalogue, const city_frame *frame)
{
    if (catalogue->total == catalogue->room) {
        catalogue->room = catalogue->room ? 2 * catalogue->room : 64;
        catalogue->frames = sm_realloc(catalogue->frames, catalogue->room * sizeof *frame);
    }
    catalogue->frames[catalogue->total++] = *frame;
}

/* The part of a file name before the suffix of images; 0 if it is no image or too long. */
static int name_of_image(const char *file, char name[NAME_BYTES])
{
    size_t length = strlen(file), suffix = strlen(kinds[IMAGE].suffix);
    if (length <= suffix || length - suffix >= NAME_BYTES || strcmp(file + length - suffix, kinds[IMAGE].suffix) != 0) {
        return 0;
    }
    memcpy(name, file, length - suffix);
    name[length - suffix] = 0;
    return 1;
}

static sm_status scan_city(const sm_cityscapes_options *options, const char *folder, int split, const char *city,
                           frame_list *catalogue)
{
    sm_status status = SM_OK;
    char *path = sm_format("%s/%s", folder, city), **files = NULL;
    size_t count = 0;
    if (!sm_folder_exists(path) || strlen(city) >= NAME_BYTES) {
        goto done;
    }
    SM_TRY(sm_folder_list(path, &files, &count));
    for (size_t i = 0; i < count; i++) {
        city_frame frame = {.has = {0}};
        if (!name_of_image(files[i], frame.name)) {
            continue;
        }
        snprintf(frame.city, sizeof frame.city, "%s", city);
        for (int k = 0; k < KINDS; k++) {
            char *file = file_path(options->root, catalogue->is_flat, (file_kind)k, split_names[split], &frame);
            frame.has[k] = sm_file_exists(file);
            sm_free(file);
        }
        add_frame(catalogue, &frame);
        catalogue->count[split]++;
    }
done:
    sm_free(files);
    sm_free(path);
    return status;
}

static sm_status scan_split(const sm_cityscapes_options *options, int split, frame_list *catalogue)
{
    sm_status status = SM_OK;
    char *folder = split_folder(options->root, catalogue->is_flat, IMAGE, split_names[split]), **cities = NULL;
    size_t count = 0;
    if (sm_folder_exists(folder)) {
        SM_TRY(sm_folder_list(folder, &cities, &count));
        for (size_t i = 0; i < count; i++) {
            sm_comm_set_phase("frames of city", 0, (int)i);
            SM_TRY(scan_city(options, folder, split, cities[i], catalogue));
        }
    }
done:
    sm_free(cities);
    sm_free(folder);
    return status;
}

static sm_status scan_layout(const sm_cityscapes_options *options, int is_flat, frame_list *catalogue)
{
    sm_status status = SM_OK;
    catalogue->is_flat = is_flat;
    for (int split = 0; split < SPLITS; split++) {
        SM_TRY(scan_split(options, split, catalogue));
    }
done:
    return status;
}

static sm_status read_first_size(const sm_cityscapes_options *options, frame_list *catalogue)
{
    int split = 0;
    while (catalogue->count[split] == 0) {
        split++;
    }
    sm_image image;
    char *path = file_path(options->root, catalogue->is_flat, IMAGE, split_names[split], &catalogue->frames[0]);
    sm_status status = sm_image_read(path, SM_IMAGE_AS_RGB | SM_IMAGE_AS_8_BIT, &image);
    catalogue->height = image.height;
    catalogue->width = image.width;
    sm_image_free(&image);
    sm_free(path);
    return status;
}

static sm_status scan(const sm_cityscapes_options *options, frame_list *catalogue)
{
    sm_status status = SM_OK;
    if (!sm_folder_exists(options->root)) {
        return sm_fail(SM_ERR_IO, "%s: no such folder", options->root);
    }
    SM_TRY(scan_layout(options, 0, catalogue));
    if (catalogue->total == 0) {
        SM_TRY(scan_layout(options, 1, catalogue));
    }
    if (catalogue->total == 0) {
        return sm_fail(SM_ERR_INPUT,
                       "%s: no Cityscapes images; looked for leftImg8bit/{train,val,test}/<city>/*%s (official) and "
                       "{train,val,test}/<city>/*%s (flat)",
                       options->root, kinds[IMAGE].suffix, kinds[IMAGE].suffix);
    }
    SM_TRY(read_first_size(options, catalogue));
done:
    return status;
}

/* How many frames have a file of this kind. */
static int64_t count_kind(const frame_list *catalogue, file_kind kind)
{
    int64_t count = 0;
    for (size_t i = 0; i < catalogue->total; i++) {
        count += catalogue->frames[i].has[kind];
    }
    return count;
}

static void report_missing(const sm_cityscapes_options *options, const frame_list *catalogue)
{
    sm_log_info("%s: %s layout, %lld train, %lld val, %lld test", options->root,
                catalogue->is_flat ? "flat" : "official", (long long)catalogue->count[0],
                (long long)catalogue->count[1], (long long)catalogue->count[2]);
    for (int s = 0; s < SPLITS; s++) {
        if (catalogue->count[s] == 0) {
            sm_log_info("%s: no split '%s', skipped", options->root, split_names[s]);
        }
    }
    for (int k = LABELS; k < KINDS; k++) {
        int64_t missing = (int64_t)catalogue->total - count_kind(catalogue, (file_kind)k), named = 0;
        if (missing == (int64_t)catalogue->total) {
            sm_log_warning("%s: no %s (*%s): left out", options->root, kinds[k].what, kinds[k].suffix);
            continue;
        }
        for (size_t i = 0; i < catalogue->total && named < WARNED_NAMES; i++) {
            if (!catalogue->frames[i].has[k]) {
                sm_log_warning("%s: no %s (%s%s)", options->root, kinds[k].what, catalogue->frames[i].name,
                               kinds[k].suffix);
                named++;
            }
        }
        if (missing > named) {
            sm_log_warning("%s: no %s for %lld frames more", options->root, kinds[k].what,
                           (long long)(missing - named));
        }
    }
}

/* ---- converting one frame ----------------------------------------------------------------------------------------- */

/* Reads a map of one channel, of the image's size and of at most `bits` bits. */
static sm_status read_map(const char *path, int bits, int height, int width, sm_image *map)
{
    sm_status status = sm_image_read(path, SM_IMAGE_KEEP_INDICES, map);
    if (status == SM_OK && (map->channels != 1 || map->bits > bits)) {
        status =
            sm_fail(SM_ERR_INPUT, "%s: %d channels of %d bits, expected 1 of %d", path, map->channels, map->bits, bits);
    }
    if (status == SM_OK && (map->height != height || map->width != width)) {
        status = sm_fail(SM_ERR_INPUT, "%s: %d x %d pixels (height x width), its image has %d x %d", path, map->height,
                         map->width, height, width);
    }
    return status;
}

static int map_value(const sm_image *map, int64_t i)
{
    return map->bits == 16 ? ((const uint16_t *)map->pixels)[i] : ((const uint8_t *)map->pixels)[i];
}

static void convert_image(frame_importer *importer, const sm_image *image, const sm_geometry *whole)
{
    static const double mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};
    size_t count = (size_t)importer->height * (size_t)importer->width * 3;
    size_t room = sm_image_sample_workspace(image->height, image->width, importer->height, importer->width,
                                            fmin(whole->scale_x, whole->scale_y));
    if (room > importer->workspace_room) {
        sm_free(importer->workspace);
        importer->workspace = sm_alloc(room * sizeof *importer->workspace);
        importer->workspace_room = room;
    }
    sm_image_sample(image->pixels, image->height, image->width, whole, mean, std, importer->sampled,
                    importer->workspace);
    for (size_t i = 0; i < count; i++) {
        importer->image[i] = (uint8_t)lrintf(importer->sampled[i] * 255);
    }
}

static void convert_labels(frame_importer *importer, const sm_image *labels, const sm_geometry *whole)
{
    uint8_t train_id[256];
    for (int id = 0; id < 256; id++) {
        train_id[id] = sm_cityscapes_train_id(id);
    }
    for (int y = 0; y < importer->height; y++) {
        for (int x = 0; x < importer->width; x++) {
            int64_t from = sm_geometry_nearest(whole, labels->height, labels->width, x, y);
            importer->semantic[y * importer->width + x] = train_id[map_value(labels, from)];
        }
    }
}

/* Ids are label id * 1000 + k; below 1000 the quotient is label 0, which is no thing. */
static int is_thing_instance(int id)
{
    uint8_t train_id = sm_cityscapes_train_id(id / 1000);
    return train_id != 255 && sm_cityscapes_classes.thing[train_id];
}

static void convert_instances(frame_importer *importer, const sm_image *instances, const sm_geometry *whole)
{
    uint16_t *number = sm_alloc_zeroed(65536 * sizeof *number), used = 0; /* id -> new number */
    int area = importer->height * importer->width;
    for (int i = 0; i < area; i++) {
        int64_t from =
            sm_geometry_nearest(whole, instances->height, instances->width, i % importer->width, i / importer->width);
        importer->instance[i] = (uint16_t)map_value(instances, from);
        number[importer->instance[i]] = 1;
    }
    for (int id = 0; id < 65536; id++) {
        number[id] = number[id] && is_thing_instance(id) ? ++used : 0;
    }
    for (int i = 0; i < area; i++) {
        importer->instance[i] = number[importer->instance[i]];
    }
    sm_free(number);
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of an even number the mean of the middle two if they can be one surface (within a pixel), else the farther one. */
static float median(float *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_floats);
    float low = values[(count - 1) / 2], high = values[count / 2];
    return high - low < 1 ? (low + high) / 2 : low;
}

/* First stored pixel whose centre lies in output pixel `i` or behind, where one covers `factor` stored ones. */
static int first_covered(int i, double factor, int extent)
{
    int first = (int)ceil(i * factor - 0.5);
    return first > extent ? extent : first;
}

static void convert_disparity(frame_importer *importer, const sm_image *stored, const sm_geometry *whole)
{
    double factor_x = (double)stored->width / importer->width, factor_y = (double)stored->height / importer->height;
    size_t room = (size_t)(ceil(factor_x) + 1) * (size_t)(ceil(factor_y) + 1);
    if (room > importer->covered_room) {
        sm_free(importer->covered);
        importer->covered = sm_alloc(room * sizeof *importer->covered);
        importer->covered_room = room;
    }
    for (int i = 0; i < importer->height * importer->width; i++) {
        int x = i % importer->width, y = i / importer->width, total = 0, valid = 0;
        int first_x = first_covered(x, factor_x, stored->width), end_x = first_covered(x + 1, factor_x, stored->width);
        int first_y = first_covered(y, factor_y, stored->height);
        int end_y = first_covered(y + 1, factor_y, stored->height);
        if (first_x >= end_x || first_y >= end_y) { /* enlarged: an output pixel may cover no centre */
            int64_t from = sm_geometry_nearest(whole, stored->height, stored->width, x, y);
            first_x = (int)(from % stored->width);
            first_y = (int)(from / stored->width);
            end_x = first_x + 1;
            end_y = first_y + 1;
        }
        for (int ys = first_y; ys < end_y; ys++) {
            for (int xs = first_x; xs < end_x; xs++, total++) {
                int p = map_value(stored, (int64_t)ys * stored->width + xs);
                if (p > 0) {
                    importer->covered[valid++] = (float)(p - 1) / 256;
                }
            }
        }
        importer->disparity[i] = 2 * valid >= total ? median(importer->covered, valid) / (float)factor_x : NAN;
    }
}

static void convert_sky(frame_importer *importer)
{
    for (int i = 0; i < importer->height * importer->width; i++) {
        if (importer->semantic[i] == SKY) {
            importer->disparity[i] = 0;
        }
    }
}

static void invalidate(frame_importer *importer)
{
    size_t area = (size_t)importer->height * (size_t)importer->width;
    memset(importer->semantic, 255, area);
    memset(importer->instance, 0, area * sizeof *importer->instance);
    for (size_t i = 0; i < area; i++) {
        importer->disparity[i] = NAN;
    }
}

static sm_status read_camera(const char *path, sm_sample *sample)
{
    sm_status status = SM_OK;
    SM_TRY(sm_json_read_real(path, "extrinsic.baseline", &sample->baseline_metres));
    SM_TRY(sm_json_read_real(path, "intrinsic.fx", &sample->fx_pixels));
    if (!(sample->baseline_metres > 0) || !(sample->fx_pixels > 0)) {
        status = sm_fail(SM_ERR_INPUT, "%s: extrinsic.baseline %g, intrinsic.fx %g: expected positive numbers", path,
                         sample->baseline_metres, sample->fx_pixels);
    }
done:
    return status;
}

/* Where each map goes; a row a kind of map. */
static const struct {
    file_kind kind;
    int bits;
    void (*convert)(frame_importer *importer, const sm_image *map, const sm_geometry *whole);
} maps[] = {
    {LABELS, 8, convert_labels},
    {INSTANCES, 16, convert_instances},
    {DISPARITY, 16, convert_disparity},
};

static sm_status produce(void *user, int split, int64_t index, sm_sample *sample)
{
    sm_status status = SM_OK;
    frame_importer *importer = user;
    const frame_list *catalogue = importer->catalogue;
    const char *root = importer->options->root, *split_name = split_names[importer->split_of[split]];
    int64_t first = 0;
    for (int s = 0; s < importer->split_of[split]; s++) {
        first += catalogue->count[s];
    }
    const city_frame *frame = &catalogue->frames[first + index];
    sm_image image = {0}, map = {0};
    char *path = file_path(root, catalogue->is_flat, IMAGE, split_name, frame);
    SM_TRY(sm_image_read(path, SM_IMAGE_AS_RGB | SM_IMAGE_AS_8_BIT, &image));
    sm_geometry whole = sm_geometry_whole(image.height, image.width, importer->height, importer->width);
    convert_image(importer, &image, &whole);
    invalidate(importer);
    for (size_t m = 0; m < sizeof maps / sizeof *maps; m++) {
        if (frame->has[maps[m].kind]) {
            sm_free(path);
            path = file_path(root, catalogue->is_flat, maps[m].kind, split_name, frame);
            SM_TRY(read_map(path, maps[m].bits, image.height, image.width, &map));
            maps[m].convert(importer, &map, &whole);
            sm_image_free(&map);
        }
    }
    if (importer->options->sky_is_far && frame->has[DISPARITY]) {
        convert_sky(importer);
    }
    if (frame->has[CAMERA]) {
        sm_free(path);
        path = file_path(root, catalogue->is_flat, CAMERA, split_name, frame);
        SM_TRY(read_camera(path, sample));
    }
    sample->input = importer->image;
    for (int t = 0; t < importer->target_count; t++) {
        sm_sample_add(sample, &importer->targets[t], importer->target_data[t]);
    }
    sample->original_height = image.height;
    sample->original_width = image.width;
done:
    sm_image_free(&image);
    sm_image_free(&map);
    sm_free(path);
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

static sm_status share_catalogue(sm_comm *comm, const sm_cityscapes_options *options, frame_list *catalogue)
{
    int is_root = sm_comm_rank(comm) == 0;
    sm_status status = sm_comm_agree(comm, is_root ? scan(options, catalogue) : SM_OK);
    if (status != SM_OK) {
        return status;
    }
    city_frame *own = catalogue->frames;
    sm_comm_broadcast(comm, catalogue, sizeof *catalogue, 0);
    catalogue->frames = is_root ? own : sm_alloc(catalogue->total * sizeof *catalogue->frames);
    sm_comm_broadcast(comm, catalogue->frames, catalogue->total * sizeof *catalogue->frames, 0);
    return SM_OK;
}

/* The targets of which any frame has a file. */
static void list_targets(const frame_list *catalogue, frame_importer *importer)
{
    const void *const data[KINDS] = {
        [LABELS] = importer->semantic, [INSTANCES] = importer->instance, [DISPARITY] = importer->disparity};
    for (int k = 0; k < KINDS; k++) {
        if (kinds[k].target && count_kind(catalogue, (file_kind)k) > 0) {
            sm_target *target = &importer->targets[importer->target_count];
            *target = *sm_standard_target(kinds[k].target);
            target->classes = target->type == SM_TARGET_CLASS ? &sm_cityscapes_classes : NULL;
            importer->target_data[importer->target_count++] = data[k];
        }
    }
}

static void make_importer(const sm_cityscapes_options *options, const frame_list *catalogue, frame_importer *importer)
{
    int given = options->height > 0 && options->width > 0;
    *importer = (frame_importer){.options = options, .catalogue = catalogue};
    importer->height = given ? options->height : catalogue->height;
    importer->width = given ? options->width : catalogue->width;
    size_t area = (size_t)importer->height * (size_t)importer->width;
    importer->image = sm_alloc(area * 3);
    importer->semantic = sm_alloc(area);
    importer->instance = sm_alloc(area * sizeof *importer->instance);
    importer->disparity = sm_alloc(area * sizeof *importer->disparity);
    importer->sampled = sm_alloc(area * 3 * sizeof *importer->sampled);
    list_targets(catalogue, importer);
}

static void clear_importer(frame_importer *importer)
{
    sm_free(importer->image);
    sm_free(importer->semantic);
    sm_free(importer->instance);
    sm_free(importer->disparity);
    sm_free(importer->sampled);
    sm_free(importer->covered);
    sm_free(importer->workspace);
}

sm_status sm_cityscapes_import(sm_comm *comm, const sm_cityscapes_options *options)
{
    sm_status status = SM_OK;
    frame_list catalogue = {0};
    frame_importer importer = {0};
    const char **names = NULL;
    SM_TRY(share_catalogue(comm, options, &catalogue));
    if (sm_comm_rank(comm) == 0) {
        report_missing(options, &catalogue);
    }
    make_importer(options, &catalogue, &importer);
    names = sm_alloc(catalogue.total * sizeof *names);
    for (size_t i = 0; i < catalogue.total; i++) {
        names[i] = catalogue.frames[i].name;
    }
    sm_dataset_split_spec splits[SPLITS];
    sm_dataset_spec spec = {.source = "Cityscapes",
                            .height = importer.height,
                            .width = importer.width,
                            .targets = importer.targets,
                            .target_count = importer.target_count,
                            .has_camera = count_kind(&catalogue, CAMERA) > 0,
                            .splits = splits};
    size_t first = 0;
    for (int s = 0; s < SPLITS; s++) {
        if (catalogue.count[s] > 0) {
            importer.split_of[spec.split_count] = s;
            splits[spec.split_count++] = (sm_dataset_split_spec){split_names[s], catalogue.count[s], names + first};
            first += (size_t)catalogue.count[s];
        }
    }
    SM_TRY(sm_dataset_write(comm, options->output, &spec, options->overwrite, produce, &importer));
done:
    clear_importer(&importer);
    sm_free(names);
    sm_free(catalogue.frames);
    return status;
}
