"""One family opened in a page, and the page's numbers compared with maps that are found without the lens."""

import json
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from torch import Tensor, nn

import saccade
from benchmarks.coverage.compare import describe_error
from benchmarks.coverage.families.cases import Case, Subject
from benchmarks.coverage.families.transformers import input_rules, inputs
from benchmarks.coverage.page_truth import SEED, compare
from benchmarks.coverage.stand_in import PICTURES, one_example, preparation
from saccade.data import Picture
from saccade.errors import SaccadeError
from saccade.studio.look import look
from saccade.studio.sample import sample_picture
from saccade.studio.views import View
from saccade.studio.views.answer import AnswerView
from saccade.tasks import load
from saccade.tasks.ask.task import PublicAskTask

# Families that take something else: not counted.
OTHERS = dict.fromkeys(
    ("instructblipvideo", "pe_audio_video", "timesformer", "tvp", "videomae", "videomt", "videoprism", "vivit",
     "vjepa2", "xclip"),
    "it takes films",
) | dict.fromkeys(("lxmert", "visual_bert"), "it takes features of regions, no pixels")  # fmt: skip
MOST_BYTES = 400_000_000  # of weights that are written to a folder


@dataclass
class Opened:
    """What became of one family.

    way: "command", "question" or "Python". calls: attention calls on the page. seen: maps of the model. wrong: what is
    wrong on the page. counted: False for models that cannot be built, or take no picture.
    """

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
    inputs.BATCH = input_rules.BATCH = 1  # one picture, as on a page
    try:
        subject = one_example(case.build())
    except Exception as error:  # any error of a library is reported in the table
        opened.why, opened.counted = describe_error(error), False
        return opened
    opened.model = type(subject.model).__name__
    if case.family in OTHERS or picture_name(subject) is None:
        opened.why, opened.counted = OTHERS.get(case.family, "it takes no picture"), False
        return opened
    reasons: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way, opens in (("command", by_command), ("question", by_question), ("Python", by_module)):
            try:
                view, called = opens(subject, case, Path(folder))
                view.save(Path(folder) / "page.html")
            except SaccadeError as error:
                reasons[way] = str(error).replace(folder, "the folder")
                continue
            except Exception as error:  # a fault of ours: a user would see a traceback
                opened.wrong.append(f"{way}: {describe_error(error)}")
                break
            opened.way, opened.view, opened.grid = way, type(view).__name__, list(view.grid)
            found = compare(view, called, subject)
            opened.calls, opened.seen, opened.wrong = found.calls, found.maps, found.wrong
            break
    opened.why = "" if opened.way else "; ".join(f"{way}: {reason}" for way, reason in reasons.items())
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
        write_timm(subject.model, tuple(subject.args[0].shape[1:]), folder)
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


def by_question(subject: Subject, case: Case, folder: Path) -> tuple[View, Subject]:
    """As `saccade look PICTURE --model FOLDER --ask "..."`, with inputs in place of the pictures and the question: the
    tiny models have no tokenizer."""
    given = dict(subject.inputs)
    if not {"input_ids", "pixel_values"} <= given.keys() or not hasattr(subject.model, "generate"):
        raise SaccadeError("it does not write")
    settings = SimpleNamespace(image_mean=[0.5] * 3, image_std=[0.5] * 3)
    wrapper = SimpleNamespace(
        model=subject.model,
        name=case.family,
        notes=[],
        family=subject.model.config.model_type,
        processor=SimpleNamespace(tokenizer=Numbers(), image_processor=settings),
        prepare=lambda pictures, question: given,
    )
    task: Any = PublicAskTask(wrapper)  # type: ignore[arg-type]
    task.ask = partial(task.ask, tokens=2)
    try:
        return AnswerView.ask(task, [picture()], "What is in the picture?"), Subject(subject.model, (), given)
    except SaccadeError:
        raise
    except Exception as error:
        if "site-packages" not in traceback.extract_tb(error.__traceback__)[-1].filename:
            raise
        raise SaccadeError(f"it does not write from these inputs: {describe_error(error)}") from error


class Numbers:
    """A tokenizer whose words are the numbers of tokens."""

    eos_token_id = sep_token_id = None

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        return " ".join(map(str, ids))

    def convert_ids_to_tokens(self, token: int) -> str:
        return str(token)


def by_module(subject: Subject, case: Case, folder: Path) -> tuple[View, Subject]:
    """As `saccade.look(model, picture, preprocess=...)`."""
    name = picture_name(subject)
    given = {"preprocess": preparation(subject, name)} if isinstance(name, str) else {}
    return record(subject.model, lambda: saccade.look(subject.model, picture().image, **given))


def picture() -> Picture:
    """A drawn picture, the same in every run."""
    return Picture(sample_picture(), "a drawn picture")


def record(model: nn.Module, opens: Any) -> tuple[View, Subject]:
    """The view, and what the model was called with for its page: the first call at the size that it shows, as the work
    may have been measured on a smaller picture before."""
    calls: list[tuple] = []

    def note(module: nn.Module, args: tuple, inputs: dict[str, Any]) -> None:
        calls.append((args, inputs))
        torch.manual_seed(SEED)  # of models that choose patches at random

    hook = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        view = opens()
    finally:
        hook.remove()
    args, inputs = next((each for each in calls if _of_size(each, view.pixels)), calls[0])
    return view, Subject(model, args, inputs)


def _of_size(call: tuple, size: tuple[int, int]) -> bool:
    """Whether a picture of (height, width) is in the inputs."""
    given = [*call[0], *call[1].values()]
    return any(isinstance(each, Tensor) and each.ndim >= 4 and each.shape[-2:] == size for each in given)


def write_timm(model: nn.Module, size: tuple[int, ...], folder: Path) -> None:
    """As timm writes it for the hub. size: (c y x) of its pictures."""
    import timm

    model.pretrained_cfg = {**model.pretrained_cfg, "input_size": size}
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
