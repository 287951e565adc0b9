import pytest

from steelyard.compiler.frontend.adapt.advice import advice_on


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ModuleNotFoundError("No module named 'einops'", name="einops"), "install einops"),
        (FileNotFoundError(2, "No such file or directory", "weights.pt"), "make the file"),
        (MemoryError(), "smaller inputs"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "smaller inputs"),
        (RuntimeError("Found no NVIDIA driver on your system"), "leave out what asks for a GPU"),
        (NotImplementedError("Cannot access storage of SparseTensorImpl"), "give dense ones"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (4x8 and 9x2)"), "check the shapes"),
    ],
)
def test_the_advice_fits_the_error(error: Exception, advice: str):
    assert advice in (advice_on(error) or "")


def test_an_error_of_another_kind_gets_none():
    assert advice_on(KeyError("labels")) is None
