"""The procedural world: seeded scenes with exact boxes, masks, relations and descriptions."""

from saccade.data.scenes.conditioning import ConditioningImage, sample_conditioning_image, sample_inpainting_mask
from saccade.data.scenes.constraints import Combinations, is_held_out, parse_spec
from saccade.data.scenes.description import Description
from saccade.data.scenes.edits import edited_scene, minimal_edit
from saccade.data.scenes.instructions import EditedPair, edited_pair
from saccade.data.scenes.phrasing import Caption, FilmCaption, sample_caption, sample_film_caption
from saccade.data.scenes.relations import RELATIONS
from saccade.data.scenes.scenes import Scene, Scenes
from saccade.data.scenes.shapes import SHAPES
from saccade.data.scenes.style import Style, is_held_out_style, restyled, sample_style

__all__ = [
    "RELATIONS",
    "SHAPES",
    "Caption",
    "Combinations",
    "ConditioningImage",
    "Description",
    "EditedPair",
    "FilmCaption",
    "Scene",
    "Scenes",
    "Style",
    "edited_pair",
    "edited_scene",
    "is_held_out",
    "is_held_out_style",
    "minimal_edit",
    "parse_spec",
    "restyled",
    "sample_caption",
    "sample_conditioning_image",
    "sample_film_caption",
    "sample_inpainting_mask",
    "sample_style",
]
