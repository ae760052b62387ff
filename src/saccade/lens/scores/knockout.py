"""Does the model need a head? Silence it, and see what the model says then."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.lens.editing.edit import edit
from saccade.lens.editing.edits import drop_heads
from saccade.lens.indices import whole
from saccade.lens.modules.stack import matches
from saccade.lens.scores.bootstrap import Measured, control_generator, measured
from saccade.lens.scores.given import check_seed, count
from saccade.lens.watching.watch import watch

Run = Callable[[Float[Tensor, "b ..."]], Float[Tensor, "b"]]
EXPECTED = "{pattern: head numbers}, such as {'*.layer.3.*': [0]}"
Heads = dict[str, list[int]]  # of each module


def head_knockout(
    model: nn.Module,
    run: Run,
    pictures: Float[Tensor, "p ..."],
    heads: Mapping[str, Sequence[int]],
    draws: int = 10,
    seed: int = 0,
    batch: int = 32,
) -> Measured:
    """By how much what a model says falls when heads are silenced, the mean over pictures; 0 for heads that it does not
    need (Michel, Levy & Neubig 2019, "Are sixteen heads really better than one?", 3.2).

    run: runs the model on some pictures and gives a number for each, such as the probability of its class:
    `lambda x: model(x).softmax(-1)[:, 3]`. heads: pattern of module names -> head numbers, silenced together. `random`
    is the same for as many heads drawn from all that the model has, the mean of `draws` draws. The interval is over
    pictures, which are `batch` at a time in the model.

    Raises SaccadeError for no pictures, for a pattern that matches no attention, for heads that are not there, and for
    a run that gives anything but one finite number a picture.
    """
    if not isinstance(pictures, Tensor) or not pictures.numel():
        found = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
        raise SaccadeError(f"pictures of {found} were given; expected a tensor of at least one")
    draws, batch = count(draws, "draws"), count(batch, "pictures at a time")
    check_seed(seed)
    if not isinstance(heads, Mapping):
        raise SaccadeError(f"heads were given as {heads!r}; expected {EXPECTED}")
    with torch.no_grad():
        with watch(model, views={"heads": lambda call: call.shape[1]}) as trace:
            before = _said(run, pictures, batch)
        all_heads = [(name, i) for name, counts in trace.seen["heads"].items() for i in range(counts[0])]
        silenced = _chosen(heads, all_heads)
        without = _without(model, run, pictures, batch, silenced)
        generator, others = control_generator(seed), []
        for _ in range(draws):
            some = torch.randperm(len(all_heads), generator=generator)[: sum(map(len, silenced.values()))]
            others.append(_without(model, run, pictures, batch, _by_name([all_heads[i] for i in some.tolist()])))
    falls, chance = before - without, before - torch.stack(others).mean(dim=0)
    ones = torch.ones_like(before)
    given, drawn = torch.stack([falls, ones], dim=1), torch.stack([chance, ones], dim=1)
    return measured(given, drawn, lambda sums: sums[:, 0] / sums[:, 1], seed)


def _said(run: Run, pictures: Tensor, batch: int) -> Float[Tensor, "p"]:
    parts = [run(some) for some in pictures.split(batch)]
    wrong = [type(part).__name__ for part in parts if not isinstance(part, Tensor) or not part.ndim]
    if wrong:
        raise SaccadeError(
            f"run gave a {wrong[0]} for {len(pictures)} pictures; expected a tensor of one number a picture"
        )
    found = torch.cat([part.detach().cpu().double() for part in parts])
    if found.shape != (len(pictures),):
        raise SaccadeError(
            f"run gave numbers of shape {tuple(found.shape)} for {len(pictures)} pictures; expected one a picture"
        )
    if not found.isfinite().all():
        picture = int((~found.isfinite()).int().argmax())
        raise SaccadeError(f"run gave {float(found[picture])} for picture {picture}; expected a finite number")
    return found


def _without(model: nn.Module, run: Run, pictures: Tensor, batch: int, heads: Heads) -> Float[Tensor, "p"]:
    with edit(model, {name: drop_heads(*numbers) for name, numbers in heads.items()}):
        return _said(run, pictures, batch)


def _chosen(heads: Mapping[str, Sequence[int]], there: Sequence[tuple[str, int]]) -> Heads:
    """The heads that the patterns name, by module."""
    found: list[tuple[str, int]] = []
    for pattern, given in heads.items():
        if not isinstance(given, (Sequence, Tensor)) or isinstance(given, str):
            raise SaccadeError(f"heads of {pattern!r} were given as {given!r}; expected {EXPECTED}")
        numbers = [whole(number, f"head {number!r} of {pattern!r}") for number in given]
        names = dict.fromkeys(name for name, _ in there if matches(name, pattern))
        if not names or not numbers:
            raise SaccadeError(f"heads {numbers} of {pattern!r}: no such attention; there are {_few(there)}")
        for pair in ((name, number) for name in names for number in numbers):
            if pair not in there:
                raise SaccadeError(f"head {pair[1]} of {pair[0]!r} is not there; there are {_few(there)}")
            found.append(pair)
    if not found:
        raise SaccadeError(f"no heads were given; expected {EXPECTED}")
    return _by_name(dict.fromkeys(found))


def _by_name(pairs: "Sequence[tuple[str, int]] | dict[tuple[str, int], None]") -> Heads:
    heads: Heads = {}
    for name, number in pairs:
        heads.setdefault(name, []).append(number)
    return heads


def _few(there: Sequence[tuple[str, int]], most: int = 3) -> str:
    heads = _by_name(there)
    found = [f"{len(numbers)} of {name!r}" for name, numbers in list(heads.items())[:most]]
    return ", ".join(found) + (f" and {len(heads) - most} more modules" if len(heads) > most else "") or "none"
