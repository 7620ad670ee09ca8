"""What a picture is drawn of goes to another process, which must not load PyTorch for it."""

import pickle
import pickletools

from blockwise.cli.commands.compare import parse
from blockwise.experiment.compare import compare
from blockwise.experiment.prepare import prepare
from blockwise.experiment.result import Result

WORDS = "--model mlp --in-shape 1 4 4 --head gap --blocks 1 --regimes bp --dry-run"


def test_the_steps_of_regimes_are_sent_as_plain_types_and_rows_of_this_program_alone() -> None:
    steps: list[Result] = []
    compare(prepare(parse(WORDS.split())), steps=steps.append)
    sent = pickle.dumps(steps[0])
    texts = [str(given) for code, given, _ in pickletools.genops(sent) if code.name == "SHORT_BINUNICODE"]
    homes = {text.partition(".")[0] for text in texts if text.startswith(("blockwise.", "torch.", "numpy."))}
    assert homes == {"blockwise"}
    assert pickle.loads(sent) == steps[0]
    assert {type(value) for value in steps[0].environment.values()} == {str}
