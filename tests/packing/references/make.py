"""In: the packages hqq, optimum-quanto, torchao. Out: the safetensors files beside this, layers as they save them, and values.

Run by hand, where they are installed; tests read the files alone, for hqq is no wheel and the others change with torch.
Names that begin with `expected.` are the values of the layer in float32, by the package's own code.
"""

from pathlib import Path

import torch
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear, Quantizer
from optimum.quanto import QConv2d, QLinear, freeze, qfloat8_e4m3fn, qfloat8_e5m2, qint2, qint4, qint8
from safetensors.torch import save_file
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import (
    Float8WeightOnlyConfig,
    Int8WeightOnlyConfig,
    IntxWeightOnlyConfig,
    MappingType,
    PerAxis,
    PerGroup,
    quantize_,
)

HERE = Path(__file__).parent


def hqq_layer(bits, axis, group=16, dtype=torch.float32, viewed=False):
    layer = torch.nn.Linear(48, 24, bias=False)
    config = BaseQuantizeConfig(nbits=bits, axis=axis, group_size=group, view_as_float=viewed)
    made = HQQLinear(layer, config, compute_dtype=dtype, device="cpu")
    state = {key: part.clone() for key, part in made.state_dict().items() if part is not None}
    meta = {key: value.float() if key in ("scale", "zero") else value for key, value in made.meta.items()}
    return state, Quantizer.dequantize(made.W_q.data, {**meta, "compute_dtype": torch.float32})


def hqq():
    torch.manual_seed(0)
    layers = {f"bits{bits}axis{axis}": (bits, axis) for bits in (8, 4, 3, 2, 1) for axis in (0, 1)}
    layers |= {"row": (4, 1, None), "column": (4, 0, None), "six": (6, 1), "half": (4, 1, 16, torch.float16)}
    layers |= {"bfloat": (3, 0, 16, torch.bfloat16), "viewed": (4, 1, 16, torch.bfloat16, True)}
    tensors = {}
    for name, config in layers.items():
        state, values = hqq_layer(*config)
        tensors |= {f"{name}.{key}": part for key, part in state.items()} | {f"expected.{name}.weight": values.clone()}
    save_file(tensors, HERE / "hqq.safetensors")


def quanto():
    torch.manual_seed(0)
    kinds = {"int8": qint8, "e4m3": qfloat8_e4m3fn, "e5m2": qfloat8_e5m2, "int4": qint4, "int2": qint2}
    layers = {kind: (torch.nn.Linear(40, 12, bias=False), qtype) for kind, qtype in kinds.items()}
    layers |= {f"{kind}grouped": (torch.nn.Linear(192, 5), kinds[kind]) for kind in ("int4", "int2")}
    layers |= {"shapeless": (torch.nn.Linear(192, 5, bias=False), qint4)}
    layers |= {f"{kind}conv": (torch.nn.Conv2d(4, 6, 3, bias=False), kinds[kind]) for kind in ("int8", "int4")}
    tensors = {}
    for name, (layer, qtype) in layers.items():
        made = (QConv2d if isinstance(layer, torch.nn.Conv2d) else QLinear).from_module(layer, weights=qtype)
        freeze(torch.nn.Sequential(made))
        tensors |= {f"{name}.{key}": part.clone().contiguous() for key, part in made.state_dict().items()}
        tensors[f"expected.{name}.weight"] = made.weight.dequantize().detach().clone()
    save_file(tensors, HERE / "quanto.safetensors")


def torchao():
    torch.manual_seed(0)
    group, skew = PerGroup(32), MappingType.ASYMMETRIC
    configs = {
        "int8": Int8WeightOnlyConfig(),
        "groups8": Int8WeightOnlyConfig(granularity=group),
        "e4m3": Float8WeightOnlyConfig(),
    }
    configs |= {f"int{n}": IntxWeightOnlyConfig(getattr(torch, f"int{n}"), group) for n in (2, 3, 4)}
    configs |= {"skewed": IntxWeightOnlyConfig(torch.int4, group, skew), "rows": IntxWeightOnlyConfig(torch.int4, PerAxis(0))}
    model = torch.nn.ModuleDict({name: torch.nn.Linear(96, 12, bias=False) for name in configs})
    for name, config in configs.items():
        quantize_(model[name], config)
    tensors, metadata = flatten_tensor_state_dict(model.state_dict())
    tensors |= {f"expected.{name}.weight": model[name].weight.dequantize().detach().clone() for name in configs}
    save_file(tensors, HERE / "torchao.safetensors", metadata)


if __name__ == "__main__":
    hqq()
    quanto()
    torchao()
