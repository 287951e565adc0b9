"""Recorder of the ATen ops that eager PyTorch dispatches below autograd, as an FX graph."""

# pyright: standard

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from steelyard.compiler.frontend.torch.call_site import CallSite, ModuleStack, find_source
from steelyard.compiler.frontend.torch.fake_kernels import FAKE_KERNELS
from steelyard.compiler.frontend.torch.known_values import run_with_values
from steelyard.compiler.frontend.torch.lifetimes import Lifetimes
from steelyard.compiler.frontend.torch.program import Phase, ProgramArgument, Role, TensorSpec, drop
from steelyard.compiler.frontend.torch.torch_private import (
    FakeTensor,
    WeakTensorKeyDictionary,
    accumulated_parameter,
    backward_sequence_number,
    forward_sequence_number,
    unset_fake_temporarily,
)

CONSTANT = "constant_"
"""Beginning of the path of a tensor that the model neither registers nor computes."""

_SILENT_NAMESPACES = ("profiler", "prim")


class Recorder(TorchDispatchMode):
    """Dispatch mode that appends every op to `graph`.

    Ops run as they are dispatched, on fake tensors if a fake mode lies below. In-place ops stay in place; an
    op with several results gets one `getitem` for each. The recorder holds no tensor, so that storages die
    when they would without it; `finish` inserts `drop` where that is later than the last use.
    """

    def __init__(self, root: torch.nn.Module, *, is_fake: bool) -> None:
        super().__init__()
        self._is_fake = is_fake
        self.graph = torch.fx.Graph()
        self.arguments: list[ProgramArgument] = []
        self.constants: dict[str, torch.Tensor] = {}
        self.phase: Phase = "forward"
        self._modules = ModuleStack(root)
        self._lifetimes = Lifetimes()
        self._nodes: Any = WeakTensorKeyDictionary()
        self._unpacked: dict[int, torch.Tensor] = {}
        self._ops: list[torch.fx.Node] = []
        self._parameter_paths: dict[torch.fx.Node, str] = {}
        self._forward_sites: dict[int, CallSite] = {}
        self._num_sites = forward_sequence_number() + 1
        self._last_placeholder: torch.fx.Node | None = None
        self._accumulations: list[tuple[torch.fx.Node, int, int]] = []

    @property
    def num_ops(self) -> int:
        """Number of ops recorded so far."""
        return len(self._ops)

    def add_argument(self, tensor: torch.Tensor, role: Role, path: str) -> None:
        """Make `tensor` a placeholder; one that already is keeps its first role."""
        if tensor in self._nodes:
            return
        root = self._last_placeholder or self.graph._root
        with self.graph.inserting_after(root):
            node = self.graph.placeholder(path.replace(".", "_"))
        spec = TensorSpec.of(tensor)
        node.meta["val"] = spec
        self.arguments.append(ProgramArgument(node.name, role, path, spec))
        self._last_placeholder = node
        if role == "parameter":
            self._parameter_paths[node] = path.rpartition(".")[0]
        self._nodes[tensor] = node
        self._lifetimes.exclude(tensor)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record all ops dispatched inside."""
        with self._modules.following(), self:
            yield

    def finish(self, results: Sequence[torch.Tensor]) -> torch.fx.Graph:
        """End the graph with `results` and the drops; call it when all else that the step holds is gone."""
        outputs = tuple(self._node(tensor) for tensor in results)
        self._accumulate_in_place()
        for time, node in self._lifetimes.late_deaths():
            self._insert_drop(time, node)
        self.graph.output(outputs)
        return self.graph

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the op and record it."""
        kwargs = kwargs or {}
        run = FAKE_KERNELS.get(func, func) if self._is_fake else func
        result = run_with_values(run, func, args, kwargs) if self._is_fake else run(*args, **kwargs)
        if func.namespace in _SILENT_NAMESPACES or not _has_effect(func, result):
            return result
        self._record(func, args, kwargs, result)
        return result

    def _record(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        lowered = _map_tensors(self._use, tuple(args)), _map_tensors(self._use, dict(kwargs))
        node = self.graph.call_function(func, *lowered)
        site = self._find_site()
        phase = "loss" if site.is_loss and self.phase == "forward" else self.phase
        node.meta.update(val=_specs(result), phase=phase, path=site.path, source=site.source)
        self._ops.append(node)
        if self.phase == "backward" and _is_accumulation(func, args) and not find_source()[0]:
            serial = self._lifetimes.serial(args[0])
            if serial is not None:
                self._accumulations.append((node, serial, self._lifetimes.now))
        if isinstance(result, torch.Tensor):
            self._make(result, node)
        elif isinstance(result, (tuple, list)):
            self._record_items(node, result)
        self._lifetimes.now += 1

    def _record_items(self, node: torch.fx.Node, results: Sequence[Any]) -> None:
        for index, result in enumerate(results):
            if not isinstance(result, torch.Tensor):
                continue
            item = self.graph.call_function(operator.getitem, (node, index))
            item.meta.update(node.meta, val=TensorSpec.of(result))
            self._make(result, item)

    def _make(self, tensor: torch.Tensor, node: torch.fx.Node) -> None:
        self._nodes[tensor] = node
        self._lifetimes.use(tensor, node)

    def _use(self, value: torch.Tensor | torch.ScriptObject) -> torch.fx.Node:
        tensor = value if isinstance(value, torch.Tensor) else self._unpack(value)
        node = self._node(tensor)
        self._lifetimes.use(tensor, node)
        return node

    def _unpack(self, packed: torch.ScriptObject) -> torch.Tensor:
        """The weight that a library keeps in an order of its own, as of a quantized layer."""
        key = hash(packed)  # of the object itself, which each access wraps anew
        if key not in self._unpacked:
            with unset_fake_temporarily():
                weight, *_ = packed.unpack()  # pyright: ignore[reportAttributeAccessIssue]
                self._unpacked[key] = weight.int_repr() if weight.is_quantized else weight
        return self._unpacked[key]

    def _node(self, tensor: torch.Tensor) -> torch.fx.Node:
        if tensor not in self._nodes:
            self._add_constant(tensor)
        return self._nodes[tensor]

    def _add_constant(self, tensor: torch.Tensor) -> None:
        """Add a tensor that the model neither registers nor computes: a literal, or a plain attribute."""
        path = f"{CONSTANT}{sum(argument.path.startswith(CONSTANT) for argument in self.arguments)}"
        if not isinstance(tensor, FakeTensor):
            self.constants[path] = tensor
        self.add_argument(tensor, "buffer", path)

    def _find_site(self) -> CallSite:
        source, is_loss = find_source()
        sequence = backward_sequence_number()
        if sequence is not None:
            # Inside a module the backward recomputes a forward (activation checkpointing).
            here = CallSite(self._modules.path or self._path_of_parameter(), source, False)
            return here if self._modules.path else self._forward_sites.get(sequence, here)
        site = CallSite(self._modules.path, source, is_loss)
        # The first op after an autograd node is made is the one it differentiates. It may make several: an
        # op in place that saves what it overwrites has a node for the copy too.
        made = forward_sequence_number()
        for number in range(self._num_sites, made + 1):
            self._forward_sites[number] = site
        self._num_sites = max(self._num_sites, made + 1)
        return site

    def _path_of_parameter(self) -> str:
        parameter = accumulated_parameter()
        if parameter is None or parameter not in self._nodes:
            return ""
        return self._parameter_paths.get(self._nodes[parameter], "")

    def _accumulate_in_place(self) -> None:
        """Add gradients into the first of them where autograd does.

        Its engine does so if it holds the last reference (can_accumulate_inplace in
        torch/csrc/autograd/input_buffer.cpp), but never while ops are traced.
        """
        for node, serial, time in self._accumulations:
            if self._lifetimes.ends_at(serial, time):
                node.target = torch.ops.aten.add_.Tensor

    def _insert_drop(self, time: int, node: torch.fx.Node) -> None:
        if time < len(self._ops):
            where = self._ops[time]
            with self.graph.inserting_before(where):
                mark = self.graph.call_function(drop, (node,))
        else:
            where = self._ops[-1]
            mark = self.graph.call_function(drop, (node,))
        mark.meta.update(val=None, phase=where.meta["phase"], path=node.meta["path"], source="")


def _is_accumulation(func: Any, args: Sequence[Any]) -> bool:
    """Whether an op adds two tensors of one layout, the first of which is no view.

    A view's base may have other references, and a broadcast tensor cannot be added into.
    """
    if func is not torch.ops.aten.add.Tensor or args[0]._is_view():
        return False
    first, second = args
    layouts = [(t.shape, t.stride(), t.dtype) for t in (first, second) if isinstance(t, torch.Tensor)]
    return len(layouts) == 2 and layouts[0] == layouts[1] and 0 not in first.stride()


def _has_effect(func: Any, result: Any) -> bool:
    if isinstance(result, torch.Tensor):
        return True
    if isinstance(result, (tuple, list)):
        return any(isinstance(item, torch.Tensor) for item in result)
    return func._schema.is_mutable


def _map_tensors(fn: Callable[[Any], torch.fx.Node], value: Any) -> Any:
    if isinstance(value, torch.Tensor | torch.ScriptObject):
        return fn(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_map_tensors(fn, item) for item in value)
    if isinstance(value, dict):
        return {key: _map_tensors(fn, item) for key, item in value.items()}
    if isinstance(value, torch.Generator):
        return None  # a program has no generators: it draws from the default one
    return value


def _specs(result: Any) -> Any:
    if isinstance(result, torch.Tensor):
        return TensorSpec.of(result)
    if isinstance(result, (list, tuple)):
        return tuple(_specs(item) for item in result)
    return None
