// Gradients of flash attention as torch runs them on a CPU.
// sizes: b=1 h=12 s=128 d=64
// sizes: b=4 h=12 s=256 d=64
func.func @attention_gradient(%g: tensor<${b}x${h}x${s}x${d}xf32>, %q: tensor<${b}x${h}x${s}x${d}xf32>, %k: tensor<${b}x${h}x${s}x${d}xf32>, %v: tensor<${b}x${h}x${s}x${d}xf32>, %o: tensor<${b}x${h}x${s}x${d}xf32>, %l: tensor<${b}x${h}x${s}xf32>) {
  %dq, %dk, %dv = aten._scaled_dot_product_flash_attention_for_cpu_backward(%g, %q, %k, %v, %o, %l, dropout_p = 0.0, is_causal = false) : tensor<${b}x${h}x${s}x${d}xf32>, tensor<${b}x${h}x${s}x${d}xf32>, tensor<${b}x${h}x${s}x${d}xf32>
  func.return
}
