"""What came of several seeds on stdout, as it is asked for."""

import json

from blockwise import report
from blockwise.experiment.result import Result
from blockwise.experiment.seeds import Seeds
from blockwise.system.streams import print_json


def print_seeds(first: Result, found: Seeds, *, as_json: bool, quiet: bool) -> None:
    """As JSON, in one line, or as a report; ``first`` is the result of one seed."""
    if as_json:
        print_json(text(found))
    elif quiet:
        print(report.seeds_answer(first, found))
    else:
        report.show(report.seeds_report(first, found), report.make_console())


def text(found: Seeds) -> str:
    """The content of seeds.json."""
    return json.dumps(found.to_json(), indent=1) + "\n"
