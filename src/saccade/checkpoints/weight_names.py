"""Names of the weights of a ViT in the files of a family: one table, used for loading and for saving.

An entry maps one tensor of the file to weights of our model:

    "{p}blocks.{i}.attn.qkv.{s}": ("vit.blocks.{i}.attention.query.{s}", ... key ..., ... value ...)

{p} is the prefix of the encoder's names in the file, {i} the index of a block, {s} weight or bias. Several of our names
mean that the file concatenates them along the first axis.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from saccade.errors import CheckpointError

Table = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class PrefixTokenNames:
    """Names of the tokens before the patches, in order, and of the table of positions.

    singles: names of tokens, cls first; each has one or more.
    placed: number of tokens, from the first, with a position at the start of the table.
    batched: whether these tensors have a first axis of length 1.
    """

    singles: tuple[str, ...]
    positions: str
    placed: int
    batched: bool = True


@dataclass(frozen=True)
class WeightNames:
    """The table and the tokens of a family, names to ignore, and names of transposed matrices."""

    table: Table
    tokens: PrefixTokenNames
    ignored: tuple[str, ...] = ()
    transposed: tuple[str, ...] = ()


def read_weights(
    weights: Mapping[str, Tensor], names: WeightNames, prefix: str, ours: Mapping[str, torch.Size], where: str
) -> dict[str, Tensor]:
    """The weights of a file under our names, in fp32.

    ours: shape of every weight of the model. where: the file, for messages.
    Raises CheckpointError for a weight that is missing, has another shape, or is not used.
    """
    found: dict[str, Tensor] = {}
    used, missing = set(), []
    for theirs, parts in expand_names(names.table, prefix, _depth(ours)):
        if parts[0] not in ours:
            continue
        shapes = [ours[part] for part in parts]
        if theirs in weights:
            used.add(theirs)
            tensor = weights[theirs].float()
            tensor = tensor.T if _matches(theirs, names.transposed, prefix) else tensor
            found.update(zip(parts, _split(tensor, shapes, theirs, where), strict=True))
        elif _never_there(theirs, weights) and _is_input_bias(parts[0]):
            found.update({part: torch.zeros(shape) for part, shape in zip(parts, shapes, strict=True)})
        else:
            missing.append(theirs)
    tokens = [names.tokens.positions, *names.tokens.singles]
    tokens = [name.replace("{p}", prefix) for name in tokens]
    missing += [name for name in tokens if name not in weights]
    if not missing:
        used.update(tokens)
        found |= _read_tokens(weights, names.tokens, prefix, ours, where)
    unused = [key for key in weights if key not in used and not _matches(key, names.ignored, prefix)]
    _check_complete(where, missing, unused)
    return found


def write_weights(ours: Mapping[str, Tensor], names: WeightNames, prefix: str) -> dict[str, Tensor]:
    """Our weights under the names of a family: the inverse of `read_weights`.

    Raises CheckpointError if the family has no name for one of them.
    """
    out, used = {}, {"vit.prefix_tokens", "vit.learned.table"}
    for theirs, parts in expand_names(names.table, prefix, _depth(ours)):
        if parts[0] not in ours:
            continue
        tensor = torch.cat([ours[part] for part in parts]) if len(parts) > 1 else ours[parts[0]]
        out[theirs] = tensor.T if _matches(theirs, names.transposed, prefix) else tensor
        used.update(parts)
    nameless = [name for name in ours if name not in used]
    if nameless or "vit.learned.table" not in ours:
        what = _first_names(nameless) if nameless else "positions that are not learned"
        raise CheckpointError(f"this family of checkpoints has no place for {what}; save with another family")
    out |= _write_tokens(ours, names.tokens, prefix)
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in out.items()}


def expand_names(table: Table, prefix: str, depth: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every entry of a table, expanded for a prefix and a number of blocks."""
    for theirs, parts in table.items():
        for i in range(depth) if "{i}" in theirs else [0]:
            for s in ("weight", "bias") if "{s}" in theirs else [""]:
                yield theirs.format(p=prefix, i=i, s=s), tuple(part.format(i=i, s=s) for part in parts)


def _depth(ours: Mapping[str, object]) -> int:
    blocks = [int(found[1]) for name in ours if (found := re.match(r"vit\.blocks\.(\d+)\.", name))]
    return max(blocks, default=-1) + 1


def _split(tensor: Tensor, shapes: list[torch.Size], theirs: str, where: str) -> list[Tensor]:
    expected = torch.Size([sum(shape[0] for shape in shapes), *shapes[0][1:]])
    if tensor.shape != expected:
        raise CheckpointError(f"{where}: {theirs} has shape {tuple(tensor.shape)}, expected {tuple(expected)}")
    return [part.clone() for part in tensor.split([shape[0] for shape in shapes])]


def _is_input_bias(ours: str) -> bool:
    return re.search(r"attention\.(query|key|value)\.bias$", ours) is not None


def _never_there(theirs: str, weights: Mapping[str, Tensor]) -> bool:
    """Whether no block of the file has this tensor. Queries, keys and values without bias are equivalent to a bias of
    zero; a bias that only some blocks have is an error."""
    pattern = re.compile(re.sub(r"\\\.\d+\\\.", r"\\.\\d+\\.", re.escape(theirs)))
    return not any(pattern.fullmatch(key) for key in weights)


def _read_tokens(
    weights: Mapping[str, Tensor], tokens: PrefixTokenNames, prefix: str, ours: Mapping[str, torch.Size], where: str
) -> dict[str, Tensor]:
    """Positions of prefix tokens are added to the tokens once, instead of in every forward pass."""
    count, width = ours["vit.prefix_tokens"]
    flat = [weights[name.replace("{p}", prefix)].float().reshape(-1, width) for name in tokens.singles]
    singles = torch.cat(flat) if flat else torch.zeros(0, width)
    positions = weights[tokens.positions.replace("{p}", prefix)].float().reshape(-1, width)
    expected = tokens.placed + ours["vit.learned.table"][0]
    if len(singles) != count or len(positions) != expected:
        raise CheckpointError(
            f"{where}: found {len(singles)} tokens before the patches and {len(positions)} positions, expected "
            f"{count} and {expected}"
        )
    own = torch.cat([positions[: tokens.placed], torch.zeros(count - tokens.placed, width)])
    return {"vit.prefix_tokens": singles + own, "vit.learned.table": positions[tokens.placed :].clone()}


def _write_tokens(ours: Mapping[str, Tensor], tokens: PrefixTokenNames, prefix: str) -> dict[str, Tensor]:
    """The positions of the prefix tokens are written as zeros, because the tokens include them."""
    singles, table = ours["vit.prefix_tokens"], ours["vit.learned.table"]
    positions = torch.cat([torch.zeros(tokens.placed, table.shape[1]).to(table), table])
    ends = [*range(1, len(tokens.singles)), len(singles)]  # all but the last are one token each
    parts = [singles[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    out = {tokens.positions: positions[None] if tokens.batched else positions}
    for name, part in zip(tokens.singles, parts, strict=False):
        out[name] = part[None] if tokens.batched else part[0]
    return {name.replace("{p}", prefix): tensor for name, tensor in out.items()}


def _matches(key: str, patterns: tuple[str, ...], prefix: str) -> bool:
    return any(fnmatchcase(key, pattern.replace("{p}", prefix)) for pattern in patterns)


def _check_complete(where: str, missing: list[str], unused: list[str]) -> None:
    problems = []
    if missing:
        problems.append(f"{len(missing)} weights are missing: {_first_names(missing)}")
    if unused:
        problems.append(f"{len(unused)} weights are not used by this family: {_first_names(unused)}")
    if problems:
        raise CheckpointError(f"{where}: {'; '.join(problems)}")


def _first_names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


@dataclass(frozen=True)
class ViTShape:
    """Properties of a ViT that follow from the shapes of its tensors."""

    width: int
    hidden: int
    depth: int
    patch: int
    channels: int


def infer_vit_shape(weights: Mapping[str, Tensor], embed: str, down: str, where: str) -> ViTShape:
    """embed: name of the patch embedding, without .weight. down: of the last matrix of the MLP, with {i}."""
    width, channels, rows, columns = _shape(weights, f"{embed}.weight", 4, where)
    if rows != columns:
        raise CheckpointError(f"{where}: patches of {rows} x {columns} pixels, expected square ones")
    hidden = _shape(weights, f"{down.replace('{i}', '0')}.weight", 2, where)[1]
    block = re.compile(re.escape(f"{down}.weight").replace(r"\{i\}", r"(\d+)"))
    numbers = {found[1] for key in weights if (found := block.fullmatch(key))}
    missing = [i for i in map(str, range(len(numbers))) if i not in numbers]
    if missing:  # every block must be present: a single name must not imply a huge depth
        named = _first_names([f"{down.replace('{i}', i)}.weight" for i in missing])
        raise CheckpointError(f"{where}: {len(numbers)} blocks, and of block {missing[0]} weights are missing: {named}")
    return ViTShape(width, hidden, len(numbers), rows, channels)


def _shape(weights: Mapping[str, Tensor], name: str, dims: int, where: str) -> tuple[int, ...]:
    if name not in weights:
        raise CheckpointError(f"{where}: 1 weights are missing: {name}")
    shape = tuple(weights[name].shape)
    if len(shape) != dims:
        raise CheckpointError(f"{where}: {name} has shape {shape}, expected {dims} axes")
    return shape


def check_config(shape: ViTShape, config: Mapping[str, object], where: str, **fields: str) -> None:
    """Raises CheckpointError for a config of another model. fields: attribute of Shape -> name in the config."""
    for mine, theirs in fields.items():
        value = config.get(theirs)
        if isinstance(value, int) and value != getattr(shape, mine):
            raise CheckpointError(
                f"{where}: the config says {theirs} {value} and the weights have {getattr(shape, mine)}: they "
                "belong to different models, or weights are missing"
            )


def native_grid(places: int, picture: tuple[int, int] | None, patch: int, where: str) -> tuple[int, int]:
    """(rows, columns) of a table of positions: those of the native picture (height, width) if they match, else a
    square."""
    if picture and (picture[0] // patch) * (picture[1] // patch) == places:
        return picture[0] // patch, picture[1] // patch
    side = math.isqrt(places)
    if side * side != places or not places:
        raise CheckpointError(f"{where}: {places} positions do not make a square grid, and no config says which")
    return side, side
