"""Advice on what a user's model raised while it was built or captured."""

_NO_MEMORY = ("can't allocate memory", "out of memory")
_SHAPES = ("shape", "size", "mat1 and mat2", "dimension")


def advice_on(error: Exception) -> str | None:
    """Return what to do about an error, None where its message has to speak for itself."""
    text = str(error).lower()
    if isinstance(error, ModuleNotFoundError):
        return f"install {error.name}, or run steelyard where it is installed"
    if isinstance(error, FileNotFoundError):
        return "make the file, or build the model without it: values of weights change no figure"
    if isinstance(error, MemoryError) or any(each in text for each in _NO_MEMORY):
        return "give smaller inputs, or build large tensors inside the model, where they take no memory"
    if "sparse" in text or "nested" in text or "subclass" in text:
        return "sparse and nested tensors and subclasses of tensors cannot be captured: give dense ones"
    if "cuda" in text or "nvidia" in text:
        return "leave out what asks for a GPU: --device h100-sxm weighs for one without it"
    if any(each in text for each in _SHAPES):
        return "check the shapes of the inputs, and the configuration"
    return None
