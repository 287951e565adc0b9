"""Storages: aliasing of values, and the lifetime of each storage of a function.

Views and in-place results share the storage of what they look at; a storage is as large as what the op that
made it wrote. It lives from that op to the last op that uses any of its values.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, cast

from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.analysis.call_graph import CallGraph, callee_name
from steelyard.compiler.analysis.op_facts import OpInfoCache, size_bytes
from steelyard.compiler.dialects.host import FetchOp
from steelyard.compiler.dialects.program import OP_PATH, PHASE, SOURCE, DropOp, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp

_BEFORE_BACKWARD = ("forward", "loss")


@dataclass(slots=True)
class Storage:
    """Memory behind one or several values of a function.

    Attributes:
        bytes: Its size.
        born: Index of the op that makes it, -1 for an argument of the function.
        last_use: Index of the last op that uses it.
        phase: Phase of the op that made it.
        path: Module path of the op that made it.
        source: Source line of the op that made it.
        communicates: Whether a collective made it.
        escapes: Whether the function returns it.
        freed_here: Whether it is given back after `last_use`, by this function or one that it calls.
        in_backward: Whether an op of the backward uses it.
        is_gradient: Whether an optimizer takes it as a gradient, in one op or in many.
        is_state: Whether it is optimizer state that lives on the host, fetched for the update.
    """

    bytes: int
    born: int
    last_use: int
    phase: str = ""
    path: str = ""
    source: str = ""
    communicates: bool = False
    escapes: bool = False
    freed_here: bool = False
    in_backward: bool = False
    is_gradient: bool = False
    is_state: bool = False

    @property
    def role(self) -> str:
        """gradient, optimizer_state, communication, activation or temporary.

        An activation is made before the backward and used in it.
        """
        if self.is_gradient:
            return "gradient"
        if self.is_state:
            return "optimizer_state"
        if self.communicates:
            return "communication"
        return "activation" if self.phase in _BEFORE_BACKWARD and self.in_backward else "temporary"


@dataclass(frozen=True, slots=True)
class FunctionStorages:
    """The storages of a function; those of its arguments come first, in their order.

    Attributes:
        ops: Its ops without the return.
        storages: Every storage.
        of: The index of the storage of each value.
        results: The index of the storage of each result.
        num_arguments: How many arguments it has.
    """

    ops: list[Operation] = field(default_factory=list[Operation])
    storages: list[Storage] = field(default_factory=list[Storage])
    of: dict[SSAValue, int] = field(default_factory=dict[SSAValue, int])
    results: list[int] = field(default_factory=list[int])
    num_arguments: int = 0

    def used_by(self, op: Operation) -> list[Storage]:
        """The storages of an op's operands, one for each operand."""
        return [self.storages[self.of[value]] for value in op.operands]


def find_storages(graph: CallGraph) -> dict[str, FunctionStorages]:
    """The storages of every function of a program, by its name, and who frees them.

    An argument is freed inside a function if the last use of its storage is the call, in all calls of the
    function alike. Arguments of the program itself live throughout.

    Raises:
        IRError: an op has types that cannot be read.
    """
    reader = OpInfoCache()
    found: dict[str, FunctionStorages] = {}
    for name, function in graph.functions.items():
        found[name] = _Builder(function, found, reader).build()
    offers: defaultdict[str, list[list[_Offer]]] = defaultdict(list)
    for name in reversed(graph.functions):  # callers first
        _settle(found[name], offers[name])
        for index, op in enumerate(found[name].ops):
            if isinstance(op, CallOp):
                offers[callee_name(op)].append(_offers(found[name], index, op))
    return found


class _Offer(NamedTuple):
    """A call's offer for an operand: the first operand with the same storage, and bytes to free."""

    first: int
    bytes: int | None


class _Builder:
    def __init__(self, function: FuncOp, callees: dict[str, FunctionStorages], reader: OpInfoCache) -> None:
        self._block = function.body.block
        self._callees = callees
        self._reader = reader
        self._made = FunctionStorages(num_arguments=len(self._block.args))

    def build(self) -> FunctionStorages:
        made = self._made
        for argument in self._block.args:
            self._add(argument, Storage(size_bytes(argument.type), -1, -1))
        for op in self._block.ops:
            if isinstance(op, ReturnOp):
                made.results.extend(made.of[value] for value in op.operands)
                continue
            self._use(op)
            self._make(op)
            made.ops.append(op)
        for result in made.results:
            made.storages[result].escapes = True
        return made

    def _add(self, value: SSAValue, storage: Storage) -> None:
        self._made.of[value] = len(self._made.storages)
        self._made.storages.append(storage)

    def _use(self, op: Operation) -> None:
        index = len(self._made.ops)
        # A drop only says when a reference ends; nothing is read.
        phase = "" if isinstance(op, DropOp) else text_attribute(op, PHASE)
        for storage in self._made.used_by(op):
            storage.last_use = index
            storage.in_backward |= phase == "backward"
            storage.is_gradient |= phase == "optimizer" and storage.phase == "backward"

    def _make(self, op: Operation) -> None:
        if isinstance(op, CallOp):
            self._make_of_call(op)
            return
        aliases: tuple[int | None, ...] = (None,) * len(op.results)
        communicates = False
        if isinstance(op, TorchOp):
            facts = self._reader.read(op)
            aliases = facts.aliases
            communicates = facts.work is not None and bool(facts.work.collective)
            for gradient in facts.gradients:
                self._made.storages[self._made.of[op.operands[gradient]]].is_gradient = True
        index = len(self._made.ops)
        made = Storage(
            0,
            index,
            index,
            phase=text_attribute(op, PHASE),
            path=text_attribute(op, OP_PATH),
            source=text_attribute(op, SOURCE),
            is_state=isinstance(op, FetchOp) and text_attribute(op, PHASE) == "optimizer",
            communicates=communicates,
        )
        for result, alias in zip(op.results, aliases, strict=True):
            if alias is None:
                self._add(result, replace(made, bytes=size_bytes(result.type)))
            else:
                self._made.of[result] = self._made.of[op.operands[alias]]

    def _make_of_call(self, call: CallOp) -> None:
        callee = self._callees[callee_name(call)]
        index, prefix = len(self._made.ops), text_attribute(call, OP_PATH)
        for storage, inside in zip(self._made.used_by(call), callee.storages, strict=False):
            storage.in_backward |= inside.in_backward
            storage.is_gradient |= inside.is_gradient
        mine = {k: self._made.of[value] for k, value in enumerate(call.operands)}
        for result, theirs in zip(call.results, callee.results, strict=True):
            if theirs in mine:
                self._made.of[result] = mine[theirs]
                continue
            inside = callee.storages[theirs]
            made = replace(
                inside, born=index, last_use=index, path=join_paths(prefix, inside.path), escapes=False
            )
            self._add(result, made)
            mine[theirs] = self._made.of[result]


def join_paths(prefix: str, path: str) -> str:
    """A module path inside a function behind the path of the call."""
    return f"{prefix}.{path}" if prefix and path else prefix or path


def path_of(at: Sequence[Operation]) -> str:
    """The module path of an op, given the calls that lead to it and then itself."""
    path = ""
    for op in at:
        path = join_paths(path, text_attribute(op, OP_PATH))
    return path


def _settle(function: FunctionStorages, offers: list[list[_Offer]]) -> None:
    """Decide which storages a function frees, given what each of its calls offers it to free.

    Arguments that share a storage in every call share one here too.
    """
    for storage in function.storages[function.num_arguments :]:
        storage.freed_here = not storage.escapes
    freeable: dict[int, int] = {}
    for index, made in enumerate(zip(*offers, strict=True)):
        argument, offer = function.storages[index], cast(_Offer, made[0])
        if any(each != offer for each in made):
            for first in {each.first for each in made}:
                freeable.pop(first, None)
        elif offer.first != index:
            whole = function.storages[offer.first]
            whole.last_use = max(whole.last_use, argument.last_use)
            whole.escapes |= argument.escapes
            argument.bytes = 0
        elif offer.bytes is not None:
            freeable[index] = offer.bytes
    for index, size in freeable.items():
        argument = function.storages[index]
        if not argument.escapes and argument.last_use >= 0:
            argument.bytes, argument.freed_here = size, True


def _offers(function: FunctionStorages, index: int, call: CallOp) -> list[_Offer]:
    used = [function.of[value] for value in call.operands]
    mine = function.storages
    return [
        _Offer(used.index(k), mine[k].bytes if mine[k].freed_here and mine[k].last_use == index else None)
        for k in used
    ]
