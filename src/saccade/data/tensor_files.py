"""Files of tensors, in safetensors."""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_tensors(tensors: Mapping[str, Tensor], file: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file with the permissions of a new file in its folder. Raises OSError if that fails.

    It is not atomic: the folder is a temporary one (`saccade.data.output.atomic_folder`)."""
    try:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, file, metadata)
    except SafetensorError as error:
        found = re.search(r"(.*) \(os error (\d+)\)", str(error))
        if found is None:
            raise
        raise OSError(int(found[2]), found[1].split(": ")[-1]) from error
    file.chmod(file.parent.stat().st_mode & 0o666)  # save_file makes files that only their owner can read
