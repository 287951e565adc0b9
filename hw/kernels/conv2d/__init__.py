"""2-D convolutions by implicit GEMM, Winograd and FFT."""
