"""Python files of users: read before they are run, and run as their project would."""

import ast
import runpy
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from steelyard.hw.base.errors import CaptureError, did_you_mean


def require_function(path: str, function: str) -> None:
    """Refuse a file that cannot define a function, without running it or importing torch.

    Raises:
        CaptureError: The file is not there, is not Python, or never mentions the name as one of its own.
    """
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"), path)
    except FileNotFoundError as error:
        raise CaptureError(what=f"there is no file {path!r}", where=f"{path}:{function}") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise CaptureError(what=f"{path} cannot be read", why=str(error)) from error
    except SyntaxError as error:
        raise CaptureError(
            what=f"{path} cannot be run", where=f"{path}:{error.lineno}", why=f"SyntaxError: {error.msg}"
        ) from error
    names = {name for node in ast.walk(tree) for name in _bound(node)}
    if function in names or "*" in names:
        return
    functions = [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]
    raise CaptureError(
        what=f"{path} has no function {function!r}",
        where=f"{path}:{function}",
        fix=did_you_mean(function, functions) or "write one that returns (module, example_inputs)",
    )


def _bound(node: ast.AST) -> list[str]:
    """The names that a node may bind."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Import() | ast.ImportFrom():
            return [alias.asname or alias.name for alias in node.names]
        case ast.Name(ctx=ast.Store()):
            return [node.id]
        case _:
            return []


def run_source(path: Path) -> Mapping[str, Any]:
    """Run a file as its project would, and return its names.

    What lies beside it, beside its package or in the current folder can be imported.
    The folders stay on the path, since functions import when they are called.
    """
    root, name = path.resolve().parent, path.stem
    while (root / "__init__.py").is_file():
        root, name = root.parent, f"{root.name}.{name}"
    for folder in (str(Path.cwd()), str(root)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return vars(import_module(name)) if "." in name else runpy.run_path(str(path))
