"""Weights saved by earlier versions: parameter names that have changed since."""

import re
from typing import Any

from torch import nn


def rename_old_keys(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: object) -> None:
    """A pre-hook of `load_state_dict`: replace the parameter names of earlier versions by today's, in place.

    The module's `old_keys` maps a regular expression, matched at the start of an old name, to its replacement.
    """
    old_keys: Any = module.old_keys
    for key in [key for key in state_dict if key.startswith(prefix)]:
        for pattern, replacement in old_keys.items():
            name, count = re.subn(f"^{pattern}", replacement, key[len(prefix) :])
            if count:
                state_dict[prefix + name] = state_dict.pop(key)
                break
