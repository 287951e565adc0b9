// Layer norm of each row with a scale and a shift, and its gradient.
// sizes: rows=128 cols=768
// sizes: rows=512 cols=768
// sizes: rows=2048 cols=768
func.func @layer_norm(%x: tensor<${rows}x${cols}xf32>, %scale: tensor<${cols}xf32>, %shift: tensor<${cols}xf32>) {
  %y, %mean, %rstd = aten.native_layer_norm(%x, [${cols}], %scale, %shift, eps = 0.00001) : tensor<${rows}x${cols}xf32>, tensor<${rows}x1xf32>, tensor<${rows}x1xf32>
  func.return
}
func.func @layer_norm_gradient(%g: tensor<${rows}x${cols}xf32>, %x: tensor<${rows}x${cols}xf32>, %mean: tensor<${rows}x1xf32>, %rstd: tensor<${rows}x1xf32>, %scale: tensor<${cols}xf32>, %shift: tensor<${cols}xf32>) {
  %gx, %gs, %gb = aten.native_layer_norm_backward(%g, %x, [${cols}], %mean, %rstd, %scale, %shift, output_mask = [true, true, true]) : tensor<${rows}x${cols}xf32>, tensor<${cols}xf32>, tensor<${cols}xf32>
  func.return
}
