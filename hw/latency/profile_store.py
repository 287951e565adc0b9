"""The local profile: what ops were measured to take on the devices at hand, in one SQLite file."""

import os
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.kernels.common.kernel_queries import Column
from steelyard.hw.kernels.registry import KINDS

PROFILES_VARIABLE = "STEELYARD_PROFILES"

_APPLICATION_ID = 0x5EE1A4D0
"""What marks the file as ours (SQLite's `PRAGMA application_id`)."""

_VERSION = 2
_WAIT_S = 30.0
_LONGEST_S = 3600.0
_KEY = ("device", "context", "threads", "op", "signature", "dtype")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Measured seconds of an op with operands of given types.

    Attributes:
        device: The name of the device.
        context: The `ExecutionMode` in which it ran.
        threads: CPU threads that it ran with; 0 where the host's threads do not matter.
        op: The operator, as in `aten.addmm`.
        signature: The call with the types of its operands and where these are, by `compiler.op_signature`.
        dtype: The type that it calculates in.
        kind: The `str` that it is, or "" where no kernel model knows it or several kernels do it.
        dims: The dims of that kind as text, as in "b=1 m=128 n=768 k=768".
        median_s: The median of all calls.
        min_s: The fastest call.
        low_s: The lower end of where nine calls in ten lie.
        high_s: The upper end.
        repeats: How many calls were timed.
        measured_on: The day, as in "2026-11-24".
        torch_version: What ran it.

    Raises:
        ValueError: a value has another type, or a time or the dims cannot be.
    """

    device: str
    context: str
    threads: int
    op: str
    signature: str
    dtype: str
    kind: str
    dims: str
    median_s: float
    min_s: float
    low_s: float
    high_s: float
    repeats: int
    measured_on: str
    torch_version: str

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, cast("type", each.type)):
                raise ValueError(f"{each.name} is {value!r}, a {type(value).__name__}")
        if not 0 < self.min_s <= self.median_s < _LONGEST_S:
            raise ValueError(f"a fastest call of {self.min_s} s and a median of {self.median_s} s cannot be")
        if not 0 < self.low_s <= self.median_s <= self.high_s < _LONGEST_S:
            raise ValueError(
                f"a median of {self.median_s} s does not lie between {self.low_s} and {self.high_s} s"
            )
        if self.repeats < 1 or self.threads < 0:
            raise ValueError(f"{self.repeats} repeats with {self.threads} threads cannot be")
        if self.kind:
            _require_dims(self.kind, self.dims)


def _require_dims(kind: str, text: str) -> None:
    """Check that dims as text are those of a kind, each a value that it may have."""
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r}")
    given = {name: value for name, _, value in (pair.partition("=") for pair in text.split())}
    columns = dict[str, Column]()
    for name, dim in KINDS[kind].dims.items():
        value = given.get(name, "")
        is_size = value.isdecimal() and dim.smallest <= int(value) <= dim.largest
        if not (value in dim.words if dim.words else is_size):
            raise ValueError(f"{name} of {kind} is {value!r}")
        columns[name] = np.array([value if dim.words else int(value)])
    for conflict in KINDS[kind].conflicts(columns):
        if conflict.rows.any():
            raise ValueError(f"{conflict.dim} of {kind} is {given[conflict.dim]}: it {conflict.why}")


_COLUMNS = tuple(each.name for each in fields(Measurement))
_SQL_TYPES: dict[object, str] = {str: "TEXT", int: "INTEGER", float: "REAL"}
_TYPED = ", ".join(f"{each.name} {_SQL_TYPES[each.type]} NOT NULL" for each in fields(Measurement))
_SCHEMA = f"CREATE TABLE IF NOT EXISTS measurement ({_TYPED}, PRIMARY KEY ({', '.join(_KEY)}))"


@dataclass(frozen=True, slots=True)
class ProfileStore:
    """Measurements in a file, which need not exist before the first is added.

    Every method raises `DeviceError` where the file is damaged, is no profile, holds a time that cannot be,
    or cannot be read or written.
    """

    path: Path

    def require_writable(self) -> None:
        """Check that measurements can be kept, before they are made."""
        self.add([])

    def add(self, measurements: Iterable[Measurement]) -> None:
        """Keep measurements, all or none of them; one of the same op replaces the one before."""
        names, marks = ", ".join(_COLUMNS), ", ".join("?" * len(_COLUMNS))
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as connection:
                if _is_empty(connection):
                    _create(connection)
                self._require_ours(connection)
                with connection:  # one transaction, rolled back where a row fails
                    connection.executemany(
                        f"INSERT OR REPLACE INTO measurement ({names}) VALUES ({marks})",
                        [astuple(each) for each in measurements],
                    )

    def of(self, device: str, context: str) -> list[Measurement]:
        """Return what was measured on a device in a context, none where there is no file."""
        if not self.path.exists():
            return []
        query = f"SELECT {', '.join(_COLUMNS)} FROM measurement WHERE device = ? AND context = ?"
        with self._explained():
            # A commit that was killed is taken back by who may write.
            may_write = os.access(self.path, os.W_OK) and os.access(self.path.absolute().parent, os.W_OK)
            address = f"{self.path.absolute().as_uri()}?mode={'rw' if may_write else 'ro'}"
            with closing(sqlite3.connect(address, timeout=_WAIT_S, uri=True)) as connection:
                if _is_empty(connection):
                    return []
                self._require_ours(connection)
                rows = connection.execute(f"{query} ORDER BY op, signature, dtype", (device, context))
                return [self._measurement(row) for row in rows]

    def _measurement(self, row: tuple[Any, ...]) -> Measurement:
        named = dict(zip(_COLUMNS, row, strict=True))
        try:
            return Measurement(**named)
        except ValueError as error:
            raise self._error(f"of {named['op']}, {named['signature']}: {error}") from error

    def _require_ours(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID:
            raise self._error("it is a database of another program")
        if version != _VERSION:
            raise self._error(f"it has version {version}, this Steelyard reads {_VERSION}")

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise self._error(str(error)) from error

    def _error(self, why: str) -> DeviceError:
        return DeviceError(
            what="the profile of measured ops cannot be used",
            where=str(self.path),
            why=why,
            fix=f"move the file away, or name another in {PROFILES_VARIABLE} (empty for none)",
        )


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Whether a database has nothing in it, as where its making was interrupted."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not tables


def _create(connection: sqlite3.Connection) -> None:
    """Make the table in one transaction; another process may have made it meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_SCHEMA)
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.commit()


def local_store() -> ProfileStore | None:
    """Return the user's profile: `$STEELYARD_PROFILES`, else `steelyard/profiles.sqlite` in the cache folder.

    None where the variable is set and empty, so that nothing measured is used.
    """
    given = os.environ.get(PROFILES_VARIABLE)
    if given is not None:
        return ProfileStore(Path(given)) if given else None
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return ProfileStore(Path(cache) / "steelyard" / "profiles.sqlite")
