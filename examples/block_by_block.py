"""What does training block by block cost in accuracy, and what does it save in memory?

    python examples/block_by_block.py

Trains a small network on the bundled digits globally and block by block, and reads the result.
"""

import blockwise


def main() -> None:
    """Two regimes side by side, and how good the network is after each block."""
    result = blockwise.train(
        "cnn", "stm32", regimes=("bp", "local-resident"), width=8, epochs=3, batch_size=16, blocks="layers",
        head="lookahead:16", seed=0,
    )  # fmt: skip
    print(f"{result.data.name}: {result.data.train:,} training, {result.data.test:,} test images")
    for row in result.regimes:
        print(f"{row.regime:15} {row.test_accuracy:6.1%} in {row.peak_bytes / 1024:6.1f} KiB")

    last = result.regimes[-1]
    print(f"\nvalidation accuracy of each block's own head under {last.regime}")
    accuracies = last.training.block_accuracies if last.training else {}  # None: only planned
    for block, accuracy in accuracies.items():
        print(f"{block:15} {accuracy:6.1%}")


if __name__ == "__main__":
    main()
