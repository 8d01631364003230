"""Numbers below the smallest normal one count as zero in compiled code: a processor is slow with them.

What a thread had set is set again when it leaves. With `FTZ` a result that small becomes zero, with `DAZ` an
operand does (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 10.2.3, MXCSR); ARM's
FZ is both (Arm Architecture Reference Manual, FPCR).
"""

from llvmlite import ir
from numba.core import cgutils, lowering, typed_passes
from numba.core.compiler_machinery import register_pass

from .machine import ARCHITECTURE, ARM, X86

FTZ, DAZ, FZ = 1 << 15, 1 << 6, 1 << 24


class _FlushingLower(lowering.Lower):
    """Numba's own, with a prologue that flushes and what undoes it before every return."""

    def lower_normal_function(self, fndesc):
        super().lower_normal_function(fndesc)
        self.builder.position_at_start(self.function.entry_basic_block)
        restore = emit_flush(self.builder, ARCHITECTURE)
        for block in self.function.blocks:
            if isinstance(block.terminator, ir.Ret):
                self.builder.position_before(block.terminator)
                restore()


@register_pass(mutates_CFG=True, analysis_only=False)
class FlushingLowering(typed_passes.NativeLowering):
    """Lowering of a kernel that Python calls."""

    _name = "flushing_lowering"
    lowering_class = _FlushingLower


def emit_flush(builder, architecture):
    """Emit code that has this thread flush; what emits the code that undoes it."""
    if architecture in X86:
        return _emit_flush_x86(builder)
    if architecture in ARM:
        return _emit_flush_arm(builder)
    return lambda: None


def _emit_flush_x86(builder):
    word, byte_pointer = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte_pointer])
    save, load = (
        cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}mxcsr")
        for name in ("st", "ld")
    )
    before, now = builder.alloca(word), builder.alloca(word)
    builder.call(save, [builder.bitcast(before, byte_pointer)])
    builder.store(builder.or_(builder.load(before), word(FTZ | DAZ)), now)
    builder.call(load, [builder.bitcast(now, byte_pointer)])
    return lambda: builder.call(load, [builder.bitcast(before, byte_pointer)])


def _emit_flush_arm(builder):
    word = ir.IntType(64)
    read = cgutils.get_or_insert_function(builder.module, ir.FunctionType(word, []), "llvm.aarch64.get.fpcr")
    kind = ir.FunctionType(ir.VoidType(), [word])
    write = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr")
    before = builder.call(read, [])
    builder.call(write, [builder.or_(before, word(FZ))])
    return lambda: builder.call(write, [before])
