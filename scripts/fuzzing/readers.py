"""Names in, readers out: every place where mwv reads what someone else wrote.

To add one: write its function in checkpoints.py or sites.py, name it here, and put a few small inputs, such as a tiny
valid file, into tests/corpus/<name>/ with `python -m fuzzing.keep NAME FILE…` (PYTHONPATH=scripts).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from fuzzing import checkpoints, sites
from fuzzing.checkpoints import Given

READERS: Final[dict[str, Callable[[Path], Given]]] = {
    "safetensors": checkpoints.safetensors,
    "header": checkpoints.header,
    "gguf": checkpoints.gguf,
    "gguf_values": checkpoints.gguf_values,
    "pytorch": checkpoints.pytorch,
    "arrays": checkpoints.arrays,
    "state_dict": checkpoints.state_dict,
    "pickle": checkpoints.pickle,
    "index": checkpoints.index,
    "config": checkpoints.config,
    "packed": checkpoints.packed,
    "directory": checkpoints.directory,
    "layout": checkpoints.layout,
    "zoo": sites.zoo,
    "manifest": sites.manifest,
    "tile_list": sites.tile_list,
    "content": sites.content,
    "shard": sites.shard,
    "scene": sites.scene,
    "pages": sites.pages,
    "request": sites.request,
}

WORDS: Final[dict[str, bytes]] = {
    "header": b'"dtype":"F4" "dtype":"BF16" "dtype":"X" "shape":[2,3] "data_offsets":[0,24] __metadata__',
    "gguf_values": b"general.architecture general.alignment general.file_type tokenizer.ggml.tokens llama.block_count",
    "state_dict": b"torch._utils _rebuild_tensor_v2 FloatStorage HalfStorage collections OrderedDict os system storage",
    "pickle": b"torch._utils _rebuild_tensor_v2 _rebuild_parameter FloatStorage HalfStorage __builtin__ eval storage",
    "config": b'"num_hidden_layers": "text_config":{ "architectures":[" 1e999 \\ud800',
    "packed": b'"bits":3 "bits":8 "group_size":-1 awq gptq_v2 checkpoint_format "a.g_idx" [3,32] I32 F64 U32 version gemv',
    "layout": b"model.layers. .self_attn.q_proj.weight .mlp.experts. blk. _exps down_blocks. .resnets. encoder.layer. 4,3,3,3",
    "zoo": b'[[model]] source=" slug=" columns= tags=[ url="http://',
    "request": b"bytes= %2e%2e/ %00 GMT 127.0.0.1 [::1]",
}
"""Words that libFuzzer may put into inputs, where it cannot see them compared."""
