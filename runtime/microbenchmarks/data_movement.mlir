// Sums, changes of layout and concatenations.
// sizes: rows=128 cols=768 heads=12 wide=1536
// sizes: rows=512 cols=768 heads=12 wide=1536
// sizes: rows=2048 cols=3072 heads=48 wide=6144
func.func @sum_over_rows(%x: tensor<${rows}x${cols}xf32>) {
  %y = aten.sum.dim_IntList(%x, dim = [0], keepdim = true) : tensor<1x${cols}xf32>
  func.return
}
func.func @split_heads(%x: tensor<${rows}x${heads}x64xf32>) {
  %t = aten.transpose.int(%x, 0, 1) : tensor<${heads}x${rows}x64xf32>
  %y = aten.clone(%t, memory_format = "contiguous_format") : tensor<${heads}x${rows}x64xf32>
  func.return
}
func.func @concatenate(%a: tensor<${rows}x${cols}xf32>, %b: tensor<${rows}x${cols}xf32>) {
  %y = aten.cat([%a, %b], dim = 1) : tensor<${rows}x${wide}xf32>
  func.return
}
