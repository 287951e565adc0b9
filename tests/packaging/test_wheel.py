"""The wheel holds every folder, its data and its commands, and works outside the tree."""

import shutil
import subprocess
import sys
import venv
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("hw", "compiler", "passes", "runtime")
IMPORT_ALL = """
import pathlib, sys
import steelyard
from steelyard import compiler, hw, passes, runtime
from steelyard.hw.devices.registry import device_names

assert pathlib.Path(sys.argv[1]) in pathlib.Path(steelyard.__file__).parents, steelyard.__file__
for folder in (compiler, hw, passes, runtime):
    path = pathlib.Path(folder.__file__)
    assert path.parent == path.resolve().parent, path
    print(folder.__name__)
print(len(device_names()))
"""


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Built from a copy, since setuptools leaves a build/ folder beside the sources.
    tree = tmp_path_factory.mktemp("tree") / "steelyard"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for name in (*FOLDERS, ".pkg"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", ".", cwd=tree)
    [built] = tree.glob("*.whl")
    return built


def _shipped(folder: str) -> set[str]:
    return {
        f"steelyard/{path.relative_to(ROOT).as_posix()}"
        for suffix in ("*.py", "*.toml")
        for path in (ROOT / folder).rglob(suffix)
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_source_and_device_file_is_in_the_wheel(wheel: Path, folder: str) -> None:
    names = set(ZipFile(wheel).namelist())
    assert _shipped(folder) - names == set()
    assert "steelyard/py.typed" in names


def test_only_steelyard_is_at_the_top(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"steelyard"}


def test_an_installed_wheel_imports_every_folder(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    site = Path(
        _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    # The dependencies come from this environment, behind the wheel; a .pth file there would bring the tree.
    outer = Path(pytest.__file__).parents[1]
    (site / "outer.pth").write_text(f"{outer}\n")
    _run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=tmp_path,
    )

    printed = _run(python, "-c", IMPORT_ALL, site, cwd=tmp_path).split()

    assert printed[:4] == [f"steelyard.{folder}" for folder in ("compiler", "hw", "passes", "runtime")]
    assert int(printed[4]) >= 24


def test_the_commands_are_declared(wheel: Path) -> None:
    archive = ZipFile(wheel)
    [path] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    declared = ConfigParser()
    declared.read_string(archive.read(path).decode())
    assert set(declared["console_scripts"]) == {"steelyard", "steelyard-opt"}
    assert set(declared["xdsl.universe"]) == {"steelyard"}
