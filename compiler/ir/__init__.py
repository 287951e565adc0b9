"""The xDSL context and the text form of programs."""
