// Products of matrices: layers of transformers, gradients of their weights, squares, few rows.
// sizes: rows=128 k=768 n=768
// sizes: rows=128 k=768 n=3072
// sizes: rows=128 k=3072 n=768
// sizes: rows=1 k=768 n=3072
// sizes: rows=8 k=3072 n=768
// sizes: rows=32 k=768 n=3072
// sizes: rows=128 k=768 n=16381
// sizes: rows=512 k=768 n=3072
// sizes: rows=64 k=64 n=64
// sizes: rows=256 k=256 n=256
// sizes: rows=1024 k=1024 n=1024
func.func @linear(%x: tensor<${rows}x${k}xf32>, %weight: tensor<${n}x${k}xf32>) {
  %t = aten.t(%weight) : tensor<${k}x${n}xf32>
  %y = aten.mm(%x, %t) : tensor<${rows}x${n}xf32>
  func.return
}
func.func @product(%x: tensor<${rows}x${k}xf32>, %w: tensor<${k}x${n}xf32>) {
  %y = aten.mm(%x, %w) : tensor<${rows}x${n}xf32>
  func.return
}
func.func @weight_gradient(%x: tensor<${rows}x${k}xf32>, %g: tensor<${rows}x${n}xf32>) {
  %t = aten.t(%x) : tensor<${k}x${rows}xf32>
  %y = aten.mm(%t, %g) : tensor<${k}x${n}xf32>
  func.return
}
