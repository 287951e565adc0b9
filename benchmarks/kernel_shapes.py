"""Writes the kernels of full-size models, around which kernels are sampled; no weight is made.

python benchmarks/kernel_shapes.py > runtime/learn/shapes.toml
"""

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.kernel_ops import kernels
from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.hw.kernels.registry import KINDS
from steelyard.passes.op_cost.kernel_query import KernelQuery, kernel_queries
from steelyard.runtime.learn.kernel_families import KERNEL_FAMILIES, Config, KernelFamily
from steelyard.runtime.program.load import load_program

MODELS = (
    "hf:resnet",
    "hf:resnet?layer_type=basic&depths=[3,4,6,3]&hidden_sizes=[64,128,256,512]",
    "hf:mobilenet_v1",
    "hf:mobilenet_v2",
    "hf:mobilenet_v2?depth_multiplier=1.4",
    "hf:efficientnet?image_size=224",
    "hf:convnext",
    "hf:vit",
    "hf:swin",
    "hf:bert",
    "hf:gpt2",
    "hf:t5",
    "hf:whisper",
    "hf:llama?num_hidden_layers=2&hidden_size=2048&intermediate_size=5632",
)
EAGER_ATTENTION = ("hf:gpt2", "hf:bert", "hf:vit", "hf:llama?num_hidden_layers=2")


def members(family: KernelFamily, queries: set[KernelQuery]) -> list[Config]:
    found: set[Config] = set()
    for query in queries:
        if query.kind != family.kind or query.backward:
            continue
        sizes = dict(query.dims)
        config = tuple(int(sizes[name]) for name in family.sizes)
        if (
            family.is_possible(config)
            and KINDS[family.kind].regressors[family.name](query.rows("f32").dims)[0]
        ):
            found.add(config)
    return sorted(found)


def queries_of(spec: str, attention: str | None) -> set[KernelQuery]:
    program = load_program(spec, {"optimizer": "none", "attention": attention})
    reader = OpInfoCache()
    queries: set[KernelQuery] = set()
    for function in call_graph(program).functions.values():
        for op in kernels(function):
            work = reader.read(op).work if isinstance(op, TorchOp) else None
            if isinstance(op, TorchOp) and work:
                queries.update(kernel_queries(work))
    return queries


def main() -> None:
    queries: set[KernelQuery] = set()
    for spec in MODELS:
        queries |= queries_of(spec, None)
    for spec in EAGER_ATTENTION:
        queries |= queries_of(spec, "eager")
    print("# Kernels of full-size models at batch 1. Written by benchmarks/kernel_shapes.py.")
    for family in KERNEL_FAMILIES.values():
        print(f"\n# {', '.join(family.sizes)}\n{family.name} = [")
        for config in members(family, queries):
            print(f"  {list(config)},")
        print("]")


if __name__ == "__main__":
    main()
