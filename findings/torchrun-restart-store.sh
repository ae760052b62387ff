#!/usr/bin/env bash
# torchrun: processes that are started again get the key-value store of the processes before, with their keys in it.
#
# PyTorch 2.13.0: with --standalone (and any c10d rendezvous) the agent makes one TCPStore and hands it out at every
# restart; a comment in torch/distributed/rendezvous.py says that each attempt has a new one. What the lost processes
# wrote, such as the addresses that gloo exchanges, is therefore read by the new ones. dist.init_process_group("gloo")
# after --max-restarts was seen to wait for ever in 1 of 6 runs, with a process killed in mid-training. A PrefixStore
# with TORCHELASTIC_RESTART_COUNT in its prefix keeps the attempts apart.
#
# Shows: a key set in the first attempt is there in the second. Exits non-zero if it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy
cat > "$folder/worker.py" <<'PY'
import os, sys
import torch, torch.distributed as dist

store, rank, world = next(dist.rendezvous("env://"))
attempt = os.environ["TORCHELASTIC_RESTART_COUNT"]
there = store.check(["address"])
print(f"torch {torch.__version__}, attempt {attempt}: a key of an earlier attempt is there: {there}", flush=True)
if attempt == "0":
    store.set("address", "of the first attempt")
    sys.exit(1)
sys.exit(0 if there else 3)
PY
"$folder/venv/bin/python" -m torch.distributed.run --standalone --nproc-per-node 1 --max-restarts 1 "$folder/worker.py"
