"""PyTorch: has the products that it would compute in other ways go through BLAS.

Products of float32 and float64 matrices call BLAS by themselves. What does not:

- convolutions (oneDNN, NNPACK): switched off, so that they unfold and call ``sgemm``;
- fused attention and encoder layers: switched off for the plain sequence of products;
- compiled graphs: not compiled;
- bf16 and fp16 (oneDNN or loops): turned into float32, which holds them exactly, and the result
  rounded back;
- batches of tiny products (loops): one BLAS call each.

The last two replace kernels of the CPU by way of ``torch.library``, below autograd, so that
backward passes, autocast and models written in C++ go the same way. Each calls the kernel with an
``out=`` argument, which is another one and not replaced. ``dot`` has no such kernel below it and
stays as it is: products of two 16-bit vectors do not reach BLAS.
"""

import os
import warnings

import hwgen_hook

_LOOPED_BELOW = 400  # m*n*k; ATen multiplies batches of smaller matrices in loops of its own

# Keeps the replaced kernels alive.
_libraries = []


def act(torch):
    """Route the products of the module ``torch``, which has just been imported."""
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    _switch_off(torch)
    library = torch.library.Library("aten", "IMPL")
    _libraries.append(library)
    for kernel in (*_products(torch), *_convolutions(torch)):
        name = kernel.__name__
        try:
            with warnings.catch_warnings():
                # It warns that a kernel is replaced, which is what we are here for.
                warnings.simplefilter("ignore")
                library.impl(name, kernel, "CPU")
        except (RuntimeError, AttributeError) as error:
            hwgen_hook.note("torch: aten::" + name, f"not routed: {error}")
    hwgen_hook.at_end(lambda: _report(torch))


def _switch_off(torch):
    """Switch off what computes products without BLAS."""
    backends = torch.backends
    switches = (
        ("mkldnn", "set_flags", backends),
        ("nnpack", "set_flags", backends),
        ("cuda", "enable_flash_sdp", backends),
        ("cuda", "enable_mem_efficient_sdp", backends),
        ("mha", "set_fastpath_enabled", backends),
    )
    for module, name, parent in switches:
        # Older versions lack some of these, and what they switch off.
        switch = getattr(getattr(parent, module, None), name, None)
        if switch is not None:
            switch(False)


def _report(torch):
    """Note at the end what went elsewhere after all."""
    if torch.cuda.is_initialized():
        hwgen_hook.note("torch: CUDA", "the program computed on a GPU; use the CPU")
    if torch._C._get_mkldnn_enabled():
        hwgen_hook.note("torch: oneDNN", "the program switched it on again; it calls no BLAS")


def _narrow(*tensors):
    """Whether all are of the same 16-bit type; ATen refuses what is mixed."""
    types = {str(tensor.dtype) for tensor in tensors if tensor is not None}
    return types in ({"torch.bfloat16"}, {"torch.float16"})


def _widened(*tensors):
    return [None if tensor is None else tensor.float() for tensor in tensors]


def _products(torch):
    """Return kernels of matrix products, called as those that they replace."""
    aten = torch.ops.aten

    def looped(a, b):
        """Whether ATen would multiply this batch in its own loops."""
        fits = a.dim() == b.dim() == 3 and a.shape[0] == b.shape[0] and a.shape[2] == b.shape[1]
        if not fits or a.dtype != b.dtype or not (a.is_floating_point() or a.is_complex()):
            return False
        return a.shape[1] * a.shape[2] * b.shape[2] < _LOOPED_BELOW

    def mm(a, b):
        if _narrow(a, b):
            return mm(a.float(), b.float()).to(a.dtype)
        return aten.mm.out(a, b, out=a.new_empty(0))

    def mv(a, b):
        if _narrow(a, b):
            return mv(a.float(), b.float()).to(a.dtype)
        return aten.mv.out(a, b, out=a.new_empty(0))

    def addmv(c, a, b, *, beta=1, alpha=1):
        if _narrow(c, a, b):
            return addmv(*_widened(c, a, b), beta=beta, alpha=alpha).to(a.dtype)
        return aten.addmv.out(c, a, b, beta=beta, alpha=alpha, out=a.new_empty(0))

    def addmm(c, a, b, *, beta=1, alpha=1):
        if _narrow(c, a, b):
            return addmm(*_widened(c, a, b), beta=beta, alpha=alpha).to(a.dtype)
        return aten.addmm.out(c, a, b, beta=beta, alpha=alpha, out=a.new_empty(0))

    def bmm(a, b):
        if _narrow(a, b):
            return bmm(a.float(), b.float()).to(a.dtype)
        if not looped(a, b):
            return aten.bmm.out(a, b, out=a.new_empty(0))
        out = a.new_empty((a.shape[0], a.shape[1], b.shape[2]))
        for index in range(a.shape[0]):
            aten.mm.out(a[index], b[index], out=out[index])
        return out

    def baddbmm(c, a, b, *, beta=1, alpha=1):
        if _narrow(c, a, b):
            return baddbmm(*_widened(c, a, b), beta=beta, alpha=alpha).to(a.dtype)
        if not looped(a, b):
            return aten.baddbmm.out(c, a, b, beta=beta, alpha=alpha, out=a.new_empty(0))
        product = bmm(a, b).mul_(alpha)
        return product if beta == 0 else product.add_(c, alpha=beta)

    return mm, mv, addmv, addmm, bmm, baddbmm, *map(_in_place, (addmv, addmm, baddbmm))


def _in_place(kernel):
    """Return the kernel that leaves the result in its first operand."""

    def changed(c, a, b, *, beta=1, alpha=1):
        return c.copy_(kernel(c, a, b, beta=beta, alpha=alpha))

    changed.__name__ = kernel.__name__ + "_"
    return changed


def _convolutions(torch):
    """Return kernels of convolutions, called as those that they replace."""
    aten = torch.ops.aten
    explicit = torch._C.DispatchKey.CompositeExplicitAutograd

    def convolution(x, weight, bias, *shape):
        if _narrow(x, weight, bias):
            return convolution(*_widened(x, weight, bias), *shape).to(x.dtype)
        # No benchmark, not deterministic, no cuDNN, no TF32: all of them for GPUs only.
        return aten._convolution.default(x, weight, bias, *shape, False, False, False, False)

    def convolution_backward(gradient, x, weight, *rest):
        if not _narrow(gradient, x, weight):
            return aten.convolution_backward.default._op_dk(explicit, gradient, x, weight, *rest)
        wide = convolution_backward(*_widened(gradient, x, weight), *rest)
        return tuple(None if tensor is None else tensor.to(x.dtype) for tensor in wide)

    return convolution, convolution_backward
