"""Does the model need what the map says it looks at? Take those pixels away, or give them alone, and see."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.scores.bootstrap import Measured, control_generator, measured
from saccade.lens.scores.given import check_axes, check_classes, check_logits, check_numbers, check_seed, count

Model = Callable[[Float[Tensor, "b c h w"]], Float[Tensor, "b k"]]
Change = Callable[[Float[Tensor, "b c h w"], Bool[Tensor, "b 1 h w"]], Float[Tensor, "b c h w"]]
Score = Callable[[Float[Tensor, "b k"], Int[Tensor, "b"]], Float[Tensor, "b"]]

PERTURBED = tuple(i / 10 for i in range(1, 10))  # shares of the pixels
BLUR, DEVIATION = 11, 5.0  # pixels


@dataclass(frozen=True)
class Perturbation:
    """What a model says as pixels change. area: mean height of the curve, 0 to 1. shares: of pixels that were changed.
    curve, random_curve: the score at each share, for the maps and for random ones. pictures: how many. start: the score
    where no pixel is changed yet."""

    area: Measured
    shares: tuple[float, ...]
    curve: tuple[float, ...]
    random_curve: tuple[float, ...]
    pictures: int
    start: float

    @property
    def published(self) -> float:
        """The area as in the tables of Chefer, Gur & Wolf 2021 and of those who compare with them: by trapezoids from
        0 % on, times 100; 90 at most where the last share is 90 %."""
        shares, curve = (0.0, *self.shares), (self.start, *self.curve)
        return 100 * float(torch.trapezoid(torch.tensor(curve).double(), torch.tensor(shares).double()))


def deletion(
    model: Model,
    pictures: Float[Tensor, "p c h w"],
    classes: Int[Tensor, "p"],
    maps: Float[Tensor, "p y x"],
    steps: int = 20,
    fill: float = 0.0,
    seed: int = 0,
    batch: int = 32,
) -> Perturbation:
    """How fast the probability of a class falls as the pixels that matter most are removed first; the lower the area,
    the better the map (Petsiuk et al. 2018, "RISE", 3.3).

    model: from pictures to logits, in evaluation mode. classes: that each map is to explain. maps: as fine as the
    pictures, or coarser: they are brought to pixels by bilinear interpolation, and equal pixels go row by row. steps:
    into which the pixels are divided. fill: what a removed pixel becomes; 0 is the mean colour of normalised pictures.
    The random maps have the grid of the maps. The interval is over pictures, which are `batch` at a time in the model.

    Raises SaccadeError for what is empty or does not fit together, for pictures, maps and logits that are not finite,
    and for a class that the model does not have.
    """
    return _play(model, pictures, classes, maps, _shares(steps), _removed(fill), _probability, True, seed, batch)


def insertion(
    model: Model,
    pictures: Float[Tensor, "p c h w"],
    classes: Int[Tensor, "p"],
    maps: Float[Tensor, "p y x"],
    steps: int = 20,
    seed: int = 0,
    batch: int = 32,
) -> Perturbation:
    """How fast the probability of a class rises as the pixels that matter most come back first into a blurred picture;
    the higher the area, the better the map (Petsiuk et al. 2018, "RISE", 3.3).

    Blurred by a Gaussian of 11 x 11 pixels with a deviation of 5, with zeros around the picture (the mean colour of a
    normalised one), as in their code. Arguments and errors as for `deletion`.
    """
    return _play(model, pictures, classes, maps, _shares(steps), _given_back, _probability, True, seed, batch)


def positive_perturbation(
    model: Model,
    pictures: Float[Tensor, "p c h w"],
    classes: Int[Tensor, "p"],
    maps: Float[Tensor, "p y x"],
    fill: float = 0.0,
    seed: int = 0,
    batch: int = 32,
) -> Perturbation:
    """How fast top-1 accuracy falls as 10 % to 90 % of the pixels are removed, those that matter most first; the lower
    the area, the better the map (Chefer, Gur & Wolf 2021, "Transformer interpretability beyond attention
    visualization", section 4).

    classes: the true ones, or those that the model predicts. fill: they remove to black, which is not the 0 of
    normalised pictures. Arguments and errors as for `deletion`.
    """
    return _play(model, pictures, classes, maps, PERTURBED, _removed(fill), _correct, True, seed, batch)


def negative_perturbation(
    model: Model,
    pictures: Float[Tensor, "p c h w"],
    classes: Int[Tensor, "p"],
    maps: Float[Tensor, "p y x"],
    fill: float = 0.0,
    seed: int = 0,
    batch: int = 32,
) -> Perturbation:
    """The same with the pixels that matter least first; the higher the area, the better the map."""
    return _play(model, pictures, classes, maps, PERTURBED, _removed(fill), _correct, False, seed, batch)


def _play(
    model: Model,
    pictures: Tensor,
    classes: Tensor,
    maps: Tensor,
    shares: tuple[float, ...],
    change: Change,
    score: Score,
    most_first: bool,
    seed: int,
    batch: int,
) -> Perturbation:
    _check(pictures, classes, maps)
    check_seed(seed)
    batch, maps = count(batch, "pictures at a time"), maps.float()
    noise = torch.rand(maps.shape, generator=control_generator(seed)).to(maps.device)
    curves = []
    every = shares if shares[0] == 0 else (0.0, *shares)
    for each in (maps, noise):
        signed = each if most_first else -each
        parts = [
            _curve(model, pictures[some], classes[some], signed[some], every, change, score, batch)
            for some in torch.arange(len(pictures)).split(batch)
        ]
        curves.append(torch.cat(parts).cpu().double())
    start = float(curves[0][:, 0].mean())
    curves = [each[:, len(every) - len(shares) :] for each in curves]
    one = torch.ones(len(pictures), 1, dtype=torch.float64)
    tables = [torch.cat([_area(each, shares)[:, None], one], dim=1) for each in curves]
    area = measured(tables[0], tables[1], lambda sums: sums[:, 0] / sums[:, 1], seed)
    curve, random = (tuple(each.mean(dim=0).tolist()) for each in curves)
    return Perturbation(area, shares, curve, random, len(pictures), start)


@torch.no_grad()
def _curve(
    model: Model,
    pictures: Tensor,
    classes: Tensor,
    maps: Tensor,
    shares: Sequence[float],
    change: Change,
    score: Score,
    batch: int,
) -> Float[Tensor, "b s"]:
    """The score of each picture at each share of changed pixels, as many shares at once as make a batch."""
    height, width = pictures.shape[2:]
    fine = F.interpolate(maps[:, None].float(), (height, width), mode="bilinear").flatten(1)
    rank = fine.argsort(dim=1, descending=True, stable=True).argsort(dim=1).view(-1, 1, height, width)
    n, scores = len(pictures), []
    for some in torch.tensor(shares, dtype=torch.float64).split(max(1, batch // n)):
        changed = torch.cat([rank < round(share * height * width) for share in some.tolist()]).to(pictures.device)
        logits = model(change(pictures.repeat(len(some), 1, 1, 1), changed))
        check_logits(logits, len(changed))
        check_classes(classes, logits.shape[1])
        scores += score(logits.float(), classes.repeat(len(some)).to(logits.device)).split(n)
    return torch.stack(scores, dim=1)


def _area(curve: Float[Tensor, "p s"], shares: Sequence[float]) -> Float[Tensor, "p"]:
    x = torch.tensor(shares, dtype=curve.dtype)
    return torch.trapezoid(curve, x, dim=1) / (x[-1] - x[0])


def _shares(steps: int) -> tuple[float, ...]:
    steps = count(steps, "steps")
    return tuple(i / steps for i in range(steps + 1))


def _removed(fill: float) -> Change:
    if not isinstance(fill, (int, float)) or not math.isfinite(fill):
        raise SaccadeError(f"removed pixels become {fill!r}; expected a finite number")
    return lambda pictures, changed: pictures.masked_fill(changed, fill)


def _given_back(pictures: Tensor, changed: Tensor) -> Tensor:
    return torch.where(changed, pictures, _blurred(pictures))


def _blurred(pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    along = torch.arange(BLUR, dtype=pictures.dtype, device=pictures.device) - BLUR // 2
    bell = torch.softmax(-0.5 * (along / DEVIATION) ** 2, dim=0)
    channels = pictures.shape[1]
    kernel = (bell[:, None] * bell).expand(channels, 1, BLUR, BLUR)
    return F.conv2d(pictures, kernel, padding=BLUR // 2, groups=channels)


def _probability(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.softmax(dim=1).gather(1, classes.long()[:, None])[:, 0]


def _correct(logits: Tensor, classes: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == classes).float()


def _check(pictures: Tensor, classes: Tensor, maps: Tensor) -> None:
    if isinstance(pictures, Tensor) and pictures.shape[:1] == (0,):
        raise SaccadeError("at least one picture is needed; none was given")
    check_numbers(pictures, "the batch of pictures", "p c h w")
    check_axes(classes, "the list of classes", "p")
    check_numbers(maps, "the batch of maps", "p y x")
    if not len(pictures) == len(classes) == len(maps):
        raise SaccadeError(
            f"{len(pictures)} pictures, {len(classes)} classes and {len(maps)} maps do not fit together: expected as "
            "many of each"
        )
    if not pictures.is_floating_point():
        raise SaccadeError(f"pictures are of {pictures.dtype}; expected the float ones that the model takes")
    if classes.dtype == torch.bool or classes.is_floating_point() or classes.is_complex():
        raise SaccadeError(f"classes are whole numbers, not {classes.dtype}")
