"""The open measurements as tables that are parsed: what each asks, and what was measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measured import SOURCES, csv_text

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.fitting.fit_coefficients import Case
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.tables.csv_rows import Rows, parse_rows
from steelyard.hw.tables.parse_dims import parse_latencies
from steelyard.hw.tables.parse_requests import Request, parse_requests


@dataclass(frozen=True)
class Table:
    """One source."""

    rows: Rows
    requests: list[Request]
    measured_s: Floats

    def cases(self) -> Iterator[tuple[str, Case]]:
        """Yield the rows of each device, kind, type and context."""
        for request in self.requests:
            context = ExecutionContext(mode=request.mode)
            queries, measured_s = request.queries, self.measured_s[request.rows]
            case = Case(load_device(request.device), queries.dtype, context, queries.dims, measured_s)
            yield queries.kind, case


def load_tables(root: Path) -> dict[str, Table]:
    """Return the tables of a folder of measurements by the name of their source."""
    tables: dict[str, Table] = {}
    for name, source in SOURCES.items():
        rows = parse_rows(csv_text(list(source(root))), name)
        measured_s = parse_latencies(rows.column("latency_ms"), "latency_ms", rows.where)
        tables[name] = Table(rows, parse_requests(rows, None), measured_s)
    return tables
