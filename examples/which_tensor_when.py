"""Which tensors fill the RAM, and at which moment of a training step?

    python examples/which_tensor_when.py

Every figure of a plan can be taken apart: the operations in order, what is alive at each, and the peak.
"""

import blockwise

SHOWN = 8


def main() -> None:
    """The peak of backpropagation by category, its largest tensors, and the way up to it."""
    plan = blockwise.plan("cnn", "stm32", regime="bp", in_shape=(1, 8, 8), width=8, batch_size=16)
    peak = plan.ledger.peak
    print(f"peak {plan.peak_bytes:,} bytes in '{peak.operation.name}', of {len(plan.timeline)} operations")
    for category, size in plan.by_category.items():
        print(f"  {size:8,}  {category}")

    print(f"\nthe {SHOWN} largest of {len(plan.tensors_at_peak)} tensors alive then")
    for tensor in plan.tensors_at_peak[:SHOWN]:
        size = tensor.aligned_bytes(plan.device.alignment_bytes)
        print(f"  {size:8,}  {tensor.name}, {tensor.shape} of {tensor.bits} bits")

    print("\nby how much live bytes change on the way to the peak")
    before = 0
    for moment in plan.timeline[: plan.ledger.peak_index + 1]:
        print(f"  {moment.live_bytes - before:+8,}  {moment.operation.phase} {moment.operation.name}")
        before = moment.live_bytes


if __name__ == "__main__":
    main()
