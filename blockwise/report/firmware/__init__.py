"""Renderings of a :class:`~blockwise.firmware.result.FirmwareResult`: terminal, JSON, HTML and a picture."""

from blockwise.report.firmware.console import headline, render
from blockwise.report.firmware.files import dumps, named, write_all
from blockwise.report.firmware.written import written_lines

__all__ = ["dumps", "headline", "named", "render", "write_all", "written_lines"]
