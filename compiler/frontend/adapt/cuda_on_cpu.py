"""Code written for a GPU, run on the CPU: a capture knows no other device; kernels are retargeted later."""

# pyright: standard

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Self
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext

_IDLE_FUNCTIONS = ("init", "set_device", "synchronize", "reset_peak_memory_stats", "current_device")
_IDLE_CLASSES = ("Stream", "Event", "stream", "device", "current_stream", "default_stream")
_TENSOR_TYPES = [
    f"{name}Tensor"
    for name in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
]


class CudaOnCpu(TorchFunctionMode):
    """Mode in which tensors on a CUDA device are made on the CPU, and the rest of torch.cuda does nothing.

    It doubles the time in which small ops are dispatched.
    """

    def __init__(self) -> None:
        super().__init__()
        self._patches = ExitStack()
        self._used = False
        self._needed = True

    @contextmanager
    def during_step(self) -> Iterator[None]:
        """Enter the mode for a step of a model, unless an earlier step has shown that it asks for no GPU."""
        if not self._needed:
            yield
            return
        self._used = False
        with self:
            yield
        self._needed = self._used

    def __enter__(self) -> Self:
        """Enter the mode."""
        # One object each: TorchDynamo, imported meanwhile, keeps a rule for each function by identity.
        idle: dict[str, Any] = {name: partial(self._do_nothing) for name in _IDLE_FUNCTIONS}
        idle_class = type("Idle", (_Idle,), {"note_use": staticmethod(self._do_nothing)})
        idle |= dict.fromkeys(_IDLE_CLASSES, idle_class) | {"nvtx": object.__new__(idle_class)}
        types = {name: getattr(torch, name) for name in _TENSOR_TYPES}
        autocast, device_context = torch.autocast.__init__, DeviceContext.__init__
        parsers = sys.modules["torch._C._nn"]
        parse_to = parsers._parse_to

        def init_autocast(mode: Any, device_type: str, dtype: Any = None, *args: Any, **kwargs: Any) -> None:
            if device_type == "cuda" and dtype is None:
                dtype = torch.get_autocast_dtype(device_type)
            self._call(autocast, [mode, device_type, dtype, *args], kwargs)

        def init_device_context(mode: Any, device: Any) -> None:
            self._call(device_context, [mode, device], {})

        def parse(*args: Any, **kwargs: Any) -> Any:
            return self._call(parse_to, [*map(_device_of, args[:1]), *args[1:]], kwargs)

        for patched in (
            patch.multiple(torch.cuda, **idle, **types),
            patch.object(torch, "Generator", _CpuGenerator),
            patch.object(torch.autocast, "__init__", init_autocast),
            patch.object(DeviceContext, "__init__", init_device_context),
            patch.object(parsers, "_parse_to", parse),
        ):
            self._patches.enter_context(patched)
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        """Leave the mode."""
        super().__exit__(*exception)
        self._patches.close()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function with the CPU in place of CUDA devices."""
        if func is torch.Tensor.cuda:
            self._used = True
            return args[0]
        if func is torch.Tensor.to:
            args = [args[0], *map(_device_of, args[1:2]), *args[2:]]
        return self._call(func, args, kwargs or {})

    def _call(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if "device" in kwargs:
            kwargs = {**kwargs, "device": _device_of(kwargs["device"])}
        if any(map(_is_cuda, args)) or any(map(_is_cuda, kwargs.values())):
            self._used = True
            args = ["cpu" if _is_cuda(each) else each for each in args]
            kwargs = {name: "cpu" if _is_cuda(each) else each for name, each in kwargs.items()}
        return func(*args, **kwargs)

    def _do_nothing(self, *args: Any, **kwargs: Any) -> int:
        self._used = True
        return 0


class _Idle:
    """A stream, an event, or a namespace of such: entered and called, it does nothing.

    A class, since libraries name these in annotations (`torch.cuda.Stream | None`).
    """

    note_use: Callable[[], int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.note_use()

    def __call__(self, *args: Any, **kwargs: Any) -> "_Idle":
        self.note_use()
        return self

    def __getattr__(self, name: str) -> "_Idle":
        return self

    def __enter__(self) -> "_Idle":
        return self

    def __exit__(self, *args: Any) -> None:
        pass


class _CpuGenerator(torch.Generator):
    def __new__(cls, device: Any = None) -> Self:
        return super().__new__(cls)


def _device_of(value: Any) -> Any:
    """A device's ordinal as the device; any other value as it is."""
    return "cuda" if type(value) is int else value


def _is_cuda(value: Any) -> bool:
    if isinstance(value, torch.device):
        return value.type == "cuda"
    return isinstance(value, str) and value.partition(":")[0] == "cuda"
