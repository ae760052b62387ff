"""One self-contained HTML page that shows what a model attends to: no network, no server, no build step."""

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image

from saccade.data import output
from saccade.errors import DataError, shorten_list
from saccade.lens import AttentionSummary, Call, Trace
from saccade.studio.inputs.summary import InputSummary
from saccade.studio.page.budget import PackingResult, PageAttention, pack_to_budget
from saccade.studio.page.document import render_document
from saccade.studio.page.korean import korean_texts
from saccade.studio.page.queries import rounded
from saccade.studio.page.targets import Targets
from saccade.studio.patches.extras import Extras

BUDGET = 30_000_000
TARGETS_SHARE = 1 / 3  # of the bytes of a page at most


@dataclass
class PageInput:
    """What a page shows.

    picture: the part of the image that the grid of patches covers. grid: (rows, columns) of patches. trace: calls of
    one forward pass over one image; values=True in `watch` adds the weighted sum to the page. prefix: names of the
    tokens before the patches, in order. predictions: (label, probability), best first. target: the token that the
    prediction is read from, or "mean" if the model averages its patches. summary: of these calls and this target, if
    the caller has it already. model: facts to show, in order (name, parameters, image size ...). notes: lines to
    show. targets: objects, classes or words, with their maps. text: a prediction in words, where it has no labels.
    extras: features, a second image, and maps of classes.
    labels: all classes and relations that the model can name, if any. seen: what a model knows and saw.
    """

    picture: Image.Image
    grid: tuple[int, int]
    trace: Trace
    title: str = "Where does it look?"
    prefix: Sequence[str] = ()
    predictions: Sequence[tuple[str, float]] = ()
    target: int | Literal["mean"] = 0
    summary: AttentionSummary | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    targets: Targets | None = None
    text: str = ""
    extras: Extras = field(default_factory=Extras)
    labels: Sequence[str] = ()
    seen: InputSummary | None = None

    @property
    def has_target_maps(self) -> bool:
        """Whether there are maps of targets; otherwise a page needs self-attention to show."""
        return self.targets is not None and len(self.targets) > 0 and bool(self.targets.layers)


@dataclass(frozen=True)
class PageReport:
    """What was written. error_typical: relative error of a weight (median). error_largest: largest absolute error."""

    path: Path
    bytes: int
    layers: int
    layers_kept: int
    bits: float
    error_typical: float
    error_largest: float
    notes: list[str]


@dataclass(frozen=True)
class RenderedPage:
    """A page before it is written. content: what the viewer shows. packed: its layers, and how exact they are."""

    html: bytes
    content: dict[str, Any]
    packed: PackingResult


def write_page(path: str | Path, page: PageInput, budget: int = BUDGET) -> PageReport:
    """Write the page to `path` (its folder must exist), in at most `budget` bytes.

    Raises as `render_page`, and DataError if the path cannot be written.
    """
    path = Path(path)
    rendered = render_page(page, budget)
    output.write_file(path, rendered.html)
    packed = rendered.packed
    return PageReport(
        path=path,
        bytes=path.stat().st_size,
        layers=len(packed.layers),
        layers_kept=sum(layer is not None for layer in packed.layers),
        bits=packed.bits,
        error_typical=packed.error_typical,
        error_largest=packed.error_largest,
        notes=rendered.content["notes"],
    )


def render_page(page: PageInput, budget: int = BUDGET) -> RenderedPage:
    """The page as one HTML document of at most `budget` bytes.

    Queries and keys are stored with as few bits as the budget asks for, then in fewer layers; the page states how exact
    its weights are. Raises DataError if no self-attention call of the trace fits the grid.
    """
    calls, notes = _fitting(page)
    notes = [*page.notes, *notes]
    attention = PageAttention(calls, page.grid, page.target == "mean")
    content = _content(page, attention, notes)
    data, packed = _add_targets(content, page.targets, budget)
    more, planes = page.extras.content(calls, page.grid)
    if page.extras.other is not None and "other" in more:
        more["other"] |= {"picture": _picture(page.extras.other.picture), "first": page.title}
        content["title"] = f"{page.title} · {page.extras.other.name}"
    if page.seen is not None:
        content["seen"] = page.seen.content(_picture)
    content, data = content | more, data | planes
    content["korean"] = korean_texts(content, page.labels)
    kind = (content.get("targets") or {}).get("kind", "")
    rest = len(render_document("viewer", content, data, kind)) + 1000  # and a few words on how it was packed
    chosen = pack_to_budget(attention, budget - rest) if calls else PackingResult([], 0.0, 0.0, 0.0, {})
    content["precision"] = chosen.words
    for shown, layer in zip(content["layers"], chosen.layers, strict=True):
        shown.update(layer.meta if layer else {})
    packed = chosen if calls or packed is None else packed
    data |= {f"layer-{i}": layer.data for i, layer in enumerate(chosen.layers) if layer}
    return RenderedPage(render_document("viewer", content, data, kind), content, packed)


def _add_targets(content: dict, targets: Targets | None, budget: int) -> tuple[dict[str, bytes], PackingResult | None]:
    """Add the targets to the content. Returns their maps as bytes, by name, and how they were packed."""
    if targets is None:
        return {}, None
    targets = targets.fitting(budget * TARGETS_SHARE)
    content["targets"], planes = targets.content()
    content["notes"] = list(dict.fromkeys([*content["notes"], *targets.notes]))
    return {f"targets-{name}": data for name, data in planes.items()}, targets.packing_result


def _fitting(page: PageInput) -> tuple[list[Call], list[str]]:
    """The self-attention calls over this image's tokens, and notes on the others."""
    tokens = len(page.prefix) + page.grid[0] * page.grid[1]
    if not page.trace and not page.has_target_maps:
        page.trace[0]  # raises, and says why the trace is empty
    reasons: dict[str, Callable[[Call], bool]] = {
        "it is cross-attention": lambda call: call.kind != "self",
        f"its tokens are not the image's {tokens}": lambda call: call.shape[2:] != (tokens, tokens),
        "it holds more than one image": lambda call: call.shape[0] != 1,
        "it has a mask": lambda call: call.masked,
        "its queries or keys are not all finite": lambda call: (
            not bool(call.q.isfinite().all() and call.k.isfinite().all())
        ),
    }
    fits, notes = [], []
    for call in page.trace:
        reason = next((text for text, found in reasons.items() if found(call)), None)
        if reason is None:
            fits.append(call)
        else:
            notes.append(f"Not shown: {call.name}: {reason}.")
    notes += [note for note in missed_notes(page.trace) if note not in page.notes]
    if not fits and not page.has_target_maps:
        found = " ".join(notes[:3])
        raise DataError(
            f"No attention call fits an image of {page.grid[0]} x {page.grid[1]} patches after {len(page.prefix)} "
            f"other tokens. {found} Expected self-attention over {tokens} tokens of one image: check grid and prefix"
        )
    notes = [*notes[:12], *([f"And {len(notes) - 12} more."] if len(notes) > 12 else [])]
    return fits, [*call_notes(fits), *notes]


def call_notes(calls: Sequence[Call]) -> list[str]:
    """What must be known to read the maps of calls, each once with the names of its calls."""
    named: dict[str, list[str]] = {}
    for call in calls:
        if call.note:
            named.setdefault(call.note, []).append(call.name)
    return [f"{shorten_list(names)}: {note}." for note, names in named.items()]


def missed_notes(trace: Trace) -> list[str]:
    """What of a trace was not recorded, one sentence each."""
    return [f"Not recorded: {name}: {why}." for name, why in trace.missed.items()]


def _content(page: PageInput, attention: PageAttention, notes: list[str]) -> dict:
    """JSON for the viewer: everything but packed bytes."""
    summary = page.summary
    if not attention.calls:
        summary = AttentionSummary([], torch.zeros(1, 0), [], [])
    elif summary is None or summary.calls != attention.calls:
        summary = Trace(attention.calls).summary(page.grid, attention.target_weights(page.target))
    layers = [
        {
            "name": call.name,
            "heads": call.shape[1],
            "groups": call.k.shape[1],
            "width": call.q.shape[-1],
            "scale": call.scale,
            "entropy": rounded(entropy[0].mean(-1), 4),
            "distance": rounded(distance[0], 4),
        }
        for call, entropy, distance in zip(summary.calls, summary.entropy, summary.distance, strict=True)
    ]
    return {
        "title": page.title,
        "picture": _picture(page.picture),
        "grid": list(page.grid),
        "prefix": list(page.prefix),
        "predictions": [[str(label), float(p)] for label, p in page.predictions if math.isfinite(p)],
        "target": page.target,
        "text": page.text,
        "model": {str(k): str(v) for k, v in page.model.items()},
        "notes": notes,
        "layers": layers,
        "rollout": rounded(summary.rollout[0], 5),
    }


def _picture(picture: Image.Image) -> dict[str, Any]:
    return {"src": data_url(picture), "width": picture.width, "height": picture.height}


def data_url(picture: Image.Image) -> str:
    """The data URL of a picture: PNG where it is small, so that pixels stay as they are, else JPEG."""
    picture = picture.convert("RGB")
    kind, options = ("png", {}) if max(picture.size) <= 128 else ("jpeg", {"quality": 90})
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"
