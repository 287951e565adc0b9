"""Models exported by `torch.export.save`."""

# pyright: standard

import re
import tempfile
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch
from torch.utils._pytree import tree_map_only

from steelyard.compiler.frontend.adapt.default_loss import sum_of_first_output
from steelyard.compiler.frontend.adapt.higher_order import as_python
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.pt2_safety import GRAPH, UnsafeArchiveError, write_checked_copy
from steelyard.compiler.frontend.torch.fake_module import empty_like, make_fake
from steelyard.compiler.frontend.torch.torch_private import silent_failures, unset_fake_temporarily
from steelyard.hw.base.errors import CaptureError


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """An exported program, with the example inputs that it was exported with.

    Whether its batch norms and dropouts train was decided when it was exported.

    Attributes:
        spec: The file.
        allow_pickle: Whether it is loaded even if that may run code inside it.
    """

    spec: str
    allow_pickle: bool = False

    def build(self, *, fake: bool, seed: int = 0) -> BuiltModel:
        """Read the file; see `LoadedModel`. Weights come from the file, not from the seed."""
        program = self._read()
        module = program.module()
        args, kwargs = program.example_inputs or ((), {})
        inputs = signature(module.forward).bind(*args, **kwargs).arguments
        if fake:
            make_fake(module)
            inputs = tree_map_only(torch.Tensor, empty_like, inputs)
        return BuiltModel(module, inputs, sum_of_first_output, num_positional=len(args), context=as_python)

    def _read(self) -> torch.export.ExportedProgram:
        path = Path(self.spec)
        try:
            with unset_fake_temporarily(), silent_failures():
                return torch.export.load(path) if self.allow_pickle else _load_checked(path)
        except UnsafeArchiveError as error:
            raise CaptureError(
                what=f"{self.spec} may run code when it is loaded",
                why=str(error),
                fix="export it again with torch.export.save, or pass --allow-pickle if you trust its origin",
            ) from error
        except (OSError, BadZipFile) as error:
            raise _cannot_read(self.spec, str(error)) from error
        except Exception as error:
            raise _cannot_read(self.spec, f"{type(error).__name__}: {error}") from error


def _load_checked(path: Path) -> torch.export.ExportedProgram:
    with tempfile.TemporaryDirectory(prefix="steelyard-") as folder:
        copy = Path(folder) / "model.pt2"
        write_checked_copy(path, copy)
        _register_containers(copy)
        return torch.export.load(copy)


def _register_containers(path: Path) -> None:
    """Import the modules of transformers whose output classes a program returns, as torch asks for."""
    with ZipFile(path) as archive:
        graph = archive.read(f"model/{GRAPH}").decode()
    for name in set(re.findall(r'\btransformers(?:\.[a-z]\w*)+(?=\.[A-Z]\w*\\")', graph)):
        import_module(name)


def _cannot_read(spec: str, why: str) -> CaptureError:
    return CaptureError(
        what=f"cannot read {spec} as an exported program",
        why=why,
        fix="write it again with torch.export.save; the file may be truncated",
    )
