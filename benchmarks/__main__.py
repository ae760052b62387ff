"""List all benchmarks with one line each, from the first lines of their docstrings.

python -m benchmarks
python -m benchmarks.core.vit --help
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent


def scripts() -> Iterator[tuple[str, str]]:
    """Module name and first line of the docstring of each benchmark: a file that runs something as a script."""
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text()
        if path.parent != ROOT and 'if __name__ == "__main__":' in text:
            module = ".".join(("benchmarks", *path.relative_to(ROOT).with_suffix("").parts))
            yield module, (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def main() -> None:
    listed = list(scripts())
    width = max(len(module) for module, _ in listed)
    for module, line in listed:
        print(f"{module:<{width}}  {line}")


if __name__ == "__main__":
    main()
