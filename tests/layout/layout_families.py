"""Names and shapes of well-known architectures, as their checkpoints really have them; small in depth, true in width."""

from collections.abc import Callable, Iterator

Tensors = list[tuple[str, tuple[int, ...]]]


def linear(name: str, out: int, inner: int, *, bias: bool = True) -> Tensors:
    return [(f"{name}.weight", (out, inner)), *([(f"{name}.bias", (out,))] if bias else [])]


def norm(name: str, size: int, *, bias: bool = True) -> Tensors:
    return [(f"{name}.weight", (size,)), *([(f"{name}.bias", (size,))] if bias else [])]


def batch_norm(name: str, size: int) -> Tensors:
    return [
        *norm(name, size),
        (f"{name}.running_mean", (size,)),
        (f"{name}.running_var", (size,)),
        (f"{name}.num_batches_tracked", ()),
    ]


def conv(name: str, out: int, inner: int, kernel: int, *, bias: bool = True) -> Tensors:
    return [(f"{name}.weight", (out, inner, kernel, kernel)), *([(f"{name}.bias", (out,))] if bias else [])]


def llama(layers: int = 32, hidden: int = 4096, kv: int = 1024, mlp: int = 14336, vocab: int = 128256) -> Tensors:
    tensors: Tensors = [
        ("model.embed_tokens.weight", (vocab, hidden)),
        ("model.norm.weight", (hidden,)),
        ("lm_head.weight", (vocab, hidden)),
    ]
    for i in range(layers):
        at = f"model.layers.{i}"
        tensors += [(f"{at}.input_layernorm.weight", (hidden,)), (f"{at}.post_attention_layernorm.weight", (hidden,))]
        for name, out, inner in (("q", hidden, hidden), ("k", kv, hidden), ("v", kv, hidden), ("o", hidden, hidden)):
            tensors += linear(f"{at}.self_attn.{name}_proj", out, inner, bias=False)
        for name, out, inner in (("gate", mlp, hidden), ("up", mlp, hidden), ("down", hidden, mlp)):
            tensors += linear(f"{at}.mlp.{name}_proj", out, inner, bias=False)
    return tensors


def smollm2_gguf(layers: int = 30) -> Tensors:
    tensors: Tensors = [("token_embd.weight", (49152, 576)), ("output_norm.weight", (576,))]
    shapes = {
        "attn_q": (576, 576),
        "attn_k": (192, 576),
        "attn_v": (192, 576),
        "attn_output": (576, 576),
        "ffn_gate": (1536, 576),
        "ffn_up": (1536, 576),
        "ffn_down": (576, 1536),
        "attn_norm": (576,),
        "ffn_norm": (576,),
    }
    return tensors + [(f"blk.{i}.{name}.weight", shape) for i in range(layers) for name, shape in shapes.items()]


def bert(layers: int = 6, hidden: int = 384, mlp: int = 1536) -> Tensors:
    tensors: Tensors = [
        ("embeddings.word_embeddings.weight", (30522, hidden)),
        ("embeddings.position_embeddings.weight", (512, hidden)),
        ("embeddings.token_type_embeddings.weight", (2, hidden)),
        ("embeddings.position_ids", (1, 512)),
        *norm("embeddings.LayerNorm", hidden),
        *linear("pooler.dense", hidden, hidden),
    ]
    for i in range(layers):
        at = f"encoder.layer.{i}"
        for name in ("query", "key", "value"):
            tensors += linear(f"{at}.attention.self.{name}", hidden, hidden)
        tensors += linear(f"{at}.attention.output.dense", hidden, hidden) + norm(f"{at}.attention.output.LayerNorm", hidden)
        tensors += linear(f"{at}.intermediate.dense", mlp, hidden)
        tensors += linear(f"{at}.output.dense", hidden, mlp) + norm(f"{at}.output.LayerNorm", hidden)
    return tensors


def gpt2(layers: int = 12, hidden: int = 768) -> Tensors:
    tensors: Tensors = [("wte.weight", (50257, hidden)), ("wpe.weight", (1024, hidden)), *norm("ln_f", hidden)]
    for i in range(layers):
        at = f"h.{i}"
        tensors += [*norm(f"{at}.ln_1", hidden), (f"{at}.attn.bias", (1, 1, 1024, 1024))]
        for name, inner, out in (
            ("attn.c_attn", hidden, 3 * hidden),
            ("attn.c_proj", hidden, hidden),
            ("mlp.c_fc", hidden, 4 * hidden),
            ("mlp.c_proj", 4 * hidden, hidden),
        ):
            tensors += [(f"{at}.{name}.weight", (inner, out)), (f"{at}.{name}.bias", (out,))]
        tensors += norm(f"{at}.ln_2", hidden)
    return tensors


def neox(layers: int = 6, hidden: int = 512, vocab: int = 50304) -> Tensors:
    tensors: Tensors = [
        ("gpt_neox.embed_in.weight", (vocab, hidden)),
        *norm("gpt_neox.final_layer_norm", hidden),
        ("embed_out.weight", (vocab, hidden)),
    ]
    for i in range(layers):
        at = f"gpt_neox.layers.{i}"
        tensors += [*norm(f"{at}.input_layernorm", hidden), *norm(f"{at}.post_attention_layernorm", hidden)]
        tensors += [
            (f"{at}.attention.bias", (1, 1, 2048, 2048)),
            (f"{at}.attention.masked_bias", ()),
            (f"{at}.attention.rotary_emb.inv_freq", (8,)),
        ]
        tensors += linear(f"{at}.attention.query_key_value", 3 * hidden, hidden) + linear(
            f"{at}.attention.dense", hidden, hidden
        )
        tensors += linear(f"{at}.mlp.dense_h_to_4h", 4 * hidden, hidden) + linear(f"{at}.mlp.dense_4h_to_h", hidden, 4 * hidden)
    return tensors


def _clip_layer(at: str, hidden: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
        yield from linear(f"{at}.self_attn.{name}", hidden, hidden)
    yield from (*norm(f"{at}.layer_norm1", hidden), *norm(f"{at}.layer_norm2", hidden))
    yield from (*linear(f"{at}.mlp.fc1", 4 * hidden, hidden), *linear(f"{at}.mlp.fc2", hidden, 4 * hidden))


def clip(layers: int = 12) -> Tensors:
    tensors: Tensors = [
        ("logit_scale", ()),
        ("text_model.embeddings.position_embedding.weight", (77, 512)),
        ("text_model.embeddings.token_embedding.weight", (49408, 512)),
        *norm("text_model.final_layer_norm", 512),
        ("text_projection.weight", (512, 512)),
        ("visual_projection.weight", (512, 768)),
        ("vision_model.embeddings.class_embedding", (768,)),
        ("vision_model.embeddings.patch_embedding.weight", (768, 3, 32, 32)),
        ("vision_model.embeddings.position_embedding.weight", (50, 768)),
        *norm("vision_model.pre_layrnorm", 768),
        *norm("vision_model.post_layernorm", 768),
    ]
    for i in range(layers):
        tensors += [*_clip_layer(f"text_model.encoder.layers.{i}", 512), *_clip_layer(f"vision_model.encoder.layers.{i}", 768)]
    return tensors


def vit_timm(layers: int = 12, hidden: int = 768) -> Tensors:
    tensors: Tensors = [
        ("cls_token", (1, 1, hidden)),
        ("pos_embed", (1, 197, hidden)),
        *conv("patch_embed.proj", hidden, 3, 16),
        *norm("norm", hidden),
        *linear("head", 1000, hidden),
    ]
    for i in range(layers):
        at = f"blocks.{i}"
        tensors += [
            *norm(f"{at}.norm1", hidden),
            *norm(f"{at}.norm2", hidden),
            *linear(f"{at}.attn.qkv", 3 * hidden, hidden),
            *linear(f"{at}.attn.proj", hidden, hidden),
        ]
        tensors += [*linear(f"{at}.mlp.fc1", 4 * hidden, hidden), *linear(f"{at}.mlp.fc2", hidden, 4 * hidden)]
    return tensors


def convnext_timm() -> Tensors:
    tensors: Tensors = [*conv("stem.0", 96, 3, 4), *norm("stem.1", 96), *norm("head.norm", 768), *linear("head.fc", 1000, 768)]
    for stage, (depth, width) in enumerate(((3, 96), (3, 192), (9, 384), (3, 768))):
        if stage:
            tensors += [
                *norm(f"stages.{stage}.downsample.0", width // 2),
                *conv(f"stages.{stage}.downsample.1", width, width // 2, 2),
            ]
        for i in range(depth):
            at = f"stages.{stage}.blocks.{i}"
            tensors += [(f"{at}.gamma", (width,)), *conv(f"{at}.conv_dw", width, 1, 7), *norm(f"{at}.norm", width)]
            tensors += [*linear(f"{at}.mlp.fc1", 4 * width, width), *linear(f"{at}.mlp.fc2", width, 4 * width)]
    return tensors


def whisper(layers: int = 4, hidden: int = 384) -> Tensors:
    tensors: Tensors = [
        ("model.encoder.conv1.weight", (hidden, 80, 3)),
        ("model.encoder.conv1.bias", (hidden,)),
        ("model.encoder.conv2.weight", (hidden, hidden, 3)),
        ("model.encoder.conv2.bias", (hidden,)),
        ("model.encoder.embed_positions.weight", (1500, hidden)),
        *norm("model.encoder.layer_norm", hidden),
        ("model.decoder.embed_tokens.weight", (51865, hidden)),
        ("model.decoder.embed_positions.weight", (448, hidden)),
        *norm("model.decoder.layer_norm", hidden),
    ]
    for side in ("encoder", "decoder"):
        for i in range(layers):
            at = f"model.{side}.layers.{i}"
            for attention in ("self_attn", *(["encoder_attn"] if side == "decoder" else [])):
                for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
                    tensors += linear(f"{at}.{attention}.{name}", hidden, hidden, bias=name != "k_proj")
                tensors += norm(f"{at}.{attention}_layer_norm", hidden)
            tensors += [
                *linear(f"{at}.fc1", 4 * hidden, hidden),
                *linear(f"{at}.fc2", hidden, 4 * hidden),
                *norm(f"{at}.final_layer_norm", hidden),
            ]
    return tensors


def mixtral(layers: int = 4, experts: int = 8) -> Tensors:
    tensors = [t for t in llama(layers, vocab=32000) if ".mlp." not in t[0]]
    for i in range(layers):
        at = f"model.layers.{i}.block_sparse_moe"
        tensors += linear(f"{at}.gate", experts, 4096, bias=False)
        for e in range(experts):
            tensors += [
                (f"{at}.experts.{e}.w1.weight", (14336, 4096)),
                (f"{at}.experts.{e}.w2.weight", (4096, 14336)),
                (f"{at}.experts.{e}.w3.weight", (14336, 4096)),
            ]
    return tensors


def qwen3_moe_fused(layers: int = 3, experts: int = 128, hidden: int = 2048, inner: int = 768) -> Tensors:
    tensors: Tensors = [
        ("model.embed_tokens.weight", (151936, hidden)),
        ("model.norm.weight", (hidden,)),
        ("lm_head.weight", (151936, hidden)),
    ]
    for i in range(layers):
        at = f"model.layers.{i}"
        tensors += [(f"{at}.input_layernorm.weight", (hidden,)), (f"{at}.post_attention_layernorm.weight", (hidden,))]
        for name, out, into in (("q", 4096, hidden), ("k", 512, hidden), ("v", 512, hidden), ("o", hidden, 4096)):
            tensors += linear(f"{at}.self_attn.{name}_proj", out, into, bias=False)
        tensors += [
            (f"{at}.self_attn.q_norm.weight", (128,)),
            (f"{at}.self_attn.k_norm.weight", (128,)),
            (f"{at}.mlp.gate.weight", (experts, hidden)),
        ]
        tensors += [
            (f"{at}.mlp.experts.gate_up_proj", (experts, 2 * inner, hidden)),
            (f"{at}.mlp.experts.down_proj", (experts, hidden, inner)),
        ]
    return tensors


def gpt_oss(layers: int = 2, experts: int = 32, hidden: int = 2880) -> Tensors:
    tensors: Tensors = [
        ("model.embed_tokens.weight", (201088, hidden)),
        ("model.norm.weight", (hidden,)),
        ("lm_head.weight", (201088, hidden)),
    ]
    for i in range(layers):
        at = f"model.layers.{i}"
        tensors += [
            (f"{at}.input_layernorm.weight", (hidden,)),
            (f"{at}.post_attention_layernorm.weight", (hidden,)),
            (f"{at}.self_attn.sinks", (64,)),
        ]
        for name, out, into in (("q", 4096, hidden), ("k", 512, hidden), ("v", 512, hidden), ("o", hidden, 4096)):
            tensors += linear(f"{at}.self_attn.{name}_proj", out, into)
        tensors += linear(f"{at}.mlp.router", experts, hidden)
        for name, out in (("gate_up_proj", 2 * hidden), ("down_proj", hidden)):
            tensors += [
                (f"{at}.mlp.experts.{name}_blocks", (experts, out, 90, 16)),
                (f"{at}.mlp.experts.{name}_scales", (experts, out, 90)),
                (f"{at}.mlp.experts.{name}_bias", (experts, out)),
            ]
    return tensors


def gguf_moe(layers: int = 3, experts: int = 8, hidden: int = 2048) -> Tensors:
    tensors: Tensors = [
        ("token_embd.weight", (32000, hidden)),
        ("output_norm.weight", (hidden,)),
        ("output.weight", (32000, hidden)),
        ("rope_freqs.weight", (64,)),
    ]
    shapes = {
        "attn_norm": (hidden,),
        "attn_q": (hidden, hidden),
        "attn_k": (256, hidden),
        "attn_v": (256, hidden),
        "attn_output": (hidden, hidden),
        "ffn_gate_inp": (experts, hidden),
        "ffn_gate_exps": (experts, 5632, hidden),
        "ffn_up_exps": (experts, 5632, hidden),
        "ffn_down_exps": (experts, hidden, 5632),
        "ffn_norm": (hidden,),
    }
    return tensors + [(f"blk.{i}.{name}.weight", shape) for i in range(layers) for name, shape in shapes.items()]


def resnet50() -> Tensors:
    tensors: Tensors = [("conv1.weight", (64, 3, 7, 7)), *batch_norm("bn1", 64), *linear("fc", 1000, 2048)]
    inner = 64
    for stage, depth in enumerate((3, 4, 6, 3), 1):
        width = 32 << stage
        for i in range(depth):
            at = f"layer{stage}.{i}"
            for n, (out, into, kernel) in enumerate(((width, inner, 1), (width, width, 3), (4 * width, width, 1)), 1):
                tensors += [*conv(f"{at}.conv{n}", out, into, kernel, bias=False), *batch_norm(f"{at}.bn{n}", out)]
            if i == 0:
                tensors += [
                    *conv(f"{at}.downsample.0", 4 * width, inner, 1, bias=False),
                    *batch_norm(f"{at}.downsample.1", 4 * width),
                ]
            inner = 4 * width
    return tensors


def unet() -> Tensors:
    """The way down and the middle of a latent diffusion UNet, under diffusers' names."""

    def resnet(at: str, inner: int, out: int) -> Tensors:
        shortcut = conv(f"{at}.conv_shortcut", out, inner, 1) if inner != out else []
        return [
            *norm(f"{at}.norm1", inner),
            *conv(f"{at}.conv1", out, inner, 3),
            *linear(f"{at}.time_emb_proj", out, 1280),
            *norm(f"{at}.norm2", out),
            *conv(f"{at}.conv2", out, out, 3),
            *shortcut,
        ]

    def attention(at: str, width: int) -> Tensors:
        tensors = [
            *norm(f"{at}.norm", width),
            *conv(f"{at}.proj_in", width, width, 1),
            *conv(f"{at}.proj_out", width, width, 1),
        ]
        block = f"{at}.transformer_blocks.0"
        for n, context in ((1, width), (2, 768)):
            for name, into in (("to_q", width), ("to_k", context), ("to_v", context)):
                tensors += linear(f"{block}.attn{n}.{name}", width, into, bias=False)
            tensors += [*linear(f"{block}.attn{n}.to_out.0", width, width), *norm(f"{block}.norm{n}", width)]
        return [
            *tensors,
            *norm(f"{block}.norm3", width),
            *linear(f"{block}.ff.net.0.proj", 8 * width, width),
            *linear(f"{block}.ff.net.2", width, 4 * width),
        ]

    tensors: Tensors = [
        *conv("conv_in", 320, 4, 3),
        *linear("time_embedding.linear_1", 1280, 320),
        *linear("time_embedding.linear_2", 1280, 1280),
    ]
    inner = 320
    for i, out in enumerate((320, 640, 1280, 1280)):
        for j in range(2):
            tensors += resnet(f"down_blocks.{i}.resnets.{j}", inner, out)
            inner = out
            if i < 3:
                tensors += attention(f"down_blocks.{i}.attentions.{j}", out)
        if i < 3:
            tensors += conv(f"down_blocks.{i}.downsamplers.0.conv", out, out, 3)
    return [
        *tensors,
        *resnet("mid_block.resnets.0", 1280, 1280),
        *attention("mid_block.attentions.0", 1280),
        *resnet("mid_block.resnets.1", 1280, 1280),
    ]


def mlp() -> Tensors:
    return [*linear("fc1", 128, 784), *linear("fc2", 64, 128), *linear("fc3", 10, 64)]


def sequential() -> Tensors:
    return [*linear("0", 512, 784), *linear("2", 512, 512), *linear("4", 10, 512)]


FAMILIES: dict[str, Callable[[], Tensors]] = {
    "llama": lambda: llama(layers=4),
    "smollm2_gguf": lambda: smollm2_gguf(layers=4),
    "bert": lambda: bert(layers=3),
    "gpt2": lambda: gpt2(layers=3),
    "neox": lambda: neox(layers=3),
    "clip": lambda: clip(layers=3),
    "vit_timm": lambda: vit_timm(layers=3),
    "convnext_timm": convnext_timm,
    "whisper": lambda: whisper(layers=2),
    "mixtral": lambda: mixtral(layers=2),
    "qwen3_moe_fused": lambda: qwen3_moe_fused(layers=2, experts=16),
    "gpt_oss": lambda: gpt_oss(layers=2, experts=8),
    "gguf_moe": lambda: gguf_moe(layers=2),
    "resnet50": resnet50,
    "unet": unet,
    "mlp": mlp,
    "sequential": sequential,
}
