#!/usr/bin/env bash
# A LoRA that peft adds inside torch.nn.TransformerEncoderLayer has no effect while the model is in eval().
#
# PyTorch's fast path reads linear1.weight, linear2.weight and the projections of self_attn itself and calls none of these
# layers, so that the LoRA layers in their place never run: the output is that of the model without its LoRA, without a
# warning. Gradients that are enabled do not end that, as peft freezes the weights by which the fast path decides. In
# train(), or with the fast path off, the same model and input give the output with the LoRA. One expects it in eval() too.
# Consequence: what is validated and deployed is the unadapted model, while training improves. Merge the LoRA first
# (merge_and_unload()), or switch the fast path off (torch.backends.mha.set_fastpath_enabled(False)).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q peft==0.21.2 torch==2.13.0
cd "$work"
export HF_HUB_OFFLINE=1 HF_HOME="$work/home"
venv/bin/python - <<'PY'
import peft
import torch
from torch import nn

print(f"peft {peft.__version__}, torch {torch.__version__}")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)

    def forward(self, x):
        return self.layer(x)


def off(a, b):
    return float((a - b).abs().max())


found = {}
for targets in (["linear1", "linear2"], ["self_attn"]):
    torch.manual_seed(0)
    base, x = Net().eval(), torch.randn(2, 5, 16)
    with torch.no_grad():
        plain = base(x)
    config = peft.LoraConfig(r=4, target_modules=targets, init_lora_weights=False)
    adapted = peft.get_peft_model(base, config).eval()
    with torch.no_grad():
        silent = adapted(x)
        torch.backends.mha.set_fastpath_enabled(False)
        slow = adapted(x)
        torch.backends.mha.set_fastpath_enabled(True)
    graph = adapted(x).detach()
    training = adapted.train()(x).detach()  # no dropout
    found[",".join(targets)] = (
        off(silent, plain) < 1e-4, off(graph, plain) < 1e-4, off(slow, plain) > 1e-2, off(training, slow) < 1e-4
    )
    print(f"LoRA in {targets}, distance from the unadapted output: in eval() {off(silent, plain):.2g}, with gradients "
          f"{off(graph, plain):.2g}; off the fast path {off(slow, plain):.2g}, in train() {off(training, plain):.2g}")

expected = dict.fromkeys(found, (True,) * 4)
raise SystemExit(0 if found == expected else f"changed: expected {expected}, found {found}")
PY
