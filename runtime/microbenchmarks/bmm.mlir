// Products of many pairs of matrices, as of the heads of attention.
// sizes: b=12 m=128 k=64 n=128
// sizes: b=12 m=128 k=128 n=64
// sizes: b=24 m=256 k=64 n=256
// sizes: b=24 m=256 k=256 n=64
func.func @batched(%x: tensor<${b}x${m}x${k}xf32>, %w: tensor<${b}x${k}x${n}xf32>) {
  %y = aten.bmm(%x, %w) : tensor<${b}x${m}x${n}xf32>
  func.return
}
