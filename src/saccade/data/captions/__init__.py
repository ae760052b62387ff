"""Pictures with captions: tables, COCO captions, and a text file beside each picture."""

from saccade.data.captions.sets import CaptionSet, caption_splits, open_captions

__all__ = ["CaptionSet", "caption_splits", "open_captions"]
