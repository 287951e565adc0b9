// Flash attention as torch runs it on a CPU; query heads that share a key head read copies of it.
// sizes: b=1 hq=12 sq=128 skv=128 d=64 causal=false
// sizes: b=1 hq=12 sq=197 skv=197 d=64 causal=false
// sizes: b=4 hq=12 sq=256 skv=256 d=64 causal=false
// sizes: b=1 hq=8 sq=1024 skv=1024 d=128 causal=true
func.func @attention(%q: tensor<${b}x${hq}x${sq}x${d}xf32>, %k: tensor<${b}x${hq}x${skv}x${d}xf32>, %v: tensor<${b}x${hq}x${skv}x${d}xf32>) {
  %o, %l = aten._scaled_dot_product_flash_attention_for_cpu(%q, %k, %v, dropout_p = 0.0, is_causal = ${causal}) : tensor<${b}x${hq}x${sq}x${d}xf32>, tensor<${b}x${hq}x${sq}xf32>
  func.return
}
