"""Models exported by `torch.export.save`."""

# pyright: standard

import zipfile
from dataclasses import dataclass

import torch
from torch.utils._pytree import tree_map_only

from steelyard.compiler.frontend.file_model import sum_of_first_output
from steelyard.compiler.frontend.model import BuiltModel, bind_inputs
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.pt2_safety import find_danger
from steelyard.compiler.frontend.torch.fake_module import empty_like, make_fake
from steelyard.compiler.frontend.torch.torch_private import unset_fake_temporarily
from steelyard.hw.base.errors import CaptureError


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """An exported program, with the example inputs that it was exported with.

    Whether its batch norms and dropouts train was decided when it was exported.
    """

    spec: str
    options: CaptureOptions

    def build(self, *, fake: bool, seed: int = 0) -> BuiltModel:
        """Read the file; see `LoadedModel`. Weights come from the file, not from the seed."""
        program, module = self._read()
        args, kwargs = program.example_inputs or ((), {})
        inputs = bind_inputs(module, args) | dict(kwargs)
        if fake:
            make_fake(module)
            inputs = tree_map_only(torch.Tensor, empty_like, inputs)
        return BuiltModel(module, inputs, sum_of_first_output, num_positional=len(args))

    def _read(self) -> tuple[torch.export.ExportedProgram, torch.nn.Module]:
        try:
            with unset_fake_temporarily():
                program = torch.export.load(self.spec)
                return program, program.module()
        except Exception as error:
            raise _cannot_read(self.spec, f"{type(error).__name__}: {error}") from error


def load_pt2(spec: str, options: CaptureOptions, *, allow_pickle: bool = False) -> ExportedModel:
    """Check that a `.pt2` is whole and that reading it runs no code of its own.

    Raises:
        CaptureError: It is not, or it would and `allow_pickle` is false.
    """
    try:
        with zipfile.ZipFile(spec) as archive:
            broken = archive.testzip()
            danger = None if broken or allow_pickle else find_danger(archive)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _cannot_read(spec, str(error)) from error
    if broken:
        raise _cannot_read(spec, f"{broken} does not match its checksum")
    if danger:
        raise CaptureError(
            what=f"{spec} may run code when it is loaded",
            why=danger,
            fix="export it again with torch.export.save, or pass --allow-pickle if you trust its origin",
        )
    return ExportedModel(spec, options)


def _cannot_read(spec: str, why: str) -> CaptureError:
    return CaptureError(
        what=f"cannot read {spec} as an exported program",
        why=why,
        fix="write it again with torch.export.save; the file may be truncated",
    )
