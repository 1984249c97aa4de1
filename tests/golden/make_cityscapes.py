"""Writes cityscapes.h5: label maps, predictions, and what the official scripts say of them:

    python3 -m venv /tmp/scripts && /tmp/scripts/bin/pip install cityscapesscripts==2.3.0 "numpy<2.3" h5py
    /tmp/scripts/bin/python tests/golden/make_cityscapes.py

The scripts read PNG files of label ids; the arrays here hold the same as class ids (trainId, 255 ignored) and as
instances within a sample (the script's id where that is 1000 or more, else 0)."""
import os
import tempfile

import h5py
import numpy as np
from cityscapesscripts.evaluation import evalInstanceLevelSemanticLabeling as instance_level
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as pixel_level
from cityscapesscripts.helpers.labels import id2label, trainId2label
from PIL import Image

HEIGHT, WIDTH, CLASSES = 48, 80, 19
random = np.random.default_rng(20161)
ROAD, BUILDING, SKY, PERSON, RIDER, CAR, TRUCK, BICYCLE = 7, 11, 23, 24, 25, 26, 27, 33
VOID, CAR_GROUP, PERSON_GROUP = 3, 26, 24


def to_classes(labels):
    return np.array([id2label[i].trainId if i in id2label else 255 for i in range(256)], np.uint8)[labels]


def box(array, top, left, height, width, value):
    array[top:top + height, left:left + width] = value


def background():
    ids = np.full((HEIGHT, WIDTH), ROAD, np.uint16)
    box(ids, 0, 0, 10, WIDTH, SKY)
    box(ids, 10, 0, 14, 30, BUILDING)
    box(ids, 44, 0, 4, WIDTH, VOID)
    return ids


def street():
    """Instances of several classes, of 4 to 600 pixels; a group of cars, a small group of persons, a void region."""
    ids = background()
    box(ids, 20, 5, 20, 30, CAR * 1000)
    box(ids, 22, 40, 12, 15, CAR * 1000 + 1)
    box(ids, 20, 60, 10, 20, CAR_GROUP)
    box(ids, 12, 40, 9, 4, PERSON * 1000 + 1)   # smaller than 100 pixels
    box(ids, 12, 50, 10, 11, PERSON * 1000 + 2)
    box(ids, 12, 70, 6, 5, PERSON_GROUP)        # a group smaller than 100 pixels
    box(ids, 36, 60, 8, 14, BICYCLE * 1000 + 7)
    box(ids, 34, 40, 2, 2, RIDER * 1000)
    return ids


def crowd():
    ids = background()
    for k in range(6):
        box(ids, 12 + 5 * (k % 2), 3 + 12 * k, 20, 10, PERSON * 1000 + 10 + k)
    box(ids, 30, 60, 11, 19, TRUCK * 1000 + 3)
    return ids


def quarter():
    """An instance of 400 pixels for overlaps that are exactly a threshold."""
    ids = background()
    box(ids, 20, 20, 20, 20, CAR * 1000 + 5)
    box(ids, 20, 50, 20, 20, TRUCK * 1000)
    return ids


def mask(top, left, height, width):
    out = np.zeros((HEIGHT, WIDTH), np.uint8)
    box(out, top, left, height, width, 1)
    return out


# instance ids of an image, and its predictions: (mask, label id, confidence)
images = {
    "street": (street(), [
        (mask(20, 6, 20, 30), CAR, 0.9), (mask(21, 5, 18, 28), CAR, 0.7),     # two that find one car, overlapping
        (mask(22, 40, 12, 11), CAR, 0.6), (mask(20, 62, 10, 18), CAR, 0.8),   # one in the group
        (mask(20, 52, 10, 20), CAR, 0.55), (mask(44, 10, 4, 30), CAR, 0.95),  # half in the group; in the void
        (mask(12, 40, 9, 4), PERSON, 0.99), (mask(12, 50, 10, 7), PERSON, 0.5),
        (mask(12, 70, 8, 6), PERSON, 0.4), (mask(12, 66, 6, 9), PERSON, 0.45),  # about the small group
        (mask(12, 70, 20, 5), PERSON, 0.7),  # 30 of 100 pixels in it, which count twice
        (mask(36, 60, 8, 14), RIDER, 0.3), (mask(41, 60, 7, 14), BICYCLE, 0.35),
        (mask(0, 0, 5, 5), ROAD, 0.9), (mask(0, 0, 0, 0), CAR, 0.9)]),          # no thing; empty
    "crowd": (crowd(), [
        *[(mask(12 + 5 * (k % 2), 3 + 12 * k + k // 2, 20, 10), PERSON, 0.5 + 0.1 * (k // 2)) for k in range(6)],
        (mask(5, 0, 30, 60), PERSON, 0.6), (mask(30, 62, 11, 19), TRUCK, 0.5), (mask(30, 62, 11, 19), CAR, 0.5)]),
    "exact": (quarter(), [
        (mask(20, 20, 20, 15), CAR, 0.5), (mask(20, 50, 16, 20), TRUCK, 0.5),      # overlaps 0.75 and 0.8
        (mask(20, 50, 12, 20), TRUCK, 0.25), (mask(20, 50, 11, 20), TRUCK, 0.25),  # 0.6 and 0.55, equal confidence
        (mask(20, 20, 10, 20), CAR, 0.9)]),  # 0.5, which is not above 0.5
    "nothing": (background(), [(mask(12, 12, 9, 12), PERSON, 0.5), (mask(30, 50, 5, 5), BICYCLE, 0.4)]),
    "unseen": (street(), []),
    "unlabelled": (np.full((HEIGHT, WIDTH), VOID, np.uint16), [(mask(12, 12, 9, 12), PERSON, 0.75)]),
}
# (The script for instances fails where every prediction of a class is ignored, as the bicycle of "street" is at 0.5.)
sets = {"all": list(images), "two": ["street", "nothing"], "exact": ["exact"],
        "without_truth": ["nothing", "unlabelled"], "without_predictions": ["unseen"]}


def semantic_prediction(labels):
    """Four of five pixels right, the others of their category or of any."""
    classes = np.array([trainId2label[c].id for c in range(CLASSES)], np.uint8)
    predicted = np.where(to_classes(labels) == 255, ROAD, labels).astype(np.uint8)
    other = np.roll(predicted, 3, axis=1)
    predicted = np.where(random.random(labels.shape) < 0.1, other, predicted)
    return np.where(random.random(labels.shape) < 0.1, random.choice(classes, labels.shape), predicted)


def write_image(folder, name, ids, predictions):
    """\\return paths that the scripts take: predicted labels, labels, predicted instances, instances."""
    stem = os.path.join(folder, f"{name}_000000_000000_")
    labels = np.where(ids >= 1000, ids // 1000, ids).astype(np.uint8)
    predicted = semantic_prediction(labels)
    Image.fromarray(labels).save(stem + "gtFine_labelIds.png")
    Image.fromarray(ids).save(stem + "gtFine_instanceIds.png")
    Image.fromarray(predicted).save(stem + "pred.png")
    with open(stem + "pred.txt", "w") as text:
        for i, (area, label, confidence) in enumerate(predictions):
            Image.fromarray(area * 255).save(f"{stem}mask{i}.png")
            text.write(f"{name}_000000_000000_mask{i}.png {label} {confidence}\n")
    ends = ("pred.png", "gtFine_labelIds.png", "pred.txt", "gtFine_instanceIds.png")
    return labels, predicted, [stem + end for end in ends]


def averages(folder, paths):
    """What the scripts say of images, in per cent and NaN where they do."""
    pixel_level.args.JSONOutput, pixel_level.args.quiet = False, True
    pixels = pixel_level.evaluateImgLists([p[0] for p in paths], [p[1] for p in paths], pixel_level.args)
    instance_level.args.JSONOutput, instance_level.args.quiet = False, True
    instance_level.args.predictionPath = folder
    instance_level.args.gtInstancesFile = os.path.join(folder, "no_such_file")
    instance_level.getGtInstances = lambda truth, args: instance_level.instances2dict(truth, False)
    with np.errstate(all="ignore"):
        instances = instance_level.evaluateImgLists([p[2] for p in paths], [p[3] for p in paths], instance_level.args)
    names = [trainId2label[c].name for c in range(CLASSES)]
    of_class = instances["averages"]["classes"]
    return {"class_iou": [pixels["classScores"][n] for n in names],
            "class_iiou": [pixels["classInstScores"][n] for n in names],
            "class_ap": [of_class[n]["ap"] if n in of_class else np.nan for n in names],
            "class_ap50": [of_class[n]["ap50%"] if n in of_class else np.nan for n in names],
            "miou": pixels["averageScoreClasses"], "iiou": pixels["averageScoreInstClasses"],
            "category_iou": pixels["averageScoreCategories"], "category_iiou": pixels["averageScoreInstCategories"],
            "ap": instances["averages"]["allAp"], "ap50": instances["averages"]["allAp50%"]}


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cityscapes.h5")
    with tempfile.TemporaryDirectory() as folder, h5py.File(path, "w") as file:
        os.chdir(folder)  # the instance script leaves matches.json where it is
        written = {}
        for name, (ids, predictions) in images.items():
            labels, predicted, written[name] = write_image(folder, name, ids, predictions)
            group = file.create_group(f"images/{name}")
            maps = {"semantic": to_classes(labels), "instance": np.where(ids >= 1000, ids, 0).astype(np.uint16),
                    "predicted": to_classes(predicted)}
            for kind, values in maps.items():
                group.create_dataset(kind, data=values, compression="gzip")
            places = [np.flatnonzero(area).astype(np.int32) for area, _, _ in predictions]
            group.create_dataset("pixels", data=np.concatenate([np.empty(0, np.int32), *places]), chunks=(4096,),
                                 maxshape=(None,), compression="gzip")
            group["pixel_counts"] = np.array([p.size for p in places], np.int64)
            group["classes"] = to_classes(np.array([label for _, label, _ in predictions], np.uint8))
            group["confidences"] = np.array([confidence for _, _, confidence in predictions], float)
        for name, members in sets.items():
            for key, value in averages(folder, [written[m] for m in members]).items():
                file[f"sets/{name}/{key}"] = np.asarray(value, float)
            file[f"sets/{name}"].attrs["images"] = ",".join(members)


main()
