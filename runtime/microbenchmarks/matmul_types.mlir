// Products of matrices in other types.
// sizes: n=256 type=bf16
// sizes: n=1024 type=bf16
// sizes: n=256 type=f64
// sizes: n=768 type=f64
func.func @square(%x: tensor<${n}x${n}x${type}>, %w: tensor<${n}x${n}x${type}>) {
  %y = aten.mm(%x, %w) : tensor<${n}x${n}x${type}>
  func.return
}
