"""Notes on the command line: a line each, told once however often what they speak of is made."""

from blockwise.system.notes import note, told_in_lines


def test_a_command_tells_the_same_once_and_another_command_again(capsys):
    for _ in range(2):
        with told_in_lines():
            note("labels 2, 7 become 0 to 1")
            note("labels 2, 7 become 0 to 1")
            note("another")
        assert capsys.readouterr().err.splitlines() == [
            "blockwise: labels 2, 7 become 0 to 1", "blockwise: another",
        ]  # fmt: skip
