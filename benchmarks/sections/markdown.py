"""Tables, figures and pictures in Markdown."""


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def kib(count: int) -> str:
    """Bytes as KiB."""
    return f"{count / 1024:,.1f}"


def picture(name: str, alt: str) -> str:
    """A picture of docs/results/, as documents in docs/ see it."""
    return f"![{alt}](results/{name}.svg)"
