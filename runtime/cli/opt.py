"""The command `steelyard-opt`: IR in, IR out, by xDSL's driver."""

import re
import sys
from argparse import ArgumentParser
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import IO

from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import ArgSpecParseError, DiagnosticException, ParseError
from xdsl.xdsl_opt_main import xDSLOptMain

from steelyard.compiler.frontend.source_file import run_source
from steelyard.compiler.ir.text import check_definitions
from steelyard.compiler.pass_infra.remarks import collecting
from steelyard.hw.base.atomic_file import write_atomically
from steelyard.hw.base.errors import IRError, SteelyardError, UsageError, did_you_mean
from steelyard.runtime.cli.failures import reported


def main(arguments: Sequence[str] | None = None) -> None:
    """Run passes over a program: `steelyard-opt a.mlir -p 'annotate-cost,annotate-memory' -o b.mlir`.

    Options are those of `xdsl-opt`, which loads the same dialects and passes, and `--load rules.py`, which
    runs a file that registers the work of ops. Remarks go to stderr.

    Args:
        arguments: The command line after the command's name; that of this process where not given.

    Raises:
        SystemExit: with 2 if the command line or the program is invalid; see `failures.reported`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with reported(["steelyard-opt", *given]), collecting() as remarks, _bad_input():
        _Opt(description="Run passes over a Steelyard program", args=given).run()
    for remark in remarks:
        at = f" at {remark.where}" if remark.where else ""
        sys.stderr.write(f"{remark.kind} {remark.pass_name}: {remark.op}{at}: {remark.message}\n")


@contextmanager
def _bad_input() -> Generator[None]:
    """Say of the driver's errors that they are of the input."""
    try:
        yield
    except ParseError as error:
        raise _unreadable(error) from error
    except DiagnosticException as error:
        raise IRError(what="the IR is not valid", why=str(error)) from error
    except UnicodeDecodeError as error:
        raise UsageError(what="the file cannot be read", why=str(error)) from error
    except RecursionError as error:
        raise IRError(what="the IR cannot be read", why="it is nested too deeply") from error


class _Held(StringIO):
    """Buffered output that survives the driver's close."""

    def close(self) -> None:
        pass


class _Opt(xDSLOptMain):
    """xDSL's driver with atomic output."""

    def register_all_arguments(self, arg_parser: ArgumentParser) -> None:
        super().register_all_arguments(arg_parser)
        arg_parser.add_argument(
            "--load",
            metavar="FILE.py",
            type=Path,
            action="append",
            default=[],
            help="run a Python file first that registers the work of ops; repeatable",
        )

    def run(self) -> None:
        for path in self.args.load:
            _load(path)
        self._output = _Held()
        if self.args.input_file == "-":
            self.args.input_file = None  # the driver's word for stdin
        super().run()
        text = self._output.getvalue()
        write_atomically(Path(self.args.output_file or "-"), text)

    def parse_chunk(self, chunk: IO[bytes], file_extension: str, start_offset: int = 0) -> ModuleOp | None:
        module = super().parse_chunk(chunk, file_extension, start_offset)
        if module is not None:
            check_definitions(module, self.get_input_name())
        return module

    def prepare_output(self) -> IO[str]:
        return self._output

    def setup_pipeline(self) -> None:
        try:
            super().setup_pipeline()
        except ArgSpecParseError as error:
            raise UsageError(what="the pass pipeline cannot be parsed", where="-p", why=str(error)) from error
        except Exception as error:  # the driver raises bare exceptions for names and options alike
            unknown = re.search(r"Unrecognized passes: \['(.*?)'", str(error))
            raise UsageError(
                what="the pass pipeline is not valid",
                where=f"-p {self.args.passes!r}",
                why=str(error),
                fix=did_you_mean(unknown[1], self.available_passes) if unknown else None,
            ) from error

    def prepare_input(self) -> tuple[list[tuple[IO[bytes], int]], str]:
        try:
            return super().prepare_input()
        except ValueError as error:
            raise UsageError(
                what="the file type is not known",
                where=self.args.input_file,
                why=str(error),
                fix="name it *.mlir",
            ) from error


def _load(path: Path) -> None:
    try:
        run_source(path)
    except SteelyardError:
        raise
    except Exception as error:  # of the user's file
        raise UsageError(
            what=f"{path} cannot be run", where="--load", why=f"{type(error).__name__}: {error}"
        ) from error


def _unreadable(error: ParseError) -> IRError:
    span = error.span
    content = span.input.content
    text = content if isinstance(content, str) else str(content, "latin-1")
    before = text[: span.start]
    line, column = before.count("\n") + 1 + span.line_offset, span.start - before.rfind("\n")
    return IRError(what="the IR cannot be read", where=f"{span.input.name}:{line}:{column}", why=error.msg)
