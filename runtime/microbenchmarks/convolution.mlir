// Convolutions of residual networks, inverted residuals, patches, and of each channel by itself, with their
// gradients. `ci` is c / groups; `p` and `q` are the size of the result.
// sizes: n=1 c=64 ci=64 h=56 w=56 o=64 r=3 s=3 p=56 q=56 stride=1 pad=1 groups=1
// sizes: n=1 c=256 ci=256 h=14 w=14 o=256 r=3 s=3 p=14 q=14 stride=1 pad=1 groups=1
// sizes: n=1 c=512 ci=512 h=7 w=7 o=512 r=3 s=3 p=7 q=7 stride=1 pad=1 groups=1
// sizes: n=1 c=64 ci=64 h=56 w=56 o=256 r=1 s=1 p=56 q=56 stride=1 pad=0 groups=1
// sizes: n=1 c=1024 ci=1024 h=14 w=14 o=256 r=1 s=1 p=14 q=14 stride=1 pad=0 groups=1
// sizes: n=1 c=144 ci=144 h=56 w=56 o=24 r=1 s=1 p=56 q=56 stride=1 pad=0 groups=1
// sizes: n=1 c=960 ci=960 h=7 w=7 o=160 r=1 s=1 p=7 q=7 stride=1 pad=0 groups=1
// sizes: n=4 c=128 ci=128 h=28 w=28 o=128 r=3 s=3 p=28 q=28 stride=1 pad=1 groups=1
// sizes: n=1 c=256 ci=256 h=28 w=28 o=256 r=3 s=3 p=14 q=14 stride=2 pad=1 groups=1
// sizes: n=1 c=3 ci=3 h=224 w=224 o=64 r=7 s=7 p=112 q=112 stride=2 pad=3 groups=1
// sizes: n=1 c=3 ci=3 h=224 w=224 o=768 r=16 s=16 p=14 q=14 stride=16 pad=0 groups=1
// sizes: n=1 c=144 ci=1 h=56 w=56 o=144 r=3 s=3 p=56 q=56 stride=1 pad=1 groups=144
// sizes: n=1 c=32 ci=1 h=112 w=112 o=32 r=3 s=3 p=112 q=112 stride=1 pad=1 groups=32
// sizes: n=1 c=96 ci=1 h=112 w=112 o=96 r=3 s=3 p=56 q=56 stride=2 pad=1 groups=96
// sizes: n=1 c=960 ci=1 h=7 w=7 o=960 r=3 s=3 p=7 q=7 stride=1 pad=1 groups=960
// sizes: n=1 c=96 ci=1 h=56 w=56 o=96 r=7 s=7 p=56 q=56 stride=1 pad=3 groups=96
func.func @convolution(%x: tensor<${n}x${c}x${h}x${w}xf32>, %weight: tensor<${o}x${ci}x${r}x${s}xf32>) {
  %y = aten.convolution(%x, %weight, bias = none, stride = [${stride}, ${stride}], padding = [${pad}, ${pad}], dilation = [1, 1], transposed = false, output_padding = [0, 0], groups = ${groups}) : tensor<${n}x${o}x${p}x${q}xf32>
  func.return
}
func.func @convolution_gradient(%g: tensor<${n}x${o}x${p}x${q}xf32>, %x: tensor<${n}x${c}x${h}x${w}xf32>, %weight: tensor<${o}x${ci}x${r}x${s}xf32>) {
  %gx, %gw, %gb = aten.convolution_backward(%g, %x, %weight, bias_sizes = none, stride = [${stride}, ${stride}], padding = [${pad}, ${pad}], dilation = [1, 1], transposed = false, output_padding = [0, 0], groups = ${groups}, output_mask = [true, true, false]) : tensor<${n}x${c}x${h}x${w}xf32>, tensor<${o}x${ci}x${r}x${s}xf32>, none
  func.return
}
