"""Capture of PyTorch modules, training steps and torch.export archives into the IR."""
