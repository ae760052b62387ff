"""Make a trained run an embedded model: choose the picture size on held-out pictures, round the weights to fp16.

    python recipes/embed.py runs/cifar cifar10-train.tar.gz --hold-out 0.02

hardware: any, half a minute. The held-out pictures are those the run validated on (same share, same seed); the test
pictures are not touched. A model trained with growing pictures is often best a little below its last size, at which
it was trained for the shortest time.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from saccade.data import Preprocess, prepare, splits
from saccade.tasks import ClassifyTask, load
from saccade.tasks.classify import probabilities, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--hold-out", type=float, default=0.1)
    parser.add_argument("--out", type=Path, default=Path("src/saccade/weights"))
    args = parser.parse_args()

    task = load(args.run)
    assert isinstance(task, ClassifyTask)
    _, held = splits(args.data, fraction=args.hold_out)
    patch, full = task.vit.config.patch, task.preprocess.size[0]
    scores = {size: held_out(task, task.preprocess.at(size), held) for size in range(full // 2, full + 1, patch)}
    for size, found in scores.items():
        print(f"{size} pixels: top1 {found['top1']:.4f}  loss {found['loss']:.4f}")
    best = max(scores, key=lambda size: scores[size]["top1"])
    preprocess = task.preprocess.at(best)
    if preprocess.detail is not None and preprocess.detail >= best:
        preprocess = replace(preprocess, detail=None)
    embedded = ClassifyTask(task.model.half(), preprocess, args.run.name, labels=task.labels, card=task.card)
    embedded.save(args.out / args.run.name, scores=scores[best])
    print(f"{args.out / args.run.name}: {best} pixels, {preprocess}")


@torch.no_grad()
def held_out(task: ClassifyTask, preprocess: Preprocess, held) -> dict[str, float]:
    data = prepare(held, preprocess)
    said = [probabilities(task.model, preprocess.normalised(data[at][0])) for at in torch.arange(len(data)).split(250)]
    return score(torch.cat(said), data.labels)


if __name__ == "__main__":
    main()
