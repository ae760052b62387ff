"""Pictures to make pictures from: pairs in two folders or side by side, and the same content in several styles."""

from saccade.data.pairs.sets import PairSet, SideBySide, TwoFolders, pair_splits
from saccade.data.pairs.styles import StyleSet, style_splits

__all__ = ["PairSet", "SideBySide", "StyleSet", "TwoFolders", "pair_splits", "style_splits"]
