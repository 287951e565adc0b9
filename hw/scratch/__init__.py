"""Workspace that vendor libraries allocate beside the tensors (oneDNN, cuBLAS)."""
