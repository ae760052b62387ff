"""Make a trained run a bundled model: its weights rounded to fp16; of a classifier, its picture size chosen and its
out-of-distribution score fitted to that size.

    python recipes/embed.py runs/cifar --held-out cifar10-train.tar.gz --hold-out 0.02
    python recipes/embed.py runs/scenes
    python recipes/embed.py src/saccade/weights/cifar --held-out cifar10-train.tar.gz --hold-out 0.02 --keep-size
    python recipes/embed.py runs/cifar --held-out cifar10-train.tar.gz --hold-out 0.02 --test cifar10-test.tar.gz

hardware: any, half a minute. A classifier trained with growing pictures is often best a little below its last size, at
which it was trained for the shortest time; so its size is chosen on held-out pictures: those the run validated on
(same share, same seed); the test pictures are not touched. Detectors and segmenters stay at their size. A classifier
becomes the default of `look`, `predict` and `val` by its name in DEFAULT_CLASSIFIER of saccade/tasks/bundled_models.py.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from saccade.data import ImageFolder, Preprocess, splits
from saccade.device import init_device
from saccade.tasks import ClassifyTask, load
from saccade.tasks.classify.calibrate import fit_ood_detector
from saccade.tasks.classify.scores import classification_scores
from saccade.tasks.saved import TrainedTask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--held-out", type=Path, help="pictures that choose a classifier's size")
    parser.add_argument("--hold-out", type=float, default=0.1)
    parser.add_argument("--test", type=Path, help="pictures that a classifier is scored on, for its card")
    parser.add_argument("--keep-size", action="store_true", help="do not choose a classifier's size again")
    parser.add_argument("--out", type=Path, default=Path("src/saccade/weights"))
    args = parser.parse_args()

    task = load(args.run)
    assert isinstance(task, TrainedTask)
    task.model.half()
    if isinstance(task, ClassifyTask):
        if args.held_out is None:
            parser.error("a classifier's size is chosen on pictures: give --held-out")
        task = fitted(task, args.held_out, args.hold_out, args.keep_size)
        if args.test is not None:
            task = tested(task, args.test)
    place = args.out / args.run.name
    card = (place / "README.md").read_bytes() if (place / "README.md").exists() else None
    replace(task, model=task.model.half(), name=args.run.name).save(place)  # replaces the whole folder
    if card is not None:
        (place / "README.md").write_bytes(card)
    print(f"{place}: {task.preprocess}")


def fitted(task: ClassifyTask, data: Path, hold_out: float, keep_size: bool) -> ClassifyTask:
    """With the best picture size, and the out-of-distribution score of that size. The model computes in fp32."""
    train, held = splits(data, val_fraction=hold_out)
    task.model.float()
    if not keep_size:
        preprocess, scores = best_size(task, held)
        task = replace(task, preprocess=preprocess, card={**task.card, "scores": scores})
    task = fit_ood_detector(task, train, held, init_device("cpu", "fp32"))
    print(task.card["out_of_distribution"])
    named: dict[str, Any] = {key: Path(task.card[key]).name for key in ("data", "validated on") if key in task.card}
    return replace(task, card={**task.card, **named})


def tested(task: ClassifyTask, data: Path) -> ClassifyTask:
    """With the scores on test pictures, in fp32, on its card."""
    pictures = ImageFolder(data)
    found = held_out(task, task.preprocess, pictures)
    scores = {name: round(found[name], 4) for name in ("top1", "top5", "ece")}
    print(f"{len(pictures)} test pictures: {scores}")
    about = {"on": f"the {len(pictures):,} pictures of {data.name}, in fp32", "scores": scores}
    return replace(task, card={**task.card, "test": about})


def best_size(task: ClassifyTask, held: ImageFolder) -> tuple[Preprocess, dict[str, float]]:
    """How pictures are prepared for the highest top1 on held-out pictures, and the scores it has there."""
    patch, full = task.vit.config.patch, task.preprocess.size[0]
    scores = {size: held_out(task, task.preprocess.with_size(size), held) for size in range(full // 2, full + 1, patch)}
    for size, found in scores.items():
        print(f"{size} pixels: top1 {found['top1']:.4f}  loss {found['loss']:.4f}")
    best = max(scores, key=lambda size: scores[size]["top1"])
    preprocess = task.preprocess.with_size(best)
    if preprocess.detail is not None and preprocess.detail >= best:
        preprocess = replace(preprocess, detail=None)
    return preprocess, scores[best]


def held_out(task: ClassifyTask, preprocess: Preprocess, held: ImageFolder) -> dict[str, float]:
    found = replace(task, preprocess=preprocess).val(held, init_device("cpu", "fp32"))
    return classification_scores(found.probabilities, found.truth)


if __name__ == "__main__":
    main()
