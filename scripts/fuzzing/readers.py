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
    "state_dict": checkpoints.state_dict,
    "pickle": checkpoints.pickle,
    "index": checkpoints.index,
    "config": checkpoints.config,
    "directory": checkpoints.directory,
    "zoo": sites.zoo,
    "manifest": sites.manifest,
    "tile_list": sites.tile_list,
    "content": sites.content,
    "scene": sites.scene,
    "pages": sites.pages,
    "request": sites.request,
}

WORDS: Final[dict[str, tuple[bytes, ...]]] = {
    "header": (b'"dtype":"F4"', b'"dtype":"BF16"', b'"dtype":"X"', b'"shape":[2,3]', b'"data_offsets":[0,24]', b"__metadata__"),
    "gguf_values": (b"general.architecture", b"general.alignment", b"general.file_type", b"tokenizer.ggml.tokens", b"llama.block_count"),
    "state_dict": (b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n", b"cos\nsystem\n"),
    "pickle": (b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nHalfStorage\n", b"c__builtin__\neval\n", b"\x8c\x05torch", b"\x93"),
    "config": (b'"num_hidden_layers":', b'"text_config":{', b'"architectures":["', b"1e999", b"\\ud800"),
    "zoo": (b"[[model]]\n", b'source = "', b'slug = "', b"columns = ", b"tags = [", b'url = "http://'),
    "request": (b"bytes=", b"%2e%2e/", b"%00", b"Thu, 01 Jan 1970 00:00:00 GMT", b"127.0.0.1", b"[::1]"),
}
"""Words that libFuzzer may put into inputs, where it cannot see them compared."""
