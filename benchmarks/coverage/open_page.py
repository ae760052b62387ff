"""One family opened in a page, and the page's numbers compared with maps that are found without the lens."""

import copy
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

import saccade
from benchmarks.coverage.compare import COARSE, describe_error, true_maps
from benchmarks.coverage.families.cases import Case, Subject
from benchmarks.coverage.true_maps import Finder, alike
from saccade.data import Picture
from saccade.errors import SaccadeError
from saccade.lens import Call, Trace
from saccade.studio.look import look
from saccade.studio.places.targets import Places
from saccade.studio.sample import sample_picture
from saccade.studio.views import View
from saccade.studio.views.encoder import EncoderView
from saccade.studio.views.places import PlacesView
from saccade.tasks import load

PICTURES = ("pixel_values", "pixel_values_images", "images", "pixel_values_videos")
MOST_BYTES = 400_000_000  # of weights that are written to a folder


@dataclass
class Opened:
    """What became of one family. way: "command" or "Python". calls: attention calls on the page; seen: maps of the
    model. wrong: what is wrong on the page. counted: False for models that cannot be built, or take no picture."""

    family: str
    group: str
    why: str = ""
    model: str = ""
    way: str = ""
    view: str = ""
    grid: list[int] = field(default_factory=list)
    calls: int = 0
    seen: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    counted: bool = True

    @property
    def status(self) -> str:
        """The status by which the table counts families."""
        if self.wrong:
            return "wrong"
        return "open" if self.way else "refused" if self.counted else "not run"


def open_family(case: Case) -> Opened:
    """Build a tiny model, open it, and compare."""
    opened, start = Opened(case.family, case.group), time.perf_counter()
    try:
        subject = case.build()
    except Exception as error:  # any error of a library is reported in the table
        opened.why, opened.counted = describe_error(error), False
        return opened
    opened.model = type(subject.model).__name__
    if picture_name(subject) is None:
        opened.why, opened.counted = "it takes no picture", False
        return opened
    with tempfile.TemporaryDirectory() as folder:
        for way, opens in (("command", by_command), ("Python", by_module)):
            try:
                view, inputs = opens(subject, case, Path(folder))
                view.save(Path(folder) / "page.html")
            except SaccadeError as error:
                reason = str(error).replace(folder, "the folder")
                opened.why += f"; in Python: {reason}" if opened.why else reason
                continue
            except Exception as error:  # a fault of ours: a user would see a traceback
                opened.wrong.append(f"{way}: {describe_error(error)}")
                break
            opened.way, opened.view, opened.grid = way, type(view).__name__, list(view.grid)
            compare(opened, subject, view, inputs)
            break
    opened.seconds = time.perf_counter() - start
    return opened


def picture_name(subject: Subject) -> str | int | None:
    """Which input is the picture: its name, or 0 for the only argument."""
    if subject.args:
        return 0
    return next((name for name in PICTURES if isinstance(subject.inputs.get(name), Tensor)), None)


def by_command(subject: Subject, case: Case, folder: Path) -> tuple[View, Subject]:
    """As `saccade look PICTURE --model FOLDER`."""
    if sum(p.numel() * 4 for p in subject.model.parameters()) > MOST_BYTES:
        raise SaccadeError("its weights are too many to be written here")
    if case.group == "timm":
        write_timm(subject.model, folder)
        return look_at_folder(folder)
    transformers.utils.logging.disable_progress_bar()
    subject.model.save_pretrained(folder)
    refused: SaccadeError | None = None
    for _ in write_processor(subject, case.family, folder):
        try:
            return look_at_folder(folder)
        except SaccadeError as error:
            refused = error
            if "prepare" not in str(error):  # another processor would not help
                break
    assert refused is not None
    raise refused


def look_at_folder(folder: Path) -> tuple[View, Subject]:
    """The view of the model in a folder, and what it was called with."""
    task: Any = load(folder)
    return record(task.model, lambda: look(task, picture()))


def by_module(subject: Subject, case: Case, folder: Path) -> tuple[View, Subject]:
    """As `saccade.look(model, picture, preprocess=...)`."""
    inputs = {name: first(given) for name, given in subject.inputs.items()}
    given = {} if case.group == "timm" else {"preprocess": lambda image: inputs}
    return record(subject.model, lambda: saccade.look(subject.model, picture().image, **given))


def first(given: Any) -> Any:
    """The first of a batch of two."""
    return given[:1] if isinstance(given, Tensor) and given.ndim and len(given) == 2 else given


def picture() -> Picture:
    """A drawn picture, the same in every run."""
    return Picture(sample_picture(), "a drawn picture")


def record(model: nn.Module, opens: Any) -> tuple[View, Subject]:
    """The view, and what the model was called with first."""
    calls: list[tuple] = []
    hook = model.register_forward_pre_hook(lambda module, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
    try:
        view = opens()
    finally:
        hook.remove()
    args, inputs = calls[0]
    return view, Subject(model, args, inputs)


def write_timm(model: nn.Module, folder: Path) -> None:
    """As timm writes it for the hub."""
    import timm

    timm.models.save_for_hf(model, folder, safe_serialization=True)


def import_processors() -> None:
    """All of transformers, once for all families, which are looked at in processes that are forked from this one."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    for each in IMAGE_PROCESSOR_MAPPING_NAMES.values():
        for name in filter(None, dict(each).values()):
            hasattr(transformers, f"{name.removesuffix('Fast').removesuffix('Pil')}Pil")


def write_processor(subject: Subject, family: str, folder: Path) -> Iterator[str]:
    """Settings of a processor that gives pictures of the model's size: the usual one of the family, and a plain one.
    Yields their names."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    pixels = subject.inputs[picture_name(subject)]
    size = dict(zip(("height", "width"), pixels.shape[2:], strict=True)) if pixels.ndim == 4 else None
    usual = dict(IMAGE_PROCESSOR_MAPPING_NAMES.get(family, {})).values()
    for name in dict.fromkeys([*(each for each in usual if each), "ViTImageProcessor"]):
        settings = {"image_processor_type": name} | ({} if size is None else {"size": size, "do_center_crop": False})
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))
        yield name


def compare(opened: Opened, subject: Subject, view: View, inputs: Subject) -> None:
    """Fill in what is wrong."""
    if isinstance(view, EncoderView):  # our own network: compared with that of the library
        name = picture_name(subject)
        others = {other: first(given) for other, given in subject.inputs.items()}
        args, named = (inputs.args, {}) if name == 0 else ((), {**others, name: inputs.args[0]})
        inputs = Subject(subject.model, args, named)
    shown = calls_on_page(view)
    left, missing = list(shown), []
    for model in models(inputs.model):
        found = true_maps(model, inputs)
        missing = unmatched(left, found)
        opened.seen = max(opened.seen, len(found.maps))
        left = missing
        if not missing:
            break
    opened.calls = len(shown)
    opened.wrong += [f"{call.name} {tuple(call.shape)} equals no map of the model" for call in missing]
    opened.wrong += [*misplaced(view, inputs), *misplaced_windows(view, inputs)]


def calls_on_page(view: View) -> list[Call]:
    """Those whose numbers are on it."""
    if isinstance(view, PlacesView):
        return [layer.call.call for layer in view.targets.layers]
    placed = [layer.call.call for layer in view.targets.layers] if isinstance(view.targets, Places) else []
    others = view.trace if view.targets is None else view.targets.others
    return [*(call for call in others if call.mask is None and not call.causal), *placed]


def models(model: nn.Module) -> Iterator[nn.Module]:
    """The model under eager attention, where its library has that, and as it is, whose kernels are taken apart."""
    twin = copy.deepcopy(model)
    if hasattr(twin, "set_attn_implementation"):
        with suppress(Exception):  # some classes have one form only
            twin.set_attn_implementation("eager")
            yield twin
    yield model


def unmatched(calls: list[Call], truth: Finder) -> list[Call]:
    """The calls that equal no map; each map is that of one call."""
    left, missing = [*(one.value for one in truth.maps), *(one.softmax for one in truth.maps), *truth.softmaxes], []
    for call in calls:
        weights = call.weights()
        tolerance = 2e-3 if call.q.dtype in COARSE else 1e-4
        match = next((i for i, one in enumerate(left) if alike(one, weights, tolerance)), None)
        if match is None:
            missing.append(call)
        else:
            del left[match]
    return missing


def misplaced(view: View, inputs: Subject) -> list[str]:
    """Cells of the grid that are not where the page shows them: of these, other pixels change another token most."""
    rows, columns = view.grid
    tokens = len(view.prefix) + rows * columns
    trace = view.trace if view.targets is None else view.targets.others
    name = picture_in(inputs)
    if name is None or not any(call.shape[2] == call.shape[3] == tokens for call in trace):
        return []
    plain, wrong = queries(inputs, tokens, name, None), []
    for row, column in {(0, columns - 1), (rows - 1, 0), (rows // 2, columns // 3)}:
        change = (queries(inputs, tokens, name, (row, column, rows, columns)) - plain).square().sum(dim=(0, 1, 3))
        found = int(change.argmax()) - len(view.prefix)
        if found != row * columns + column:
            wrong.append(f"row {row}, column {column} of the grid is not token {found}")
    return wrong


def misplaced_windows(view: View, inputs: Subject) -> list[str]:
    """The same of the first two layers that have a grid of their own."""
    name = picture_in(inputs)
    if name is None or not isinstance(view.targets, Places):
        return []
    layers, wrong = [layer for layer in view.targets.layers if layer.call.targets.grid is not None], []
    for layer in layers[:2]:
        (rows, columns), cells = layer.call.targets.grid, layer.call.targets.cells
        place = torch.tensor([slices[0] for slices in layer.call.slices]).T
        plain = watched(inputs, name, None)[layer.call.call.name][0].q.float()
        for row, column in {(0, columns - 1), (rows - 1, 0)}:
            other = watched(inputs, name, (row, column, rows, columns))[layer.call.call.name][0].q.float()
            change = (other - plain).square().sum(-1)[place[0], place[1]]  # (windows, tokens)
            found = int(cells.flatten()[int(change.argmax())])
            if found != row * columns + column:
                wrong.append(f"{layer.name}: row {row}, column {column} of {rows} x {columns} is not cell {found}")
    return wrong


def picture_in(inputs: Subject) -> str | int | None:
    """The name or position of the only input of the form (1 3 y x)."""
    given = {**dict(enumerate(inputs.args)), **inputs.inputs}
    found = [name for name, each in given.items() if isinstance(each, Tensor) and each.ndim == 4 and each.shape[1] == 3]
    return found[0] if len(found) == 1 else None


def queries(inputs: Subject, tokens: int, name: str | int, cell: tuple[int, int, int, int] | None) -> Tensor:
    """Queries of the first call over so many tokens, with other pixels in a cell."""
    trace = watched(inputs, name, cell)
    return next(call for call in trace if call.shape[2] == call.shape[3] == tokens).q.float()


def watched(inputs: Subject, name: str | int, cell: tuple[int, int, int, int] | None) -> Trace:
    """The model watched, with other pixels in one cell (row, column, rows, columns) of the picture."""
    args, named = list(inputs.args), dict(inputs.inputs)
    place: Any = args if isinstance(name, int) else named
    pixels = place[name].clone()
    if cell is not None:
        row, column, rows, columns = cell
        y, x = pixels.shape[-2] / rows, pixels.shape[-1] / columns
        part = pixels[..., round(row * y) : round((row + 1) * y), round(column * x) : round((column + 1) * x)]
        part += pixels.std() * torch.randn(part.shape, generator=torch.Generator().manual_seed(5))
    place[name] = pixels
    with saccade.watch(inputs.model) as trace, torch.no_grad():
        torch.manual_seed(7)
        inputs.model(*args, **named)
    return trace
