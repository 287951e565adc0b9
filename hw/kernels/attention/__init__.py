"""Fused attention (FlashAttention and its split-key form)."""
