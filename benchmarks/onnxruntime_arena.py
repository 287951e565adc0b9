"""Regions of ONNX Runtime's CPU arena, predicted beside those that it logs while random models run.

python benchmarks/onnxruntime_arena.py   # needs the packages onnx and onnxruntime
"""

import contextlib
import os
import random
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy
import onnxruntime
from onnx import TensorProto, helper
from report import Report

from steelyard.hw.allocators.onnxruntime_arena import STRATEGIES, ArenaOptions, OnnxRuntimeArena

RUNS = (300, 4_000, 900, 2_500, 700, 7_000)
"""Elements of the input, run after run in one session."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that concatenates or halves: its inputs, and its outputs as multiples of the model's input."""

    inputs: tuple[int, ...]
    outputs: dict[int, int] = field(default_factory=dict[int, int])


def draw(seed: int, length: int = 14) -> list[Node]:
    """Return a random graph over value 0, the input, in the only order in which it can run."""
    choose = random.Random(seed)
    sizes, nodes, latest = {0: 64}, list[Node](), 0
    for _ in range(length):
        first = len(sizes)
        if sizes[latest] % 2 == 0 and choose.random() < 0.5:
            nodes.append(Node((latest,), dict.fromkeys((first, first + 1), sizes[latest] // 2)))
        else:
            inputs = latest, *(choose.choice(list(sizes)) for _ in range(choose.randint(1, 2)))
            nodes.append(Node(inputs, {first: sum(sizes[value] for value in inputs)}))
        sizes |= nodes[-1].outputs
        latest = first
    used = {value for node in nodes for value in node.inputs}
    unused = tuple(value for value in sizes if value not in used)
    nodes.append(Node(unused, {len(sizes): sum(sizes[value] for value in unused)}))
    return nodes


def predicted(nodes: list[Node], options: ArenaOptions) -> list[int]:
    """Return the regions that the arena is made of after all runs."""
    arena, last = OnnxRuntimeArena(options=options), {v: k for k, n in enumerate(nodes) for v in n.inputs}
    for elements in RUNS:
        held: dict[int, int] = {}
        for index, node in enumerate(nodes):
            for value, parts in node.outputs.items():
                held[value] = arena.malloc(parts * elements * 4)
            for value in sorted(set(node.inputs) - {0}):
                if last[value] == index:
                    arena.free(held.pop(value))
        result = arena.malloc(4)
        for request in (*held.values(), result):
            arena.free(request)
    return [sum(size for size, _ in region) for region in arena.regions()]


def measured(nodes: list[Node], options: ArenaOptions) -> list[int]:
    """Return the regions that ONNX Runtime says it made."""
    graph = [
        helper.make_node(
            "Concat" if len(node.outputs) == 1 else "Split",
            [f"v{value}" for value in node.inputs],
            [f"v{value}" for value in node.outputs],
            axis=0,
        )
        for node in nodes
    ]
    graph.append(helper.make_node("ReduceMax", [f"v{max(nodes[-1].outputs)}"], ["y"], keepdims=0))
    model = helper.make_model(
        helper.make_graph(
            graph,
            "random",
            [helper.make_tensor_value_info("v0", TensorProto.FLOAT, ["n"])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
        ),
        opset_imports=[helper.make_opsetid("", 12)],
        ir_version=8,
    )
    session_options = onnxruntime.SessionOptions()
    session_options.enable_mem_pattern = session_options.enable_mem_reuse = False
    session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session_options.add_session_config_entry("session.use_env_allocators", "1")
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo(
            "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
        ),
        onnxruntime.OrtArenaCfg(
            {
                "max_mem": 0,
                "arena_extend_strategy": STRATEGIES.index(options.arena_extend_strategy),
                "initial_chunk_size_bytes": options.initial_chunk_size_bytes,
                "max_dead_bytes_per_chunk": options.max_dead_bytes_per_chunk,
            }
        ),
    )
    with logged() as log:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), session_options, providers=["CPUExecutionProvider"]
        )
        for elements in RUNS:
            session.run(None, {"v0": numpy.ones(64 * elements, numpy.float32)})
    return [int(size) for size in re.findall(r"Extended allocation by (\d+) bytes", log[0])]


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """Catch what is written to the error stream, by C++ too."""
    text, stream = list[str](), os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(stream, 2)
            file.seek(0)
            text.append(file.read().decode())


def main() -> None:
    onnxruntime.set_default_logger_severity(1)
    report = Report(
        "onnxruntime_arena",
        "ONNX Runtime's arena",
        "Regions of the CPU arena beside those that it logs while random models run.",
        {
            "seed": "",
            "strategy": "",
            "regions": ",",
            "predicted bytes": ",",
            "measured bytes": ",",
            "equal": "",
        },
    )
    equal = cases = 0
    for seed in range(12):
        for strategy in STRATEGIES:
            options = ArenaOptions(arena_extend_strategy=strategy, max_dead_bytes_per_chunk=2**16 << seed)
            nodes = draw(seed)
            ours, theirs = predicted(nodes, options), measured(nodes, options)
            report.add(seed, strategy, len(theirs), sum(ours), sum(theirs), ours == theirs)
            equal, cases = equal + (ours == theirs), cases + 1
    report.finish(f"{equal} of {cases} equal, region for region", "all")


if __name__ == "__main__":
    main()
