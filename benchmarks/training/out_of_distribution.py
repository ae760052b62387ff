"""Out-of-distribution scores of a classifier, side by side: which tells its own pictures from others best.

    python -m benchmarks.training.out_of_distribution cifar

hardware: any, about four minutes on one core. All scores are computed from one forward pass over the same pictures:
2,000 of each set at most. Statistics come from training pictures, thresholds from those that the model was validated
on. "own" is what Saccade keeps with a model (`saccade.tasks.classify.ood`): one Gaussian of class token and mean patch.

    max softmax      Hendrycks & Gimpel 2017, the baseline
    max logit        Hendrycks et al. 2022
    energy           Liu et al. 2020
    Mahalanobis      Lee et al. 2018: of the class token, to the nearest class mean, shared covariance
    relative         Ren et al. 2021: less that to the mean of all classes
    kNN              Sun et al. 2022: cosine distance to the 10th nearest training picture
    ViM              Wang et al. 2022: energy and the residual outside of the principal subspace (half of the width)

Each set has two columns: AUROC against the model's own test pictures (0.5 is chance), and the share of its pictures
above the threshold that 95 % of the held-out pictures are below.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from benchmarks.common.machine import print_machine
from saccade.data import ImageFolder, find_images, read_image, splits
from saccade.tasks import ClassifyTask, load
from saccade.tasks.classify.ood import OODDetector, fit_gaussian, pooled_features

DATA = Path("../shared/data")
OTHERS = ("tiny-imagenet-val.tar.gz", "clothing10/test", "bccd/JPEGImages", "ccp/images", "emoji/noto")
# Classes of Tiny ImageNet that CIFAR-10's ten include.
SHARED = {
    "Chihuahua", "Egyptian cat", "German shepherd", "Labrador retriever", "Persian cat", "Yorkshire terrier",
    "albatross", "beach wagon", "black stork", "bullfrog", "convertible", "golden retriever", "gondola", "goose",
    "king penguin", "lifeboat", "limousine", "moving van", "police van", "sports car", "standard poodle", "tabby",
    "tailed frog",
}  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """What a model computes of pictures."""

    cls: Float[Tensor, "n d"]
    pooled: Float[Tensor, "n e"]
    logits: Float[Tensor, "n classes"]
    labels: Int[Tensor, "n"]


Score = Callable[[Answers], Float[Tensor, "n"]]


@torch.no_grad()
def answers(task: ClassifyTask, data: ImageFolder | list[Path], indices: list[int]) -> Answers:
    """Of the pictures at `indices`; files have no labels."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for at in torch.tensor(indices).split(100):
        pictures = [data.picture(i) if isinstance(data, ImageFolder) else read_image(data[i]) for i in at.tolist()]
        tokens = task.vit(torch.stack([task.preprocess(picture.image) for picture in pictures]))
        logits = task.model.head(task.model.pool_norm(task.model.pooled(tokens)))
        found.append((tokens[:, 0], pooled_features(tokens, task.vit), logits))
    labels = data.labels[indices] if isinstance(data, ImageFolder) else torch.zeros(len(indices), dtype=torch.long)
    return Answers(*(torch.cat(part).double() for part in zip(*found, strict=True)), labels)


def drawn(count: int, most: int) -> list[int]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most].tolist()


def outside(task: ClassifyTask, path: Path, most: int) -> Answers:
    """Pictures of a set that shows none of the model's classes."""
    if path.is_dir():
        files = find_images([str(path)])
        return answers(task, files, drawn(len(files), most))
    data = ImageFolder(path)
    known = SHARED | set(task.labels)
    kept = [i for i, label in enumerate(data.labels.tolist()) if data.classes[label] not in known]
    return answers(task, data, [kept[i] for i in drawn(len(kept), most)])


def squared_distance(x: Tensor, means: Tensor, precision: Tensor) -> Float[Tensor, "n classes"]:
    centred = x[:, None] - means
    return torch.einsum("ncd,de,nce->nc", centred, precision, centred)


def mahalanobis(train: Answers, relative: bool) -> Score:
    """To the nearest class mean; relative: less that to the mean of all."""
    classes = train.logits.shape[1]
    means = torch.stack([train.cls[train.labels == c].mean(dim=0) for c in range(classes)])
    precision, whole = (torch.linalg.pinv(torch.cov(x.T)) for x in (train.cls - means[train.labels], train.cls))
    mean = train.cls.mean(dim=0, keepdim=True)

    def score(x: Answers) -> Tensor:
        nearest = squared_distance(x.cls, means, precision).min(dim=1).values
        return nearest - squared_distance(x.cls, mean, whole)[:, 0] if relative else nearest

    return score


def nearest(train: Answers, k: int = 10) -> Score:
    known = F.normalize(train.cls, dim=1)
    return lambda x: 1 - (F.normalize(x.cls, dim=1) @ known.T).topk(k, dim=1).values[:, -1]


def vim(train: Answers, task: ClassifyTask) -> Score:
    weight, bias = task.model.head.weight.detach().double(), task.model.head.bias.detach().double()
    origin = -torch.linalg.pinv(weight) @ bias
    centred = train.cls - origin
    residual = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, : centred.shape[1] // 2]
    scale = train.logits.amax(dim=1).mean() / (centred @ residual).norm(dim=1).mean()
    return lambda x: scale * ((x.cls - origin) @ residual).norm(dim=1) - x.logits.logsumexp(dim=1)


def own(train: Answers, size: tuple[int, int]) -> Score:
    detector = OODDetector(*fit_gaussian(train.pooled), 0.0, 0.0, size)
    return lambda x: detector(x.pooled)


def auroc(inside: Float[Tensor, "n"], others: Float[Tensor, "m"]) -> float:
    """Probability that a picture of `others` has the higher score; ties count half."""
    order = inside.double().sort().values
    below = torch.searchsorted(order, others.double()) + torch.searchsorted(order, others.double(), right=True)
    return (below.double() / (2 * len(inside))).mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a classifier: a bundled model's name, or a run")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the sets")
    parser.add_argument("--train", default="cifar10-train.tar.gz", help="what the model was trained on")
    parser.add_argument("--hold-out", type=float, default=0.02, help="its share that the run validated on")
    parser.add_argument("--test", default="cifar10-test.tar.gz", help="new pictures of its classes")
    parser.add_argument("--others", nargs="+", default=OTHERS, help="sets that show other things")
    parser.add_argument("--quick", action="store_true", help="few pictures")
    args = parser.parse_args()

    task = load(args.model)
    assert isinstance(task, ClassifyTask)
    task.model.float().eval()
    most = 100 if args.quick else 2000
    fit, held = splits(args.data / args.train, val_fraction=args.hold_out)
    train = answers(task, fit, drawn(len(fit), 4 * most))
    checked, test = (answers(task, d, drawn(len(d), most)) for d in (held, ImageFolder(args.data / args.test)))
    sets = {name: outside(task, args.data / name, most) for name in args.others}

    scores: dict[str, Score] = {
        "max softmax": lambda x: -x.logits.softmax(dim=1).amax(dim=1),
        "max logit": lambda x: -x.logits.amax(dim=1),
        "energy": lambda x: -x.logits.logsumexp(dim=1),
        "Mahalanobis": mahalanobis(train, relative=False),
        "relative": mahalanobis(train, relative=True),
        "kNN": nearest(train),
        "ViM": vim(train, task),
        "own": own(train, task.preprocess.size),
    }
    report(scores, checked, test, sets)


def report(scores: dict[str, Score], checked: Answers, test: Answers, sets: dict[str, Answers]) -> None:
    print_machine()
    print(f"{'pictures':14}{len(test.labels):9}" + "".join(f"{len(x.labels):16}" for x in sets.values()))
    print(f"{'':14}{'test':>9}" + "".join(f"{Path(name).parts[0].split('.')[0][:14]:>16}" for name in sets) + "   mean")
    for name, score in scores.items():
        inside, limit = score(test), torch.quantile(score(checked).double(), 0.95)
        found = [(auroc(inside, (x := score(s))), (x > limit).double().mean().item()) for s in sets.values()]
        cells = "".join(f"{area:10.3f} {share:5.0%}" for area, share in found)
        mean = sum(area for area, _ in found) / len(found)
        print(f"{name:14}{(inside > limit).double().mean().item():9.0%}{cells}  {mean:.3f}")


if __name__ == "__main__":
    main()
