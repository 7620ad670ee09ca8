"""Validation, and the best epoch of each phase; what is read off the network at its end."""

import math
from dataclasses import asdict

from blockwise.data import Normalize, Split, ToInput
from blockwise.integer.accumulate import SumTooLarge
from blockwise.nets.trainable import TrainableNet
from blockwise.training import calibration
from blockwise.training.divergence import Diverged
from blockwise.training.evaluate import Evaluation, evaluate
from blockwise.training.outcome import LARGEST_SUM, Divergence, Epoch
from blockwise.training.phase import Phase
from blockwise.training.session import Session


class Selection:
    """Which epoch's weights are kept, by the validation split of ``splits``."""

    def __init__(
        self, net: TrainableNet, splits: dict[str, Split], inputs: ToInput, session: Session
    ) -> None:
        self.net, self.splits, self.inputs, self.session = net, splits, inputs, session

    def validate(self, phase: Phase, loss: float, seconds: float) -> Epoch:
        """Note the epoch that has ended; its weights are kept if none before was better."""
        progress = self.session.progress
        accuracy, score = None, float(progress.epoch)  # without validation data: the last epoch
        names: dict[str, float] = {}
        if len(self.splits["validation"]):
            heads = self._judged(phase)
            found = self._evaluate("validation", heads)
            accuracy = found.accuracies[heads[-1]]
            score = -found.loss if accuracy is None else accuracy
            names = self._accuracies(found)
        epoch = Epoch(progress.epoch, phase.block, loss, accuracy, seconds)
        progress.history.append(asdict(epoch))
        final = progress.stage == self.session.options.stages.last  # before it: not what is deployed
        if final and score >= progress.best_score:  # of equal epochs the later one, more trained
            progress.best_score, progress.best_epoch = score, progress.epoch
            progress.accuracies |= names
            self.session.best = {name: t.detach().clone() for name, t in self.net.state_dict().items()}
        return epoch

    def _judged(self, phase: Phase) -> tuple[int, ...]:
        """Where the blocks behind are as they will be, the network's own output is what counts."""
        output = (len(self.net) - 1,) if self.net.settled_behind(phase.last) else ()
        return tuple(dict.fromkeys((*phase.heads, *output)))

    def restore(self) -> None:
        """Go back to the weights of the best epoch."""
        self.net.load_state_dict(self.session.best)

    def calibrate(self, normalize: Normalize) -> None:
        """Quantize what waits for the end of the training, and validate what that leaves."""
        progress = self.session.progress
        if calibration.late_quantizers(self.net):
            calibration.calibrate(self.net, self.splits["train"], normalize)
            heads = tuple(i for i, name in enumerate(self.net.names) if name in progress.accuracies)
            if heads:
                progress.accuracies |= self._accuracies(self._evaluate("validation", heads))
        progress.calibrated = True

    def test(self) -> None:
        """Read the test set, once."""
        last = len(self.net) - 1
        self.session.progress.test_accuracy = self._evaluate("test", (last,)).accuracies[last]

    def _evaluate(self, split: str, heads: tuple[int, ...]) -> Evaluation:
        """Raises Diverged where weights are finite and their loss is not, or where a sum passes 32 bits."""
        device = self.session.options.accelerator
        try:
            found = evaluate(self.net, self.splits[split], heads, self.inputs, device)
        except SumTooLarge as error:
            raise self._diverged(f"{split} {LARGEST_SUM}", "") from error
        if not math.isfinite(found.loss):
            block = self.net.names[heads[-1]] if heads[-1] < len(self.net) - 1 else ""
            raise self._diverged(f"{split} loss", block)
        return found

    def _diverged(self, what: str, block: str) -> Diverged:
        """Found behind the last epoch."""
        progress = self.session.progress
        return Diverged(Divergence(what, block, progress.epoch or progress.best_epoch, None, None))

    def _accuracies(self, found: Evaluation) -> dict[str, float]:
        """By the name of the block, of the heads that predict something."""
        return {self.net.names[i]: a for i, a in found.accuracies.items() if a is not None}
