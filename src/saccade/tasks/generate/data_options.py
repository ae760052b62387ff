"""Where the pictures come from that a generator is trained on."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from saccade.errors import UsageError
from saccade.options import DataOptions


class GenerateDataOptions(DataOptions):
    """Pictures with captions, pairs of pictures, or the same content in several styles, and the model to start from."""

    required: ClassVar[str] = "--data, --pairs or --styles"

    pairs: tuple[Path, ...] = ()
    """Two folders of pictures with equal names (suffixes may differ): those of the second are painted from those of the
    first. One folder with --split-at. Captions beside the pictures to paint are read where there are any."""
    split_at: Literal["middle"] | None = None
    """middle: each picture of the one folder of --pairs holds both pictures side by side, of equal width."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """AtoB: with --pairs, the second folder or right half is painted from the first or left one; BtoA: the reverse."""
    styles: Path | None = None
    """Folder with a folder for each style, which hold the same content under equal names."""
    hold_out_file: Path | None = None
    """Text file with the names, without suffix, that are held out for validation with --pairs and --styles, one a line;
    default: --val-fraction of them."""

    @property
    def sources(self) -> tuple[Path, ...]:
        return (*super().sources, *self.pairs, *(() if self.styles is None else (self.styles,)))

    @property
    def folders(self) -> tuple[Path, ...]:
        """To paint from, and to paint; one folder of pictures side by side."""
        return self.pairs if self.direction == "AtoB" else self.pairs[::-1]

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        given = [name for name in ("data", "pairs", "styles") if getattr(self, name)]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(f'--{name}' for name in given)} are given: use one of them")
        alone = {"--split-at": self.split_at is not None, "--direction": self.direction != "AtoB"}
        for option in (name for name, used in alone.items() if used and not self.pairs):
            raise UsageError(f"{option} says how --pairs are read: give their folder, or leave it out")
        if self.pairs and len(self.pairs) != (count := 1 if self.split_at else 2):
            remedy = (
                f"{'one is' if count == 1 else 'two are'} expected {'with' if count == 1 else 'without'} --split-at"
            )
            raise UsageError(f"--pairs names {len(self.pairs)} folder{'s' * (len(self.pairs) > 1)}; {remedy}")
        if self.hold_out_file is not None and "data" in given:
            raise UsageError("--hold-out-file is read with --pairs and --styles; with --data use --val")
        if self.val is not None and (self.pairs or self.styles):
            raise UsageError("--val is read with --data; with --pairs and --styles use --hold-out-file")
        return self
