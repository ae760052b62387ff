# For people who develop Saccade. `make check` is what a change must pass.
.PHONY: check test format

check:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -n 2 --dist loadfile

test:
	.venv/bin/pytest -n 2 --dist loadfile

format:
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
