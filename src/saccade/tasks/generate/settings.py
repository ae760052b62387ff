"""The settings of a generated picture, as the text that Automatic1111's web UI writes into its PNGs.

    a red star
    Negative prompt: blue
    Steps: 25, Sampler: Euler, CFG scale: 3, Seed: 7, Size: 64x64, Model: painter, Version: saccade 0.1

Other tools read it, and `Settings.parse` reads it back.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from saccade.data.film_files import FILM_SUFFIXES, read_embedded_settings
from saccade.errors import DataError, SaccadeError, in_one_line, printable
from saccade.tasks.generate.film_settings import FilmSettings, unquoted
from saccade.tasks.generate.sample import Sampling
from saccade.version import __version__

KEY = "parameters"  # of the PNG's text
MAX_STYLE_STRENGTH = 100.0
MIN_STRENGTH = 0.001  # below, float32 cannot tell the times of a thousand steps apart
_SETTINGS = re.compile(r"^Steps: \d+, Sampler: .*$")
_NEGATIVE = "Negative prompt: "
_FIELD = re.compile(r'\s*([^:,]+): ("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')  # quoted values, of other tools, hold commas


@dataclass(frozen=True)
class Layout:
    """Attention maps that a picture takes from another prompt, which is painted beside it from the same noise
    (`saccade.tasks.generate.prompt_to_prompt`).

    Attributes:
        prompt: the other one.
        words: share of the steps, from the first on, that take the maps of words.
        patches: the same of patches.

    Raises SaccadeError for shares out of range.
    """

    prompt: str
    words: float = 0.8
    patches: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.words <= 1 and 0 <= self.patches <= 1):
            raise SaccadeError(f"shares of {self.words:g} and {self.patches:g} of the steps; 0 to 1 expected")


@dataclass(frozen=True)
class ImageSettings:
    """The picture that another is painted from (`saccade.tasks.generate.image_to_image`).

    Attributes:
        use: "start": sampling starts at it, partly noised; "source": the generator attends to it; "inversion": sampling
            starts at the noise that it is inverted to (`saccade.tasks.generate.inversion`).
        strength: of a start or an inversion, how much of the way from noise to the picture is painted anew: 0 for none,
            0.001 to 1 for all of it.
        name: of the picture, for display.
        digest: of its pixels.
        mask_digest: of the mask, "" without one.
        caption: of an inversion, what the picture shows.

    Raises SaccadeError for a strength out of range, and for an inversion without a caption or with a mask.
    """

    strength: float
    name: str
    digest: str
    mask_digest: str = ""
    use: Literal["start", "source", "inversion"] = "start"
    caption: str = ""

    def __post_init__(self) -> None:
        if self.use == "inversion" and not self.caption.strip():
            raise SaccadeError(
                'a picture is inverted under its caption, which is empty: give one, such as "a red star"'
            )
        if self.use == "inversion" and self.mask_digest:
            raise SaccadeError("a picture is inverted as a whole: leave the mask out")
        if self.strength != 0 and not MIN_STRENGTH <= self.strength <= 1:
            raise SaccadeError(
                f"a strength of {self.strength:g} was requested; {MIN_STRENGTH:g} to 1, or 0 for the picture as it is, "
                "expected"
            )


@dataclass(frozen=True)
class StyleSettings:
    """The picture whose style another takes. name: for display. digest: of its pixels. strength: factor of the
    attention to it, 0 to 100; 1 for what was trained. use: "source": the generator was trained to attend to it;
    "borrow": it attends to the patches of the style beside its own.

    Raises SaccadeError for a strength out of range."""

    name: str
    digest: str
    strength: float = 1.0
    use: Literal["source", "borrow"] = "source"

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= MAX_STYLE_STRENGTH:
            raise SaccadeError(
                f"a style strength of {self.strength:g} was requested; 0 to {MAX_STYLE_STRENGTH:g} expected"
            )


@dataclass(frozen=True)
class Settings:
    """All that a picture depends on. prompt, negative: with weights as written. size: (height, width) in pixels.
    digest: of the model's weights. precision: "fp32", or "bf16" for products in bf16. scheduler: of a public pipeline,
    the name of its class, and then the sampler of `sampling` and its interval have no effect. layout: where it takes
    attention maps from, if it does. image, style: the pictures that it is painted from, if there are any. film: of a
    film."""

    prompt: str
    seed: int
    size: tuple[int, int]
    negative: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    model: str = ""
    digest: str = ""
    precision: str = "fp32"
    scheduler: str = ""
    layout: Layout | None = None
    image: ImageSettings | None = None
    style: StyleSettings | None = None
    film: FilmSettings | None = None

    @property
    def frames(self) -> int:
        """How many frames are painted or known: 1 of a picture."""
        return 1 if self.film is None else self.film.frames

    @property
    def inverted(self) -> bool:
        """Whether sampling starts at the noise that an image is inverted to."""
        return self.image is not None and self.image.use == "inversion"

    @property
    def total_steps(self) -> int:
        """Steps of the sampler, and as many of an inversion."""
        return self.sampling.steps * (2 if self.inverted else 1)

    @property
    def sampler(self) -> str:
        """Name of what chose the steps."""
        return self.scheduler or self.sampling.sampler

    def __str__(self) -> str:
        first, last = self.sampling.interval
        values: dict[str, object] = {
            "Steps": self.sampling.steps,
            "Sampler": self.scheduler or self.sampling.sampler.capitalize(),
            "CFG scale": _number(self.sampling.guidance),
            "CFG interval": f"{_number(first)} to {_number(last)}",
            "Seed": self.seed,
            "Size": f"{self.size[1]}x{self.size[0]}",
            "Model hash": self.digest,
            "Model": re.sub(r"[,:\s\"]+", " ", printable(self.model)).strip(),
            **({} if self.precision == "fp32" else {"Precision": self.precision}),
            **({} if self.layout is None else _layout_fields(self.layout)),
            **({} if self.image is None else _image_fields(self.image)),
            **({} if self.style is None else _style_fields(self.style)),
            **({} if self.film is None else self.film.fields()),
            **({} if self.sampling.image_guidance == 1 else {"Image CFG scale": _number(self.sampling.image_guidance)}),
            **({} if self.sampling.style_guidance == 1 else {"Style CFG scale": _number(self.sampling.style_guidance)}),
            "Version": f"saccade {__version__}",
        }
        lines = [" ".join(self.prompt.split())]
        if self.negative.strip():
            lines.append(_NEGATIVE + " ".join(self.negative.split()))
        return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in values.items())])

    @classmethod
    def parse(cls, text: str, name: str = "the settings") -> Self:
        """Settings from their text. name: for messages. Raises DataError if there is no line of settings, or a value in
        it is missing or wrong."""
        lines = text.splitlines()
        places = [i for i, line in enumerate(lines) if _SETTINGS.match(line)]
        if not places:
            raise DataError(f"{name}: there is no line of settings such as 'Steps: 25, Sampler: Euler, ...'")
        found = dict(_FIELD.findall(lines[places[-1]]))
        before = lines[: places[-1]]
        first = next((i for i, line in enumerate(before) if i > 0 and line.startswith(_NEGATIVE)), len(before))
        prompt, negative = (" ".join(" ".join(part).split()) for part in (before[:first], before[first:]))
        try:
            width, height = map(int, found["Size"].split("x"))
            interval = map(float, found.get("CFG interval", "0 to 1").split(" to "))
            low, high = interval
            scheduler = found["Sampler"] if found["Sampler"].endswith("Scheduler") else ""
            sampler: Any = Sampling.sampler if scheduler else found["Sampler"].lower()
            more = (float(found.get(f"{name} CFG scale", "1")) for name in ("Image", "Style"))
            sampling = Sampling(int(found["Steps"]), float(found["CFG scale"]), (low, high), sampler, *more)
            seed, precision = int(found["Seed"]), "bf16" if found.get("Precision") == "bf16" else "fp32"
            layout, image, style = _parse_layout(found), _parse_image(found), _parse_style(found)
            film = FilmSettings.parse(found)
        except KeyError as error:
            raise DataError(f"{name}: the line of settings lacks {error.args[0]}") from error
        except (ValueError, SaccadeError) as error:
            raise DataError(f"{name}: the line of settings cannot be read: {in_one_line(error)}") from error
        negative = negative.removeprefix(_NEGATIVE.strip()).strip()
        model, digest = found.get("Model", ""), found.get("Model hash", "")
        size = (height, width)
        of = prompt, seed, size, negative, sampling, model, digest, precision, scheduler
        return cls(*of, layout, image, style, film)

    @classmethod
    def from_metadata(cls, file: Path) -> Self:
        """Settings from a PNG, a film or a folder of frames. Raises DataError if it cannot be read or holds none."""
        if file.is_dir() or file.suffix.lower() in FILM_SUFFIXES:
            return cls._parse_file(read_embedded_settings(file), file)
        try:
            with Image.open(file) as image:
                text = image.info.get(KEY)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{printable(file)} cannot be read as a picture: {in_one_line(error)}") from error
        return cls._parse_file(text, file)

    @classmethod
    def _parse_file(cls, text: object, file: Path) -> Self:
        if not isinstance(text, str):
            raise DataError(
                f"{printable(file)} holds no settings: a PNG or film that `saccade generate` wrote is expected"
            )
        return cls.parse(text, printable(file))

    def png_info(self) -> PngInfo:
        """For Pillow's `save`."""
        info = PngInfo()
        info.add_itxt(KEY, str(self)) if not str(self).isascii() else info.add_text(KEY, str(self))
        return info


def require_film_settings(settings: Settings) -> FilmSettings:
    """The part that only a film has. Raises SaccadeError for settings of a picture."""
    if settings.film is None:
        raise SaccadeError("the settings are those of a picture: give the number of frames of a film")
    return settings.film


def _layout_fields(layout: Layout) -> dict[str, str]:
    shares = f"{_number(layout.words)} {_number(layout.patches)}"
    return {"Layout prompt": json.dumps(" ".join(layout.prompt.split()), ensure_ascii=False), "Layout shares": shares}


def _parse_layout(found: dict[str, str]) -> Layout | None:
    if "Layout prompt" not in found:
        return None
    words, patches = map(float, found["Layout shares"].split())
    return Layout(unquoted(found["Layout prompt"]), words, patches)


def _image_fields(image: ImageSettings) -> dict[str, str]:
    mask = {"Mask hash": image.mask_digest} if image.mask_digest else {}
    name = json.dumps(printable(image.name), ensure_ascii=False)
    use = {} if image.use == "start" else {"Init image use": image.use}
    start = {"Denoising strength": _number(image.strength), "Init image": name, "Init image hash": image.digest}
    caption = json.dumps(" ".join(image.caption.split()), ensure_ascii=False)
    return start | mask | use | ({"Init image caption": caption} if image.caption else {})


def _parse_image(found: dict[str, str]) -> ImageSettings | None:
    """None for other tools' settings, which do not say from which picture, and which also write a strength for pictures
    that they paint twice."""
    if "Init image hash" not in found:
        return None
    strength, name = float(found["Denoising strength"]), unquoted(found["Init image"])
    use: Any = found.get("Init image use", "start")
    if use not in ("start", "source", "inversion"):
        raise ValueError(f"Init image use: {use!r}; start, source or inversion expected")
    caption = unquoted(found.get("Init image caption", '""'))
    return ImageSettings(strength, name, found["Init image hash"], found.get("Mask hash", ""), use, caption)


def _style_fields(style: StyleSettings) -> dict[str, str]:
    name = json.dumps(printable(style.name), ensure_ascii=False)
    use = {} if style.use == "source" else {"Style use": style.use}
    return {"Style image": name, "Style hash": style.digest, "Style strength": _number(style.strength)} | use


def _parse_style(found: dict[str, str]) -> StyleSettings | None:
    if "Style hash" not in found:
        return None
    use: Any = found.get("Style use", "source")
    if use not in ("source", "borrow"):
        raise ValueError(f"Style use: {use!r}; source or borrow expected")
    return StyleSettings(unquoted(found["Style image"]), found["Style hash"], float(found["Style strength"]), use)


def _number(value: float) -> str:
    """Exactly, and without a decimal point where it is whole."""
    return repr(float(value)).removesuffix(".0")
