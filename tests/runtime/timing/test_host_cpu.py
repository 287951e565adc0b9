import pytest

from steelyard.runtime.timing import host_cpu
from steelyard.runtime.timing.host_cpu import host_instruction_set

FLAGS = {
    "sse41": "fpu sse4_1",
    "avx2": "fpu sse4_1 avx avx2",
    "avx512": "fpu sse4_1 avx avx2 avx512f avx512bw",
    "avx512_amx": "fpu sse4_1 avx avx2 avx512f avx512bw amx_bf16 amx_tile",
}


@pytest.fixture
def with_flags(tmp_path, monkeypatch):
    def set_flags(flags):
        info = tmp_path / "cpuinfo"
        info.write_text(f"model name\t: A CPU\nflags\t\t: {flags}\n")
        monkeypatch.setattr(host_cpu, "CPU_INFO", info)

    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    return set_flags


@pytest.mark.parametrize("expected", FLAGS)
def test_the_best_that_the_cpu_has(expected, with_flags):
    with_flags(FLAGS[expected])
    assert host_instruction_set() == expected


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        ("AVX2", "avx2"),
        ("avx2_vnni", "avx2"),
        ("AVX512_CORE_BF16", "avx512"),
        ("AVX512_CORE_AMX", "avx512_amx"),
        ("ALL", "avx512_amx"),
    ],
)
def test_onednn_may_be_held_to_less(most, expected, with_flags, monkeypatch):
    with_flags(FLAGS["avx512_amx"])
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    assert host_instruction_set() == expected
    with_flags(FLAGS["sse41"])
    assert host_instruction_set() == "sse41"


def test_a_system_that_names_none_is_not_guessed_at(with_flags):
    with_flags("neon")
    assert host_instruction_set() is None
