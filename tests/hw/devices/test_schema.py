import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.devices.schema import parse_device

GOOD = """
name = "toy"
title = "A toy"
vendor = "acme"
kind = "gpu"
architecture = "one"
memory_kind = "hbm"
compute_units = { value = 4, kind = "spec", source = "sheet" }
memory_capacity_bytes = { value = "2 GiB", kind = "spec", source = "sheet", note = "per die" }

[matrix_peak_flops_per_s]
f16 = { value = 1e12, kind = "derived", source = "sheet" }

[[sustained]]
threads = 2
memory_bandwidth_bytes_per_s = { curve = [[1e4, 2e11], [1e8, 1e10]], kind = "measured", source = "probe" }

[sources.sheet]
title = "ACME toy data sheet"
url = "https://example.com/toy.pdf"
date = 2026-01-31

[sources.probe]
title = "our probe"
date = 2026-02-01
"""


def faults_of(text: str) -> str:
    with pytest.raises(DeviceError) as caught:
        parse_device(text, "toy.toml")
    assert caught.value.where == "toy.toml"
    return str(caught.value)


def test_every_number_keeps_its_provenance():
    device = parse_device(GOOD, "toy.toml")
    assert device.memory_capacity_bytes.value == 2 * 2**30
    assert device.memory_capacity_bytes.note == "per die"
    peak = device.matrix_peak_flops_per_s["f16"]
    assert (peak.value, peak.kind, peak.source.title) == (1e12, "derived", "ACME toy data sheet")
    assert peak.source.date.isoformat() == "2026-01-31"
    bandwidth = device.sustained[0].memory_bandwidth_bytes_per_s
    assert bandwidth is not None
    assert bandwidth.curve == ((1e4, 2e11), (1e8, 1e10))
    assert bandwidth.source.title == "our probe"


def test_what_is_not_given_is_none_or_absent():
    device = parse_device(GOOD, "toy.toml")
    assert device.tdp_w is None
    assert "bf16" not in device.matrix_peak_flops_per_s


def test_all_faults_are_reported_at_once():
    text = (
        GOOD.replace('kind = "gpu"', 'kind = "gpus"')
        .replace("vendor", "vender")
        .replace("value = 4", "value = 0")
        .replace('"2 GiB"', '"2 GiBy"')
        .replace("f16 = ", "fp16 = ")
        .replace("threads", "thread")
        .replace('source = "probe"', 'source = "prob"')
        .replace("url", "uri")
    )
    message = faults_of(text)
    assert "9 faults" in message
    for part in (
        "kind: 'gpus' is not allowed; did you mean 'gpu'",
        "vendor: missing",
        "vender: unknown key; did you mean 'vendor'",
        "compute_units: 0 is not a positive number",
        "memory_capacity_bytes.value: Input should be a valid number",
        "matrix_peak_flops_per_s.fp16: 'fp16' is not allowed; did you mean 'f16'",
        "sustained.0.thread: unknown key; did you mean 'threads'",
        "sustained.0.memory_bandwidth_bytes_per_s.source: no source is named 'prob'; did you mean 'probe'",
        "sources.sheet.uri: unknown key; did you mean 'url'",
    ):
        assert part in message


def test_a_bad_source_is_reported_once_and_not_where_it_is_used():
    message = faults_of(GOOD.replace("date = 2026-01-31", ""))
    assert "1 fault\n" in message
    assert "sources.sheet.date: missing" in message


def test_a_bare_number_is_told_how_to_give_its_source():
    message = faults_of(GOOD.replace('{ value = 4, kind = "spec", source = "sheet" }', "4"))
    assert 'compute_units: write it as { value = 4, kind = "...", source = "..." }' in message


def test_a_size_string_is_only_for_bytes():
    assert "f16.value" in faults_of(GOOD.replace("value = 1e12", 'value = "1 GiB"'))


def test_one_thread_count_has_one_entry():
    twice = GOOD.replace("[[sustained]]", "[[sustained]]\nthreads = 2\n\n[[sustained]]")
    assert "another number of threads" in faults_of(twice)


def test_a_file_without_sources_says_so():
    assert "no source is named 'sheet'" in faults_of(GOOD[: GOOD.index("[sources.sheet]")])


@pytest.mark.parametrize("text", ["name = ", "[[[", "\x00", "name = 1\nname = 2"])
def test_bad_toml_names_the_place(text: str):
    assert "not valid TOML" in faults_of(text)


@pytest.mark.parametrize(
    "text", ["", "sources = 3", "sustained = 4", "[sources]\na = 1", "name = [1, { a = 2 }]"]
)
def test_odd_shapes_are_faults_and_no_crash(text: str):
    assert "missing" in faults_of(text)
