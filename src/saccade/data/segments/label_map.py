"""Mapping from values or colours of a mask to classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import UInt8

from saccade.data.segments import IGNORE_INDEX
from saccade.data.segments.class_lists import Colour
from saccade.data.segments.decode_mask import DecodedMask, apply_palette, describe_values, grey_values, pack_colours
from saccade.errors import DataError

BACKGROUND = "background"
UNKNOWN = -1
IGNORE_16_BIT = 65535  # the maximum of 16 bits, ignored in masks of 16 bits as 255 is in those of 8 bits


class UnknownClassError(DataError):
    """A mask has values or colours that are not a class."""


@dataclass(frozen=True)
class LabelMap:
    """values, colours: to an index of `classes` or IGNORE_INDEX. The value 255 is ignored as well, and 65535 in masks
    of 16 bits, unless they are in `values`. lossy: whether masks may be compressed with losses. by_palette: whether
    colours of palettes count, and not their numbers."""

    classes: list[str]
    values: Mapping[int, int]
    colours: Mapping[Colour, int] = field(default_factory=dict)
    lossy: bool = False
    by_palette: bool = False

    def indices(self, pixels: DecodedMask, display: str) -> tuple[UInt8[np.ndarray, "y x"], str]:
        """Class index of each pixel, and a note on assumptions, "" for none.

        Values are mapped by number, also with a palette, unless only the colours of the palette match. Colours are
        mapped by colour; without colours in the map, grey pixels by number.

        Raises UnknownClassError with the values or colours that are not a class, and their number of pixels."""
        if self.by_palette:
            pixels = apply_palette(pixels)
        values, note = pixels.values, ""
        if values is None:
            assert pixels.colours is not None
            by_colour = self._by_colour(pixels.colours) if self.colours else None
            if by_colour is not None:
                return by_colour, ""
            values = None if self.colours else grey_values(pixels.colours)
            if values is None:
                raise UnknownClassError(self._unknown_colours(pixels.colours, display))
            note = "masks in RGB with three equal parts a pixel were read by number"
        elif pixels.palette is not None and self._palette_speaks(pixels):
            found = self._by_colour(pixels.palette[np.minimum(values, len(pixels.palette) - 1)])
            assert found is not None
            return found, "the numbers in palette masks are not those of the list; their colours were taken instead"
        table = self._sixteen if pixels.is_16_bit else self._table
        found = table[values]
        if int(found.min()) == UNKNOWN:
            strange = describe_values(values[found == UNKNOWN], colours=False)
            raise UnknownClassError(f"{display} has {strange}, of no class; {self._expected()} expected")
        return found.astype(np.uint8), note

    def reorder_classes(self, classes: Sequence[str]) -> "LabelMap":
        """The same map for another order of classes, possibly with more classes."""
        place = {name: i for i, name in enumerate(classes)}
        index = {i: place[name] for i, name in enumerate(self.classes)} | {IGNORE_INDEX: IGNORE_INDEX}
        values = {value: index[i] for value, i in self.values.items()}
        colours = {colour: index[i] for colour, i in self.colours.items()}
        return replace(self, classes=list(classes), values=values, colours=colours)

    @cached_property
    def _table(self) -> np.ndarray:
        table = np.full(IGNORE_16_BIT + 1, UNKNOWN, np.int16)
        table[255] = IGNORE_INDEX
        for value, index in self.values.items():
            table[value] = index
        return table

    @cached_property
    def _sixteen(self) -> np.ndarray:
        table = self._table.copy()
        if IGNORE_16_BIT not in self.values:
            table[IGNORE_16_BIT] = IGNORE_INDEX
        return table

    @cached_property
    def _colours(self) -> tuple[np.ndarray, np.ndarray]:
        codes = pack_colours(np.array(list(self.colours), np.uint8).reshape(-1, 3))
        order = np.argsort(codes)
        return codes[order], np.array(list(self.colours.values()), np.int16)[order]

    def _look_up(self, colours: np.ndarray) -> np.ndarray:
        codes, indices = self._colours
        place = np.searchsorted(codes, colours).clip(max=len(codes) - 1)
        return np.where(codes[place] == colours, indices[place], UNKNOWN)

    def _by_colour(self, colours: np.ndarray) -> UInt8[np.ndarray, "y x"] | None:
        """None if any colour is not in the map."""
        # neighbours are mostly equal: look up each run once
        flat = colours.ravel()
        starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
        found = self._look_up(flat[starts])
        if int(found.min()) == UNKNOWN:
            return None
        lengths = np.diff(np.append(starts, len(flat)))
        return np.repeat(found.astype(np.uint8), lengths).reshape(colours.shape)

    def _palette_speaks(self, pixels: DecodedMask) -> bool:
        """Whether the colours of a palette match the map, and its values do not."""
        if pixels.values is None or pixels.palette is None or not self.colours:
            return False
        used = np.unique(pixels.values)
        if int(used.max()) >= len(pixels.palette):
            return False
        by_colour, by_value = self._look_up(pixels.palette[used]), self._table[used]
        return bool((by_colour != UNKNOWN).all() and (by_colour != by_value).any())

    def _unknown_colours(self, colours: np.ndarray, display: str) -> str:
        if not self.colours:
            return (
                f"{display} is coloured, and nothing says which colour is which class; "
                "a class_dict.csv with a line name,r,g,b for each expected beside the folders"
            )
        strange = describe_values(colours[self._look_up(colours) == UNKNOWN], colours=True)
        return f"{display} has {strange}, of no class; one of the {len(self.colours)} colours listed expected"

    def _expected(self) -> str:
        numbers = sorted(value for value, index in self.values.items() if index != IGNORE_INDEX)
        if not numbers:
            return "255 (ignored)"
        runs = numbers == list(range(numbers[0], numbers[-1] + 1))
        span = f"{numbers[0]} to {numbers[-1]}" if runs else ", ".join(map(str, numbers))
        return f"{span if len(span) < 120 else f'one of {len(numbers)} numbers'}, or 255 (ignored),"
