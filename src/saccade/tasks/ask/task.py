"""Ask a model that writes about pictures, and see where it looked for each word."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from saccade.checkpoints.vision_language import VisionLanguageModel
from saccade.errors import DataError, SaccadeError, in_one_line
from saccade.lens import Trace, watch
from saccade.tasks.ask.answer import Answer, decode_tokens, words_of
from saccade.tasks.ask.image_token_layout import ImageTokenLayout, LayoutError, SeenPicture
from saccade.tasks.ask.layout_verification import tokens_depend_on_pixels
from saccade.tasks.ask.qformer import locate_query_tokens
from saccade.tasks.ask.recorder import AttentionRecorder
from saccade.tasks.ask.tiles import merge_tiles
from saccade.tasks.ask.token_layouts import TOWERS, image_token_mask, locate_image_tokens
from saccade.tasks.base import PublicTask

MOST_TOKENS = 96  # of an answer


class PublicAskTask(PublicTask):
    """A model of transformers that writes about pictures.

    wrapper: the model with its processor.
    """

    kind = "ask"

    def __init__(self, wrapper: VisionLanguageModel):
        super().__init__(wrapper)
        self.wrapper: VisionLanguageModel = wrapper

    @torch.no_grad()
    def ask(
        self,
        pictures: Sequence[Image.Image],
        question: str,
        tokens: int = MOST_TOKENS,
        progress: Callable[[float], None] = lambda done: None,
    ) -> Answer:
        """The answer, greedily, with the attention of each step, as it is computed: the row of the token from which
        the next one is predicted. The model runs with the kernels that it has; of each row, O(sources) numbers are
        kept.

        tokens: of the answer at most. progress: called after every token with the share of `tokens` that is done.
        Raises DataError for pictures and questions that cannot be prepared, and SaccadeError for a model whose
        attention to its prompt cannot be seen.
        """
        device = next(self.model.parameters()).device
        inputs = {name: x.to(device) for name, x in self.wrapper.prepare(pictures, question).items()}
        places, located, notes = self._places(inputs, pictures)
        cross = self.wrapper.family in TOWERS or bool(self.model.config.is_encoder_decoder)
        tokens = min(tokens, self._room(1 if cross else places.sources, inputs))
        recorder = AttentionRecorder(places, "cross" if cross else "self")
        started = time.perf_counter()
        with watch(self.model, only=self._decoder(), views={"rows": recorder}) as trace:
            written = self._generate(inputs, tokens, progress)
        seconds = time.perf_counter() - started
        layers, unseen = recorder.layers(len(written)), [*recorder.notes(), *_missed(trace)]
        if not layers:
            reason = next(iter(unseen), "none of its calls reads them")
            raise SaccadeError(f"{self.name}: its attention to the tokens that it reads was not seen: {reason}")
        ids = written[: max(1, len(written) - (written[-1] in self._ends()))]
        cut = [f"the answer was cut off after {tokens} tokens"] if len(ids) == tokens else []
        tokenizer = self.wrapper.processor.tokenizer
        decode = functools.partial(tokenizer.decode, skip_special_tokens=True)
        pieces = decode_tokens(ids, decode, lambda one: tokenizer.convert_ids_to_tokens(one) or f"<{one}>")
        return Answer(
            question=question,
            text=decode(ids).strip(),
            pieces=pieces,
            words=words_of(pieces),
            layers=[layer.first_tokens(len(ids)) for layer in layers],
            pictures=places.pictures,
            located=located,
            seconds=seconds,
            notes=[*notes, *cut, *places.notes, *unseen],
        )

    def _generate(self, inputs: dict[str, Tensor], tokens: int, progress: Callable[[float], None]) -> list[int]:
        """The tokens that the model writes."""
        steps = 0

        def count(ids: Tensor, *_: Any, **__: Any) -> Tensor:
            nonlocal steps
            steps += 1
            progress(steps / tokens)
            return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

        given = {name: x.clone() for name, x in inputs.items()}  # BLIP writes into its inputs
        settings = {"do_sample": False, "num_beams": 1, "max_new_tokens": tokens, **self._whole_cache()}
        try:
            out = self.model.generate(**given, **settings, stopping_criteria=[count])
        except Exception as error:  # inputs that a network cannot take raise various errors
            if isinstance(error, SaccadeError):
                raise
            raise SaccadeError(f"{self.name} cannot write an answer: {in_one_line(error)}") from error
        return out[0, -steps:].tolist()

    def _places(
        self, inputs: dict[str, Tensor], pictures: Sequence[Image.Image]
    ) -> tuple[ImageTokenLayout, bool, list[str]]:
        """Where the pictures lie. Where their parts are not known, all pictures are one place; and the reason."""
        find = locate_query_tokens if hasattr(self.model, "qformer") else locate_image_tokens
        try:
            found = find(self.model, self.wrapper.processor, inputs)
            images = [picture.convert("RGB") for picture in pictures]
            return merge_tiles(found, images, "image_grid_thw" in inputs), True, []
        except LayoutError as error:
            reason = str(error)
        except Exception as error:  # networks that are built otherwise raise various errors
            reason = f"where its image tokens lie cannot be read ({in_one_line(error)})"
        image = image_token_mask(self.model, inputs)
        if not tokens_depend_on_pixels(self.model, inputs, image):
            raise SaccadeError(f"{self.name}: how its words attend to pictures is not known here: {reason}")
        shown, share = pictures[0].convert("RGB"), image.float().cpu()
        seen = SeenPicture(shown, (shown.height, shown.width), (1, 1), torch.tensor([-1]), lambda place: ())
        note = f"regions are not shown, only the share that went to pictures: {reason}"
        return ImageTokenLayout([seen], len(image), share, share[:, None]), False, [note]

    def _room(self, prompt: int, inputs: dict[str, Tensor]) -> int:
        """How many tokens the model can write after a prompt. Raises DataError if none."""
        begun = inputs["decoder_input_ids"].shape[1] if "decoder_input_ids" in inputs else prompt
        config = self.model.config.get_text_config(decoder=True)
        room = getattr(config, "max_position_embeddings", None) or begun + MOST_TOKENS
        if room <= begun:
            raise DataError(f"the prompt has {begun} tokens, and {self.name} reads at most {room - 1}: give less")
        return room - begun

    def _whole_cache(self) -> dict[str, Any]:
        """For layers of sliding windows, a cache that keeps what is out of their reach, too, so that every source has
        its place."""
        config = self.model.config.get_text_config(decoder=True)
        kinds = set(getattr(config, "layer_types", None) or ())
        if "sliding_attention" not in kinds or kinds - {"full_attention", "sliding_attention"}:
            return {}
        from transformers import DynamicCache

        return {"past_key_values": DynamicCache()}

    def _decoder(self) -> str:
        """A pattern of the names of the modules that write."""
        decoder = self.model.get_decoder()
        name = next(name for name, module in self.model.named_modules() if module is decoder)
        return f"{name}.*" if name else "*"

    def _ends(self) -> set[int]:
        """Tokens that end an answer."""
        config, tokenizer = self.model.generation_config, self.wrapper.processor.tokenizer
        eos = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        others = [config.pad_token_id, tokenizer.eos_token_id, tokenizer.sep_token_id]
        return {int(each) for each in (*eos, *others) if each is not None}


def _missed(trace: Trace) -> list[str]:
    return [f"not recorded: {name}: {why}" for name, why in list(trace.missed.items())[:3]]
